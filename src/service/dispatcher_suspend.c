/*
 * What is suspended. An operator's suspensions are a list in memory, read from the store at start and whenever it changed: what they name is not tried, its
 * recipients are put off on disk, with the reason, until the suspension ends. Those that shaping rules set are limiters' (dispatcher_shaped.c); the
 * same reading tells which of them an operator has lifted.
 */
#include "service/dispatcher_private.h"

#include "base/clock.h"
#include "base/mem.h"

struct known {
	struct arena arena;
	struct suspension *items;
	size_t count;
};

struct dispatcher_suspensions {
	struct known *known;
	bool is_reading;
	/* What is asked for while a reading is under way is done by the next one: that one may have looked too early. */
	bool wants_again, wants_reload;
	struct list followers;
};

struct reading {
	struct store_job job; /* first */
	struct dispatcher *dispatcher;
	struct known *found;
	bool reloads; /* the queue is read again when what it found is in force */
	struct list followers;
};

/* All writes that were asked for before are done when this one is. */
struct barrier {
	struct store_job job; /* first */
	struct dispatcher *dispatcher;
	struct list followers;
};

static struct known *known_new(void)
{
	struct known *known = mem_alloc(sizeof *known);
	arena_init(&known->arena, SUSPENSION_ARENA_BYTES);
	return known;
}

static void known_free(struct known *known)
{
	if (known == NULL)
		return;
	arena_clear(&known->arena);
	mem_free(known);
}

struct dispatcher_suspensions *dispatcher_suspensions_new(void)
{
	struct dispatcher_suspensions *s = mem_alloc(sizeof *s);
	list_init(&s->followers);
	return s;
}

void dispatcher_suspensions_free(struct dispatcher_suspensions *suspensions)
{
	if (suspensions == NULL)
		return;
	known_free(suspensions->known);
	mem_free(suspensions);
}

static enum err read_all(struct db *db, struct known *into)
{
	arena_clear(&into->arena);
	into->items = NULL;
	into->count = 0;
	return suspension_store_list(db, clock_wall_ms(), &into->arena, &into->items, &into->count);
}

static enum err run_reading(struct store_job *job, struct db *db)
{
	struct reading *reading = (struct reading *)(void *)job;
	return read_all(db, reading->found);
}

static void move_all(struct list *from, struct list *to)
{
	struct list *link;
	while ((link = list_take_first(from)) != NULL)
		list_append(to, link);
}

static void tell(struct loop_task *task)
{
	struct dispatcher_follow *follow = LIST_ENTRY(task, struct dispatcher_follow, task);
	follow->done(follow);
}

static void tell_all(struct list *followers)
{
	struct list *link;
	while ((link = list_take_first(followers)) != NULL) {
		struct dispatcher_follow *follow = LIST_ENTRY(link, struct dispatcher_follow, link);
		follow->task.run = tell;
		loop_post(follow->loop, &follow->task);
	}
}

static enum err run_barrier(struct store_job *job, struct db *db)
{
	(void)job;
	(void)db;
	return ERR_OK;
}

static void barrier_passed(struct store_job *job)
{
	struct barrier *barrier = (struct barrier *)(void *)job;
	tell_all(&barrier->followers);
	dispatcher_job_ended(barrier->dispatcher);
	mem_free(barrier);
}

/* A recipient that was put off just before a suspension was lifted may be on its way to the disk: who is told now finds it there. */
static void tell_after_writes(struct dispatcher *d, struct list *followers)
{
	if (list_is_empty(followers))
		return;
	struct barrier *barrier = mem_alloc(sizeof *barrier);
	barrier->dispatcher = d;
	list_init(&barrier->followers);
	move_all(followers, &barrier->followers);
	barrier->job.run = run_barrier;
	barrier->job.done = barrier_passed;
	dispatcher_job_started(d);
	store_write(d->server->store, d->loop, &barrier->job);
}

static void start_reading(struct dispatcher *d);

