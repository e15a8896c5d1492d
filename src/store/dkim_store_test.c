#include "store/dkim_store.h"

#include "store/store_contract.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct contract contract;
static struct db *db;
static struct buf listed;

static void must(enum err err)
{
	if (err != ERR_OK)
		fail_msg("%s: %s", err_name(err), err_detail());
}

static int setup(void **state)
{
	(void)state;
	contract_open(&contract);
	db = contract.db;
	must(db_exec(db, "DELETE FROM dkim_key"));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	contract_close(&contract);
	return 0;
}

static struct view v(const char *s)
{
	return view_from_cstr(s);
}

static enum err put(const char *domain, const char *selector, const char *origin, enum dkim_state state, int64_t at_ms)
{
	struct dkim_row row = { .domain = v(domain),
		.selector = v(selector),
		.algorithm = v("rsa"),
		.origin = v(origin),
		.private_key = v("PEM"),
		.state = state,
		.created_ms = at_ms };
	return dkim_store_put(db, &row);
}

static void show(void *owner, const struct dkim_row *row)
{
	(void)owner;
	must(buf_append_format(&listed, "%.*s:%.*s<%.*s=%s/%d/%d/%d ", VIEW_ARG(row->domain), VIEW_ARG(row->selector),
		VIEW_ARG(row->origin), dkim_state_name(row->state), (int)row->created_ms, (int)row->activated_ms,
		(int)row->retired_ms));
}

static void expect_list(const char *domain, const char *want)
{
	must(dkim_store_list(db, v(domain), show, NULL));
	assert_string_equal(buf_cstr(&listed), want);
	buf_clear(&listed);
}

static void expect_state(const char *domain, enum dkim_state state, const char *want)
{
	must(dkim_store_list_state(db, v(domain), state, show, NULL));
	assert_string_equal(buf_cstr(&listed), want);
	buf_clear(&listed);
}

static void keys_are_kept_and_listed(void **state)
{
	(void)state;
	expect_list("", "");
	must(put("Example.ORG", "S1", "", DKIM_STATE_NEW, 20));
	must(put("example.org", "s0", "", DKIM_STATE_ACTIVE, 10));
	must(put("a.example", "x.y", "", DKIM_STATE_NEW, 30));
	assert_int_equal(put("example.org", "s1", "", DKIM_STATE_NEW, 40), ERR_EXISTS);
	expect_list("", "a.example:x.y<x.y=new/30/0/0 example.org:s0<s0=active/10/0/0 example.org:s1<s1=new/20/0/0 ");
	expect_list("A.example", "a.example:x.y<x.y=new/30/0/0 ");
	expect_list("other.example", "");
	expect_state("", DKIM_STATE_NEW, "a.example:x.y<x.y=new/30/0/0 example.org:s1<s1=new/20/0/0 ");
	expect_state("example.org", DKIM_STATE_ACTIVE, "example.org:s0<s0=active/10/0/0 ");
	expect_state("", DKIM_STATE_RETIRED, "");
}

static void malformed_names_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = { "", "-a", "a..b", "a.", "a b", "\xc3\xbc", "a;b", "a\"b", "_x/y" };
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(put("example.org", bad[i], "", DKIM_STATE_NEW, 0), ERR_SYNTAX);
		if (bad[i][0] != '\0')
			assert_int_equal(put("example.org", "s", bad[i], DKIM_STATE_NEW, 0), ERR_SYNTAX);
	}
	assert_int_equal(put("", "s", "", DKIM_STATE_NEW, 0), ERR_SYNTAX);
	assert_int_equal(put("a..b", "s", "", DKIM_STATE_NEW, 0), ERR_SYNTAX);
	assert_int_equal(dkim_store_list(db, v("a..b"), show, NULL), ERR_SYNTAX);
	char selector[200];
	memset(selector, 'a', sizeof selector);
	for (size_t i = 60; i < sizeof selector; i += 61)
		selector[i] = '.';
	selector[129] = '\0';
	assert_int_equal(put("example.org", selector, "", DKIM_STATE_NEW, 0), ERR_SYNTAX);
	selector[128] = '\0';
	must(put("example.org", selector, "", DKIM_STATE_NEW, 0));
}

