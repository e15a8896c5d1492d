#include "crypto/mac.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

/* RFC 4231 §4.2, §4.3, §4.7 (a key longer than a block). */
static void test_vectors(void **state)
{
	(void)state;
	uint8_t key[131], got[MAC_BYTES];
	memset(key, 0x0b, 20);
	static const uint8_t first[MAC_BYTES] = { 0xb0, 0x34, 0x4c, 0x61, 0xd8, 0xdb, 0x38, 0x53, 0x5c, 0xa8, 0xaf,
		0xce, 0xaf, 0x0b, 0xf1, 0x2b, 0x88, 0x1d, 0xc2, 0x00, 0xc9, 0x83, 0x3d, 0xa7, 0x26, 0xe9, 0x37, 0x6c,
		0x2e, 0x32, 0xcf, 0xf7 };
	mac_once(view_of(key, 20), VIEW("Hi There"), got);
	assert_memory_equal(got, first, MAC_BYTES);
	static const uint8_t second[MAC_BYTES] = { 0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24,
		0x26, 0x08, 0x95, 0x75, 0xc7, 0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27, 0x39, 0x83, 0x9d, 0xec, 0x58, 0xb9,
		0x64, 0xec, 0x38, 0x43 };
	mac_once(VIEW("Jefe"), VIEW("what do ya want for nothing?"), got);
	assert_memory_equal(got, second, MAC_BYTES);
	memset(key, 0xaa, sizeof key);
	static const uint8_t third[MAC_BYTES] = { 0x60, 0xe4, 0x31, 0x59, 0x1e, 0xe0, 0xb6, 0x7f, 0x0d, 0x8a, 0x26,
		0xaa, 0xcb, 0xf5, 0xb7, 0x7f, 0x8e, 0x0b, 0xc6, 0x21, 0x37, 0x28, 0xc5, 0x14, 0x05, 0x46, 0x04, 0x0f,
		0x0e, 0xe3, 0x7f, 0x54 };
	mac_once(view_of(key, sizeof key), VIEW("Test Using Larger Than Block-Size Key - Hash Key First"), got);
	assert_memory_equal(got, third, MAC_BYTES);
}

static void test_empty(void **state)
{
	(void)state;
	uint8_t a[MAC_BYTES], b[MAC_BYTES];
	mac_once(VIEW_NONE, VIEW_NONE, a);
	mac_once(VIEW("k"), VIEW_NONE, b);
	assert_false(mac_equal(view_of(a, sizeof a), view_of(b, sizeof b)));
	assert_true(mac_equal(view_of(a, sizeof a), view_of(a, sizeof a)));
	assert_false(mac_equal(view_of(a, 4), view_of(a, 5)));
	assert_true(mac_equal(VIEW_NONE, VIEW_NONE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_empty),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
