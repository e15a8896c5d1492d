/* What a message may cost its verifiers, whoever chose its signatures, keys and fields: the bounds, and that they fall the same way each time. */
#include "mailauth/arc_testing.h"
#include "mail/testing.h"

enum { NOW_S = 1700000000, SIGNATURES = 10, RECORDS = 4 };

#define BODY "\r\nHello.\r\n"

/* An RSA key that is nobody's, of 4096 bits and with the longest exponent that is taken: RSAPublicKey in DER. */
static void write_dear_record(uint8_t which, struct buf *out)
{
	static const uint8_t head[] = { 0x30, 0x82, 0x02, 0x0c, 0x02, 0x82, 0x02, 0x01, 0x00 };
	static const uint8_t tail[] = { 0x02, 0x05, 0x00, 0xff, 0xff, 0xff, 0xff };
	struct buf der = { 0 };
	assert_int_equal(buf_append(&der, view_of(head, sizeof head)), ERR_OK);
	for (size_t i = 0; i < 512; i++)
		assert_int_equal(buf_append_byte(&der, (uint8_t)(i == 300 ? which : 0xa7)), ERR_OK);
	assert_int_equal(buf_append(&der, view_of(tail, sizeof tail)), ERR_OK);
	assert_int_equal(buf_append(out, VIEW("k=rsa; p=")), ERR_OK);
	assert_int_equal(base64_encode(buf_view(&der), out), ERR_OK);
	buf_clear(&der);
}

static struct signature_private *rsa, *ed25519;
static struct buf decoys[RECORDS], rsa_record;

static int make_keys(void **state)
{
	(void)state;
	rsa = testing_key(TESTING_RSA_2048);
	ed25519 = testing_ed25519_key();
	for (uint8_t i = 0; i < RECORDS; i++)
		write_dear_record(i, &decoys[i]);
	return dkim_record_format(rsa, 0, &rsa_record) == ERR_OK ? 0 : -1;
}

static int free_keys(void **state)
{
	(void)state;
	signature_private_free(rsa);
	signature_private_free(ed25519);
	for (size_t i = 0; i < RECORDS; i++)
		buf_clear(&decoys[i]);
	buf_clear(&rsa_record);
	return 0;
}

/* A message with so many valid signatures, each with a name of its own; `filler` is the value of a signed field. */
static void write_signed(size_t count, struct view filler, struct buf *out)
{
	static const struct dkim_sign_field fields[] = { { { (const uint8_t *)"From", 4 }, false },
		{ { (const uint8_t *)"X-Filler", 8 }, false } };
	struct buf message = { 0 };
	assert_int_equal(
		buf_append(&message, VIEW("From: Joe <joe@example.com>\r\nSubject: hi\r\nX-Filler: ")), ERR_OK);
	assert_int_equal(buf_append(&message, filler), ERR_OK);
	assert_int_equal(buf_append(&message, VIEW("\r\n" BODY)), ERR_OK);
	for (size_t i = count; i > 0; i--) {
		char selector[16];
		snprintf(selector, sizeof selector, "s%zu", i - 1);
		const struct dkim_sign_key key = { view_from_cstr(selector), rsa };
		const struct dkim_sign_options options = { .domain = VIEW("example.com"),
			.key_count = 1,
			.keys = &key,
			.fields = fields,
			.field_count = 2,
			.now_s = NOW_S };
		buf_reset(out);
		assert_int_equal(testing_sign(&options, buf_view(&message), 0, out), ERR_OK);
		buf_reset(&message);
		assert_int_equal(buf_append(&message, buf_view(out)), ERR_OK);
	}
	buf_clear(&message);
}

