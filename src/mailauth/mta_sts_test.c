#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "mailauth/mta_sts.h"

static const struct {
	const char *name, *text, *id; /* NULL: malformed */
} records[] = {
	{ "plain", "v=STSv1; id=20160831085700Z;", "20160831085700Z" },
	{ "blanks around semicolons", "v=STSv1 \t;\t id=a \t ; \t", "a" },
	{ "32 characters", "v=STSv1;id=abcdefghijABCDEFGHIJ012345678901", "abcdefghijABCDEFGHIJ012345678901" },
	{ "33 characters", "v=STSv1;id=abcdefghijABCDEFGHIJ0123456789012", NULL },
	{ "other fields before it", "v=STSv1; a.b_c-d=e:f/g; id=1", "1" },
	{ "the first id counts", "v=STSv1; id=1; id=2", "1" },
	{ "names have case", "v=STSv1; ID=1", NULL },
	{ "the version, too", "V=STSv1; id=1", NULL },
	{ "a longer version", "v=STSv11; id=1", NULL },
	{ "a blank before the version", " v=STSv1; id=1", NULL },
	{ "a blank at the end", "v=STSv1; id=1 ", NULL },
	{ "blanks around the equals sign", "v=STSv1; id = 1", NULL },
	{ "a space in another's value", "v=STSv1; id=1; x=a b", NULL },
	{ "no value", "v=STSv1; id=1; x", NULL },
	{ "no name", "v=STSv1; id=1; =x", NULL },
	{ "a name that begins with a dot", "v=STSv1; id=1; .x=x", NULL },
	{ "8 bits", "v=STSv1; id=1; x=\xc3\xa4", NULL },
	{ "nothing", "", NULL },
};

static void reads_records(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
		struct view id = VIEW("unset");
		enum err err = mta_sts_record_parse(view_from_cstr(records[i].text), &id);
		const char *want = records[i].id != NULL ? records[i].id : "unset";
		if ((err == ERR_OK) != (records[i].id != NULL) || !view_eq(id, view_from_cstr(want)))
			fail_msg("%s: %s \"%.*s\"", records[i].name, err_name(err), VIEW_ARG(id));
	}
}

static void bounds_records(void **state)
{
	(void)state;
	static uint8_t text[4098];
	struct view id;
	memcpy(text, "v=STSv1;id=1;x=", 15);
	memset(text + 15, 'x', sizeof text - 15);
	assert_int_equal(mta_sts_record_parse(view_of(text, 4096), &id), ERR_OK);
	assert_int_equal(mta_sts_record_parse(view_of(text, 4097), &id), ERR_LIMIT);
}

static const struct {
	const char *name;
	const char *texts[4];
	enum err err;
} answers[] = {
	{ "none", { NULL }, ERR_NOT_FOUND },
	{ "others only", { "v=spf1 -all", "v=STSv10; id=1", "v=STSv1" }, ERR_NOT_FOUND },
	{ "one among others", { "hello", "v=STSv1; id=1", "v=STSv2; id=2" }, ERR_OK },
	{ "two", { "v=STSv1; id=1", "v=STSv1; id=1" }, ERR_SYNTAX },
	{ "two, one malformed", { "v=STSv1; id=1", "v=STSv1; id=" }, ERR_SYNTAX },
	{ "one, malformed", { "v=STSv1; id=-" }, ERR_SYNTAX },
};

static void finds_the_record(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
		struct dns_record of_answer[4] = { 0 };
		struct dns_answer answer = { .records = of_answer };
		struct view id = VIEW_NONE;
		for (; answer.record_count < 4 && answers[i].texts[answer.record_count] != NULL; answer.record_count++)
			of_answer[answer.record_count].data = view_from_cstr(answers[i].texts[answer.record_count]);
		enum err err = mta_sts_record_find(&answer, &id);
		if (err != answers[i].err || (err == ERR_OK && !view_eq(id, VIEW("1"))))
			fail_msg("%s: %s \"%.*s\"", answers[i].name, err_name(err), VIEW_ARG(id));
	}
}

