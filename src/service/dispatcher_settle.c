/* LIFE 10/10: the outcome of each recipient, and the DSNs they call for, in one transaction. */
#include "service/dispatcher_private.h"

#include "base/clock.h"
#include "base/mem.h"
#include "crypto/random.h"
#include "queue/id.h"
#include "queue/retry.h"
#include "service/bounce_note.h"
#include "service/streams.h"

#define RETRY_MS 1000
#define DSN_SAMPLE_BYTES (64u * 1024)

struct settle {
	struct store_job job; /* first */
	struct list link; /* in dispatcher->unsettled after a failure */
	struct delivery *delivery;
	struct message *dsn;
	size_t count;
	struct queue_outcome *outcomes;
	char spool[64];
};

static struct retry_schedule schedule_for(const struct delivery *delivery, const struct queue_recipient *recipient)
{
	const struct queue_message *q = &delivery->message->envelope;
	struct retry_schedule schedule = streams_schedule(
		delivery->dispatcher->config, recipient->stream, q->reverse_path.len == 0);
	schedule.deliver_by_ms = recipient->deliver_by_ms;
	schedule.by_time_returns = (recipient->flags & QUEUE_BY_RETURN) != 0;
	/* Its time was over when it came: whoever had it before told its sender. */
	if (!schedule.by_time_returns && schedule.deliver_by_ms <= q->received_at_ms)
		schedule.deliver_by_ms = 0;
	return schedule;
}

static uint32_t attempts_made(const struct delivery *delivery, const struct delivery_recipient *r)
{
	uint32_t more = r->kept || (delivery->untried && r->recipient->attempts > 0) ? 0 : 1;
	return r->recipient->attempts + more;
}

bool delivery_time_is_up(const struct queue_recipient *recipient, int64_t now_ms)
{
	return recipient->deliver_by_ms > 0 && (recipient->flags & QUEUE_BY_RETURN) != 0 &&
		now_ms >= recipient->deliver_by_ms;
}

/* What was the matter until then stays with it. */
static void fail_for_time(struct delivery *delivery, struct delivery_recipient *r, struct view why)
{
	struct buf reply = { 0 };
	enum err err = buf_append_format(&reply, "554 5.4.7 Delivery time expired%s%.*s", why.len > 0 ? ": " : "",
		VIEW_ARG(view_sub(why, 0, 700)));
	ASSERT(err == ERR_OK);
	r->outcome = OUTCOME_FAILED;
	r->reply = delivery_keep(delivery, buf_view(&reply));
	r->host = VIEW_NONE; /* not what the host said */
	buf_clear(&reply);
}

void delivery_fail_for_time(struct delivery *delivery)
{
	for (size_t i = 0; i < delivery->count; i++)
		fail_for_time(delivery, &delivery->recipients[i], delivery->recipients[i].recipient->last_reply);
}

void delivery_keep_back(struct delivery *delivery, struct view reason)
{
	for (size_t i = 0; i < delivery->count; i++)
		delivery->recipients[i].kept = delivery->recipients[i].outcome == OUTCOME_NONE;
	delivery_set_all(delivery, OUTCOME_DEFERRED, reason, VIEW_NONE);
}

/* A deferral becomes a failure when its time is up; else it gets its next due time. */
static void decide(struct delivery *delivery, struct delivery_recipient *r, int64_t now_ms)
{
	const struct queue_message *q = &delivery->message->envelope;
	if (r->outcome != OUTCOME_DEFERRED)
		return;
	if (r->kept) {
		r->due_at_ms = r->recipient->hold_until_ms;
		return;
	}
	struct retry_schedule schedule = schedule_for(delivery, r->recipient);
	int64_t since_ms = queue_recipient_since_ms(q->received_at_ms, r->recipient);
	struct retry_decision decision = retry_next(&schedule, since_ms, now_ms, attempts_made(delivery, r),
		r->recipient->warned, random_below(UINT32_MAX));
	if (decision.expired) {
		r->outcome = OUTCOME_FAILED;
		if (decision.time_is_up)
			fail_for_time(delivery, r, r->reply);
		return;
	}
	/* When a suspension ends, what waited for it is tried, however long it would have waited by itself. */
	if (!delivery->suspended && r->due_at_ms < decision.due_at_ms)
		r->due_at_ms = decision.due_at_ms;
	/* No suspension outlasts the time at which its sender is told. */
	if (r->due_at_ms > decision.latest_ms)
		r->due_at_ms = decision.latest_ms;
	/* Who could not hold it until then is not waited for any longer. */
	if (queue_recipient_waits(r->recipient, now_ms) && r->due_at_ms > r->recipient->hold_until_ms)
		r->due_at_ms = r->recipient->hold_until_ms;
	r->warn = decision.warn;
}

