/* The events thread: batches of trace rows in a transaction that is not synced, out of the queue's way; and the log's regular flush. */
#include "store/store_private.h"

#include "base/clock.h"
#include "base/log.h"

#include <string.h>
#include <time.h>

#define WAITING_MAX 100000u
#define WAITING_BYTES_MAX (64u * 1024 * 1024)
#define BATCH_MAX 1000u
#define ROUND_MS 200
#define PRUNE_EVERY_MS 60000

/* How an event waits: this, then its name with NUL, then its fields. */
struct record {
	uint64_t message_id;
	int64_t at_ms;
	size_t name_bytes, fields_bytes;
};

void store_events_init(struct store_events *events)
{
	pthread_mutex_init(&events->lock, NULL);
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&events->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	buf_init(&events->waiting, WAITING_BYTES_MAX);
}

void store_events_clear(struct store_events *events)
{
	buf_clear(&events->waiting);
	pthread_cond_destroy(&events->wake);
	pthread_mutex_destroy(&events->lock);
}

void store_event_add(struct store *store, const struct store_event *event)
{
	struct store_events *events = &store->events;
	struct record record = { .message_id = event->message_id,
		.at_ms = event->at_ms,
		.name_bytes = strlen(event->event) + 1,
		.fields_bytes = event->fields.len };
	pthread_mutex_lock(&events->lock);
	bool fits = events->waiting_count < WAITING_MAX &&
		buf_reserve(&events->waiting, sizeof record + record.name_bytes + record.fields_bytes) == ERR_OK;
	if (fits) {
		/* There is room: these can't fail. */
		struct buf *out = &events->waiting;
		(void)!buf_append(out, view_of(&record, sizeof record));
		(void)!buf_append(out, view_of(event->event, record.name_bytes));
		(void)!buf_append(out, event->fields);
		events->waiting_count++;
	} else {
		events->dropped++;
	}
	bool wake = events->waiting_count == BATCH_MAX;
	pthread_mutex_unlock(&events->lock);
	if (wake)
		pthread_cond_signal(&events->wake);
}

/* Waits for a batch or the end of the round, and takes everything. False when stopping and nothing is left. */
static bool take(struct store_events *events, struct buf *ret, uint64_t *ret_dropped)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += ROUND_MS * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000L;
	until.tv_nsec %= 1000000000L;
	pthread_mutex_lock(&events->lock);
	while (events->waiting_count < BATCH_MAX && !events->stopping &&
		pthread_cond_timedwait(&events->wake, &events->lock, &until) == 0)
		continue;
	/* The buffers change places, so that neither has to grow again each time. */
	struct buf empty = *ret;
	*ret = events->waiting;
	events->waiting = empty;
	events->waiting_count = 0;
	*ret_dropped = events->dropped;
	events->dropped = 0;
	bool more = !events->stopping || ret->len > 0;
	pthread_mutex_unlock(&events->lock);
	return more;
}

static enum err put_all(struct db *db, struct view records)
{
	enum err err = db_begin(db);
	if (err != ERR_OK)
		return err;
	while (records.len > 0 && err == ERR_OK) {
		struct record record;
		ASSERT(records.len >= sizeof record);
		memcpy(&record, records.ptr, sizeof record);
		records = view_from(records, sizeof record);
		struct store_event event = { .message_id = record.message_id,
			.at_ms = record.at_ms,
			.event = (const char *)records.ptr,
			.fields = view_sub(records, record.name_bytes, record.fields_bytes) };
		err = event_store_put(db, &event);
		records = view_from(records, record.name_bytes + record.fields_bytes);
	}
	if (err != ERR_OK) {
		db_rollback(db);
		return err;
	}
	return db_commit(db);
}

static void prune(struct store_events *events, int64_t *next_ms)
{
	int64_t now_ms = clock_monotonic_ms();
	if (now_ms < *next_ms)
		return;
	uint64_t removed = 0;
	/* One bite a round while there is something to bite off. */
	if (event_store_prune(events->db, clock_wall_ms() - events->keep_ms, &removed) != ERR_OK || removed == 0)
		*next_ms = now_ms + PRUNE_EVERY_MS;
}

void *store_events_main(void *arg)
{
	struct store *store = arg;
	struct store_events *events = &store->events;
	struct buf batch;
	buf_init(&batch, WAITING_BYTES_MAX);
	uint64_t dropped;
	int64_t next_prune_ms = 0;
	while (take(events, &batch, &dropped)) {
		if (dropped > 0)
			LOG(LOG_LEVEL_WARNING, "trace_dropped", LOG_NUM("events", dropped));
		if (batch.len > 0 && put_all(events->db, buf_view(&batch)) != ERR_OK)
			LOG(LOG_LEVEL_WARNING, "trace_not_written", LOG_CSTR("detail", err_detail()));
		buf_reset(&batch);
		prune(events, &next_prune_ms);
		log_flush();
	}
	buf_clear(&batch);
	return NULL;
}

void store_events_stop(struct store_events *events)
{
	pthread_mutex_lock(&events->lock);
	events->stopping = true;
	pthread_mutex_unlock(&events->lock);
	pthread_cond_signal(&events->wake);
}
