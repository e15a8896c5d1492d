#include "mailauth/dkim.h"

#include "mailauth/dkim_keys.h"
#include "mailauth/dkim_private.h"
#include "mailauth/dkim_testing.h"
#include "mail/testing.h"

enum { NOW_S = 1700000000 };

#define RSA_1024_P                                                                                                     \
	"p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC3l1qAA799YgHnANyeSgb6Jocu2H4j+iYGo5sOzxTbj77OvBoX7MJG0H3CPCU11vKaa1" \
	"tfgaQZZb3qAw2BGCZ5pmi3tdQjp0aOc0hqr+IixpYC7kroX1QpD6TLG1KqwPzCYb1uTUvM3GchoFqZaKHrjvpTzzPjcom95Ki7n/"         \
	"4+SQIDAQAB"

static void check_result(const char *name, const struct dkim_signature *got, enum dkim_result want, const char *reason)
{
	if (!testing_is(got, want, reason))
		fail_msg("%s: got %.*s (%s), want %.*s (%s)", name, VIEW_ARG(dkim_result_name(got->result)),
			got->reason != NULL ? got->reason : "", VIEW_ARG(dkim_result_name(want)),
			reason != NULL ? reason : "");
}

/* RFC 6376 A.2 with the key of its appendix C, and RFC 8463 A.3. */
static const char rfc_8463[] = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"
			       " d=football.example.com; i=@football.example.com;\r\n"
			       " q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n"
			       " subject : date : message-id : from : subject : date;\r\n"
			       " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
			       " b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n"
			       " Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n"
			       "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n"
			       " d=football.example.com; i=@football.example.com;\r\n"
			       " q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n"
			       " date : message-id : from : subject : date;\r\n"
			       " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
			       " b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\r\n"
			       " DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\r\n"
			       " dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\r\n"
			       "From: Joe SixPack <joe@football.example.com>\r\n"
			       "To: Suzie Q <suzie@shopping.example.net>\r\n"
			       "Subject: Is dinner ready?\r\n"
			       "Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
			       "Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"
			       "\r\n"
			       "Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n";
static const char rfc_6376[] = "DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;\r\n"
			       "      c=simple/simple; q=dns/txt; i=joe@football.example.com;\r\n"
			       "      h=Received : From : To : Subject : Date : Message-ID;\r\n"
			       "      bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
			       "      b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB\r\n"
			       "      4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut\r\n"
			       "      KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV\r\n"
			       "      4bmp/YzhwvcubU4=;\r\n"
			       "Received: from client1.football.example.com  [192.0.2.1]\r\n"
			       "      by submitserver.example.com with SUBMISSION;\r\n"
			       "      Fri, 11 Jul 2003 21:01:54 -0700 (PDT)\r\n"
			       "From: Joe SixPack <joe@football.example.com>\r\n"
			       "To: Suzie Q <suzie@shopping.example.net>\r\n"
			       "Subject: Is dinner ready?\r\n"
			       "Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
			       "Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"
			       "\r\n"
			       "Hi.\r\n\r\nWe lost the game. Are you hungry yet?\r\n\r\nJoe.\r\n";
static const struct testing_record rfc_records[] = {
	{ "brisbane._domainkey.football.example.com", TESTING_ED25519_RECORD },
	{ "test._domainkey.football.example.com", TESTING_RSA_RECORD },
	{ "brisbane._domainkey.example.com",
		"v=DKIM1; "
		"p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/"
		"zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ij"
		"Ssq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/"
		"NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB" },
};

static void the_rfcs_examples(void **state)
{
	(void)state;
	const struct dkim_verify_options options = { .now_s = NOW_S };
	struct dkim_keys *cache = dkim_keys_new(8);
	for (size_t step = 0; step < 200; step++) {
		/* The second half with the keys that the first has left. */
		struct dkim_verify_options o = options;
		o.keys = step % 100 == 0 ? NULL : cache;
		struct dkim_verifier *v = testing_verify(&o, view_from_cstr(rfc_8463), step % 100, rfc_records, 3);
		assert_int_equal(dkim_verifier_count(v), 2);
		assert_int_equal(testing_passes(v), 2);
		struct dkim_signature got;
		assert_true(dkim_verifier_result(v, 1, &got));
		assert_text("d", got.domain, "football.example.com");
		assert_text("s", got.selector, "test");
		assert_text("i", got.identity, "@football.example.com");
		assert_int_equal(got.algorithm, DKIM_RSA_SHA256);
		assert_int_equal(got.key_bits, 1024);
		assert_int_equal(got.time_s, 1528637909);
		assert_int_equal(got.expiry_s, 0);
		assert_false(got.is_testing || got.has_unsigned_body);
		dkim_verifier_free(v);
		v = testing_verify(&o, view_from_cstr(rfc_6376), step % 100, rfc_records, 3);
		assert_true(dkim_verifier_result(v, 0, &got));
		check_result("RFC 6376 A.2", &got, DKIM_PASS, NULL);
		assert_text("i", got.identity, "joe@football.example.com");
		dkim_verifier_free(v);
	}
	dkim_keys_free(cache);
}