static void reading_done(struct store_job *job)
{
	struct reading *reading = (struct reading *)(void *)job;
	struct dispatcher *d = reading->dispatcher;
	struct dispatcher_suspensions *s = d->suspensions;
	s->is_reading = false;
	if (job->err == ERR_OK) {
		known_free(s->known);
		s->known = reading->found;
		dispatcher_shaped_lift(d);
	} else {
		LOG(LOG_LEVEL_ERROR, "suspensions-unreadable", LOG_CSTR("reason", job->detail));
		known_free(reading->found);
	}
	if (d->stopping) {
		tell_all(&reading->followers);
		tell_all(&s->followers);
	} else {
		if (reading->reloads)
			dispatcher_read_queue_again(d);
		tell_after_writes(d, &reading->followers);
		if (s->wants_again)
			start_reading(d);
	}
	mem_free(reading);
	dispatcher_job_ended(d);
}

/* One at a time, or an older answer might come behind a newer one. */
static void start_reading(struct dispatcher *d)
{
	struct dispatcher_suspensions *s = d->suspensions;
	s->wants_again = s->is_reading;
	if (s->is_reading)
		return;
	s->is_reading = true;
	struct reading *reading = mem_alloc(sizeof *reading);
	reading->dispatcher = d;
	reading->found = known_new();
	reading->reloads = s->wants_reload;
	s->wants_reload = false;
	list_init(&reading->followers);
	move_all(&s->followers, &reading->followers);
	dispatcher_shaped_reading_begins(d);
	reading->job.run = run_reading;
	reading->job.done = reading_done;
	dispatcher_job_started(d);
	store_read(d->server->store, d->loop, &reading->job);
}

void dispatcher_reload_suspensions(struct dispatcher *dispatcher)
{
	dispatcher->suspensions->wants_reload = true;
	start_reading(dispatcher);
}

static void follow_now(struct loop_task *task)
{
	struct dispatcher_follow *follow = LIST_ENTRY(task, struct dispatcher_follow, task);
	struct dispatcher *d = follow->dispatcher;
	list_append(&d->suspensions->followers, &follow->link);
	if (d->stopping && !d->suspensions->is_reading)
		tell_all(&d->suspensions->followers);
	else
		start_reading(d);
}

void dispatcher_follow_suspensions(struct dispatcher *dispatcher, struct loop *loop, struct dispatcher_follow *follow,
	void (*done)(struct dispatcher_follow *follow))
{
	*follow = (struct dispatcher_follow){ .dispatcher = dispatcher, .loop = loop, .done = done };
	list_init(&follow->task.link);
	list_init(&follow->link);
	follow->task.run = follow_now;
	loop_post(dispatcher->loop, &follow->task);
}

static enum err read_first(void *owner, struct db *db)
{
	return read_all(db, owner);
}

enum err dispatcher_begin_suspensions(struct dispatcher *dispatcher)
{
	struct known *found = known_new();
	enum err err = store_read_now(dispatcher->server->store, read_first, found);
	if (err != ERR_OK) {
		known_free(found);
		return err;
	}
	dispatcher->suspensions->known = found;
	for (size_t i = 0; i < found->count; i++)
		if (found->items[i].source == SUSPENSION_BY_RULE)
			dispatcher_shaped_restore(dispatcher, &found->items[i]);
	return ERR_OK;
}

void delivery_suspend(struct delivery *delivery, const struct suspension *suspension)
{
	struct buf reply = { 0 };
	int64_t now_ms = clock_wall_ms();
	int64_t due_ms = suspension->until_ms > now_ms ? suspension->until_ms : now_ms + SUSPENSION_LOOK_AGAIN_MS;
	enum err err = suspension_reply(suspension, &reply);
	ASSERT(err == ERR_OK); /* its texts were bounded before they were stored */
	delivery_set_all(delivery, OUTCOME_DEFERRED, buf_view(&reply), VIEW_NONE);
	buf_clear(&reply);
	for (size_t i = 0; i < delivery->count; i++)
		delivery->recipients[i].due_at_ms = due_ms;
	delivery->destination = NULL;
	delivery->untried = delivery->suspended = true;
	dispatcher_settle(delivery);
}

const struct suspension *dispatcher_find_suspension(
	const struct dispatcher *dispatcher, const struct suspension *wanted)
{
	const struct known *known = dispatcher->suspensions->known;
	if (known == NULL || known->count == 0 || wanted->name.len == 0)
		return NULL;
	return suspension_find(known->items, known->count, wanted, clock_wall_ms());
}

bool delivery_is_suspended(struct delivery *delivery, const struct suspension *wanted)
{
	const struct suspension *found = dispatcher_find_suspension(delivery->dispatcher, wanted);
	if (found != NULL)
		delivery_suspend(delivery, found);
	return found != NULL;
}
