#include "smtp/reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static struct view text_of(const struct smtp_reply *reply)
{
	return smtp_reply_text(reply);
}

static void assert_view(struct view got, const char *want)
{
	if (!view_eq(got, view_from_cstr(want)))
		fail_msg("got \"%.*s\", want \"%s\"", VIEW_ARG(got), want);
}

struct parse_case {
	const char *name, *wire;
	enum err err;
	unsigned code, class, subject, detail;
	const char *text;
	size_t left; /* bytes not taken */
};

static const struct parse_case parse_cases[] = {
	{ "one line", "250 ok\r\n", ERR_OK, 250, 0, 0, 0, "ok", 0 },
	{ "enhanced", "550 5.1.1 No such user\r\n", ERR_OK, 550, 5, 1, 1, "No such user", 0 },
	{ "enhanced alone", "250 2.0.0\r\n", ERR_OK, 250, 2, 0, 0, "", 0 },
	{ "enhanced, three digits", "450 4.123.999 x\r\n", ERR_OK, 450, 4, 123, 999, "x", 0 },
	{ "enhanced of another class stays text", "250 5.1.1 odd\r\n", ERR_OK, 250, 0, 0, 0, "5.1.1 odd", 0 },
	{ "a version is no enhanced code", "220 2.1.0-beta\r\n", ERR_OK, 220, 0, 0, 0, "2.1.0-beta", 0 },
	{ "an address is no enhanced code", "250 2.1.0.4 x\r\n", ERR_OK, 250, 0, 0, 0, "2.1.0.4 x", 0 },
	{ "four digits are none", "250 2.1.1000 x\r\n", ERR_OK, 250, 0, 0, 0, "2.1.1000 x", 0 },
	{ "several lines", "250-one\r\n250-two\r\n250 three\r\n", ERR_OK, 250, 0, 0, 0, "one\ntwo\nthree", 0 },
	{ "enhanced on each line", "550-5.7.1 a\r\n550 5.7.1 b\r\n", ERR_OK, 550, 5, 7, 1, "a\nb", 0 },
	{ "another enhanced later stays", "550-5.7.1 a\r\n550 5.7.2 b\r\n", ERR_OK, 550, 5, 7, 1, "a\n5.7.2 b", 0 },
	{ "enhanced only later stays", "550-a\r\n550 5.7.2 b\r\n", ERR_OK, 550, 0, 0, 0, "a\n5.7.2 b", 0 },
	{ "code without text", "354\r\n", ERR_OK, 354, 0, 0, 0, "", 0 },
	{ "code and space", "354 \r\n", ERR_OK, 354, 0, 0, 0, "", 0 },
	{ "empty lines", "250-\r\n250-\r\n250 \r\n", ERR_OK, 250, 0, 0, 0, "\n\n", 0 },
	{ "bare LF", "250-a\n250 b\n", ERR_OK, 250, 0, 0, 0, "a\nb", 0 },
	{ "what follows is not taken", "250 a\r\n250 b\r\n", ERR_OK, 250, 0, 0, 0, "a", 7 },
	{ "controls", "250 a\x1b[1mb\rc\x7f\r\n", ERR_OK, 250, 0, 0, 0, "a?[1mb?c?", 0 },
	{ "UTF-8", "550 5.1.1 J\xc3\xb6rg\r\n", ERR_OK, 550, 5, 1, 1, "J\xc3\xb6rg", 0 },
	{ "not UTF-8", "550 5.1.1 J\xf6rg\r\n", ERR_OK, 550, 5, 1, 1, "J?rg", 0 },
	{ "nothing", "", ERR_AGAIN, 0, 0, 0, 0, NULL, 0 },
	{ "half a line", "250 o", ERR_AGAIN, 0, 0, 0, 0, NULL, 0 },
	{ "no line end yet", "250 ok\r", ERR_AGAIN, 0, 0, 0, 0, NULL, 0 },
	{ "more lines to come", "250-ok\r\n", ERR_AGAIN, 0, 0, 0, 0, NULL, 0 },
	{ "no code", "hello\r\n", ERR_SYNTAX, 0, 0, 0, 0, NULL, 0 },
	{ "empty line", "\r\n", ERR_SYNTAX, 0, 0, 0, 0, NULL, 0 },
	{ "two digits", "25\r\n", ERR_SYNTAX, 0, 0, 0, 0, NULL, 0 },
	{ "four digits", "2500 x\r\n", ERR_SYNTAX, 0, 0, 0, 0, NULL, 0 },
	{ "code 1xx", "199 x\r\n", ERR_SYNTAX, 0, 0, 0, 0, NULL, 0 },
	{ "code 6xx", "600 x\r\n", ERR_SYNTAX, 0, 0, 0, 0, NULL, 0 },
	{ "letters behind the code", "250ok\r\n", ERR_SYNTAX, 0, 0, 0, 0, NULL, 0 },
	{ "codes differ", "250-a\r\n550 b\r\n", ERR_SYNTAX, 0, 0, 0, 0, NULL, 0 },
};

