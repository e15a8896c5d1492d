#include "store/event_store.h"

#include "queue/id.h"

#include <stdatomic.h>
#include <string.h>

#define PRUNE_ROWS_MAX 1000

/* A number that grows from event to event, also over restarts: of several within a millisecond the first stays the first. */
static uint64_t next_number(int64_t at_ms)
{
	static _Atomic uint64_t last;
	uint64_t before = atomic_load_explicit(&last, memory_order_relaxed), number;
	do {
		number = queue_id_next(before, at_ms);
	} while (!atomic_compare_exchange_weak_explicit(
		&last, &before, number, memory_order_relaxed, memory_order_relaxed));
	return number;
}

enum err event_store_put(struct db *db, const struct store_event *event)
{
	struct db_statement *s = db_prepare(
		db, "INSERT INTO event (message_id, number, at_ms, event, fields) VALUES ($1, $2, $3, $4, $5)");
	if (s == NULL)
		return ERR_IO;
	db_bind_int(s, 1, (int64_t)event->message_id);
	db_bind_int(s, 2, (int64_t)next_number(event->at_ms));
	db_bind_int(s, 3, event->at_ms);
	db_bind_text(s, 4, view_from_cstr(event->event));
	db_bind_text(s, 5, event->fields);
	return db_run(s, NULL);
}

enum err event_store_list(
	struct db *db, uint64_t message_id, void (*row)(void *owner, const struct store_event *event), void *owner)
{
	struct db_statement *s = db_prepare(
		db, "SELECT at_ms, event, fields FROM event WHERE message_id = $1 ORDER BY number");
	if (s == NULL)
		return ERR_IO;
	db_bind_int(s, 1, (int64_t)message_id);
	bool more;
	enum err err;
	while ((err = db_step(s, &more)) == ERR_OK && more) {
		char name[64] = "";
		struct view text = view_sub(db_column_view(s, 1), 0, sizeof name - 1);
		if (text.len > 0)
			memcpy(name, text.ptr, text.len);
		struct store_event event = { .message_id = message_id,
			.at_ms = db_column_int(s, 0),
			.event = name,
			.fields = db_column_view(s, 2) };
		row(owner, &event);
	}
	return err;
}

/* Events without a message (id 0) in the order they came; the others from the oldest message on, which no event is older than. */
static const char *const prune_sql[] = {
	"DELETE FROM event WHERE message_id = 0 AND number IN (SELECT number FROM event WHERE message_id = 0 AND at_ms "
	"< $1 "
	"ORDER BY number LIMIT $2)",
	"DELETE FROM event WHERE (message_id, number) IN (SELECT message_id, number FROM event WHERE message_id > 0 "
	"AND message_id < $3 AND at_ms < $1 ORDER BY message_id, number LIMIT $2)",
};

enum err event_store_prune(struct db *db, int64_t before_ms, uint64_t *ret_removed)
{
	uint64_t removed = 0;
	for (size_t i = 0; i < sizeof prune_sql / sizeof prune_sql[0]; i++) {
		struct db_statement *s = db_prepare(db, prune_sql[i]);
		if (s == NULL)
			return ERR_IO;
		db_bind_int(s, 1, before_ms);
		db_bind_int(s, 2, PRUNE_ROWS_MAX);
		if (i == 1)
			db_bind_int(s, 3, (int64_t)queue_id_next(0, before_ms));
		uint64_t changed = 0;
		enum err err = db_run(s, &changed);
		if (err != ERR_OK)
			return err;
		removed += changed;
	}
	*ret_removed = removed;
	return ERR_OK;
}
