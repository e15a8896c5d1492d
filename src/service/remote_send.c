/* One transaction on an outgoing connection: what is sent, in which form, and what became of each recipient. */
#include "service/remote_private.h"

#include "base/clock.h"
#include "base/mem.h"
#include "mail/address.h"
#include "mail/header_utf8.h"
#include "service/return_path.h"
#include "store/spool.h"

#include <errno.h>
#include <idn2.h>
#include <string.h>
#include <unistd.h>

#define PIECE_BYTES (64u * 1024)
#define UNWRITTEN_MAX_BYTES (256u * 1024)

/* A piece of a spool file, read by a worker; outlives the connection if that goes away meanwhile. */
struct remote_read {
	struct worker_job work; /* first */
	struct remote *remote; /* NULL: gone */
	struct dispatcher *dispatcher;
	char name[64];
	int fd; /* -1: open first */
	uint64_t at;
	size_t len;
	enum err err;
	uint8_t bytes[PIECE_BYTES];
};

void remote_transaction_clear(struct remote *remote)
{
	content_cancel(remote->loading);
	remote->loading = NULL;
	remote_convert_cancel(remote);
	mem_free(remote->recipients);
	remote->recipients = NULL;
	buf_clear(&remote->addresses_text);
	buf_clear(&remote->return_path);
	buf_clear(&remote->converted);
	memory_budget_give(&remote->dispatcher->server->body_memory, remote->converted_budget_bytes);
	remote->converted_budget_bytes = 0;
	remote->is_converted = remote->converts_long_lines = false;
	remote->elsewhere = remote->next_host_wanted = remote->asks_hold = false;
	remote->content_at = 0;
	if (remote->read != NULL)
		remote->read->remote = NULL; /* read_done() closes the file */
	else if (remote->spool_fd >= 0)
		close(remote->spool_fd);
	remote->read = NULL;
	remote->spool_fd = -1;
}

/* "user@bücher.example" for a server that knows only ASCII: the domain as A-labels; the local part has no other form. */
static struct view ascii_address(struct remote *remote, struct view address)
{
	size_t at = view_find_last(address, '@');
	struct view domain = view_from(address, at + 1);
	if (view_is_ascii(domain))
		return address;
	char *utf8 = view_to_cstr(domain);
	char *a_labels = NULL;
	struct view result = address;
	size_t before = remote->addresses_text.len;
	if (idn2_to_ascii_8z(utf8, &a_labels, IDN2_NONTRANSITIONAL) == IDN2_OK &&
		buf_append(&remote->addresses_text, view_sub(address, 0, at + 1)) == ERR_OK &&
		buf_append_cstr(&remote->addresses_text, a_labels) == ERR_OK)
		result = view_from(buf_view(&remote->addresses_text), before);
	idn2_free(a_labels);
	mem_free(utf8);
	return result;
}

static bool has_utf8_local(struct view address)
{
	return !view_is_ascii(view_sub(address, 0, view_find_last(address, '@')));
}

/* A message needs SMTPUTF8 when an address or a header field can't be written without it (RFC 6531 §3.4). NULL: it does not; else the reply for
 * a server that has none. */
static const char *needs_smtputf8(const struct delivery *delivery)
{
	static const char address[] = "553 5.6.7 The next server does not take addresses that are not ASCII (SMTPUTF8)";
	static const char header[] = "553 5.6.9 The next server does not take headers that are not ASCII (SMTPUTF8)";
	const struct message *m = delivery->message;
	const struct queue_message *q = &m->envelope;
	if (!q->smtputf8)
		return NULL;
	if (has_utf8_local(q->reverse_path))
		return address;
	for (size_t i = 0; i < delivery->count; i++)
		if (has_utf8_local(delivery->recipients[i].address))
			return address;
	if (!view_is_ascii(buf_view(&m->head)))
		return header;
	if (m->spool[0] != '\0')
		return q->body_type != SMTP_BODY_7BIT ? header
						      : NULL; /* its header is in the file: not worth reading */
	return header_utf8_find(buf_view(&m->body)) ? header : NULL;
}

static bool must_convert(const struct remote *remote)
{
	unsigned extensions = smtp_sender_extensions(remote->engine);
	switch ((enum smtp_body_type)remote->delivery->message->envelope.body_type) {
	case SMTP_BODY_8BITMIME:
		return (extensions & SMTP_EXT_8BITMIME) == 0;
	case SMTP_BODY_BINARYMIME:
		return (extensions & SMTP_EXT_BINARYMIME) == 0 || (extensions & SMTP_EXT_CHUNKING) == 0;
	case SMTP_BODY_7BIT:
	default:
		return false;
	}
}

