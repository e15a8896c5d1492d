#include "mail/mime.h"

#include "mail/testing.h"

static void test_type(void **state)
{
	(void)state;
	static const struct {
		const char *value, *type, *subtype; /* NULL: malformed */
	} cases[] = {
		{ "text/plain", "text", "plain" },
		{ " Text / PLAIN ; charset=x", "Text", "PLAIN" },
		{ "(c) text/(d)x-y.z+w(e)", "text", "x-y.z+w" },
		{ "text", NULL, NULL },
		{ "text/", NULL, NULL },
		{ "/plain", NULL, NULL },
		{ "", NULL, NULL },
		{ "(text/plain", NULL, NULL },
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct mime_type type;
		bool ok = mime_type_parse(view_from_cstr(cases[i].value), &type);
		assert_int_equal(ok, cases[i].type != NULL);
		if (!ok)
			continue;
		assert_text(cases[i].value, type.type, cases[i].type);
		assert_text(cases[i].value, type.subtype, cases[i].subtype);
	}
}

static void test_parameters(void **state)
{
	(void)state;
	static const struct {
		const char *parameters, *value; /* of "name"; NULL: not there */
	} cases[] = {
		{ "; name=a", "a" },
		{ ";NAME = \"a b\"", "a b" },
		{ ";name=\"a\\\"b\\\\\"", "a\"b\\" },
		{ ";x=\"; name=no\"; name=yes", "yes" },
		{ ";x=1;;  ;name=a;y=2", "a" },
		{ "; name=----=_Part_1=?; x", "----=_Part_1=?" },
		{ "; (c) name (d) = (e) a (f)", "a" },
		{ "; name=\"a\r\n b\"", "a b" },
		{ "; name=\"unclosed", "unclosed" },
		{ "; name=\"unclosed\\", "unclosed\\" },
		{ "; name=", "" },
		{ "; name", NULL },
		{ "; names=a", NULL },
		{ "", NULL },
		{ "; name*=utf-8'en'a%20%c3%a4%", "a \xc3\xa4%" },
		{ "; name*=a%20b", "a b" },
		{ "; name=x; name*=utf-8''y", "y" },
		{ "; name*1=b; name*0=a; name*2*=%63", "abc" },
		{ "; name*0*=utf-8''%61; name*1=\"%62\"", "a%62" },
		{ "; name*1=b", NULL },
		{ "; name*x=b", NULL },
		{ "; name*99999999999999999999=b", NULL },
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct mime_type type = { .parameters = view_from_cstr(cases[i].parameters) };
		struct buf out = { 0 };
		assert_err(cases[i].parameters, mime_parameter(&type, VIEW("name"), &out),
			cases[i].value != NULL ? ERR_OK : ERR_NOT_FOUND);
		assert_text(cases[i].parameters, buf_view(&out), cases[i].value != NULL ? cases[i].value : "");
		buf_clear(&out);
	}
}

static void test_part(void **state)
{
	(void)state;
	static const struct {
		const char *entity, *type, *body, *decoded;
		enum mime_encoding encoding;
		bool is_default;
	} cases[] = {
		{ "Content-Type: image/png\r\nContent-Transfer-Encoding: BASE64 (c)\r\n\r\nZm9v\r\n", "png", "Zm9v\r\n",
			"foo", MIME_BASE64, false },
		{ "content-type: text/html\ncontent-transfer-encoding: quoted-printable\n\na=3D\n", "html", "a=3D\n",
			"a=\n", MIME_QUOTED_PRINTABLE, false },
		{ "\r\nbody", "plain", "body", "body", MIME_7BIT, true },
		{ "Content-Type: nonsense\r\nContent-Transfer-Encoding: x-foo\r\n\r\nb", "plain", "b", "b",
			MIME_UNKNOWN, true },
		{ "Content-Transfer-Encoding: 8bit\r\nContent-Transfer-Encoding: base64\r\n\r\nb", "plain", "b", "b",
			MIME_8BIT, true },
		{ "", "plain", "", "", MIME_7BIT, true },
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct mime_part part;
		struct buf out = { 0 };
		mime_part_parse(view_from_cstr(cases[i].entity), false, &part);
		assert_text(cases[i].entity, part.type.subtype, cases[i].type);
		assert_text(cases[i].entity, part.body, cases[i].body);
		assert_int_equal(part.encoding, cases[i].encoding);
		assert_int_equal(part.type.is_default, cases[i].is_default);
		assert_int_equal(mime_part_decode(&part, &out), ERR_OK);
		assert_text(cases[i].entity, buf_view(&out), cases[i].decoded);
		buf_clear(&out);
	}
	struct mime_part part;
	mime_part_parse(VIEW("\r\nSubject: x\r\n"), true, &part);
	assert_true(mime_type_is(&part.type, "MESSAGE", "rfc822"));
}

