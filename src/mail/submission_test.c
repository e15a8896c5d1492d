#include "mail/submission.h"

#include "mail/testing.h"

static const struct submission_facts facts = {
	.wall_ms = 1795444740000,
	.random = { 1, 2, 3, 4, 5, 6, 7, 8 },
	.hostname = { (const uint8_t *)"mx.example", 10 },
};

#define DATE "Date: Mon, 23 Nov 2026 14:39:00 +0000\r\n"
#define ID "Message-ID: <mwtdfvs0.0102030405060708@mx.example>\r\n"

static void test_missing(void **state)
{
	(void)state;
	static const struct {
		const char *headers, *from, *added;
	} cases[] = {
		{ "From: a@b\r\n\r\n", "", DATE ID },
		{ "DATE: x\r\nmessage-id: <a@b>\r\n\r\n", "", "" },
		{ "Date: x\r\n\r\nMessage-ID: in the body\r\n", "", ID },
		{ "Resent-Date: x\r\n", "", DATE ID },
		{ "Date: x\r\nMessage-ID: y\r\n", "root@mx.example", "From: root@mx.example\r\n" },
		{ "Date: x\r\nMessage-ID: y\r\nFrom: a@b\r\n", "root@mx.example", "" },
		{ "", "", DATE ID },
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct submission_facts f = facts;
		struct buf out = { 0 };
		f.from = view_from_cstr(cases[i].from);
		assert_int_equal(submission_missing_fields(view_from_cstr(cases[i].headers), &f, &out), ERR_OK);
		assert_text(cases[i].headers, buf_view(&out), cases[i].added);
		buf_clear(&out);
	}
}

static void test_header_length(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		size_t header, body;
	} cases[] = {
		{ "A: 1\r\n\r\nbody", 6, 8 },
		{ "A: 1\n\nbody", 5, 6 },
		{ "hello\n", 0, 0 },
		{ "A: 1\nhello\n", 5, 5 },
		{ "A: 1\n", 5, 5 },
		{ "\nbody", 0, 1 },
		{ "", 0, 0 },
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		size_t body;
		assert_int_equal(submission_header_length(view_from_cstr(cases[i].text), &body), cases[i].header);
		assert_int_equal(body, cases[i].body);
	}
}

static void test_recipients(void **state)
{
	(void)state;
	static const struct {
		const char *name, *headers;
		enum err err;
		const char *found;
	} cases[] = {
		{ "all three", "To: a@b\r\nCC: C <c@d>,\r\n e@f\r\nbcc: g\r\nFrom: x@y\r\n\r\nTo: z@z\r\n", ERR_OK,
			"a@b\nc@d\ne@f\ng\n" },
		{ "twice the same", "To: a@b, c@d\r\nTo: a@b\r\nCc: A <a@b>\r\n", ERR_OK, "a@b\nc@d\n" },
		{ "resent", "To: a@b\r\nResent-Bcc: c@d\r\nResent-To: e@f\r\n", ERR_OK, "c@d\ne@f\n" },
		{ "empty", "To: undisclosed-recipients:;\r\nBcc:\r\n", ERR_OK, "" },
		{ "none", "From: x@y\r\n", ERR_OK, "" },
		{ "malformed", "To: a@b, c d@e\r\n", ERR_SYNTAX, "" },
		{ "too many", "To: a@b, b@b, c@b, d@b, e@b\r\n", ERR_LIMIT, "" },
		{ "line end in quotes", "To: \"a\\\n b\"\r\n", ERR_OK, "\"a b\"\n" },
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct buf out = { 0 };
		assert_err(
			cases[i].name, submission_recipients(view_from_cstr(cases[i].headers), 4, &out), cases[i].err);
		assert_text(cases[i].name, buf_view(&out), cases[i].found);
		buf_clear(&out);
	}
	struct buf out = { 0 };
	assert_int_equal(submission_recipients(VIEW("Cc: a b@c\r\n"), 4, &out), ERR_SYNTAX);
	assert_has("names the field", view_from_cstr(err_detail()), "field Cc: ");
}

static void test_without_bcc(void **state)
{
	(void)state;
	static const struct {
		const char *headers, *result;
	} cases[] = {
		{ "To: a\r\nBCC: b,\r\n c\r\nFrom: d\r\nResent-Bcc: e\r\n\r\n", "To: a\r\nFrom: d\r\n\r\n" },
		{ "Bcc: b\n\n", "\n" },
		{ "Bcc: b", "" },
		{ "Bccx: b\r\n", "Bccx: b\r\n" },
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct buf out = { 0 };
		assert_int_equal(submission_without_bcc(view_from_cstr(cases[i].headers), &out), ERR_OK);
		assert_text(cases[i].headers, buf_view(&out), cases[i].result);
		buf_clear(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_header_length),
		cmocka_unit_test(test_recipients),
		cmocka_unit_test(test_without_bcc),
	};
	return cmocka_run_group_tests_name("submission", tests, NULL, NULL);
}
