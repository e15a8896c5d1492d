#include "mail/address.h"

#include "mail/testing.h"

#define A10 "aaaaaaaaaa"
#define LOCAL64 A10 A10 A10 A10 A10 A10 "aaaa"
#define LABEL63 A10 A10 A10 A10 A10 A10 "aaa"

enum { U = ADDRESS_ALLOW_UTF8, P = ADDRESS_ALLOW_NO_DOMAIN, N = ADDRESS_ALLOW_NULL };

struct parse_case {
	const char *name, *text;
	unsigned flags;
	enum err err;
	const char *local, *domain, *canonical;
};

static const struct parse_case parse_cases[] = {
	{ "plain", "joe@example.com", 0, ERR_OK, "joe", "example.com", "joe@example.com" },
	{ "case is kept", "Joe@Example.COM", 0, ERR_OK, "Joe", "Example.COM", "Joe@Example.COM" },
	{ "plus", "joe+tag@x", 0, ERR_OK, "joe+tag", "x", "joe+tag@x" },
	{ "all atext", "!#$%&'*+-/=?^_`{|}~@x.y", 0, ERR_OK, "!#$%&'*+-/=?^_`{|}~", "x.y", "!#$%&'*+-/=?^_`{|}~@x.y" },
	{ "needless quotes", "\"Joe\"@x", 0, ERR_OK, "\"Joe\"", "x", "Joe@x" },
	{ "needless backslash", "\"\\J\\oe\"@x", 0, ERR_OK, "\"\\J\\oe\"", "x", "Joe@x" },
	{ "space", "\"a b\"@x", 0, ERR_OK, "\"a b\"", "x", "\"a b\"@x" },
	{ "at inside quotes", "\"a@b\"@x", 0, ERR_OK, "\"a@b\"", "x", "\"a@b\"@x" },
	{ "quote inside quotes", "\"a\\\"b\\\\\"@x", 0, ERR_OK, "\"a\\\"b\\\\\"", "x", "\"a\\\"b\\\\\"@x" },
	{ "empty quotes", "\"\"@x", 0, ERR_OK, "\"\"", "x", "\"\"@x" },
	{ "dots that need quotes", "\"a..b\"@x", 0, ERR_OK, "\"a..b\"", "x", "\"a..b\"@x" },
	{ "IPv4 literal", "a@[192.0.2.1]", 0, ERR_OK, "a", "[192.0.2.1]", "a@[192.0.2.1]" },
	{ "IPv6 literal", "a@[ipv6:2001:DB8::1]", 0, ERR_OK, "a", "[ipv6:2001:DB8::1]", "a@[ipv6:2001:DB8::1]" },
	{ "UTF-8",
		"j\xc3\xb6rg@b\xc3\xbc"
		"cher.example",
		U, ERR_OK, "j\xc3\xb6rg",
		"b\xc3\xbc"
		"cher.example",
		"j\xc3\xb6rg@b\xc3\xbc"
		"cher.example" },
	{ "UTF-8 in quotes", "\"j \xc3\xb6\"@x", U, ERR_OK, "\"j \xc3\xb6\"", "x", "\"j \xc3\xb6\"@x" },
	{ "UTF-8 not allowed", "j\xc3\xb6rg@x", 0, ERR_SYNTAX, NULL, NULL, NULL },
	{ "UTF-8 domain not allowed", "j@\xc3\xb6.x", 0, ERR_SYNTAX, NULL, NULL, NULL },
	{ "not UTF-8", "j\xf6rg@x", U, ERR_SYNTAX, NULL, NULL, NULL },
	{ "C1 control", "j\xc2\x85@x", U, ERR_SYNTAX, NULL, NULL, NULL },
	{ "another dot in the domain",
		"j@a\xe3\x80\x82"
		"com",
		U, ERR_SYNTAX, NULL, NULL, NULL },
	{ "another dot in the local part", "j\xe3\x80\x82@a.b", U, ERR_OK, "j\xe3\x80\x82", "a.b",
		"j\xe3\x80\x82@a.b" },
	{ "postmaster", "PostMaster", P, ERR_OK, "PostMaster", "", "PostMaster" },
	{ "postmaster not allowed", "postmaster", 0, ERR_SYNTAX, NULL, NULL, NULL },
	{ "others need a domain", "root", P, ERR_SYNTAX, NULL, NULL, NULL },
	{ "empty", "", 0, ERR_SYNTAX, NULL, NULL, NULL },
	{ "null", "", N, ERR_OK, "", "", "" },
	{ "no local part", "@x", 0, ERR_SYNTAX, NULL, NULL, NULL },
	{ "no domain", "a@", 0, ERR_SYNTAX, NULL, NULL, NULL },
	{ "two ats", "a@b@c", 0, ERR_SYNTAX, NULL, NULL, NULL },
	{ "leading dot", ".a@x", 0, ERR_SYNTAX, NULL, NULL, NULL },
	{ "trailing dot", "a.@x", 0, ERR_SYNTAX, NULL, NULL, NULL },
	{ "two dots", "a..b@x", 0, ERR_SYNTAX, NULL, NULL, NULL },
	{ "domain's trailing dot", "a@x.", 0, ERR_SYNTAX, NULL, NULL, NULL },
	{ "domain's two dots", "a@x..y", 0, ERR_SYNTAX, NULL, NULL, NULL },
	{ "hyphen first", "a@-x", 0, ERR_SYNTAX, NULL, NULL, NULL },
	{ "hyphen last", "a@x-.y", 0, ERR_SYNTAX, NULL, NULL, NULL },
	{ "underscore", "a@x_y", 0, ERR_SYNTAX, NULL, NULL, NULL },
	{ "space in the local part", "a b@x", 0, ERR_SYNTAX, NULL, NULL, NULL },
	{ "CR LF", "a@x\r\n", 0, ERR_SYNTAX, NULL, NULL, NULL },
	{ "LF in quotes", "\"a\nb\"@x", 0, ERR_SYNTAX, NULL, NULL, NULL },
	{ "escaped LF", "\"a\\\nb\"@x", 0, ERR_SYNTAX, NULL, NULL, NULL },
	{ "comment", "a(c)@x", 0, ERR_SYNTAX, NULL, NULL, NULL },
	{ "quotes and atom mixed", "\"a\".b@x", 0, ERR_SYNTAX, NULL, NULL, NULL },
	{ "unclosed quotes", "\"a@x", 0, ERR_SYNTAX, NULL, NULL, NULL },
	{ "unclosed escape", "\"a\\", 0, ERR_SYNTAX, NULL, NULL, NULL },
	{ "local part of 64", LOCAL64 "@x", 0, ERR_OK, LOCAL64, "x", LOCAL64 "@x" },
	{ "local part of 65", LOCAL64 "a@x", 0, ERR_LIMIT, NULL, NULL, NULL },
	{ "label of 63", "a@" LABEL63 ".x", 0, ERR_OK, "a", LABEL63 ".x", "a@" LABEL63 ".x" },
	{ "label of 64", "a@a" LABEL63 ".x", 0, ERR_SYNTAX, NULL, NULL, NULL },
	{ "254 bytes", LOCAL64 "@" LABEL63 "." LABEL63 "." LABEL63 ".a", 0, ERR_LIMIT, NULL, NULL, NULL },
	{ "far too long", LOCAL64 LOCAL64 LOCAL64 LOCAL64 LOCAL64, 0, ERR_LIMIT, NULL, NULL, NULL },
};

