#include "mailauth/arc_testing.h"

#include "mail/testing.h"

#define NOW_S 1795437600u
#define MESSAGE                                                                                                        \
	"From: Joe <joe@author.example>\r\nTo: list@hop.example\r\nSubject: hello\r\n"                                 \
	"Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@author.example>\r\n\r\nHello.\r\n"

static const char ed25519_record[] = TESTING_ED25519_RECORD;
static char rsa_record[600];
static struct signature_private *ed25519, *rsa;

static int make_keys(void **state)
{
	(void)state;
	struct buf record = { 0 };
	ed25519 = testing_ed25519_key();
	rsa = testing_key(TESTING_RSA_2048);
	assert_int_equal(dkim_record_format(rsa, 0, &record), ERR_OK);
	memcpy(rsa_record, buf_cstr(&record), record.len + 1);
	buf_clear(&record);
	return 0;
}

static int free_keys(void **state)
{
	(void)state;
	signature_private_free(ed25519);
	signature_private_free(rsa);
	return 0;
}

static struct arc_verdict verdict_of(struct view message)
{
	const char *const records[] = { rsa_record, ed25519_record };
	return testing_arc_verdict(message, NOW_S, records, 2);
}

/* Replaces the message by one that a hop sealed. */
static enum err seal_as(struct buf *message, const char *domain, const struct signature_private *key, const char *dmarc)
{
	struct buf out = { 0 }, arc = { 0 };
	struct arc_seal_options options = {
		.domain = view_from_cstr(domain), .key = { VIEW("s1"), key }, .now_s = NOW_S - 60
	};
	struct arc_seal_finish finish = { .verdict = verdict_of(buf_view(message)),
		.authserv_id = VIEW("mx.hop.example") };
	assert_int_equal(arc_format_result(&finish.verdict, VIEW("192.0.2.1"), &arc), ERR_OK);
	struct view results[2] = { buf_view(&arc), view_from_cstr(dmarc) };
	finish.results = results;
	finish.result_count = 2;
	enum err err = testing_arc_seal(&options, &finish, buf_view(message), &out);
	buf_clear(&arc);
	if (err == ERR_OK) {
		buf_clear(message);
		*message = out;
	} else {
		buf_clear(&out);
	}
	return err;
}

static void start(struct buf *message)
{
	*message = (struct buf){ 0 };
	assert_int_equal(buf_append_cstr(message, MESSAGE), ERR_OK);
}

/* Every byte behind the first of `before` becomes `after`'s: same length. */
static void change(struct buf *message, const char *before, const char *after)
{
	uint8_t *at = memmem(message->ptr, message->len, before, strlen(before));
	assert_non_null(at);
	assert_int_equal(strlen(before), strlen(after));
	memcpy(at, after, strlen(after));
}

static void chains_of_any_length_pass(void **state)
{
	(void)state;
	struct buf message;
	start(&message);
	assert_int_equal(verdict_of(buf_view(&message)).result, ARC_NONE);
	for (unsigned i = 1; i <= ARC_SETS_MAX; i++) {
		char domain[32];
		snprintf(domain, sizeof domain, "hop%u.example", i);
		assert_int_equal(seal_as(&message, domain, i % 3 == 0 ? ed25519 : rsa, "dmarc=pass"), ERR_OK);
		struct arc_verdict verdict = verdict_of(buf_view(&message));
		if (verdict.result != ARC_PASS)
			fail_msg("%u: %s", i, verdict.reason);
		assert_int_equal(verdict.set_count, i);
		/* The ten before the latest are looked at. */
		assert_int_equal(verdict.oldest_pass, i > 11 ? i - 10 : 0);
		assert_int_equal(verdict.ignored, i > 11 ? i - 11 : 0);
	}
	assert_int_equal(seal_as(&message, "more.example", ed25519, "dmarc=pass"), ERR_REFUSED);
	/* The body is not what the latest sealed. */
	message.ptr[message.len - 4] = '!';
	struct arc_verdict verdict = verdict_of(buf_view(&message));
	assert_int_equal(verdict.result, ARC_FAIL);
	assert_string_equal(verdict.reason, "the body is not what was signed");
	assert_false(verdict.was_failed || verdict.is_temporary);
	buf_clear(&message);
}

