#include "crypto/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void bytes_differ_and_stay_inside(void **state)
{
	(void)state;
	uint8_t a[34] = { 0 }, b[34] = { 0 };
	random_bytes(a + 1, 32);
	random_bytes(b + 1, 32);
	assert_memory_not_equal(a + 1, b + 1, 32);
	assert_true(a[0] == 0 && a[33] == 0);
	random_bytes(a, 0);
	assert_int_equal(a[0], 0);
}

static void below_covers_its_range(void **state)
{
	(void)state;
	bool seen[6] = { false };
	for (int i = 0; i < 10000; i++) {
		uint32_t n = random_below(6);
		assert_true(n < 6);
		seen[n] = true;
	}
	for (int i = 0; i < 6; i++)
		assert_true(seen[i]);
	assert_int_equal(random_below(1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_differ_and_stay_inside),
		cmocka_unit_test(below_covers_its_range),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
