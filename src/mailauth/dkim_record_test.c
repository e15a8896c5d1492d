#include "mailauth/dkim_record.h"

#include "mailauth/dkim_keys_private.h"
#include "mailauth/dkim_testing.h"
#include "mail/testing.h"

static void names(void **state)
{
	(void)state;
	static const struct {
		const char *selector, *domain, *want;
	} cases[] = {
		{ "mail", "example.com", "mail._domainkey.example.com" },
		{ "2024.Mail", "Example.COM", "2024.mail._domainkey.example.com" },
		{ "", "example.com", NULL },
		{ "a b", "example.com", NULL },
		{ "mail", "com", NULL },
		{ "mail", "example.com.", NULL },
		{ "\xc3\xa4", "example.com", NULL },
		{ "mail",
			"b\xc3\xbc"
			"cher.example",
			NULL },
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct buf out = { 0 };
		assert_err(cases[i].selector,
			dkim_record_name(view_from_cstr(cases[i].selector), view_from_cstr(cases[i].domain), &out),
			cases[i].want != NULL ? ERR_OK : ERR_SYNTAX);
		assert_text(cases[i].selector, buf_view(&out), cases[i].want != NULL ? cases[i].want : "");
		buf_clear(&out);
	}
	/* 254 bytes. */
	char selector[64] = { 0 }, domain[184] = { 0 };
	struct buf out = { 0 };
	memset(selector, 's', 59);
	for (size_t i = 0; i < 183; i++)
		domain[i] = i % 61 == 60 ? '.' : 'd';
	domain[182] = 'd';
	assert_int_equal(dkim_record_name(view_from_cstr(selector), view_from_cstr(domain), &out), ERR_SYNTAX);
	selector[58] = 0;
	assert_int_equal(dkim_record_name(view_from_cstr(selector), view_from_cstr(domain), &out), ERR_OK);
	assert_int_equal(out.len, 253);
	buf_clear(&out);
}

static void formatted_and_parsed(void **state)
{
	(void)state;
	struct signature_private *keys[] = { testing_key(TESTING_RSA_2048), testing_key(TESTING_RSA_1024),
		testing_ed25519_key() };
	static const unsigned bits[] = { 2048, 1024, 256 };
	for (size_t i = 0; i < COUNT_OF(keys); i++)
		for (unsigned flags = 0; flags < 4; flags++) {
			struct buf text = { 0 };
			struct dkim_record record;
			assert_int_equal(dkim_record_format(keys[i], flags, &text), ERR_OK);
			assert_int_equal(dkim_record_parse(buf_view(&text), &record), ERR_OK);
			assert_int_equal(record.kind, i == 2 ? SIGNATURE_ED25519 : SIGNATURE_RSA);
			assert_int_equal(record.bits, bits[i]);
			assert_false(record.is_revoked);
			assert_int_equal(record.is_testing, (flags & DKIM_RECORD_TESTING) != 0);
			assert_int_equal(record.is_strict, (flags & DKIM_RECORD_STRICT) != 0);
			for (size_t k = 0; k < COUNT_OF(keys); k++)
				assert_int_equal(dkim_record_matches(buf_view(&text), keys[k]), k == i);
			buf_clear(&text);
		}
	struct buf text = { 0 };
	struct dkim_record record;
	assert_int_equal(dkim_record_format(keys[2], DKIM_RECORD_TESTING | DKIM_RECORD_STRICT, &text), ERR_OK);
	assert_text("ed25519", buf_view(&text),
		"v=DKIM1; k=ed25519; h=sha256; t=y:s; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
	buf_reset(&text);
	assert_int_equal(dkim_record_format(NULL, 0, &text), ERR_OK);
	assert_text("revoked", buf_view(&text), "v=DKIM1; p=");
	assert_int_equal(dkim_record_parse(buf_view(&text), &record), ERR_OK);
	assert_true(record.is_revoked);
	assert_false(dkim_record_matches(buf_view(&text), keys[0]));
	buf_clear(&text);
	buf_init(&text, 40);
	assert_int_equal(dkim_record_format(keys[0], 0, &text), ERR_LIMIT);
	assert_int_equal(text.len, 0);
	buf_clear(&text);
	for (size_t i = 0; i < COUNT_OF(keys); i++)
		signature_private_free(keys[i]);
}

static void not_usable(void **state)
{
	(void)state;
	static const char *const texts[] = { "", "hello", "v=spf1 -all", "v=DKIM1", "k=ed25519; p=AAAA", "k=x; p=AAAA",
		"s=tlsrpt; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
		"h=sha1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=" };
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		struct dkim_record record;
		assert_err(texts[i], dkim_record_parse(view_from_cstr(texts[i]), &record), ERR_SYNTAX);
	}
	/* A record that nobody can mean. */
	struct buf text = { 0 };
	struct dkim_record record;
	assert_int_equal(buf_append_cstr(&text, TESTING_ED25519_RECORD "; n="), ERR_OK);
	while (text.len < DKIM_RECORD_MAX_BYTES)
		assert_int_equal(buf_append_byte(&text, 'x'), ERR_OK);
	assert_int_equal(dkim_record_parse(buf_view(&text), &record), ERR_OK);
	assert_int_equal(buf_append_byte(&text, 'x'), ERR_OK);
	assert_int_equal(dkim_record_parse(buf_view(&text), &record), ERR_SYNTAX);
	buf_clear(&text);
}

