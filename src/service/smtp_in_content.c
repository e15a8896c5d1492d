/*
 * LIFE 4/10: the message's bytes on their way to intake_body. Who looks at them does so here, once. Where the header section is looked at
 * before it is stored, it is gathered first: Authentication-Results that pretend to be ours are left out (RFC 8601 §5), and no other byte is
 * touched. Mail from trusted networks that nobody looks at goes straight through.
 */
#include "base/mem.h"
#include "mailauth/auth_results.h"
#include "service/authenticate.h"
#include "service/smtp_in_private.h"

/* Every session may hold this much of a header section; more counts as body memory. */
#define HEADER_FREE_BYTES (16u * 1024)
#define BUDGET_STEP_BYTES (16u * 1024)

static void body_drained(void *owner)
{
	struct smtp_in *session = owner;
	stream_resume(session->stream);
}

void smtp_in_tap(struct smtp_in *session, struct intake_tap *tap)
{
	list_append(&session->taps, &tap->link);
}

/* A network that may relay is inside our walls: what its servers wrote stays. */
static bool may_forge(const struct smtp_in *session)
{
	return session->config->authentication.enabled && (!session->trusted || session->point->is_local);
}

void smtp_in_on_data(struct smtp_in *session, const struct smtp_event *event)
{
	(void)event;
	struct message *m = session->message;
	ASSERT(m != NULL && m->envelope.recipient_count > 0);
	m->envelope.id = server_next_message_id(session->server);
	struct intake_body_options options = {
		.server = session->server,
		.loop = session->receiver->loop,
		.message_id = m->envelope.id,
		.inline_bytes = (size_t)session->config->limits.inline_body_bytes,
		.drained = body_drained,
		.owner = session,
	};
	session->body = intake_body_new(&options);
	smtp_in_signing_begin(session);
	session->header.is_open = may_forge(session) || !list_is_empty(&session->taps);
	buf_init(&session->header.bytes, INTAKE_HEADER_MAX_BYTES);
	struct smtp_reply reply = smtp_reply_make(354, NULL, "Go ahead, end with a dot on a line of its own");
	smtp_in_answer(session, &reply);
}

static void take_body(struct smtp_in *session, struct view piece)
{
	if (piece.len == 0)
		return;
	for (struct list *l = session->taps.next; l != &session->taps; l = l->next) {
		struct intake_tap *tap = LIST_ENTRY(l, struct intake_tap, link);
		tap->body(tap, piece);
	}
	intake_body_append(session->body, piece);
}

static void append_kept(struct buf *kept, struct view part)
{
	enum err err = buf_append(kept, part);
	ASSERT(err == ERR_OK); /* a part of what was bounded before */
}

/* What is left of the header section; `kept` is used only if it is not all of it. */
static struct view without_forged(struct smtp_in *session, struct view header, struct buf *kept)
{
	const struct config *config = session->config;
	const struct view ids[] = { view_from_cstr(config->authentication.authserv_id),
		view_from_cstr(config->hostname) };
	struct header_field forged;
	struct view rest = header;
	const uint8_t *done = header.ptr;
	while (auth_results_next_forged(&rest, ids, sizeof ids / sizeof ids[0], &forged)) {
		append_kept(kept, view_of(done, (size_t)(forged.whole.ptr - done)));
		done = forged.whole.ptr + forged.whole.len;
		session->header.forged++;
	}
	if (session->header.forged == 0)
		return header;
	append_kept(kept, view_of(done, (size_t)(header.ptr + header.len - done)));
	return buf_view(kept);
}

/* Readers of mailboxes may take a bare CR, LF or NUL for the end of a line, and what stands behind it for a field. In a text they were refused before. */
static bool has_odd_bytes(const struct smtp_in *session)
{
	if (session->message->envelope.body_type != SMTP_BODY_BINARYMIME)
		return false;
	struct mail_scan scan = mail_scan(buf_view(&session->header.bytes));
	return scan.has_nul || scan.has_bare_cr || scan.has_bare_lf;
}

/* The section is stored. Its verifiers keep a part of it, in a long chain most of it, until the transaction ends. */
static void keep_budget(struct smtp_in *session)
{
	struct smtp_in_header *h = &session->header;
	size_t kept = session->authenticate != NULL ? authenticate_memory_bytes(session->authenticate) : 0;
	kept -= kept < HEADER_FREE_BYTES ? kept : HEADER_FREE_BYTES;
	if (kept >= h->budget_bytes)
		return;
	memory_budget_give(&session->server->body_memory, h->budget_bytes - kept);
	h->budget_bytes = kept;
}