#define MP "Content-Type: multipart/mixed; boundary=\"b\"\r\n\r\n"

static void test_walk(void **state)
{
	(void)state;
	static const struct {
		const char *name, *entity;
		const char *result; /* "preamble[part][part]epilogue"; NULL: a leaf */
		bool is_closed;
	} cases[] = {
		{ "two parts", MP "pre\r\n--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n\r\n--b--\r\npost\r\n",
			"pre\r\n[\r\none][\r\ntwo\r\n]post\r\n", true },
		{ "lone LF", MP "--b\n\none\n--b \t\n\ntwo\n--b--", "[\none][\ntwo]", true },
		{ "empty parts", MP "--b\r\n--b\r\n\r\n--b--\r\n", "[][]", true },
		{ "not closed", MP "--b\r\n\r\none\r\n", "[\r\none\r\n]", false },
		{ "nothing behind the first", MP "--b\r\n", "", false },
		{ "closed at once", MP "--b--\r\npost", "post", true },
		{ "longer lines are no delimiters", MP "--b\r\n--bb\r\n--b-\r\n--b--x\r\n--b--\r\n",
			"[--bb\r\n--b-\r\n--b--x]", true },
		{ "not at a line's start", MP "--b\r\nx --b\r\n--b--", "[x --b]", true },
		{ "no delimiter", MP "text\r\n", NULL, false },
		{ "no boundary", "Content-Type: multipart/mixed\r\n\r\n--b\r\n", NULL, false },
		{ "empty boundary", "Content-Type: multipart/mixed; boundary=\" \"\r\n\r\n--\r\n", NULL, false },
		{ "no multipart", "Content-Type: text/plain; boundary=b\r\n\r\n--b\r\n", NULL, false },
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct mime_part part;
		struct mime_walker walker;
		struct buf out = { 0 };
		struct view child;
		mime_part_parse(view_from_cstr(cases[i].entity), false, &part);
		bool is_multipart = mime_walker_init(&walker, &part);
		assert_int_equal(is_multipart, cases[i].result != NULL);
		if (!is_multipart)
			continue;
		assert_int_equal(buf_append(&out, walker.preamble), ERR_OK);
		while (mime_walker_next(&walker, &child)) {
			assert_int_equal(buf_append_cstr(&out, "["), ERR_OK);
			assert_int_equal(buf_append(&out, child), ERR_OK);
			assert_int_equal(buf_append_cstr(&out, "]"), ERR_OK);
		}
		assert_int_equal(buf_append(&out, walker.epilogue), ERR_OK);
		assert_text(cases[i].name, buf_view(&out), cases[i].result);
		assert_int_equal(walker.is_closed, cases[i].is_closed);
		buf_clear(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_type),
		cmocka_unit_test(test_parameters),
		cmocka_unit_test(test_part),
		cmocka_unit_test(test_walk),
	};
	return cmocka_run_group_tests_name("mime", tests, NULL, NULL);
}
