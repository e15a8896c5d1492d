/* Whom a message is signed for, and which keys sign. */
#include "service/signing_private.h"

#include "base/mem.h"
#include "store/directory_store.h"
#include "store/dkim_store.h"
#include "store/store_contract.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static struct contract store;
static struct domains *domains;
static char *rsa, *ed25519, *weak; /* PEM */

static void must(enum err err)
{
	if (err != ERR_OK)
		fail_msg("%s: %s", err_name(err), err_detail());
}

static char *make_pem(enum signature_kind kind)
{
	struct signature_private *key = NULL;
	struct buf pem = { 0 };
	must(signature_generate(kind, 2048, &key));
	must(signature_private_write_pem(key, &pem));
	char *text = mem_dup_cstr(buf_cstr(&pem));
	signature_private_free(key);
	buf_clear(&pem);
	return text;
}

static int setup_all(void **state)
{
	(void)state;
	rsa = make_pem(SIGNATURE_RSA);
	ed25519 = make_pem(SIGNATURE_ED25519);
	weak = mem_dup_cstr("-----BEGIN PRIVATE KEY-----\nnone\n-----END PRIVATE KEY-----\n");
	return 0;
}

static int teardown_all(void **state)
{
	(void)state;
	mem_free(rsa);
	mem_free(ed25519);
	mem_free(weak);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	contract_open(&store);
	must(db_exec(store.db, "DELETE FROM dkim_key"));
	must(directory_domain_add(store.db, VIEW("a.example")));
	must(directory_domain_add(store.db, VIEW("b.example")));
	must(directory_domain_add(store.db, VIEW("deep.a.example")));
	must(directory_domain_add(store.db, VIEW("xn--bcher-kva.example")));
	domains = domains_new();
	must(domains_load(domains, store.db));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	domains_free(domains);
	contract_close(&store);
	return 0;
}

#define FROM(text) "To: x@y.example\r\nFrom: " text "\r\nSubject: hi\r\n\r\n"

