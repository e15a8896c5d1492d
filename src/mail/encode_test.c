#include "mail/encode.h"

#include "mail/testing.h"

typedef enum err codec(struct view in, struct buf *out);

struct codec_case {
	const char *name;
	codec *run;
	const char *in, *out; /* NULL: ERR_SYNTAX */
};

#define A70 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct codec_case cases[] = {
	{ "base64 of nothing", base64_encode, "", "" },
	{ "base64 of 1", base64_encode, "f", "Zg==" },
	{ "base64 of 2", base64_encode, "fo", "Zm8=" },
	{ "base64 of 3", base64_encode, "foo", "Zm9v" },
	{ "base64 of 8 bits", base64_encode, "\xfb\xff\xbf", "+/+/" },
	{ "base64 lines", base64_encode_lines, "f", "Zg==\r\n" },
	{ "base64 back", base64_decode, "Zm9vYg==", "foob" },
	{ "base64 back, 5", base64_decode, "Zm9vYmE=", "fooba" },
	{ "base64 without padding", base64_decode, "Zg", NULL },
	{ "base64 with a blank", base64_decode, "Zm9v Zm9", NULL },
	{ "base64 with bits under the padding", base64_decode, "Zh==", NULL },
	{ "base64 with bits under one", base64_decode, "Zm9=", NULL },
	{ "base64 with inner padding", base64_decode, "Zg==Zg==", NULL },
	{ "base64 only padding", base64_decode, "====", NULL },
	{ "base64 three paddings", base64_decode, "Z===", NULL },
	{ "lenient: lines", base64_decode_lenient, "Zm9v\r\nYmFy\r\n", "foobar" },
	{ "lenient: foreign bytes", base64_decode_lenient, "Z m!9\tv", "foo" },
	{ "lenient: no padding", base64_decode_lenient, "Zm8", "fo" },
	{ "lenient: joined texts", base64_decode_lenient, "Zg==Zm8=Zm9v", "ffofoo" },
	{ "lenient: a digit too many", base64_decode_lenient, "Zm9vZ", "foo" },
	{ "qp plain", quoted_printable_encode, "Hello, world.\r\n", "Hello, world.\r\n" },
	{ "qp equals and 8 bits", quoted_printable_encode, "a=\xc3\xa4", "a=3D=C3=A4" },
	{ "qp trailing blanks", quoted_printable_encode, "a \t\r\nb ", "a =09\r\nb=20" },
	{ "qp dot and From", quoted_printable_encode, ".\r\nFrom me\r\nFromage", "=2E\r\n=46rom me\r\nFromage" },
	{ "qp bare CR and LF", quoted_printable_encode, "a\rb\nc", "a=0Db=0Ac" },
	{ "qp 75", quoted_printable_encode, A70 "bbbbb", A70 "bbbbb" },
	{ "qp 76", quoted_printable_encode, A70 "bbbbbb", A70 "bbbbb=\r\nb" },
	{ "qp code at the edge", quoted_printable_encode, A70 "bbb=", A70 "bbb=\r\n=3D" },
	{ "qp dot after a soft break", quoted_printable_encode, A70 "bbbbb.", A70 "bbbbb=\r\n=2E" },
	{ "qp delimiter", quoted_printable_encode, "-a\r\n--a\r\n---", "-a\r\n=2D-a\r\n=2D--" },
	{ "qp back", quoted_printable_decode, "a=3D=c3=A4", "a=\xc3\xa4" },
	{ "qp soft break", quoted_printable_decode, "ab=\r\ncd= \t\r\nef=\ng", "abcdefg" },
	{ "qp blanks before the line end", quoted_printable_decode, "a  \t\r\nb \nc ", "a\r\nb\nc" },
	{ "qp broken codes stay", quoted_printable_decode, "a=zb=4 =c", "a=zb=4 =c" },
	{ "qp ends in =", quoted_printable_decode, "a=", "a" },
	{ "xtext", xtext_encode, "a+b=c d\xc3", "a+2Bb+3Dc+20d+C3" },
	{ "xtext back", xtext_decode, "a+2Bb+3Dc+20d+C3", "a+b=c d\xc3" },
	{ "xtext lower case", xtext_decode, "a+2b", NULL },
	{ "xtext cut", xtext_decode, "a+2", NULL },
	{ "xtext with =", xtext_decode, "a=b", NULL },
	{ "xtext with a space", xtext_decode, "a b", NULL },
	{ "xtext with 8 bits", xtext_decode, "\xc3", NULL },
	{ "utf-8 address", utf8_addr_xtext_encode, "j\xc3\xb6+\xf0\x9f\x92\xa9@x", "j\\x{F6}\\x{2B}\\x{1F4A9}@x" },
	{ "utf-8 address back", utf8_addr_xtext_decode, "j\\x{F6}\\x{2B}\\x{1F4A9}@x", "j\xc3\xb6+\xf0\x9f\x92\xa9@x" },
	{ "utf-8 address, unitext", utf8_addr_xtext_decode, "j\xc3\xb6@x", "j\xc3\xb6@x" },
	{ "utf-8 address, surrogate", utf8_addr_xtext_decode, "\\x{D800}", NULL },
	{ "utf-8 address, needless zero", utf8_addr_xtext_decode, "\\x{0F6}", NULL },
	{ "utf-8 address, too large", utf8_addr_xtext_decode, "\\x{110000}", NULL },
	{ "utf-8 address, not closed", utf8_addr_xtext_decode, "\\x{F6", NULL },
	{ "utf-8 address, empty", utf8_addr_xtext_decode, "\\x{}", NULL },
	{ "utf-8 address, broken", utf8_addr_xtext_encode, "\xf6", NULL },
	{ "text, plain", header_text_encode, "Hello, world", "Hello, world" },
	{ "text, folded", header_text_encode, A70 "  b c", A70 " \r\n b c" },
	{ "text, one char", header_text_encode, "\xc3\xa4", "=?UTF-8?B?w6Q=?=" },
	{ "text, mostly ASCII", header_text_encode, "J\xc3\xb6rg M", "=?UTF-8?Q?J=C3=B6rg_M?=" },
	{ "text, many", header_text_encode,
		"\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
		"\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4",
		"=?UTF-8?B?w6TDpMOkw6TDpMOkw6TDpMOkw6TDpMOkw6TDpMOkw6Q=?=\r\n =?UTF-8?B?w6TDpA==?=" },
	{ "text, no way out", header_text_encode, "a\r\nBcc: x", "a  Bcc: x" },
	{ "text, not UTF-8", header_text_encode, "a\xe4", "=?UTF-8?B?Ye+/vQ==?=" },
	{ "text, like an encoded word", header_text_encode, "=?a?=", "=?UTF-8?B?PT9hPz0=?=" },
	{ "text back, Q", header_text_decode, "=?utf-8?q?J=C3=B6rg_M?= x", "J\xc3\xb6rg M x" },
	{ "text back, B", header_text_decode, "=?UTF-8?B?w6Q=?=", "\xc3\xa4" },
	{ "text back, latin 1", header_text_decode, "=?iso-8859-1?Q?J=F6rg?=", "J\xc3\xb6rg" },
	{ "text back, latin 9", header_text_decode, "=?ISO-8859-15*de?Q?=A4?=", "\xe2\x82\xac" },
	{ "text back, others stay", header_text_decode, "=?koi8-r?Q?=A4?=", "=?koi8-r?Q?=A4?=" },
	{ "text back, two words", header_text_decode, "=?utf-8?Q?a?=\r\n =?utf-8?Q?b?= c", "ab c" },
	{ "text back, character cut apart", header_text_decode, "=?utf-8?Q?=C3?= =?utf-8?Q?=B6?=", "\xc3\xb6" },
	{ "text back, word and text", header_text_decode, "=?utf-8?Q?a?= b", "a b" },
	{ "text back, folds", header_text_decode, "a\r\n b\n\tc", "a b\tc" },
	{ "text back, control characters", header_text_decode, "=?utf-8?Q?=1B=0D=0A?=x\x1b", "   x " },
	{ "text back, raw latin", header_text_decode, "J\xf6rg", "J\xef\xbf\xbdrg" },
	{ "text back, unclosed", header_text_decode, "=?utf-8?Q?abc", "=?utf-8?Q?abc" },
	{ "text back, blank in a word", header_text_decode, "=?utf-8?Q?a b?=", "=?utf-8?Q?a b?=" },
};

