/* The administration of DKIM's keys: what it answers, what it refuses, and that no private key is told. */
#include "service/admin.h"

#include "base/mem.h"
#include "crypto/signature.h"
#include "mailauth/dkim_record.h"
#include "store/directory_store.h"
#include "store/dkim_store.h"
#include "store/store_contract.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#define NOW_MS 1795437600000 /* 2026-11-23 12:40 UTC */

static struct contract store;
static char *rsa, *ed25519; /* PEM */

static int open_store(void **state)
{
	(void)state;
	contract_open(&store);
	assert_int_equal(db_exec(store.db, "DELETE FROM dkim_key"), ERR_OK);
	assert_int_equal(directory_domain_add(store.db, VIEW("ours.example")), ERR_OK);
	return 0;
}

static int close_store(void **state)
{
	(void)state;
	contract_close(&store);
	return 0;
}

static char *make_pem(enum signature_kind kind)
{
	struct signature_private *key = NULL;
	struct buf pem = { 0 };
	assert_int_equal(signature_generate(kind, 2048, &key), ERR_OK);
	assert_int_equal(signature_private_write_pem(key, &pem), ERR_OK);
	char *text = mem_dup_cstr(buf_cstr(&pem));
	signature_private_free(key);
	buf_clear(&pem);
	return text;
}

static int make_keys(void **state)
{
	(void)state;
	rsa = make_pem(SIGNATURE_RSA);
	ed25519 = make_pem(SIGNATURE_ED25519);
	return 0;
}

static int free_keys(void **state)
{
	(void)state;
	mem_free(rsa);
	mem_free(ed25519);
	return 0;
}

/* `arguments` is stolen. */
static enum err run(const char *command, bool unchecked, json_t *arguments, json_t **ret_result)
{
	struct admin_context context = { .now_ms = NOW_MS, .dkim_unchecked = unchecked };
	struct admin_effects effects = { 0 };
	assert_non_null(arguments);
	json_t *request = json_pack("{s:s, s:o}", "command", command, "arguments", arguments);
	assert_int_equal(db_begin(store.db), ERR_OK);
	enum err err = admin_run(store.db, &context, request, ret_result, &effects);
	if (err == ERR_OK) {
		assert_int_equal(db_commit(store.db), ERR_OK);
		assert_int_equal(effects.dkim_changed, admin_request_writes(request));
	} else {
		db_rollback(store.db);
		/* Nor does a sentence tell it. */
		assert_null(strstr(err_detail(), "PRIVATE"));
	}
	json_decref(request);
	admin_effects_clear(&effects);
	return err;
}

/* "selector=state" of each key of the result, which is consumed. */
static void expect_keys(json_t *result, const char *want)
{
	struct buf got = { 0 };
	size_t i;
	json_t *key;
	char *all = json_dumps(result, JSON_COMPACT);
	assert_null(strstr(all, "PRIVATE"));
	assert_null(strstr(all, "private_key"));
	free(all);
	json_array_foreach(json_object_get(result, "keys"), i, key)
	{
		assert_int_equal(buf_append_format(&got, "%s=%s ", json_string_value(json_object_get(key, "selector")),
					 json_string_value(json_object_get(key, "state"))),
			ERR_OK);
	}
	assert_string_equal(buf_cstr(&got), want);
	buf_clear(&got);
	json_decref(result);
}

static void keys_get_names_of_the_day(void **state)
{
	(void)state;
	json_t *result = NULL;
	assert_int_equal(
		run("dkim.new", false,
			json_pack("{s:s, s:[s,s]}", "domain", "Ours.Example", "private_keys", rsa, ed25519), &result),
		ERR_OK);
	assert_true(json_is_true(json_object_get(result, "ours")));
	const json_t *first = json_array_get(json_object_get(result, "keys"), 0);
	assert_string_equal(json_string_value(json_object_get(first, "name")), "s20261123e._domainkey.ours.example");
	struct dkim_record record;
	assert_int_equal(
		dkim_record_parse(view_from_cstr(json_string_value(json_object_get(first, "record"))), &record),
		ERR_OK);
	assert_int_equal(record.kind, SIGNATURE_ED25519);
	expect_keys(result, "s20261123e=new s20261123r=new ");
	assert_int_equal(run("dkim.new", false,
				 json_pack("{s:s, s:[s]}", "domain", "ours.example", "private_keys", rsa), &result),
		ERR_OK);
	expect_keys(result, "s20261123r2=new ");
	assert_int_equal(run("dkim.list", false, json_pack("{s:s}", "domain", "ours.example"), &result), ERR_OK);
	expect_keys(result, "s20261123e=new s20261123r=new s20261123r2=new ");
}

static void keys_get_names_that_were_given(void **state)
{
	(void)state;
	json_t *result = NULL;
	assert_int_equal(run("dkim.new", true,
				 json_pack("{s:s, s:s, s:[s,s]}", "domain", "else.example", "selector", "Mail",
					 "private_keys", rsa, ed25519),
				 &result),
		ERR_OK);
	assert_true(json_is_false(json_object_get(result, "ours")));
	expect_keys(result, "mail-ed25519=active mail-rsa=active ");
	assert_int_equal(run("dkim.new", false,
				 json_pack("{s:s, s:s, s:[s]}", "domain", "else.example", "selector", "mail",
					 "private_keys", rsa),
				 &result),
		ERR_OK);
	expect_keys(result, "mail=new ");
	assert_int_equal(run("dkim.new", false,
				 json_pack("{s:s, s:s, s:[s]}", "domain", "else.example", "selector", "mail",
					 "private_keys", rsa),
				 &result),
		ERR_EXISTS);
}