static void test_parse(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(parse_cases); i++) {
		const struct parse_case *c = &parse_cases[i];
		struct address a;
		struct buf out = { 0 };
		assert_err(c->name, address_parse(view_from_cstr(c->text), c->flags, &a), c->err);
		if (c->err != ERR_OK)
			continue;
		assert_text(c->name, a.local, c->local);
		assert_text(c->name, a.domain, c->domain);
		assert_int_equal(a.has_utf8, !view_is_ascii(view_from_cstr(c->text)));
		assert_int_equal(a.local_is_quoted, c->text[0] == '"');
		assert_int_equal(a.domain_is_literal, c->domain[0] == '[');
		assert_err(c->name, address_format(&a, &out), ERR_OK);
		assert_text(c->name, buf_view(&out), c->canonical);
		buf_clear(&out);
	}
}

struct path_case {
	const char *name, *text;
	unsigned flags;
	enum err err;
	const char *canonical;
	size_t used;
};

static const struct path_case path_cases[] = {
	{ "plain", "<a@b.c>", 0, ERR_OK, "a@b.c", 7 },
	{ "with parameters", "<a@b.c> SIZE=1", 0, ERR_OK, "a@b.c", 7 },
	{ "bracket in quotes", "<\"a>b\"@c> X", 0, ERR_OK, "\"a>b\"@c", 9 },
	{ "source route", "<@x.y,@z:a@b.c>", 0, ERR_OK, "a@b.c", 15 },
	{ "null", "<>", N, ERR_OK, "", 2 },
	{ "null with parameters", "<> BODY=7BIT", N, ERR_OK, "", 2 },
	{ "null not allowed", "<>", 0, ERR_SYNTAX, NULL, 0 },
	{ "postmaster", "<Postmaster>", P, ERR_OK, "Postmaster", 12 },
	{ "postmaster not allowed", "<postmaster>", 0, ERR_SYNTAX, NULL, 0 },
	{ "no brackets", "a@b.c", 0, ERR_OK, "a@b.c", 5 },
	{ "no brackets, parameters", "a@b.c SIZE=1", 0, ERR_OK, "a@b.c", 5 },
	{ "no brackets, space in quotes", "\"a b\"@c SIZE=1", 0, ERR_OK, "\"a b\"@c", 7 },
	{ "no brackets, empty", "", N, ERR_SYNTAX, NULL, 0 },
	{ "no brackets, only a space", " ", N, ERR_SYNTAX, NULL, 0 },
	{ "a word", "hello", 0, ERR_SYNTAX, NULL, 0 },
	{ "only the closing bracket", "a@b>", 0, ERR_SYNTAX, NULL, 0 },
	{ "no closing bracket", "<a@b", 0, ERR_SYNTAX, NULL, 0 },
	{ "two brackets", "<<a@b>>", 0, ERR_SYNTAX, NULL, 0 },
	{ "spaces inside", "< a@b >", 0, ERR_SYNTAX, NULL, 0 },
	{ "route without address", "<@a:>", N, ERR_SYNTAX, NULL, 0 },
	{ "route without colon", "<@a>", 0, ERR_SYNTAX, NULL, 0 },
	{ "route with a hole", "<@a,,@b:c@d>", 0, ERR_SYNTAX, NULL, 0 },
	{ "route ending in a comma", "<@a,:c@d>", 0, ERR_SYNTAX, NULL, 0 },
	{ "route with a bad domain", "<@a_:c@d>", 0, ERR_SYNTAX, NULL, 0 },
	{ "too long", "<@" LABEL63 "." LABEL63 ",@" LABEL63 "." LABEL63 ":a@b>", 0, ERR_LIMIT, NULL, 0 },
};

