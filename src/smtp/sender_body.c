/*
 * The message on its way out.
 *
 * DATA: what leaves here has CRLF line ends only, every line that begins with a dot gets another (RFC 5321 §4.5.2), and exactly one
 * CRLF.CRLF stands at its end. A bare CR or LF in the message (it may have come by BDAT) becomes CRLF: some receivers take LF.LF or
 * CR.CR for the end, and what follows for commands, so whoever relays such bytes helps to smuggle mail. NULs are left out for the
 * same reason: RFC 5321 has none, and a receiver that drops them would find a line with a dot that was not stuffed.
 *
 * BDAT: the bytes as they are, counted. Nothing in them can end the message.
 */
#include "smtp/sender_private.h"

#include <string.h>

/* A message up to this size goes as one chunk; a larger one in several, so that a server can refuse it on the way. */
#define CHUNK_BYTES (256u * 1024)

void sender_body_begin(struct smtp_sender *sender)
{
	sender->body.active = true;
	sender->tell_body = true;
}

bool smtp_sender_wants_body(const struct smtp_sender *sender)
{
	return sender->body.active && sender_output_bytes(sender) < SENDER_OUTPUT_TARGET_BYTES;
}

/* ---- DATA ---- */

/* Text without NUL. Bytes are copied in the longest runs that need no change: a well-formed message without dots is one copy. */
static void stuff(struct smtp_sender *sender, const uint8_t *at, const uint8_t *end)
{
	struct sender_body *body = &sender->body;
	if (at == end)
		return;
	if (body->pending_cr) {
		body->pending_cr = false;
		sender_put(sender, VIEW("\r\n"));
		body->line_start = true;
		at += *at == '\n';
	}
	const uint8_t *run = at;
	/* The next LF at or behind `at`, `end` if there is none. Found once, not for every CR before it. */
	const uint8_t *lf = NULL;
	while (at < end) {
		if (body->line_start && *at == '.') {
			sender_put(sender, view_of(run, (size_t)(at - run)));
			sender_put(sender, VIEW("."));
			run = at;
		}
		body->line_start = false;
		if (lf == NULL || lf < at) {
			lf = memchr(at, '\n', (size_t)(end - at));
			if (lf == NULL)
				lf = end;
		}
		const uint8_t *cr = memchr(at, '\r', (size_t)(lf - at));
		const uint8_t *line_end = cr != NULL ? cr : lf;
		if (line_end == end) {
			at = end;
			break;
		}
		if (cr != NULL && cr + 1 == lf && lf < end) {
			at = lf + 1;
			body->line_start = true;
			continue;
		}
		/* A bare CR or LF, or a CR at the end of the piece. */
		sender_put(sender, view_of(run, (size_t)(line_end - run)));
		run = at = line_end + 1;
		if (cr != NULL && at == end) {
			body->pending_cr = true;
		} else {
			sender_put(sender, VIEW("\r\n"));
			body->line_start = true;
		}
	}
	sender_put(sender, view_of(run, (size_t)(at - run)));
}

static void put_data(struct smtp_sender *sender, struct view bytes)
{
	while (bytes.len > 0) {
		size_t nul = view_find(bytes, '\0');
		stuff(sender, bytes.ptr, bytes.ptr + nul);
		bytes = view_from(bytes, nul + 1);
	}
}

static void end_data(struct smtp_sender *sender)
{
	const struct sender_body *body = &sender->body;
	/* RFC 5321 §4.1.1.4: the dot stands on a line of its own, so the message ends with CRLF. */
	if (body->pending_cr || !body->line_start)
		sender_put(sender, VIEW("\r\n"));
	sender_put(sender, VIEW(".\r\n"));
	sender->transaction.outstanding++;
}

/* ---- BDAT (RFC 3030 §2) ---- */

static void begin_chunk(struct smtp_sender *sender)
{
	struct sender_body *body = &sender->body;
	uint64_t left = sender->transaction.what.size_bytes - body->announced_bytes;
	/* Several chunks are of use only without waiting between them. */
	bool pipelining = (sender->offer.extensions & SMTP_EXT_PIPELINING) != 0;
	bool last = left <= CHUNK_BYTES || !pipelining;
	uint64_t size = last ? left : CHUNK_BYTES;
	sender_put(sender, VIEW("BDAT "));
	sender_put_u64(sender, size);
	sender_put(sender, last ? VIEW(" LAST\r\n") : VIEW("\r\n"));
	body->announced_bytes += size;
	body->chunk_left_bytes = size;
	if (size == 0)
		sender->transaction.outstanding++;
}

static void put_chunked(struct smtp_sender *sender, struct view bytes)
{
	struct sender_body *body = &sender->body;
	while (bytes.len > 0) {
		if (body->chunk_left_bytes == 0)
			begin_chunk(sender);
		size_t take = bytes.len < body->chunk_left_bytes ? bytes.len : (size_t)body->chunk_left_bytes;
		sender_put(sender, view_sub(bytes, 0, take));
		bytes = view_from(bytes, take);
		body->chunk_left_bytes -= take;
		if (body->chunk_left_bytes == 0)
			sender->transaction.outstanding++;
	}
}

/* The server takes the message with its last announced byte. That byte waits until the owner has said that it is the last, so that a
 * message that turns out longer than it should is never accepted in part. */
static void put_chunked_piece(struct smtp_sender *sender, struct view bytes, bool last)
{
	struct sender_body *body = &sender->body;
	bool complete = body->given_bytes == sender->transaction.what.size_bytes;
	if (complete && !last && bytes.len > 0) {
		body->held = bytes.ptr[bytes.len - 1];
		body->has_held = true;
		bytes.len--;
	}
	put_chunked(sender, bytes);
	if (last && body->has_held)
		put_chunked(sender, view_of(&body->held, 1));
	if (last && body->announced_bytes == 0)
		begin_chunk(sender);
}

/* ---- both ---- */

enum err smtp_sender_body(struct smtp_sender *sender, struct view bytes, bool last)
{
	struct sender_body *body = &sender->body;
	if (!body->active)
		return err_set(ERR_STATE, "no message is wanted now");
	if (bytes.len > SENDER_PIECE_MAX_BYTES)
		return err_set(ERR_LIMIT, "a piece of a message of more than %u bytes", SENDER_PIECE_MAX_BYTES);
	uint64_t size = sender->transaction.what.size_bytes;
	uint64_t left = size - body->given_bytes;
	if (bytes.len > left || (last && bytes.len < left)) {
		smtp_sender_abort(sender);
		return err_set(ERR_SYNTAX, "the message does not have the %llu bytes it should have",
			(unsigned long long)size);
	}
	body->given_bytes += bytes.len;
	if (body->chunked)
		put_chunked_piece(sender, bytes, last);
	else
		put_data(sender, bytes);
	if (last) {
		if (!body->chunked)
			end_data(sender);
		body->active = false;
		sender->tell_body = false;
		sender->transaction.due = STEP_FINAL;
	}
	sender_arm(sender, last ? sender->options.final_timeout_ms : sender->options.data_timeout_ms);
	return ERR_OK;
}
