#include "cli/terminal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void texts(void **state)
{
	(void)state;
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "", "" },
		{ "550 5.1.1 no such user", "550 5.1.1 no such user" },
		{ "a\tb\nc\rd", "a b?c?d" },
		{ "\x1b[31mred\x07\x7f", "?[31mred??" },
		{ "Grüße – 日本 😀", "Grüße – 日本 😀" },
		{ "\xc2\x9b"
		  "31m \xc2\x80\xc2\x9f\xc2\xa0",
			"??31m ????\xc2\xa0" },
		{ "\x9b"
		  "31m \xff\xc3",
			"?31m ??" },
		{ "\xe2\x80", "??" },
		{ "a\xe2\x80\xae"
		  "b\xe2\x81\xa6\xe2\x80\x8f",
			"a???b??????" },
		{ "\xe2\x80\x93\xe2\x81\xaa", "\xe2\x80\x93\xe2\x81\xaa" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char text[100];
		snprintf(text, sizeof text, "%s", cases[i].text);
		terminal_clean(text, strlen(text));
		assert_string_equal(text, cases[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(texts) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
