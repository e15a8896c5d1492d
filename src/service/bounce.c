/* Which outcomes are reported to the sender, and the message that does it (RFC 3461 §6, RFC 3464). */
#include "service/dispatcher_private.h"
#include "service/signing.h"
#include "service/streams.h"

#include "base/clock.h"
#include "base/mem.h"
#include "crypto/random.h"
#include "mail/dsn.h"
#include "mail/received.h"
#include "queue/id.h"

#include <stdio.h>

/* A message is returned whole up to this size when the sender did not say what it wants; RET=FULL may have more. */
#define RETURN_UNASKED_BYTES 50000u
#define RETURN_ASKED_BYTES (1024u * 1024)
#define BOUNCE_MAX_BYTES (4u * 1024 * 1024)
#define BOUNCE_RECIPIENT_BYTES 8192u /* of text about each recipient, beyond that */
#define REPORTS_AT_WORKERS 32u /* at once; the others wait */

static bool wants(const struct delivery_recipient *r, unsigned notify, bool by_default)
{
	return r->recipient->notify == 0 ? by_default : (r->recipient->notify & notify) != 0;
}

/* With trace each server on the way reports that it relayed the message (RFC 2852 §4.1.4); with a time that a server which is not told it will not watch,
 * the one before it does (§4.1.4.2). */
static bool tells_relaying(const struct delivery_recipient *r)
{
	const struct queue_recipient *q = r->recipient;
	bool by_notify = q->deliver_by_ms > clock_wall_ms() && (q->flags & QUEUE_BY_RETURN) == 0;
	return (q->flags & QUEUE_BY_TRACE) != 0 || (by_notify && !r->by_passed_on);
}

/* RFC 2852 §4.1.3: told because the time given with DELIVERBY is over. */
static bool is_late(const struct queue_recipient *recipient)
{
	return recipient->deliver_by_ms != 0 && clock_wall_ms() >= recipient->deliver_by_ms &&
		(recipient->flags & QUEUE_BY_RETURN) == 0;
}

/* True if this recipient's outcome is to be reported; then with what action. */
static bool is_reported(
	const struct delivery *delivery, const struct delivery_recipient *r, enum dsn_action *ret_action)
{
	switch (r->outcome) {
	case OUTCOME_FAILED:
		*ret_action = DSN_FAILED;
		return wants(r, SMTP_NOTIFY_FAILURE, true);
	case OUTCOME_DEFERRED:
		*ret_action = DSN_DELAYED;
		return r->warn && wants(r, SMTP_NOTIFY_DELAY, true);
	case OUTCOME_DELIVERED:
		*ret_action = delivery->way.kind == DELIVERY_MAILBOX ? DSN_DELIVERED : DSN_RELAYED;
		if (*ret_action == DSN_RELAYED && tells_relaying(r))
			return r->recipient->notify != SMTP_NOTIFY_NEVER;
		return wants(r, SMTP_NOTIFY_SUCCESS, false) && !r->dsn_passed_on;
	case OUTCOME_NONE:
	default:
		return false;
	}
}

static bool needs_requiretls(const struct delivery *delivery)
{
	return delivery->count > 0 && (delivery->recipients[0].recipient->flags & QUEUE_REQUIRETLS) != 0;
}

bool bounce_is_due(const struct delivery *delivery)
{
	/* Never a bounce for a bounce (RFC 5321 §6.1). */
	if (delivery->message->envelope.reverse_path.len == 0)
		return false;
	enum dsn_action action;
	for (size_t i = 0; i < delivery->count; i++)
		if (is_reported(delivery, &delivery->recipients[i], &action))
			return true;
	return false;
}

/* "5.1.1" out of "550 5.1.1 No such user"; empty if there is none. */
static struct view status_in(struct view reply)
{
	struct view rest = view_from(reply, 4), word = VIEW_NONE;
	if (reply.len < 9 || !view_split(&rest, ' ', &word) || word.len < 5 || word.ptr[1] != '.' ||
		!ascii_is_digit(word.ptr[0]))
		return VIEW_NONE;
	return word;
}

static bool has_code(struct view reply)
{
	return reply.len >= 3 && ascii_is_digit(reply.ptr[0]) && ascii_is_digit(reply.ptr[1]) &&
		ascii_is_digit(reply.ptr[2]);
}