/* Through a verifier, its keys answered from the last one to the first if `is_reversed`, and behind the end if `is_late`. */
static struct dkim_verifier *verify(
	struct view message, const struct dns_answer *answer, bool is_reversed, bool is_late)
{
	const struct dkim_verify_options options = { .now_s = NOW_S };
	struct dkim_verifier *v = dkim_verifier_new(&options);
	struct dkim_need needs[SIGNATURES];
	size_t count = 0;
	assert_int_equal(dkim_verifier_headers(v, message), ERR_OK);
	while (count < SIGNATURES && dkim_verifier_next(v, &needs[count]))
		count++;
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; (pass > 0) == is_late && i < count; i++) {
			uint64_t token = needs[is_reversed ? count - 1 - i : i].token;
			assert_int_equal(dkim_verifier_answer(v, token, DKIM_DNS_OK, answer), ERR_OK);
		}
		if (pass == 0) {
			assert_int_equal(dkim_verifier_body(v, testing_body(message)), ERR_OK);
			assert_int_equal(dkim_verifier_end(v), ERR_OK);
		}
	}
	assert_true(dkim_verifier_is_done(v));
	return v;
}

static void add_record(struct dns_answer *answer, struct dns_record *records, const struct buf *text)
{
	records[answer->record_count++] = (struct dns_record){ .type = DNS_TYPE_TXT, .data = buf_view(text) };
}

struct outcome {
	enum dkim_result result;
	const char *reason;
};

static void check_outcomes(const struct dkim_verifier *v, const struct outcome *want, size_t count)
{
	assert_int_equal(dkim_verifier_count(v), count);
	for (size_t i = 0; i < count; i++) {
		struct dkim_signature got;
		assert_true(dkim_verifier_result(v, i, &got));
		if (!testing_is(&got, want[i].result, want[i].reason))
			fail_msg("signature %zu: got %.*s (%s)", i, VIEW_ARG(dkim_result_name(got.result)),
				got.reason != NULL ? got.reason : "");
	}
}

#define TOO_MUCH "the keys published for the signature take too much work"
#define BROKEN "the header fields are not what was signed"

/* Three dear keys stand before the right one: 3 × 130 + 26 for each signature. DKIM_WORK_MAX has that for three of them. */
static void further_keys_are_tried_while_the_share_lasts(void **state)
{
	(void)state;
	struct dns_record records[RECORDS];
	struct dns_answer answer = { .records = records };
	for (size_t i = 0; i < 3; i++)
		add_record(&answer, records, &decoys[i]);
	add_record(&answer, records, &rsa_record);
	for (size_t count = 1; count <= SIGNATURES; count++) {
		struct outcome want[SIGNATURES];
		struct buf message = { 0 };
		for (size_t i = 0; i < count; i++)
			want[i] = count <= 3 ? (struct outcome){ DKIM_PASS, NULL }
					     : (struct outcome){ DKIM_POLICY, TOO_MUCH };
		write_signed(count, VIEW("x"), &message);
		for (int order = 0; order < 4; order++) {
			struct dkim_verifier *v = verify(buf_view(&message), &answer, order % 2 == 1, order / 2 == 1);
			check_outcomes(v, want, count);
			dkim_verifier_free(v);
		}
		buf_clear(&message);
	}
}

/* With keys as they are: four records at each of ten names, and the right one is the last. */
static void keys_of_usual_size_are_all_tried(void **state)
{
	(void)state;
	struct outcome want[SIGNATURES];
	struct dns_record records[RECORDS];
	struct dns_answer answer = { .records = records };
	struct buf message = { 0 }, others[3] = { { 0 } };
	for (size_t i = 0; i < SIGNATURES; i++)
		want[i] = (struct outcome){ DKIM_PASS, NULL };
	for (size_t i = 0; i < 3; i++) {
		struct buf bytes = { 0 };
		assert_int_equal(signature_private_public(rsa, &bytes), ERR_OK);
		bytes.ptr[bytes.len / 2] ^= (uint8_t)(i + 1);
		assert_int_equal(buf_append(&others[i], VIEW("p=")), ERR_OK);
		assert_int_equal(base64_encode(buf_view(&bytes), &others[i]), ERR_OK);
		buf_clear(&bytes);
		add_record(&answer, records, &others[i]);
	}
	add_record(&answer, records, &rsa_record);
	write_signed(SIGNATURES, VIEW("x"), &message);
	struct dkim_verifier *v = verify(buf_view(&message), &answer, false, false);
	check_outcomes(v, want, SIGNATURES);
	dkim_verifier_free(v);
	for (size_t i = 0; i < 3; i++)
		buf_clear(&others[i]);
	buf_clear(&message);
}