#define REST "\nmode: enforce\nmax_age: 10\n"
#define HEAD "version: STSv1\nmode: enforce\n"
static const struct {
	const char *name, *text, *written; /* as mta_sts_policy_format() gives it, "|" for line ends; NULL: malformed */
} policies[] = {
	{ "plain", "version: STSv1\nmode: enforce\nmx: mail.example.com\nmx: *.example.net\nmax_age: 604800\n",
		"version: STSv1|mode: enforce|max_age: 604800|mx: mail.example.com|mx: *.example.net|" },
	{ "CRLF", "version: STSv1\r\nmode: testing\r\nmax_age: 1\r\nmx: a.example\r\n",
		"version: STSv1|mode: testing|max_age: 1|mx: a.example|" },
	{ "no line end behind the last", "mx:a.example\nversion:STSv1\r\nmode:testing\nmax_age:1",
		"version: STSv1|mode: testing|max_age: 1|mx: a.example|" },
	{ "none without hosts", "version: STSv1\nmode: none\nmax_age: 86400\n",
		"version: STSv1|mode: none|max_age: 86400|" },
	{ "none with hosts", "version: STSv1\nmode: none\nmx: a\nmax_age: 86400\n",
		"version: STSv1|mode: none|max_age: 86400|mx: a|" },
	{ "the first of each key", "version: STSv1\nversion: 7\nmode: none\nmode: what\nmax_age: 1\nmax_age: x\n",
		"version: STSv1|mode: none|max_age: 1|" },
	{ "unknown keys", "x: y\nX.y_z-1:\t\xc3\xa4 b \nversion: STSv1\nmode: none\nmax_age: 1",
		"version: STSv1|mode: none|max_age: 1|" },
	{ "empty lines", "\n\r\nversion: STSv1\n \t\nmode: none\nmax_age: 1\n\n",
		"version: STSv1|mode: none|max_age: 1|" },
	{ "more than a year", "version: STSv1\nmode: none\nmax_age: 9999999999",
		"version: STSv1|mode: none|max_age: 31557600|" },
	{ "max_age of 11 digits", "version: STSv1\nmode: none\nmax_age: 00000000001", NULL },
	{ "max_age with a sign", "version: STSv1\nmode: none\nmax_age: -1", NULL },
	{ "max_age without a value", "version: STSv1\nmode: none\nmax_age: \n", NULL },
	{ "keys have case", "Version: STSv1\nmode: none\nmax_age: 1", NULL },
	{ "modes, too", "version: STSv1\nmode: None\nmax_age: 1", NULL },
	{ "a blank before the colon", "version : STSv1\nmode: none\nmax_age: 1", NULL },
	{ "a blank before the key", " version: STSv1\nmode: none\nmax_age: 1", NULL },
	{ "no colon", "version: STSv1\nmode: none\nmax_age: 1\nhello", NULL },
	{ "no host", HEAD "max_age: 1", NULL },
	{ "no max_age", HEAD "mx: a", NULL },
	{ "no version", "mx: a" REST, NULL },
	{ "CR alone", "version: STSv1\rmode: none\nmax_age: 1", NULL },
	{ "CR at the end", "version: STSv1\nmode: none\nmax_age: 1\r", NULL },
	{ "two CRs", "version: STSv1\r\r\nmode: none\nmax_age: 1", NULL },
	{ "a tab inside a value", "version: STSv1\nmode: none\nmax_age: 1\nx: a\tb", NULL },
	{ "not UTF-8", "version: STSv1\nmode: none\nmax_age: 1\nx: \xff", NULL },
	{ "an underscore", HEAD "max_age: 1\nmx: _a.example", NULL },
	{ "a star alone", HEAD "max_age: 1\nmx: *", NULL },
	{ "a star with nothing behind", HEAD "max_age: 1\nmx: *.", NULL },
	{ "a star with letters", HEAD "max_age: 1\nmx: mx*.example", NULL },
	{ "a star inside", HEAD "max_age: 1\nmx: mx.*.example", NULL },
	{ "a trailing dot", HEAD "max_age: 1\nmx: mx.example.", NULL },
	{ "a leading dot, as drafts had it", HEAD "max_age: 1\nmx: .example", NULL },
	{ "an address", HEAD "max_age: 1\nmx: [192.0.2.1]", NULL },
	{ "a page of HTML", "<html><body>Not found</body></html>\n", NULL },
};

