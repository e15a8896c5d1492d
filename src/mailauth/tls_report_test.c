#include "mailauth/tls_report.h"
#include "mailauth/pack.h"
#include "mailauth/report_file.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void assert_text(struct view got, const char *wanted)
{
	if (!view_eq(got, view_from_cstr(wanted)))
		fail_msg("got \"%.*s\", want \"%s\"", VIEW_ARG(got), wanted);
}

static enum err write_sample(struct buf *out)
{
	const struct view lines[] = { VIEW("version: STSv1"), VIEW("mode: enforce"), VIEW("mx: *.b.example") };
	const struct view hosts[] = { VIEW("*.b.example") };
	const struct tls_report_failure failures[] = {
		{ .result_type = VIEW("certificate-expired"),
			.sending_ip = VIEW("192.0.2.1"),
			.receiving_ip = VIEW("2001:db8::2"),
			.receiving_host = VIEW("mx.b.example"),
			.reason = VIEW("expired \"yesterday\"\r\n"),
			.sessions = 7 },
		{ .result_type = VIEW("sts-policy-fetch-error"), .sessions = 1 },
	};
	const struct tls_report_policy policies[] = {
		{ .type = VIEW("sts"),
			.domain = VIEW("b.example"),
			.line_count = 3,
			.lines = lines,
			.mx_host_count = 1,
			.mx_hosts = hosts,
			.successes = 100,
			.failures = 8,
			.failure_count = 2,
			.details = failures },
		{ .type = VIEW("no-policy-found"), .domain = VIEW("b.example"), .successes = 2 },
	};
	const struct tls_report report = {
		.organization = VIEW("A \xff Ltd"),
		.contact = VIEW("postmaster@a.example"),
		.report_id = VIEW("20400.7@a.example"),
		.begin_s = 1762560000,
		.end_s = 1762646399,
		.policy_count = 2,
		.policies = policies,
	};
	struct buf name = { 0 };
	assert_int_equal(
		tls_report_file_name(&report, VIEW("a.example"), VIEW("b.example"), VIEW("x1"), &name), ERR_OK);
	assert_string_equal(buf_cstr(&name), "a.example!b.example!1762560000!1762646399!x1.json.gz");
	buf_clear(&name);
	return tls_report_write(&report, out);
}

static void test_what_is_written_is_read(void **state)
{
	(void)state;
	struct buf json = { 0 };
	struct arena arena;
	struct tls_report got;
	arena_init(&arena, TLS_REPORT_ARENA_BYTES);
	assert_int_equal(write_sample(&json), ERR_OK);
	assert_int_equal(tls_report_read(buf_view(&json), &arena, &got), ERR_OK);
	assert_text(got.organization, "A \xef\xbf\xbd Ltd");
	assert_int_equal(got.begin_s, 1762560000);
	assert_int_equal(got.end_s, 1762646399);
	assert_int_equal(got.policy_count, 2);
	const struct tls_report_policy *policy = &got.policies[0];
	assert_text(policy->type, "sts");
	assert_int_equal(policy->line_count, 3);
	assert_text(policy->lines[1], "mode: enforce");
	assert_text(policy->mx_hosts[0], "*.b.example");
	assert_int_equal(policy->successes, 100);
	assert_int_equal(policy->failures, 8);
	assert_text(policy->details[0].result_type, "certificate-expired");
	assert_text(policy->details[0].reason, "expired \"yesterday\"");
	assert_int_equal(policy->details[0].sessions, 7);
	assert_text(policy->details[1].receiving_ip, "");
	assert_int_equal(got.policies[1].failure_count, 0);
	arena_clear(&arena);
	buf_clear(&json);
}

static void test_what_is_none(void **state)
{
	(void)state;
	static const struct {
		const char *name, *text;
	} cases[] = {
		{ "empty", "" },
		{ "a list", "[]" },
		{ "cut off", "{\"policies\":" },
		{ "no policies", "{}" },
		{ "a policy without a domain", "{\"policies\":[{\"policy\":{\"policy-type\":\"sts\"}}]}" },
		{ "policies of another type", "{\"policies\":[1,null,\"x\"]}" },
		{ "not UTF-8", "{\"policies\":[{\"policy\":{\"policy-domain\":\"\xff\"}}]}" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct arena arena;
		struct tls_report got;
		arena_init(&arena, TLS_REPORT_ARENA_BYTES);
		if (tls_report_read(view_from_cstr(cases[i].text), &arena, &got) != ERR_SYNTAX)
			fail_msg("%s", cases[i].name);
		arena_clear(&arena);
	}
}

static void test_found_in_a_message(void **state)
{
	(void)state;
	struct buf json = { 0 }, packed = { 0 }, mail = { 0 }, out = { 0 };
	enum report_file_kind kind;
	assert_int_equal(write_sample(&json), ERR_OK);
	assert_int_equal(pack_gzip(buf_view(&json), &packed), ERR_OK);
	assert_int_equal(
		buf_append_cstr(&mail,
			"Content-Type: multipart/report; report-type=tlsrpt; boundary=b\r\n\r\n--b\r\n\r\nHi\r\n"
			"--b\r\nContent-Type: application/tlsrpt+gzip\r\nContent-Transfer-Encoding: "
			"binary\r\n\r\n"),
		ERR_OK);
	assert_int_equal(buf_append(&mail, buf_view(&packed)), ERR_OK);
	assert_int_equal(buf_append_cstr(&mail, "\r\n--b--\r\n"), ERR_OK);
	assert_int_equal(report_file_find(buf_view(&mail), &out, &kind), ERR_OK);
	assert_int_equal(kind, REPORT_FILE_TLS);
	assert_true(view_eq(buf_view(&out), buf_view(&json)));
	/* One that is damaged is told from none at all. */
	assert_int_equal(
		report_file_find(VIEW("Content-Type: application/gzip\n\n\x1f\x8b\x08"), &out, &kind), ERR_SYNTAX);
	assert_int_equal(report_file_find(VIEW("Subject: hi\n\n<feedback>"), &out, &kind), ERR_NOT_FOUND);
	buf_clear(&json);
	buf_clear(&packed);
	buf_clear(&mail);
	buf_clear(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_written_is_read),
		cmocka_unit_test(test_what_is_none),
		cmocka_unit_test(test_found_in_a_message),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