static void test_parse(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof parse_cases / sizeof *parse_cases; i++) {
		const struct parse_case *c = &parse_cases[i];
		struct smtp_reply reply = { .code = 999 };
		size_t used = 12345;
		enum err err = smtp_reply_parse(view_from_cstr(c->wire), &reply, &used);
		if (err != c->err)
			fail_msg("%s: %s, want %s", c->name, err_name(err), err_name(c->err));
		if (err != ERR_OK) {
			if (reply.code != 999 || used != 12345)
				fail_msg("%s: out-parameters touched", c->name);
			continue;
		}
		if (reply.code != c->code || reply.class != c->class || reply.subject != c->subject ||
			reply.detail != c->detail || !view_eq(text_of(&reply), view_from_cstr(c->text)))
			fail_msg("%s: %u %u.%u.%u \"%.*s\"", c->name, reply.code, reply.class, reply.subject,
				reply.detail, VIEW_ARG(text_of(&reply)));
		if (strlen(c->wire) - used != c->left)
			fail_msg("%s: %zu used", c->name, used);
	}
}

static void test_parse_limits(void **state)
{
	(void)state;
	struct buf wire = { 0 };
	struct smtp_reply reply;
	size_t used;
	/* One endless line, complete or not. */
	for (int i = 0; i < 3000; i++)
		assert_int_equal(buf_append_cstr(&wire, i == 0 ? "250 x" : "y"), ERR_OK);
	assert_int_equal(smtp_reply_parse(buf_view(&wire), &reply, &used), ERR_LIMIT);
	assert_int_equal(buf_append_cstr(&wire, "\r\n"), ERR_OK);
	assert_int_equal(smtp_reply_parse(buf_view(&wire), &reply, &used), ERR_LIMIT);
	/* Endless lines. */
	buf_reset(&wire);
	for (int i = 0; i < 5000; i++)
		assert_int_equal(buf_append_cstr(&wire, "250-x\r\n"), ERR_OK);
	assert_int_equal(smtp_reply_parse(buf_view(&wire), &reply, &used), ERR_LIMIT);
	/* Legal lines with more text than a reply keeps: cut, and all of it taken. */
	buf_reset(&wire);
	for (int i = 0; i < 100; i++)
		assert_int_equal(buf_append_cstr(&wire, i < 99 ? "250-some words\r\n" : "250 end\r\n"), ERR_OK);
	assert_int_equal(smtp_reply_parse(buf_view(&wire), &reply, &used), ERR_OK);
	assert_int_equal(used, wire.len);
	assert_int_equal(reply.text_len, SMTP_REPLY_TEXT_MAX_BYTES);
	buf_clear(&wire);
}

static void test_parse_line(void **state)
{
	(void)state;
	uint16_t code = 0;
	bool last = true;
	struct view text = VIEW_NONE;
	size_t used = 0;
	assert_int_equal(
		smtp_reply_parse_line(VIEW("250-SIZE 100\r\n250 DSN\r\n"), &code, &last, &text, &used), ERR_OK);
	assert_int_equal(code, 250);
	assert_false(last);
	assert_view(text, "SIZE 100");
	assert_int_equal(used, 14);
	assert_int_equal(smtp_reply_parse_line(VIEW("250-SIZE 100"), &code, &last, &text, &used), ERR_AGAIN);
}

