/* Bytes in: replies are put together line by line and handed to the phase that they answer. */
#include "smtp/sender_private.h"

/* RFC 5321 §4.2.1: a hyphen behind the code means that more lines follow. What is no reply at all ends here too, for
 * smtp_reply_parse() to refuse. */
static bool is_last_line(struct view line)
{
	bool continues = line.len >= 4 && ascii_is_digit(line.ptr[0]) && ascii_is_digit(line.ptr[1]) &&
		ascii_is_digit(line.ptr[2]) && line.ptr[3] == '-';
	return !continues;
}

/* RFC 3207 §5: an attacker who can add bytes in clear puts replies behind the 220 that the client would otherwise read as if they
 * had come through TLS. */
static void injected(struct smtp_sender *sender)
{
	sender_fail_here(sender, SMTP_STAGE_STARTTLS, "4.7.0", "the server sent more behind its 220 to STARTTLS");
}

static void take_reply(struct smtp_sender *sender, struct view frame)
{
	struct smtp_reply reply;
	size_t used;
	enum err err = smtp_reply_parse(frame, &reply, &used);
	if (err != ERR_OK || used != frame.len) {
		sender_fail_protocol(sender,
			err == ERR_LIMIT ? "the server's reply is too long" : "the server sent what is no SMTP reply");
		return;
	}
	if (sender->phase == SENDER_IDLE) {
		/* Nobody asked. A 421 says why the server hangs up; anything else leaves us out of step with it. */
		if (reply.code == 421)
			sender_fail(sender, SMTP_STAGE_QUIT, &reply, false);
		else
			sender_fail_protocol(sender, "the server sent a reply that nobody asked for");
		return;
	}
	if (sender->phase == SENDER_TRANSACTION)
		sender_transaction_reply(sender, &reply);
	else
		sender_session_reply(sender, &reply, frame);
}

/* A whole reply at the front of `in`: the usual case, without copying. Returns its length, or 0. */
static size_t whole_reply(struct view in)
{
	for (size_t at = 0; at < in.len;) {
		struct view rest = view_from(in, at);
		size_t end = view_find(rest, '\n');
		if (end == rest.len)
			return 0;
		at += end + 1;
		if (is_last_line(view_sub(rest, 0, end)))
			return at;
	}
	return 0;
}

/* Adds to the reply under way up to the end of a line; hands it over if that was the last. Returns the bytes taken. */
static size_t gather(struct smtp_sender *sender, struct view in)
{
	size_t end = view_find(in, '\n');
	bool has_end = end < in.len;
	struct view piece = view_sub(in, 0, has_end ? end + 1 : in.len);
	if (buf_append(&sender->in, piece) != ERR_OK) {
		sender_fail_protocol(sender, "the server's reply is too long");
		return in.len;
	}
	if (!has_end)
		return piece.len;
	bool last = is_last_line(view_from(buf_view(&sender->in), sender->in_line));
	sender->in_line = sender->in.len;
	if (last) {
		take_reply(sender, buf_view(&sender->in));
		buf_reset(&sender->in);
	}
	return piece.len;
}

enum err smtp_sender_feed(struct smtp_sender *sender, struct view in, size_t *ret_used)
{
	if (sender->phase == SENDER_OVER)
		return err_set(ERR_STATE, "the session is over");
	size_t used = 0;
	while (used < in.len && sender->phase != SENDER_OVER) {
		struct view rest = view_from(in, used);
		if (sender->phase == SENDER_HANDSHAKE) {
			injected(sender);
			used = in.len;
			break;
		}
		if (sender_has_event(sender))
			break;
		size_t whole = sender->in.len == 0 ? whole_reply(rest) : 0;
		if (whole > 0 && whole <= SENDER_REPLY_MAX_BYTES) {
			used += whole;
			take_reply(sender, view_sub(rest, 0, whole));
		} else {
			if (sender->in.len == 0)
				sender->in_line = 0;
			used += gather(sender, rest);
		}
	}
	*ret_used = used;
	return ERR_OK;
}
