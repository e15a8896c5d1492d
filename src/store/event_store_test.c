#include "store/event_store.h"

#include "base/buf.h"
#include "base/clock.h"
#include "store/store_contract.h"
#include "store/store_harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct buf rows;
static void event_row(void *owner, const struct store_event *e)
{
	(void)owner;
	must(buf_append_format(&rows, "%lld:%s:%.*s ", (long long)e->at_ms, e->event, VIEW_ARG(e->fields)));
}

static void events_are_written(void **state)
{
	(void)state;
	struct store *store = start_store(harness_folder);
	int64_t now = clock_wall_ms();
	for (uint64_t id = 1; id <= 3; id++)
		for (int i = 0; i < 1500; i++) {
			char name[16] = "step";
			char fields[32];
			snprintf(fields, sizeof fields, "n=%d", i);
			store_event_add(store,
				&(struct store_event){ .message_id = id,
					.at_ms = now,
					.event = name,
					.fields = view_from_cstr(fields) });
			name[0] = fields[0] = '?'; /* copied */
		}
	store_event_add(store, &(struct store_event){ .message_id = 4, .at_ms = now, .event = "alone" });
	store_close(store);
	store = open_store(harness_folder);
	struct db *db = store_events_db(store);
	assert_non_null(db);
	must(event_store_list(db, 4, event_row, NULL));
	struct buf wanted = { 0 };
	must(buf_append_format(&wanted, "%lld:alone: ", (long long)now));
	assert_true(view_eq(buf_view(&rows), buf_view(&wanted)));
	buf_reset(&wanted);
	buf_reset(&rows);
	must(event_store_list(db, 2, event_row, NULL));
	for (int i = 0; i < 1500; i++)
		must(buf_append_format(&wanted, "%lld:step:n=%d ", (long long)now, i));
	assert_true(view_eq(buf_view(&rows), buf_view(&wanted))); /* in order, though all at one time */
	buf_clear(&wanted);
	buf_clear(&rows);
	store_close(store);
}

static void events_beyond_the_bound_are_dropped(void **state)
{
	(void)state;
	struct store *store = open_store(harness_folder); /* not started: nobody takes them off */
	int64_t now = clock_wall_ms();
	for (int i = 0; i < 100500; i++)
		store_event_add(store, &(struct store_event){ .message_id = 1, .at_ms = now + i, .event = "x" });
	must(store_start(store));
	store_close(store);
	store = open_store(harness_folder);
	assert_int_equal(contract_int(store_events_db(store), "SELECT COUNT(*) FROM event"), 100000);
	assert_int_equal(contract_int(store_events_db(store), "SELECT MAX(at_ms) FROM event"), now + 99999);
	store_close(store);
}

static void events_are_pruned_in_bites(void **state)
{
	(void)state;
	char url[128];
	struct store *store = open_store(harness_folder);
	snprintf(url, sizeof url, "sqlite:%s/events.db", harness_folder);
	struct db *db = NULL;
	must(db_open(url, false, DB_SYNC_RELAXED, &db));
	must(db_begin(db));
	const int64_t old = 1000000, young = 2000000;
	for (int i = 0; i < 2500; i++)
		must(event_store_put(db,
			&(struct store_event){
				.message_id = (uint64_t)(old + i) * 4096, .at_ms = old + i, .event = "old" }));
	for (int i = 0; i < 1200; i++)
		must(event_store_put(db, &(struct store_event){ .at_ms = old, .event = "start" }));
	must(event_store_put(db, &(struct store_event){ .at_ms = young, .event = "start" }));
	must(event_store_put(
		db, &(struct store_event){ .message_id = (uint64_t)old * 4096, .at_ms = young, .event = "late" }));
	must(event_store_put(
		db, &(struct store_event){ .message_id = (uint64_t)young * 4096, .at_ms = young, .event = "young" }));
	must(db_commit(db));
	uint64_t removed = 0, total = 0, bites = 0;
	do {
		must(event_store_prune(db, young, &removed));
		assert_true(removed <= 2000);
		total += removed;
		bites += removed > 0;
	} while (removed > 0);
	assert_int_equal(total, 3700);
	assert_true(bites >= 3);
	assert_int_equal(contract_int(db, "SELECT COUNT(*) FROM event"), 3);
	assert_int_equal(contract_int(db, "SELECT MIN(at_ms) FROM event"), young);
	db_close(db);
	store_close(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HARNESS_TEST(events_are_written),
		HARNESS_TEST(events_beyond_the_bound_are_dropped),
		HARNESS_TEST(events_are_pruned_in_bites),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
