#include "queue/egress_waits.h"

#include "queue/testing_destination.h"

#include <stdio.h>

static struct limiter_table *limiters;
static struct egress_waits *waits;
static size_t asked;

static int setup_waits(void **state)
{
	limiters = limiter_table_new();
	(void)setup(state);
	waits = egress_waits_new(table);
	asked = 0;
	return 0;
}

static int teardown_waits(void **state)
{
	egress_waits_free(waits);
	egress_waits_free(NULL);
	int result = teardown(state);
	limiter_table_tidy(limiters, INT64_MAX / 2);
	limiter_table_free(limiters);
	return result;
}

static struct limiter *address(const char *name, uint32_t connections, uint32_t count, uint32_t per_ms)
{
	struct limiter_limits limits = { .connections = connections, .rate_count = 1, .rates = { { count, per_ms } } };
	return limiter_get(limiters, view_from_cstr(name), &limits);
}

static struct limiter *stream(const char *name)
{
	return limiter_get(limiters, view_from_cstr(name), &(struct limiter_limits){ 0 });
}

/* What a dispatcher does: asks for each in turn, in the name of the stream it is under. */
struct asking {
	struct limiter *stream;
	size_t count;
	struct limiter *addresses[3];
};

static size_t look(const struct asking *a, int64_t now_ms, struct egress_room *ret)
{
	size_t free_at = a->count;
	for (size_t i = 0; i < a->count; i++) {
		int64_t send_ms = now_ms, connect_ms = now_ms;
		bool may_send = limiter_may_send(a->addresses[i], now_ms, &send_ms);
		bool may_connect = limiter_may_connect(a->addresses[i], now_ms, &connect_ms);
		ret[i] = (struct egress_room){ a->addresses[i], may_send ? connect_ms : send_ms, send_ms };
		if (may_send && may_connect && free_at == a->count)
			free_at = i;
	}
	return free_at;
}

/* Opens a connection from one of its addresses, which is returned; or it waits, and NULL is. */
static struct limiter *ask(const struct asking *a, struct destination *d, int64_t now_ms)
{
	struct egress_room rooms[3];
	asked++;
	size_t at = look(a, now_ms, rooms);
	if (egress_waits_is_behind(waits, d, a->stream) || at == a->count) {
		egress_waits_add(waits, d, &(struct egress_wish){ a->stream, a->count, rooms, true, NULL }, now_ms);
		assert_true(egress_waits_has(d));
		return NULL;
	}
	(void)destination_take(table, d);
	destination_opened(table, d);
	limiter_connected(a->addresses[at]);
	limiter_sent(a->addresses[at], now_ms);
	egress_waits_took(waits, d, a->addresses[at]);
	return a->addresses[at];
}

static void close_one(struct destination *d, struct limiter *from)
{
	limiter_disconnected(from);
	destination_closed(table, d);
	(void)egress_waits_may_ask(waits, from);
}

static struct destination *make(const char *key, struct limiter *of, struct list *delivery)
{
	struct destination *d = get(key, 5);
	destination_set_limiters(table, d, 1, &of);
	destination_add(table, d, delivery, 0);
	return d;
}

/* Runs until nobody may go on; the destinations that got a connection, in their order. */
static size_t run(const struct asking *a, int64_t now_ms, struct destination **ret)
{
	size_t count = 0;
	do
		for (struct destination *d; (d = next()) != NULL;)
			if (ask(a, d, now_ms) != NULL)
				ret[count++] = d;
	while (egress_waits_wake(waits, now_ms));
	return count;
}

/* Five thousand for the one connection of an address: each that closes lets the next one go, in the order in which they came, and nobody else is asked. */
static void one_connection(void **state)
{
	(void)state;
	enum { COUNT = 5000 };
	static struct list deliveries[COUNT], more[COUNT];
	static struct destination *open[COUNT + 1];
	struct asking a = { stream("stream/a"), 1, { address("egress/1", 1, 0, 0) } };
	char key[20];
	for (size_t i = 0; i < COUNT; i++) {
		snprintf(key, sizeof key, "mx/%zu", i);
		destination_add(table, make(key, a.stream, &deliveries[i]), &more[i], 0);
	}
	assert_int_equal(run(&a, 0, open), 1);
	assert_true(egress_waits_next_ms(waits) == INT64_MAX);
	assert_false(egress_waits_wake(waits, 1000000));
	asked = 0;
	for (size_t turn = 0; turn < COUNT + 100; turn++) {
		snprintf(key, sizeof key, "mx/%zu", turn % COUNT);
		assert_ptr_equal(open[0], get(key, 5));
		close_one(open[0], a.addresses[0]);
		assert_int_equal(run(&a, 5, open), 1);
	}
	/* Who gets it, who had it, and the one who is told no. */
	assert_in_range(asked, 2 * COUNT, 3 * (COUNT + 100));
	close_one(open[0], a.addresses[0]);
	int taken = 0;
	destination_each(table, take_all, &taken);
	assert_int_equal(a.addresses[0]->connections, 0);
	assert_false(egress_waits_wake(waits, 10));
}

