/* What an operator suspended is not tried: its recipients are put off on disk, with the reason, until the suspension ends. */
#include "service/dispatcher_private.h"

#include "base/clock.h"
#include "base/mem.h"
#include "store/suspension_store.h"

struct dispatcher_suspensions {
	struct arena arena;
	struct suspension *items;
	size_t count;
};

struct reading {
	struct store_job job; /* first */
	struct dispatcher *dispatcher;
	void (*then)(struct dispatcher *dispatcher);
	struct dispatcher_suspensions *found;
};

void dispatcher_suspensions_free(struct dispatcher_suspensions *suspensions)
{
	if (suspensions == NULL)
		return;
	arena_clear(&suspensions->arena);
	mem_free(suspensions);
}

static enum err read_all(struct db *db, struct dispatcher_suspensions *into)
{
	arena_clear(&into->arena);
	into->items = NULL;
	into->count = 0;
	return suspension_store_list(db, clock_wall_ms(), &into->arena, &into->items, &into->count);
}

static struct dispatcher_suspensions *make(void)
{
	struct dispatcher_suspensions *made = mem_alloc(sizeof *made);
	arena_init(&made->arena, SUSPENSION_ARENA_BYTES);
	return made;
}

static enum err run_reading(struct store_job *job, struct db *db)
{
	struct reading *reading = (struct reading *)(void *)job;
	return read_all(db, reading->found);
}

static void reading_done(struct store_job *job)
{
	struct reading *reading = (struct reading *)(void *)job;
	struct dispatcher *d = reading->dispatcher;
	if (job->err == ERR_OK) {
		dispatcher_suspensions_free(d->suspensions);
		d->suspensions = reading->found;
	} else {
		LOG(LOG_LEVEL_ERROR, "suspensions-unreadable", LOG_CSTR("reason", job->detail));
		dispatcher_suspensions_free(reading->found);
	}
	if (!d->stopping)
		reading->then(d);
	mem_free(reading);
	dispatcher_job_ended(d);
}

void dispatcher_read_suspensions(struct dispatcher *dispatcher, void (*then)(struct dispatcher *dispatcher))
{
	struct reading *reading = mem_alloc(sizeof *reading);
	reading->dispatcher = dispatcher;
	reading->then = then;
	reading->found = make();
	reading->job.run = run_reading;
	reading->job.done = reading_done;
	dispatcher_job_started(dispatcher);
	store_read(dispatcher->server->store, dispatcher->loop, &reading->job);
}

static enum err read_first(void *owner, struct db *db)
{
	return read_all(db, owner);
}

enum err dispatcher_begin_suspensions(struct dispatcher *dispatcher)
{
	struct dispatcher_suspensions *found = make();
	enum err err = store_read_now(dispatcher->server->store, read_first, found);
	if (err != ERR_OK) {
		dispatcher_suspensions_free(found);
		return err;
	}
	dispatcher->suspensions = found;
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
	const struct dispatcher *dispatcher, enum suspension_kind kind, struct view name)
{
	const struct dispatcher_suspensions *all = dispatcher->suspensions;
	if (all == NULL || all->count == 0 || name.len == 0)
		return NULL;
	return suspension_find(all->items, all->count, kind, name, clock_wall_ms());
}

bool delivery_is_suspended(struct delivery *delivery, enum suspension_kind kind, struct view name)
{
	const struct suspension *found = dispatcher_find_suspension(delivery->dispatcher, kind, name);
	if (found != NULL)
		delivery_suspend(delivery, found);
	return found != NULL;
}