/* Even if it takes more than the share. */
static void the_first_key_is_always_tried(void **state)
{
	(void)state;
	struct dns_record records[1];
	struct dns_answer answer = { .records = records };
	struct buf message = { 0 };
	struct outcome want[DKIM_SIGNATURES_MAX];
	add_record(&answer, records, &decoys[0]);
	for (size_t i = 0; i < DKIM_SIGNATURES_MAX; i++)
		want[i] = (struct outcome){ DKIM_FAIL, BROKEN };
	write_signed(DKIM_SIGNATURES_MAX, VIEW("x"), &message);
	const struct dkim_verify_options options = { .now_s = NOW_S, .signatures_max = DKIM_SIGNATURES_MAX };
	struct dkim_verifier *v = dkim_verifier_new(&options);
	struct dkim_need need;
	assert_int_equal(dkim_verifier_headers(v, buf_view(&message)), ERR_OK);
	while (dkim_verifier_next(v, &need))
		assert_int_equal(dkim_verifier_answer(v, need.token, DKIM_DNS_OK, &answer), ERR_OK);
	assert_int_equal(dkim_verifier_body(v, testing_body(buf_view(&message))), ERR_OK);
	assert_int_equal(dkim_verifier_end(v), ERR_OK);
	check_outcomes(v, want, DKIM_SIGNATURES_MAX);
	dkim_verifier_free(v);
	buf_clear(&message);
}

/* Each signature covers a field of 200,000 bytes: two fit into DKIM_HEADER_BYTES_MAX. */
static void header_bytes_are_hashed_while_the_budget_lasts(void **state)
{
	(void)state;
	static const char too_much[] = "the signatures cover too much of the header section";
	static const struct outcome want[] = { { DKIM_PASS, NULL }, { DKIM_PASS, NULL }, { DKIM_POLICY, too_much },
		{ DKIM_POLICY, too_much } };
	struct dns_record records[1];
	struct dns_answer answer = { .records = records };
	struct buf filler = { 0 }, message = { 0 };
	for (size_t i = 0; i < 200000; i++)
		assert_int_equal(buf_append_byte(&filler, 'x'), ERR_OK);
	add_record(&answer, records, &rsa_record);
	write_signed(4, buf_view(&filler), &message);
	struct dkim_verifier *v = verify(buf_view(&message), &answer, false, false);
	check_outcomes(v, want, 4);
	dkim_verifier_free(v);
	buf_clear(&filler);
	buf_clear(&message);
}

/* ARC */

static void write_chain(size_t sets, const struct signature_private *key, struct view filler, struct buf *message)
{
	const struct view results[] = { VIEW("arc=pass") };
	buf_reset(message);
	assert_int_equal(buf_append(message, VIEW("From: Joe <joe@example.com>\r\nSubject: ")), ERR_OK);
	assert_int_equal(buf_append(message, filler), ERR_OK);
	assert_int_equal(buf_append(message, VIEW("\r\n" BODY)), ERR_OK);
	for (size_t i = 0; i < sets; i++) {
		struct buf out = { 0 };
		const struct arc_seal_options options = {
			.domain = VIEW("hop.example"), .key = { VIEW("s1"), key }, .now_s = NOW_S
		};
		const struct arc_seal_finish finish = { .verdict = { .result = i > 0 ? ARC_PASS : ARC_NONE },
			.authserv_id = VIEW("mx.hop.example"),
			.results = results,
			.result_count = 1 };
		assert_int_equal(testing_arc_seal(&options, &finish, buf_view(message), &out), ERR_OK);
		buf_clear(message);
		*message = out;
	}
}

