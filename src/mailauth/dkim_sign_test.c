#include "mailauth/dkim_sign.h"

#include "mailauth/dkim_testing.h"
#include "mail/testing.h"

enum { NOW_S = 1700000000 };

static struct signature_private *rsa, *ed25519;
static struct buf rsa_record, ed25519_record;

static int set_up(void **state)
{
	(void)state;
	rsa = testing_key(TESTING_RSA_2048);
	ed25519 = testing_ed25519_key();
	testing_must(dkim_record_format(rsa, DKIM_RECORD_STRICT, &rsa_record) == ERR_OK);
	testing_must(dkim_record_format(ed25519, 0, &ed25519_record) == ERR_OK);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	signature_private_free(rsa);
	signature_private_free(ed25519);
	buf_clear(&rsa_record);
	buf_clear(&ed25519_record);
	return 0;
}

static struct dkim_verifier *verify(struct view message, size_t step)
{
	const struct testing_record records[] = { { "r1._domainkey.example.com", buf_cstr(&rsa_record) },
		{ "e1._domainkey.example.com", buf_cstr(&ed25519_record) } };
	const struct dkim_verify_options options = { .now_s = NOW_S };
	return testing_verify(&options, message, step, records, 2);
}

static size_t passes(struct view message, size_t step)
{
	struct dkim_verifier *verifier = verify(message, step);
	size_t n = testing_passes(verifier);
	dkim_verifier_free(verifier);
	return n;
}

#define FIELDS                                                                                                         \
	"Received: from a\r\n\tby b; Mon, 1 Jan 2024 00:00:00 +0000\r\n"                                               \
	"From: Joe <joe@example.com>\r\n"                                                                              \
	"To: Suzie <suzie@example.net>,\r\n\t\tBob  <bob@example.net>\r\n"                                             \
	"Subject: Is  dinner ready?  \r\n"                                                                             \
	"Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"                                                              \
	"References: <1@example.com>\r\n"                                                                              \
	"X-Other: x\r\n"

static const char *const messages[] = {
	FIELDS "\r\nHi.\r\n\r\n  We  lost \t\r\n \t\r\nJoe.\r\n\r\n\r\n",
	FIELDS "\r\n",
	FIELDS, /* not even an empty line */
	FIELDS "\r\n\r\n\r\n",
	FIELDS "\r\n \t\r\n",
	FIELDS "\r\nno line end",
	FIELDS "\r\nlone\rCRs\r and\nLFs\n\n\r\r\n \r",
	"From: a\r\n\r\n8-bit \xc3\xa4 \xff\r\n.\r\n..\r\n",
	"from:a",
};

static const enum dkim_canon canons[] = { DKIM_RELAXED, DKIM_SIMPLE };

static void round_trips(void **state)
{
	(void)state;
	const struct dkim_sign_key with[] = { { VIEW("r1"), rsa }, { VIEW("e1"), ed25519 } };
	for (size_t m = 0; m < COUNT_OF(messages); m++)
		for (size_t c = 0; c < 4; c++) {
			const struct dkim_sign_options options = { .domain = VIEW("Example.com"),
				.key_count = 2,
				.keys = with,
				.header_canon = canons[c / 2],
				.body_canon = canons[c % 2],
				.now_s = NOW_S,
				.lifetime_s = c * 1000 };
			struct view message = view_from_cstr(messages[m]);
			struct buf whole = { 0 };
			assert_err(messages[m], testing_sign(&options, message, 0, &whole), ERR_OK);
			/* In pieces of any size the same. */
			for (size_t step = 1; step < 20; step += 6) {
				struct buf parts = { 0 };
				assert_err(messages[m], testing_sign(&options, message, step, &parts), ERR_OK);
				assert_true(view_eq(buf_view(&parts), buf_view(&whole)));
				buf_clear(&parts);
				if (passes(buf_view(&whole), step) != 2)
					fail_msg("message %zu, canonicalization %zu, step %zu", m, c, step);
			}
			buf_clear(&whole);
		}
}

