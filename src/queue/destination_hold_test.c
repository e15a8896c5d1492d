/* Destinations under limiters: held until there is room, or for a time, and woken then. */
#include "queue/testing_destination.h"

#include <stdio.h>

static struct limiter_table *limiters;

static int setup_limiters(void **state)
{
	limiters = limiter_table_new();
	return setup(state);
}

static int teardown_limiters(void **state)
{
	int result = teardown(state);
	limiter_table_free(limiters);
	return result;
}

/* Ten destinations of a site that may have two connections: two have one, eight wait without being looked at, until one closes. */
static void held_to_connect(void **state)
{
	(void)state;
	struct limiter *site = limiter_get(limiters, VIEW("site/x"), &(struct limiter_limits){ .connections = 2 });
	struct destination *d[10];
	struct list deliveries[10];
	char key[20];
	for (size_t i = 0; i < 10; i++) {
		snprintf(key, sizeof key, "mx/%zu", i);
		d[i] = get(key, 5);
		destination_set_limiters(table, d[i], 1, &site);
		destination_add(table, d[i], &deliveries[i], 0);
	}
	assert_int_equal(site->users, 10);
	size_t opened = 0, asked = 0;
	struct destination *open[10];
	for (struct destination *one; (one = next()) != NULL; asked++)
		if (destination_may_open(table, one, 100)) {
			(void)destination_take(table, one);
			destination_opened(table, one);
			open[opened++] = one;
		}
	assert_int_equal(opened, 2);
	assert_int_equal(asked, 10);
	assert_true(wake(100) == INT64_MAX);
	assert_true(wake(1000000) == INT64_MAX);
	assert_null(next());
	/* Each that closes lets one more go, in turn: nobody starves. */
	for (size_t closed = 0; closed < 10; closed++) {
		destination_closed(table, open[closed]);
		for (asked = 0; destination_wake(table, 200);)
			for (struct destination *one; (one = next()) != NULL; asked++)
				if (destination_may_open(table, one, 200)) {
					(void)destination_take(table, one);
					destination_opened(table, one);
					open[opened++] = one;
				}
		assert_in_range(asked, closed < 8 ? 1 : 0, 4);
		assert_int_equal(opened, closed < 8 ? closed + 3 : 10);
	}
	assert_int_equal(site->connections, 0);
}

/* Five that always have more, and one connection for all of them: each has its turn. Those that are let go in vain don't lose theirs. */
static void nobody_starves(void **state)
{
	(void)state;
	struct limiter *site = limiter_get(limiters, VIEW("site/x"), &(struct limiter_limits){ .connections = 1 });
	static struct list deliveries[5][40];
	struct destination *d[5], *open = NULL;
	int served[5] = { 0 };
	char key[20];
	for (size_t i = 0; i < 5; i++) {
		snprintf(key, sizeof key, "mx/%zu", i);
		d[i] = get(key, 5);
		destination_set_limiters(table, d[i], 1, &site);
		for (size_t j = 0; j < 40; j++)
			destination_add(table, d[i], &deliveries[i][j], 0);
	}
	for (int turn = 0; turn < 20; turn++) {
		if (open != NULL)
			destination_closed(table, open);
		open = NULL;
		do
			for (struct destination *one; (one = next()) != NULL;)
				if (destination_may_open(table, one, 0)) {
					assert_null(open);
					(void)destination_take(table, one);
					destination_opened(table, one);
					open = one;
				}
		while (destination_wake(table, 0));
		assert_non_null(open);
		for (size_t i = 0; i < 5; i++)
			served[i] += open == d[i];
	}
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(served[i], 4);
	destination_closed(table, open);
	int taken = 0;
	destination_each(table, take_all, &taken);
}

