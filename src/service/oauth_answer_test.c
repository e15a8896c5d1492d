#include "service/oauth_answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static void test_parse(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		long status;
		const char *body;
		const char *token, *refresh; /* token NULL: none */
		uint32_t expires_in_s;
		const char *error;
	} cases[] = {
		{ "RFC 6749 §5.1", 200,
			"{\"access_token\":\"2YotnFZFEjr1zCsicMWpAA\",\"token_type\":\"example\",\"expires_in\":3600}",
			NULL, NULL, 0, "HTTP status 200, without a token" },
		{ "all there", 200,
			"{\"access_token\":\"ya29.x-y_z\",\"token_type\":\"Bearer\",\"expires_in\":3599,\"refresh_"
			"token\":\"1//n\"}",
			"ya29.x-y_z", "1//n", 3599, "" },
		{ "any case, no time", 200, "{\"token_type\":\"bearer\",\"access_token\":\"t\"}", "t", "", 300, "" },
		{ "the time as text", 200, "{\"token_type\":\"Bearer\",\"access_token\":\"t\",\"expires_in\":\"1200\"}",
			"t", "", 1200, "" },
		{ "a time that makes no sense", 200,
			"{\"token_type\":\"Bearer\",\"access_token\":\"t\",\"expires_in\":-5}", "t", "", 0, "" },
		{ "a time without end", 200,
			"{\"token_type\":\"Bearer\",\"access_token\":\"t\",\"expires_in\":99999999999}", "t", "", 86400,
			"" },
		{ "refused", 400,
			"{\"error\":\"invalid_grant\",\"error_description\":\"Token has been revoked.\\r\\n\"}", NULL,
			NULL, 0, "invalid_grant: Token has been revoked.  " },
		{ "refused without words", 401, "{\"error\":\"invalid_client\"}", NULL, NULL, 0, "invalid_client" },
		{ "a page", 503, "<html>", NULL, NULL, 0, "HTTP status 503, and no JSON" },
		{ "nothing", 200, "", NULL, NULL, 0, "HTTP status 200, and no JSON" },
		{ "a list", 200, "[1]", NULL, NULL, 0, "HTTP status 200, without a token" },
		{ "a token with an error's status", 500, "{\"token_type\":\"Bearer\",\"access_token\":\"t\"}", NULL,
			NULL, 0, "HTTP status 500, without a token" },
		{ "a token that breaks lines", 200, "{\"token_type\":\"Bearer\",\"access_token\":\"t\\r\\nQUIT\"}",
			NULL, NULL, 0, "HTTP status 200, without a token" },
		{ "a token with a NUL", 200, "{\"token_type\":\"Bearer\",\"access_token\":\"t\\u0000\"}", NULL, NULL, 0,
			"HTTP status 200, and no JSON" },
		{ "no text", 200, "{\"token_type\":\"Bearer\",\"access_token\":17}", NULL, NULL, 0,
			"HTTP status 200, without a token" },
		{ "a new refresh token that breaks lines", 200,
			"{\"token_type\":\"Bearer\",\"access_token\":\"t\",\"refresh_token\":\"a\\nb\"}", "t", "", 300,
			"" },
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct oauth_answer answer;
		enum err err = oauth_answer_parse(cases[i].status, view_from_cstr(cases[i].body), &answer);
		if (err != (cases[i].token != NULL ? ERR_OK : ERR_SYNTAX))
			fail_msg("%s: %s", cases[i].name, err_name(err));
		assert_string_equal(buf_cstr(&answer.access_token), cases[i].token != NULL ? cases[i].token : "");
		assert_string_equal(answer.error, cases[i].error);
		if (err == ERR_OK) {
			assert_string_equal(buf_cstr(&answer.refresh_token), cases[i].refresh);
			assert_int_equal(answer.expires_in_s, cases[i].expires_in_s);
		}
		oauth_answer_clear(&answer);
	}
}

static void test_form(void **state)
{
	(void)state;
	const struct oauth_parameter parameters[] = { { "client_id", VIEW_NONE },
		{ "grant_type", VIEW("refresh_token") }, { "refresh_token", VIEW("1//a&b=c d+e%\xc3\xa4") },
		{ "scope", VIEW("https://outlook.office365.com/.default") } };
	struct buf out = { 0 };
	assert_int_equal(oauth_form(COUNT_OF(parameters), parameters, &out), ERR_OK);
	assert_string_equal(buf_cstr(&out),
		"grant_type=refresh_token&refresh_token=1%2F%2Fa%26b%3Dc%20d%2Be%25%C3%A4&"
		"scope=https%3A%2F%2Foutlook.office365.com%2F.default");
	buf_clear(&out);
	assert_int_equal(oauth_form(1, parameters, &out), ERR_OK);
	assert_int_equal(out.len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_form),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
