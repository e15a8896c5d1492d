/* Reading from the queue on disk what is due: a page at a time, in order of due times, never more than memory is allowed for. */
#include "service/dispatcher_private.h"

#include "base/clock.h"
#include "base/mem.h"

#include <string.h>

#define PAGE_ROWS 2000u
#define PAGE_ARENA_BYTES (64u * 1024 * 1024)
#define ROW_ARENA_BYTES (1024u * 1024)
#define RETRY_MS 5000
/* Due times are wall-clock times, and nobody says when that clock is set: a machine that starts in 1970 sees soon that it is today. */
#define SLEEP_MAX_MS 60000

struct load {
	struct store_job job; /* first */
	struct dispatcher *dispatcher;
	struct queue_position after, next;
	int64_t until_ms;
	size_t limit;
	struct arena arena;
	struct queue_message *messages;
	size_t count, rows;
	int64_t next_due_ms; /* of what was not read */
};

static enum err find_next_due(struct load *load, struct db *db)
{
	struct queue_position at;
	struct queue_message *messages;
	size_t count = 0, rows = 0;
	struct arena arena; /* the page may have ended because its own is full */
	arena_init(&arena, ROW_ARENA_BYTES);
	enum err err = queue_store_load_due(db, load->next, INT64_MAX, 1, &arena, &messages, &count, &rows, &at);
	load->next_due_ms = err == ERR_OK && rows > 0 ? at.due_at_ms : INT64_MAX;
	arena_clear(&arena);
	return err;
}

static enum err read_page(struct store_job *job, struct db *db)
{
	struct load *load = (struct load *)(void *)job;
	load->next = load->after;
	load->next_due_ms = INT64_MAX;
	enum err err = queue_store_load_due(db, load->after, load->until_ms, load->limit, &load->arena, &load->messages,
		&load->count, &load->rows, &load->next);
	if (err == ERR_OK && load->rows < load->limit)
		err = find_next_due(load, db);
	return err;
}

static void set_timer(struct dispatcher *d)
{
	if (d->next_due_wall_ms == INT64_MAX) {
		loop_timer_set(&d->load_timer, INT64_MAX);
		return;
	}
	int64_t wait_ms = d->next_due_wall_ms - clock_wall_ms();
	if (wait_ms < 0)
		wait_ms = 0;
	if (wait_ms > SLEEP_MAX_MS)
		wait_ms = SLEEP_MAX_MS;
	loop_timer_set(&d->load_timer, loop_now_ms(d->loop) + wait_ms);
}

/* Moves the cursor back in front of what was due at this time. */
static void rewind_to(struct dispatcher *d, int64_t due_ms)
{
	if (d->cursor.due_at_ms >= due_ms)
		d->cursor = (struct queue_position){
			.due_at_ms = due_ms - 1, .message_id = INT64_MAX, .index = UINT32_MAX
		};
}

void dispatcher_note_due(struct dispatcher *dispatcher, int64_t due_wall_ms)
{
	if (dispatcher->stopping)
		return;
	/* A row may come to disk later than its due time (its outcome could not be written at once), or before what was read already (a
	 * clock that went back): reading goes back to it, also the one that is under way and may have looked there too early. */
	rewind_to(dispatcher, due_wall_ms);
	if (dispatcher->loading && due_wall_ms < dispatcher->rewind_ms)
		dispatcher->rewind_ms = due_wall_ms;
	if (due_wall_ms >= dispatcher->next_due_wall_ms)
		return;
	dispatcher->next_due_wall_ms = due_wall_ms;
	if (!dispatcher->loading)
		set_timer(dispatcher);
}

void dispatcher_note_finished(struct dispatcher *dispatcher, uint64_t message_id)
{
	struct dispatcher *d = dispatcher;
	if (!d->loading)
		return;
	if (d->finished_count == d->finished_room) {
		d->finished_room = d->finished_room * 2 + 64;
		d->finished = mem_resize(d->finished, d->finished_room * sizeof *d->finished);
	}
	d->finished[d->finished_count++] = message_id;
}

static bool finished_meanwhile(const struct dispatcher *d, uint64_t id)
{
	for (size_t i = 0; i < d->finished_count; i++)
		if (d->finished[i] == id)
			return true;
	return false;
}

/* The row as it was when the message became active; a deferral or an operator has changed it since, and it is nobody's now. */
static bool has_row(const struct message *message, const struct queue_recipient *row)
{
	for (size_t i = 0; i < message->envelope.recipient_count; i++) {
		const struct queue_recipient *r = &message->envelope.recipients[i];
		if (r->index == row->index)
			return r->attempts == row->attempts && r->last_attempt_ms == row->last_attempt_ms &&
				r->flags == row->flags;
	}
	return false;
}