static void domains_are_chosen(void **state)
{
	(void)state;
	static const struct {
		const char *name, *headers, *account, *reverse_path, *want, *why;
	} cases[] = {
		{ "ours", FROM("Joe <joe@a.example>"), "", "", "a.example", NULL },
		{ "in capitals", FROM("Joe <joe@A.Example>"), "", "", "a.example", NULL },
		{ "with umlauts",
			FROM("Joe <joe@b\xc3\xbc"
			     "cher.example>"),
			"", "", "xn--bcher-kva.example", NULL },
		{ "below ours", FROM("joe@www.b.example"), "", "", "b.example", NULL },
		{ "the nearest", FROM("joe@x.deep.a.example"), "", "", "deep.a.example", NULL },
		{ "only looks like it", FROM("joe@xa.example"), "", "", NULL, "the author's domain is not ours" },
		{ "foreign", FROM("joe@c.example"), "", "", NULL, "the author's domain is not ours" },
		{ "a comment before it", FROM("(joe@a.example) x@c.example"), "", "", NULL,
			"the author's domain is not ours" },
		{ "a name like an address", FROM("\"joe@a.example\" <x@c.example>"), "", "", NULL,
			"the author's domain is not ours" },
		{ "several of one domain", FROM("joe@a.example,\r\n ann@A.example"), "", "", "a.example", NULL },
		{ "several domains", FROM("joe@a.example, ann@b.example"), "", "", NULL,
			"the From field names several domains" },
		{ "a group", FROM("team: joe@a.example, ann@a.example;"), "", "", "a.example", NULL },
		{ "an empty group", FROM("undisclosed:;"), "", "", NULL, "the From field is malformed" },
		{ "empty", FROM(""), "", "", NULL, "the From field is malformed" },
		{ "no domain", FROM("joe"), "", "", NULL, "the From field is malformed" },
		{ "a literal", FROM("joe@[192.0.2.1]"), "", "", NULL, "the From field is malformed" },
		{ "a part malformed", FROM("joe@a.example, @@"), "", "", "a.example", NULL },
		{ "a part malformed, with another domain", FROM("joe@a.example, <@b.example"), "", "", NULL,
			"the From field names several domains" },
		{ "none", "To: x@y.example\r\n\r\n", "", "", NULL, "there is no From field" },
		{ "in the body", "To: x@y.example\r\n\r\nFrom: joe@a.example\r\n", "", "", NULL,
			"there is no From field" },
		{ "two", FROM("joe@a.example\r\nFROM : joe@a.example"), "", "", NULL, "there are several From fields" },
		{ "the account's", FROM("joe@a.example"), "joe@a.example", "joe@a.example", "a.example", NULL },
		{ "a colleague's", FROM("ann@a.example"), "joe@a.example", "", "a.example", NULL },
		{ "the reverse-path's", FROM("joe@b.example"), "joe@a.example", "sales@B.example", "b.example", NULL },
		{ "another customer's", FROM("joe@b.example"), "joe@a.example", "joe@a.example", NULL,
			"the account is not of the author's domain" },
		{ "above the account's", FROM("joe@a.example"), "joe@deep.a.example", "", NULL,
			"the account is not of the author's domain" },
		{ "below the account's, but of another", FROM("joe@deep.a.example"), "joe@a.example", "", NULL,
			"the account is not of the author's domain" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct buf out = { 0 };
		struct signing_question question = { .headers = view_from_cstr(cases[i].headers),
			.account = view_from_cstr(cases[i].account),
			.reverse_path = view_from_cstr(cases[i].reverse_path) };
		const char *why = signing_choose_domain(domains, &question, &out);
		if ((why == NULL) != (cases[i].why == NULL) || (why != NULL && strcmp(why, cases[i].why) != 0))
			fail_msg("%s: %s", cases[i].name, why != NULL ? why : "signed");
		if (strcmp(buf_cstr(&out), cases[i].want != NULL ? cases[i].want : "") != 0)
			fail_msg("%s: %s", cases[i].name, buf_cstr(&out));
		buf_clear(&out);
	}
}

static void put(const char *domain, const char *selector, const char *origin, const char *pem, enum dkim_state state,
	int64_t at_ms)
{
	struct dkim_row row = { .domain = view_from_cstr(domain),
		.selector = view_from_cstr(selector),
		.algorithm = view_from_cstr(pem == ed25519 ? "ed25519" : "rsa"),
		.origin = view_from_cstr(origin),
		.private_key = view_from_cstr(pem),
		.state = state,
		.created_ms = at_ms };
	must(dkim_store_put(store.db, &row));
}

static void expect(const struct signing_keys *keys, const char *domain, size_t count, const char *const *selectors,
	const char *want)
{
	struct dkim_sign_key found[DKIM_SIGN_KEYS_MAX];
	struct buf got = { 0 };
	size_t n = signing_keys_find(keys, view_from_cstr(domain), count, selectors, found);
	for (size_t i = 0; i < n; i++)
		must(buf_append_format(&got, "%.*s ", VIEW_ARG(found[i].selector)));
	assert_string_equal(buf_cstr(&got), want);
	buf_clear(&got);
}

static void active_keys_sign(void **state)
{
	(void)state;
	put("b.example", "e1", "", ed25519, DKIM_STATE_ACTIVE, 1);
	put("b.example", "r1", "", rsa, DKIM_STATE_ACTIVE, 2);
	put("b.example", "r2", "", rsa, DKIM_STATE_NEW, 3);
	put("b.example", "r3", "", rsa, DKIM_STATE_RETIRED, 4);
	put("a.example", "r1", "", rsa, DKIM_STATE_ACTIVE, 5);
	put("c.example", "broken", "", weak, DKIM_STATE_ACTIVE, 6);
	struct signing_keys *keys = NULL;
	must(signing_keys_load(store.db, NULL, &keys));
	assert_int_equal(signing_keys_count(keys), 3);
	expect(keys, "b.example", 0, NULL, "r1 e1 ");
	expect(keys, "a.example", 0, NULL, "r1 ");
	expect(keys, "c.example", 0, NULL, "");
	expect(keys, "", 0, NULL, "");
	expect(keys, "zz.example", 0, NULL, "");
	signing_keys_unref(keys);
}

static void the_newest_sign_where_there_are_many(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++) {
		char selector[16];
		snprintf(selector, sizeof selector, "r%d", i);
		put("a.example", selector, "", rsa, DKIM_STATE_ACTIVE, i);
		snprintf(selector, sizeof selector, "e%d", i);
		put("a.example", selector, "", ed25519, DKIM_STATE_ACTIVE, i);
	}
	struct signing_keys *keys = NULL;
	must(signing_keys_load(store.db, NULL, &keys));
	expect(keys, "a.example", 0, NULL, "r4 r3 e4 e3 ");
	static const char *const some[] = { "E0", "r1" };
	expect(keys, "a.example", 2, some, "r1 e0 ");
	signing_keys_unref(keys);
}

