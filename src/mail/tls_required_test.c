#include "mail/tls_required.h"

#include "mail/testing.h"

static void test_tls_required(void **state)
{
	(void)state;
	static const struct {
		const char *name, *headers;
		bool no;
	} cases[] = {
		{ "there", "From: a\r\nTLS-Required: No\r\nSubject: b\r\n\r\n", true },
		{ "any case, blanks", "tls-required :\tnO \r\n\r\n", true },
		{ "folded", "TLS-Required:\r\n No\r\n\r\n", true },
		{ "the last line", "TLS-Required: No", true },
		{ "absent", "From: a\r\n\r\n", false },
		{ "no header at all", "", false },
		{ "another value", "TLS-Required: Yes\r\n\r\n", false },
		{ "empty", "TLS-Required:\r\n\r\n", false },
		{ "more behind it", "TLS-Required: No, really\r\n\r\n", false },
		{ "twice", "TLS-Required: No\r\nTLS-Required: No\r\n\r\n", false },
		{ "in the body", "From: a\r\n\r\nTLS-Required: No\r\n", false },
		{ "another field", "X-TLS-Required: No\r\n\r\n", false },
		{ "a continuation of another", "Subject: x\r\n TLS-Required: No\r\n\r\n", false },
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		if (tls_required_is_no(view_from_cstr(cases[i].headers)) != cases[i].no)
			fail_msg("%s", cases[i].name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tls_required),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
