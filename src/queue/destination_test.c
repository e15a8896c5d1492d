#include "queue/destination.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define MAX_MS 3600000

static struct destination_table *table;

static int setup(void **state)
{
	(void)state;
	table = destination_table_new();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	destination_table_free(table);
	return 0;
}

static struct destination *get(const char *key, uint32_t max)
{
	return destination_get(table, view_from_cstr(key), max);
}

static struct destination *next(void)
{
	return destination_next_runnable(table, DESTINATION_MAY_OPEN);
}

/* A destination that has proved itself may use all its connections at once. */
static struct destination *get_proven(const char *key, uint32_t max)
{
	struct destination *d = get(key, max);
	for (uint32_t i = 0; i < max; i++)
		destination_succeeded(table, d);
	return d;
}

static void one_for_each_key(void **state)
{
	(void)state;
	struct destination *a = get("mx/example.net", 5);
	assert_ptr_equal(get("MX/Example.NET", 7), a);
	assert_int_equal(a->connections_max, 7);
	assert_ptr_not_equal(get("mx/example.org", 5), a);
	assert_int_equal(destination_count(table), 2);
	assert_true(destination_release(table, a));
	assert_int_equal(destination_count(table), 1);
	assert_int_equal(get("mx/example.net", 5)->connections, 0);
}

static void many_keys(void **state)
{
	(void)state;
	char key[32];
	static struct destination *made[1000];
	for (int i = 0; i < 1000; i++) {
		snprintf(key, sizeof key, "mx/d%d.example", i);
		made[i] = get(key, 1);
	}
	for (int i = 0; i < 1000; i++) {
		snprintf(key, sizeof key, "mx/d%d.example", i);
		assert_ptr_equal(get(key, 1), made[i]);
	}
	assert_int_equal(destination_count(table), 1000);
}

static void first_come_first_served(void **state)
{
	(void)state;
	struct destination *d = get("a", 5);
	struct list deliveries[3];
	destination_add(table, d, &deliveries[0]);
	destination_add(table, d, &deliveries[1]);
	destination_add_first(table, d, &deliveries[2]);
	assert_int_equal(d->waiting_count, 3);
	assert_ptr_equal(destination_take(table, d), &deliveries[2]);
	assert_ptr_equal(destination_take(table, d), &deliveries[0]);
	assert_ptr_equal(destination_take(table, d), &deliveries[1]);
	assert_null(destination_take(table, d));
	assert_null(next());
}

static void in_turn(void **state)
{
	(void)state;
	struct destination *d[3] = { get("a", 5), get("b", 5), get("c", 5) };
	struct list deliveries[6];
	for (int i = 0; i < 6; i++)
		destination_add(table, d[i % 3], &deliveries[i]);
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 3; i++) {
			assert_ptr_equal(next(), d[i]);
			assert_ptr_equal(destination_take(table, d[i]), &deliveries[round * 3 + i]);
		}
	assert_null(next());
}

/* A burst begins on two connections; each that works brings one more, a failure begins anew. */
static void window(void **state)
{
	(void)state;
	struct destination *d = get("a", 4);
	struct list deliveries[8];
	for (int i = 0; i < 8; i++)
		destination_add(table, d, &deliveries[i]);
	uint32_t opened = 0;
	while (next() == d) {
		destination_opened(table, d);
		opened++;
	}
	assert_int_equal(opened, 2);
	for (uint32_t most = 3; most <= 6; most++) {
		destination_succeeded(table, d);
		if (next() == d)
			destination_opened(table, d);
		assert_int_equal(d->connections, most < 4 ? most : 4);
	}
	while (d->connections > 0)
		destination_closed(table, d);
	destination_failed(table, d, 0, 30000, MAX_MS);
	(void)destination_unblock(table, INT64_MAX);
	for (opened = 0; next() == d; opened++)
		destination_opened(table, d);
	assert_int_equal(opened, 2);
	while (d->connections > 0)
		destination_closed(table, d);
	while (destination_take(table, d) != NULL)
		continue;
}