/* What the configuration names goes on to mean the key that took its place. */
static void selectors_follow_a_rotation(void **state)
{
	(void)state;
	static const char *const news[] = { "news" };
	put("a.example", "news", "", rsa, DKIM_STATE_ACTIVE, 1);
	put("a.example", "other", "", rsa, DKIM_STATE_ACTIVE, 2);
	put("a.example", "s2", "news", rsa, DKIM_STATE_NEW, 3);
	struct signing_keys *keys = NULL, *after = NULL;
	must(signing_keys_load(store.db, NULL, &keys));
	expect(keys, "a.example", 1, news, "news ");
	must(dkim_store_activate(store.db, VIEW("a.example"), VIEW("s2"), 10));
	must(signing_keys_load(store.db, keys, &after));
	expect(after, "a.example", 1, news, "s2 ");
	/* The old set is as it was, for those that still hold it. */
	expect(keys, "a.example", 1, news, "news ");
	struct dkim_sign_key one[DKIM_SIGN_KEYS_MAX], two[DKIM_SIGN_KEYS_MAX];
	static const char *const other[] = { "other" };
	assert_int_equal(signing_keys_find(keys, VIEW("a.example"), 1, other, one), 1);
	assert_int_equal(signing_keys_find(after, VIEW("a.example"), 1, other, two), 1);
	assert_ptr_equal(one[0].key, two[0].key); /* not parsed again */
	signing_keys_unref(keys);
	expect(after, "a.example", 1, other, "other ");
	signing_keys_unref(after);
}

static void a_key_of_the_same_name_is_another(void **state)
{
	(void)state;
	struct signing_keys *keys = NULL, *after = NULL;
	put("a.example", "s1", "", rsa, DKIM_STATE_ACTIVE, 1);
	must(signing_keys_load(store.db, NULL, &keys));
	must(dkim_store_retire(store.db, VIEW("a.example"), VIEW("s1"), 2));
	must(dkim_store_remove(store.db, VIEW("a.example"), VIEW("s1")));
	put("a.example", "s1", "", ed25519, DKIM_STATE_ACTIVE, 3);
	must(signing_keys_load(store.db, keys, &after));
	struct dkim_sign_key found[DKIM_SIGN_KEYS_MAX];
	assert_int_equal(signing_keys_find(after, VIEW("a.example"), 0, NULL, found), 1);
	assert_int_equal(signature_private_kind(found[0].key), SIGNATURE_ED25519);
	signing_keys_unref(keys);
	signing_keys_unref(after);
}

static void the_holder_follows_the_store(void **state)
{
	(void)state;
	struct signing *signing = signing_new();
	assert_false(signing_has_keys(NULL));
	assert_false(signing_has_keys(signing));
	must(signing_load(signing, store.db));
	assert_false(signing_has_keys(signing));
	put("a.example", "s1", "", rsa, DKIM_STATE_ACTIVE, 1);
	must(signing_load(signing, store.db));
	assert_true(signing_has_keys(signing));
	struct signing_keys *held = signing_keys_now(signing);
	must(dkim_store_retire(store.db, VIEW("a.example"), VIEW("s1"), 2));
	must(signing_load(signing, store.db));
	assert_false(signing_has_keys(signing));
	expect(held, "a.example", 0, NULL, "s1 ");
	signing_keys_unref(held);
	signing_free(signing);
	signing_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(domains_are_chosen, setup, teardown),
		cmocka_unit_test_setup_teardown(active_keys_sign, setup, teardown),
		cmocka_unit_test_setup_teardown(the_newest_sign_where_there_are_many, setup, teardown),
		cmocka_unit_test_setup_teardown(selectors_follow_a_rotation, setup, teardown),
		cmocka_unit_test_setup_teardown(a_key_of_the_same_name_is_another, setup, teardown),
		cmocka_unit_test_setup_teardown(the_holder_follows_the_store, setup, teardown),
	};
	return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