/* A rate: woken when the next message may go, one for each. */
static void one_a_second(void **state)
{
	(void)state;
	static struct list deliveries[50];
	static struct destination *open[50];
	struct asking a = { stream("stream/a"), 1, { address("egress/1", 0, 1, 1000) } };
	char key[20];
	for (size_t i = 0; i < 50; i++) {
		snprintf(key, sizeof key, "mx/%zu", i);
		(void)make(key, a.stream, &deliveries[i]);
	}
	int64_t now_ms = 0;
	for (size_t i = 0; i < 50; i++) {
		size_t before = asked;
		assert_int_equal(run(&a, now_ms, &open[i]), 1);
		assert_in_range(asked - before, 1, i == 0 ? 50 : 2);
		snprintf(key, sizeof key, "mx/%zu", i);
		assert_ptr_equal(open[i], get(key, 5));
		if (i == 49)
			break;
		assert_true(egress_waits_next_ms(waits) > now_ms && egress_waits_next_ms(waits) <= now_ms + 1000);
		now_ms = egress_waits_next_ms(waits);
		assert_false(egress_waits_wake(waits, now_ms - 1));
	}
	assert_in_range(now_ms, 49000 - 49, 49000 + 49);
	for (size_t i = 0; i < 50; i++)
		close_one(open[i], a.addresses[0]);
	assert_false(egress_waits_wake(waits, now_ms));
}

/* Of two streams with one address, one has a hundred that wait and the other two: they take turns. */
static void streams_take_turns(void **state)
{
	(void)state;
	static struct list deliveries[102];
	struct limiter *shared = address("egress/1", 1, 0, 0);
	struct asking of[2] = { { stream("stream/a"), 1, { shared } }, { stream("stream/b"), 1, { shared } } };
	struct destination *open = NULL;
	char key[20], order[8] = "";
	for (size_t i = 0; i < 102; i++) {
		const struct asking *a = &of[i >= 100];
		snprintf(key, sizeof key, "mx/%zu", i);
		struct destination *d = make(key, a->stream, &deliveries[i]);
		if (ask(a, d, 0) != NULL)
			open = d;
	}
	for (size_t turn = 0; turn < 6; turn++) {
		close_one(open, shared);
		open = NULL;
		while (egress_waits_wake(waits, 0))
			for (struct destination *d; (d = next()) != NULL;) {
				bool is_b = destination_is_under(d, of[1].stream);
				if (ask(&of[is_b], d, 0) == NULL)
					continue;
				assert_null(open);
				open = d;
				order[turn] = is_b ? 'b' : 'a';
			}
		assert_non_null(open);
	}
	assert_true(strcmp(order, "babaaa") == 0 || strcmp(order, "ababaa") == 0);
	close_one(open, shared);
	int taken = 0;
	destination_each(table, take_all, &taken);
	assert_int_equal(taken, 102 - 7);
}

/* Of several addresses the first that has room; a place at one is no use for what another was asked for. */
static void any_address(void **state)
{
	(void)state;
	static struct list deliveries[4];
	struct asking a = { stream("stream/a"), 2, { address("egress/1", 1, 0, 0), address("egress/2", 0, 1, 60000) } };
	struct destination *d[4];
	struct limiter *from[4];
	char key[20];
	for (size_t i = 0; i < 4; i++) {
		snprintf(key, sizeof key, "mx/%zu", i);
		d[i] = make(key, a.stream, &deliveries[i]);
		from[i] = ask(&a, d[i], 0);
	}
	assert_ptr_equal(from[0], a.addresses[0]);
	assert_ptr_equal(from[1], a.addresses[1]);
	assert_true(from[2] == NULL && from[3] == NULL);
	assert_int_equal(egress_waits_next_ms(waits), 60000);
	close_one(d[0], from[0]);
	assert_true(egress_waits_wake(waits, 10));
	assert_ptr_equal(next(), d[2]);
	/* Somebody who comes now is behind those who wait. */
	assert_false(egress_waits_is_behind(waits, d[2], a.stream));
	assert_true(egress_waits_is_behind(waits, d[1], a.stream));
	from[2] = ask(&a, d[2], 10);
	assert_ptr_equal(from[2], a.addresses[0]);
	assert_true(egress_waits_wake(waits, 10));
	assert_null(ask(&a, d[3], 10));
	assert_false(egress_waits_wake(waits, 59999));
	assert_true(egress_waits_wake(waits, 60000));
	from[3] = ask(&a, d[3], 60000);
	assert_ptr_equal(from[3], a.addresses[1]);
	for (size_t i = 1; i < 4; i++)
		close_one(d[i], from[i]);
}

