#include "sasl/client.h"

#include "mail/encode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define PASSWORD SASL_CLIENT_BY_PASSWORD
#define TOKEN SASL_CLIENT_BY_TOKEN
#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static void test_choose(void **state)
{
	(void)state;
	static const struct {
		const char *name, *offered;
		unsigned allowed;
		enum sasl_client_mechanism want;
	} cases[] = {
		{ "nothing offered", "", PASSWORD, SASL_CLIENT_NONE },
		{ "only strangers", "CRAM-MD5 XOAUTH2 SCRAM-SHA-1", PASSWORD, SASL_CLIENT_NONE },
		{ "plain", "PLAIN", PASSWORD, SASL_CLIENT_PLAIN },
		{ "login", "LOGIN", PASSWORD, SASL_CLIENT_LOGIN },
		{ "plain before login, whatever the order", "LOGIN PLAIN", PASSWORD, SASL_CLIENT_PLAIN },
		{ "scram before all", "LOGIN PLAIN SCRAM-SHA-256", PASSWORD, SASL_CLIENT_SCRAM_SHA_256 },
		{ "scram that asks for a channel is another", "SCRAM-SHA-256-PLUS LOGIN", PASSWORD, SASL_CLIENT_LOGIN },
		{ "any case, several blanks", "  xoauth2  pLaIn ", PASSWORD, SASL_CLIENT_PLAIN },
		{ "a longer word is another mechanism", "PLAIN-CLIENTTOKEN LOGINX", PASSWORD, SASL_CLIENT_NONE },
		{ "only what is allowed", "SCRAM-SHA-256 PLAIN LOGIN", SASL_CLIENT_BIT(SASL_CLIENT_LOGIN),
			SASL_CLIENT_LOGIN },
		{ "a token never goes as a password", "PLAIN LOGIN SCRAM-SHA-256", TOKEN, SASL_CLIENT_NONE },
		{ "the standard before what it came from", "XOAUTH2 OAUTHBEARER", TOKEN, SASL_CLIENT_OAUTHBEARER },
		{ "xoauth2", "LOGIN XOAUTH2", TOKEN, SASL_CLIENT_XOAUTH2 },
		{ "nothing allowed", "PLAIN", 0, SASL_CLIENT_NONE },
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		unsigned offered = sasl_client_offered(view_from_cstr(cases[i].offered));
		if (sasl_client_choose(offered, cases[i].allowed) != cases[i].want)
			fail_msg("%s", cases[i].name);
	}
}

static enum err respond(struct sasl_client *client, struct view challenge, struct buf *ret_plain)
{
	struct buf out = { 0 }, encoded = { 0 };
	assert_int_equal(base64_encode(challenge, &encoded), ERR_OK);
	enum err err = sasl_client_respond(client, buf_view(&encoded), &out);
	buf_reset(ret_plain);
	if (err == ERR_OK)
		assert_int_equal(base64_decode(buf_view(&out), ret_plain), ERR_OK);
	else
		assert_int_equal(out.len, 0);
	buf_clear(&out);
	buf_clear(&encoded);
	return err;
}

static void check_response(struct sasl_client *client, struct view challenge, struct view want)
{
	struct buf plain = { 0 };
	assert_int_equal(respond(client, challenge, &plain), ERR_OK);
	if (!view_eq(buf_view(&plain), want))
		fail_msg("got %.*s", VIEW_ARG(buf_view(&plain)));
	buf_clear(&plain);
}

static void check_exhausted(struct sasl_client *client)
{
	struct buf plain = { 0 };
	assert_int_equal(respond(client, VIEW_NONE, &plain), ERR_STATE);
	buf_clear(&plain);
}

static void test_plain(void **state)
{
	(void)state;
	struct sasl_client client;
	struct sasl_client_login login = { .user = VIEW("tim"), .secret = VIEW("tanstaaftanstaaf") };
	sasl_client_init(&client, SASL_CLIENT_PLAIN, &login);
	assert_true(sasl_client_speaks_first(&client));
	/* RFC 4616 §4, first example. */
	check_response(&client, VIEW_NONE, VIEW("\0tim\0tanstaaftanstaaf"));
	assert_true(sasl_client_may_succeed(&client));
	check_exhausted(&client);
	sasl_client_clear(&client);
}

static void test_login(void **state)
{
	(void)state;
	struct sasl_client client;
	struct sasl_client_login login = { .user = VIEW("ann@example.com"), .secret = VIEW("p\xc3\xa4ss w\xc3\xb6rd") };
	sasl_client_init(&client, SASL_CLIENT_LOGIN, &login);
	assert_false(sasl_client_speaks_first(&client));
	check_response(&client, VIEW("Username:"), VIEW("ann@example.com"));
	check_response(&client, VIEW("whatever"), VIEW("p\xc3\xa4ss w\xc3\xb6rd"));
	check_exhausted(&client);
	/* Prompts that are not even base64. */
	struct buf out = { 0 };
	sasl_client_init(&client, SASL_CLIENT_LOGIN, &login);
	assert_int_equal(sasl_client_respond(&client, VIEW("Username:"), &out), ERR_OK);
	buf_clear(&out);
	sasl_client_clear(&client);
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
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		for (unsigned m = SASL_CLIENT_NONE + 1; m < SASL_CLIENT_MECHANISMS; m++) {
			struct sasl_client client;
			struct buf out = { 0 };
			struct sasl_client_login login = {
				.user = cases[i].user, .secret = cases[i].password, .nonce = VIEW("0123456789ab")
			};
			sasl_client_init(&client, (enum sasl_client_mechanism)m, &login);
			if (sasl_client_respond(&client, VIEW_NONE, &out) != ERR_SYNTAX || out.len != 0)
				fail_msg("mechanism %u: %s", m, cases[i].name);
			sasl_client_clear(&client);
		}
}