static void quoted(void **state)
{
	(void)state;
	static const struct {
		const char *text, *want;
	} cases[] = { { "", "\"\"" }, { "v=DKIM1; p=", "\"v=DKIM1; p=\"" }, { "a\"b\\c", "\"a\\\"b\\\\c\"" },
		{ "\x01\xff", "\"\\001\\255\"" } };
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct buf out = { 0 };
		assert_int_equal(dkim_record_quote(view_from_cstr(cases[i].text), &out), ERR_OK);
		assert_text(cases[i].text, buf_view(&out), cases[i].want);
		buf_clear(&out);
	}
	uint8_t text[512];
	memset(text, 'x', sizeof text);
	static const struct {
		size_t len, strings;
	} lengths[] = { { 255, 1 }, { 256, 2 }, { 510, 2 }, { 511, 3 } };
	for (size_t i = 0; i < COUNT_OF(lengths); i++) {
		struct buf out = { 0 };
		assert_int_equal(dkim_record_quote(view_of(text, lengths[i].len), &out), ERR_OK);
		assert_int_equal(out.len, lengths[i].len + 2 * lengths[i].strings + lengths[i].strings - 1);
		buf_clear(&out);
		buf_init(&out, lengths[i].len);
		assert_int_equal(dkim_record_quote(view_of(text, lengths[i].len), &out), ERR_LIMIT);
		assert_int_equal(out.len, 0);
		buf_clear(&out);
	}
}

/* Any number of records go through a small memory of them, and what it gives back is the right one. */
static void remembered_keys(void **state)
{
	(void)state;
	struct dkim_keys *keys = dkim_keys_new(0);
	uint8_t seed[32] = { 0 }, digest[HASH_BYTES] = { 0 };
	for (size_t round = 0; round < 50; round++) {
		struct signature_private *pair = NULL;
		struct buf text = { 0 }, signature = { 0 };
		/* Some come again soon, others after the table was filled with others. */
		seed[0] = (uint8_t)(round % 3 == 0 ? 200 : round % 7);
		assert_int_equal(signature_private_read_raw(view_of(seed, 32), &pair), ERR_OK);
		assert_int_equal(dkim_record_format(pair, (unsigned)round % 4, &text), ERR_OK);
		assert_int_equal(signature_sign(pair, digest, &signature), ERR_OK);
		for (size_t again = 0; again < 2; again++) {
			struct dkim_key key;
			assert_null(dkim_keys_parse(keys, buf_view(&text), &key));
			assert_true(signature_matches(key.key, digest, buf_view(&signature)));
			assert_int_equal(key.is_testing, (round & DKIM_RECORD_TESTING) != 0);
			assert_int_equal(key.is_strict, (round & DKIM_RECORD_STRICT) != 0);
			dkim_key_clear(&key);
		}
		signature_private_free(pair);
		buf_clear(&text);
		buf_clear(&signature);
	}
	struct dkim_key key;
	for (size_t again = 0; again < 2; again++) {
		assert_null(dkim_keys_parse(keys, VIEW("v=DKIM1; p="), &key));
		assert_true(key.is_revoked && key.key == NULL);
		assert_non_null(dkim_keys_parse(keys, VIEW("hello"), &key));
		assert_non_null(dkim_keys_parse(keys, VIEW(""), &key));
		assert_null(dkim_keys_parse(NULL, VIEW(TESTING_ED25519_RECORD), &key));
		dkim_key_clear(&key);
	}
	dkim_keys_free(keys);
	dkim_keys_free(NULL);
}

