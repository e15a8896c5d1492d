#include "queue/bounce_address.h"

#include "queue/id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#define KEY VIEW("a key of ours")
#define NOW_MS INT64_C(1795000000000)
#define VALID_MS INT64_C(1209600000)

static void test_there_and_back(void **state)
{
	(void)state;
	uint64_t id = queue_id_next(0, NOW_MS);
	struct buf local = { 0 };
	assert_int_equal(bounce_address_format(KEY, VIEW("news"), id, 3, &local), ERR_OK);
	struct bounce_token token;
	assert_true(bounce_address_parse(buf_view(&local), &token));
	assert_true(view_eq(token.base, VIEW("news")));
	assert_true(token.message_id == id);
	assert_int_equal(token.index, 3);
	assert_int_equal(bounce_address_check(KEY, &token, NOW_MS, VALID_MS), ERR_OK);
	assert_int_equal(bounce_address_check(KEY, &token, NOW_MS + VALID_MS, VALID_MS), ERR_OK);
	assert_int_equal(bounce_address_check(KEY, &token, NOW_MS + VALID_MS + 1, VALID_MS), ERR_TIMEOUT);
	assert_int_equal(bounce_address_check(VIEW("k"), &token, NOW_MS, VALID_MS), ERR_REFUSED);
	token.index = 4;
	assert_int_equal(bounce_address_check(KEY, &token, NOW_MS, VALID_MS), ERR_REFUSED);
	token.index = 3;
	token.base = VIEW("boss");
	assert_int_equal(bounce_address_check(KEY, &token, NOW_MS, VALID_MS), ERR_REFUSED);
	/* Some servers write it in capitals. */
	uint8_t upper[80];
	for (size_t i = 0; i < local.len; i++)
		upper[i] = local.ptr[i] >= 'a' && local.ptr[i] <= 'z' ? (uint8_t)(local.ptr[i] - 32) : local.ptr[i];
	assert_true(bounce_address_parse(view_of(upper, local.len), &token));
	assert_int_equal(bounce_address_check(KEY, &token, NOW_MS, VALID_MS), ERR_OK);
	buf_clear(&local);
}

static void test_others(void **state)
{
	(void)state;
	static const char *const locals[] = { "", "news", "news+bounce", "news+bounce-", "news+bounce-1-2",
		"news+bounce-0000000000000-x-qwerty", "news+bounce-0000000000000-1-qwert",
		"news+bounce-0000000000000-1-qwerty-x", "+bounce-0000000000000-1-qwerty",
		"news+bounce-!000000000000-1-qwerty", "news+bounce-0000000000000-99999999999-qwerty" };
	struct bounce_token token;
	for (size_t i = 0; i < sizeof locals / sizeof locals[0]; i++)
		if (bounce_address_parse(view_from_cstr(locals[i]), &token))
			fail_msg("%s", locals[i]);
	struct buf out = { 0 };
	assert_int_equal(bounce_address_format(KEY, VIEW("a-local-part-of-nearly-forty-bytes-is-too-long"), 1, 1, &out),
		ERR_LIMIT);
	assert_int_equal(out.len, 0);
	buf_clear(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_others),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
