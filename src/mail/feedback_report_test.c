#include "mail/feedback_report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_text(struct view got, const char *wanted)
{
	if (!view_eq(got, view_from_cstr(wanted)))
		fail_msg("got \"%.*s\", want \"%s\"", VIEW_ARG(got), wanted);
}

#define HEAD                                                                                                           \
	"From: <abusedesk@mail.example>\r\nTo: <abuse@here.example>\r\nMIME-Version: 1.0\r\n"                          \
	"Content-Type: multipart/report; report-type=feedback-report; boundary=\"b1\"\r\n\r\n"                         \
	"--b1\r\nContent-Type: text/plain\r\n\r\nA report.\r\n--b1\r\nContent-Type: message/feedback-report\r\n\r\n"

static void test_complaint(void **state)
{
	(void)state;
	struct feedback_report got = { 0 };
	const char *text = HEAD "Feedback-Type: Abuse\r\nUser-Agent: SomeGenerator/1.0\r\nVersion: 1\r\n"
				"Original-Mail-From: <news@here.example>\r\n"
				"Original-Rcpt-To: <ann@mail.example>\r\nOriginal-Rcpt-To: rfc822; joe@mail.example\r\n"
				"Arrival-Date: Thu, 8 Mar 2005\r\n 14:00:00 EST\r\n"
				"Reporting-MTA: dns; mail.example\r\nSource-IP: [IPv6:2001:db8::1]\r\n"
				"Incidents: 3\r\nOriginal-Envelope-Id: abc\r\nReported-Domain: Here.Example\r\n\r\n"
				"--b1\r\nContent-Type: message/rfc822\r\n\r\n"
				"From: News <news@here.example>\r\nMessage-ID:\r\n <1@here.example>\r\n\r\nBuy!\r\n"
				"--b1--\r\n";
	assert_int_equal(feedback_report_parse(view_from_cstr(text), &got), ERR_OK);
	assert_text(got.type, "abuse");
	assert_text(got.mail_from, "news@here.example");
	assert_int_equal(got.recipient_count, 2);
	assert_text(got.recipients[0], "ann@mail.example");
	assert_text(got.recipients[1], "joe@mail.example");
	assert_int_equal(got.arrival_ms, 1110308400000);
	assert_text(got.reporting_mta, "mail.example");
	assert_text(got.source_ip, "2001:db8::1");
	assert_int_equal(got.incidents, 3);
	assert_text(got.envelope_id, "abc");
	assert_text(got.reported_domain, "here.example");
	assert_text(got.header_from, "news@here.example");
	assert_text(got.message_id, "<1@here.example>");
	assert_true(view_ends_with_nocase(got.message, VIEW("Buy!")));
	feedback_report_clear(&got);
}

static void test_failed_authentication(void **state)
{
	(void)state;
	struct feedback_report got = { 0 };
	const char *text = HEAD
		"Feedback-Type: auth-failure\r\nVersion: 1\r\nAuth-Failure: DMARC\r\n"
		"Authentication-Results: gen.example;\r\n  dmarc=fail header.from=consumer.example\r\n"
		"Identity-Alignment: DKIM, spf (both)\r\nDKIM-Domain: Consumer.Example\r\nDKIM-Identity: "
		"@consumer.example\r\n"
		"DKIM-Selector: epsilon\r\nSource-IP: 192.0.2.2\r\nDelivery-Result: reject\r\n"
		"Reported-Domain: consumer.example\r\nOriginal-Mail-From: <>\r\n\r\n"
		"--b1\r\nContent-Type: text/rfc822-headers\r\n\r\nFrom: joe@consumer.example\r\n--b1--\r\n";
	assert_int_equal(feedback_report_parse(view_from_cstr(text), &got), ERR_OK);
	assert_text(got.type, "auth-failure");
	assert_text(got.failure, "dmarc");
	assert_text(got.authentication_results, "gen.example;  dmarc=fail header.from=consumer.example");
	assert_text(got.identity_alignment, "dkim, spf");
	assert_text(got.dkim_domain, "consumer.example");
	assert_text(got.dkim_identity, "@consumer.example");
	assert_text(got.dkim_selector, "epsilon");
	assert_text(got.source_ip, "192.0.2.2");
	assert_text(got.delivery_result, "reject");
	assert_text(got.mail_from, "");
	assert_text(got.header_from, "joe@consumer.example");
	assert_int_equal(got.incidents, 1);
	feedback_report_clear(&got);
}

static void test_what_is_none(void **state)
{
	(void)state;
	static const struct {
		const char *name, *text;
	} cases[] = {
		{ "a plain message", "Subject: hi\r\n\r\nFeedback-Type: abuse\r\n" },
		{ "no type", HEAD "Version: 1\r\n--b1--\r\n" },
		{ "empty", "" },
		{ "one inside an attached message",
			"Content-Type: message/rfc822\r\n\r\n" HEAD "Feedback-Type: abuse\r\n--b1--\r\n" },
	};
	struct feedback_report got = { 0 };
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		if (feedback_report_parse(view_from_cstr(cases[i].text), &got) != ERR_NOT_FOUND)
			fail_msg("%s", cases[i].name);
	feedback_report_clear(&got);
	feedback_report_clear(NULL);
}

static void test_bounds(void **state)
{
	(void)state;
	struct buf text = { 0 };
	struct feedback_report got = { 0 };
	assert_int_equal(buf_append_cstr(&text, HEAD "Feedback-Type: abuse\r\n"), ERR_OK);
	for (unsigned i = 0; i < 2 * FEEDBACK_RECIPIENTS_MAX; i++)
		assert_int_equal(buf_append_format(&text, "Original-Rcpt-To: u%u@x.example\r\n", i), ERR_OK);
	assert_int_equal(feedback_report_parse(buf_view(&text), &got), ERR_OK);
	assert_int_equal(got.recipient_count, FEEDBACK_RECIPIENTS_MAX);
	for (unsigned i = 0; i < 300 * 1024 / 16; i++)
		assert_int_equal(buf_append_cstr(&text, "X-Something: xx\r\n"), ERR_OK);
	assert_int_equal(feedback_report_parse(buf_view(&text), &got), ERR_LIMIT);
	feedback_report_clear(&got);
	buf_clear(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_complaint),
		cmocka_unit_test(test_failed_authentication),
		cmocka_unit_test(test_what_is_none),
		cmocka_unit_test(test_bounds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