/* A connection that has nothing to do may be closed for those who wait for one: they are asked. */
static void idle_is_as_good_as_closed(void **state)
{
	(void)state;
	struct limiter *site = limiter_get(limiters, VIEW("site/x"), &(struct limiter_limits){ .connections = 1 });
	struct destination *d = get("mx/a", 5), *other = get("mx/b", 5);
	struct list delivery, connection;
	list_init(&connection);
	destination_set_limiters(table, d, 1, &site);
	destination_set_limiters(table, other, 1, &site);
	destination_opened(table, d);
	destination_add(table, other, &delivery, 0);
	assert_false(destination_may_open(table, other, 0));
	assert_int_equal(wake(0), INT64_MAX);
	assert_false(destination_waits_for_share(table));
	site->is_share = true;
	assert_true(destination_waits_for_share(table));
	destination_idle_add(table, d, &connection);
	assert_true(destination_wake(table, 0));
	assert_ptr_equal(next(), other);
	assert_false(destination_may_open(table, other, 0));
	assert_ptr_equal(destination_held_by(other), site);
	assert_false(destination_wake(table, 0));
	destination_idle_remove(table, d, &connection);
	destination_closed(table, d);
	assert_true(destination_wake(table, 0));
	assert_false(destination_waits_for_share(table));
	(void)destination_take(table, other);
}

/* A rate: who may not send now is left alone until the limiter's time, also where a connection is idle; others go on. */
static void held_to_send(void **state)
{
	(void)state;
	struct limiter_limits limits = { .rate_count = 1, .rates = { { 1, 1000 } } };
	struct limiter *slow = limiter_get(limiters, VIEW("stream/slow"), &limits);
	struct destination *d = get("mx/a@slow", 5), *other = get("mx/a", 5);
	struct list deliveries[3], connection;
	list_init(&connection);
	destination_set_limiters(table, d, 1, &slow);
	destination_add(table, d, &deliveries[0], 0);
	destination_add(table, d, &deliveries[1], 0);
	int64_t now_ms = 5000;
	while (!destination_may_send(table, d, now_ms))
		now_ms = wake(now_ms); /* a new limiter may begin empty */
	destination_sent(d, now_ms);
	(void)destination_take(table, d);
	destination_opened(table, d);
	destination_idle_add(table, d, &connection);
	assert_ptr_equal(next(), d);
	assert_false(destination_may_send(table, d, now_ms));
	assert_null(next());
	destination_add(table, other, &deliveries[2], 0);
	assert_ptr_equal(next(), other);
	(void)destination_take(table, other);
	int64_t again_ms = wake(now_ms);
	assert_in_range(again_ms, now_ms + 1, now_ms + 1000);
	assert_null(next());
	/* What came to nothing is given back. */
	destination_unsent(table, d, now_ms);
	(void)wake(now_ms);
	assert_ptr_equal(next(), d);
	assert_true(destination_may_send(table, d, now_ms));
	destination_sent(d, now_ms);
	assert_false(destination_may_send(table, d, now_ms));
	assert_int_equal(wake(now_ms), again_ms);
	assert_null(next());
	(void)wake(again_ms);
	assert_ptr_equal(next(), d);
	assert_true(destination_may_send(table, d, again_ms));
	(void)destination_take(table, d);
	destination_idle_remove(table, d, &connection);
	destination_closed(table, d);
}