/* Rows of a message that is active: those that are not in hand are read again when it is done. */
static void note_passed_over(struct message *active, const struct queue_message *loaded)
{
	for (size_t i = 0; i < loaded->recipient_count; i++) {
		const struct queue_recipient *row = &loaded->recipients[i];
		if (row->due_at_ms < active->passed_due_ms && !has_row(active, row))
			active->passed_due_ms = row->due_at_ms;
	}
}

static struct message *make_message(struct dispatcher *d, const struct queue_message *loaded)
{
	struct message *m = message_new(&d->server->body_memory);
	m->envelope = *loaded;
	struct queue_message *q = &m->envelope;
	q->reverse_path = message_keep(m, loaded->reverse_path);
	q->envid = message_keep(m, loaded->envid);
	q->account = message_keep(m, loaded->account);
	q->client = message_keep(m, loaded->client);
	q->source = message_keep(m, loaded->source);
	q->spool = message_keep(m, loaded->spool);
	q->head = q->body = VIEW_NONE;
	q->recipients = arena_alloc(&m->arena, loaded->recipient_count * sizeof *q->recipients);
	ASSERT(q->recipients != NULL);
	for (size_t i = 0; i < loaded->recipient_count; i++) {
		struct queue_recipient *r = &q->recipients[i];
		*r = loaded->recipients[i];
		r->address = message_keep(m, r->address);
		r->orcpt = message_keep(m, r->orcpt);
		r->original = message_keep(m, r->original);
		r->last_reply = message_keep(m, r->last_reply);
		r->last_host = message_keep(m, r->last_host);
		r->stream = message_keep(m, r->stream);
		r->smarthost = message_keep(m, r->smarthost);
	}
	return m;
}

static void load_free(struct load *load)
{
	arena_clear(&load->arena);
	mem_free(load);
}

static void take_page(struct dispatcher *d, const struct load *load)
{
	for (size_t i = 0; i < load->count; i++) {
		const struct queue_message *loaded = &load->messages[i];
		struct message *active = dispatcher_find(d, loaded->id);
		if (active != NULL)
			note_passed_over(active, loaded);
		else if (!finished_meanwhile(d, loaded->id))
			dispatcher_adopt(d, make_message(d, loaded));
		else
			dispatcher_note_due(d, loaded->recipients[0].due_at_ms); /* some of its rows may be due still */
	}
}

static void page_read(struct store_job *job)
{
	struct load *load = (struct load *)(void *)job;
	struct dispatcher *d = load->dispatcher;
	d->loading = false;
	if (d->stopping) {
		load_free(load);
		dispatcher_job_ended(d);
		return;
	}
	if (job->err != ERR_OK) {
		LOG(LOG_LEVEL_ERROR, "queue-read-failed", LOG_CSTR("reason", job->detail));
		d->next_due_wall_ms = clock_wall_ms() + RETRY_MS;
	} else {
		d->started_once = true;
		d->cursor = load->next;
		d->more_on_disk = load->rows >= load->limit;
		if (load->next_due_ms < d->next_due_wall_ms)
			d->next_due_wall_ms = load->next_due_ms;
		if (d->rewind_ms != INT64_MAX)
			dispatcher_note_due(d, d->rewind_ms);
		take_page(d, load);
	}
	d->finished_count = 0;
	load_free(load);
	set_timer(d);
	dispatcher_pump_soon(d);
	dispatcher_job_ended(d);
}

void dispatcher_load_now(void *dispatcher)
{
	struct dispatcher *d = dispatcher;
	if (d->loading || d->stopping)
		return;
	int64_t now_ms = clock_wall_ms();
	/* A clock that went back: what becomes due now may stand before what was due then. */
	rewind_to(d, now_ms + 1);
	uint64_t limit = d->config->queue.active_recipients;
	if (d->active_recipients >= limit) {
		d->more_on_disk = true; /* pump() comes back here when there is room */
		return;
	}
	struct load *load = mem_alloc(sizeof *load);
	arena_init(&load->arena, PAGE_ARENA_BYTES);
	load->dispatcher = d;
	load->after = d->cursor;
	load->until_ms = now_ms + (d->started_once ? 0 : DISPATCHER_HANDOVER_MS);
	load->limit = limit - d->active_recipients < PAGE_ROWS ? (size_t)(limit - d->active_recipients) : PAGE_ROWS;
	load->job.run = read_page;
	load->job.done = page_read;
	d->loading = true;
	d->finished_count = 0;
	d->next_due_wall_ms = d->rewind_ms = INT64_MAX;
	dispatcher_job_started(d);
	store_read(d->server->store, d->loop, &load->job);
}

void dispatcher_load_soon(struct dispatcher *dispatcher)
{
	if (dispatcher->stopping)
		return;
	if (dispatcher->loading) {
		dispatcher->next_due_wall_ms = clock_wall_ms();
		return;
	}
	loop_timer_set(&dispatcher->load_timer, loop_now_ms(dispatcher->loop));
}