/* The addresses as the other server may have them; room is made first, since converted ones are views into one buffer. */
static enum err fill_recipients(struct remote *remote, bool smtputf8)
{
	struct delivery *delivery = remote->delivery;
	size_t room = 0;
	for (size_t i = 0; i < delivery->count; i++)
		room += delivery->recipients[i].address.len * 4 + 64;
	if (!smtputf8) {
		enum err err = buf_reserve(&remote->addresses_text, room + ADDRESS_PATH_MAX_BYTES * 4);
		if (err != ERR_OK)
			return err;
	}
	remote->recipients = mem_alloc_array(delivery->count, sizeof *remote->recipients);
	for (size_t i = 0; i < delivery->count; i++) {
		const struct delivery_recipient *r = &delivery->recipients[i];
		remote->recipients[i] = (struct smtp_sender_recipient){
			.address = smtputf8 ? r->address : ascii_address(remote, r->address),
			.notify = r->recipient->notify,
			.orcpt = r->recipient->orcpt,
		};
	}
	return ERR_OK;
}

static void refuse(struct remote *remote, enum outcome_kind outcome, const char *format, const char *detail)
{
	struct buf text = { 0 };
	if (buf_append_format(&text, "%s%s%s", format, detail[0] != '\0' ? ": " : "", detail) == ERR_OK)
		delivery_set_all(remote->delivery, outcome, buf_view(&text), VIEW_NONE);
	buf_clear(&text);
	remote_settle(remote);
	remote_ready(remote);
}

/* Recipients from `first` on get a transaction of their own, after this one. */
static void split_off(struct remote *remote, size_t first)
{
	struct delivery *delivery = remote->delivery;
	struct delivery *rest = delivery_new(remote->dispatcher, delivery->message, &delivery->way);
	rest->destination = delivery->destination;
	rest->route = delivery->route != NULL ? domain_route_ref(delivery->route) : NULL;
	for (size_t i = first; i < delivery->count; i++)
		delivery_add(rest, delivery->recipients[i].recipient, delivery->recipients[i].address, VIEW_NONE);
	delivery->count = first;
	destination_add_first(remote->dispatcher->destinations, remote->destination, &rest->link, rest->way.priority);
	dispatcher_pump_soon(remote->dispatcher);
}

/* The server takes fewer recipients at once (RFC 9422 RCPTMAX): the others follow in a transaction of their own. */
static void split_for_limit(struct remote *remote)
{
	size_t most = smtp_sender_limit_recipients(remote->engine);
	if (most > 0 && remote->delivery->count > most)
		split_off(remote, most);
}

static bool wants_no_report(const struct delivery_recipient *r)
{
	return r->recipient->notify == SMTP_NOTIFY_NEVER;
}

/* RFC 3461 §5.2.2: a server that knows nothing of NOTIFY=NEVER sends no report only if there is nobody to send it to. Those who want none go with the null
 * reverse-path then, and not together with others. Smart hosts let few send that way, so there the wish ends. True: all of this transaction want none. */
static bool split_for_reports(struct remote *remote)
{
	struct delivery *delivery = remote->delivery;
	bool is_known = (smtp_sender_extensions(remote->engine) & SMTP_EXT_DSN) != 0;
	if (is_known || remote->smarthost != NULL || delivery->message->envelope.reverse_path.len == 0)
		return false;
	size_t count = 0;
	for (size_t i = 0; i < delivery->count; i++)
		if (!wants_no_report(&delivery->recipients[i])) {
			struct delivery_recipient r = delivery->recipients[i];
			delivery->recipients[i] = delivery->recipients[count];
			delivery->recipients[count++] = r;
		}
	if (count == 0)
		return true;
	if (count < delivery->count)
		split_off(remote, count);
	return false;
}

/* What is left of the time that the sender gave (RFC 2852 §4). */
static void put_deliver_by(const struct delivery *delivery, struct smtp_sender_transaction *transaction)
{
	if (delivery->way.deliver_by_ms == 0)
		return;
	int64_t left_ms = delivery->way.deliver_by_ms - clock_wall_ms();
	transaction->has_by = true;
	transaction->by_return = (delivery->way.flags & QUEUE_BY_RETURN) != 0;
	transaction->by_trace = (delivery->way.flags & QUEUE_BY_TRACE) != 0;
	transaction->by_s = left_ms / 1000;
}

struct hold {
	int64_t for_s, until_ms; /* one of them; both 0: its time has come */
};