static void trace_outcome(const struct delivery *delivery, const struct delivery_recipient *r, int64_t now_ms)
{
	static const char *const events[] = {
		[OUTCOME_DELIVERED] = "delivered",
		[OUTCOME_FAILED] = "failed",
		[OUTCOME_DEFERRED] = "deferred",
		[OUTCOME_REPLACED] = "replaced",
	};
	const struct queue_message *q = &delivery->message->envelope;
	bool deferred = r->outcome == OUTCOME_DEFERRED;
	struct log_field fields[] = {
		LOG_TEXT("to", r->recipient->address),
		LOG_TEXT("original", r->recipient->original),
		LOG_TEXT("mailbox", delivery->way.kind == DELIVERY_MAILBOX ? r->mailbox : VIEW_NONE),
		LOG_TEXT("host", r->host),
		LOG_TEXT("reply", r->reply),
		LOG_TEXT("class", bounce_note_class(r)),
		LOG_NUM("recipient", r->recipient->index),
		LOG_NUM("attempt", attempts_made(delivery, r)),
		LOG_NUM("delay_ms", now_ms - queue_recipient_since_ms(q->received_at_ms, r->recipient)),
		LOG_NUM("next_in_s", deferred ? (r->due_at_ms - now_ms) / 1000 : 0),
	};
	size_t count = sizeof fields / sizeof fields[0] - (deferred ? 0 : 1);
	trace_fields(delivery->dispatcher->server->store, LOG_LEVEL_INFO, q->id, r->kept ? "kept" : events[r->outcome],
		count, fields);
}

static void count_outcome(struct server *server, enum outcome_kind outcome)
{
	struct server_totals *totals = &server->totals;
	_Atomic uint64_t *total = outcome == OUTCOME_DELIVERED ? &totals->delivered
		: outcome == OUTCOME_FAILED                    ? &totals->failed
		: outcome == OUTCOME_DEFERRED                  ? &totals->deferred
							       : NULL;
	if (total != NULL)
		atomic_fetch_add_explicit(total, 1, memory_order_relaxed);
}

/* Above all that this message's recipients had here, on disk still or settled. */
static uint32_t next_index(const struct queue_message *q)
{
	uint32_t next = 0;
	for (size_t i = 0; i < q->recipient_count; i++)
		if (q->recipients[i].index >= next)
			next = q->recipients[i].index + 1;
	return next;
}

static enum err write_outcomes(struct store_job *job, struct db *db)
{
	struct settle *s = (struct settle *)(void *)job;
	enum err err = ERR_OK;
	if (s->dsn != NULL)
		err = queue_store_put(db, &s->dsn->envelope);
	const struct queue_message *q = &s->delivery->message->envelope;
	for (size_t i = 0; i < s->delivery->count && err == ERR_OK; i++) {
		const struct delivery_recipient *r = &s->delivery->recipients[i];
		/* No target: all of them get the message already, and only the row goes. */
		if (r->target_count > 0)
			err = queue_store_replace(
				db, q, r->recipient->index, next_index(q), r->target_count, r->targets);
	}
	if (err == ERR_OK)
		err = queue_store_settle(db, q->id, s->count, s->outcomes, s->spool);
	if (err == ERR_OK)
		err = bounce_note(db, s->delivery, s->outcomes[0].last_attempt_ms);
	/* What waits on disk is known to operators by its site, too. */
	const struct domain_route *route = s->delivery->route;
	bool waits = false;
	for (size_t i = 0; i < s->count; i++)
		waits = waits || s->outcomes[i].kind == QUEUE_DEFERRED;
	if (err == ERR_OK && waits && route != NULL && route->site.len > 0)
		err = queue_store_note_site(db, route->domain, route->site, s->outcomes[0].last_attempt_ms);
	return err;
}

static void settle_free(struct settle *s)
{
	delivery_free(s->delivery);
	mem_free(s->outcomes);
	mem_free(s);
}

/* What happened is not written down: after a restart it happens again. */
static void give_up(struct settle *s)
{
	struct dispatcher *d = s->delivery->dispatcher;
	message_free(s->dsn);
	settle_free(s);
	dispatcher_job_ended(d);
}

static void outcomes_written(struct store_job *job);

static void submit(struct settle *s)
{
	s->job.run = write_outcomes;
	s->job.done = outcomes_written;
	store_write(s->delivery->dispatcher->server->store, s->delivery->dispatcher->loop, &s->job);
}

