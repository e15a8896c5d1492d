#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "mail/header_utf8.h"

#define MULTIPART(type, inner)                                                                                         \
	"Subject: x\r\nContent-Type: multipart/" type "; boundary=b\r\n\r\npre\r\n--b\r\n" inner "\r\n--b--\r\n"

static const struct {
	const char *name;
	const char *message;
	bool found;
} cases[] = {
	{ "ASCII throughout", "Subject: hello\r\n\r\nbody\r\n", false },
	{ "8-bit body",
		"Subject: hello\r\n\r\nb\xc3\xb6"
		"dy\r\n",
		false },
	{ "UTF-8 subject",
		"Subject: h\xc3\xb6"
		"llo\r\n\r\nbody\r\n",
		true },
	{ "UTF-8 header without a body",
		"Subject: h\xc3\xb6"
		"llo\r\n",
		true },
	{ "a part's text", MULTIPART("mixed", "Content-Type: text/plain\r\n\r\n\xc3\xb6"), false },
	{ "a part's file name", MULTIPART("mixed", "Content-Disposition: attachment; filename=\xc3\xb6.txt\r\n\r\nx"),
		true },
	{ "a part's description, nested",
		MULTIPART("mixed",
			"Content-Type: multipart/alternative; boundary=c\r\n\r\n--c\r\nContent-Description: "
			"\xc3\xb6\r\n\r\nx\r\n--c--"),
		true },
	{ "an attached message's subject",
		MULTIPART("mixed", "Content-Type: message/rfc822\r\n\r\nSubject: \xc3\xb6\r\n\r\nx"), true },
	{ "a digest's message", MULTIPART("digest", "\r\nSubject: \xc3\xb6\r\n\r\nx"), true },
	{ "what looks like a field in a text",
		MULTIPART("mixed", "Content-Type: text/plain\r\n\r\nSubject: \xc3\xb6\r\n\r\nx"), false },
};

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		if (header_utf8_find(view_from_cstr(cases[i].message)) != cases[i].found)
			fail_msg("%s", cases[i].name);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_cases) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