/* As it was asked for: an interval, of which a part is over, goes by the other server's clock and a date by the world's. Never a part of a second less. */
static struct hold hold_of(const struct delivery *delivery)
{
	const struct queue_recipient *r = delivery->recipients[0].recipient;
	int64_t left_ms = r->hold_until_ms - clock_wall_ms();
	if ((delivery->way.flags & QUEUE_FUTURE) == 0 || left_ms <= 0)
		return (struct hold){ 0 };
	if (r->hold_for_s > 0)
		return (struct hold){ .for_s = (left_ms + 999) / 1000 };
	return (struct hold){ .until_ms = (r->hold_until_ms + 999) / 1000 * 1000 };
}

/* It stays here until its release, as this server does not hold it. */
static void keep_back(struct remote *remote, const char *why)
{
	struct buf text = { 0 };
	struct view host = remote_host_text(remote);
	if (buf_append_format(&text, "450 4.3.3 It waits here for its release: %.*s %s", VIEW_ARG(host), why) != ERR_OK)
		buf_reset(&text);
	delivery_keep_back(remote->delivery, buf_view(&text));
	buf_clear(&text);
	remote_settle(remote);
	remote_ready(remote);
}

/* True if it waits, but not at this server. */
static bool waits_here(struct remote *remote)
{
	struct hold hold = hold_of(remote->delivery);
	if (hold.for_s == 0 && hold.until_ms == 0)
		return false;
	if (remote->smarthost == NULL || !remote->smarthost->hand_on_holds)
		keep_back(remote, "is not to hold it");
	else if ((smtp_sender_extensions(remote->engine) & SMTP_EXT_FUTURERELEASE) == 0)
		keep_back(remote, "does not offer to hold it");
	else if (!smtp_sender_can_hold(remote->engine, hold.for_s, hold.until_ms))
		keep_back(remote, "does not hold it that long");
	else
		return false;
	return true;
}

static void put_hold(struct remote *remote, struct smtp_sender_transaction *transaction)
{
	struct hold hold = hold_of(remote->delivery);
	remote->asks_hold = hold.for_s > 0 || hold.until_ms > 0;
	transaction->hold_for_s = hold.for_s;
	transaction->hold_until_ms = hold.until_ms;
	if (remote->asks_hold)
		TRACE(remote->dispatcher->server->store, LOG_LEVEL_INFO, remote->delivery->message->envelope.id,
			"hold-handed-on", LOG_TEXT("host", remote_host_text(remote)),
			LOG_NUM("release_in_s",
				(remote->delivery->recipients[0].recipient->hold_until_ms - clock_wall_ms()) / 1000));
}

/* RFC 8689 §5: a report is not to be lost because the way back can't be protected. */
static bool needs_requiretls(const struct remote *remote)
{
	bool is_offered = (smtp_sender_extensions(remote->engine) & SMTP_EXT_REQUIRETLS) != 0;
	bool is_report = remote->delivery->message->envelope.reverse_path.len == 0;
	return (remote->delivery->way.flags & QUEUE_REQUIRETLS) != 0 && (is_offered || !is_report);
}

static void begin_transaction(struct remote *remote)
{
	struct delivery *delivery = remote->delivery;
	const struct queue_message *q = &delivery->message->envelope;
	bool smtputf8 = needs_smtputf8(delivery) != NULL;
	bool reports_nowhere = split_for_reports(remote);
	if (fill_recipients(remote, smtputf8) != ERR_OK) {
		refuse(remote, OUTCOME_DEFERRED, "451 4.3.0 Too many addresses to convert", "");
		return;
	}
	struct view reverse_path = return_path_for(delivery, &remote->return_path);
	struct smtp_sender_transaction transaction = {
		.reverse_path = reports_nowhere ? VIEW_NONE
			: smtputf8              ? reverse_path
						: ascii_address(remote, reverse_path),
		.recipient_count = delivery->count,
		.recipients = remote->recipients,
		.size_bytes = remote->is_converted ? remote->converted.len : q->size_bytes,
		.body = remote->is_converted ? SMTP_BODY_7BIT : (enum smtp_body_type)q->body_type,
		.smtputf8 = smtputf8,
		.ret = (enum smtp_ret)q->ret,
		.envid = q->envid,
		.requiretls = needs_requiretls(remote),
		.priority = delivery->way.priority,
	};
	put_deliver_by(delivery, &transaction);
	put_hold(remote, &transaction);
	enum err err = smtp_sender_begin(remote->engine, &transaction);
	if (err == ERR_CLOSED)
		remote_lost_before_begin(remote, "the other server closed the connection");
	else
		ASSERT(err == ERR_OK);
}