static void what_is_signed(void **state)
{
	(void)state;
	const struct dkim_sign_key with[] = { { VIEW("r1"), rsa }, { VIEW("e1"), ed25519 } };
	const struct dkim_sign_options options = {
		.domain = VIEW("example.com"), .key_count = 2, .keys = with, .now_s = NOW_S, .lifetime_s = 86400
	};
	struct buf whole = { 0 }, text = { 0 };
	assert_err("sign", testing_sign(&options, view_from_cstr(messages[0]), 0, &whole), ERR_OK);
	struct view rest = buf_view(&whole);
	struct header_field field;
	for (size_t i = 0; i < 2; i++) {
		buf_reset(&text);
		assert_true(header_next(&rest, &field));
		assert_text("name", field.name, "DKIM-Signature");
		assert_int_equal(header_unfold(field.value, &text), ERR_OK);
		struct view value = buf_view(&text);
		assert_has("tags", value,
			i == 0 ? "v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=r1;"
			       : "v=1; a=ed25519-sha256; c=relaxed/relaxed; d=example.com; s=e1;");
		assert_has("time", value, "t=1700000000; x=1700086400;");
		/* As often as they are there, and once more; References just once; no trace and nothing unknown. */
		assert_has("names", value, "h=From:From:To:To:Cc:Reply-To:");
		assert_has("names", value, "References; bh=");
		assert_has_not("names", value, "Received");
		assert_has_not("names", value, "X-Other");
		/* Lines that fit. */
		struct view lines = field.whole, line;
		while (view_split(&lines, '\n', &line))
			if (line.len > 79)
				fail_msg("a line of %zu bytes: %.*s", line.len, VIEW_ARG(line));
	}
	/* An added field of a sealed name, above or below, is noticed; another one is not. */
	static const struct {
		const char *text;
		size_t want;
	} added[] = { { "From: evil@example.org\r\n", 0 }, { "To: x\r\n", 0 }, { "Cc: x\r\n", 0 },
		{ "Reply-To: x\r\n", 0 }, { "Subject: x\r\n", 0 }, { "Date: x\r\n", 0 }, { "Message-ID: <x>\r\n", 0 },
		{ "MIME-Version: 1.0\r\n", 0 }, { "Content-Type: text/html\r\n", 0 },
		{ "Content-Transfer-Encoding: base64\r\n", 0 }, { "Received: x\r\n", 2 }, { "List-Id: x\r\n", 2 },
		{ "Sender: x\r\n", 2 }, { "X-Other: y\r\n", 2 } };
	for (size_t i = 0; i < COUNT_OF(added); i++)
		for (int below = 0; below < 2; below++) {
			size_t at = below ? header_section_length(buf_view(&whole)) - 2 : 0;
			buf_reset(&text);
			assert_int_equal(buf_append(&text, view_sub(buf_view(&whole), 0, at)), ERR_OK);
			assert_int_equal(buf_append_cstr(&text, added[i].text), ERR_OK);
			assert_int_equal(buf_append(&text, view_from(buf_view(&whole), at)), ERR_OK);
			if (passes(buf_view(&text), 0) != added[i].want)
				fail_msg("%s added", added[i].text);
		}
	buf_clear(&whole);
	buf_clear(&text);
}

