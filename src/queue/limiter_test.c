#include "queue/limiter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
enum { S = 1000, M = 60 * S, H = 60 * M, D = 24 * H };

static struct limiter_table *table;
static struct limiter *limiter;

static int setup(void **state)
{
	(void)state;
	table = limiter_table_new();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	limiter_table_free(table);
	limiter_table_free(NULL);
	return 0;
}

static struct limiter *make(uint32_t connections, uint32_t count, uint32_t per_ms)
{
	struct limiter_limits limits = { .connections = connections, .rate_count = 1, .rates = { { count, per_ms } } };
	return limiter_get(table, VIEW("site/example"), &limits);
}

static bool may_connect(int64_t now_ms)
{
	int64_t again_ms = -1;
	return limiter_may_connect(limiter, now_ms, &again_ms);
}

static int64_t connect_again(int64_t now_ms)
{
	int64_t again_ms = -1;
	assert_false(limiter_may_connect(limiter, now_ms, &again_ms));
	return again_ms;
}

static int64_t send_again(int64_t now_ms)
{
	int64_t again_ms = -1;
	assert_false(limiter_may_send(limiter, now_ms, &again_ms));
	return again_ms;
}

/* Sends as soon as it may, until `until_ms`; every wake-up named must be of use. Returns how many messages went out. */
static size_t send_all(int64_t from_ms, int64_t until_ms, int64_t *times, size_t room)
{
	size_t sent = 0;
	int64_t now_ms = from_ms, again_ms = 0;
	bool waited = false;
	while (now_ms < until_ms) {
		if (limiter_may_send(limiter, now_ms, &again_ms)) {
			limiter_sent(limiter, now_ms);
			if (sent < room)
				times[sent] = now_ms;
			sent++;
			waited = false;
			continue;
		}
		assert_false(waited);
		assert_true(again_ms > now_ms);
		now_ms = again_ms;
		waited = true;
	}
	return sent;
}

static void one_for_each_name(void **state)
{
	(void)state;
	char name[32];
	static struct limiter *made[500];
	struct limiter_limits limits = { .connections = 1 };
	for (int i = 0; i < 500; i++) {
		snprintf(name, sizeof name, "site/s%d", i);
		assert_null(limiter_find(table, view_from_cstr(name)));
		made[i] = limiter_get(table, view_from_cstr(name), &limits);
	}
	limits.connections = 2;
	for (int i = 0; i < 500; i++) {
		snprintf(name, sizeof name, "SITE/s%d", i);
		assert_ptr_equal(limiter_get(table, view_from_cstr(name), &limits), made[i]);
		assert_int_equal(made[i]->limits.connections, 2);
	}
}

static void counts_connections(void **state)
{
	(void)state;
	limiter = make(2, 0, 0);
	assert_true(may_connect(0));
	limiter_connected(limiter);
	assert_true(may_connect(0));
	limiter_connected(limiter);
	assert_true(connect_again(5) == INT64_MAX);
	limiter_disconnected(limiter);
	assert_true(may_connect(5));
	/* A lower limit closes nothing, but keeps new ones away. */
	limiter_connected(limiter);
	limiter = make(1, 0, 0);
	limiter_disconnected(limiter);
	assert_true(connect_again(6) == INT64_MAX);
	limiter_disconnected(limiter);
	assert_true(may_connect(6));
	limiter = make(0, 0, 0);
	for (int i = 0; i < 1000; i++) {
		assert_true(may_connect(7));
		limiter_connected(limiter);
	}
}

static const struct {
	uint32_t count, per_ms;
	size_t burst; /* at once, when nothing was sent for long */
} rates[] = {
	{ 1, S, 1 },
	{ 2, S, 1 },
	{ 3, S, 1 },
	{ 20, S, 2 },
	{ 50, S, 5 },
	{ 1000, S, 100 },
	{ 7, M, 1 },
	{ 100, M, 10 },
	{ 999, M, 99 },
	{ 1, H, 1 },
	{ 100, H, 10 },
	{ 20000, H, 2000 },
	{ 1, D, 1 },
	{ 5000, D, 500 },
};