static void reads_policies(void **state)
{
	(void)state;
	static struct mta_sts_policy policy;
	struct buf out = { 0 };
	for (size_t i = 0; i < sizeof policies / sizeof *policies; i++) {
		enum err err = mta_sts_policy_parse(view_from_cstr(policies[i].text), &policy);
		if (err != (policies[i].written != NULL ? ERR_OK : ERR_SYNTAX))
			fail_msg("%s: %s", policies[i].name, err_name(err));
		if (err != ERR_OK)
			continue;
		buf_reset(&out);
		assert_int_equal(mta_sts_policy_format(&policy, &out), ERR_OK);
		const char *got = buf_cstr(&out), *want = policies[i].written;
		for (; *got != '\0'; got++, want++) {
			if (*want == '|' && got[0] == '\r' && got[1] == '\n')
				got++;
			else if (*got != *want)
				break;
		}
		if (*got != '\0' || *want != '\0')
			fail_msg("%s: %s", policies[i].name, buf_cstr(&out));
	}
	buf_clear(&out);
}

static void bounds_policies(void **state)
{
	(void)state;
	static struct mta_sts_policy policy;
	struct buf text = { 0 }, small = { 0 };
	assert_int_equal(buf_append_cstr(&text, HEAD "max_age: 1\n"), ERR_OK);
	for (unsigned i = 0; i < MTA_STS_MX_MAX; i++)
		assert_int_equal(buf_append_format(&text, "mx: mx%u.example\n", i), ERR_OK);
	assert_int_equal(mta_sts_policy_parse(buf_view(&text), &policy), ERR_OK);
	assert_int_equal(policy.mx_count, MTA_STS_MX_MAX);
	assert_true(mta_sts_policy_has(&policy, VIEW("mx255.example")));
	assert_false(mta_sts_policy_has(&policy, VIEW("mx256.example")));
	/* All or nothing. */
	buf_init(&small, 100);
	assert_int_equal(buf_append_cstr(&small, "before"), ERR_OK);
	assert_int_equal(mta_sts_policy_format(&policy, &small), ERR_LIMIT);
	assert_string_equal(buf_cstr(&small), "before");
	assert_int_equal(buf_append_cstr(&text, "mx: one.more.example\n"), ERR_OK);
	policy.mx_count = 7;
	assert_int_equal(mta_sts_policy_parse(buf_view(&text), &policy), ERR_LIMIT);
	assert_int_equal(policy.mx_count, 7);

	buf_reset(&text);
	assert_int_equal(buf_append_cstr(&text, "version: STSv1\nmode: none\nmax_age: 1\nx: "), ERR_OK);
	while (text.len < MTA_STS_POLICY_MAX_BYTES)
		assert_int_equal(buf_append_byte(&text, 'x'), ERR_OK);
	assert_int_equal(mta_sts_policy_parse(buf_view(&text), &policy), ERR_OK);
	assert_int_equal(buf_append_byte(&text, 'x'), ERR_OK);
	assert_int_equal(mta_sts_policy_parse(buf_view(&text), &policy), ERR_LIMIT);
	buf_clear(&text);
	buf_clear(&small);
}

static const struct {
	const char *pattern, *host;
	bool matches;
} matches[] = {
	{ "mx.example.com", "mx.example.com", true },
	{ "MX.Example.com", "mx.example.COM", true },
	{ "mx.example.com", "mx.example.co", false },
	{ "example.com", "mx.example.com", false },
	{ "*.example.com", "mx.example.com", true },
	{ "*.EXAMPLE.com", "mx.example.com", true },
	{ "*.example.com", "example.com", false },
	{ "*.example.com", "a.b.example.com", false },
	{ "*.example.com", ".example.com", false },
	{ "*.example.com", "mxexample.com", false },
	{ "*.example.com", "mx.anexample.com", false },
	{ "*.example.com", "mx.example.com.evil.example", false },
	{ "*.com", "example.com", true },
	{ "*.example.com", "com", false },
	{ "example.com", "", false },
	{ "*.example.com", "", false },
};

static void matches_hosts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof matches / sizeof *matches; i++)
		if (mta_sts_mx_matches(view_from_cstr(matches[i].pattern), view_from_cstr(matches[i].host)) !=
			matches[i].matches)
			fail_msg("%s, %s", matches[i].pattern, matches[i].host);
}