/* Names of a length that no line can hold, and lists that fill lines exactly. */
static void folding(void **state)
{
	(void)state;
	char selector[64] = { 0 }, label[250] = { 0 };
	for (size_t n = 1; n <= 63; n += 1) {
		memset(selector, 's', n);
		struct buf domain = { 0 }, out = { 0 }, record_name = { 0 };
		memset(label, 0, sizeof label);
		for (size_t i = 0; i < 2 * n; i++)
			label[i] = i % 40 == 39 ? '.' : 'd';
		assert_int_equal(
			buf_append_format(&domain, "%s.example", label[2 * n - 1] == '.' ? "d" : label), ERR_OK);
		const struct dkim_sign_key with = { view_from_cstr(selector), ed25519 };
		const struct dkim_sign_options options = { .domain = buf_view(&domain),
			.key_count = 1,
			.keys = &with,
			.header_canon = canons[n % 2],
			.now_s = NOW_S };
		assert_err("sign", testing_sign(&options, view_from_cstr(messages[0]), 0, &out), ERR_OK);
		assert_int_equal(dkim_record_name(with.selector, options.domain, &record_name), ERR_OK);
		const struct testing_record record = { buf_cstr(&record_name), buf_cstr(&ed25519_record) };
		const struct dkim_verify_options verify_options = { .now_s = NOW_S };
		struct dkim_verifier *verifier = testing_verify(&verify_options, buf_view(&out), 0, &record, 1);
		if (testing_passes(verifier) != 1)
			fail_msg("a selector of %zu bytes", n);
		struct view rest = buf_view(&out), lines, line;
		struct header_field field;
		assert_true(header_next(&rest, &field));
		lines = field.whole;
		while (view_split(&lines, '\n', &line))
			/* One long word may pass, on a line of its own. */
			if (line.len > 79 && (line.ptr[0] != '\t' || view_find(line, ' ') < line.len))
				fail_msg("a line of %zu bytes: %.*s", line.len, VIEW_ARG(line));
		dkim_verifier_free(verifier);
		buf_clear(&domain);
		buf_clear(&record_name);
		buf_clear(&out);
	}
}

static void refused(void **state)
{
	(void)state;
	const struct dkim_sign_key good = { VIEW("r1"), rsa };
	static const struct {
		const char *name, *message;
	} cases[] = {
		{ "no From", "To: a\r\n\r\n" },
		{ "two From", "From: a\r\nTo: b\r\nfrom: c\r\n\r\n" },
		{ "From with a blank before its colon", "From: a\r\nFROM : b\r\n\r\n" },
		{ "From in the body", "To: a\r\n\r\nFrom: a\r\n" },
		{ "empty", "" },
		{ "a folded line first", " x\r\nFrom: a\r\n\r\n" },
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const struct dkim_sign_options options = {
			.domain = VIEW("example.com"), .key_count = 1, .keys = &good
		};
		struct buf out = { 0 };
		struct dkim_signer *signer = NULL;
		assert_int_equal(dkim_signer_new(&options, &signer), ERR_OK);
		assert_err(cases[i].name, dkim_signer_headers(signer, view_from_cstr(cases[i].message)), ERR_REFUSED);
		/* Nor signed without them. */
		assert_int_equal(dkim_signer_body(signer, VIEW("x")), ERR_STATE);
		assert_int_equal(dkim_signer_finish(signer, &out), ERR_STATE);
		assert_int_equal(out.len, 0);
		dkim_signer_free(signer);
	}
	dkim_signer_free(NULL);
}

static void bad_options(void **state)
{
	(void)state;
	struct signature_private *short_key = testing_key(TESTING_RSA_768);
	const struct dkim_sign_key good[] = { { VIEW("r1"), rsa }, { VIEW("r2"), rsa }, { VIEW("r3"), rsa },
		{ VIEW("r4"), rsa }, { VIEW("r5"), rsa } };
	const struct dkim_sign_key bad_selector = { VIEW("a b"), rsa }, unicode = { VIEW("\xc3\xa4"), rsa },
				   too_short = { VIEW("r1"), short_key };
	const struct dkim_sign_field no_from[] = { { VIEW("To"), true } },
				     twice[] = { { VIEW("From"), true }, { VIEW("FROM"), true } },
				     colon[] = { { VIEW("From"), true }, { VIEW("X:"), true } },
				     empty[] = { { VIEW("From"), true }, { VIEW(""), true } };
	const struct {
		const char *name;
		struct dkim_sign_options options;
		enum err want;
	} cases[] = {
		{ "no domain", { .key_count = 1, .keys = good }, ERR_SYNTAX },
		{ "a domain of one label", { .domain = VIEW("com"), .key_count = 1, .keys = good }, ERR_SYNTAX },
		{ "a U-label",
			{ .domain = VIEW("b\xc3\xbc"
					 "cher.example"),
				.key_count = 1,
				.keys = good },
			ERR_SYNTAX },
		{ "no keys", { .domain = VIEW("example.com") }, ERR_LIMIT },
		{ "five keys", { .domain = VIEW("example.com"), .key_count = 5, .keys = good }, ERR_LIMIT },
		{ "a bad selector", { .domain = VIEW("example.com"), .key_count = 1, .keys = &bad_selector },
			ERR_SYNTAX },
		{ "a selector in UTF-8", { .domain = VIEW("example.com"), .key_count = 1, .keys = &unicode },
			ERR_SYNTAX },
		{ "a short key", { .domain = VIEW("example.com"), .key_count = 1, .keys = &too_short }, ERR_LIMIT },
		{ "From is not signed",
			{ .domain = VIEW("example.com"),
				.key_count = 1,
				.keys = good,
				.field_count = 1,
				.fields = no_from },
			ERR_SYNTAX },
		{ "a field twice",
			{ .domain = VIEW("example.com"),
				.key_count = 1,
				.keys = good,
				.field_count = 2,
				.fields = twice },
			ERR_SYNTAX },
		{ "a colon in a name",
			{ .domain = VIEW("example.com"),
				.key_count = 1,
				.keys = good,
				.field_count = 2,
				.fields = colon },
			ERR_SYNTAX },
		{ "an empty name",
			{ .domain = VIEW("example.com"),
				.key_count = 1,
				.keys = good,
				.field_count = 2,
				.fields = empty },
			ERR_SYNTAX },
		{ "too many fields",
			{ .domain = VIEW("example.com"),
				.key_count = 1,
				.keys = good,
				.field_count = 1000,
				.fields = no_from },
			ERR_LIMIT },
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct dkim_signer *signer = NULL;
		assert_err(cases[i].name, dkim_signer_new(&cases[i].options, &signer), cases[i].want);
		assert_null(signer);
	}
	signature_private_free(short_key);
}

