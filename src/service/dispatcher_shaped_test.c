/* Suspensions that shaping rules set: in memory, in the store, and over restarts. The dispatcher's loop is run by the test itself. */
#include "service/dispatcher_private.h"

#include "base/clock.h"
#include "service/testing_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define HOUR_MS 3600000
#define COUNT_ROWS "SELECT COUNT(*) FROM suspension"

static struct testing_server t;
static struct dispatcher *d;

static int setup(void **state)
{
	(void)state;
	testing_server_open(&t, "");
	d = t.server.dispatcher;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	testing_server_close(&t);
	return 0;
}

static struct loop_timer timer;
static int64_t until_ms;

static void look(void *owner)
{
	(void)owner;
	if (d->jobs == 0 && clock_monotonic_ms() >= until_ms)
		loop_stop(d->loop);
	else
		loop_timer_set(&timer, loop_now_ms(d->loop) + 1);
}

/* Until the store has answered everything, and so long at least. */
static void run(int64_t for_ms)
{
	until_ms = clock_monotonic_ms() + for_ms;
	loop_timer_init(&timer, d->loop, look, NULL);
	loop_timer_set(&timer, loop_now_ms(d->loop));
	loop_run(d->loop);
	loop_timer_clear(&timer);
}

static struct limiter *limiter(const char *name)
{
	return limiter_get(d->limiters, view_from_cstr(name), &(struct limiter_limits){ 0 });
}

static bool is_suspended(const char *name)
{
	struct limiter *found = limiter_find(d->limiters, view_from_cstr(name));
	return found != NULL && found->suspended_until_ms > loop_now_ms(d->loop);
}

static void suspend(const char *site, const char *stream, const char *reply, int64_t for_ms)
{
	char name[200];
	snprintf(name, sizeof name, "site/%s@%s", site, stream);
	dispatcher_shaped_suspend(
		d, limiter(name), view_from_cstr(site), view_from_cstr(stream), view_from_cstr(reply), for_ms);
}

static void reload(void)
{
	dispatcher_reload_suspensions(d);
	run(0);
}

static enum err lift(struct db *db, const void *arg)
{
	struct arena arena;
	arena_init(&arena, SUSPENSION_ARENA_BYTES);
	struct suspension *lifted;
	size_t count;
	enum err err = suspension_store_lift(
		db, SUSPENSION_SITE, view_from_cstr(arg), VIEW_NONE, clock_wall_ms(), &arena, &lifted, &count);
	arena_clear(&arena);
	return err;
}

static enum err set_row(struct db *db, const void *arg)
{
	return suspension_store_set(db, arg);
}

/* However many replies say the same, one row is written; and one more when one of them says more. */
static void written_when_it_begins(void **state)
{
	(void)state;
	uint64_t before = store_counts(t.server.store).jobs;
	for (int i = 0; i < 500; i++) {
		suspend("google", "shop", "421 4.7.28 Too fast", HOUR_MS);
		run(0);
	}
	assert_int_equal(store_counts(t.server.store).jobs - before, 1);
	assert_true(is_suspended("site/google@shop"));
	assert_false(is_suspended("site/google@"));
	assert_int_equal(testing_count(&t, COUNT_ROWS), 1);
	int64_t first_ms = testing_count(&t, "SELECT until_ms FROM suspension");
	assert_in_range(first_ms, clock_wall_ms() + HOUR_MS - 60000, clock_wall_ms() + HOUR_MS);
	suspend("google", "shop", "421 4.7.0 Blocked", 3 * HOUR_MS);
	suspend("google", "shop", "421 4.7.28 Too fast", HOUR_MS);
	run(0);
	assert_int_equal(store_counts(t.server.store).jobs - before, 2);
	assert_int_equal(testing_count(&t,
				 "SELECT COUNT(*) FROM suspension WHERE source = 'rule' AND kind = 'site' AND "
				 "name = 'google' AND stream = 'shop' AND reason = '421 4.7.0 Blocked'"),
		1);
	assert_in_range(
		testing_count(&t, "SELECT until_ms FROM suspension"), first_ms + HOUR_MS, first_ms + 3 * HOUR_MS);
}

/* Reading the store again lifts what is not there any more, and that only. */
static void lifted_in_the_store(void **state)
{
	(void)state;
	suspend("google", "", "421 a", HOUR_MS);
	suspend("google", "shop", "421 b", HOUR_MS);
	suspend("Yahoo", "shop", "421 c", HOUR_MS);
	run(0);
	reload();
	assert_true(
		is_suspended("site/google@") && is_suspended("site/google@shop") && is_suspended("site/yahoo@shop"));
	testing_write(&t, lift, "google");
	reload();
	assert_false(is_suspended("site/google@") || is_suspended("site/google@shop"));
	assert_true(is_suspended("site/yahoo@shop"));
	/* Told to wait once more, it is suspended once more. */
	suspend("google", "shop", "421 b", HOUR_MS);
	run(0);
	reload();
	assert_true(is_suspended("site/google@shop"));
	assert_int_equal(testing_count(&t, COUNT_ROWS), 2);
}

