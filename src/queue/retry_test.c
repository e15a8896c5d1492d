#include "queue/retry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
enum { S = 1000, M = 60 * S, H = 60 * M, D = 24 * H };
#define NOW INT64_C(1700000000000)
#define MIDDLE 0x80000000u

static const struct retry_schedule usual = {
	.first_ms = 5 * M, .max_ms = 4 * H, .expire_ms = INT64_C(5) * D, .warn_after_ms = 4 * H
};
static const struct retry_schedule silent = {
	.first_ms = 1 * S, .max_ms = 8 * S, .expire_ms = 10 * S, .warn_after_ms = 0
};
static const struct retry_schedule upside_down = {
	.first_ms = 10 * S, .max_ms = 5 * S, .expire_ms = 60 * S, .warn_after_ms = 60 * S
};
static const struct retry_schedule without_end = {
	.first_ms = INT64_MAX, .max_ms = INT64_MAX, .expire_ms = INT64_MAX, .warn_after_ms = 0
};

struct retry_case {
	const char *name;
	const struct retry_schedule *schedule;
	int64_t age_ms;
	uint32_t attempts;
	bool warned;
	uint32_t random;
	bool expired, warn;
	int64_t wait_ms;
};

static const struct retry_case cases[] = {
	{ "first", &usual, 0, 1, false, MIDDLE, false, false, 5 * M },
	{ "first, least", &usual, 0, 1, false, 0, false, false, 5 * M - 37500 },
	{ "second", &usual, 5 * M, 2, false, MIDDLE, false, false, 10 * M },
	{ "third", &usual, 15 * M, 3, false, MIDDLE, false, false, 20 * M },
	{ "sixth", &usual, 3 * H, 6, false, MIDDLE, false, false, 160 * M },
	{ "the longest wait", &usual, 10 * H, 7, true, MIDDLE, false, false, 4 * H },
	{ "many attempts", &usual, 10 * H, 4000000000u, true, MIDDLE, false, false, 4 * H },
	{ "attempts not counted", &usual, 0, 0, false, MIDDLE, false, false, 5 * M },
	{ "just before the warning", &usual, 4 * H - 1, 6, false, MIDDLE, false, false, 160 * M },
	{ "warning", &usual, 4 * H, 6, false, MIDDLE, false, true, 160 * M },
	{ "warned before", &usual, 4 * H, 6, true, MIDDLE, false, false, 160 * M },
	{ "last attempt at expiry", &usual, INT64_C(5) * D - H, 40, true, MIDDLE, false, false, H },
	{ "1 ms before expiry", &usual, INT64_C(5) * D - 1, 40, true, MIDDLE, false, false, 1 },
	{ "expired", &usual, INT64_C(5) * D, 40, true, MIDDLE, true, false, 0 },
	{ "expired without having warned", &usual, INT64_C(50) * D, 2, false, MIDDLE, true, false, 0 },
	{ "clock went back", &usual, -3 * (int64_t)D, 1, false, MIDDLE, false, false, 5 * M },
	{ "warnings are off", &silent, 9 * S, 3, false, MIDDLE, false, false, 1 * S },
	{ "first longer than longest", &upside_down, 0, 1, false, MIDDLE, false, false, 5 * S },
	{ "numbers at their end", &without_end, 0, 100, false, UINT32_MAX, false, false, INT64_MAX - NOW },
};

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct retry_case *c = &cases[i];
		struct retry_decision d = retry_next(
			c->schedule, NOW - c->age_ms, NOW, c->attempts, c->warned, c->random);
		int64_t wait = c->expired ? d.due_at_ms : d.due_at_ms - NOW;
		if (d.expired != c->expired || d.warn != c->warn || wait != c->wait_ms)
			fail_msg("%s: expired %d, warn %d, wait %lld", c->name, d.expired, d.warn, (long long)wait);
	}
}

/* For every wait and every random number: at most an eighth away, and both sides are reached. */
static void test_spread(void **state)
{
	(void)state;
	static const int64_t firsts[] = { 1, 2, 7, 8, 9, 1000, 5 * M, 4 * H, INT64_C(30) * D };
	for (size_t i = 0; i < COUNT(firsts); i++) {
		struct retry_schedule s = { .first_ms = firsts[i], .max_ms = firsts[i], .expire_ms = INT64_C(365) * D };
		int64_t least = INT64_MAX, most = 0;
		for (uint64_t random = 0; random <= UINT32_MAX; random += 0x3ffff) {
			int64_t wait = retry_next(&s, NOW, NOW, 1, false, (uint32_t)random).due_at_ms - NOW;
			assert_true(wait >= 1 && wait >= firsts[i] - firsts[i] / 8 &&
				wait <= firsts[i] + firsts[i] / 8 + 1);
			least = wait < least ? wait : least;
			most = wait > most ? wait : most;
		}
		if (firsts[i] >= 1000)
			assert_true(least < firsts[i] - firsts[i] / 9 && most > firsts[i] + firsts[i] / 9);
	}
}

/* A whole life: waits grow, it warns once, ends just at expiry, and the number of attempts is what doubling gives. */
static void test_life(void **state)
{
	(void)state;
	int64_t now = NOW;
	uint32_t attempts = 0, warnings = 0;
	bool warned = false;
	for (;;) {
		attempts++;
		struct retry_decision d = retry_next(&usual, NOW, now, attempts, warned, attempts * 0x9e3779b9u);
		if (d.expired)
			break;
		if (d.warn) {
			warnings++;
			warned = true;
		}
		assert_true(d.due_at_ms > now);
		now = d.due_at_ms;
	}
	assert_true(now == NOW + usual.expire_ms);
	assert_int_equal(warnings, 1);
	assert_true(attempts >= 33 && attempts <= 40);
}

/* DELIVERBY: when the time is up it is returned (mode R), or its sender is told, once (mode N); it is never looked at later than that. */
static void test_deliver_by(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		int64_t by_ms; /* from now */
		bool returns, warned;
		bool expired, time_is_up, warn;
		int64_t wait_ms;
	} by[] = {
		{ "far away", H, true, false, false, false, false, 5 * M },
		{ "before the next try", M, true, false, false, false, false, M },
		{ "before the next try, mode N", M, false, false, false, false, false, M },
		{ "now", 0, true, false, true, true, false, 0 },
		{ "now, mode N", 0, false, false, false, false, true, 5 * M },
		{ "long ago, mode N, told", -H, false, true, false, false, false, 5 * M },
		{ "long ago", -H, true, true, true, true, false, 0 },
	};
	for (size_t i = 0; i < COUNT(by); i++) {
		struct retry_schedule s = usual;
		s.deliver_by_ms = NOW + by[i].by_ms;
		s.by_time_returns = by[i].returns;
		struct retry_decision d = retry_next(&s, NOW, NOW, 1, by[i].warned, MIDDLE);
		int64_t wait = by[i].expired ? d.due_at_ms : d.due_at_ms - NOW;
		if (d.expired != by[i].expired || d.time_is_up != by[i].time_is_up || d.warn != by[i].warn ||
			wait != by[i].wait_ms)
			fail_msg("%s: expired %d, warn %d, wait %lld", by[i].name, d.expired, d.warn, (long long)wait);
		int64_t latest = by[i].by_ms > 0 ? s.deliver_by_ms : NOW + usual.expire_ms;
		if (!d.expired && d.latest_ms != latest)
			fail_msg("%s: latest %lld", by[i].name, (long long)d.latest_ms);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_spread),
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_deliver_by),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
