#include "crypto/signature.h"

#include "crypto/openssl_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* Made with the openssl command, as were the numbers below; nobody's keys. */
static const char rsa_pem[] = "-----BEGIN RSA PRIVATE KEY-----\n"
			      "MIICXAIBAAKBgQC3l1qAA799YgHnANyeSgb6Jocu2H4j+iYGo5sOzxTbj77OvBoX\n"
			      "7MJG0H3CPCU11vKaa1tfgaQZZb3qAw2BGCZ5pmi3tdQjp0aOc0hqr+IixpYC7kro\n"
			      "X1QpD6TLG1KqwPzCYb1uTUvM3GchoFqZaKHrjvpTzzPjcom95Ki7n/4+SQIDAQAB\n"
			      "AoGATUFZiekJ2X82gbixHcLU8Mrps+LSId2Pxtdt1mt5wXLZvjEVYd/1WMs/QE8C\n"
			      "8YcEC8sFZkktfqp7ok+qjRpWhb/PrTIcdMUkgl2F4WouwDtUtNqxaFSSmThcsuo7\n"
			      "+CuD6XoCxyLopc0I5Gbpse/8ZUssWR4RmnNieRpoCAJraokCQQDhxQjG51y9oi78\n"
			      "b54dJvdvW3x31UBz3UpA7vtK5CQRf7oyp5Cj4GYfg+sFy1f/BZvrA3FM+tCUxI9B\n"
			      "0nsgGNxnAkEA0CyFPLL5buS+gDhdoAECSqaq7lWx9sMaMI0fc51Otxl5c/FMuUIH\n"
			      "3veovxO7L9AiWDhrHCScEyy3snok//dhzwJAIS2Sd6CCeX+/BevlQYV7cUrxhK67\n"
			      "FQvdIKO+HChgwI2TsGP9loegmlsJi8VxPhH18tiDqvtk8afdIaAr5fChWwJAA+Gw\n"
			      "ok8cA4tUWgOzCza5mja9XTBP3zAIHvuiqH84ZoWdFCJdsd6fUvL/PIDbrqqM2WRD\n"
			      "6wRrvJfK3RMV+YfdVQJBAM6hGEm6FCJM6XflcnZuWREVZb/RKJluToN+iPm3FEoe\n"
			      "66ISAGxYECq9jlWkzmPNUKkSIFhzbAQKawDtTatfw/E=\n"
			      "-----END RSA PRIVATE KEY-----\n";
static const char ed25519_pem[] = "-----BEGIN PRIVATE KEY-----\n"
				  "MC4CAQAwBQYDK2VwBCIEIHEYF4TTiv0Zl4JeQHXFReJ2hQBvrdJFyOmPuU+rd5/v\n"
				  "-----END PRIVATE KEY-----\n";
static const char encrypted_pem[] = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
				    "MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAho1xMXhcLjvgICCAAw\n"
				    "DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEPmsZuVwgSv/ORBEVVj3rD4EQGSB\n"
				    "PkkWi70KP2Bc33Avg0zV1Td1CGSSGEXvjtjLav5tZCakxdGR21Gz7nz6NDqaWi6f\n"
				    "/FVfH3ac6cVABp6lGJE=\n"
				    "-----END ENCRYPTED PRIVATE KEY-----\n";
static const char ec_pem[] = "-----BEGIN EC PRIVATE KEY-----\n"
			     "MHcCAQEEIPPTsIrtzhoplhjp0alJENDBVBbkDAzR3h1LG1KHOdFboAoGCCqGSM49\n"
			     "AwEHoUQDQgAEa4gWom6dlGn64Ljc/sZVBUJ3wT3EbhrNJ6tqEPiG6YfoW/vVApMB\n"
			     "Zi8Rqk3hYjkZRXGymMCjE3MVCu9a+fycOw==\n"
			     "-----END EC PRIVATE KEY-----\n";

/* The public half of rsa_pem, and its signature of "hello". */
static const char rsa_public[] =
	"30819f300d06092a864886f70d010101050003818d0030818902818100b7975a8003bf7d6201e700dc9e4a06fa26872e"
	"d87e23fa2606a39b0ecf14db8fbecebc1a17ecc246d07dc23c2535d6f29a6b5b5f81a41965bdea030d81182679a668b7"
	"b5d423a7468e73486aafe222c69602ee4ae85f54290fa4cb1b52aac0fcc261bd6e4d4bccdc6721a05a9968a1eb8efa53"
	"cf33e37289bde4a8bb9ffe3e490203010001";
