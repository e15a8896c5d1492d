#include "mail/dsn_parse.h"

#include "mail/testing.h"

#define HEAD "Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\n\r\nSorry.\r\n"
#define STATUS "--b\r\nContent-Type: message/delivery-status\r\n\r\n"
#define TAIL "--b\r\nContent-Type: text/rfc822-headers\r\n\r\nSubject: x\r\n--b--\r\n"

/* "original>final action status type:diagnostic @remote|" for each recipient. */
static void describe(const struct dsn_report *report, struct buf *out)
{
	for (size_t i = 0; i < report->recipient_count; i++) {
		const struct dsn_report_recipient *r = &report->recipients[i];
		assert_int_equal(buf_append_format(out, "%.*s>%.*s %s %.*s %s:%.*s @%.*s|", VIEW_ARG(r->original),
					 VIEW_ARG(r->final), r->has_action ? dsn_action_name(r->action) : "-",
					 VIEW_ARG(r->status), r->diagnostic_is_smtp ? "smtp" : "",
					 VIEW_ARG(r->diagnostic), VIEW_ARG(r->remote_mta)),
			ERR_OK);
	}
}

static void test_parse(void **state)
{
	(void)state;
	static const struct {
		const char *name, *message;
		const char *recipients; /* NULL: ERR_NOT_FOUND */
		const char *returned;
	} cases[] = {
		{ "plain",
			HEAD STATUS
			"Reporting-MTA: dns; mx.example\r\n\r\nOriginal-Recipient: rfc822;a+b@c\r\n"
			"Final-Recipient: rfc822; a@b\r\nAction: failed\r\nStatus: 5.1.1\r\n"
			"Remote-MTA: dns; mx.remote\r\nDiagnostic-Code: smtp; 550 no\r\n  such user\r\n" TAIL,
			"a+b@c>a@b failed 5.1.1 smtp:550 no  such user @mx.remote|", "Subject: x" },
		{ "two recipients, lone LF, comments, no types",
			"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\n\n"
			"Reporting-MTA: mx\n\n\nFinal-Recipient: <a@b>\nAction: Delayed (for now)\nStatus: 4.4.1 "
			"(x)\n\n"
			"Original-Recipient: c@d\nAction: nonsense\nStatus: 5.x.1\n--b--\n",
			">a@b delayed 4.4.1 : @|c@d>c@d -  : @|", "" },
		{ "no empty line between",
			HEAD STATUS "Final-Recipient: rfc822; a@b\r\nAction: failed\r\n"
				    "Final-Recipient: rfc822; c@d\r\nAction: relayed\r\n" TAIL,
			">a@b failed  : @|>c@d relayed  : @|", "Subject: x" },
		{ "fields in another order",
			HEAD STATUS "Action: failed\r\nFinal-Recipient: rfc822;a@b\r\nOriginal-Recipient: "
				    "rfc822;c@d\r\nStatus: 5.1.1\r\n" TAIL,
			"c@d>a@b failed 5.1.1 : @|", "Subject: x" },
		{ "base64",
			HEAD "--b\r\nContent-Type: message/delivery-status\r\nContent-Transfer-Encoding: base64\r\n\r\n"
			     "RmluYWwtUmVjaXBpZW50OiByZmM4MjI7YUBiDQpTdGF0dXM6IDUuMC4wDQo=\r\n" TAIL,
			">a@b - 5.0.0 : @|", "Subject: x" },
		{ "global",
			HEAD "--b\r\nContent-Type: message/global-delivery-status\r\n\r\nFinal-Recipient: "
			     "utf-8;\xc3\xa4@b\r\n" TAIL,
			">\xc3\xa4@b -  : @|", "Subject: x" },
		{ "diagnostic with a semicolon in its text",
			HEAD STATUS "Final-Recipient: rfc822;a@b\r\nDiagnostic-Code: no such user; sorry\r\n" TAIL,
			">a@b -  :no such user; sorry @|", "Subject: x" },
		{ "nested in a multipart",
			"Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n" HEAD STATUS
			"Final-Recipient: rfc822;a@b\r\n" TAIL "\r\n--o--\r\n",
			">a@b -  : @|", "Subject: x" },
		{ "not looked for in attached messages",
			"Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: "
			"message/rfc822\r\n\r\n" HEAD STATUS "Final-Recipient: rfc822;a@b\r\n" TAIL "\r\n--o--\r\n",
			NULL, NULL },
		{ "no recipient", HEAD STATUS "Reporting-MTA: dns;x\r\n\r\nStatus: 5.0.0\r\n" TAIL, NULL, NULL },
		{ "no report", "Subject: hi\r\n\r\nhello\r\n", NULL, NULL },
		{ "empty", "", NULL, NULL },
	};
	static struct dsn_report report;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct buf out = { 0 };
		assert_err(cases[i].name, dsn_parse(view_from_cstr(cases[i].message), &report),
			cases[i].recipients != NULL ? ERR_OK : ERR_NOT_FOUND);
		if (cases[i].recipients != NULL) {
			describe(&report, &out);
			assert_text(cases[i].name, buf_view(&out), cases[i].recipients);
			assert_text(cases[i].name, report.returned, cases[i].returned);
		}
		buf_clear(&out);
	}
	dsn_report_clear(&report);
}