/* ---- SCRAM ---- */

/* RFC 7677 §3. The nonce is what comes out as rOprNGfwEbeRWgbNEkqO. */
#define NONCE "\xac\xea\x6b\x34\x67\xf0\x11\xb7\x91\x5a\x06\xcd\x12\x4a\x8e"
#define BOTH_NONCES "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define FIRST "r=" BOTH_NONCES ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
#define FINAL "c=biws,r=" BOTH_NONCES ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define SIGNATURE "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

static void scram_init(
	struct sasl_client *client, struct view user, struct view password, struct sasl_scram_memory *memory)
{
	struct sasl_client_login login = {
		.user = user, .secret = password, .nonce = view_of(NONCE, sizeof NONCE - 1), .memory = memory
	};
	sasl_client_init(client, SASL_CLIENT_SCRAM_SHA_256, &login);
}

static void scram_to_final(struct sasl_client *client, struct sasl_scram_memory *memory)
{
	scram_init(client, VIEW("user"), VIEW("pencil"), memory);
	assert_true(sasl_client_speaks_first(client));
	check_response(client, VIEW_NONE, VIEW("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"));
	check_response(client, VIEW(FIRST), VIEW(FINAL));
	assert_false(sasl_client_may_succeed(client));
}

static void test_scram(void **state)
{
	(void)state;
	struct sasl_client client;
	struct sasl_scram_memory memory = { 0 };
	/* Without memory, with it while it is empty, and with what it then knows. */
	struct sasl_scram_memory *const memories[] = { NULL, &memory, &memory };
	for (size_t i = 0; i < COUNT_OF(memories); i++) {
		scram_to_final(&client, memories[i]);
		check_response(&client, VIEW(SIGNATURE), VIEW(""));
		assert_true(sasl_client_may_succeed(&client));
		check_exhausted(&client);
		sasl_client_clear(&client);
	}
	assert_true(memory.known);
}

/* What is remembered of one password is not used for another. */
static void test_scram_memory(void **state)
{
	(void)state;
	struct sasl_client client;
	struct sasl_scram_memory memory = { 0 };
	struct buf plain = { 0 };
	scram_to_final(&client, &memory);
	sasl_client_clear(&client);
	scram_init(&client, VIEW("user"), VIEW("pencils"), &memory);
	check_response(&client, VIEW_NONE, VIEW("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"));
	assert_int_equal(respond(&client, VIEW(FIRST), &plain), ERR_OK);
	assert_false(view_eq(buf_view(&plain), VIEW(FINAL)));
	sasl_client_clear(&client);
	buf_clear(&plain);
}

static void test_scram_user(void **state)
{
	(void)state;
	struct sasl_client client;
	scram_init(&client, VIEW("a=b,c"), VIEW("pencil"), NULL);
	check_response(&client, VIEW_NONE, VIEW("n,,n=a=3Db=2Cc,r=rOprNGfwEbeRWgbNEkqO"));
	sasl_client_clear(&client);
}

