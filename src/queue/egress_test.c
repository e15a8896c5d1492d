#include "queue/egress.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
/* 2026-03-01 00:00 UTC, a Sunday. */
#define MARCH_1_S ((int64_t)1772323200)
#define MARCH_1 ((int64_t)20513)

static void days(void **state)
{
	(void)state;
	static const struct {
		int64_t wall_ms, day;
	} cases[] = {
		{ 0, 0 },
		{ EGRESS_DAY_MS - 1, 0 },
		{ EGRESS_DAY_MS, 1 },
		{ -1, -1 },
		{ -EGRESS_DAY_MS, -1 },
		{ -EGRESS_DAY_MS - 1, -2 },
		{ MARCH_1_S * 1000, MARCH_1 },
		{ MARCH_1_S * 1000 - 1, MARCH_1 - 1 },
		{ MARCH_1_S * 1000 + EGRESS_DAY_MS - 1, MARCH_1 },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_true(egress_day(cases[i].wall_ms) == cases[i].day);
		int64_t start_ms = egress_day_start_ms(cases[i].day);
		assert_true(start_ms <= cases[i].wall_ms && cases[i].wall_ms < start_ms + EGRESS_DAY_MS);
	}
}

static void ceilings(void **state)
{
	(void)state;
	static const uint32_t plan_days[] = { 50, 100, 1000 };
	struct egress_plan plan = { .start_s = MARCH_1_S, .day_count = 3, .days = plan_days };
	static const struct {
		int64_t day;
		uint64_t ceiling;
		size_t plan_day;
	} cases[] = {
		{ MARCH_1 - 365, 0, 0 },
		{ MARCH_1 - 1, 0, 0 },
		{ MARCH_1, 50, 1 },
		{ MARCH_1 + 1, 100, 2 },
		{ MARCH_1 + 2, 1000, 3 },
		{ MARCH_1 + 3, EGRESS_NO_CEILING, 0 },
		{ MARCH_1 + 3650, EGRESS_NO_CEILING, 0 },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_true(egress_ceiling(&plan, cases[i].day) == cases[i].ceiling);
		assert_int_equal(egress_plan_day(&plan, cases[i].day), cases[i].plan_day);
	}
	struct egress_plan none = { .start_s = 0 };
	assert_true(egress_ceiling(&none, MARCH_1) == EGRESS_NO_CEILING);
	assert_int_equal(egress_plan_day(&none, MARCH_1), 0);
}

static void picks_by_weight(void **state)
{
	(void)state;
	static const uint32_t weights[] = { 0, 3, 0, 1, 6, 0 };
	unsigned picked[COUNT(weights)] = { 0 };
	for (uint64_t random = 0; random < 1000; random++)
		picked[egress_pick(COUNT(weights), weights, random)]++;
	assert_int_equal(picked[0] + picked[2] + picked[5], 0);
	assert_int_equal(picked[1], 300);
	assert_int_equal(picked[3], 100);
	assert_int_equal(picked[4], 600);
	static const uint32_t nobody[] = { 0, 0 };
	assert_int_equal(egress_pick(2, nobody, 5), 2);
	assert_int_equal(egress_pick(0, NULL, 5), 0);
	static const uint32_t huge[] = { UINT32_MAX, UINT32_MAX, UINT32_MAX };
	assert_in_range(egress_pick(3, huge, UINT64_MAX), 0, 2);
	assert_int_equal(egress_pick(3, huge, (uint64_t)UINT32_MAX * 3 - 1), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(days),
		cmocka_unit_test(ceilings),
		cmocka_unit_test(picks_by_weight),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