/* Any byte of the signed part changed, and a signature is no longer one: in the header fields, in the body, in the signature. */
static void every_byte_counts(void **state)
{
	(void)state;
	const struct dkim_verify_options options = { .now_s = NOW_S };
	struct buf message = { 0 };
	assert_int_equal(buf_append_cstr(&message, rfc_6376), ERR_OK);
	for (size_t i = 0; i < message.len; i++) {
		uint8_t kept = message.ptr[i];
		/* Lines stay lines, and white space white space: only what the RFC counts. */
		if (!ascii_is_alnum(kept))
			continue;
		message.ptr[i] = kept == 'x' ? 'y' : 'x';
		struct dkim_verifier *v = testing_verify(&options, buf_view(&message), 0, rfc_records, 3);
		if (testing_passes(v) != 0)
			fail_msg("byte %zu does not count", i);
		dkim_verifier_free(v);
		message.ptr[i] = kept;
	}
	buf_clear(&message);
}

static void many_signatures(void **state)
{
	(void)state;
	struct buf message = { 0 };
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(buf_append_format(&message,
					 "DKIM-Signature: v=1; a=ed25519-sha256; d=example.com; s=s%u; h=from;\r\n"
					 " bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA; l=%u\r\n",
					 i % 20, i),
			ERR_OK);
	assert_int_equal(buf_append_cstr(&message, "From: a@example.com\r\n\r\nHi.\r\n"), ERR_OK);
	static const struct {
		size_t max, count, names;
	} cases[] = { { 0, 10, 10 }, { 3, 3, 3 }, { 25, 25, 20 }, { 1000, 32, 20 } };
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const struct dkim_verify_options options = { .now_s = NOW_S, .signatures_max = cases[i].max };
		struct dkim_verifier *v = dkim_verifier_new(&options);
		struct dkim_need need;
		size_t names = 0;
		assert_int_equal(dkim_verifier_headers(v, buf_view(&message)), ERR_OK);
		while (dkim_verifier_next(v, &need))
			names++;
		assert_int_equal(names, cases[i].names);
		assert_int_equal(dkim_verifier_count(v), cases[i].count);
		assert_int_equal(dkim_verifier_ignored(v), 50 - cases[i].count);
		assert_true(dkim_verifier_memory_bytes(v) < 64 * 1024);
		dkim_verifier_free(v);
	}
	buf_clear(&message);
}