static void a_key_lives_its_states(void **state)
{
	(void)state;
	must(put("example.org", "s1", "", DKIM_STATE_NEW, 1));
	must(dkim_store_activate(db, v("EXAMPLE.org"), v("S1"), 5));
	must(dkim_store_activate(db, v("example.org"), v("s1"), 6)); /* stays */
	expect_list("", "example.org:s1<s1=active/1/5/0 ");
	assert_int_equal(dkim_store_remove(db, v("example.org"), v("s1")), ERR_STATE);
	must(dkim_store_retire(db, v("example.org"), v("s1"), 7));
	must(dkim_store_retire(db, v("example.org"), v("s1"), 8));
	expect_list("", "example.org:s1<s1=retired/1/5/7 ");
	/* A mistake can be undone. */
	must(dkim_store_activate(db, v("example.org"), v("s1"), 9));
	expect_list("", "example.org:s1<s1=active/1/9/0 ");
	must(dkim_store_retire(db, v("example.org"), v("s1"), 10));
	must(dkim_store_remove(db, v("example.org"), v("s1")));
	expect_list("", "");
	assert_int_equal(dkim_store_activate(db, v("example.org"), v("s1"), 1), ERR_NOT_FOUND);
	assert_int_equal(dkim_store_retire(db, v("example.org"), v("s1"), 1), ERR_NOT_FOUND);
	assert_int_equal(dkim_store_remove(db, v("example.org"), v("s1")), ERR_NOT_FOUND);
	assert_int_equal(dkim_store_remove(db, v("example.org"), v("")), ERR_SYNTAX);
}

static void a_new_key_takes_the_place_of_the_old(void **state)
{
	(void)state;
	must(put("example.org", "s1", "", DKIM_STATE_ACTIVE, 1));
	must(put("example.org", "other", "", DKIM_STATE_ACTIVE, 2));
	must(put("a.example", "s1", "", DKIM_STATE_ACTIVE, 2));
	must(put("example.org", "s2", "s1", DKIM_STATE_NEW, 3));
	must(put("example.org", "s3", "s1", DKIM_STATE_NEW, 4));
	must(dkim_store_activate(db, v("example.org"), v("s2"), 10));
	expect_list("",
		"a.example:s1<s1=active/2/0/0 example.org:s1<s1=retired/1/0/10 "
		"example.org:other<other=active/2/0/0 example.org:s2<s1=active/3/10/0 example.org:s3<s1=new/4/0/0 ");
	must(dkim_store_activate(db, v("example.org"), v("s3"), 20));
	expect_state("example.org", DKIM_STATE_ACTIVE,
		"example.org:other<other=active/2/0/0 example.org:s3<s1=active/4/20/0 ");
}

static void a_domain_has_so_many_keys(void **state)
{
	(void)state;
	char selector[32];
	for (unsigned i = 0; i < DKIM_STORE_KEYS_MAX; i++) {
		snprintf(selector, sizeof selector, "s%u", i);
		must(put("example.org", selector, "", DKIM_STATE_NEW, i));
	}
	assert_int_equal(put("example.org", "more", "", DKIM_STATE_NEW, 0), ERR_LIMIT);
	must(put("a.example", "more", "", DKIM_STATE_NEW, 0));
	must(dkim_store_remove(db, v("example.org"), v("s3")));
	must(put("example.org", "more", "", DKIM_STATE_NEW, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(keys_are_kept_and_listed, setup, teardown),
		cmocka_unit_test_setup_teardown(malformed_names_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(a_key_lives_its_states, setup, teardown),
		cmocka_unit_test_setup_teardown(a_new_key_takes_the_place_of_the_old, setup, teardown),
		cmocka_unit_test_setup_teardown(a_domain_has_so_many_keys, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