static void chains_are_followed_while_the_budget_lasts(void **state)
{
	(void)state;
	static const char too_much[] = "the keys of the chain take too much work";
	const struct {
		const char *name;
		size_t sets;
		bool is_rsa;
		size_t decoys;
		enum arc_result want;
		unsigned oldest_pass, ignored;
	} rows[] = {
		/* 26 of work for each: all seals, and eleven message signatures */
		{ "as long as there are, RSA", 50, true, 0, ARC_PASS, 40, 39 },
		/* 96 each: thirty-one in all */
		{ "Ed25519", 14, false, 0, ARC_PASS, 4, 3 },
		{ "Ed25519, some older ones not looked at", 25, false, 0, ARC_PASS, 20, 19 },
		{ "Ed25519, no older one looked at", 30, false, 0, ARC_PASS, 30, 29 },
		{ "Ed25519, too long", 31, false, 0, ARC_FAIL, 0, 20 },
		/* 416 each: seven in all */
		{ "dear keys before", 3, true, 3, ARC_PASS, 0, 0 },
		{ "dear keys before, some not looked at", 5, true, 3, ARC_PASS, 4, 3 },
		{ "dear keys before, too long", 7, true, 3, ARC_FAIL, 0, 0 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct buf message = { 0 };
		const char *texts[RECORDS];
		size_t count = 0;
		for (; count < rows[i].decoys; count++)
			texts[count] = buf_cstr(&decoys[count]);
		texts[count++] = rows[i].is_rsa ? buf_cstr(&rsa_record) : TESTING_ED25519_RECORD;
		write_chain(rows[i].sets, rows[i].is_rsa ? rsa : ed25519, VIEW("x"), &message);
		struct arc_verdict got = testing_arc_verdict(buf_view(&message), NOW_S, texts, count);
		if (got.result != rows[i].want || got.oldest_pass != rows[i].oldest_pass ||
			got.ignored != rows[i].ignored || got.is_temporary || got.was_failed)
			fail_msg("%s: got %d (%s), oldest-pass %u, %u ignored", rows[i].name, got.result,
				got.reason != NULL ? got.reason : "", got.oldest_pass, got.ignored);
		if (got.result == ARC_FAIL)
			assert_string_equal(got.reason, too_much);
		buf_clear(&message);
	}
}

/* The latest message signature is always read; two of this size fit. */
static void older_message_signatures_are_read_while_the_budget_lasts(void **state)
{
	(void)state;
	struct buf filler = { 0 }, message = { 0 };
	const char *const texts[] = { buf_cstr(&rsa_record) };
	for (size_t i = 0; i < 200000; i++)
		assert_int_equal(buf_append_byte(&filler, 'x'), ERR_OK);
	write_chain(4, rsa, buf_view(&filler), &message);
	struct arc_verdict got = testing_arc_verdict(buf_view(&message), NOW_S, texts, 1);
	assert_int_equal(got.result, ARC_PASS);
	assert_int_equal(got.oldest_pass, 3);
	assert_int_equal(got.ignored, 2);
	buf_clear(&filler);
	buf_clear(&message);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(further_keys_are_tried_while_the_share_lasts),
		cmocka_unit_test(keys_of_usual_size_are_all_tried),
		cmocka_unit_test(the_first_key_is_always_tried),
		cmocka_unit_test(header_bytes_are_hashed_while_the_budget_lasts),
		cmocka_unit_test(chains_are_followed_while_the_budget_lasts),
		cmocka_unit_test(older_message_signatures_are_read_while_the_budget_lasts),
	};
	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
