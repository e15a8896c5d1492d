#include "service/intake.h"

#include "base/clock.h"
#include "base/mem.h"
#include "service/dispatcher.h"
#include "store/spool.h"

struct intake {
	struct store_job job; /* first: the store hands back this address */
	struct server *server;
	struct message *message;
	void (*committed)(void *owner, enum err err, const char *detail);
	void *owner;
};

static enum err put(struct store_job *job, struct db *db)
{
	struct intake *intake = (struct intake *)(void *)job;
	struct queue_message *q = &intake->message->envelope;
	/* Counted from now, not from when the job was given: it may have waited for a slow disk. */
	int64_t due_at_ms = clock_wall_ms() + DISPATCHER_HANDOVER_MS;
	struct message_wishes *wishes = &intake->message->wishes;
	/* What is held goes to the dispatcher by way of the disk; if its time came meanwhile, it is as any other. */
	if (wishes->hold_until_ms <= clock_wall_ms())
		wishes->hold_until_ms = 0;
	else if (!wishes->may_hand_on_hold)
		due_at_ms = wishes->hold_until_ms;
	for (size_t i = 0; i < q->recipient_count; i++)
		q->recipients[i].due_at_ms = due_at_ms;
	return queue_store_put(db, q);
}

static void put_done(struct store_job *job)
{
	struct intake *intake = (struct intake *)(void *)job;
	struct message *message = intake->message;
	enum err err = job->err;
	/* LIFE 6/10: the group that held this job is synced: 250 may be said now. */
	if (err == ERR_OK) {
		const struct queue_message *q = &message->envelope;
		TRACE(intake->server->store, LOG_LEVEL_INFO, q->id, "accepted", LOG_TEXT("from", q->reverse_path),
			LOG_TEXT("client", q->client), LOG_TEXT("account", q->account), LOG_TEXT("listener", q->source),
			LOG_TEXT("tls", message->tls), LOG_NUM("size", q->size_bytes),
			LOG_NUM("recipients", q->recipient_count), LOG_NUM("priority", q->recipients[0].priority));
	}
	if (intake->committed != NULL)
		intake->committed(intake->owner, err, job->detail);
	if (err == ERR_OK) {
		dispatcher_take(intake->server->dispatcher, message);
	} else {
		/* docs/queue-states.md S1: no row names the file. */
		if (message->spool[0] != '\0')
			spool_remove(store_folder(intake->server->store), message->spool);
		message_free(message);
	}
	server_job_ended(intake->server);
	mem_free(intake);
}

static void grant_wishes(struct message *message)
{
	const struct message_wishes *wishes = &message->wishes;
	struct queue_message *q = &message->envelope;
	for (size_t i = 0; i < q->recipient_count; i++) {
		struct queue_recipient *r = &q->recipients[i];
		if (wishes->has_priority)
			r->priority = wishes->priority;
		if (wishes->deliver_by_ms != 0)
			r->deliver_by_ms = wishes->deliver_by_ms;
		r->flags |= wishes->flags;
		r->hold_until_ms = wishes->hold_until_ms;
		r->hold_for_s = wishes->hold_for_s;
	}
}

struct intake *intake_commit(struct server *server, struct loop *loop, struct message *message,
	void (*committed)(void *owner, enum err err, const char *detail), void *owner)
{
	struct intake *intake = mem_alloc(sizeof *intake);
	intake->server = server;
	intake->message = message;
	intake->committed = committed;
	intake->owner = owner;
	intake->job.run = put;
	intake->job.done = put_done;
	struct queue_message *q = &message->envelope;
	q->head = buf_view(&message->head);
	q->body = buf_view(&message->body);
	q->spool = view_from_cstr(message->spool);
	message->content_loaded = true;
	grant_wishes(message);
	message_count_content(message);
	server_job_started(server);
	store_write(server->store, loop, &intake->job);
	return intake;
}

void intake_abandon(struct intake *intake)
{
	if (intake != NULL)
		intake->committed = NULL;
}