static void test_codecs(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const struct codec_case *c = &cases[i];
		struct buf out = { 0 };
		assert_err(c->name, c->run(view_from_cstr(c->in), &out), c->out != NULL ? ERR_OK : ERR_SYNTAX);
		assert_text(c->name, buf_view(&out), c->out != NULL ? c->out : "");
		buf_clear(&out);
	}
}

/* All byte pairs and some lengths, there and back. */
static void test_round_trips(void **state)
{
	(void)state;
	static const struct {
		codec *there, *back;
	} pairs[] = {
		{ base64_encode, base64_decode },
		{ base64_encode_lines, base64_decode_lenient },
		{ quoted_printable_encode, quoted_printable_decode },
		{ xtext_encode, xtext_decode },
	};
	uint8_t bytes[600];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 256);
	for (size_t p = 0; p < COUNT_OF(pairs); p++)
		for (size_t len = 0; len <= sizeof bytes; len += len < 130 ? 1 : 47) {
			struct buf there = { 0 }, back = { 0 };
			assert_int_equal(pairs[p].there(view_of(bytes, len), &there), ERR_OK);
			assert_int_equal(pairs[p].back(buf_view(&there), &back), ERR_OK);
			assert_true(view_eq(buf_view(&back), view_of(bytes, len)));
			buf_clear(&there);
			buf_clear(&back);
		}
}