static struct dsn_recipient describe(
	const struct delivery *delivery, const struct delivery_recipient *r, enum dsn_action action)
{
	const struct dispatcher *d = delivery->dispatcher;
	const struct queue_message *q = &delivery->message->envelope;
	struct dsn_recipient out = {
		.address = r->recipient->address,
		.original = r->recipient->orcpt,
		.action = action,
		.status = status_in(r->reply),
		.last_attempt_ms = clock_wall_ms(),
	};
	size_t bracket = view_find(r->host, '[');
	out.remote_mta = view_sub(r->host, 0, bracket);
	out.remote_address = view_sub(r->host, bracket + 1, r->host.len > bracket + 2 ? r->host.len - bracket - 2 : 0);
	/* Only what another server said is a Diagnostic-Code; the rest is our own sentence. */
	if (r->host.len > 0 && has_code(r->reply))
		out.reply = r->reply;
	else
		out.reason = r->reply;
	if (action == DSN_FAILED && out.status.len > 0 && out.status.ptr[0] == '4')
		out.status = VIEW("5.4.7"); /* given up: delivery time expired */
	if (action == DSN_DELAYED && out.status.len > 0 && out.status.ptr[0] != '4')
		out.status = VIEW("4.0.0"); /* a session was refused for good, but we try again */
	if (action == DSN_DELAYED && is_late(r->recipient))
		out.status = VIEW("4.4.7");
	if (action == DSN_DELAYED)
		out.retry_until_ms = queue_recipient_since_ms(q->received_at_ms, r->recipient) +
			streams_schedule(d->config, r->recipient->stream, false).expire_ms;
	if ((action == DSN_DELIVERED || action == DSN_RELAYED) && (out.status.len == 0 || out.status.ptr[0] != '2'))
		out.status = VIEW("2.0.0");
	return out;
}

static enum err put_in_front(const struct dispatcher *d, const struct queue_message *q, struct buf *head)
{
	struct queue_id_text id = queue_id_format(q->id);
	struct received_trace trace = {
		.by = view_from_cstr(d->config->hostname),
		.is_esmtp = true,
		.id = view_from_cstr(id.text),
		.recipient = q->recipients[0].address,
		.wall_ms = q->received_at_ms,
	};
	return received_format(&trace, head);
}

static struct message *make_message(const struct delivery *delivery, struct buf *body, const struct dsn_built *built)
{
	struct dispatcher *d = delivery->dispatcher;
	struct message *m = message_new(&d->server->body_memory);
	struct queue_message *q = &m->envelope;
	m->body = *body;
	q->id = server_next_message_id(d->server);
	q->body_type = built->is_8bit ? SMTP_BODY_8BITMIME : SMTP_BODY_7BIT;
	q->smtputf8 = built->is_smtputf8;
	q->source = VIEW("dsn");
	/* RFC 8689 §5: what tells of a message is protected as that was. */
	struct queue_recipient to = {
		.address = delivery->message->envelope.reverse_path,
		.flags = needs_requiretls(delivery) ? QUEUE_REQUIRETLS : 0,
		.priority = delivery->recipients[0].recipient->priority, /* RFC 6710 §4.6 */
		.notify = SMTP_NOTIFY_NEVER,
	};
	enum err err = message_add_recipient(m, &to);
	ASSERT(err == ERR_OK);
	return m;
}

/* With its signature fields: ready for the queue. The times are of now, since it may have waited for them. */
static void complete(struct dispatcher *d, struct message *m, struct view signatures)
{
	struct queue_message *q = &m->envelope;
	q->received_at_ms = clock_wall_ms();
	q->recipients[0].due_at_ms = q->received_at_ms + DISPATCHER_HANDOVER_MS;
	enum err err = buf_append(&m->head, signatures);
	if (err == ERR_OK)
		err = put_in_front(d, q, &m->head);
	ASSERT(err == ERR_OK);
	q->head = buf_view(&m->head);
	q->body = buf_view(&m->body);
	q->size_bytes = m->head.len + m->body.len;
	m->content_loaded = true;
	message_count_content(m);
}

/* One that is to be signed. */
struct unsigned_report {
	struct worker_job work; /* first */
	struct list link;
	struct dispatcher *dispatcher;
	struct config *config; /* held */
	struct message *message;
	struct buf fields;
	enum err err;
	char detail[200];
	void (*made)(void *owner, struct message *report);
	void *owner;
};

static void sign(struct worker_job *work)
{
	struct unsigned_report *u = (struct unsigned_report *)(void *)work;
	u->err = signing_sign_message(u->dispatcher->server, u->config, buf_view(&u->message->body), &u->fields);
	if (u->err != ERR_OK)
		snprintf(u->detail, sizeof u->detail, "%s", err_detail());
}

static void hand_over(struct unsigned_report *u)
{
	struct dispatcher *d = u->dispatcher;
	/* An unsigned one is better than none. */
	if (u->err != ERR_OK) {
		LOG(LOG_LEVEL_ERROR, "signing-failed", LOG_TEXT("to", u->message->envelope.recipients[0].address),
			LOG_CSTR("reason", u->detail));
		buf_reset(&u->fields);
	}
	complete(d, u->message, buf_view(&u->fields));
	u->made(u->owner, u->message);
	buf_clear(&u->fields);
	config_unref(u->config);
	mem_free(u);
}

static void was_signed(struct worker_job *work);

/* Signing takes a millisecond, and a list's mail may fail in thousands at once: the loop that starts deliveries leaves it to the workers, and others have
 * their turn at those. */