static void close_header(struct smtp_in *session, bool is_whole)
{
	struct smtp_in_header *h = &session->header;
	struct buf kept = { 0 };
	buf_init(&kept, INTAKE_HEADER_MAX_BYTES);
	struct intake_header header = { .received = buf_view(&h->bytes), .is_whole = is_whole };
	h->is_open = false;
	h->is_too_long = !is_whole;
	h->is_odd = may_forge(session) && has_odd_bytes(session);
	header.kept = is_whole && may_forge(session) ? without_forged(session, header.received, &kept)
						     : header.received;
	enum err err = smtp_in_header_known(session, header.kept);
	h->has_no_room |= err != ERR_OK;
	header.added = buf_view(&session->added);
	for (struct list *l = session->taps.next; l != &session->taps; l = l->next) {
		struct intake_tap *tap = LIST_ENTRY(l, struct intake_tap, link);
		tap->header(tap, &header);
	}
	if (header.kept.len > 0)
		intake_body_append(session->body, header.kept);
	buf_clear(&kept);
	buf_clear(&h->bytes);
	keep_budget(session);
}

static bool has_room(struct smtp_in *session, size_t more)
{
	struct smtp_in_header *h = &session->header;
	size_t need = h->bytes.len + more;
	if (need <= HEADER_FREE_BYTES + h->budget_bytes)
		return true;
	size_t step = (need - HEADER_FREE_BYTES - h->budget_bytes + BUDGET_STEP_BYTES - 1) / BUDGET_STEP_BYTES *
		BUDGET_STEP_BYTES;
	if (!memory_budget_take(&session->server->body_memory, step))
		return false;
	h->budget_bytes += step;
	return true;
}

static void take_header(struct smtp_in *session, struct view piece)
{
	struct smtp_in_header *h = &session->header;
	uint64_t before = h->scan.header_bytes;
	mail_scan_feed(&h->scan, piece);
	size_t len = (size_t)(h->scan.header_bytes - before);
	bool fits = len <= INTAKE_HEADER_MAX_BYTES - h->bytes.len;
	if (!fits)
		len = INTAKE_HEADER_MAX_BYTES - h->bytes.len;
	if (!has_room(session, len) || buf_append(&h->bytes, view_sub(piece, 0, len)) != ERR_OK) {
		h->has_no_room = true;
		return;
	}
	if (!fits || h->scan.in_body) {
		close_header(session, fits);
		take_body(session, view_from(piece, len));
	}
}

void smtp_in_on_body(struct smtp_in *session, const struct smtp_event *event)
{
	/* Without room for the header section the rest is of no use; the end tells. */
	if (session->body == NULL || session->header.has_no_room)
		return;
	if (session->header.is_open)
		take_header(session, event->body);
	else
		take_body(session, event->body);
}

bool smtp_in_content_end(struct smtp_in *session, struct smtp_reply *ret_refusal)
{
	struct smtp_in_header *h = &session->header;
	if (h->is_open && !h->has_no_room)
		close_header(session, true);
	if (h->has_no_room) {
		*ret_refusal = smtp_reply_make(
			452, "4.3.1", "The mail system is short of memory, please try again later");
		return false;
	}
	/* Behind the part that can be looked at, anything may stand in our name. */
	if (h->is_too_long && may_forge(session)) {
		*ret_refusal = smtp_reply_make(
			552, "5.3.4", "The header section is larger than %u KiB", INTAKE_HEADER_MAX_BYTES / 1024);
		return false;
	}
	if (h->is_odd) {
		*ret_refusal = smtp_reply_make(554, "5.6.0", "Bare CR, bare LF or NUL in the header section");
		return false;
	}
	for (struct list *l = session->taps.next; l != &session->taps; l = l->next) {
		struct intake_tap *tap = LIST_ENTRY(l, struct intake_tap, link);
		tap->end(tap);
	}
	return true;
}

void smtp_in_content_clear(struct smtp_in *session)
{
	smtp_in_signing_clear(session);
	struct smtp_in_header *h = &session->header;
	buf_clear(&h->bytes);
	if (h->budget_bytes > 0)
		memory_budget_give(&session->server->body_memory, h->budget_bytes);
	*h = (struct smtp_in_header){ 0 };
	list_init(&session->taps);
	session->is_header_known = false;
	buf_clear(&session->added);
	buf_clear(&session->front);
}