/* Held for one reason and let go, it is held for the next one; nothing spins, and whoever is freed waits nowhere. */
static void held_by_several(void **state)
{
	(void)state;
	struct limiter *both[2] = { limiter_get(limiters, VIEW("site/x@"), &(struct limiter_limits){ 0 }),
		limiter_get(limiters, VIEW("stream/y"), &(struct limiter_limits){ .connections = 1 }) };
	struct destination *d = get("mx/a", 5), *e = get("mx/b", 5);
	struct list deliveries[2];
	destination_set_limiters(table, d, 2, both);
	destination_set_limiters(table, e, 2, both);
	destination_add(table, d, &deliveries[0], 0);
	destination_add(table, e, &deliveries[1], 0);
	limiter_suspend(both[0], 1000, VIEW("why"));
	assert_ptr_equal(destination_suspended(d, 999), both[0]);
	assert_null(destination_suspended(d, 1000));
	assert_false(destination_may_open(table, d, 0));
	assert_false(destination_may_open(table, e, 0));
	assert_null(next());
	assert_int_equal(wake(999), 1000);
	(void)wake(1000);
	assert_ptr_equal(next(), d);
	assert_true(destination_may_open(table, d, 1000));
	destination_opened(table, d);
	assert_false(destination_may_open(table, e, 1000));
	assert_true(destination_is_under(e, both[1]));
	assert_true(wake(5000) == INT64_MAX);
	/* Limits that change let it go. */
	destination_set_limiters(table, e, 1, both);
	assert_false(destination_is_under(e, both[1]));
	assert_true(destination_may_open(table, e, 5000));
	assert_int_equal(both[1]->connections, 1);
	destination_set_limiters(table, d, 1, both);
	assert_int_equal(both[1]->connections, 0);
	assert_int_equal(both[1]->users, 0);
	(void)destination_take(table, e);
	assert_true(destination_release(table, e));
	(void)destination_take(table, d);
	destination_closed(table, d);
}

/* Who waits for a suspension to end is let go when it is lifted. */
static void resumed_before_its_time(void **state)
{
	(void)state;
	struct limiter *site = limiter_get(limiters, VIEW("site/x@"), &(struct limiter_limits){ 0 });
	struct destination *d = get("mx/a", 5), *e = get("mx/b", 5);
	struct list deliveries[2];
	destination_set_limiters(table, d, 1, &site);
	destination_set_limiters(table, e, 1, &site);
	destination_add(table, d, &deliveries[0], 0);
	destination_add(table, e, &deliveries[1], 0);
	limiter_suspend(site, 3600000, VIEW("why"));
	assert_false(destination_may_open(table, d, 0));
	assert_false(destination_may_open(table, e, 0));
	assert_int_equal(wake(10), 3600000);
	limiter_resume(site);
	destination_ask_again(table, site);
	assert_true(wake(10) == INT64_MAX);
	assert_ptr_equal(next(), d);
	assert_ptr_equal(next(), e);
	assert_true(destination_may_open(table, d, 10) && destination_may_open(table, e, 10));
	destination_ask_again(table, site); /* nobody waits */
	destination_ask_again(table, limiter_get(limiters, VIEW("site/y@"), &(struct limiter_limits){ 0 }));
	assert_true(wake(10) == INT64_MAX);
	(void)destination_take(table, d);
	(void)destination_take(table, e);
}

/* A rate's time is kept though another, who wants a connection, is told to wait until one closes. */
static void rate_beside_connections(void **state)
{
	(void)state;
	struct limiter_limits limits = { .connections = 1, .rate_count = 1, .rates = { { 1, 1000 } } };
	struct limiter *site = limiter_get(limiters, VIEW("site/x"), &limits);
	struct destination *d = get("mx/a", 5), *others[6];
	struct list deliveries[7], connection;
	char key[20];
	list_init(&connection);
	destination_set_limiters(table, d, 1, &site);
	destination_add(table, d, &deliveries[0], 0);
	destination_opened(table, d);
	destination_idle_add(table, d, &connection);
	for (size_t i = 0; i < 6; i++) {
		snprintf(key, sizeof key, "mx/%zu", i);
		others[i] = get(key, 5);
		destination_set_limiters(table, others[i], 1, &site);
		destination_add(table, others[i], &deliveries[i + 1], 0);
		assert_false(destination_may_open(table, others[i], 5000));
	}
	destination_sent(d, 5000);
	assert_false(destination_may_send(table, d, 5000));
	assert_false(destination_may_open(table, others[5], 5000));
	assert_null(next());
	int64_t again_ms = destination_next_wake_ms(table);
	assert_in_range(again_ms, 5001, 6000);
	(void)wake(again_ms);
	assert_ptr_equal(next(), d);
	assert_true(destination_may_send(table, d, again_ms));
	(void)destination_take(table, d);
	destination_idle_remove(table, d, &connection);
	destination_closed(table, d);
	for (size_t i = 0; i < 6; i++)
		(void)destination_take(table, others[i]);
}