static void test_bounds(void **state)
{
	(void)state;
	static struct dsn_report report;
	struct buf in = { 0 };
	assert_int_equal(buf_append_cstr(&in, HEAD STATUS), ERR_OK);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(
			buf_append_format(&in, "Final-Recipient: rfc822;a%d@b\r\nAction: failed\r\n\r\n", i), ERR_OK);
	assert_int_equal(dsn_parse(buf_view(&in), &report), ERR_OK);
	assert_int_equal(report.recipient_count, DSN_REPORT_RECIPIENTS_MAX);
	assert_true(report.is_truncated);
	for (int i = 0; i < 60000; i++)
		assert_int_equal(buf_append_cstr(&in, "X: 3456789012345678\r\n"), ERR_OK);
	assert_int_equal(dsn_parse(buf_view(&in), &report), ERR_LIMIT);
	buf_clear(&in);
	dsn_report_clear(&report);
}

/* What dsn_build() writes is read back. */
static void test_round_trip(void **state)
{
	(void)state;
	struct dsn_recipient recipients[] = {
		{ .address = VIEW("a@b.example"),
			.original = VIEW("rfc822;x@y.example"),
			.action = DSN_FAILED,
			.status = VIEW("5.2.2"),
			.remote_mta = VIEW("mx.example"),
			.reply = VIEW("552 5.2.2 full") },
		{ .address = VIEW("\xc3\xa4@b.example"), .action = DSN_DELAYED, .reason = VIEW("slow") },
	};
	struct dsn dsn = { .to = VIEW("s@c.example"),
		.reporting_mta = VIEW("mx.our.example"),
		.recipient_count = 2,
		.recipients = recipients,
		.message = VIEW("Subject: x\r\n\r\nbody\r\n"),
		.return_full = true };
	struct buf out = { 0 }, text = { 0 };
	struct dsn_built built;
	static struct dsn_report report;
	assert_int_equal(dsn_build(&dsn, &out, &built), ERR_OK);
	assert_int_equal(dsn_parse(buf_view(&out), &report), ERR_OK);
	describe(&report, &text);
	assert_text("round trip", buf_view(&text),
		"x@y.example>a@b.example failed 5.2.2 smtp:552 5.2.2 full @mx.example|"
		">\xc3\xa4@b.example delayed 4.0.0 :slow @|");
	assert_text("returned", report.returned, "Subject: x\r\n\r\nbody\r\n");
	assert_text("reporting", report.reporting_mta, "mx.our.example");
	dsn_report_clear(&report);
	buf_clear(&out);
	buf_clear(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_round_trip),
	};
	return cmocka_run_group_tests_name("dsn_parse", tests, NULL, NULL);
}