static const char rsa_signature[] =
	"50162813e620dc21fb942b594106e0c8bc103e2e1d4cc64a28839aff11ebb502e3b240f9f48e8a62fe05250339c99991"
	"38fcb75ba29c25fdd738772752098ac74f6ecdd13dfb3bca8e42077152533b4fe6d731a6233aa549d5ce3edc744a6a18"
	"cda7c8ca184bfbd5a8ecde7f1f53092367b25d11eae2cd1efb8fc828fd466f92";
static const char ed25519_public[] = "9bb9c66078f7ed357de12035d61bac1c433eb0e402f3c8b4ccb8c2573a216bcb";

static size_t unhex(const char *hex, uint8_t *out)
{
	size_t n = 0;
	for (; hex[0] != 0; hex += 2)
		out[n++] = (uint8_t)(ascii_hex_value((uint8_t)hex[0]) << 4 | ascii_hex_value((uint8_t)hex[1]));
	return n;
}

static struct signature_private *read_key(const char *pem)
{
	struct signature_private *key = NULL;
	assert_int_equal(signature_private_read_pem(view_from_cstr(pem), &key), ERR_OK);
	return key;
}

static struct signature_public *public_half(const struct signature_private *key)
{
	struct buf bytes = { 0 };
	struct signature_public *half = NULL;
	assert_int_equal(signature_private_public(key, &bytes), ERR_OK);
	assert_int_equal(signature_private_kind(key) == SIGNATURE_RSA
			? signature_public_read_der(buf_view(&bytes), &half)
			: signature_public_read_raw(buf_view(&bytes), &half),
		ERR_OK);
	buf_clear(&bytes);
	return half;
}

static void known_answers(void **state)
{
	(void)state;
	uint8_t digest[HASH_BYTES], want[512];
	hash_once(VIEW("hello"), digest);
	struct signature_private *key = read_key(rsa_pem);
	struct buf out = { 0 };
	assert_int_equal(signature_private_kind(key), SIGNATURE_RSA);
	assert_int_equal(signature_private_bits(key), 1024);
	assert_int_equal(signature_sign(key, digest, &out), ERR_OK);
	assert_true(view_eq(buf_view(&out), view_of(want, unhex(rsa_signature, want))));
	buf_reset(&out);
	assert_int_equal(signature_private_public(key, &out), ERR_OK);
	assert_true(view_eq(buf_view(&out), view_of(want, unhex(rsa_public, want))));
	signature_private_free(key);
	key = read_key(ed25519_pem);
	buf_reset(&out);
	assert_int_equal(signature_private_public(key, &out), ERR_OK);
	assert_true(view_eq(buf_view(&out), view_of(want, unhex(ed25519_public, want))));
	signature_private_free(key);
	buf_clear(&out);
}

static void sign_then_match(void **state)
{
	(void)state;
	const char *const pems[] = { rsa_pem, ed25519_pem };
	uint8_t digest[HASH_BYTES], other[HASH_BYTES];
	hash_once(VIEW("this"), digest);
	hash_once(VIEW("that"), other);
	for (size_t i = 0; i < 2; i++) {
		struct signature_private *key = read_key(pems[i]), *foreign = read_key(pems[1 - i]);
		struct signature_public *half = public_half(key), *foreign_half = public_half(foreign);
		struct buf out = { 0 };
		assert_int_equal(signature_public_kind(half), signature_private_kind(key));
		assert_int_equal(signature_public_bits(half), signature_private_bits(key));
		assert_int_equal(signature_sign(key, digest, &out), ERR_OK);
		assert_true(signature_matches(half, digest, buf_view(&out)));
		assert_false(signature_matches(half, other, buf_view(&out)));
		assert_false(signature_matches(foreign_half, digest, buf_view(&out)));
		assert_false(signature_matches(half, digest, VIEW("")));
		assert_false(signature_matches(half, digest, view_sub(buf_view(&out), 0, out.len - 1)));
		for (size_t at = 0; at < out.len; at += 7) {
			out.ptr[at] ^= 1;
			assert_false(signature_matches(half, digest, buf_view(&out)));
			out.ptr[at] ^= 1;
		}
		/* A duplicate outlives what it was made of. */
		struct signature_public *again = signature_public_dup(half);
		signature_public_free(half);
		half = again;
		assert_true(signature_matches(half, digest, buf_view(&out)));
		assert_int_equal(buf_append_byte(&out, 0), ERR_OK);
		assert_false(signature_matches(half, digest, buf_view(&out)));
		assert_int_equal(ERR_peek_error(), 0);
		buf_clear(&out);
		signature_private_free(key);
		signature_private_free(foreign);
		signature_public_free(half);
		signature_public_free(foreign_half);
	}
}