static void test_path(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(path_cases); i++) {
		const struct path_case *c = &path_cases[i];
		struct address a;
		struct buf out = { 0 };
		size_t used = 0;
		assert_err(c->name, address_parse_path(view_from_cstr(c->text), c->flags, &a, &used), c->err);
		assert_int_equal(used, c->used);
		if (c->err != ERR_OK)
			continue;
		assert_err(c->name, address_format(&a, &out), ERR_OK);
		assert_text(c->name, buf_view(&out), c->canonical);
		buf_clear(&out);
	}
}

static void test_local_value(void **state)
{
	(void)state;
	struct address a;
	struct buf out = { 0 };
	assert_err("value", address_parse(VIEW("\"a \\\"b\\\\\"@c"), 0, &a), ERR_OK);
	assert_err("value", address_local_value(&a, &out), ERR_OK);
	assert_text("value", buf_view(&out), "a \"b\\");
	buf_clear(&out);
}

static void test_literals(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool valid;
	} cases[] = {
		{ "[1.2.3.4]", true },
		{ "[255.255.255.255]", true },
		{ "[1.2.3.256]", false },
		{ "[1.2.3]", false },
		{ "[1.2.3.4.]", false },
		{ "[1.2..4]", false },
		{ "[0001.2.3.4]", false },
		{ "[]", false },
		{ "1.2.3.4", false },
		{ "[1.2.3.4", false },
		{ "[IPv6:::]", true },
		{ "[IPv6:::1]", true },
		{ "[IPv6:1:2:3:4:5:6:7:8]", true },
		{ "[IPv6:1:2:3:4:5:6:1.2.3.4]", true },
		{ "[IPv6:::1.2.3.4]", true },
		{ "[IPv6:1:2:3:4::1.2.3.4]", true },
		{ "[IPv6:1:2:3:4:5::1.2.3.4]", false },
		{ "[IPv6:1:2:3:4:5:6::8]", false },
		{ "[IPv6:1:2:3:4:5:6:7]", false },
		{ "[IPv6:1::2::3]", false },
		{ "[IPv6:1.2.3.4::1]", false },
		{ "[IPv6:12345::]", false },
		{ "[IPv6:1:]", false },
		{ "[IPv6::1]", false },
		{ "[IPv6:]", false },
		{ "[IPv6:g::]", false },
		{ "[x400:foo]", false },
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		if (address_literal_is_valid(view_from_cstr(cases[i].text)) != cases[i].valid)
			fail_msg("%s", cases[i].text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_path),
		cmocka_unit_test(test_local_value),
		cmocka_unit_test(test_literals),
	};
	return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