/* What the old limits said is forgotten with them, also where the limiter is still the same; and who goes elsewhere leaves room. */
static void limits_are_set_anew(void **state)
{
	(void)state;
	struct limiter *site = limiter_get(limiters, VIEW("site/x"), &(struct limiter_limits){ .connections = 1 });
	struct limiter *elsewhere = limiter_get(limiters, VIEW("site/y"), &(struct limiter_limits){ 0 });
	struct destination *d = get("mx/a", 5), *e = get("mx/b", 5);
	struct list deliveries[3];
	destination_set_limiters(table, d, 1, &site);
	destination_set_limiters(table, e, 1, &site);
	destination_opened(table, d);
	destination_add(table, d, &deliveries[0], 0);
	assert_false(destination_may_open(table, d, 0));
	assert_null(next());
	(void)limiter_get(limiters, VIEW("site/x"), &(struct limiter_limits){ .connections = 2 });
	destination_set_limiters(table, d, 1, &site);
	assert_ptr_equal(next(), d);
	(void)destination_take(table, d);
	(void)limiter_get(limiters, VIEW("site/x"), &(struct limiter_limits){ .connections = 1 });
	destination_add(table, e, &deliveries[1], 0);
	assert_false(destination_may_open(table, e, 0));
	assert_null(next());
	destination_set_limiters(table, d, 1, &elsewhere);
	(void)wake(1);
	assert_ptr_equal(next(), e);
	assert_true(destination_may_open(table, e, 1));
	(void)destination_take(table, e);
	destination_closed(table, d);
}

/* Thousands that are dead or held are not looked at for the sake of one that is not. */
static void one_among_many(void **state)
{
	(void)state;
	struct limiter *site = limiter_get(limiters, VIEW("site/x@"), &(struct limiter_limits){ .connections = 1 });
	static struct list deliveries[5001];
	char key[20];
	for (size_t i = 0; i < 5000; i++) {
		snprintf(key, sizeof key, "mx/%zu", i);
		struct destination *d = get(key, 5);
		destination_add(table, d, &deliveries[i], 0);
		if (i % 2 == 0) {
			destination_failed(table, d, 0, 1000000, 1000000);
			continue;
		}
		destination_set_limiters(table, d, 1, &site);
		if (i == 1)
			destination_opened(table, d);
		else
			assert_false(destination_may_open(table, d, 0));
	}
	assert_ptr_equal(next(), get("mx/1", 5));
	struct destination *live = get("mx/live", 5), *one = get("mx/1", 5);
	(void)destination_take(table, one);
	destination_add(table, live, &deliveries[5000], 0);
	assert_ptr_equal(next(), live);
	(void)destination_take(table, live);
	assert_null(next());
	destination_closed(table, one);
	int taken = 0;
	destination_each(table, take_all, &taken);
	assert_int_equal(taken, 4999);
}

/* What is left on disk: asked for in turn, when few are waiting; as long as there is any the destination is remembered. */

#define WITH_LIMITERS(name) cmocka_unit_test_setup_teardown(name, setup_limiters, teardown_limiters)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_LIMITERS(held_to_connect),
		WITH_LIMITERS(nobody_starves),
		WITH_LIMITERS(idle_is_as_good_as_closed),
		WITH_LIMITERS(held_to_send),
		WITH_LIMITERS(held_by_several),
		WITH_LIMITERS(resumed_before_its_time),
		WITH_LIMITERS(rate_beside_connections),
		WITH_LIMITERS(limits_are_set_anew),
		WITH_LIMITERS(one_among_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