/* A list changes the message and seals it: whoever seals answers for it. */
static void oldest_pass_tells_of_changes(void **state)
{
	(void)state;
	struct buf message;
	start(&message);
	assert_int_equal(seal_as(&message, "one.example", rsa, "dmarc=pass"), ERR_OK);
	change(&message, "Subject: hello", "Subject: [li] ");
	assert_int_equal(verdict_of(buf_view(&message)).result, ARC_FAIL);
	buf_clear(&message);
	start(&message);
	assert_int_equal(seal_as(&message, "one.example", rsa, "dmarc=pass"), ERR_OK);
	struct buf sealed = { 0 }, arc = { 0 };
	struct arc_seal_options options = {
		.domain = VIEW("two.example"), .key = { VIEW("s1"), ed25519 }, .now_s = NOW_S
	};
	struct arc_seal_finish finish = { .verdict = verdict_of(buf_view(&message)),
		.authserv_id = VIEW("two.example") };
	assert_int_equal(finish.verdict.result, ARC_PASS);
	change(&message, "Subject: hello", "Subject: [li] ");
	assert_int_equal(testing_arc_seal(&options, &finish, buf_view(&message), &sealed), ERR_OK);
	struct arc_verdict verdict = verdict_of(buf_view(&sealed));
	assert_int_equal(verdict.result, ARC_PASS);
	assert_int_equal(verdict.oldest_pass, 2);
	assert_int_equal(arc_format_result(&verdict, VIEW("2001:db8::1"), &arc), ERR_OK);
	assert_text("result", buf_view(&arc), "arc=pass header.oldest-pass=2 smtp.remote-ip=\"2001:db8::1\"");
	buf_clear(&message);
	buf_clear(&sealed);
	buf_clear(&arc);
}

static void what_breaks_a_chain(void **state)
{
	(void)state;
	static const struct {
		const char *name, *before, *after, *reason;
	} cases[] = {
		{ "a seal's signature", "ARC-Seal: i=1; a=rsa-sha256; t=179543754",
			"ARC-Seal: i=1; a=rsa-sha256; t=179543753", "a seal is broken" },
		{ "what a hop found", "dmarc=pass", "dmarc=fail", "a seal is broken" },
		{ "From", "joe@author", "eve@author", "the header fields are not what was signed" },
		{ "an instance", "ARC-Seal: i=2", "ARC-Seal: i=3", "a set of the chain lacks a field" },
		{ "twice", "ARC-Seal: i=2", "ARC-Seal: i=1", "a set of the chain has a field twice" },
		{ "zero", "ARC-Seal: i=2", "ARC-Seal: i=0", "a field of the chain is malformed, or has no instance" },
		{ "much", "ARC-Seal: i=2; a=rsa-sha256", "ARC-Seal: i=51;a=rsa-sha256", "the chain is too long" },
		{ "another field's name", "ARC-Message-Signature: i=2", "ARC-Message-Signaturx: i=2",
			"a set of the chain lacks a field" },
		{ "cv", "cv=pass", "cv=none", "the seals contradict each other about the chain" },
		{ "failed before", "cv=pass", "cv=fail", "the chain had failed before" },
		{ "sha1", "i=2; a=rsa-sha256", "i=2; a=rsa-sha1  ", "signatures with SHA-1 no longer count" },
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct buf message;
		start(&message);
		assert_int_equal(seal_as(&message, "one.example", rsa, "dmarc=pass"), ERR_OK);
		assert_int_equal(seal_as(&message, "two.example", rsa, "dmarc=pass"), ERR_OK);
		change(&message, cases[i].before, cases[i].after);
		struct arc_verdict verdict = verdict_of(buf_view(&message));
		if (verdict.result != ARC_FAIL || strcmp(verdict.reason, cases[i].reason) != 0)
			fail_msg("%s: %s", cases[i].name, verdict.reason != NULL ? verdict.reason : "passes");
		/* It is sealed as what it is, and once failed it stays so. */
		bool was_failed = verdict.was_failed;
		size_t before = message.len;
		enum err err = seal_as(&message, "three.example", ed25519, "dmarc=pass");
		if (err == ERR_OK) {
			assert_int_equal(message.len == before, was_failed);
			assert_true(verdict_of(buf_view(&message)).result == ARC_FAIL);
		}
		buf_clear(&message);
	}
}

