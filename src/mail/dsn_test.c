#include "mail/dsn.h"

#include "mail/testing.h"

#define V(text)                                                                                                        \
	{                                                                                                              \
		(const uint8_t *)(text), sizeof(text) - 1                                                              \
	}
#define NOW 1795444740000

static const char original[] = "From: Joe <joe@example.org>\r\nTo: a@b\r\nSubject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\n"
			       "Message-ID: <1@example.org>\r\n\r\nHello,\r\nbody\r\n";

static const struct dsn_recipient failed = {
	.address = V("nobody@example.com"),
	.original = V("rfc822;nobody+x@example.com"),
	.action = DSN_FAILED,
	.status = V("5.1.1"),
	.remote_mta = V("mx.example.com"),
	.remote_address = V("192.0.2.1"),
	.reply = V("550 5.1.1 No such user here, and this is a long explanation of it\nsecond line"),
	.last_attempt_ms = NOW,
};
static const struct dsn_recipient delayed = {
	.address = V("slow@example.com"),
	.action = DSN_DELAYED,
	.reason = V("No server of example.com answered."),
	.last_attempt_ms = NOW,
	.retry_until_ms = NOW + 86400000,
};
static const struct dsn_recipient delivered = {
	.address = V("ok@example.com"),
	.action = DSN_DELIVERED,
	.status = V("2.1.5"),
};
static const struct dsn_recipient relayed = {
	.address = V("ok@example.com"),
	.action = DSN_RELAYED,
	.remote_mta = V("mx.example.com"),
};
static const struct dsn_recipient foreign = {
	.address = V("j\xc3\xb6rg@example.com"),
	.original = V("utf-8;j\xc3\xb6rg@example.com"),
	.action = DSN_FAILED,
	.status = V("5.6.7"),
	.reason = V("The server can't take addresses with other letters."),
};
static const struct dsn_recipient hostile = {
	.address = V("a@b"),
	.original = V("rfc822;x\r\nBcc: y"),
	.action = DSN_FAILED,
	.status = V("5.1.1\r\nX: y"),
	.remote_mta = V("evil\r\nX: y"),
	.reply = V("550 \xff\r\n\r\n--=_dsn_00\x1b[1m"),
	.reason = V("x\r\nX: y"),
};

static struct dsn base(const struct dsn_recipient *recipient)
{
	return (struct dsn){
		.to = V("joe@example.org"),
		.reporting_mta = V("mx.our.example"),
		.arrival_ms = NOW - 60000,
		.now_ms = NOW,
		.recipient_count = 1,
		.recipients = recipient,
		.message = view_of(original, sizeof original - 1),
		.return_full = true,
	};
}

/* What every report must be: text with CRLF, short lines, one closing boundary. */
static void check_form(const char *name, struct view text)
{
	struct view rest = text, line;
	while (view_split(&rest, '\n', &line)) {
		assert_true(line.len > 0 && line.ptr[line.len - 1] == '\r');
		assert_true(line.len <= 999);
		if (view_find(view_sub(line, 0, line.len - 1), '\r') < line.len - 1)
			fail_msg("%s: bare CR in \"%.*s\"", name, VIEW_ARG(line));
	}
	assert_has(name, text, "\r\n--=_dsn_00000000000000000000000000000000--\r\n");
	assert_has(name, text, "From: Mail Delivery System <MAILER-DAEMON@mx.our.example>\r\n");
	assert_has(name, text, "\r\nAuto-Submitted: auto-replied\r\n");
	assert_has(name, text, "\r\nContent-Type: multipart/report; report-type=delivery-status;\r\n");
}

static void build(const char *name, const struct dsn *dsn, struct buf *out, struct dsn_built *ret)
{
	assert_err(name, dsn_build(dsn, out, ret), ERR_OK);
	check_form(name, buf_view(out));
}