static void answers_in_any_order(void **state)
{
	(void)state;
	const struct dkim_verify_options options = { .now_s = NOW_S };
	struct view message = view_from_cstr(rfc_8463);
	for (int late = 0; late < 2; late++) {
		struct dkim_verifier *v = dkim_verifier_new(&options);
		struct dkim_need one, two, three;
		struct dkim_signature got;
		assert_false(dkim_verifier_next(v, &one));
		assert_int_equal(dkim_verifier_body(v, VIEW("x")), ERR_STATE);
		assert_int_equal(dkim_verifier_end(v), ERR_STATE);
		assert_int_equal(dkim_verifier_headers(v, message), ERR_OK);
		assert_int_equal(dkim_verifier_headers(v, message), ERR_STATE);
		/* Not told yet: nobody can answer it. */
		assert_int_equal(dkim_verifier_answer(v, 1, DKIM_DNS_NXDOMAIN, NULL), ERR_NOT_FOUND);
		assert_true(dkim_verifier_next(v, &one) && dkim_verifier_next(v, &two));
		assert_false(dkim_verifier_next(v, &three));
		assert_text("one", one.name, "brisbane._domainkey.football.example.com");
		assert_int_equal(dkim_verifier_answer(v, 99, DKIM_DNS_NXDOMAIN, NULL), ERR_NOT_FOUND);
		assert_int_equal(dkim_verifier_answer(v, 0, DKIM_DNS_NXDOMAIN, NULL), ERR_NOT_FOUND);
		if (late == 0)
			testing_answer(v, &two, rfc_records, 3);
		assert_int_equal(dkim_verifier_body(v, testing_body(message)), ERR_OK);
		assert_false(dkim_verifier_result(v, 1, &got));
		assert_false(dkim_verifier_is_done(v));
		assert_int_equal(dkim_verifier_end(v), ERR_OK);
		assert_int_equal(dkim_verifier_end(v), ERR_STATE);
		assert_int_equal(dkim_verifier_body(v, VIEW("x")), ERR_STATE);
		assert_int_equal(dkim_verifier_result(v, 1, &got), late == 0);
		if (late == 1)
			testing_answer(v, &two, rfc_records, 3);
		assert_true(dkim_verifier_result(v, 1, &got));
		assert_false(dkim_verifier_result(v, 0, &got));
		assert_false(dkim_verifier_is_done(v));
		assert_int_equal(dkim_verifier_answer(v, two.token, DKIM_DNS_NXDOMAIN, NULL), ERR_NOT_FOUND);
		dkim_verifier_give_up(v);
		assert_true(dkim_verifier_is_done(v));
		assert_true(dkim_verifier_result(v, 0, &got));
		check_result("given up", &got, DKIM_TEMPERROR, "no answer from DNS in time");
		assert_int_equal(dkim_verifier_answer(v, one.token, DKIM_DNS_NXDOMAIN, NULL), ERR_NOT_FOUND);
		assert_int_equal(testing_passes(v), 1);
		assert_false(dkim_verifier_result(v, 2, &got));
		dkim_verifier_free(v);
	}
	dkim_verifier_free(NULL);
}

/* Of several records the one that fits counts; if none does, the one that came nearest. */
static void several_records(void **state)
{
	(void)state;
	static const char name[] = "brisbane._domainkey.football.example.com";
	static const struct {
		const char *name;
		const char *texts[6];
		enum dkim_result want;
		const char *reason;
	} cases[] = {
		{ "behind others", { "v=spf1 -all", "hello", RSA_1024_P, TESTING_ED25519_RECORD }, DKIM_PASS, NULL },
		{ "before others", { TESTING_ED25519_RECORD, "v=DKIM1; p=", RSA_1024_P }, DKIM_PASS, NULL },
		{ "only others", { "v=spf1 -all", RSA_1024_P }, DKIM_PERMERROR, "the key is of another kind" },
		{ "another key and a revoked one",
			{ "v=DKIM1; p=", "k=ed25519; p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=" }, DKIM_FAIL,
			"the header fields" },
		{ "behind four others", { RSA_1024_P, RSA_1024_P, RSA_1024_P, RSA_1024_P, TESTING_ED25519_RECORD },
			DKIM_PERMERROR, "the key is of another kind" },
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct testing_record records[6];
		size_t count = 0;
		for (; count < 6 && cases[i].texts[count] != NULL; count++)
			records[count] = (struct testing_record){ name, cases[i].texts[count] };
		const struct dkim_verify_options options = { .now_s = NOW_S };
		struct dkim_verifier *v = testing_verify(&options, view_from_cstr(rfc_8463), 0, records, count);
		struct dkim_signature got;
		assert_true(dkim_verifier_result(v, 0, &got));
		check_result(cases[i].name, &got, cases[i].want, cases[i].reason);
		dkim_verifier_free(v);
	}
}

static void messages_without(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		size_t from_count, signatures;
	} cases[] = { { "", 0, 0 }, { "\r\nDKIM-Signature: x\r\nFrom: a\r\n", 0, 0 },
		{ "From: a\r\nFROM : b\r\n\r\n", 2, 0 }, { "  no header\r\n", 0, 0 },
		{ "DKIM-Signature: x\r\n", 0, 1 } };
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const struct dkim_verify_options options = { .now_s = NOW_S };
		struct dkim_verifier *v = testing_verify(&options, view_from_cstr(cases[i].text), 0, NULL, 0);
		assert_int_equal(dkim_verifier_from_count(v), cases[i].from_count);
		assert_int_equal(dkim_verifier_count(v), cases[i].signatures);
		dkim_verifier_free(v);
	}
}