/* Without the form that the server takes. */
static void not_converted(struct remote *remote, enum err err, const char *detail)
{
	if (remote->converts_long_lines)
		begin_transaction(remote);
	else if (err == ERR_BUSY)
		refuse(remote, OUTCOME_DEFERRED, "451 4.3.1 The message can't be turned into its 7-bit form", detail);
	else
		refuse(remote, OUTCOME_FAILED,
			"554 5.6.3 The message can't be turned into the 7-bit form that the next server takes", detail);
}

void remote_converted(struct remote *remote, enum err err, const char *detail)
{
	remote->busy = true; /* it may end in here, and is looked at below */
	remote->is_converted = err == ERR_OK;
	if (err == ERR_OK)
		begin_transaction(remote);
	else
		not_converted(remote, err, detail);
	remote->busy = false;
	remote_go_on(remote);
}

/* RFC 3030 §3: only with BINARYMIME a line may have any length. */
static bool has_lines_too_long(const struct remote *remote)
{
	unsigned extensions = smtp_sender_extensions(remote->engine);
	bool takes_any = (extensions & SMTP_EXT_BINARYMIME) != 0 && (extensions & SMTP_EXT_CHUNKING) != 0;
	return !takes_any && remote_convert_long_lines(remote->delivery->message);
}

static void begin(struct remote *remote)
{
	if (waits_here(remote))
		return;
	split_for_limit(remote);
	const char *why_smtputf8 = needs_smtputf8(remote->delivery);
	if (why_smtputf8 != NULL && (smtp_sender_extensions(remote->engine) & SMTP_EXT_SMTPUTF8) == 0) {
		refuse(remote, OUTCOME_FAILED, why_smtputf8, "");
		return;
	}
	bool must = must_convert(remote);
	remote->converts_long_lines = !must && has_lines_too_long(remote);
	if (!must && !remote->converts_long_lines) {
		begin_transaction(remote);
		return;
	}
	enum err err = remote_convert_start(remote);
	if (err != ERR_OK)
		not_converted(remote, err, err_detail());
}

static void content_ready(void *owner, enum err err, const char *detail)
{
	struct remote *remote = owner;
	bool was_loading = remote->loading != NULL;
	remote->loading = NULL;
	if (was_loading)
		remote->busy = true; /* it may end in here, and is looked at below */
	if (err == ERR_NOT_FOUND) {
		/* An operator removed it a moment ago. */
		struct delivery *delivery = remote->delivery;
		remote->delivery = NULL;
		delivery_drop(delivery);
		remote_ready(remote);
	} else if (err != ERR_OK) {
		refuse(remote, OUTCOME_DEFERRED, "451 4.3.0 The message can't be read from the queue", detail);
	} else {
		begin(remote);
	}
	if (was_loading) {
		remote->busy = false;
		remote_go_on(remote);
	}
}

/* Inside a handler: content that is at hand begins at once, and whatever comes of it is the caller's to go on with. */
void remote_begin(struct remote *remote)
{
	ASSERT(remote->busy);
	size_t spool_max = must_convert(remote) ? REMOTE_CONVERT_MAX_BYTES : 0;
	remote->loading = content_load(remote->dispatcher, remote->delivery->message, spool_max, content_ready, remote);
}

static void read_piece(struct worker_job *work)
{
	struct remote_read *r = (struct remote_read *)(void *)work;
	uint64_t size = 0;
	if (r->fd < 0)
		r->err = spool_open(store_folder(r->dispatcher->server->store), r->name, &r->fd, &size);
	while (r->err == ERR_OK && r->len < sizeof r->bytes) {
		ssize_t n = pread(r->fd, r->bytes + r->len, sizeof r->bytes - r->len, (off_t)(r->at + r->len));
		if (n == 0)
			break;
		if (n > 0)
			r->len += (size_t)n;
		else if (errno != EINTR)
			r->err = ERR_IO;
	}
}

static void read_done(struct worker_job *work)
{
	struct remote_read *r = (struct remote_read *)(void *)work;
	struct dispatcher *d = r->dispatcher;
	struct remote *remote = r->remote;
	if (remote == NULL) {
		if (r->fd >= 0)
			close(r->fd);
	} else {
		remote->read = NULL;
		remote->spool_fd = r->fd;
		remote->content_at += r->len;
		bool last = remote->content_at >= remote->delivery->message->envelope.size_bytes;
		/* A short or unreadable file must never pass for the whole message. */
		if (r->err != ERR_OK || (r->len == 0 && !last) ||
			smtp_sender_body(remote->engine, view_of(r->bytes, r->len), last) != ERR_OK)
			smtp_sender_abort(remote->engine);
		else
			remote_feed_body(remote);
		remote_go_on(remote);
	}
	mem_free(r);
	dispatcher_job_ended(d);
}

