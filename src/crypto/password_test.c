#include "crypto/password.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void hash_and_match(void **state)
{
	(void)state;
	struct buf one = { 0 }, two = { 0 };
	struct view password = VIEW("correct horse \xc3\xa4 battery");
	assert_int_equal(password_hash(password, &one), ERR_OK);
	assert_int_equal(password_hash(password, &two), ERR_OK);
	assert_true(view_starts_with(buf_view(&one), VIEW("$argon2id$")));
	assert_false(view_eq(buf_view(&one), buf_view(&two))); /* each has its own salt */
	assert_true(password_matches(password, buf_view(&one)));
	assert_true(password_matches(password, buf_view(&two)));
	const struct view wrong[] = { VIEW("correct horse \xc3\xa4 batter"), VIEW("correct horse \xc3\xa4 battery "),
		VIEW("Correct horse \xc3\xa4 battery"), VIEW("correct horse \xc3\xa4 battery\0"), VIEW("") };
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		assert_false(password_matches(wrong[i], buf_view(&one)));
	/* Every byte counts, a NUL too. */
	buf_reset(&two);
	assert_int_equal(password_hash(VIEW("a\0b"), &two), ERR_OK);
	assert_true(password_matches(VIEW("a\0b"), buf_view(&two)));
	assert_false(password_matches(VIEW("a\0c"), buf_view(&two)));
	assert_false(password_matches(VIEW("a"), buf_view(&two)));
	buf_clear(&one);
	buf_clear(&two);
}

static void bad_hashes_never_match(void **state)
{
	(void)state;
	const struct view bad[] = { VIEW(""), VIEW("secret"), VIEW("$argon2id$"),
		VIEW("$argon2id$v=19$m=19456,t=2,p=1$"),
		VIEW("$2y$10$abcdefghijklmnopqrstuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu"),
		VIEW("$argon2id$v=19$m=19456,t=2,p=1$\0$") };
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_false(password_matches(VIEW("secret"), bad[i]));
		assert_false(password_matches(VIEW(""), bad[i]));
	}
	uint8_t longer[300];
	memset(longer, '$', sizeof longer);
	assert_false(password_matches(VIEW("secret"), view_of(longer, sizeof longer)));
}

static void limits(void **state)
{
	(void)state;
	struct buf hash = { 0 };
	uint8_t password[1025];
	memset(password, 'x', sizeof password);
	assert_int_equal(password_hash(VIEW(""), &hash), ERR_SYNTAX);
	assert_int_equal(password_hash(view_of(password, 1025), &hash), ERR_LIMIT);
	assert_int_equal(hash.len, 0);
	assert_int_equal(password_hash(view_of(password, 1024), &hash), ERR_OK);
	assert_true(password_matches(view_of(password, 1024), buf_view(&hash)));
	assert_false(password_matches(view_of(password, 1023), buf_view(&hash)));
	assert_false(password_matches(view_of(password, 1025), buf_view(&hash)));
	buf_clear(&hash);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hash_and_match),
		cmocka_unit_test(bad_hashes_never_match),
		cmocka_unit_test(limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