static void test_scram_lies(void **state)
{
	(void)state;
	static const struct {
		const char *name, *first;
	} cases[] = {
		{ "nothing", "" },
		{ "our nonce alone", "r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096" },
		{ "another nonce", "r=sOprNGfwEbeRWgbNEkqO1234,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096" },
		{ "a blank in the nonce", "r=rOprNGfwEbeRWgbNEkqO1 2,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096" },
		{ "no salt", "r=" BOTH_NONCES ",s=,i=4096" },
		{ "a salt that is not base64", "r=" BOTH_NONCES ",s=W22ZaJ0SNY7soEsUEjb6gQ,i=4096" },
		{ "too few rounds", "r=" BOTH_NONCES ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4095" },
		{ "so many that it would stand still", "r=" BOTH_NONCES ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=600001" },
		{ "more than numbers hold", "r=" BOTH_NONCES ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=99999999999" },
		{ "no number", "r=" BOTH_NONCES ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=x" },
		{ "no count", "r=" BOTH_NONCES ",s=W22ZaJ0SNY7soEsUEjb6gQ==" },
		{ "an extension that must be understood", "m=x," FIRST },
		{ "another order", "s=W22ZaJ0SNY7soEsUEjb6gQ==,r=" BOTH_NONCES ",i=4096" },
	};
	struct buf plain = { 0 };
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct sasl_client client;
		scram_init(&client, VIEW("user"), VIEW("pencil"), NULL);
		check_response(&client, VIEW_NONE, VIEW("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"));
		if (respond(&client, view_from_cstr(cases[i].first), &plain) != ERR_SYNTAX)
			fail_msg("%s", cases[i].name);
		assert_false(sasl_client_may_succeed(&client));
		sasl_client_clear(&client);
	}
	buf_clear(&plain);
}

static void test_scram_false_proofs(void **state)
{
	(void)state;
	static const char *const proofs[] = { "", "v=", "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=",
		"v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", "v=6rriTRBi23U=",
		"xv=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=" };
	struct buf plain = { 0 };
	struct sasl_client client;
	for (size_t i = 0; i < COUNT_OF(proofs); i++) {
		scram_to_final(&client, NULL);
		assert_int_equal(respond(&client, view_from_cstr(proofs[i]), &plain), ERR_SYNTAX);
		assert_false(sasl_client_may_succeed(&client));
		sasl_client_clear(&client);
	}
	scram_to_final(&client, NULL);
	check_response(&client, VIEW("e=invalid-proof"), VIEW(""));
	assert_false(sasl_client_may_succeed(&client));
	assert_true(view_eq(sasl_client_said(&client), VIEW("e=invalid-proof")));
	sasl_client_clear(&client);
	struct buf out = { 0 };
	scram_init(&client, VIEW("user"), VIEW("pencil"), NULL);
	check_response(&client, VIEW_NONE, VIEW("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"));
	assert_int_equal(sasl_client_respond(&client, VIEW("?"), &out), ERR_SYNTAX);
	sasl_client_clear(&client);
	buf_clear(&out);
	buf_clear(&plain);
}

/* ---- tokens ---- */

#define ERROR "{\"status\":\"invalid_token\",\"scope\":\"x\"}"

/* The example of Google's page about it. */
static void test_xoauth2(void **state)
{
	(void)state;
	struct sasl_client client;
	struct buf out = { 0 };
	struct sasl_client_login login = { .user = VIEW("someuser@example.com"),
		.secret = VIEW("ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg") };
	sasl_client_init(&client, SASL_CLIENT_XOAUTH2, &login);
	assert_true(sasl_client_speaks_first(&client));
	assert_int_equal(sasl_client_respond(&client, VIEW_NONE, &out), ERR_OK);
	assert_true(view_eq(buf_view(&out),
		VIEW("dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhkSFJoZG1s"
		     "emRHRXVZMjl0Q2cBAQ==")));
	check_response(&client, VIEW(ERROR "\r\n"), VIEW(""));
	assert_true(view_eq(sasl_client_said(&client), VIEW(ERROR "  ")));
	check_exhausted(&client);
	sasl_client_clear(&client);
	buf_clear(&out);
}

/* RFC 7628 §4.1, §4.3 */
static void test_oauthbearer(void **state)
{
	(void)state;
	struct sasl_client client;
	struct sasl_client_login login = { .user = VIEW("user@example.com"),
		.secret = VIEW("vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="),
		.host = VIEW("server.example.com"),
		.port = 143 };
	sasl_client_init(&client, SASL_CLIENT_OAUTHBEARER, &login);
	check_response(&client, VIEW_NONE,
		VIEW("n,a=user@example.com,\x01host=server.example.com\x01port=143\x01"
		     "auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01"));
	check_response(&client, VIEW(ERROR), VIEW("\x01"));
	assert_true(view_eq(sasl_client_said(&client), VIEW(ERROR)));
	check_exhausted(&client);
	login.host = VIEW_NONE;
	login.port = 0;
	login.user = VIEW("a,b");
	sasl_client_init(&client, SASL_CLIENT_OAUTHBEARER, &login);
	check_response(&client, VIEW_NONE,
		VIEW("n,a=a=2Cb,\x01"
		     "auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01"));
	sasl_client_clear(&client);
}

static void test_bad_tokens(void **state)
{
	(void)state;
	static const char *const tokens[] = { "a b", "a\x01\x01", "a\r\nb", "t\xc3\xb6ken" };
	struct buf plain = { 0 };
	for (size_t i = 0; i < COUNT_OF(tokens); i++)
		for (unsigned m = SASL_CLIENT_XOAUTH2; m <= SASL_CLIENT_OAUTHBEARER; m++) {
			struct sasl_client client;
			struct sasl_client_login login = { .user = VIEW("u"), .secret = view_from_cstr(tokens[i]) };
			sasl_client_init(&client, (enum sasl_client_mechanism)m, &login);
			assert_int_equal(respond(&client, VIEW_NONE, &plain), ERR_SYNTAX);
			sasl_client_clear(&client);
		}
	buf_clear(&plain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_choose),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_login),
		cmocka_unit_test(test_refused_credentials),
		cmocka_unit_test(test_scram),
		cmocka_unit_test(test_scram_memory),
		cmocka_unit_test(test_scram_user),
		cmocka_unit_test(test_scram_lies),
		cmocka_unit_test(test_scram_false_proofs),
		cmocka_unit_test(test_xoauth2),
		cmocka_unit_test(test_oauthbearer),
		cmocka_unit_test(test_bad_tokens),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
