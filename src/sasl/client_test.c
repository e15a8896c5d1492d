#include "sasl/client.h"

#include "mail/encode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void test_choose(void **state)
{
	(void)state;
	static const struct {
		const char *name, *offered;
		enum sasl_client_mechanism want;
	} cases[] = {
		{ "nothing offered", "", SASL_CLIENT_NONE },
		{ "only strangers", "CRAM-MD5 XOAUTH2 SCRAM-SHA-256", SASL_CLIENT_NONE },
		{ "plain", "PLAIN", SASL_CLIENT_PLAIN },
		{ "login", "LOGIN", SASL_CLIENT_LOGIN },
		{ "plain before login, whatever the order", "LOGIN PLAIN", SASL_CLIENT_PLAIN },
		{ "any case, several blanks", "  xoauth2  pLaIn ", SASL_CLIENT_PLAIN },
		{ "a longer word is another mechanism", "PLAIN-CLIENTTOKEN LOGINX", SASL_CLIENT_NONE },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		if (sasl_client_choose(view_from_cstr(cases[i].offered)) != cases[i].want)
			fail_msg("%s", cases[i].name);
}

static void check_response(struct sasl_client *client, struct view want)
{
	struct buf out = { 0 }, plain = { 0 };
	assert_int_equal(sasl_client_respond(client, &out), ERR_OK);
	assert_int_equal(base64_decode(buf_view(&out), &plain), ERR_OK);
	assert_true(view_eq(buf_view(&plain), want));
	buf_clear(&out);
	buf_clear(&plain);
}

static void check_exhausted(struct sasl_client *client)
{
	struct buf out = { 0 };
	assert_int_equal(sasl_client_respond(client, &out), ERR_STATE);
	assert_int_equal(out.len, 0);
}

static void test_plain(void **state)
{
	(void)state;
	struct sasl_client client;
	sasl_client_init(&client, SASL_CLIENT_PLAIN, VIEW("tim"), VIEW("tanstaaftanstaaf"));
	assert_true(sasl_client_speaks_first(&client));
	/* RFC 4616 §4, first example. */
	check_response(&client, VIEW("\0tim\0tanstaaftanstaaf"));
	check_exhausted(&client);
}

static void test_login(void **state)
{
	(void)state;
	struct sasl_client client;
	sasl_client_init(&client, SASL_CLIENT_LOGIN, VIEW("ann@example.com"), VIEW("p\xc3\xa4ss w\xc3\xb6rd"));
	assert_false(sasl_client_speaks_first(&client));
	check_response(&client, VIEW("ann@example.com"));
	check_response(&client, VIEW("p\xc3\xa4ss w\xc3\xb6rd"));
	check_exhausted(&client);
}

static void test_refused_credentials(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		struct view user, password;
	} cases[] = {
		{ "no user", { NULL, 0 }, { (const uint8_t *)"x", 1 } },
		{ "no password", { (const uint8_t *)"x", 1 }, { NULL, 0 } },
		{ "NUL in the user", { (const uint8_t *)"a\0b", 3 }, { (const uint8_t *)"x", 1 } },
		{ "NUL in the password", { (const uint8_t *)"x", 1 }, { (const uint8_t *)"a\0", 2 } },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct sasl_client client;
		struct buf out = { 0 };
		sasl_client_init(&client, SASL_CLIENT_PLAIN, cases[i].user, cases[i].password);
		if (sasl_client_respond(&client, &out) != ERR_SYNTAX || out.len != 0)
			fail_msg("PLAIN: %s", cases[i].name);
		sasl_client_init(&client, SASL_CLIENT_LOGIN, cases[i].user, cases[i].password);
		if (sasl_client_respond(&client, &out) != ERR_SYNTAX || out.len != 0)
			fail_msg("LOGIN: %s", cases[i].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_choose),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_login),
		cmocka_unit_test(test_refused_credentials),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
