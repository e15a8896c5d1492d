#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mailauth/auth_results.h"
#include "mailauth/dkim.h"
#include "mailauth/dmarc.h"
#include "mailauth/spf.h"

#include <string.h>

static void test_result(void **state)
{
	static const struct {
		const char *name, *reason, *value, *text;
	} cases[] = {
		{ "a name", "", "example.org", "auth=pass smtp.auth=example.org" },
		{ "an address", "", "joe@example.org", "auth=pass smtp.auth=joe@example.org" },
		{ "only a domain", "", "@example.org", "auth=pass smtp.auth=@example.org" },
		{ "no domain", "", "joe@", "auth=pass smtp.auth=\"joe@\"" },
		{ "two signs", "", "a@b@c", "auth=pass smtp.auth=\"a@b@c\"" },
		{ "nothing", "", "", "auth=pass smtp.auth=\"\"" },
		{ "blanks", "", "joe doe", "auth=pass smtp.auth=\"joe doe\"" },
		{ "another result", "", "x; dmarc=pass", "auth=pass smtp.auth=\"x; dmarc=pass\"" },
		{ "a line of its own", "", "x\r\nBcc: y", "auth=pass smtp.auth=\"x??Bcc: y\"" },
		{ "quotes", "", "x\" dmarc=pass \\", "auth=pass smtp.auth=\"x\\\" dmarc=pass \\\\\"" },
		{ "a comment", "", "x(y", "auth=pass smtp.auth=\"x(y\"" },
		{ "outside ASCII", "", "j\xc3\xb6", "auth=pass smtp.auth=\"j??\"" },
		{ "a reason", "said \"so\"\n", "x", "auth=pass reason=\"said \\\"so\\\"?\" smtp.auth=x" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct auth_property property = { VIEW("smtp"), VIEW("auth"), view_from_cstr(cases[i].value) };
		struct auth_result result = { VIEW("auth"), VIEW("pass"), view_from_cstr(cases[i].reason), &property,
			1 };
		struct buf out = { 0 }, small = { 0 };
		buf_init(&small, 12);
		print_message("%s\n", cases[i].name);
		assert_int_equal(auth_result_format(&result, &out), ERR_OK);
		assert_string_equal(buf_cstr(&out), cases[i].text);
		assert_int_equal(auth_result_format(&result, &small), ERR_LIMIT);
		assert_int_equal(small.len, 0);
		buf_clear(&out);
		buf_clear(&small);
	}
	(void)state;
}

static void test_iprev(void **state)
{
	struct buf out = { 0 };
	assert_int_equal(auth_iprev_format(AUTH_IPREV_PASS, VIEW("192.0.2.1"), VIEW("mail.example.org"), &out), ERR_OK);
	assert_int_equal(buf_append_byte(&out, '|'), ERR_OK);
	assert_int_equal(auth_iprev_format(AUTH_IPREV_TEMPERROR, VIEW("2001:db8::1"), VIEW_NONE, &out), ERR_OK);
	assert_string_equal(buf_cstr(&out),
		"iprev=pass reason=\"mail.example.org\" policy.iprev=192.0.2.1|"
		"iprev=temperror policy.iprev=\"2001:db8::1\"");
	buf_clear(&out);
	(void)state;
}

static void test_field(void **state)
{
	static const struct {
		const char *name, *id, *results[3];
		const char *text; /* NULL: refused */
	} cases[] = {
		{ "nothing checked", "mx.example.org", { NULL }, "Authentication-Results: mx.example.org; none\r\n" },
		{ "a line each", "mx.example.org",
			{ "spf=pass smtp.mailfrom=a@b.example", "dmarc=pass header.from=b.example" },
			"Authentication-Results: mx.example.org;\r\n\tspf=pass smtp.mailfrom=a@b.example;\r\n"
			"\tdmarc=pass header.from=b.example\r\n" },
		{ "folded between words", "mx.example.org",
			{ "dkim=fail reason=\"the body is not the one that was signed, or so\" header.d=example.org "
			  "header.s=mail" },
			"Authentication-Results: mx.example.org;\r\n"
			"\tdkim=fail reason=\"the body is not the one that was signed, or so\"\r\n"
			"\theader.d=example.org header.s=mail\r\n" },
		{ "an odd id", "mx; x", { NULL }, "Authentication-Results: \"mx; x\"; none\r\n" },
		{ "a semicolon in quotes", "mx", { "a=b c.d=\"x; y\\\"; z\"" },
			"Authentication-Results: mx;\r\n\ta=b c.d=\"x; y\\\"; z\"\r\n" },
		{ "two in one", "mx", { "spf=pass; dmarc=pass" }, NULL },
		{ "a line end", "mx", { "spf=pass\r\nX: y" }, NULL },
		{ "an open quote", "mx", { "spf=pass reason=\"x" }, NULL },
		{ "an open escape", "mx", { "spf=pass reason=\"x\\" }, NULL },
		{ "a comment", "mx", { "spf=pass (x" }, NULL },
		{ "empty", "mx", { "" }, NULL },
		{ "no result", "mx", { "spf" }, NULL },
		{ "outside ASCII", "mx", { "spf=p\xc3\xa4ss" }, NULL },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct view results[3];
		struct buf out = { 0 };
		size_t count = 0;
		for (; count < 3 && cases[i].results[count] != NULL; count++)
			results[count] = view_from_cstr(cases[i].results[count]);
		print_message("%s\n", cases[i].name);
		enum err err = auth_results_format(view_from_cstr(cases[i].id), results, count, &out);
		assert_int_equal(err, cases[i].text != NULL ? ERR_OK : ERR_SYNTAX);
		assert_string_equal(buf_cstr(&out), cases[i].text != NULL ? cases[i].text : "");
		buf_clear(&out);
	}
	(void)state;
}

/* What the engines of this folder write can stand in the field, whatever strangers have put into it. */
static void test_results_of_engines(void **state)
{
	struct spf_question question = { .local = VIEW("a\"; dmarc=pass"), .domain = VIEW("b (x\r\n.example") };
	struct spf_verdict spf = { .result = SPF_FAIL, .domain = question.domain };
	struct dkim_signature dkim = {
		.result = DKIM_FAIL, .reason = "no (way)", .domain = VIEW("example.org"), .selector = VIEW("s")
	};
	struct dmarc_verdict dmarc = { .result = DMARC_FAIL, .domain = VIEW("example.org"), .reason = "so it is" };
	struct buf texts[3] = { { 0 }, { 0 }, { 0 } }, out = { 0 };
	assert_int_equal(spf_format_result(&question, &spf, &texts[0]), ERR_OK);
	assert_int_equal(dkim_format_result(&dkim, &texts[1]), ERR_OK);
	assert_int_equal(dmarc_format_result(&dmarc, &texts[2]), ERR_OK);
	struct view results[3] = { buf_view(&texts[0]), buf_view(&texts[1]), buf_view(&texts[2]) };
	assert_int_equal(auth_results_format(VIEW("mx.example.org"), results, 3, &out), ERR_OK);
	struct view rest = buf_view(&out), ours = VIEW("MX.example.org.");
	struct header_field field;
	assert_true(auth_results_next_forged(&rest, &ours, 1, &field));
	assert_true(view_eq(field.whole, buf_view(&out)));
	assert_false(auth_results_next_forged(&rest, &ours, 1, &field));
	for (size_t i = 0; i < 3; i++)
		buf_clear(&texts[i]);
	buf_clear(&out);
	(void)state;
}

static void test_forged(void **state)
{
	static const struct {
		const char *name, *value;
		bool goes;
	} cases[] = {
		{ "ours", " mx.example.org; spf=pass", true },
		{ "ours in capitals", " MX.Example.ORG; spf=pass", true },
		{ "our second id", " other.example; spf=pass", true },
		{ "ours with a version", " mx.example.org 1; spf=pass", true },
		{ "ours with a version of old", " mx.example.org/1; spf=pass", true },
		{ "ours with a dot", " mx.example.org.; spf=pass", true },
		{ "ours in quotes", " \"mx.example.org\"; spf=pass", true },
		{ "ours in quotes with escapes", " \"m\\x.example.org\"; spf=pass", true },
		{ "ours in quotes, folded by a tab", " \"mx.exam\r\n\tple.org\"; spf=pass", true },
		{ "ours in quotes, folded by a blank", " \"mx.exam\r\n ple.org\"; spf=pass", false },
		{ "ours behind comments", " (a (b) \\) c)\r\n\t(d) mx.example.org (e); spf=pass", true },
		{ "ours folded", "\r\n\tmx.example.org;\r\n\tspf=pass", true },
		{ "ours without results", " mx.example.org", true },
		{ "ours without a blank", "mx.example.org;spf=pass", true },
		{ "another's", " mx.example.net; spf=pass", false },
		{ "ours in front of more", " mx.example.org.evil.example; spf=pass", false },
		{ "ours behind more", " amx.example.org; spf=pass", false },
		{ "ours as a comment", " (mx.example.org) mx.example.net; spf=pass", false },
		{ "ours as a result's", " mx.example.net; spf=pass (mx.example.org;)", false },
		{ "no id", " spf=pass smtp.mailfrom=a@b; mx.example.org", false },
		{ "ours in quotes before =", " \"mx.example.org\"=pass", true },
		{ "empty", "", true },
		{ "only a semicolon", " ; spf=pass", true },
		{ "a comment that doesn't end", " (x mx.example.net; spf=pass", true },
		{ "a quote that doesn't end", " \"mx.example.net; spf=pass", true },
		{ "a control character",
			" mx.\x01"
			"example.net; spf=pass",
			true },
	};
	static const struct view ids[] = { { (const uint8_t *)"mx.example.org", 14 },
		{ (const uint8_t *)"Other.example", 13 } };
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct buf text = { 0 };
		struct header_field field;
		print_message("%s\n", cases[i].name);
		assert_int_equal(
			buf_append_format(&text, "From: a@b\r\nauthentication-RESULTS :%s\r\nTo: c@d\r\n\r\nBody",
				cases[i].value),
			ERR_OK);
		struct view rest = buf_view(&text);
		assert_int_equal(auth_results_next_forged(&rest, ids, 2, &field), cases[i].goes);
		if (cases[i].goes) {
			assert_true(view_starts_with(field.whole, VIEW("authentication-RESULTS")));
			assert_true(view_starts_with(rest, VIEW("To: c@d")));
		}
		buf_clear(&text);
	}
	(void)state;
}

static void test_forged_among_others(void **state)
{
	struct view rest = VIEW("Authentication-Results: mx; a=b\nX-Authentication-Results: mx; a=b\n"
				"ARC-Authentication-Results: i=1; mx; a=b\nAuthentication-Results: my; a=b\n"
				"Authentication-Results: mx;\n c=d\n\nAuthentication-Results: mx; e=f\n");
	struct view id = VIEW("mx");
	struct header_field field;
	assert_true(auth_results_next_forged(&rest, &id, 1, &field));
	assert_true(view_eq(field.whole, VIEW("Authentication-Results: mx; a=b\n")));
	assert_true(auth_results_next_forged(&rest, &id, 1, &field));
	assert_true(view_eq(field.whole, VIEW("Authentication-Results: mx;\n c=d\n")));
	assert_false(auth_results_next_forged(&rest, &id, 1, &field));
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_result),
		cmocka_unit_test(test_iprev),
		cmocka_unit_test(test_field),
		cmocka_unit_test(test_results_of_engines),
		cmocka_unit_test(test_forged),
		cmocka_unit_test(test_forged_among_others),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