static void generated_keys(void **state)
{
	(void)state;
	const enum signature_kind kinds[] = { SIGNATURE_RSA, SIGNATURE_ED25519 };
	uint8_t digest[HASH_BYTES];
	hash_once(VIEW(""), digest);
	for (size_t i = 0; i < 2; i++) {
		struct signature_private *key = NULL, *again = NULL;
		struct buf pem = { 0 }, pem_again = { 0 }, out = { 0 };
		assert_int_equal(signature_generate(kinds[i], 2048, &key), ERR_OK);
		assert_int_equal(signature_private_bits(key), kinds[i] == SIGNATURE_RSA ? 2048 : 256);
		assert_int_equal(signature_private_write_pem(key, &pem), ERR_OK);
		assert_true(view_starts_with(buf_view(&pem), VIEW("-----BEGIN PRIVATE KEY-----\n")));
		assert_int_equal(signature_private_read_pem(buf_view(&pem), &again), ERR_OK);
		assert_int_equal(signature_private_write_pem(again, &pem_again), ERR_OK);
		assert_true(view_eq(buf_view(&pem), buf_view(&pem_again)));
		assert_int_equal(signature_sign(again, digest, &out), ERR_OK);
		struct signature_public *half = public_half(key);
		assert_true(signature_matches(half, digest, buf_view(&out)));
		signature_public_free(half);
		signature_private_free(key);
		signature_private_free(again);
		buf_clear(&pem);
		buf_clear(&pem_again);
		buf_clear(&out);
	}
	struct signature_private *none = NULL;
	assert_int_equal(signature_generate(SIGNATURE_RSA, 1024, &none), ERR_LIMIT);
	assert_int_equal(signature_generate(SIGNATURE_RSA, 16384, &none), ERR_LIMIT);
	assert_null(none);
}

static void private_keys_refused(void **state)
{
	(void)state;
	static const struct {
		const char *name, *text;
		enum err want;
	} cases[] = {
		{ "empty", "", ERR_SYNTAX },
		{ "no PEM", "hello", ERR_SYNTAX },
		{ "cut", "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIHEYF4TTiv0Zl4Je\n", ERR_SYNTAX },
		{ "a public key",
			"-----BEGIN PUBLIC "
			"KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC "
			"KEY-----\n",
			ERR_SYNTAX },
		{ "passphrase", encrypted_pem, ERR_UNSUPPORTED },
		{ "elliptic curve", ec_pem, ERR_UNSUPPORTED },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct signature_private *key = NULL;
		enum err err = signature_private_read_pem(view_from_cstr(cases[i].text), &key);
		if (err != cases[i].want || key != NULL || ERR_peek_error() != 0)
			fail_msg("%s: %s", cases[i].name, err_name(err));
	}
	struct signature_private *key = NULL;
	assert_int_equal(signature_private_read_raw(VIEW("too short"), &key), ERR_SYNTAX);
	struct signature_public *half = NULL;
	assert_int_equal(signature_public_read_raw(VIEW("too short"), &half), ERR_SYNTAX);
	signature_private_free(NULL);
	signature_public_free(NULL);
}

/* What is done to the DER of rsa_public: bytes put in place of others. */
static void der_refused(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		size_t at, remove;
		const char *hex;
		enum err want;
	} cases[] = {
		{ "as it is", 0, 0, "", ERR_OK },
		{ "no parameters", 0, 18, "30819d300b06092a864886f70d010101", ERR_OK },
		{ "not a sequence", 0, 1, "31", ERR_SYNTAX },
		{ "long length in two bytes for one", 1, 2, "82009f", ERR_SYNTAX },
		{ "indefinite length", 1, 2, "80", ERR_SYNTAX },
		{ "length beyond the end", 2, 1, "a0", ERR_SYNTAX },
		{ "length before the end", 2, 1, "9e", ERR_SYNTAX },
		{ "a huge length", 1, 2, "84ffffffff", ERR_SYNTAX },
		{ "another algorithm", 14, 1, "02", ERR_UNSUPPORTED },
		{ "parameters that are no NULL", 16, 2, "0200", ERR_SYNTAX },
		{ "unused bits", 21, 1, "01", ERR_SYNTAX },
		{ "no bit string", 18, 1, "04", ERR_SYNTAX },
		{ "inner sequence missing", 22, 1, "02", ERR_SYNTAX },
		{ "a negative modulus", 28, 1, "ff", ERR_SYNTAX },
		{ "a padded modulus", 29, 1, "07", ERR_SYNTAX },
		{ "an even modulus", 156, 1, "48", ERR_SYNTAX },
		{ "exponent 1", 157, 5, "0203000001", ERR_SYNTAX },
		{ "an even exponent", 161, 1, "02", ERR_SYNTAX },
		{ "exponent cut", 161, 1, "", ERR_SYNTAX },
		{ "a byte behind it", 162, 0, "00", ERR_SYNTAX },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		uint8_t der[512], changed[512];
		size_t len = unhex(rsa_public, der), at = cases[i].at;
		assert_int_equal(len, 162);
		memcpy(changed, der, at);
		size_t n = at + unhex(cases[i].hex, changed + at);
		memcpy(changed + n, der + at + cases[i].remove, len - at - cases[i].remove);
		n += len - at - cases[i].remove;
		struct signature_public *key = NULL;
		enum err err = signature_public_read_der(view_of(changed, n), &key);
		if (err != cases[i].want || (key != NULL) != (err == ERR_OK))
			fail_msg("%s: %s (%s)", cases[i].name, err_name(err), err_detail());
		signature_public_free(key);
		/* Cut anywhere it is no key. */
		for (n = 0; n < len; n++)
			assert_int_not_equal(signature_public_read_der(view_of(der, n), &key), ERR_OK);
	}
}

