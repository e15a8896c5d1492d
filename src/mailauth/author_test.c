#include "mailauth/author.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct {
	const char *name, *headers;
	size_t fields, domains;
	const char *domain;
} cases[] = {
	{ "plain", "From: joe@a.example\r\n\r\n", 1, 1, "a.example" },
	{ "with a name", "Subject: x\r\nfrom : \"Joe @ home\" <joe@A.example>\r\n", 1, 1, "A.example" },
	{ "a name that looks like an address", "From: \"service@bank.example\" <x@evil.example>\r\n", 1, 1,
		"evil.example" },
	{ "folded, with comments", "From: Joe (of\r\n b.example)\r\n\t<joe@a.example>\r\n\r\n", 1, 1, "a.example" },
	{ "two of one domain", "From: joe@a.example, ann@A.EXAMPLE.\r\n", 1, 1, "a.example" },
	{ "two domains", "From: joe@a.example, ann@b.example\r\n", 1, 2, "a.example" },
	{ "a group", "From: us: joe@a.example, ann@a.example;\r\n", 1, 1, "a.example" },
	{ "an empty group (RFC 6854)", "From: nobody:;\r\n", 1, 0, "" },
	{ "none", "Subject: x\r\n\r\nFrom: joe@a.example\r\n", 0, 0, "" },
	{ "no headers", "", 0, 0, "" },
	{ "an empty one", "From:\r\n\r\n", 1, 0, "" },
	{ "no domain", "From: MAILER-DAEMON\r\n\r\n", 1, 0, "" },
	{ "a comma in a name", "From: Doe, Joe <joe@a.example>\r\n\r\n", 1, 1, "a.example" },
	{ "an address as a name", "From: joe@a.example <joe@a.example>\r\n\r\n", 1, 1, "a.example" },
	{ "another's address as a name: as if it had quotes", "From: joe@a.example <x@evil.example>\r\n\r\n", 1, 1,
		"evil.example" },
	{ "two in brackets", "From: <joe@a.example> <x@evil.example>\r\n\r\n", 1, 2, "a.example" },
	{ "one that is broken beside one that is not", "From: <x@evil.example, joe@a.example\r\n\r\n", 1, 2,
		"evil.example" },
	{ "a quote that doesn't end", "From: \"joe@a.example <x@evil.example>\r\n\r\n", 1, 2, "a.example" },
	{ "a comment that doesn't end", "From: (joe@a.example <x@evil.example>\r\n\r\n", 1, 2, "a.example" },
	{ "U-labels and A-labels", "From: j@m\xc3\xbcnchen.example, k@xn--mnchen-3ya.example\r\n\r\n", 1, 1,
		"m\xc3\xbcnchen.example" },
	{ "an address literal", "From: joe@[192.0.2.1]\r\n\r\n", 1, 1, "[192.0.2.1]" },
	{ "two fields", "From: joe@a.example\r\nFrom: ann@b.example\r\n\r\n", 2, 2, "a.example" },
	{ "two fields that agree", "From: joe@a.example\r\nTo: x\r\nFROM: joe@a.example\r\n\r\n", 2, 2, "a.example" },
	{ "two fields, one empty", "From:\r\nFrom: joe@a.example\r\n\r\n", 2, 2, "a.example" },
	{ "three fields", "From: joe@a.example\nFrom: joe@a.example\nFrom: joe@a.example\n", 3, 2, "a.example" },
	{ "other fields don't count", "X-From: x@b.example\r\nFrom: joe@a.example\r\nSender: y@c.example\r\n", 1, 1,
		"a.example" },
};

static void authors(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct author author;
		assert_int_equal(author_find(view_from_cstr(cases[i].headers), &author), ERR_OK);
		if (author.field_count != cases[i].fields || author.domain_count != cases[i].domains ||
			strcmp(buf_cstr(&author.domain), cases[i].domain) != 0)
			fail_msg("%s: %zu fields, %zu domains, %s", cases[i].name, author.field_count,
				author.domain_count, buf_cstr(&author.domain));
		author_clear(&author);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(authors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