static void dns_without_an_answer(void **state)
{
	(void)state;
	struct buf message;
	start(&message);
	assert_int_equal(seal_as(&message, "one.example", rsa, "dmarc=pass"), ERR_OK);
	struct arc_verdict verdict = testing_arc_verdict(buf_view(&message), NOW_S, NULL, 0);
	assert_int_equal(verdict.result, ARC_FAIL);
	assert_true(verdict.is_temporary);
	/* Nor is the chain broken for it. */
	struct arc_seal_options options = {
		.domain = VIEW("two.example"), .key = { VIEW("s"), ed25519 }, .now_s = NOW_S
	};
	struct arc_seal_finish finish = { .verdict = verdict, .authserv_id = VIEW("x") };
	struct buf out = { 0 };
	assert_int_equal(testing_arc_seal(&options, &finish, buf_view(&message), &out), ERR_OK);
	assert_true(view_eq(buf_view(&out), buf_view(&message)));
	buf_clear(&out);
	/* Time is up before an answer. */
	struct dkim_verify_options verify = { .now_s = NOW_S };
	struct arc_verifier *verifier = arc_verifier_new(&verify);
	struct dkim_need need;
	struct dns_answer none = { .record_count = 0 };
	assert_int_equal(arc_verifier_body(verifier, VIEW("x")), ERR_STATE);
	assert_int_equal(arc_verifier_headers(verifier, buf_view(&message)), ERR_OK);
	assert_int_equal(arc_verifier_headers(verifier, buf_view(&message)), ERR_STATE);
	assert_true(arc_verifier_next(verifier, &need));
	assert_text("name", need.name, "s1._domainkey.one.example");
	struct dkim_need more;
	assert_false(arc_verifier_next(verifier, &more)); /* one key for both signatures */
	assert_int_equal(arc_verifier_answer(verifier, need.token + 1, DKIM_DNS_OK, &none), ERR_NOT_FOUND);
	assert_int_equal(arc_verifier_end(verifier), ERR_OK);
	assert_int_equal(arc_verifier_end(verifier), ERR_STATE);
	assert_false(arc_verifier_is_done(verifier));
	assert_false(arc_verifier_verdict(verifier, &verdict));
	arc_verifier_give_up(verifier);
	assert_true(arc_verifier_verdict(verifier, &verdict));
	assert_true(verdict.is_temporary);
	assert_int_equal(arc_verifier_answer(verifier, need.token, DKIM_DNS_OK, &none), ERR_NOT_FOUND);
	arc_verifier_free(verifier);
	arc_verifier_free(NULL);
	arc_sealer_free(NULL);
	buf_clear(&message);
}