/* A buffer that is too small is left as it was. */
static void test_limits(void **state)
{
	(void)state;
	static codec *const all[] = { base64_encode, base64_encode_lines, quoted_printable_encode, xtext_encode,
		header_text_encode, base64_decode_lenient, quoted_printable_decode, header_text_decode };
	uint8_t bytes[100];
	memset(bytes, 'Q', sizeof bytes);
	for (size_t i = 0; i < COUNT_OF(all); i++) {
		struct buf out = { .max_bytes = 20 };
		assert_int_equal(buf_append(&out, VIEW("keep")), ERR_OK);
		assert_int_equal(all[i](view_of(bytes, sizeof bytes), &out), ERR_LIMIT);
		assert_text("kept", buf_view(&out), "keep");
		buf_clear(&out);
	}
}

static void test_line_lengths(void **state)
{
	(void)state;
	struct buf text = { 0 }, out = { 0 };
	for (size_t i = 0; i < 500; i++)
		assert_int_equal(buf_append_cstr(&text, i % 5 == 0 ? "\xe2\x82\xac" : "word "), ERR_OK);
	static codec *const all[] = { base64_encode_lines, quoted_printable_encode, header_text_encode };
	for (size_t i = 0; i < COUNT_OF(all); i++) {
		buf_reset(&out);
		assert_int_equal(all[i](buf_view(&text), &out), ERR_OK);
		struct view rest = buf_view(&out), line;
		while (view_split(&rest, '\n', &line))
			assert_true(line.len <= 77);
	}
	struct buf back = { 0 };
	assert_int_equal(header_text_decode(buf_view(&out), &back), ERR_OK);
	assert_true(view_eq(buf_view(&back), buf_view(&text)));
	buf_clear(&back);
	buf_clear(&text);
	buf_clear(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_codecs),
		cmocka_unit_test(test_round_trips),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_line_lengths),
	};
	return cmocka_run_group_tests_name("encode", tests, NULL, NULL);
}