static void after_commit(struct settle *s)
{
	struct dispatcher *d = s->delivery->dispatcher;
	uint64_t id = s->delivery->message->envelope.id;
	/* docs/queue-states.md S5: only now is the file garbage. */
	if (s->spool[0] != '\0')
		content_remove_spool(d, s->spool);
	for (size_t i = 0; i < s->count; i++)
		if (s->outcomes[i].kind == QUEUE_DEFERRED)
			dispatcher_note_due(d, s->outcomes[i].due_at_ms);
	for (size_t i = 0; i < s->delivery->count; i++)
		if (s->delivery->recipients[i].target_count > 0)
			dispatcher_note_due(d, s->delivery->recipients[i].targets[0].due_at_ms);
	if (s->dsn != NULL) {
		struct queue_id_text dsn_id = queue_id_format(s->dsn->envelope.id), of = queue_id_format(id);
		TRACE(d->server->store, LOG_LEVEL_INFO, id, "reported",
			LOG_TEXT("to", s->delivery->message->envelope.reverse_path), LOG_CSTR("dsn", dsn_id.text));
		TRACE(d->server->store, LOG_LEVEL_INFO, s->dsn->envelope.id, "accepted", LOG_CSTR("listener", "dsn"),
			LOG_CSTR("about", of.text), LOG_NUM("size", s->dsn->envelope.size_bytes));
		dispatcher_take(d, s->dsn);
		s->dsn = NULL;
	}
}

static void outcomes_written(struct store_job *job)
{
	struct settle *s = (struct settle *)(void *)job;
	struct dispatcher *d = s->delivery->dispatcher;
	if (job->err != ERR_OK) {
		/* docs/queue-states.md rule 6: the delivery happened, so the outcome is kept and written when that is possible. */
		LOG(LOG_LEVEL_ERROR, "settle-failed", LOG_CSTR("reason", job->detail));
		if (d->forced) {
			give_up(s);
			return;
		}
		list_append(&d->unsettled, &s->link);
		loop_timer_set(&d->retry_timer, loop_now_ms(d->loop) + RETRY_MS);
		return;
	}
	after_commit(s);
	settle_free(s);
	dispatcher_job_ended(d);
}

void dispatcher_settle_retry(void *dispatcher)
{
	struct dispatcher *d = dispatcher;
	struct list *link;
	struct list again;
	list_init(&again);
	while ((link = list_take_first(&d->unsettled)) != NULL)
		list_append(&again, link);
	while ((link = list_take_first(&again)) != NULL)
		submit(LIST_ENTRY(link, struct settle, link));
}

void dispatcher_settle_drop(struct dispatcher *dispatcher)
{
	struct list *link;
	while ((link = list_take_first(&dispatcher->unsettled)) != NULL)
		give_up(LIST_ENTRY(link, struct settle, link));
}

static void fill_outcomes(struct settle *s, int64_t now_ms)
{
	struct delivery *delivery = s->delivery;
	s->count = delivery->count;
	s->outcomes = mem_alloc_array(s->count, sizeof *s->outcomes);
	for (size_t i = 0; i < s->count; i++) {
		struct delivery_recipient *r = &delivery->recipients[i];
		bool deferred = r->outcome == OUTCOME_DEFERRED;
		s->outcomes[i] = (struct queue_outcome){
			.index = r->recipient->index,
			.kind = deferred ? QUEUE_DEFERRED : QUEUE_SETTLED,
			.attempts = attempts_made(delivery, r),
			.due_at_ms = r->due_at_ms,
			.warned = r->recipient->warned || r->warn,
			.last_reply = r->kept && r->reply.len == 0 ? r->recipient->last_reply : r->reply,
			.last_host = r->kept ? r->recipient->last_host : r->host,
			.last_attempt_ms = r->kept ? r->recipient->last_attempt_ms : now_ms,
		};
	}
}

static void report_made(void *owner, struct message *report)
{
	struct settle *s = owner;
	s->dsn = report;
	submit(s);
}

static void write_with_dsn(void *owner, enum err err, const char *detail)
{
	struct settle *s = owner;
	if (err != ERR_OK && err != ERR_NOT_FOUND)
		LOG(LOG_LEVEL_ERROR, "content-unreadable", LOG_CSTR("reason", detail));
	/* Without the message itself the sender is told all the same: a delivery that happened must not be repeated for want of it. But one
	 * that is gone from the queue was removed by an operator, who wants no reports. */
	if (err != ERR_NOT_FOUND)
		bounce_make(s->delivery, report_made, s);
	else
		submit(s);
}

void dispatcher_settle(struct delivery *delivery)
{
	struct dispatcher *d = delivery->dispatcher;
	int64_t now_ms = clock_wall_ms();
	for (size_t i = 0; i < delivery->count; i++) {
		ASSERT(delivery->recipients[i].outcome != OUTCOME_NONE);
		decide(delivery, &delivery->recipients[i], now_ms);
		trace_outcome(delivery, &delivery->recipients[i], now_ms);
		if (!delivery->recipients[i].kept)
			count_outcome(d->server, delivery->recipients[i].outcome);
	}
	struct settle *s = mem_alloc(sizeof *s);
	list_init(&s->link);
	s->delivery = delivery;
	fill_outcomes(s, now_ms);
	dispatcher_job_started(d);
	if (bounce_is_due(delivery))
		(void)content_load(d, delivery->message, DSN_SAMPLE_BYTES, write_with_dsn, s);
	else
		submit(s);
}