static void results_are_read(void **state)
{
	(void)state;
	static const struct {
		const char *results, *method, *result;
		bool want;
	} cases[] = {
		{ "mx.example; dmarc=pass", "dmarc", "pass", true },
		{ "mx.example 1; spf=fail; dmarc=pass (p=reject) header.from=x", "dmarc", "pass", true },
		{ "mx.example;\r\n\tDMARC/1 = PASS header.from=x", "dmarc", "pass", true },
		{ "mx.example; (a; comment \\) dmarc=fail) dmarc (x) = (y) pass", "dmarc", "pass", true },
		{ "mx.example; dmarc=passed", "dmarc", "pass", false },
		{ "mx.example; xdmarc=pass", "dmarc", "pass", false },
		{ "mx.example; dmarc=fail", "dmarc", "pass", false },
		{ "dmarc=pass", "dmarc", "pass", false }, /* that is the id */
		{ "mx.example; spf=pass reason=\"; dmarc=pass\"", "dmarc", "pass", false },
		{ "mx.example; spf=pass (; dmarc=pass", "dmarc", "pass", false },
		{ "mx.example; spf=pass reason=\"x\\\"; dmarc=pass", "dmarc", "pass", false },
		{ "mx.example; spf=pass smtp.mailfrom=dmarc=pass", "dmarc", "pass", false },
		{ "mx.example; none", "dmarc", "pass", false },
		{ "mx.example;;; arc=pass", "arc", "pass", true },
		{ "", "dmarc", "pass", false },
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		if (arc_results_say(view_from_cstr(cases[i].results), view_from_cstr(cases[i].method),
			    view_from_cstr(cases[i].result)) != cases[i].want)
			fail_msg("%s", cases[i].results);
}

static void trusted_sealers_override(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		const char *found[3]; /* by each hop: one.example, two.example, three.example */
		const char *trusted[3];
		const char *want;
	} cases[] = {
		{ "the only one", { "dmarc=pass" }, { "one.example" }, "one.example" },
		{ "nobody", { "dmarc=pass" }, { NULL }, NULL },
		{ "somebody else", { "dmarc=pass" }, { "example" }, NULL },
		{ "in capitals", { "dmarc=pass" }, { "ONE.example" }, "one.example" },
		{ "who found nothing", { "dmarc=fail" }, { "one.example" }, NULL },
		{ "the first of two, both trusted", { "dmarc=pass", "dmarc=fail" }, { "one.example", "two.example" },
			"one.example" },
		{ "the latest is not trusted", { "dmarc=pass", "dmarc=fail" }, { "one.example" }, NULL },
		{ "the first is not trusted", { "dmarc=pass", "dmarc=fail" }, { "two.example" }, NULL },
		{ "the second found it, the first does not matter", { "dmarc=fail", "dmarc=pass" }, { "two.example" },
			"two.example" },
		{ "one between is not trusted", { "dmarc=pass", "dmarc=fail", "dmarc=fail" },
			{ "one.example", "three.example" }, NULL },
		{ "all three", { "dmarc=pass", "dmarc=fail", "dmarc=fail" },
			{ "one.example", "two.example", "three.example" }, "one.example" },
	};
	static const char *const domains[] = { "one.example", "two.example", "three.example" };
	const char *const records[] = { rsa_record, ed25519_record };
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct buf message;
		struct view sealer = VIEW_NONE;
		size_t trusted = 0;
		start(&message);
		for (size_t k = 0; k < 3 && cases[i].found[k] != NULL; k++)
			assert_int_equal(seal_as(&message, domains[k], ed25519, cases[i].found[k]), ERR_OK);
		while (trusted < 3 && cases[i].trusted[trusted] != NULL)
			trusted++;
		struct arc_verifier *verifier = testing_arc_verify(buf_view(&message), NOW_S, 1, records, 2);
		bool overrides = arc_verifier_overrides(verifier, cases[i].trusted, trusted, &sealer);
		if (overrides != (cases[i].want != NULL) ||
			(overrides && !view_eq(sealer, view_from_cstr(cases[i].want))))
			fail_msg("%s: %.*s", cases[i].name, VIEW_ARG(sealer));
		arc_verifier_free(verifier);
		/* A chain that fails overrides nothing. */
		change(&message, "joe@", "eve@");
		verifier = testing_arc_verify(buf_view(&message), NOW_S, 0, records, 2);
		struct arc_set set;
		assert_false(arc_verifier_overrides(verifier, domains, 3, &sealer));
		assert_false(arc_verifier_set(verifier, 1, &set));
		arc_verifier_free(verifier);
		buf_clear(&message);
	}
}