static void der_of_other_forms(void **state)
{
	(void)state;
	uint8_t der[512], digest[HASH_BYTES], signature[512];
	size_t len = unhex(rsa_public, der), signature_len = unhex(rsa_signature, signature);
	hash_once(VIEW("hello"), digest);
	/* The RSAPublicKey inside of it. */
	struct signature_public *key = NULL;
	assert_int_equal(signature_public_read_der(view_of(der + 22, len - 22), &key), ERR_OK);
	assert_int_equal(signature_public_bits(key), 1024);
	assert_true(signature_matches(key, digest, view_of(signature, signature_len)));
	signature_public_free(key);
	/* 504 bits, and an exponent of nine bytes, and one of five. */
	uint8_t small[128];
	size_t n = unhex("3046023f", small);
	memset(small + n, 0x7f, 63);
	n += 63 + unhex("0203010001", small + n + 63);
	key = NULL;
	assert_int_equal(signature_public_read_der(view_of(small, n), &key), ERR_UNSUPPORTED);
	n = unhex("304d0240", small);
	memset(small + n, 0x7f, 64);
	n += 64 + unhex("0209010000000000000001", small + n + 64);
	assert_int_equal(signature_public_read_der(view_of(small, n), &key), ERR_UNSUPPORTED);
	n = unhex("30490240", small);
	memset(small + n, 0x7f, 64);
	n += 64 + unhex("02050100000001", small + n + 64);
	assert_int_equal(signature_public_read_der(view_of(small, n), &key), ERR_UNSUPPORTED);
	assert_null(key);
}

/* RSAPublicKey in DER of any numbers: nobody's key. */
static struct signature_public *rsa_of(size_t modulus_bytes, const char *exponent_hex)
{
	uint8_t der[1100], exponent[8];
	size_t exponent_len = unhex(exponent_hex, exponent), inner = 4 + 1 + modulus_bytes + 2 + exponent_len;
	const uint8_t head[] = { 0x30, 0x82, (uint8_t)(inner >> 8), (uint8_t)inner, 0x02, 0x82,
		(uint8_t)((modulus_bytes + 1) >> 8), (uint8_t)(modulus_bytes + 1), 0 };
	memcpy(der, head, sizeof head);
	size_t n = sizeof head;
	memset(der + n, 0xa7, modulus_bytes);
	n += modulus_bytes;
	der[n++] = 0x02;
	der[n++] = (uint8_t)exponent_len;
	memcpy(der + n, exponent, exponent_len);
	n += exponent_len;
	struct signature_public *key = NULL;
	assert_int_equal(signature_public_read_der(view_of(der, n), &key), ERR_OK);
	return key;
}

static void the_work_of_a_key(void **state)
{
	(void)state;
	static const struct {
		size_t modulus_bytes;
		const char *exponent;
		unsigned want;
	} rows[] = {
		{ 256, "010001", SIGNATURE_WORK_RSA_2048 },
		{ 384, "010001", 10 + 36 },
		{ 512, "010001", 10 + 64 },
		{ 512, "00ffffffff", 10 + 120 },
		{ 1024, "00ffffffff", 10 + 481 },
		{ 256, "03", 10 + 1 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct signature_public *key = rsa_of(rows[i].modulus_bytes, rows[i].exponent);
		assert_int_equal(signature_public_work(key), rows[i].want);
		signature_public_free(key);
	}
	static const uint8_t point[SIGNATURE_ED25519_KEY_BYTES] = { 9 };
	struct signature_public *key = NULL;
	assert_int_equal(signature_public_read_raw(view_of(point, sizeof point), &key), ERR_OK);
	assert_int_equal(signature_public_work(key), SIGNATURE_WORK_ED25519);
	signature_public_free(key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_answers),
		cmocka_unit_test(sign_then_match),
		cmocka_unit_test(generated_keys),
		cmocka_unit_test(private_keys_refused),
		cmocka_unit_test(der_refused),
		cmocka_unit_test(der_of_other_forms),
		cmocka_unit_test(the_work_of_a_key),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