static void too_many_fields(void **state)
{
	(void)state;
	struct buf message = { 0 };
	struct dkim_signature got;
	assert_int_equal(buf_append_cstr(&message, rfc_8463), ERR_OK);
	message.len = header_section_length(buf_view(&message)) - 2;
	for (unsigned i = 0; i < DKIM_FIELDS_MAX; i++)
		assert_int_equal(buf_append_cstr(&message, "A:\r\n"), ERR_OK);
	const struct dkim_verify_options options = { .now_s = NOW_S };
	struct dkim_verifier *v = testing_verify(&options, buf_view(&message), 0, rfc_records, 3);
	assert_true(dkim_verifier_result(v, 0, &got));
	check_result("fields", &got, DKIM_POLICY, "the message has too many");
	assert_int_equal(dkim_verifier_from_count(v), 1);
	dkim_verifier_free(v);
	buf_reset(&message);
	assert_int_equal(
		buf_append_cstr(&message, "DKIM-Signature: v=1; a=ed25519-sha256; d=example.com; s=mail; h=from"),
		ERR_OK);
	for (unsigned i = 0; i < DKIM_NAMES_MAX; i++)
		assert_int_equal(buf_append_cstr(&message, ":\r\n a"), ERR_OK);
	assert_int_equal(
		buf_append_cstr(&message, "; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA\r\n"), ERR_OK);
	v = testing_verify(&options, buf_view(&message), 0, rfc_records, 3);
	assert_true(dkim_verifier_result(v, 0, &got));
	check_result("names", &got, DKIM_POLICY, "too many signed header fields");
	dkim_verifier_free(v);
	buf_clear(&message);
}

static void results_as_text(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		struct dkim_signature signature;
		const char *want;
	} cases[] = {
		{ "pass",
			{ .result = DKIM_PASS,
				.domain = { (const uint8_t *)"example.com", 11 },
				.selector = { (const uint8_t *)"mail", 4 },
				.identity = { (const uint8_t *)"@example.com", 12 },
				.signature = { (const uint8_t *)"ABCDEFGHIJ", 10 },
				.algorithm = DKIM_RSA_SHA256 },
			"dkim=pass header.d=example.com header.s=mail header.a=rsa-sha256 header.b=\"ABCDEFGH\"" },
		{ "fail",
			{ .result = DKIM_FAIL,
				.reason = "the body is not what was signed",
				.domain = { (const uint8_t *)"example.com", 11 },
				.identity = { (const uint8_t *)"joe.x+y@example.com", 19 },
				.algorithm = DKIM_ED25519_SHA256 },
			"dkim=fail reason=\"the body is not what was signed\" header.d=example.com "
			"header.i=joe.x+y@example.com "
			"header.a=ed25519-sha256" },
		{ "an identity that would need quotes",
			{ .result = DKIM_PASS,
				.domain = { (const uint8_t *)"example.com", 11 },
				.identity = { (const uint8_t *)"a;b \"c@example.com", 17 } },
			"dkim=pass header.d=example.com" },
		{ "nothing known", { .result = DKIM_NEUTRAL, .reason = "x" }, "dkim=neutral reason=\"x\"" },
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct buf out = { 0 };
		assert_int_equal(dkim_format_result(&cases[i].signature, &out), ERR_OK);
		assert_text(cases[i].name, buf_view(&out), cases[i].want);
		buf_clear(&out);
		buf_init(&out, 10);
		assert_int_equal(dkim_format_result(&cases[i].signature, &out), ERR_LIMIT);
		assert_int_equal(out.len, 0);
		buf_clear(&out);
	}
	for (int i = 0; i < DKIM_RESULT_COUNT; i++)
		assert_true(dkim_result_name((enum dkim_result)i).len > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_rfcs_examples),
		cmocka_unit_test(every_byte_counts),
		cmocka_unit_test(many_signatures),
		cmocka_unit_test(answers_in_any_order),
		cmocka_unit_test(several_records),
		cmocka_unit_test(messages_without),
		cmocka_unit_test(too_many_fields),
		cmocka_unit_test(results_as_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
