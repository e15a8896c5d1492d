#include "queue/testing_destination.h"

#include <stdio.h>

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
	destination_add(table, d, &deliveries[0], 0);
	destination_add(table, d, &deliveries[1], 0);
	destination_add_first(table, d, &deliveries[2], 0);
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
		destination_add(table, d[i % 3], &deliveries[i], 0);
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
		destination_add(table, d, &deliveries[i], 0);
	uint32_t opened = 0;
	while (next() == d) {
		destination_opened(table, d);
		opened++;
	}
	assert_int_equal(opened, 2);
	for (uint32_t most = 3; most <= 6; most++) {
		destination_succeeded(table, d, 0);
		if (next() == d)
			destination_opened(table, d);
		assert_int_equal(d->connections, most < 4 ? most : 4);
	}
	while (d->connections > 0)
		destination_closed(table, d);
	destination_failed(table, d, 0, 30000, MAX_MS);
	destination_forget_failures(table);
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
	destination_add(table, d, &delivery, 0);
	assert_ptr_equal(next(), d);
	/* A reload allows fewer than there are. */
	assert_ptr_equal(get("a", 2), d);
	assert_null(next());
	destination_closed(table, d);
	assert_ptr_equal(next(), d);
	destination_closed(table, d);
	(void)destination_take(table, d);
}

/* Wakes what is due, and says when something is due again. */
static void blocked(void **state)
{
	(void)state;
	static const int64_t waits_ms[] = { 30000, 60000, 120000, 240000, 480000, 960000, 1920000, MAX_MS, MAX_MS };
	struct destination *d = get("a", 4);
	struct list delivery;
	destination_add(table, d, &delivery, 0);
	for (size_t i = 0; i < sizeof waits_ms / sizeof waits_ms[0]; i++) {
		destination_failed(table, d, 1000, 30000, MAX_MS);
		assert_int_equal(d->blocked_until_ms, 1000 + waits_ms[i]);
		assert_null(next());
		assert_false(destination_release(table, d));
		assert_int_equal(wake(999 + waits_ms[i]), 1000 + waits_ms[i]);
		assert_null(next());
		assert_true(wake(1000 + waits_ms[i]) == INT64_MAX);
		assert_ptr_equal(next(), d);
	}
	destination_failed(table, d, 1000, 30000, MAX_MS);
	destination_succeeded(table, d, 0);
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
	assert_int_equal(wake(1000), 5000);
	assert_int_equal(destination_count(table), 1);
	assert_true(wake(5000) == INT64_MAX);
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
	destination_add(table, d, &delivery, 0);
	assert_ptr_equal(next(), d);
	/* It goes away before it is used. */
	destination_idle_remove(table, d, &connection);
	assert_null(next());
	destination_idle_add(table, d, &connection);
	assert_ptr_equal(destination_next_runnable(table, DESTINATION_MAY_NOT_OPEN), d);
	destination_idle_remove(table, d, &connection);
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
	destination_add(table, far, &deliveries[0], 0);
	assert_null(destination_next_runnable(table, DESTINATION_MAY_NOT_OPEN));
	assert_true(destination_wants_connection(table));
	destination_add(table, here, &deliveries[1], 0);
	destination_add(table, reused, &deliveries[2], 0);
	destination_opened(table, reused);
	destination_idle_add(table, reused, &connection);
	assert_ptr_equal(destination_next_runnable(table, DESTINATION_MAY_NOT_OPEN), here);
	assert_ptr_equal(destination_next_runnable(table, DESTINATION_MAY_NOT_OPEN), reused);
	(void)destination_take(table, here);
	destination_idle_remove(table, reused, &connection);
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
	destination_add(table, served, &deliveries[0], 0);
	destination_opened(table, served);
	assert_ptr_equal(next(), served);
	assert_null(destination_next_runnable(table, DESTINATION_MAY_OPEN_FIRST));
	assert_true(destination_wants_connection(table));
	destination_add(table, unserved, &deliveries[1], 0);
	destination_add(table, unserved, &deliveries[2], 0);
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
	destination_succeeded(table, d, 0);
	assert_int_equal(d->window, first + 1);
}

static void each_frees_the_empty_ones(void **state)
{
	(void)state;
	struct list deliveries[3];
	struct destination *open = get("a", 4);
	destination_opened(table, open);
	destination_add(table, open, &deliveries[0], 0);
	destination_add(table, get("b", 4), &deliveries[1], 0);
	struct destination *dead = get("c", 4);
	destination_add(table, dead, &deliveries[2], 0);
	destination_failed(table, dead, 0, 1000, MAX_MS);
	int taken = 0;
	destination_each(table, take_all, &taken);
	assert_int_equal(taken, 3);
	assert_int_equal(destination_count(table), 2);
	destination_closed(table, open);
	assert_null(next());
}

/* Three connections, the fourth is refused: three it is, and one more is tried only after a while; each time it is refused again, after a longer one. */
static void enough_connections(void **state)
{
	(void)state;
	static const int64_t waits_ms[] = { 10000, 20000, 40000, 80000, 160000, 320000, 320000 };
	struct destination *d = get_proven("mx/example.net", 20);
	struct list work;
	int64_t now_ms = 1000;
	list_init(&work);
	for (int i = 0; i < 3; i++)
		destination_opened(table, d);
	destination_add(table, d, &work, 0);
	for (size_t i = 0; i < sizeof waits_ms / sizeof waits_ms[0]; i++) {
		assert_ptr_equal(next(), d);
		destination_opened(table, d);
		d->proven = 3;
		destination_refused_more(table, d, now_ms);
		destination_closed(table, d);
		for (int n = 0; n < 1000; n++)
			destination_succeeded(table, d, now_ms + waits_ms[i] - 1);
		assert_null(next());
		now_ms += waits_ms[i];
		/* One more at a time: as long as it has not come through, no other. */
		destination_succeeded(table, d, now_ms);
		assert_int_equal(d->window, 4);
		destination_opened(table, d);
		destination_succeeded(table, d, now_ms);
		assert_int_equal(d->window, 4);
		destination_closed(table, d);
	}
	assert_ptr_equal(destination_take(table, d), &work);
	for (int i = 0; i < 3; i++)
		destination_closed(table, d);
}