#define MATCH "version: STSv1\nmax_age: 100\nmx: *.example.com\nmode: "
static const struct {
	const char *name, *policy;
	uint64_t age_s;
	const char *host;
	enum mta_sts_tls tls;
	struct mta_sts_decision want;
} decisions[] = {
	{ "no policy", NULL, 0, "mx.example.com", MTA_STS_TLS_NOT_OFFERED, { MTA_STS_ALLOWED, false, NULL } },
	{ "none", MATCH "none", 0, "evil.example", MTA_STS_TLS_NOT_OFFERED, { MTA_STS_ALLOWED, false, NULL } },
	{ "enforce, its host", MATCH "enforce", 100, "mx.example.com", MTA_STS_TLS_NOT_YET,
		{ MTA_STS_ALLOWED, true, NULL } },
	{ "enforce, verified", MATCH "enforce", 1, "mx.example.com", MTA_STS_TLS_VERIFIED,
		{ MTA_STS_ALLOWED, true, NULL } },
	{ "enforce, another host", MATCH "enforce", 1, "mx.example.net", MTA_STS_TLS_NOT_YET,
		{ MTA_STS_REFUSED, true, "validation-failure" } },
	{ "enforce, another host, verified", MATCH "enforce", 1, "mx.example.net", MTA_STS_TLS_VERIFIED,
		{ MTA_STS_REFUSED, true, "validation-failure" } },
	{ "enforce, no TLS", MATCH "enforce", 1, "mx.example.com", MTA_STS_TLS_NOT_OFFERED,
		{ MTA_STS_REFUSED, true, "starttls-not-supported" } },
	{ "enforce, handshake", MATCH "enforce", 1, "mx.example.com", MTA_STS_TLS_FAILED,
		{ MTA_STS_REFUSED, true, "validation-failure" } },
	{ "enforce, expired certificate", MATCH "enforce", 1, "mx.example.com", MTA_STS_TLS_EXPIRED,
		{ MTA_STS_REFUSED, true, "certificate-expired" } },
	{ "enforce, another's certificate", MATCH "enforce", 1, "mx.example.com", MTA_STS_TLS_OTHER_NAME,
		{ MTA_STS_REFUSED, true, "certificate-host-mismatch" } },
	{ "enforce, self-signed", MATCH "enforce", 1, "mx.example.com", MTA_STS_TLS_NOT_TRUSTED,
		{ MTA_STS_REFUSED, true, "certificate-not-trusted" } },
	{ "enforce, too old", MATCH "enforce", 101, "evil.example", MTA_STS_TLS_NOT_OFFERED,
		{ MTA_STS_ALLOWED, false, NULL } },
	{ "max_age 0 holds for the moment", "version: STSv1\nmax_age: 0\nmx: a\nmode: enforce", 0, "b",
		MTA_STS_TLS_NOT_YET, { MTA_STS_REFUSED, true, "validation-failure" } },
	{ "testing, its host", MATCH "testing", 1, "mx.example.com", MTA_STS_TLS_NOT_YET,
		{ MTA_STS_ALLOWED, true, NULL } },
	{ "testing, another host", MATCH "testing", 1, "mx.example.net", MTA_STS_TLS_NOT_YET,
		{ MTA_STS_REPORTED, true, "validation-failure" } },
	{ "testing, no TLS", MATCH "testing", 1, "mx.example.com", MTA_STS_TLS_NOT_OFFERED,
		{ MTA_STS_REPORTED, true, "starttls-not-supported" } },
	{ "testing, too old", MATCH "testing", 101, "mx.example.com", MTA_STS_TLS_NOT_OFFERED,
		{ MTA_STS_ALLOWED, false, NULL } },
};

static void decides(void **state)
{
	(void)state;
	static struct mta_sts_policy policy;
	for (size_t i = 0; i < sizeof decisions / sizeof *decisions; i++) {
		const char *text = decisions[i].policy;
		if (text != NULL)
			assert_int_equal(mta_sts_policy_parse(view_from_cstr(text), &policy), ERR_OK);
		struct mta_sts_decision got = mta_sts_decide(text != NULL ? &policy : NULL, decisions[i].age_s,
			view_from_cstr(decisions[i].host), decisions[i].tls);
		const struct mta_sts_decision *want = &decisions[i].want;
		if (got.verdict != want->verdict || got.verifies != want->verifies ||
			!view_eq(view_from_cstr(got.failure), view_from_cstr(want->failure)))
			fail_msg("%s: %d %d %s", decisions[i].name, (int)got.verdict, got.verifies,
				got.failure != NULL ? got.failure : "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_records),
		cmocka_unit_test(bounds_records),
		cmocka_unit_test(finds_the_record),
		cmocka_unit_test(reads_policies),
		cmocka_unit_test(bounds_policies),
		cmocka_unit_test(matches_hosts),
		cmocka_unit_test(decides),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