static void limits_that_shrink(void **state)
{
	(void)state;
	struct destination *d = get_proven("a", 4);
	struct list delivery;
	destination_opened(table, d);
	destination_opened(table, d);
	destination_add(table, d, &delivery);
	assert_ptr_equal(next(), d);
	/* A reload allows fewer than there are. */
	assert_ptr_equal(get("a", 2), d);
	assert_null(next());
	destination_closed(table, d);
	assert_ptr_equal(next(), d);
	destination_closed(table, d);
	(void)destination_take(table, d);
}

static void blocked(void **state)
{
	(void)state;
	static const int64_t waits_ms[] = { 30000, 60000, 120000, 240000, 480000, 960000, 1920000, MAX_MS, MAX_MS };
	struct destination *d = get("a", 4);
	struct list delivery;
	destination_add(table, d, &delivery);
	for (size_t i = 0; i < sizeof waits_ms / sizeof waits_ms[0]; i++) {
		destination_failed(table, d, 1000, 30000, MAX_MS);
		assert_int_equal(d->blocked_until_ms, 1000 + waits_ms[i]);
		assert_null(next());
		assert_false(destination_release(table, d));
		assert_int_equal(destination_unblock(table, 999 + waits_ms[i]), 1000 + waits_ms[i]);
		assert_null(next());
		assert_true(destination_unblock(table, 1000 + waits_ms[i]) == INT64_MAX);
		assert_ptr_equal(next(), d);
	}
	destination_failed(table, d, 1000, 30000, MAX_MS);
	destination_succeeded(table, d);
	assert_int_equal(d->blocked_until_ms, 0);
	assert_int_equal(d->failures, 0);
	assert_ptr_equal(next(), d);
	(void)destination_take(table, d);
}

/* Dead domains are not remembered beyond their time. */
static void forgotten_when_unblocked(void **state)
{
	(void)state;
	destination_failed(table, get("a", 4), 0, 1000, MAX_MS);
	destination_failed(table, get("b", 4), 0, 5000, MAX_MS);
	assert_int_equal(destination_unblock(table, 1000), 5000);
	assert_int_equal(destination_count(table), 1);
	assert_true(destination_unblock(table, 5000) == INT64_MAX);
	assert_int_equal(destination_count(table), 0);
}

/* An idle connection makes a full destination runnable, for as long as it is there. */
static void idle_connections(void **state)
{
	(void)state;
	struct destination *d = get("a", 1);
	struct list connection, delivery;
	list_init(&connection);
	destination_opened(table, d);
	destination_idle_add(table, d, &connection);
	assert_null(next());
	destination_add(table, d, &delivery);
	assert_ptr_equal(next(), d);
	/* It goes away before it is used. */
	destination_idle_remove(table, d, &connection);
	assert_null(next());
	destination_idle_add(table, d, &connection);
	assert_ptr_equal(destination_next_runnable(table, DESTINATION_MAY_NOT_OPEN), d);
	assert_ptr_equal(destination_idle_take(table, d), &connection);
	assert_null(destination_idle_take(table, d));
	assert_null(next());
	destination_idle_remove(table, d, &connection);
	destination_closed(table, d);
	assert_ptr_equal(next(), d);
	(void)destination_take(table, d);
}

/* Where the limit of all connections is reached, what needs none goes on. */
static void without_leave_to_open(void **state)
{
	(void)state;
	struct destination *far = get("mx/a", 4), *here = get("mailboxes", 2), *reused = get("mx/b", 1);
	struct list deliveries[4], connection;
	here->is_local = true;
	destination_add(table, far, &deliveries[0]);
	assert_null(destination_next_runnable(table, DESTINATION_MAY_NOT_OPEN));
	assert_true(destination_wants_connection(table));
	destination_add(table, here, &deliveries[1]);
	destination_add(table, reused, &deliveries[2]);
	destination_opened(table, reused);
	destination_idle_add(table, reused, &connection);
	assert_ptr_equal(destination_next_runnable(table, DESTINATION_MAY_NOT_OPEN), here);
	assert_ptr_equal(destination_next_runnable(table, DESTINATION_MAY_NOT_OPEN), reused);
	(void)destination_take(table, here);
	(void)destination_idle_take(table, reused);
	(void)destination_take(table, reused);
	assert_null(destination_next_runnable(table, DESTINATION_MAY_NOT_OPEN));
	assert_ptr_equal(next(), far);
	(void)destination_take(table, far);
	assert_false(destination_wants_connection(table));
	destination_closed(table, reused);
}