/* A single passing failure: the window is what it was soon after, and what the next trouble costs is not more for it. */
static void passing_trouble(void **state)
{
	(void)state;
	struct destination *d = get_proven("mx/example.net", 20);
	for (int i = 0; i < 16; i++)
		destination_opened(table, d);
	d->proven = 16;
	destination_strained(table, d, 1000);
	assert_int_equal(d->window, 8);
	for (int i = 0; i < 5; i++)
		destination_strained(table, d, 1000 + i); /* side by side: one trouble */
	assert_int_equal(d->window, 8);
	while (d->connections > 8)
		destination_closed(table, d);
	d->proven = 8;
	for (int i = 0; i < 30; i++) {
		destination_succeeded(table, d, 11000);
		while (d->connections < d->window) {
			destination_opened(table, d);
			d->proven++;
		}
	}
	assert_int_equal(d->window, 20);
	assert_int_equal(d->troubles, 0);
	destination_strained(table, d, 20000);
	assert_int_equal(d->window, 10);
	assert_int_equal(d->grow_at_ms, 30000);
	while (d->connections > 0)
		destination_closed(table, d);
	d->proven = 0;
	destination_strained(table, d, 30000);
	assert_int_equal(d->window, 1);
}

static void by_priority(void **state)
{
	(void)state;
	static const int32_t priorities[] = { 0, 9, -9, 0, 4, 100, -100, 9 };
	static const size_t order[] = { 1, 5, 7, 4, 0, 3, 2, 6 };
	struct destination *d = get("a", 5);
	struct list deliveries[9];
	for (size_t i = 0; i < 8; i++)
		destination_add(table, d, &deliveries[i], priorities[i]);
	destination_add_first(table, d, &deliveries[8], 0);
	assert_ptr_equal(destination_first(d), &deliveries[1]);
	for (size_t i = 0; i < 4; i++)
		assert_ptr_equal(destination_take(table, d), &deliveries[order[i]]);
	assert_ptr_equal(destination_take(table, d), &deliveries[8]);
	for (size_t i = 4; i < 8; i++)
		assert_ptr_equal(destination_take(table, d), &deliveries[order[i]]);
	assert_null(destination_first(d));
	assert_null(destination_take(table, d));
}

static bool is_wanted(void *owner, struct list *delivery)
{
	return delivery == owner;
}

static struct list many[100];

static bool is_low(void *owner, struct list *delivery)
{
	(void)owner;
	return delivery >= &many[10];
}

/* A free connection chooses among the first few; only who gives up a domain looks through all. */
static void fitting(void **state)
{
	(void)state;
	struct destination *d = get("a", 5);
	for (size_t i = 0; i < 100; i++)
		destination_add(table, d, &many[i], i < 10 ? 1 : 0);
	assert_ptr_equal(destination_take_fitting(table, d, is_wanted, &many[31]), &many[31]);
	assert_null(destination_take_fitting(table, d, is_wanted, &many[40]));
	struct list taken;
	list_init(&taken);
	destination_take_all_fitting(table, d, is_wanted, &many[99], &taken);
	assert_ptr_equal(list_take_first(&taken), &many[99]);
	assert_true(list_is_empty(&taken));
	assert_int_equal(d->waiting_count, 98);
	destination_take_all_fitting(table, d, is_low, NULL, &taken);
	for (size_t i = 10; i < 99; i++)
		if (i != 31)
			assert_ptr_equal(list_take_first(&taken), &many[i]);
	assert_true(list_is_empty(&taken));
	assert_int_equal(d->waiting_count, 10);
	while (destination_take(table, d) != NULL)
		continue;
}

static void left_on_disk(void **state)
{
	(void)state;
	struct destination *a = get("a", 5), *b = get("b", 5);
	struct list deliveries[3];
	assert_null(destination_next_left(table, 10));
	destination_set_left(table, a, &(struct destination_left){ .any = true, .due_ms = 7 });
	destination_set_left(table, b, &(struct destination_left){ .any = true });
	for (size_t i = 0; i < 3; i++)
		destination_add(table, a, &deliveries[i], 0);
	assert_ptr_equal(destination_next_left(table, 3), a);
	assert_ptr_equal(destination_next_left(table, 3), b);
	assert_ptr_equal(destination_next_left(table, 2), b);
	destination_failed(table, b, 0, 1000, MAX_MS);
	assert_null(destination_next_left(table, 2));
	destination_forget_failures(table);
	assert_ptr_equal(destination_next_left(table, 2), b);
	while (destination_take(table, a) != NULL)
		continue;
	assert_false(destination_release(table, a));
	assert_int_equal(a->left.due_ms, 7);
	destination_set_left(table, a, &(struct destination_left){ .reading = true });
	assert_ptr_equal(destination_next_left(table, 2), b);
	assert_false(destination_release(table, a));
	a->left.reading = false;
	assert_true(destination_release(table, a));
	destination_forget_left(table);
	assert_int_equal(destination_count(table), 0);
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
		CASE(passing_trouble),
		CASE(by_priority),
		CASE(fitting),
		CASE(left_on_disk),
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