static void start_signing(struct dispatcher *d)
{
	while (d->reports_in_work < REPORTS_AT_WORKERS && !list_is_empty(&d->unsigned_reports)) {
		struct unsigned_report *u = LIST_ENTRY(d->unsigned_reports.next, struct unsigned_report, link);
		u->work.work = sign;
		u->work.done = was_signed;
		if (worker_pool_run(d->server->workers, d->loop, &u->work) != ERR_OK) {
			/* They have too much to do already. The next one tries again when one in work is back, or
			 * after one that is signed here: with other events of the loop between them. */
			if (d->reports_in_work == 0)
				loop_timer_set(&d->sign_timer, loop_now_ms(d->loop));
			return;
		}
		list_remove(&u->link);
		d->reports_in_work++;
	}
}

static void was_signed(struct worker_job *work)
{
	struct unsigned_report *u = (struct unsigned_report *)(void *)work;
	struct dispatcher *d = u->dispatcher;
	d->reports_in_work--;
	hand_over(u);
	start_signing(d);
}

void bounce_sign_one(void *owner)
{
	struct dispatcher *d = owner;
	struct list *link = list_take_first(&d->unsigned_reports);
	if (link == NULL)
		return;
	struct unsigned_report *u = LIST_ENTRY(link, struct unsigned_report, link);
	sign(&u->work);
	hand_over(u);
	start_signing(d);
}

static void sign_then_tell(
	struct dispatcher *d, struct message *m, void (*made)(void *owner, struct message *report), void *owner)
{
	if (!d->config->dkim.sign || !signing_has_keys(d->server->signing)) {
		complete(d, m, VIEW_NONE);
		made(owner, m);
		return;
	}
	struct unsigned_report *u = mem_alloc(sizeof *u);
	list_init(&u->link);
	u->dispatcher = d;
	u->config = config_ref(d->config);
	u->message = m;
	u->made = made;
	u->owner = owner;
	list_append(&d->unsigned_reports, &u->link);
	start_signing(d);
}

static struct message *make(struct delivery *delivery)
{
	struct dispatcher *d = delivery->dispatcher;
	const struct message *original = delivery->message;
	const struct queue_message *q = &original->envelope;
	struct dsn_recipient *reported = mem_alloc_array(delivery->count, sizeof *reported);
	size_t count = 0;
	bool any_failed = false;
	for (size_t i = 0; i < delivery->count; i++) {
		enum dsn_action action;
		if (!is_reported(delivery, &delivery->recipients[i], &action))
			continue;
		reported[count++] = describe(delivery, &delivery->recipients[i], action);
		any_failed |= action == DSN_FAILED;
	}
	struct buf content = { 0 }, body;
	buf_init(&body, BOUNCE_MAX_BYTES + count * BOUNCE_RECIPIENT_BYTES);
	enum err err = buf_append(&content, buf_view(&original->head));
	if (err == ERR_OK)
		err = buf_append(&content, buf_view(&original->body));
	struct dsn dsn = {
		.to = q->reverse_path,
		.reporting_mta = view_from_cstr(d->config->hostname),
		.envelope_id = q->envid,
		.arrival_ms = q->received_at_ms,
		.deliver_by_ms = delivery->recipients[0].recipient->deliver_by_ms,
		.hold_until_ms = delivery->recipients[0].recipient->hold_until_ms,
		.hold_for_s = delivery->recipients[0].recipient->hold_for_s,
		.now_ms = clock_wall_ms(),
		.recipient_count = count,
		.recipients = reported,
		.message = buf_view(&content),
		/* Without a failure only the header goes back, whatever RET says (RFC 3461 §4.3). */
		.return_full = any_failed && q->ret != SMTP_RET_HDRS && q->spool.len == 0 &&
			!needs_requiretls(delivery),
		.return_max_bytes = q->ret == SMTP_RET_FULL ? RETURN_ASKED_BYTES : RETURN_UNASKED_BYTES,
	};
	random_bytes(dsn.random, sizeof dsn.random);
	struct dsn_built built = { 0 };
	if (err == ERR_OK)
		err = dsn_build(&dsn, &body, &built);
	struct message *m = NULL;
	if (err == ERR_OK)
		m = make_message(delivery, &body, &built);
	else
		LOG(LOG_LEVEL_ERROR, "bounce-failed", LOG_TEXT("to", q->reverse_path),
			LOG_CSTR("reason", err_name(err)));
	if (m == NULL)
		buf_clear(&body);
	buf_clear(&content);
	mem_free(reported);
	return m;
}

void bounce_make(struct delivery *delivery, void (*made)(void *owner, struct message *report), void *owner)
{
	struct message *m = make(delivery);
	if (m != NULL)
		sign_then_tell(delivery->dispatcher, m, made, owner);
	else
		made(owner, NULL);
}