static void test_make_and_format(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		uint16_t code;
		const char *enhanced, *text, *wire, *described;
	} cases[] = {
		{ "plain", 250, NULL, "ok", "250 ok\r\n", "250 ok" },
		{ "enhanced", 550, "5.1.1", "No such user", "550 5.1.1 No such user\r\n", "550 5.1.1 No such user" },
		{ "lines", 250, "2.1.0", "a\nb", "250-2.1.0 a\r\n250 2.1.0 b\r\n", "250 2.1.0 a b" },
		{ "line ends at the end are dropped", 250, NULL, "a\n\n", "250 a\r\n", "250 a" },
		{ "empty", 250, "2.0.0", "", "250 2.0.0 \r\n", "250 2.0.0" },
		{ "an injected line", 250, NULL, "a\r250 b\x01", "250 a?250 b?\r\n", "250 a?250 b?" },
		{ "not UTF-8", 250, NULL, "a\xff", "250 a?\r\n", "250 a?" },
	};
	struct buf out = { 0 };
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct smtp_reply reply = smtp_reply_make(cases[i].code, cases[i].enhanced, "%s", cases[i].text);
		buf_reset(&out);
		assert_int_equal(smtp_reply_format(&reply, &out), ERR_OK);
		assert_view(buf_view(&out), cases[i].wire);
		buf_reset(&out);
		assert_int_equal(smtp_reply_describe(&reply, &out), ERR_OK);
		assert_view(buf_view(&out), cases[i].described);
	}
	buf_clear(&out);
}

static void test_format_long_lines(void **state)
{
	(void)state;
	char text[1000];
	memset(text, 'x', sizeof text);
	text[sizeof text - 1] = '\0';
	struct smtp_reply reply = smtp_reply_make(550, "5.7.123", "%s", text);
	assert_int_equal(reply.text_len, SMTP_REPLY_TEXT_MAX_BYTES);
	struct buf out = { 0 };
	assert_int_equal(smtp_reply_format(&reply, &out), ERR_OK);
	/* 512 with CRLF, then the rest. */
	assert_int_equal(view_find(buf_view(&out), '\n'), 511);
	assert_true(view_starts_with(view_from(buf_view(&out), 512), VIEW("550 5.7.123 x")));
	/* At a blank where there is one. */
	text[480] = ' ';
	reply = smtp_reply_make(550, "5.7.123", "%s", text);
	buf_reset(&out);
	assert_int_equal(smtp_reply_format(&reply, &out), ERR_OK);
	assert_int_equal(view_find(buf_view(&out), '\n'), 12 + 481 + 1);
	/* Not inside a character, neither at the text's end nor at the line's. */
	for (size_t i = 0; i + 1 < sizeof text; i += 3)
		memcpy(text + i, "\xe2\x82\xac", 3);
	reply = smtp_reply_make(550, "5.7.123", "%s", text);
	assert_int_equal(reply.text_len, 498);
	assert_true(view_is_utf8(text_of(&reply)));
	buf_reset(&out);
	assert_int_equal(smtp_reply_format(&reply, &out), ERR_OK);
	assert_true(view_is_utf8(view_sub(buf_view(&out), 0, view_find(buf_view(&out), '\n'))));
	buf_clear(&out);
}

static void test_format_bound(void **state)
{
	(void)state;
	struct buf out;
	buf_init(&out, 20);
	assert_int_equal(buf_append_cstr(&out, "before"), ERR_OK);
	struct smtp_reply reply = smtp_reply_make(250, "2.0.0", "a\nlonger than the room there is");
	assert_int_equal(smtp_reply_format(&reply, &out), ERR_LIMIT);
	assert_view(buf_view(&out), "before");
	assert_int_equal(smtp_reply_describe(&reply, &out), ERR_LIMIT);
	assert_view(buf_view(&out), "before");
	buf_clear(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_parse_limits),
		cmocka_unit_test(test_parse_line),
		cmocka_unit_test(test_make_and_format),
		cmocka_unit_test(test_format_long_lines),
		cmocka_unit_test(test_format_bound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