static void states_and_limits(void **state)
{
	(void)state;
	const struct dkim_sign_key with = { VIEW("e1"), ed25519 };
	const struct dkim_sign_options options = {
		.domain = VIEW("example.com"), .key_count = 1, .keys = &with, .now_s = UINT64_MAX, .lifetime_s = 5
	};
	struct dkim_signer *signer = NULL;
	struct buf out = { 0 }, many = { 0 };
	assert_int_equal(dkim_signer_new(&options, &signer), ERR_OK);
	assert_int_equal(dkim_signer_body(signer, VIEW("x")), ERR_STATE);
	assert_int_equal(dkim_signer_finish(signer, &out), ERR_STATE);
	assert_int_equal(dkim_signer_headers(signer, VIEW("From: a\r\n\r\n")), ERR_OK);
	assert_int_equal(dkim_signer_headers(signer, VIEW("From: a\r\n\r\n")), ERR_STATE);
	assert_int_equal(dkim_signer_finish(signer, &out), ERR_OK);
	assert_has("x=", buf_view(&out), "18446744073709551615");
	assert_int_equal(dkim_signer_finish(signer, &out), ERR_STATE);
	assert_int_equal(dkim_signer_body(signer, VIEW("x")), ERR_STATE);
	dkim_signer_free(signer);
	/* No room: nothing is left half-written. */
	assert_int_equal(dkim_signer_new(&options, &signer), ERR_OK);
	assert_int_equal(dkim_signer_headers(signer, VIEW("From: a\r\n\r\n")), ERR_OK);
	buf_clear(&out);
	buf_init(&out, 100);
	assert_int_equal(buf_append_cstr(&out, "kept"), ERR_OK);
	assert_int_equal(dkim_signer_finish(signer, &out), ERR_LIMIT);
	assert_text("out", buf_view(&out), "kept");
	dkim_signer_free(signer);
	/* More fields than a signature may name. */
	assert_int_equal(buf_append_cstr(&many, "From: a\r\n"), ERR_OK);
	for (int i = 0; i < 600; i++)
		assert_int_equal(buf_append_cstr(&many, "To: x\r\n"), ERR_OK);
	buf_clear(&out);
	assert_int_equal(testing_sign(&options, buf_view(&many), 0, &out), ERR_LIMIT);
	buf_clear(&out);
	buf_clear(&many);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trips),
		cmocka_unit_test(what_is_signed),
		cmocka_unit_test(folding),
		cmocka_unit_test(refused),
		cmocka_unit_test(bad_options),
		cmocka_unit_test(states_and_limits),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