static void no_window_sees_more(void **state)
{
	(void)state;
	static int64_t times[100000];
	for (size_t i = 0; i < COUNT(rates); i++) {
		limiter = make(0, rates[i].count, rates[i].per_ms);
		limiter->buckets[0].at_ms = INT64_MIN; /* as if new */
		size_t sent = send_all(0, 3 * (int64_t)rates[i].per_ms, times, COUNT(times));
		assert_true(sent <= COUNT(times));
		size_t burst = 0;
		while (burst < sent && times[burst] == 0)
			burst++;
		if (burst != rates[i].burst)
			fail_msg("%u per %u ms: a burst of %zu", rates[i].count, rates[i].per_ms, burst);
		for (size_t first = 0, last = 0; first < sent; first++) {
			while (last < sent && times[last] < times[first] + (int64_t)rates[i].per_ms)
				last++;
			if (last - first > rates[i].count)
				fail_msg("%u per %u ms: %zu from %lld on", rates[i].count, rates[i].per_ms,
					last - first, (long long)times[first]);
		}
		/* And most of what is allowed is used: nine tenths, less what rounding to milliseconds costs. */
		if (sent < 3 * rates[i].count * 85 / 100)
			fail_msg("%u per %u ms: only %zu in three periods", rates[i].count, rates[i].per_ms, sent);
	}
}

static void exact_wake_ups(void **state)
{
	(void)state;
	limiter = make(0, 2, S);
	limiter_sent(limiter, 100);
	assert_true(send_again(100) == 600);
	assert_true(send_again(599) == 600);
	int64_t unused;
	assert_true(limiter_may_send(limiter, 600, &unused));
	/* Asking takes nothing. */
	assert_true(limiter_may_send(limiter, 600, &unused));
	/* Those who sent without asking make the next ones wait. */
	limiter_sent(limiter, 600);
	limiter_sent(limiter, 600);
	assert_true(send_again(600) == 1600);
	/* A clock that stands still or goes back does not break anything. */
	assert_true(send_again(500) > 1000);
}

/* What came to no message gives back what was taken for it, and no more than that. */
static void given_back(void **state)
{
	(void)state;
	limiter = make(0, 20, M);
	int64_t again_ms;
	for (int i = 0; i < 2; i++) {
		assert_true(limiter_may_send(limiter, 0, &again_ms));
		limiter_sent(limiter, 0);
	}
	assert_int_equal(send_again(0), 3158); /* 19 of 20 flow in a minute */
	limiter_unsent(limiter, 0);
	assert_true(limiter_may_send(limiter, 0, &again_ms));
	limiter_sent(limiter, 0);
	assert_int_equal(send_again(0), 3158);
	/* Meanwhile it has filled: there is no room for what comes back, or a burst would be too long. */
	limiter_unsent(limiter, M);
	for (int i = 0; i < 2; i++) {
		assert_true(limiter_may_send(limiter, M, &again_ms));
		limiter_sent(limiter, M);
	}
	assert_true(send_again(M) > M);
	/* Nor while it is slow. */
	limiter_slow(limiter, 10, H, VIEW("slow"));
	limiter_unsent(limiter, 2 * M);
	assert_true(limiter_may_send(limiter, 2 * M, &again_ms));
	limiter_sent(limiter, 2 * M);
	assert_true(send_again(2 * M) > 2 * M);
}

static void several_rates_all_hold(void **state)
{
	(void)state;
	struct limiter_limits limits = { .rate_count = 3, .rates = { { 1, S }, { 3, M }, { 0, H } } };
	limiter = limiter_get(table, VIEW("stream/shop"), &limits);
	limiter_sent(limiter, 0);
	assert_true(send_again(0) == 20 * S);
	assert_int_equal(send_all(0, M, NULL, 0), 2);
	/* Read again from the configuration: what was sent still counts. */
	limits.rates[1].count = 6;
	assert_ptr_equal(limiter_get(table, VIEW("stream/shop"), &limits), limiter);
	assert_true(send_again(40 * S) > 40 * S);
}

static void slow(void **state)
{
	(void)state;
	limiter = make(4, 60, M);
	for (int i = 0; i < 2; i++)
		limiter_connected(limiter);
	limiter_slow(limiter, 50, 10 * M, VIEW("421 too fast"));
	assert_true(connect_again(0) == 10 * M);
	limiter_disconnected(limiter);
	assert_true(may_connect(0));
	assert_string_equal(limiter->reason, "421 too fast");
	limiter_connected(limiter);
	/* 30 a minute, three of them at once. */
	size_t sent = send_all(0, M, NULL, 0);
	assert_in_range(sent, 26, 30);
	/* Milder and shorter changes nothing; harder and longer does. */
	limiter_slow(limiter, 80, 5 * M, VIEW("421 again"));
	assert_int_equal(limiter->slow_percent, 50);
	assert_true(limiter->slow_until_ms == 10 * M);
	limiter_slow(limiter, 10, 20 * M, VIEW("421 again"));
	assert_int_equal(send_all(11 * M, 12 * M, NULL, 0), 6);
	/* Less than one connection is none. */
	limiter_disconnected(limiter);
	limiter_disconnected(limiter);
	assert_true(may_connect(12 * M));
	/* Once it is over, all is as before. */
	assert_true(may_connect(20 * M));
	assert_int_equal(limiter->slow_percent, 0);
	assert_string_equal(limiter->reason, "");
	sent = send_all(20 * M, 21 * M, NULL, 0);
	assert_in_range(sent, 50, 60);
}