static void wrong_requests_are_refused(void **state)
{
	(void)state;
	json_t *result = NULL;
	static const char short_rsa[] = "-----BEGIN RSA PRIVATE KEY-----\n"
					"MIIBOQIBAAJBAKuNGHKDlBSSBtlbxOHTsH4YGfaGv2B5ysCWMNKhz2ZD\n"
					"-----END RSA PRIVATE KEY-----\n";
	const struct {
		const char *command;
		json_t *arguments;
		enum err want;
	} cases[] = {
		{ "dkim.new", json_pack("{s:s, s:[s]}", "domain", "a..b", "private_keys", rsa), ERR_SYNTAX },
		{ "dkim.new", json_pack("{s:s, s:[s]}", "domain", "ours.example", "private_keys", "x"), ERR_SYNTAX },
		{ "dkim.new", json_pack("{s:s, s:[s]}", "domain", "ours.example", "private_keys", short_rsa),
			ERR_SYNTAX },
		{ "dkim.new", json_pack("{s:s}", "domain", "ours.example"), ERR_SYNTAX },
		{ "dkim.new",
			json_pack(
				"{s:s, s:s, s:[s]}", "domain", "ours.example", "selector", "a b", "private_keys", rsa),
			ERR_SYNTAX },
		{ "dkim.activate", json_pack("{s:s, s:[s]}", "domain", "ours.example", "selectors", "no"),
			ERR_NOT_FOUND },
		{ "dkim.retire", json_pack("{s:s, s:[s]}", "domain", "ours.example", "selectors", "no"),
			ERR_NOT_FOUND },
		{ "dkim.remove", json_pack("{s:s, s:[s]}", "domain", "ours.example", "selectors", "no"),
			ERR_NOT_FOUND },
		{ "dkim.rotate",
			json_pack("{s:s, s:[s], s:[s]}", "domain", "ours.example", "selectors", "no", "private_keys",
				rsa),
			ERR_NOT_FOUND },
		{ "dkim.rotate",
			json_pack("{s:s, s:[s,s], s:[s]}", "domain", "ours.example", "selectors", "a", "b",
				"private_keys", rsa),
			ERR_SYNTAX },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		enum err err = run(cases[i].command, false, cases[i].arguments, &result);
		if (err != cases[i].want)
			fail_msg("case %zu, %s: %s (%s)", i, cases[i].command, err_name(err), err_detail());
	}
}

static void rotate(const char *selector, const char *pem, enum err want, json_t **ret_result)
{
	enum err err = run("dkim.rotate", false,
		json_pack("{s:s, s:[s], s:[s]}", "domain", "ours.example", "selectors", selector, "private_keys", pem),
		ret_result);
	assert_int_equal(err, want);
}

static void a_key_takes_another_s_place(void **state)
{
	(void)state;
	json_t *result = NULL;
	assert_int_equal(run("dkim.new", true,
				 json_pack("{s:s, s:s, s:[s]}", "domain", "ours.example", "selector", "mail",
					 "private_keys", rsa),
				 &result),
		ERR_OK);
	expect_keys(result, "mail=active ");
	rotate("mail", ed25519, ERR_STATE, &result); /* of another kind */
	rotate("mail", rsa, ERR_OK, &result);
	expect_keys(result, "s20261123r=new ");
	rotate("mail", rsa, ERR_STATE, &result); /* one waits already */
	rotate("s20261123r", rsa, ERR_STATE, &result); /* which does not sign yet */
	assert_int_equal(
		run("dkim.activate", false,
			json_pack("{s:s, s:[s]}", "domain", "ours.example", "selectors", "s20261123r"), &result),
		ERR_OK);
	expect_keys(result, "s20261123r=active ");
	assert_int_equal(run("dkim.list", false, json_object(), &result), ERR_OK);
	expect_keys(result, "mail=retired s20261123r=active ");
	assert_int_equal(
		run("dkim.remove", false,
			json_pack("{s:s, s:[s,s]}", "domain", "ours.example", "selectors", "mail", "s20261123r"),
			&result),
		ERR_STATE);
	assert_int_equal(
		run("dkim.retire", false,
			json_pack("{s:s, s:[s]}", "domain", "ours.example", "selectors", "s20261123r"), &result),
		ERR_OK);
	expect_keys(result, "s20261123r=retired ");
	assert_int_equal(
		run("dkim.remove", false,
			json_pack("{s:s, s:[s,s]}", "domain", "ours.example", "selectors", "mail", "s20261123r"),
			&result),
		ERR_OK);
	expect_keys(result, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(keys_get_names_of_the_day, open_store, close_store),
		cmocka_unit_test_setup_teardown(keys_get_names_that_were_given, open_store, close_store),
		cmocka_unit_test_setup_teardown(wrong_requests_are_refused, open_store, close_store),
		cmocka_unit_test_setup_teardown(a_key_takes_another_s_place, open_store, close_store),
	};
	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