/* Near the limit of all connections, those that have none yet come first, and alone. */
static void leave_for_first_connections(void **state)
{
	(void)state;
	struct destination *served = get_proven("mx/a", 4), *unserved = get("mx/b", 4);
	struct list deliveries[4];
	destination_add(table, served, &deliveries[0]);
	destination_opened(table, served);
	assert_ptr_equal(next(), served);
	assert_null(destination_next_runnable(table, DESTINATION_MAY_OPEN_FIRST));
	assert_true(destination_wants_connection(table));
	destination_add(table, unserved, &deliveries[1]);
	destination_add(table, unserved, &deliveries[2]);
	assert_null(destination_next_runnable(table, DESTINATION_MAY_NOT_OPEN));
	assert_ptr_equal(destination_next_runnable(table, DESTINATION_MAY_OPEN_FIRST), unserved);
	assert_ptr_equal(next(), unserved);
	destination_opened(table, unserved);
	assert_null(destination_next_runnable(table, DESTINATION_MAY_OPEN_FIRST));
	assert_ptr_equal(next(), served);
	assert_ptr_equal(next(), unserved);
	destination_closed(table, unserved);
	assert_ptr_equal(destination_next_runnable(table, DESTINATION_MAY_OPEN_FIRST), unserved);
	destination_closed(table, served);
	for (int i = 0; i < 2; i++)
		(void)destination_take(table, unserved);
	(void)destination_take(table, served);
	assert_null(next());
}

/* Connections that carry nothing bring no more of them. */
static void window_of_the_silent(void **state)
{
	(void)state;
	struct destination *d = get("mx/a", 20);
	uint32_t first = d->window;
	destination_failed(table, d, 1000, 100, 1000);
	for (int i = 0; i < 10; i++)
		destination_connected(table, d);
	assert_int_equal(d->window, first);
	assert_int_equal(d->failures, 0);
	assert_int_equal(d->blocked_until_ms, 0);
	destination_succeeded(table, d);
	assert_int_equal(d->window, first + 1);
}

static void take_all(void *owner, struct destination *d)
{
	while (destination_take(table, d) != NULL)
		(*(int *)owner)++;
}

static void each_frees_the_empty_ones(void **state)
{
	(void)state;
	struct list deliveries[3];
	struct destination *open = get("a", 4);
	destination_opened(table, open);
	destination_add(table, open, &deliveries[0]);
	destination_add(table, get("b", 4), &deliveries[1]);
	struct destination *dead = get("c", 4);
	destination_add(table, dead, &deliveries[2]);
	destination_failed(table, dead, 0, 1000, MAX_MS);
	int taken = 0;
	destination_each(table, take_all, &taken);
	assert_int_equal(taken, 3);
	assert_int_equal(destination_count(table), 2);
	destination_closed(table, open);
	assert_null(next());
}

/* Three connections, the fourth is refused: three it is, and one more is tried only after many successes. */
static void enough_connections(void **state)
{
	(void)state;
	struct destination *d = get_proven("mx/example.net", 20);
	struct list work;
	list_init(&work);
	for (int i = 0; i < 4; i++)
		destination_opened(table, d);
	destination_refused_more(table, d);
	destination_closed(table, d);
	destination_add(table, d, &work);
	assert_null(next());
	for (int i = 0; i < 199; i++)
		destination_succeeded(table, d);
	assert_null(next());
	destination_succeeded(table, d);
	destination_closed(table, d);
	destination_opened(table, d);
	assert_ptr_equal(next(), d);
	assert_ptr_equal(destination_take(table, d), &work);
	for (int i = 0; i < 3; i++)
		destination_closed(table, d);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(one_for_each_key),
		CASE(many_keys),
		CASE(first_come_first_served),
		CASE(in_turn),
		CASE(window),
		CASE(enough_connections),
		CASE(limits_that_shrink),
		CASE(blocked),
		CASE(forgotten_when_unblocked),
		CASE(idle_connections),
		CASE(without_leave_to_open),
		CASE(leave_for_first_connections),
		CASE(window_of_the_silent),
		CASE(each_frees_the_empty_ones),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
