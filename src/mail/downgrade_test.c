#include "mail/downgrade.h"

#include "mail/scan.h"
#include "mail/testing.h"

#define AE "\xc3\xa4"
#define MV "MIME-Version: 1.0\r\n"
#define QP "Content-Transfer-Encoding: quoted-printable\r\n"
#define B64 "Content-Transfer-Encoding: base64\r\n"
#define MP "Content-Type: multipart/mixed; boundary=b\r\n"
#define X100 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx "
#define W "wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww"
#define X1000 X100 X100 X100 X100 X100 X100 X100 X100 X100 X100

struct downgrade_case {
	const char *name, *in, *out; /* out NULL: ERR_UNSUPPORTED */
};

static const struct downgrade_case cases[] = {
	{ "clean", "A: 1\r\n\r\nbody", "A: 1\r\n\r\nbody" },
	{ "clean though it says 8bit", MV "Content-Transfer-Encoding: 8bit\r\n\r\nbody",
		MV "Content-Transfer-Encoding: 8bit\r\n\r\nbody" },
	{ "text",
		MV "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\nA: 1\r\n\r\n" AE
		   "\r\n",
		MV "Content-Type: text/plain; charset=utf-8\r\nA: 1\r\n" QP "\r\n=C3=A4\r\n" },
	{ "text without encoding field", MV "Content-Type: text/plain\r\n\r\n" AE,
		MV "Content-Type: text/plain\r\n" QP "\r\n=C3=A4" },
	{ "no MIME, UTF-8", "A: 1\r\n\r\n" AE "\r\n",
		"A: 1\r\n" MV "Content-Type: text/plain; charset=utf-8\r\n" QP "\r\n=C3=A4\r\n" },
	{ "no MIME, other", "A: 1\r\n\r\n\xe4\r\n",
		"A: 1\r\n" MV "Content-Type: text/plain; charset=unknown-8bit\r\n" QP "\r\n=E4\r\n" },
	{ "image", MV "Content-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n\x89PNG\r\n",
		MV "Content-Type: image/png\r\n" B64 "\r\niVBORw0K\r\n" },
	{ "bare LF", MV "Content-Type: image/png\r\n\r\na\nb", MV "Content-Type: image/png\r\n" B64 "\r\nYQpi\r\n" },
	{ "bare LF in text", MV "Content-Type: text/plain\r\n\r\na\nb\r\n",
		MV "Content-Type: text/plain\r\n" QP "\r\na=0Ab\r\n" },
	{ "multipart",
		MV MP "Content-Transfer-Encoding: 8bit\r\n\r\npre\r\n--b\r\n\r\n" AE
		      "\r\n--b\r\nContent-Type: a/b\r\n\r\nclean\r\n"
		      "--b\r\nContent-Type: a/b\r\n\r\n" AE "\r\n\r\n--b--\r\npost\r\n",
		MV MP "Content-Transfer-Encoding: 7bit\r\n\r\npre\r\n--b\r\n" QP
		      "\r\n=C3=A4\r\n--b\r\nContent-Type: a/b\r\n\r\nclean\r\n"
		      "--b\r\nContent-Type: a/b\r\n" B64 "\r\nw6QNCg==\r\n\r\n--b--\r\npost\r\n" },
	{ "8 bits in preamble and epilogue", MV MP "\r\n" AE "\r\n--b\r\n\r\na\r\n--b--\r\n" AE "\r\n",
		MV MP "\r\n--b\r\n\r\na\r\n--b--\r\n" },
	{ "attached message",
		MV "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nA: 1\r\n\r\n" AE "\r\n",
		MV "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\nA: 1\r\n" MV
		   "Content-Type: text/plain; charset=utf-8\r\n" QP "\r\n=C3=A4\r\n" },
	{ "digest",
		MV "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nContent-Type: text/html\r\n\r\n" AE
		   "\r\n--b--\r\n",
		MV "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nContent-Type: text/html\r\n" MV QP
		   "\r\n=C3=A4\r\n--b--\r\n" },
	{ "message/global", MV "Content-Type: message/global\r\n\r\nSubject: " AE "\r\n\r\nx",
		MV "Content-Type: message/global\r\n" QP "\r\nSubject: =C3=A4\r\n\r\nx" },
	{ "encoded, yet not clean", MV "Content-Type: text/plain\r\n" QP "\r\n=C3=A4" AE "\r\n",
		MV "Content-Type: text/plain\r\n" QP "\r\n=C3=A4=C3=A4\r\n" },
	{ "base64, yet not clean", MV "Content-Type: a/b\r\n" B64 "\r\nZm9v" AE "\r\n",
		MV "Content-Type: a/b\r\n" B64 "\r\nZm9v\r\n" },
	{ "no delimiter comes into being",
		MV MP "\r\n--b\r\n\r\n" AE
		      "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx--b\r\n--b--\r\n",
		MV MP "\r\n--b\r\n" QP
		      "\r\n=C3=A4xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx=\r\n=2D-b\r\n--"
		      "b--\r\n" },
	{ "long header line", "A: " X1000 "\r\n\r\n",
		"A: " X100 X100 X100 X100 X100 X100 X100 X100
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"\r\n " X100 "\r\n\r\n" },
	{ "long header word", "A:" W W W W W W W W W W "\r\nB: \n\r\n", NULL },
	{ "header with 8 bits", "Subject: " AE "\r\n\r\nbody", NULL },
	{ "part's header with 8 bits", MV MP "\r\n--b\r\nContent-Disposition: x; filename=" AE "\r\n\r\nx\r\n--b--\r\n",
		NULL },
	{ "attached header with 8 bits", MV "Content-Type: message/rfc822\r\n\r\nSubject: " AE "\r\n\r\nx", NULL },
	{ "header with NUL", "Subject: \x01\r\r\n\r\nbody", NULL },
	{ "signed", MV "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n" AE "\r\n--b--\r\n", NULL },
	{ "signed inside",
		MV MP "\r\n--b\r\nContent-Type: multipart/signed; boundary=c\r\n\r\n--c\r\n\r\n" AE
		      "\r\n--c--\r\n--b--\r\n",
		NULL },
	{ "signed and clean inside",
		MV MP
		"\r\n--b\r\nContent-Type: multipart/signed; boundary=c\r\n\r\n--c\r\n\r\n.\r\n--c--\r\n--b\r\n\r\n" AE
		"\r\n--b--\r\n",
		MV MP "\r\n--b\r\nContent-Type: multipart/signed; boundary=c\r\n\r\n--c\r\n\r\n.\r\n--c--\r\n--b\r\n" QP
		      "\r\n=C3=A4\r\n--b--\r\n" },
	{ "unknown encoding", MV "Content-Transfer-Encoding: x-uue\r\n\r\n" AE, NULL },
	{ "multipart that claims base64", MV MP B64 "\r\n--b\r\n\r\n" AE "\r\n--b--\r\n", NULL },
	{ "multipart without delimiter", MV MP "\r\n" AE "\r\n", NULL },
	{ "message/partial", MV "Content-Type: message/partial\r\n\r\n" AE, NULL },
};

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct buf out = { 0 };
		assert_err(cases[i].name, downgrade_to_7bit(view_from_cstr(cases[i].in), &out),
			cases[i].out != NULL ? ERR_OK : ERR_UNSUPPORTED);
		assert_text(cases[i].name, buf_view(&out), cases[i].out != NULL ? cases[i].out : "");
		struct mail_scan scan = mail_scan(buf_view(&out));
		assert_false(scan.has_8bit_header || scan.has_8bit_body || mail_scan_is_binary(&scan));
		buf_clear(&out);
	}
}

