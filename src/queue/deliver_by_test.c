#include "queue/deliver_by.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void test_over(void **state)
{
	(void)state;
	assert_false(deliver_by_is_over(&(struct deliver_by){ 0, true }, 100));
	assert_false(deliver_by_is_over(&(struct deliver_by){ 101, true }, 100));
	assert_true(deliver_by_is_over(&(struct deliver_by){ 100, true }, 100));
	assert_false(deliver_by_is_over(&(struct deliver_by){ 100, false }, 100));
}

static void test_adjust(void **state)
{
	(void)state;
	/* Received at 1000, due at 5000. */
	static const struct {
		const char *name;
		struct deliver_by by;
		int64_t now_ms;
		bool warned, warn_before;
		int64_t due_at_ms;
		bool warn;
	} cases[] = {
		{ "no time given", { 0, false }, 2000, false, false, 5000, false },
		{ "no time given, told of the delay anyway", { 0, false }, 2000, false, true, 5000, true },
		{ "R, far away", { 9000, true }, 2000, false, false, 5000, false },
		{ "R, before the next attempt", { 3000, true }, 2000, false, false, 3000, false },
		{ "R, told of the delay before", { 3000, true }, 2000, true, false, 3000, false },
		{ "N, far away", { 9000, false }, 2000, false, false, 5000, false },
		{ "N, before the next attempt", { 3000, false }, 2000, false, false, 3000, false },
		{ "N, over", { 3000, false }, 3000, false, false, 5000, true },
		{ "N, over and told", { 3000, false }, 4000, true, false, 5000, false },
		{ "N, told: no need to wake for it", { 3000, false }, 2000, true, false, 5000, false },
		{ "N, over before it came here", { 900, false }, 2000, false, false, 5000, false },
		{ "N, over before it came here, and late by our own measure", { 900, false }, 2000, false, true, 5000,
			true },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		int64_t due_at_ms = 5000;
		bool warn = cases[i].warn_before;
		deliver_by_adjust(&cases[i].by, 1000, cases[i].now_ms, cases[i].warned, &due_at_ms, &warn);
		if (due_at_ms != cases[i].due_at_ms || warn != cases[i].warn)
			fail_msg("%s", cases[i].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_over),
		cmocka_unit_test(test_adjust),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