static void test_failed(void **state)
{
	(void)state;
	struct dsn dsn = base(&failed);
	struct buf out = { 0 };
	struct dsn_built built;
	dsn.envelope_id = VIEW("id+1");
	build("failed", &dsn, &out, &built);
	assert_false(built.is_8bit || built.is_smtputf8);
	assert_true(built.returned_full);
	static const char *const parts[] = {
		"Date: Mon, 23 Nov 2026 14:39:00 +0000\r\n",
		"To: <joe@example.org>\r\nSubject: Your message could not be delivered\r\n",
		"In-Reply-To: <1@example.org>\r\nReferences: <1@example.org>\r\n",
		"<nobody@example.com>\r\n    The server mx.example.com [192.0.2.1] answered:\r\n        550 5.1.1 No "
		"such user",
		"        second line\r\n    What you can do: There is no such mailbox.",
		"Subject: Gr=C3=BC=C3=9Fe",
		"\r\n\r\nReporting-MTA: dns; mx.our.example\r\nOriginal-Envelope-Id: id+1\r\n"
		"Arrival-Date: Mon, 23 Nov 2026 14:38:00 +0000\r\n\r\n"
		"Original-Recipient: rfc822; nobody+x@example.com\r\nFinal-Recipient: rfc822; nobody@example.com\r\n"
		"Action: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; mx.example.com\r\n"
		"Diagnostic-Code: smtp; 550 5.1.1 No such user here, and this is a long\r\n"
		" explanation of it second line\r\nLast-Attempt-Date: Mon, 23 Nov 2026 14:39:00 +0000\r\n\r\n--",
		"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\nFrom: Joe "
		"<joe@example.org>\r\n",
		"\r\n\r\nHello,\r\nbody\r\n\r\n--",
	};
	for (size_t i = 0; i < COUNT_OF(parts); i++)
		assert_has("failed", buf_view(&out), parts[i]);
	buf_clear(&out);
}

static void test_others(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		const struct dsn_recipient *recipient;
		const char *parts[6];
	} cases[] = {
		{ "delayed", &delayed,
			{ "Subject: Your message is delayed\r\n", "Action: delayed\r\nStatus: 4.0.0\r\n",
				"Diagnostic-Code: X-Postrider; No server of example.com answered.\r\n",
				"Will-Retry-Until: Tue, 24 Nov 2026 14:39:00 +0000\r\n",
				"It will be tried again until Tue, 24 Nov 2026 14:39:00 +0000." } },
		{ "delivered", &delivered,
			{ "Subject: Your message has arrived\r\n", "Action: delivered\r\nStatus: 2.1.5\r\n",
				"Your message was delivered to the mailbox." } },
		{ "relayed", &relayed,
			{ "Action: relayed\r\nStatus: 2.0.0\r\nRemote-MTA: dns; mx.example.com\r\n",
				"The server mx.example.com took it." } },
		{ "foreign", &foreign,
			{ "Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n",
				"Original-Recipient: utf-8; j\xc3\xb6rg@example.com\r\n",
				"Final-Recipient: utf-8; j\xc3\xb6rg@example.com\r\n", "<j=C3=B6rg@example.com>" } },
		{ "hostile", &hostile,
			{ "Status: 5.0.0\r\n", "Original-Recipient: rfc822; x+0D+0ABcc:+20y\r\n",
				"Diagnostic-Code: smtp; 550 ? --=_dsn_00 [1m\r\n" } },
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct dsn dsn = base(cases[i].recipient);
		struct buf out = { 0 };
		struct dsn_built built;
		build(cases[i].name, &dsn, &out, &built);
		for (size_t k = 0; k < 6 && cases[i].parts[k] != NULL; k++)
			assert_has(cases[i].name, buf_view(&out), cases[i].parts[k]);
		assert_has_not(cases[i].name, buf_view(&out), "\r\nX: y");
		assert_has_not(cases[i].name, buf_view(&out), "\r\nBcc: y");
		assert_int_equal(built.is_8bit, cases[i].recipient == &foreign);
		assert_false(built.is_smtputf8);
		buf_clear(&out);
	}
}

static void test_wishes(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		int64_t deliver_by_ms, hold_until_ms;
		uint32_t hold_for_s;
		const char *part;
	} cases[] = {
		{ "none", 0, 0, 0, "Arrival-Date: Mon, 23 Nov 2026 14:38:00 +0000\r\n\r\nOriginal-Recipient: " },
		{ "in time", NOW + 60000, 0, 0,
			"Arrival-Date: Mon, 23 Nov 2026 14:38:00 +0000\r\nDeliver-By-Date: Mon, 23 Nov 2026 14:40:00 "
			"+0000\r\n\r\n" },
		{ "held for", 0, NOW + 3540000, 3600,
			"Arrival-Date: Mon, 23 Nov 2026 14:38:00 +0000\r\nFuture-Release-Request: for;3600\r\n\r\n" },
		{ "held until", 0, NOW + 3600000, 0,
			"Arrival-Date: Mon, 23 Nov 2026 14:38:00 +0000\r\nFuture-Release-Request: "
			"until;2026-11-23T15:39:00Z\r\n\r\n" },
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct dsn dsn = base(&failed);
		struct buf out = { 0 };
		struct dsn_built built;
		dsn.deliver_by_ms = cases[i].deliver_by_ms;
		dsn.hold_until_ms = cases[i].hold_until_ms;
		dsn.hold_for_s = cases[i].hold_for_s;
		build(cases[i].name, &dsn, &out, &built);
		assert_has(cases[i].name, buf_view(&out), cases[i].part);
		buf_clear(&out);
	}
}