/* Attached messages one in the other: refused from a depth on, instead of using up the stack. */
static void test_depth(void **state)
{
	(void)state;
	struct buf in = { 0 }, out = { 0 };
	for (size_t depth = 0; depth < 1000; depth++) {
		if (depth == 10) {
			struct buf copy = { 0 };
			assert_int_equal(buf_append(&copy, buf_view(&in)), ERR_OK);
			assert_int_equal(buf_append_cstr(&copy, "\r\n" AE), ERR_OK);
			assert_int_equal(downgrade_to_7bit(buf_view(&copy), &out), ERR_OK);
			buf_clear(&copy);
		}
		assert_int_equal(buf_append_cstr(&in, "Content-Type: message/rfc822\r\n\r\n"), ERR_OK);
	}
	assert_int_equal(buf_append_cstr(&in, AE), ERR_OK);
	buf_reset(&out);
	assert_int_equal(downgrade_to_7bit(buf_view(&in), &out), ERR_UNSUPPORTED);
	buf_clear(&in);
	buf_clear(&out);
}

static void test_limit(void **state)
{
	(void)state;
	struct buf out = { .max_bytes = 60 };
	assert_int_equal(downgrade_to_7bit(VIEW("Content-Type: a/b\r\n\r\n" AE AE AE AE), &out), ERR_LIMIT);
	assert_int_equal(out.len, 0);
	buf_clear(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_limit),
	};
	return cmocka_run_group_tests_name("downgrade", tests, NULL, NULL);
}
