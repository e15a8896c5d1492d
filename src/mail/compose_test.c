#include "mail/compose.h"

#include "mail/scan.h"
#include "mail/testing.h"

#define V(text)                                                                                                        \
	{                                                                                                              \
		(const uint8_t *)(text), sizeof(text) - 1                                                              \
	}
#define AE "\xc3\xa4"
#define ID "Message-ID: <mwtdfvs0.0000000000000000@h.example>\r\nMIME-Version: 1.0\r\n"
#define DATE "Date: Mon, 23 Nov 2026 14:39:00 +0000\r\n"
#define BASE .wall_ms = 1795444740000, .hostname = V("h.example")
#define MIXED "=_mixed00000000000000000000000000000000"
#define ALTERNATIVE "=_alternative00000000000000000000000000000000"
#define ASCII "Content-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"

static const struct compose_attachment attachments[] = {
	{ V("/tmp/a b.txt"), V("text/plain"), V("foo") },
	{ V(AE ".pdf"), V("application/pdf"), V("%PDF") },
	{ V("n\"\r\n.eml"), V("message/rfc822"), V("A: 1") },
	{ V("a-very-long-file-name-that-has-more-than-forty-bytes.bin"), V("x\r\ny"), V("") },
};

static const struct {
	const char *name;
	struct compose compose;
	const char *text;
} cases[] = {
	{ "plain",
		{ .from = V("joe@a.example"), .to = V("b@c.example"), .subject = V("Hi"), .text = V("Hello\n"), BASE },
		DATE "From: joe@a.example\r\nTo: b@c.example\r\nSubject: Hi\r\n" ID ASCII "Hello\r\n" },
	{ "names, several authors",
		{ .from = V("J" AE " <j@a.example>, k@a.example"),
			.to = V("\"Doe, J\" <d@c.example>"),
			.cc = V("e@c.example"),
			.reply_to = V("r@a.example"),
			BASE },
		DATE "From: =?UTF-8?B?SsOk?= <j@a.example>, k@a.example\r\nSender: =?UTF-8?B?SsOk?= <j@a.example>\r\n"
		     "Reply-To: r@a.example\r\nTo: \"Doe, J\" <d@c.example>\r\nCc: e@c.example\r\n" ID ASCII },
	{ "nobody shown", { .from = V("a@a.example"), .text = V("x"), BASE },
		DATE "From: a@a.example\r\nTo: undisclosed-recipients:;\r\n" ID ASCII "x\r\n" },
	{ "line ends", { .from = V("a@a.example"), .to = V("b@b.example"), .text = V("a\rb\nc\r\n\r\nd"), BASE },
		DATE "From: a@a.example\r\nTo: b@b.example\r\n" ID ASCII "a\r\nb\r\nc\r\n\r\nd\r\n" },
	{ "8 bits", { .from = V("a@a.example"), .to = V("b@b.example"), .text = V("a long enough text, " AE), BASE },
		DATE "From: a@a.example\r\nTo: b@b.example\r\n" ID
		     "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
		     "a long enough text, =C3=A4\r\n" },
	{ "mostly 8 bits", { .from = V("a@a.example"), .to = V("b@b.example"), .html = V(AE AE), BASE },
		DATE
		"From: a@a.example\r\nTo: b@b.example\r\n" ID
		"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nw6TDpA0K\r\n" },
	{ "text and HTML",
		{ .from = V("a@a.example"), .to = V("b@b.example"), .text = V("t"), .html = V("<p>h"), BASE },
		DATE "From: a@a.example\r\nTo: b@b.example\r\n" ID
		     "Content-Type: multipart/alternative;\r\n\tboundary=\"" ALTERNATIVE "\"\r\n\r\n--" ALTERNATIVE
		     "\r\n" ASCII "t\r\n\r\n--" ALTERNATIVE "\r\nContent-Type: text/html; charset=us-ascii\r\n"
		     "Content-Transfer-Encoding: 7bit\r\n\r\n<p>h\r\n\r\n--" ALTERNATIVE "--\r\n" },
	{ "attachments",
		{ .from = V("a@a.example"),
			.to = V("b@b.example"),
			.text = V("t"),
			.attachment_count = 4,
			.attachments = attachments,
			BASE },
		DATE
		"From: a@a.example\r\nTo: b@b.example\r\n" ID "Content-Type: multipart/mixed;\r\n\tboundary=\"" MIXED
		"\"\r\n\r\n--" MIXED "\r\n" ASCII "t\r\n\r\n--" MIXED "\r\n"
		"Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: attachment; filename=\"a b.txt\"\r\n"
		"Content-Transfer-Encoding: base64\r\n\r\nZm9v\r\n\r\n--" MIXED "\r\n"
		"Content-Type: application/pdf\r\nContent-Disposition: attachment;\r\n\tfilename*=UTF-8''%C3%A4.pdf\r\n"
		"Content-Transfer-Encoding: base64\r\n\r\nJVBERg==\r\n\r\n--" MIXED "\r\n"
		"Content-Type: application/octet-stream\r\n"
		"Content-Disposition: attachment;\r\n\tfilename*=UTF-8''n%22%20%20.eml\r\n"
		"Content-Transfer-Encoding: base64\r\n\r\nQTogMQ==\r\n\r\n--" MIXED "\r\n"
		"Content-Type: application/octet-stream\r\n"
		"Content-Disposition: "
		"attachment;\r\n\tfilename*0*=UTF-8''a-very-long-file-name-that-has-more-than;\r\n"
		"\tfilename*1*=-forty-bytes.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n\r\n--" MIXED "--\r\n" },
};