static void test_returned(void **state)
{
	(void)state;
	static const struct {
		const char *name, *message;
		bool full;
		size_t max;
		bool is_8bit, returned_full;
		const char *part;
	} cases[] = {
		{ "headers asked for", "A: 1\r\n\r\nbody\r\n", false, 0, false, false,
			"text/rfc822-headers\r\nContent-Transfer-Encoding: 7bit\r\n\r\nA: 1\r\n\r\n--" },
		{ "too large", "A: 1\r\n\r\nbody\r\n", true, 10, false, false, "text/rfc822-headers\r\n" },
		{ "8-bit body", "A: 1\r\n\r\nb\xc3\xa4\r\n", true, 0, true, true,
			"message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nA: 1\r\n\r\nb\xc3\xa4\r\n" },
		{ "8-bit body, headers only", "A: 1\r\n\r\nb\xc3\xa4\r\n", false, 0, false, false,
			"text/rfc822-headers\r\n" },
		{ "UTF-8 header", "A: \xc3\xa4\r\n\r\nbody\r\n", true, 0, true, true,
			"message/global\r\nContent-Transfer-Encoding: 8bit\r\n" },
		{ "UTF-8 header, headers only", "A: \xc3\xa4\r\n\r\nbody\r\n", false, 0, true, false,
			"message/global-headers\r\nContent-Transfer-Encoding: 8bit\r\n" },
		{ "Latin 1 header", "A: \xe4\r\n\r\nbody\r\n", false, 0, true, false,
			"text/rfc822-headers\r\nContent-Transfer-Encoding: 8bit\r\n" },
		{ "binary body", "A: 1\r\n\r\na\nb\r\n", true, 0, false, false, "text/rfc822-headers\r\n" },
		{ "binary header", "A: 1\rx\r\n\r\nbody\r\n", true, 0, false, false,
			"text/rfc822-headers\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nA: 1=0Dx\r\n" },
		{ "no message", "", true, 0, false, true, "message/rfc822\r\n" },
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct dsn dsn = base(&failed);
		struct buf out = { 0 };
		struct dsn_built built;
		dsn.message = view_from_cstr(cases[i].message);
		dsn.return_full = cases[i].full;
		dsn.return_max_bytes = cases[i].max;
		build(cases[i].name, &dsn, &out, &built);
		assert_has(cases[i].name, buf_view(&out), cases[i].part);
		if (built.is_8bit != cases[i].is_8bit || built.returned_full != cases[i].returned_full)
			fail_msg("%s: flags", cases[i].name);
		buf_clear(&out);
	}
}

static void test_limits(void **state)
{
	(void)state;
	struct dsn dsn = base(&failed);
	struct dsn_built built;
	struct buf out = { .max_bytes = 1000 };
	assert_err("small buffer", dsn_build(&dsn, &out, &built), ERR_LIMIT);
	assert_int_equal(out.len, 0);
	dsn.to = VIEW("a\r\nb@c");
	assert_err("to", dsn_build(&dsn, &out, &built), ERR_SYNTAX);
	dsn = base(&failed);
	dsn.reporting_mta = VIEW("a b");
	assert_err("host", dsn_build(&dsn, &out, &built), ERR_SYNTAX);
	dsn = base(&failed);
	dsn.recipient_count = 0;
	assert_err("no recipient", dsn_build(&dsn, &out, &built), ERR_SYNTAX);
	dsn = base(&failed);
	dsn.to = VIEW("j\xc3\xb6@example.org");
	buf_clear(&out);
	buf_init(&out, 0);
	assert_err("UTF-8 sender", dsn_build(&dsn, &out, &built), ERR_OK);
	assert_true(built.is_8bit && built.is_smtputf8);
	buf_clear(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_failed),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_wishes),
		cmocka_unit_test(test_returned),
		cmocka_unit_test(test_limits),
	};
	return cmocka_run_group_tests_name("dsn", tests, NULL, NULL);
}
