#include "mail/header.h"
#include "mail/scan.h"

#include "mail/testing.h"

/* Fields are written out as "name=value|", a malformed one with the name "!". */
static void describe(struct view headers, struct buf *out, struct view *ret_rest)
{
	struct header_field field;
	size_t taken = 0, before = headers.len;
	while (header_next(&headers, &field)) {
		assert_true(field.whole.len > 0);
		taken += field.whole.len;
		assert_int_equal(taken + headers.len, before);
		assert_int_equal(buf_append(out, field.name.len > 0 ? field.name : VIEW("!")), ERR_OK);
		assert_int_equal(buf_append_byte(out, '='), ERR_OK);
		assert_int_equal(buf_append(out, field.value), ERR_OK);
		assert_int_equal(buf_append_byte(out, '|'), ERR_OK);
	}
	*ret_rest = headers;
}

static void test_fields(void **state)
{
	(void)state;
	static const struct {
		const char *name, *text, *fields, *rest;
		size_t section;
	} cases[] = {
		{ "two", "A: 1\r\nB:2\r\n\r\nbody", "A= 1|B=2|", "\r\nbody", 13 },
		{ "no body", "A: 1\r\n", "A= 1|", "", 6 },
		{ "no line end", "A: 1", "A= 1|", "", 4 },
		{ "no header", "\r\nbody", "", "\r\nbody", 2 },
		{ "nothing", "", "", "", 0 },
		{ "lone LF", "A: 1\nB: 2\n\nbody", "A= 1|B= 2|", "\nbody", 11 },
		{ "folds", "A: 1\r\n 2\r\n\t3\r\nB:\r\n x\r\n\r\n", "A= 1\r\n 2\r\n\t3|B=\r\n x|", "\r\n", 24 },
		{ "fold of blanks only", "A: 1\r\n \r\nB: 2\r\n\r\n", "A= 1\r\n |B= 2|", "\r\n", 17 },
		{ "blank before the colon", "Subject \t: x\r\n", "Subject= x|", "", 14 },
		{ "no colon", "hello\r\nA: 1\r\n", "!=hello|A= 1|", "", 13 },
		{ "empty name", ": x\r\n", "!=: x|", "", 5 },
		{ "fold first", " x: y\r\nA: 1\r\n", "!= x: y|A= 1|", "", 13 },
		{ "name with a blank", "From joe Mon 1:2\r\nA: 1\r\n", "!=From joe Mon 1:2|A= 1|", "", 24 },
		{ "name with 8 bits", "\xc3\xa4: 1\r\n", "!=\xc3\xa4: 1|", "", 7 },
		{ "empty value", "A:\r\n\r\n", "A=|", "\r\n", 6 },
		{ "bare CR stays", "A: 1\rB: 2\r\n\r\n", "A= 1\rB: 2|", "\r\n", 13 },
		{ "CR at the end", "A: 1\r", "A= 1\r|", "", 5 },
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct buf out = { 0 };
		struct view rest;
		describe(view_from_cstr(cases[i].text), &out, &rest);
		assert_text(cases[i].name, buf_view(&out), cases[i].fields);
		assert_text(cases[i].name, rest, cases[i].rest);
		assert_int_equal(header_section_length(view_from_cstr(cases[i].text)), cases[i].section);
		buf_clear(&out);
	}
}

static void test_find(void **state)
{
	(void)state;
	struct view headers = VIEW(
		"Received: 1\r\nsubject: a\r\n b \r\nRECEIVED: 2\r\nSubject: c\r\n\r\nReceived: no\r\n");
	struct header_field field;
	struct buf out = { 0 };
	assert_int_equal(header_count(headers, VIEW("received")), 2);
	assert_int_equal(header_count(headers, VIEW("To")), 0);
	assert_false(header_find(headers, VIEW("To"), &field));
	assert_false(header_find(VIEW("malformed\r\n"), VIEW(""), &field));
	assert_true(header_find(headers, VIEW("Subject"), &field));
	assert_int_equal(header_unfold(field.value, &out), ERR_OK);
	assert_text("unfolded", buf_view(&out), "a b");
	buf_reset(&out);
	assert_int_equal(header_unfold(VIEW(" a\rb\r\n c\n\td "), &out), ERR_OK);
	assert_text("stray CR", buf_view(&out), "a b c\td");
	buf_clear(&out);
}