static void test_build(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct buf out = { 0 };
		struct compose_built built;
		assert_err(cases[i].name, compose_build(&cases[i].compose, &out, &built), ERR_OK);
		assert_text(cases[i].name, buf_view(&out), cases[i].text);
		assert_false(built.is_smtputf8);
		struct mail_scan scan = mail_scan(buf_view(&out));
		assert_false(scan.has_8bit_header || scan.has_8bit_body || mail_scan_is_binary(&scan));
		buf_clear(&out);
	}
}

static void test_refused(void **state)
{
	(void)state;
	static const struct {
		const char *from, *to, *detail;
	} bad[] = {
		{ "", "b@b", "From: there is no address" },
		{ "root", "b@b", "From: an address has no domain" },
		{ "a@a", "b b@b", "To: " },
	};
	struct buf out = { 0 };
	struct compose_built built;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		struct compose c = { .from = view_from_cstr(bad[i].from), .to = view_from_cstr(bad[i].to), BASE };
		assert_err(bad[i].from, compose_build(&c, &out, &built), ERR_SYNTAX);
		assert_has(bad[i].from, view_from_cstr(err_detail()), bad[i].detail);
		assert_int_equal(out.len, 0);
	}
	struct compose utf8 = { .from = V(AE "@a.example"), .to = V("b@b"), BASE };
	assert_err("UTF-8", compose_build(&utf8, &out, &built), ERR_OK);
	assert_true(built.is_smtputf8);
	buf_clear(&out);
}

static void test_many_recipients(void **state)
{
	(void)state;
	struct buf to = { 0 }, out = { 0 };
	for (int i = 0; i < 100; i++)
		assert_int_equal(
			buf_append_format(&to, "%sname %d <user%d@example.com>", i > 0 ? "," : "", i, i), ERR_OK);
	struct compose c = { .from = V("a@a"), .to = buf_view(&to), .subject = V("x\r\nBcc: y"), BASE };
	struct compose_built built;
	assert_int_equal(compose_build(&c, &out, &built), ERR_OK);
	struct view rest = buf_view(&out), line;
	while (view_split(&rest, '\n', &line))
		assert_true(line.len <= 79);
	assert_has("subject", buf_view(&out), "\r\nSubject: x  Bcc: y\r\n");
	buf_clear(&to);
	buf_clear(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_build),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_many_recipients),
	};
	return cmocka_run_group_tests_name("compose", tests, NULL, NULL);
}