static void ask_for_piece(struct remote *remote)
{
	const struct message *m = remote->delivery->message;
	struct remote_read *r = mem_alloc(sizeof *r);
	r->remote = remote;
	r->dispatcher = remote->dispatcher;
	memcpy(r->name, m->spool, sizeof r->name);
	r->fd = remote->spool_fd;
	r->at = remote->content_at - m->head.len;
	r->work.work = read_piece;
	r->work.done = read_done;
	if (worker_pool_run(remote->dispatcher->server->workers, remote->dispatcher->loop, &r->work) != ERR_OK) {
		mem_free(r);
		smtp_sender_abort(remote->engine);
		return;
	}
	remote->read = r;
	dispatcher_job_started(remote->dispatcher);
}

/* What comes next from memory: of the converted content, or of head and body. Empty at its end. */
static struct view next_piece(const struct remote *remote)
{
	const struct message *m = remote->delivery->message;
	size_t at = (size_t)remote->content_at;
	if (remote->is_converted)
		return view_sub(buf_view(&remote->converted), at, PIECE_BYTES);
	if (at < m->head.len)
		return view_from(buf_view(&m->head), at);
	return m->spool[0] != '\0' ? VIEW_NONE : view_sub(buf_view(&m->body), at - m->head.len, PIECE_BYTES);
}

bool remote_can_feed_body(const struct remote *remote)
{
	return remote->delivery != NULL && remote->read == NULL && remote->engine != NULL && remote->stream != NULL &&
		smtp_sender_wants_body(remote->engine) && stream_unwritten(remote->stream) < UNWRITTEN_MAX_BYTES;
}

void remote_feed_body(struct remote *remote)
{
	while (remote_can_feed_body(remote)) {
		const struct message *m = remote->delivery->message;
		uint64_t total = remote->is_converted ? remote->converted.len : m->envelope.size_bytes;
		struct view piece = next_piece(remote);
		if (piece.len == 0 && remote->content_at < total) {
			ask_for_piece(remote);
			return;
		}
		remote->content_at += piece.len;
		if (smtp_sender_body(remote->engine, piece, remote->content_at >= total) != ERR_OK) {
			smtp_sender_abort(remote->engine);
			return;
		}
		remote_write_output(remote);
	}
}

void remote_recipient_done(struct remote *remote, const struct smtp_sender_event *event)
{
	if (remote_wants_next_host(remote, event)) {
		remote->next_host_wanted = true;
		return;
	}
	bool is_421 = event->reply.code == 421 && event->stage == SMTP_STAGE_MAIL;
	if (is_421 && remote->delivered > 0 && !remote->delivery->connection_lost) {
		remote->elsewhere = true; /* "enough on this connection" */
		return;
	}
	/* The whole transaction was deferred before any recipient was asked for: the next host may do better (RFC 5321 §5.1). */
	bool more = remote->next_address < remote->address_count || remote->next_host < remote->host_count;
	if (event->stage == SMTP_STAGE_MAIL && smtp_reply_is_transient(&event->reply) && !event->made_here && more) {
		remote->next_host_wanted = true;
		return;
	}
	enum outcome_kind outcome = smtp_reply_is_positive(&event->reply) ? OUTCOME_DELIVERED
		: smtp_reply_is_permanent(&event->reply)                  ? OUTCOME_FAILED
									  : OUTCOME_DEFERRED;
	/* It may be the hold that is refused, for its length or for want of room (RFC 4865 §6): what comes of it without shows at its release. */
	bool is_hold_refused = remote->asks_hold && outcome == OUTCOME_FAILED && event->stage == SMTP_STAGE_MAIL &&
		!event->made_here;
	if (is_hold_refused)
		outcome = OUTCOME_DEFERRED;
	remote->delivery->recipients[event->index].kept = is_hold_refused;
	struct buf text = { 0 };
	if (smtp_reply_describe(&event->reply, &text) != ERR_OK)
		buf_reset(&text);
	delivery_set_outcome(remote->delivery, event->index, outcome, buf_view(&text),
		event->made_here ? VIEW_NONE : remote_host_text(remote));
	unsigned extensions = smtp_sender_extensions(remote->engine);
	remote->delivery->recipients[event->index].dsn_passed_on = (extensions & SMTP_EXT_DSN) != 0;
	remote->delivery->recipients[event->index].by_passed_on = (extensions & SMTP_EXT_DELIVERBY) != 0;
	buf_clear(&text);
}