static void results_are_kept_up_to_a_length(void **state)
{
	(void)state;
	const char *const records[] = { rsa_record, ed25519_record };
	struct buf message, long_result = { 0 };
	struct view sealer;
	start(&message);
	assert_int_equal(buf_append_cstr(&long_result, "dmarc=pass"), ERR_OK);
	for (size_t i = 0; i < 500; i++)
		assert_int_equal(buf_append_cstr(&long_result, " header.x=y"), ERR_OK);
	assert_int_equal(seal_as(&message, "one.example", ed25519, buf_cstr(&long_result)), ERR_OK);
	struct arc_verifier *verifier = testing_arc_verify(buf_view(&message), NOW_S, 0, records, 2);
	struct arc_set set;
	static const char *const trusted[] = { "one.example" };
	assert_true(arc_verifier_set(verifier, 1, &set));
	assert_int_equal(set.results.len, 0);
	assert_text("domain", set.domain, "one.example");
	assert_false(arc_verifier_set(verifier, 0, &set));
	assert_false(arc_verifier_set(verifier, 2, &set));
	assert_false(arc_verifier_overrides(verifier, trusted, 1, &sealer));
	arc_verifier_free(verifier);
	buf_clear(&message);
	buf_clear(&long_result);
}

static void times_are_looked_at(void **state)
{
	(void)state;
	const char *const records[] = { rsa_record, ed25519_record };
	struct buf message;
	start(&message);
	assert_int_equal(seal_as(&message, "one.example", ed25519, "dmarc=pass"), ERR_OK);
	struct arc_verdict verdict = testing_arc_verdict(buf_view(&message), NOW_S - 7200, records, 2);
	assert_int_equal(verdict.result, ARC_FAIL);
	assert_string_equal(verdict.reason, "the signature was made in the future");
	buf_clear(&message);
}

static void what_can_not_be_sealed(void **state)
{
	(void)state;
	struct arc_sealer *sealer = NULL;
	struct arc_seal_options options = { .domain = VIEW("x"), .key = { VIEW("s"), ed25519 } };
	assert_int_equal(arc_sealer_new(&options, &sealer), ERR_SYNTAX);
	options.domain = VIEW("one.example");
	options.key.selector = VIEW("a b");
	assert_int_equal(arc_sealer_new(&options, &sealer), ERR_SYNTAX);
	options.key.selector = VIEW("s");
	assert_int_equal(arc_sealer_new(&options, &sealer), ERR_OK);
	struct arc_seal_finish finish = { .authserv_id = VIEW("x") };
	struct buf out = { 0 };
	assert_int_equal(arc_sealer_body(sealer, VIEW("x")), ERR_STATE);
	assert_int_equal(arc_sealer_finish(sealer, &finish, &out), ERR_STATE);
	assert_int_equal(arc_sealer_headers(sealer, VIEW("From: a\r\nFrom: b\r\n\r\n")), ERR_REFUSED);
	assert_int_equal(arc_sealer_headers(sealer, VIEW("From: a\r\n\r\n")), ERR_STATE);
	assert_int_equal(arc_sealer_finish(sealer, &finish, &out), ERR_STATE);
	arc_sealer_free(sealer);
	/* A result that can't stand in the field: nothing is written. */
	struct view bad = VIEW("dmarc=pass; spf=pass");
	finish.results = &bad;
	finish.result_count = 1;
	assert_int_equal(testing_arc_seal(&options, &finish, VIEW(MESSAGE), &out), ERR_SYNTAX);
	assert_int_equal(out.len, 0);
	buf_clear(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chains_of_any_length_pass),
		cmocka_unit_test(oldest_pass_tells_of_changes),
		cmocka_unit_test(what_breaks_a_chain),
		cmocka_unit_test(dns_without_an_answer),
		cmocka_unit_test(results_are_read),
		cmocka_unit_test(trusted_sealers_override),
		cmocka_unit_test(results_are_kept_up_to_a_length),
		cmocka_unit_test(times_are_looked_at),
		cmocka_unit_test(what_can_not_be_sealed),
	};
	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
