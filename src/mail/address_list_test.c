#include "mail/address_list.h"

#include "mail/testing.h"

/* The mailboxes written out as "name|address", separated by "; ", a malformed one as "!". */
static void describe(const char *text, struct buf *out)
{
	struct address_list list;
	struct address_list_entry entry;
	address_list_init(&list, view_from_cstr(text));
	enum err err;
	while ((err = address_list_next(&list, &entry)) != ERR_NOT_FOUND) {
		if (out->len > 0)
			assert_int_equal(buf_append_cstr(out, "; "), ERR_OK);
		if (err != ERR_OK) {
			assert_int_equal(buf_append_cstr(out, err == ERR_LIMIT ? "limit" : "!"), ERR_OK);
			continue;
		}
		if (entry.name.len > 0) {
			assert_int_equal(buf_append(out, entry.name), ERR_OK);
			assert_int_equal(buf_append_byte(out, '|'), ERR_OK);
		}
		assert_int_equal(buf_append(out, entry.address), ERR_OK);
		assert_true(entry.local_length == entry.address.len || entry.address.ptr[entry.local_length] == '@');
	}
	address_list_clear(&list);
}

static void test_parse(void **state)
{
	(void)state;
	static const struct {
		const char *text, *result;
	} cases[] = {
		{ "joe@example.com", "joe@example.com" },
		{ "Joe Doe <joe@example.com>", "Joe Doe|joe@example.com" },
		{ " a@b , c@d\r\n\t,e@f ", "a@b; c@d; e@f" },
		{ "\"Doe, Joe\" <joe@x>, b@y", "Doe, Joe|joe@x; b@y" },
		{ "\"a \\\"b\\\"\" <joe@x>", "a \"b\"|joe@x" },
		{ "John Q. Public <j@x>", "John Q. Public|j@x" },
		{ "=?utf-8?Q?J=C3=B6rg?= <j@x>", "J\xc3\xb6rg|j@x" },
		{ "\"=?utf-8?Q?J=C3=B6rg?=\" <j@x>", "J\xc3\xb6rg|j@x" },
		{ "J\xc3\xb6rg <j\xc3\xb6rg@x>", "J\xc3\xb6rg|j\xc3\xb6rg@x" },
		{ "joe@x (Joe Doe)", "Joe Doe|joe@x" },
		{ "(a (nested) comment) joe (b) @ (c) x . (d) y", "d|joe@x.y" },
		{ "joe . doe @ x . y", "joe.doe@x.y" },
		{ "\"joe\".doe@x", "joe.doe@x" },
		{ "\"joe doe\"@x", "\"joe doe\"@x" },
		{ "<joe@x>", "joe@x" },
		{ "<@a,@b.c:joe@x>", "joe@x" },
		{ "<@a,,@b:joe@x>", "joe@x" },
		{ "joe@[192.0.2.1]", "joe@[192.0.2.1]" },
		{ "root", "root" },
		{ "Root <root>", "Root|root" },
		{ "joe@x.org <joe@x.org>", "joe@x.org|joe@x.org" },
		{ "Friends: a@b, C <c@d>; e@f", "a@b; C|c@d; e@f" },
		{ "undisclosed-recipients:;", "" },
		{ "A: ;, B:b@c;", "b@c" },
		{ "A: a@b; c@d", "a@b; c@d" },
		{ ", ,a@b,,", "a@b" },
		{ "", "" },
		{ " (only a comment) ", "" },
		{ "a b@c, d@e", "!; d@e" },
		{ "a@b c@d, e@f", "!; e@f" },
		{ "<a@b, c@d", "!; c@d" },
		{ "a@, b@c", "!; b@c" },
		{ "@a, b@c", "!; b@c" },
		{ ".a@b, a..b@c, a.@d, e@f", "!; !; !; e@f" },
		{ "a@b..c, a@b_c, d@e", "!; !; d@e" },
		{ "\"unclosed, a@b", "!" },
		{ "(unclosed, a@b", "!" },
		{ "a@b (unclosed, c@d", "!" },
		{ "<a@b> c, d@e", "!; d@e" },
		{ "\"a,b\" \"c\"x@y, d@e", "!; d@e" },
		{ "a\\b@c, d@e", "!; d@e" },
		{ "A: a@, b@c; d@e", "!; b@c; d@e" },
		{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@b, c@d",
			"limit; c@d" },
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct buf out = { 0 };
		describe(cases[i].text, &out);
		assert_text(cases[i].text, buf_view(&out), cases[i].result);
		buf_clear(&out);
	}
}

static void test_format(void **state)
{
	(void)state;
	static const struct {
		const char *name, *text;
	} cases[] = {
		{ "", "a@b" },
		{ "Joe Doe", "Joe Doe <a@b>" },
		{ "Doe, Joe", "\"Doe, Joe\" <a@b>" },
		{ "a \"b\\", "\"a \\\"b\\\\\" <a@b>" },
		{ "J\xc3\xb6rg", "=?UTF-8?B?SsO2cmc=?= <a@b>" },
		{ "a\r\nBcc: x", "\"a  Bcc: x\" <a@b>" },
		{ "=?a?=", "\"=?a?=\" <a@b>" },
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct buf out = { 0 };
		assert_int_equal(address_list_format(view_from_cstr(cases[i].name), VIEW("a@b"), &out), ERR_OK);
		assert_text(cases[i].name, buf_view(&out), cases[i].text);
		buf_clear(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_format),
	};
	return cmocka_run_group_tests_name("address_list", tests, NULL, NULL);
}