static void slow_without_a_limit(void **state)
{
	(void)state;
	limiter = make(0, 0, 0);
	for (int i = 0; i < 8; i++)
		limiter_connected(limiter);
	limiter_slow(limiter, 25, M, VIEW("421 too many connections"));
	assert_true(connect_again(0) == M);
	for (int i = 0; i < 7; i++)
		limiter_disconnected(limiter);
	assert_true(may_connect(0));
	limiter_connected(limiter);
	assert_true(connect_again(0) == M);
	assert_true(may_connect(M));
	limiter_slow(limiter, 25, 2 * M, VIEW("421"));
	limiter_resume(limiter);
	assert_true(may_connect(M));
}

/* A wait that begins slow and ends at full speed. */
static void slow_ends_while_waiting(void **state)
{
	(void)state;
	limiter = make(0, 1, M);
	limiter_sent(limiter, 0);
	limiter_slow(limiter, 50, 30 * S, VIEW("421"));
	/* A quarter of a token comes in the slow half minute, the rest at full speed. */
	assert_true(send_again(0) == 30 * S + 45 * S);
	assert_true(send_again(10 * S) == 75 * S);
	int64_t unused;
	assert_true(limiter_may_send(limiter, 75 * S, &unused));
}

static void suspended(void **state)
{
	(void)state;
	limiter = make(5, 0, 0);
	limiter_suspend(limiter, H, VIEW("421 4.7.0 not now"));
	assert_true(connect_again(0) == H);
	assert_true(send_again(0) == H);
	limiter_suspend(limiter, M, VIEW("421 4.7.0 shorter"));
	assert_true(send_again(H - 1) == H);
	int64_t unused;
	assert_true(limiter_may_send(limiter, H, &unused));
	assert_true(limiter->suspended_until_ms == 0);
	assert_string_equal(limiter->reason, "");
	limiter_suspend(limiter, INT64_MAX, VIEW("by the operator"));
	assert_true(send_again(1000 * (int64_t)D) == INT64_MAX);
	limiter_resume(limiter);
	assert_true(limiter_may_send(limiter, 0, &unused));
	/* Suspended, slow and out of tokens: the last of them counts. */
	limiter = make(5, 1, H);
	limiter_sent(limiter, 0);
	limiter_suspend(limiter, M, VIEW("421"));
	assert_true(send_again(0) == H);
	char longest[400];
	memset(longest, 'x', sizeof longest);
	limiter_suspend(limiter, 2 * H, view_of(longest, sizeof longest));
	assert_int_equal(strlen(limiter->reason), sizeof limiter->reason - 1);
}

static void count_one(void *owner, struct limiter *l)
{
	(void)l;
	++*(size_t *)owner;
}

static size_t how_many(void)
{
	size_t n = 0;
	limiter_each(table, count_one, &n);
	return n;
}

static void tidy(void **state)
{
	(void)state;
	struct limiter_limits limits = { .rate_count = 1, .rates = { { 1, H } } };
	struct limiter *used = limiter_get(table, VIEW("a/used"), &limits);
	struct limiter *connected = limiter_get(table, VIEW("a/connected"), &limits);
	struct limiter *slowed = limiter_get(table, VIEW("a/slow"), &limits);
	struct limiter *stopped = limiter_get(table, VIEW("a/suspended"), &limits);
	struct limiter *spent = limiter_get(table, VIEW("a/spent"), &limits);
	(void)limiter_get(table, VIEW("a/idle"), &limits);
	used->users = 1;
	limiter_connected(connected);
	limiter_slow(slowed, 50, M, VIEW("x"));
	limiter_suspend(stopped, M, VIEW("x"));
	limiter_sent(spent, 0);
	assert_int_equal(how_many(), 6);
	limiter_table_tidy(table, 0);
	assert_int_equal(how_many(), 5);
	limiter_table_tidy(table, M);
	assert_int_equal(how_many(), 3);
	assert_ptr_equal(limiter_find(table, VIEW("a/spent")), spent);
	limiter_table_tidy(table, H);
	assert_int_equal(how_many(), 2);
	used->users = 0;
	limiter_disconnected(connected);
	limiter_table_tidy(table, H);
	assert_int_equal(how_many(), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(one_for_each_name),
		TEST(counts_connections),
		TEST(no_window_sees_more),
		TEST(exact_wake_ups),
		TEST(given_back),
		TEST(several_rates_all_hold),
		TEST(slow),
		TEST(slow_without_a_limit),
		TEST(slow_ends_while_waiting),
		TEST(suspended),
		TEST(tidy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