/* One has a connection open, and waits for a message only; the other, who came later, for a connection: each gets what is there for it. */
static void with_a_connection_open(void **state)
{
	(void)state;
	static struct list deliveries[4];
	struct list connection;
	list_init(&connection);
	struct limiter *e = address("egress/1", 1, 1, 1000);
	struct asking a = { stream("stream/a"), 1, { e } };
	struct destination *d = make("mx/a", a.stream, &deliveries[0]);
	assert_true(ask(&a, d, 0) == e);
	destination_add(table, d, &deliveries[1], 0);
	destination_add(table, d, &deliveries[2], 0);
	destination_idle_add(table, d, &connection);
	struct egress_room room;
	(void)look(&a, 0, &room);
	assert_false(egress_waits_is_behind_at(waits, d, e));
	struct egress_wish wish = { a.stream, 1, &room, false, e };
	egress_waits_add(waits, d, &wish, 0);
	assert_null(next());
	/* Another one: the address has no room for a connection, and would not let a message go either. */
	struct destination *other = make("mx/b", a.stream, &deliveries[3]);
	assert_ptr_equal(next(), other);
	assert_true(egress_waits_is_behind_at(waits, other, e));
	assert_null(ask(&a, other, 0));
	assert_int_equal(egress_waits_next_ms(waits), 1000);
	assert_true(egress_waits_wake(waits, 1000));
	assert_ptr_equal(next(), d);
	assert_false(egress_waits_is_behind_at(waits, d, e));
	(void)destination_take(table, d);
	limiter_sent(e, 1000);
	egress_waits_took(waits, d, e);
	/* Now it comes after the other one, who can't use a message without a connection: both are asked once. */
	assert_true(egress_waits_is_behind_at(waits, d, e));
	assert_true(egress_waits_wake(waits, 1000));
	assert_ptr_equal(next(), d);
	(void)look(&a, 1000, &room);
	egress_waits_add(waits, d, &wish, 1000);
	assert_ptr_equal(next(), other);
	assert_null(ask(&a, other, 1000));
	assert_null(next());
	assert_int_equal(egress_waits_next_ms(waits), 2000);
	/* Its mail goes another way: whoever is behind it does not wait for it. */
	(void)destination_take(table, d);
	assert_true(egress_waits_wake(waits, 2000));
	assert_true(egress_waits_wake(waits, 2000));
	assert_ptr_equal(next(), other);
	assert_null(ask(&a, other, 2000));
	assert_false(egress_waits_has(d));
	assert_int_equal(egress_waits_next_ms(waits), INT64_MAX);
	destination_idle_remove(table, d, &connection);
	close_one(d, e);
	assert_true(egress_waits_wake(waits, 2000));
	assert_true(ask(&a, other, 2000) == e);
	close_one(other, e);
}

/* Limits that are set anew: nobody waits for what the old ones said, and nothing is kept of addresses that are gone. */
static void forgotten(void **state)
{
	(void)state;
	static struct list deliveries[3];
	struct asking a = { stream("stream/a"), 2, { address("egress/1", 1, 0, 0), address("egress/2", 1, 0, 0) } };
	struct destination *d[3];
	char key[20];
	for (size_t i = 0; i < 3; i++) {
		snprintf(key, sizeof key, "mx/%zu", i);
		d[i] = make(key, a.stream, &deliveries[i]);
		(void)ask(&a, d[i], 0);
	}
	assert_true(egress_waits_has(d[2]));
	egress_waits_forget(waits);
	assert_false(egress_waits_has(d[2]));
	assert_ptr_equal(next(), d[2]);
	assert_false(egress_waits_may_ask(waits, a.addresses[0]));
	assert_int_equal(a.addresses[1]->users, 0);
	(void)address("egress/1", 2, 0, 0);
	a.count = 1;
	assert_true(ask(&a, d[2], 0) == a.addresses[0]);
	for (size_t i = 0; i < 3; i++)
		close_one(d[i], i == 1 ? limiter_find(limiters, VIEW("egress/2")) : a.addresses[0]);
	/* One that is gone while it waits. */
	struct destination *gone = make("mx/gone", a.stream, &deliveries[0]),
			   *stays = make("mx/stays", a.stream, &deliveries[1]);
	(void)address("egress/1", 1, 0, 0);
	assert_true(ask(&a, stays, 0) == a.addresses[0]);
	assert_null(ask(&a, gone, 0));
	(void)destination_take(table, gone);
	assert_true(destination_release(table, gone));
	close_one(stays, a.addresses[0]);
	assert_false(egress_waits_wake(waits, 0));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_waits, teardown_waits)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_connection),
		TEST(one_a_second),
		TEST(streams_take_turns),
		TEST(any_address),
		TEST(with_a_connection_open),
		TEST(forgotten),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
