#include "store/site_sweep.h"

#include "store/queue_store.h"
#include "store/store_contract.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define DAY_MS 86400000
#define COUNT "SELECT COUNT(*) FROM domain_site"

static struct contract contract;

static int setup(void **state)
{
	(void)state;
	contract_open(&contract);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	contract_close(&contract);
	return 0;
}

static void must(enum err err)
{
	if (err != ERR_OK)
		fail_msg("%s: %s", err_name(err), err_detail());
}

static void note(const char *domain, int64_t day)
{
	must(queue_store_note_site(contract.db, view_from_cstr(domain), VIEW("google"), day * DAY_MS));
}

static void put(uint64_t id, const char *address, enum queue_recipient_state how)
{
	struct queue_recipient recipient = { .address = view_from_cstr(address), .state = how };
	struct queue_message message = { .id = id, .size_bytes = 1, .recipient_count = 1, .recipients = &recipient };
	must(queue_store_put(contract.db, &message));
}

static unsigned read_all(struct site_sweep *sweep, size_t rows)
{
	bool more = true;
	unsigned bites = 0;
	for (; more; bites++)
		must(site_sweep_read(sweep, contract.db, rows, &more));
	return bites;
}

static bool is_there(const char *domain)
{
	char sql[200];
	snprintf(sql, sizeof sql, COUNT " WHERE domain = '%s'", domain);
	return contract_int(contract.db, sql) == 1;
}

/* Old rows go where nothing waits, whatever it waits for; those that are noted today, or while it is read, stay. */
static void removes_what_nothing_waits_for(void **state)
{
	(void)state;
	static const size_t bites[] = { 1, 2, 3, 100 };
	for (size_t i = 0; i < sizeof bites / sizeof bites[0]; i++) {
		uint64_t id = 10 * (i + 1);
		note("waits.example", 10);
		note("held.example", 10);
		note("Alone.example", 10);
		note("alone2.example", 19);
		note("today.example", 20);
		note("again.example", 10);
		put(id, "a@WAITS.example", QUEUE_READY);
		put(id + 1, "\"x@alone.example\"@held.example", QUEUE_HELD);
		put(id + 2, "a@unknown.example", QUEUE_READY);
		struct site_sweep *sweep = site_sweep_new(20 * DAY_MS + 5);
		(void)read_all(sweep, bites[i]);
		assert_int_equal(contract_int(contract.db, COUNT), 6);
		note("again.example", 20);
		bool more = true;
		while (more) {
			must(site_sweep_remove(sweep, contract.db, bites[i]));
			more = site_sweep_removed(sweep);
		}
		assert_int_equal(site_sweep_count(sweep), 2);
		site_sweep_free(sweep);
		assert_int_equal(contract_int(contract.db, COUNT), 4);
		assert_true(is_there("waits.example") && is_there("held.example") && is_there("today.example") &&
			is_there("again.example"));
		must(db_exec(contract.db, "DELETE FROM domain_site"));
	}
	site_sweep_free(NULL);
}

/* A transaction that was rolled back is done again. */
static void repeats_what_was_not_committed(void **state)
{
	(void)state;
	note("a.example", 10);
	note("b.example", 10);
	struct site_sweep *sweep = site_sweep_new(20 * DAY_MS);
	(void)read_all(sweep, 100);
	must(db_begin(contract.db));
	must(site_sweep_remove(sweep, contract.db, 100));
	db_rollback(contract.db);
	assert_int_equal(contract_int(contract.db, COUNT), 2);
	must(site_sweep_remove(sweep, contract.db, 100));
	assert_false(site_sweep_removed(sweep));
	assert_int_equal(site_sweep_count(sweep), 2);
	assert_int_equal(contract_int(contract.db, COUNT), 0);
	site_sweep_free(sweep);
}

/* Where all rows are of today the queue is not read at all; nor is anything read that need not be. */
static void reads_no_more_than_it_must(void **state)
{
	(void)state;
	for (uint64_t id = 1; id <= 100; id++)
		put(id, "a@x.example", QUEUE_READY);
	note("x.example", 20);
	struct site_sweep *sweep = site_sweep_new(20 * DAY_MS);
	assert_int_equal(read_all(sweep, 10), 1);
	site_sweep_free(sweep);
	sweep = site_sweep_new(21 * DAY_MS);
	assert_int_equal(read_all(sweep, 10), 1 + 11);
	site_sweep_free(sweep);
}

/* A bite costs what it reads, not what lies before or behind it. */
static void goes_by_the_key(void **state)
{
	(void)state;
	char explain[400];
	snprintf(explain, sizeof explain, "EXPLAIN QUERY PLAN %s", site_sweep_select);
	struct db_statement *s = db_prepare(contract.db, explain);
	assert_non_null(s);
	for (int i = 1; i <= 3; i++)
		db_bind_int(s, i, 1);
	bool row;
	must(db_step(s, &row));
	assert_true(row);
	if (!view_starts_with(db_column_view(s, 3), VIEW("SEARCH recipient USING PRIMARY KEY")))
		fail_msg("%.*s", VIEW_ARG(db_column_view(s, 3)));
	must(db_step(s, &row));
	assert_false(row);
	db_reset(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(removes_what_nothing_waits_for, setup, teardown),
		cmocka_unit_test_setup_teardown(repeats_what_was_not_committed, setup, teardown),
		cmocka_unit_test_setup_teardown(reads_no_more_than_it_must, setup, teardown),
		cmocka_unit_test_setup_teardown(goes_by_the_key, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