/* One that began while the store was being read is not there, and was not lifted all the same. */
static void begun_while_reading(void **state)
{
	(void)state;
	for (int i = 0; i < 50; i++) {
		char site[20];
		snprintf(site, sizeof site, "site%d", i);
		dispatcher_reload_suspensions(d);
		if (i % 2 == 0)
			run(0);
		suspend(site, "", "421 a", HOUR_MS);
		if (i % 3 == 0)
			dispatcher_reload_suspensions(d);
	}
	run(0);
	reload();
	assert_int_equal(testing_count(&t, COUNT_ROWS), 50);
	for (int i = 0; i < 50; i++) {
		char name[20];
		snprintf(name, sizeof name, "site/site%d@", i);
		assert_true(is_suspended(name));
	}
}

static void over_a_restart(void **state)
{
	(void)state;
	int64_t now_ms = clock_wall_ms();
	struct suspension rows[] = {
		{ .kind = SUSPENSION_SITE,
			.source = SUSPENSION_BY_RULE,
			.name = VIEW("Google"),
			.stream = VIEW("shop"),
			.until_ms = now_ms + HOUR_MS,
			.reason = VIEW("421 4.7.28 Too fast") },
		{ .kind = SUSPENSION_SITE,
			.source = SUSPENSION_BY_RULE,
			.name = VIEW("ended"),
			.until_ms = now_ms - 1 },
		{ .kind = SUSPENSION_SITE, .source = SUSPENSION_BY_OPERATOR, .name = VIEW("ours") },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		testing_write(&t, set_row, &rows[i]);
	assert_int_equal(dispatcher_begin_suspensions(d), ERR_OK);
	assert_true(is_suspended("site/google@shop"));
	assert_null(limiter_find(d->limiters, VIEW("site/ended@")));
	assert_null(limiter_find(d->limiters, VIEW("site/ours@")));
	struct limiter *google = limiter_find(d->limiters, VIEW("site/google@shop"));
	assert_in_range(google->suspended_until_ms - loop_now_ms(d->loop), HOUR_MS - 60000, HOUR_MS);
	assert_non_null(strstr(google->reason, "421 4.7.28 Too fast"));
	limiter_table_tidy(d->limiters, loop_now_ms(d->loop));
	assert_true(is_suspended("site/google@shop"));
	/* It is in force until the same time, not longer for being known from disk; and an operator lifts it as any other. */
	suspend("google", "shop", "421 4.7.28 Too fast", HOUR_MS / 2);
	run(0);
	assert_int_equal(testing_count(&t, "SELECT until_ms FROM suspension WHERE name = 'google'"), now_ms + HOUR_MS);
	testing_write(&t, lift, "google");
	reload();
	assert_false(is_suspended("site/google@shop"));
}

static void forgotten_when_it_ended(void **state)
{
	(void)state;
	suspend("short", "", "421 a", 1);
	suspend("long", "", "421 b", HOUR_MS);
	run(20);
	dispatcher_shaped_tidy(d);
	limiter_table_tidy(d->limiters, loop_now_ms(d->loop));
	run(0);
	assert_null(limiter_find(d->limiters, VIEW("site/short@")));
	assert_true(is_suspended("site/long@"));
	assert_int_equal(testing_count(&t, COUNT_ROWS), 1);
	/* Nothing is written while nothing ends. */
	uint64_t before = store_counts(t.server.store).jobs;
	dispatcher_shaped_tidy(d);
	run(0);
	assert_int_equal(store_counts(t.server.store).jobs, before);
}

static enum err break_table(struct db *db, const void *arg)
{
	return db_exec(db, arg);
}

/* What can't be written is in force, and written when that is possible. */
static void unwritten(void **state)
{
	(void)state;
	testing_write(&t, break_table, "ALTER TABLE suspension RENAME TO elsewhere");
	suspend("google", "", "421 a", HOUR_MS);
	run(0);
	assert_true(is_suspended("site/google@"));
	testing_write(&t, break_table, "ALTER TABLE elsewhere RENAME TO suspension");
	reload();
	assert_true(is_suspended("site/google@"));
	dispatcher_shaped_tidy(d);
	run(0);
	assert_int_equal(testing_count(&t, COUNT_ROWS), 1);
}

static unsigned told;
static void tell(struct dispatcher_follow *follow)
{
	(void)follow;
	told++;
	assert_false(is_suspended("site/google@"));
	loop_stop(t.loop);
}

/* Who follows is told when what was lifted is in force. */
static void followers(void **state)
{
	(void)state;
	suspend("google", "", "421 a", HOUR_MS);
	run(0);
	testing_write(&t, lift, "google");
	struct dispatcher_follow follows[3];
	for (size_t i = 0; i < 3; i++) {
		dispatcher_follow_suspensions(d, t.loop, &follows[i], tell);
		if (i == 1)
			run(0);
	}
	run(5);
	while (told < 3)
		loop_run(t.loop);
	assert_false(is_suspended("site/google@"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(written_when_it_begins, setup, teardown),
		cmocka_unit_test_setup_teardown(lifted_in_the_store, setup, teardown),
		cmocka_unit_test_setup_teardown(begun_while_reading, setup, teardown),
		cmocka_unit_test_setup_teardown(over_a_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(forgotten_when_it_ended, setup, teardown),
		cmocka_unit_test_setup_teardown(unwritten, setup, teardown),
		cmocka_unit_test_setup_teardown(followers, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
