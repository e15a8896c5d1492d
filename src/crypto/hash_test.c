#include "crypto/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void to_hex(const uint8_t *digest, size_t len, char *text)
{
	for (size_t i = 0; i < len; i++)
		snprintf(text + 2 * i, 3, "%02x", digest[i]);
}

/* FIPS 180-4's examples. */
static const struct {
	const char *text, *digest;
} known[] = {
	{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
	{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
	{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
};

static void known_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		uint8_t digest[HASH_BYTES];
		char hex[2 * HASH_BYTES + 1];
		hash_once(view_from_cstr(known[i].text), digest);
		to_hex(digest, sizeof digest, hex);
		assert_string_equal(hex, known[i].digest);
	}
}

/* FIPS 180-4's examples. */
static const struct {
	const char *text, *digest;
} known_sha512[] = {
	{ "",
		"cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"
		"47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e" },
	{ "abc",
		"ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
		"2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f" },
};

static void known_answers_of_sha512(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof known_sha512 / sizeof known_sha512[0]; i++) {
		uint8_t digest[HASH_SHA512_BYTES];
		char hex[2 * HASH_SHA512_BYTES + 1];
		hash_sha512_once(view_from_cstr(known_sha512[i].text), digest);
		to_hex(digest, sizeof digest, hex);
		assert_string_equal(hex, known_sha512[i].digest);
	}
}

static void in_pieces(void **state)
{
	(void)state;
	struct view text = view_from_cstr(known[2].text);
	uint8_t whole[HASH_BYTES], got[HASH_BYTES];
	hash_once(text, whole);
	struct hash *hash = hash_new();
	for (size_t step = 1; step <= text.len; step++) {
		for (size_t at = 0; at < text.len; at += step) {
			hash_feed(hash, view_sub(text, at, step));
			hash_feed(hash, VIEW_NONE);
		}
		/* A look changes nothing, and ending it begins anew. */
		hash_peek(hash, got);
		assert_memory_equal(got, whole, HASH_BYTES);
		hash_finish(hash, got);
		assert_memory_equal(got, whole, HASH_BYTES);
	}
	hash_free(hash);
	hash_free(NULL);
}

static void a_copy_goes_its_own_way(void **state)
{
	(void)state;
	uint8_t want[HASH_BYTES], got[HASH_BYTES];
	struct hash *one = hash_new();
	hash_feed(one, VIEW("a"));
	struct hash *two = hash_dup(one);
	hash_feed(one, VIEW("bc"));
	hash_feed(two, VIEW("x"));
	hash_finish(two, got);
	hash_once(VIEW("ax"), want);
	assert_memory_equal(got, want, HASH_BYTES);
	hash_finish(one, got);
	hash_once(VIEW("abc"), want);
	assert_memory_equal(got, want, HASH_BYTES);
	hash_free(one);
	hash_free(two);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_answers),
		cmocka_unit_test(known_answers_of_sha512),
		cmocka_unit_test(in_pieces),
		cmocka_unit_test(a_copy_goes_its_own_way),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