static void publications(void **state)
{
	(void)state;
	static const char record[] = TESTING_ED25519_RECORD;
	static const struct {
		const char *name;
		enum dkim_dns_status status;
		const char *texts[3];
		enum dkim_publication want;
	} cases[] = {
		{ "the very text", DKIM_DNS_OK, { record }, DKIM_PUBLISHED },
		{ "written otherwise", DKIM_DNS_OK,
			{ "k = ed25519;p=11qYAYKxCrfVS/7TyWQHOg7hcvPap iMlrwIaaPcHURo=; t=y" }, DKIM_PUBLISHED },
		{ "twice", DKIM_DNS_OK, { record, record }, DKIM_PUBLISHED },
		{ "no such name", DKIM_DNS_NXDOMAIN, { NULL }, DKIM_UNPUBLISHED },
		{ "no record", DKIM_DNS_OK, { NULL }, DKIM_UNPUBLISHED },
		{ "no answer", DKIM_DNS_FAILED, { record }, DKIM_PUBLICATION_UNKNOWN },
		{ "another kind", DKIM_DNS_OK, { TESTING_RSA_RECORD }, DKIM_PUBLISHED_OTHER },
		{ "another key", DKIM_DNS_OK, { "v=DKIM1; k=ed25519; p=AAAAAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=" },
			DKIM_PUBLISHED_OTHER },
		{ "cut off", DKIM_DNS_OK, { "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS" }, DKIM_PUBLISHED_OTHER },
		{ "revoked", DKIM_DNS_OK, { "v=DKIM1; k=ed25519; p=" }, DKIM_PUBLISHED_OTHER },
		{ "not for mail", DKIM_DNS_OK, { TESTING_ED25519_RECORD "; s=other" }, DKIM_PUBLISHED_OTHER },
		{ "not for SHA-256", DKIM_DNS_OK, { TESTING_ED25519_RECORD "; h=sha1" }, DKIM_PUBLISHED_OTHER },
		{ "something else", DKIM_DNS_OK, { "hello" }, DKIM_PUBLISHED_OTHER },
		{ "beside another key", DKIM_DNS_OK, { TESTING_RSA_RECORD, record }, DKIM_PUBLISHED_SEVERAL },
		{ "beside a text", DKIM_DNS_OK, { record, "hello" }, DKIM_PUBLISHED_SEVERAL },
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct dns_record records[3];
		struct dns_answer answer = { .records = records };
		for (; answer.record_count < 3 && cases[i].texts[answer.record_count] != NULL; answer.record_count++)
			records[answer.record_count] = (struct dns_record){ .type = DNS_TYPE_TXT,
				.data = view_from_cstr(cases[i].texts[answer.record_count]) };
		enum dkim_publication got = dkim_record_publication(cases[i].status, &answer, view_from_cstr(record));
		if (got != cases[i].want)
			fail_msg("%s: %s", cases[i].name, dkim_publication_text(got));
		assert_int_equal(dkim_record_publication(cases[i].status, &answer, VIEW("v=DKIM1; p=")),
			cases[i].status == DKIM_DNS_OK ? DKIM_PUBLISHED_OTHER : cases[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(formatted_and_parsed),
		cmocka_unit_test(not_usable),
		cmocka_unit_test(quoted),
		cmocka_unit_test(publications),
		cmocka_unit_test(remembered_keys),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
