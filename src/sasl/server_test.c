#include "sasl/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

struct response {
	const char *bytes;
	size_t len;
};
#define R(literal)                                                                                                     \
	{                                                                                                              \
		literal, sizeof(literal) - 1                                                                           \
	}
#define END                                                                                                            \
	{                                                                                                              \
		NULL, 0                                                                                                \
	}

struct exchange_case {
	const char *name, *mechanism;
	bool initial; /* the first response came with the command */
	struct response responses[4];
	const char *challenges; /* each followed by '|' */
	enum sasl_server_step last;
	const char *authzid, *authcid, *password;
};

static const struct exchange_case cases[] = {
	{ "PLAIN", "PLAIN", false, { R("\0user\0secret"), END }, "|", SASL_SERVER_CREDENTIALS, "", "user", "secret" },
	{ "PLAIN, initial", "plain", true, { R("\0u\0p"), END }, "", SASL_SERVER_CREDENTIALS, "", "u", "p" },
	{ "PLAIN, for another", "PLAIN", true, { R("boss\0u\0p"), END }, "", SASL_SERVER_CREDENTIALS, "boss", "u",
		"p" },
	{ "PLAIN, password not UTF-8", "PLAIN", true, { R("\0u\0p\xff"), END }, "", SASL_SERVER_CREDENTIALS, "", "u",
		"p\xff" },
	{ "PLAIN, empty", "PLAIN", false, { R(""), END }, "|", SASL_SERVER_MALFORMED, NULL, NULL, NULL },
	{ "PLAIN, one NUL", "PLAIN", true, { R("user\0secret"), END }, "", SASL_SERVER_MALFORMED, NULL, NULL, NULL },
	{ "PLAIN, three NULs", "PLAIN", true, { R("\0u\0p\0"), END }, "", SASL_SERVER_MALFORMED, NULL, NULL, NULL },
	{ "PLAIN, no user", "PLAIN", true, { R("\0\0p"), END }, "", SASL_SERVER_MALFORMED, NULL, NULL, NULL },
	{ "PLAIN, no password", "PLAIN", true, { R("\0u\0"), END }, "", SASL_SERVER_MALFORMED, NULL, NULL, NULL },
	{ "PLAIN, user not UTF-8", "PLAIN", true, { R("\0\xff\0p"), END }, "", SASL_SERVER_MALFORMED, NULL, NULL,
		NULL },
	{ "PLAIN, again after the end", "PLAIN", true, { R("\0u\0p"), R("\0v\0q"), END }, "", SASL_SERVER_MALFORMED,
		NULL, NULL, NULL },
	{ "LOGIN", "LOGIN", false, { R("user"), R("secret"), END }, "Username:|Password:|", SASL_SERVER_CREDENTIALS, "",
		"user", "secret" },
	{ "LOGIN, initial", "Login", true, { R("user"), R("secret"), END }, "Password:|", SASL_SERVER_CREDENTIALS, "",
		"user", "secret" },
	{ "LOGIN, no user", "LOGIN", false, { R(""), END }, "Username:|", SASL_SERVER_MALFORMED, NULL, NULL, NULL },
	{ "LOGIN, malformed user, then going on", "LOGIN", false, { R(""), R("p"), END }, "Username:|",
		SASL_SERVER_MALFORMED, NULL, NULL, NULL },
	{ "LOGIN, no password", "LOGIN", false, { R("u"), R(""), END }, "Username:|Password:|", SASL_SERVER_MALFORMED,
		NULL, NULL, NULL },
	{ "LOGIN, NUL in the name", "LOGIN", false, { R("u\0v"), R("p"), END }, "Username:|Password:|",
		SASL_SERVER_MALFORMED, NULL, NULL, NULL },
	{ "LOGIN, NUL in the password", "LOGIN", false, { R("u"), R("p\0q"), END }, "Username:|Password:|",
		SASL_SERVER_MALFORMED, NULL, NULL, NULL },
};

static void run(const struct exchange_case *c)
{
	char challenges[100] = "";
	size_t at = 0;
	struct sasl_server *server = sasl_server_new(view_from_cstr(c->mechanism));
	assert_non_null(server);
	if (!c->initial)
		at += (size_t)snprintf(
			challenges, sizeof challenges, "%.*s|", VIEW_ARG(sasl_server_first_challenge(server)));
	enum sasl_server_step step = SASL_SERVER_CHALLENGE;
	for (const struct response *r = c->responses; r->bytes != NULL; r++) {
		struct view challenge = VIEW_NONE;
		step = sasl_server_step(server, view_of(r->bytes, r->len), &challenge);
		if (step == SASL_SERVER_CHALLENGE)
			at += (size_t)snprintf(challenges + at, sizeof challenges - at, "%.*s|", VIEW_ARG(challenge));
	}
	if (step != c->last || strcmp(challenges, c->challenges) != 0)
		fail_msg("%s: step %d, challenges %s", c->name, (int)step, challenges);
	if (step == SASL_SERVER_CREDENTIALS) {
		struct sasl_credentials got = sasl_server_credentials(server);
		if (!view_eq(got.authzid, view_from_cstr(c->authzid)) ||
			!view_eq(got.authcid, view_from_cstr(c->authcid)) ||
			!view_eq(got.password, view_from_cstr(c->password)))
			fail_msg("%s: other credentials", c->name);
	}
	sasl_server_free(server);
}

static void test_exchanges(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		run(&cases[i]);
}

static void test_limits(void **state)
{
	(void)state;
	assert_null(sasl_server_new(VIEW("CRAM-MD5")));
	assert_null(sasl_server_new(VIEW("")));
	sasl_server_free(NULL);

	static uint8_t large[SASL_SERVER_RESPONSE_MAX_BYTES + 1];
	memset(large, 'x', sizeof large);
	struct view challenge;
	struct sasl_server *server = sasl_server_new(VIEW("LOGIN"));
	assert_int_equal(sasl_server_step(server, view_of(large, sizeof large), &challenge), SASL_SERVER_MALFORMED);
	sasl_server_free(server);
	/* The largest of both fits. */
	server = sasl_server_new(VIEW("LOGIN"));
	assert_int_equal(sasl_server_step(server, view_of(large, sizeof large - 1), &challenge), SASL_SERVER_CHALLENGE);
	assert_int_equal(
		sasl_server_step(server, view_of(large, sizeof large - 1), &challenge), SASL_SERVER_CREDENTIALS);
	assert_int_equal(sasl_server_credentials(server).password.len, sizeof large - 1);
	sasl_server_free(server);
}

static void test_wipe(void **state)
{
	(void)state;
	char secret[] = "secret";
	sasl_wipe(secret, sizeof secret);
	for (size_t i = 0; i < sizeof secret; i++)
		assert_int_equal(secret[i], 0);
	sasl_wipe(NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exchanges),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_wipe),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