struct scan_case {
	const char *name, *text;
	const char *flags; /* h, b: 8 bits in header, body; n NUL; c bare CR; l bare LF; "0" in `text` stands for NUL */
	uint64_t line, header;
};

static const struct scan_case scan_cases[] = {
	{ "plain", "A: 1\r\n\r\nbody\r\n", "", 4, 8 },
	{ "no body", "A: 1\r\n", "", 4, 6 },
	{ "8 bits in the header", "A: \xc3\xa4\r\n\r\nbody\r\n", "h", 5, 9 },
	{ "8 bits in the body", "A: 1\r\n\r\nb\xc3\xa4\r\n", "b", 4, 8 },
	{ "8 bits far behind", "\r\nabcdefghijabcdefghijabcdefghijabcdefghij\xff\r\n", "b", 41, 2 },
	{ "bare LF", "A: 1\r\n\r\na\nb\r\n", "l", 4, 8 },
	{ "bare LF ends the header too", "A: 1\n\nb\xc3\xa4\n", "bl", 4, 6 },
	{ "bare CR", "A: 1\r\n\r\na\rb\r\n", "c", 4, 8 },
	{ "CR CR LF", "\r\na\r\r\n", "c", 2, 2 },
	{ "CR last", "\r\na\r", "c", 2, 2 },
	{ "only CR", "\r", "c", 1, 1 },
	{ "NUL", "\r\na0b\r\n", "n", 3, 2 },
	{ "NUL in a block", "\r\n1234567012345678\r\n", "n", 16, 2 },
	{ "byte one above NUL is none", "\r\n\x01\x01\x01\x01\x01\x01\x01\x01\x0e\x0e\x0e\x0c\x0c\x0c\x0c\x0c", "", 16,
		2 },
	{ "unended last line", "\r\na\r\nbcd", "", 3, 2 },
	{ "nothing", "", "", 0, 0 },
};

static void check_scan(const struct scan_case *c, const struct mail_scan *scan, size_t total)
{
	char flags[8];
	size_t n = 0;
	if (scan->has_8bit_header)
		flags[n++] = 'h';
	if (scan->has_8bit_body)
		flags[n++] = 'b';
	if (scan->has_nul)
		flags[n++] = 'n';
	if (scan->has_bare_cr)
		flags[n++] = 'c';
	if (scan->has_bare_lf)
		flags[n++] = 'l';
	assert_text(c->name, view_of(flags, n), c->flags);
	assert_int_equal(scan->line_max_bytes, c->line);
	assert_int_equal(scan->header_bytes, c->header);
	assert_int_equal(scan->total_bytes, total);
	assert_int_equal(mail_scan_is_binary(scan), strpbrk(c->flags, "ncl") != NULL);
}

static void test_scan(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(scan_cases); i++) {
		uint8_t text[200];
		size_t len = strlen(scan_cases[i].text);
		memcpy(text, scan_cases[i].text, len);
		for (size_t k = 0; k < len; k++)
			if (text[k] == '0')
				text[k] = 0;
		struct mail_scan scan = mail_scan(view_of(text, len));
		check_scan(&scan_cases[i], &scan, len);
		for (size_t step = 1; step < 4; step++) {
			struct mail_scan parts = { 0 };
			for (size_t k = 0; k < len; k += step)
				mail_scan_feed(&parts, view_sub(view_of(text, len), k, step));
			mail_scan_end(&parts);
			check_scan(&scan_cases[i], &parts, len);
		}
	}
}

static void test_scan_long_line(void **state)
{
	(void)state;
	uint8_t text[1100];
	memset(text, 'x', sizeof text);
	memcpy(text, "\r\n", 2);
	memcpy(text + 1000, "\r\n", 2);
	struct mail_scan scan = mail_scan(view_of(text, sizeof text));
	assert_int_equal(scan.line_max_bytes, 998);
	assert_false(mail_scan_is_binary(&scan));
	memcpy(text + 1000, "x\r\n", 3);
	scan = mail_scan(view_of(text, sizeof text));
	assert_int_equal(scan.line_max_bytes, 999);
	assert_true(mail_scan_is_binary(&scan));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_scan),
		cmocka_unit_test(test_scan_long_line),
	};
	return cmocka_run_group_tests_name("header", tests, NULL, NULL);
}
