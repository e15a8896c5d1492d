/*
 * Reading from the queue on disk what is due: a page at a time, in order of due times, never more than memory is allowed for. One destination may
 * have as much waiting in memory as is free beside it: what is over is left on disk, noted at the destination, and read when that has less
 * waiting, while reading goes on behind it. So a flood for one leaves room for all others.
 */
#include "service/dispatcher_private.h"

#include "base/clock.h"
#include "base/mem.h"

#include <stdlib.h>
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
	struct destination *destination; /* what was left for it is read; NULL: reading goes on */
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

static int compare_ids(const void *a, const void *b)
{
	const uint64_t *left = a, *right = b;
	return *left < *right ? -1 : *left > *right;
}

/* Once per page: while a slow disk is read, tens of thousands may end, and each row of the page asks for them. */
static void sort_finished(struct dispatcher *d)
{
	if (d->finished_count > 1)
		qsort(d->finished, d->finished_count, sizeof *d->finished, compare_ids);
}

static bool finished_meanwhile(const struct dispatcher *d, uint64_t id)
{
	return d->finished_count > 0 &&
		bsearch(&id, d->finished, d->finished_count, sizeof *d->finished, compare_ids) != NULL;
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

static struct queue_recipient *find_left(const struct message *message, const struct queue_recipient *row)
{
	for (size_t i = 0; message->left != NULL && i < message->envelope.recipient_count; i++)
		if (message->left[i] && message->envelope.recipients[i].index == row->index)
			return &message->envelope.recipients[i];
	return NULL;
}

/* Rows of a message that is active: those that were left on disk are taken; others that are not in hand are read again when it is done. */
static void take_rows(struct dispatcher *d, struct message *active, const struct queue_message *loaded)
{
	struct queue_recipient **left = mem_alloc_array(loaded->recipient_count, sizeof(struct queue_recipient *));
	size_t count = 0;
	for (size_t i = 0; i < loaded->recipient_count; i++) {
		const struct queue_recipient *row = &loaded->recipients[i];
		if (!has_row(active, row)) {
			if (row->due_at_ms < active->passed_due_ms)
				active->passed_due_ms = row->due_at_ms;
			continue;
		}
		struct queue_recipient *found = find_left(active, row);
		if (found != NULL)
			left[count++] = found;
	}
	if (count > 0)
		dispatcher_adopt_left(d, active, count, left);
	mem_free(left);
}

uint64_t dispatcher_room(const struct dispatcher *dispatcher)
{
	uint64_t limit = dispatcher->config->queue.active_recipients, used = dispatcher->active_recipients;
	return used < limit ? limit - used : 0;
}

/* More of it is read when half of what it may have in memory has gone. */
static struct destination *next_left(struct dispatcher *d)
{
	return destination_next_left(d->destinations, (size_t)(dispatcher_room(d) / 2));
}

bool dispatcher_may_load(struct dispatcher *dispatcher)
{
	struct dispatcher *d = dispatcher;
	return !d->loading && loop_now_ms(d->loop) >= d->load_again_ms && dispatcher_room(d) > 0 &&
		(d->more_on_disk || next_left(d) != NULL);
}

static struct destination_left left_at(struct queue_position at)
{
	return (struct destination_left){ .due_ms = at.due_at_ms, .id = at.message_id, .index = at.index };
}

static bool is_before(const struct destination_left *a, const struct destination_left *b)
{
	if (a->due_ms != b->due_ms)
		return a->due_ms < b->due_ms;
	return a->id != b->id ? a->id < b->id : a->index < b->index;
}

/* Reading from the cursor on comes by what is behind it anyway. */
static bool is_behind_cursor(const struct dispatcher *d, const struct destination_left *at)
{
	struct destination_left cursor = left_at(d->cursor);
	return is_before(&cursor, at);
}

static void note_left(struct dispatcher *d, struct destination *destination, struct destination_left at)
{
	if (is_behind_cursor(d, &at)) {
		dispatcher_note_due(d, at.due_ms);
		return;
	}
	at.any = true;
	at.reading = destination->left.reading;
	if (!destination->left.any || is_before(&at, &destination->left))
		destination_set_left(d->destinations, destination, &at);
}

void delivery_leave(struct delivery *delivery)
{
	struct dispatcher *d = delivery->dispatcher;
	struct message *message = delivery->message;
	const struct queue_message *q = &message->envelope;
	if (message->left == NULL) {
		message->left = arena_alloc(&message->arena, q->recipient_count * sizeof *message->left);
		ASSERT(message->left != NULL);
	}
	for (size_t i = 0; i < delivery->count; i++) {
		const struct queue_recipient *r = delivery->recipients[i].recipient;
		message->left[r - q->recipients] = true;
		note_left(d, delivery->destination,
			(struct destination_left){ .due_ms = r->due_at_ms, .id = q->id, .index = r->index });
	}
	delivery_free(delivery);
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

/* It ended while the page was read: some of its rows may be due still, or left for the destination. */
static void read_again(struct dispatcher *d, const struct load *load, const struct queue_message *loaded)
{
	const struct queue_recipient *first = &loaded->recipients[0];
	if (load->destination == NULL)
		dispatcher_note_due(d, first->due_at_ms);
	else
		note_left(d, load->destination,
			left_at((struct queue_position){ first->due_at_ms, loaded->id, first->index }));
}

static void take_page(struct dispatcher *d, const struct load *load)
{
	sort_finished(d);
	for (size_t i = 0; i < load->count; i++) {
		const struct queue_message *loaded = &load->messages[i];
		struct message *active = dispatcher_find(d, loaded->id);
		if (active != NULL)
			take_rows(d, active, loaded);
		else if (!finished_meanwhile(d, loaded->id))
			dispatcher_adopt(d, make_message(d, loaded));
		else
			read_again(d, load, loaded);
	}
}

/* Where reading goes on for everybody. */
static void move_on(struct dispatcher *d, const struct load *load)
{
	d->started_once = true;
	d->cursor = load->next;
	d->more_on_disk = load->rows >= load->limit;
	if (load->next_due_ms < d->next_due_wall_ms)
		d->next_due_wall_ms = load->next_due_ms;
	if (d->rewind_ms != INT64_MAX)
		dispatcher_note_due(d, d->rewind_ms);
}

/* Behind this page there may be more of what was left for the destination. */
static void move_on_left(struct dispatcher *d, const struct load *load)
{
	load->destination->left.reading = false;
	if (load->rows >= load->limit)
		note_left(d, load->destination, left_at(load->next));
	(void)destination_release(d->destinations, load->destination);
}

static void page_failed(struct dispatcher *d, const struct load *load, const char *reason)
{
	LOG(LOG_LEVEL_ERROR, "queue-read-failed", LOG_CSTR("reason", reason));
	d->next_due_wall_ms = clock_wall_ms() + RETRY_MS;
	/* Not at once, though there is room and more to read: the disk would fail as often as it can. */
	d->load_again_ms = loop_now_ms(d->loop) + RETRY_MS;
	if (load->destination == NULL)
		return;
	load->destination->left.reading = false;
	note_left(d, load->destination, left_at(load->after));
}

static void page_read(struct store_job *job)
{
	struct load *load = (struct load *)(void *)job;
	struct dispatcher *d = load->dispatcher;
	d->loading = false;
	if (load->destination != NULL && d->stopping)
		load->destination->left.reading = false;
	if (d->stopping) {
		load_free(load);
		dispatcher_job_ended(d);
		return;
	}
	if (job->err != ERR_OK) {
		page_failed(d, load, job->detail);
	} else {
		if (load->destination == NULL)
			move_on(d, load);
		take_page(d, load);
		if (load->destination != NULL)
			move_on_left(d, load);
	}
	d->finished_count = 0;
	load_free(load);
	set_timer(d);
	dispatcher_pump_soon(d);
	dispatcher_job_ended(d);
}

static void start_load(
	struct dispatcher *d, struct queue_position after, int64_t until_ms, struct destination *destination)
{
	uint64_t most = d->config->queue.active_recipients / 4 + 1;
	struct load *load = mem_alloc(sizeof *load);
	arena_init(&load->arena, PAGE_ARENA_BYTES);
	load->dispatcher = d;
	load->destination = destination;
	load->after = after;
	load->until_ms = until_ms;
	load->limit = most < PAGE_ROWS ? (size_t)most : PAGE_ROWS;
	load->job.run = read_page;
	load->job.done = page_read;
	d->loading = true;
	d->finished_count = 0;
	dispatcher_job_started(d);
	store_read(d->server->store, d->loop, &load->job);
}

/* Where what was left begins, that one included. */
static struct queue_position before_left(const struct destination_left *left)
{
	struct queue_position at = { left->due_ms, left->id, left->index };
	if (at.index > 0)
		at.index--;
	else if (at.message_id > 0)
		at = (struct queue_position){ left->due_ms, left->id - 1, UINT32_MAX };
	return at;
}

static void load_left(struct dispatcher *d, struct destination *destination)
{
	struct queue_position after = before_left(&destination->left);
	destination_set_left(d->destinations, destination, &(struct destination_left){ .reading = true });
	start_load(d, after, d->cursor.due_at_ms, destination);
}

static void load_on(struct dispatcher *d, int64_t now_ms)
{
	d->next_due_wall_ms = d->rewind_ms = INT64_MAX;
	start_load(d, d->cursor, now_ms + (d->started_once ? 0 : DISPATCHER_HANDOVER_MS), NULL);
}

void dispatcher_load_now(void *dispatcher)
{
	struct dispatcher *d = dispatcher;
	if (d->loading || d->stopping)
		return;
	int64_t now_ms = clock_wall_ms();
	/* A clock that went back: what becomes due now may stand before what was due then. */
	rewind_to(d, now_ms + 1);
	if (dispatcher_room(d) == 0) {
		d->more_on_disk = true; /* pump() comes back here when there is room */
		return;
	}
	/* In turns: neither what was left nor what comes after it has to wait for all of the other. */
	bool goes_on = d->more_on_disk || d->next_due_wall_ms <= now_ms;
	struct destination *left = d->read_left_last && goes_on ? NULL : next_left(d);
	d->read_left_last = left != NULL;
	if (left != NULL)
		load_left(d, left);
	else
		load_on(d, now_ms);
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
