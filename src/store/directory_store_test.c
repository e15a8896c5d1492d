#include "store/directory_store.h"
#include "store/store_contract.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct contract contract;
static struct db *db;

static int setup(void **state)
{
	(void)state;
	contract_open(&contract);
	db = contract.db;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	contract_close(&contract);
	return 0;
}

static void must(enum err err)
{
	if (err != ERR_OK)
		fail_msg("%s: %s", err_name(err), err_detail());
}

static struct view v(const char *s)
{
	return view_from_cstr(s);
}

static struct buf listed;
static void domain_row(void *owner, struct view domain)
{
	(void)owner;
	must(buf_append_format(&listed, "%.*s ", VIEW_ARG(domain)));
}
static void account_row(void *owner, struct view address, bool can_log_in)
{
	(void)owner;
	must(buf_append_format(&listed, "%.*s%s ", VIEW_ARG(address), can_log_in ? "+" : ""));
}
static void alias_row(void *owner, struct view alias, struct view target)
{
	(void)owner;
	must(buf_append_format(&listed, "%.*s>%.*s ", VIEW_ARG(alias), VIEW_ARG(target)));
}
static void expect_listed(const char *want)
{
	assert_string_equal(buf_cstr(&listed), want);
	buf_clear(&listed);
}

static void domains(void **state)
{
	(void)state;
	must(directory_domain_add(db, v("Example.ORG")));
	must(directory_domain_add(db, v("a.example")));
	assert_int_equal(directory_domain_add(db, v("example.org")), ERR_EXISTS);
	static const char *const bad[] = { "", "-a.org", "a..b", "a.org.", "\xc3\xbc.example", "a b", "[192.0.2.1]" };
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(directory_domain_add(db, v(bad[i])), ERR_SYNTAX);
	must(directory_domain_list(db, domain_row, NULL));
	expect_listed("a.example example.org ");
	bool is = false;
	must(directory_domain_exists(db, v("EXAMPLE.org"), &is));
	assert_true(is);
	must(directory_domain_exists(db, v("sub.example.org"), &is));
	assert_false(is);
	must(directory_domain_exists(db, v(""), &is));
	assert_false(is);

	must(directory_account_add(db, v("x@example.org"), v("")));
	assert_int_equal(directory_domain_remove(db, v("example.org")), ERR_STATE);
	must(directory_account_remove(db, v("x@example.org")));
	must(directory_alias_add(db, v("@example.org"), v("y@elsewhere.example")));
	assert_int_equal(directory_domain_remove(db, v("example.org")), ERR_STATE);
	must(directory_alias_remove(db, v("@example.org"), v("")));
	must(directory_domain_remove(db, v("EXAMPLE.org")));
	assert_int_equal(directory_domain_remove(db, v("example.org")), ERR_NOT_FOUND);
}

static void accounts(void **state)
{
	(void)state;
	must(directory_domain_add(db, v("example.org")));
	must(directory_domain_add(db, v("a.example")));
	must(directory_account_add(db, v("Anna.Smith@Example.org"), v("$argon2id$x")));
	must(directory_account_add(db, v("\"bob\"@example.org"), v("")));
	must(directory_account_add(db, v("\"John Doe\"@a.example"), v("h")));
	assert_int_equal(directory_account_add(db, v("anna.smith@example.org"), v("")), ERR_EXISTS);
	assert_int_equal(directory_account_add(db, v("x@other.example"), v("")), ERR_NOT_FOUND);
	assert_int_equal(directory_account_add(db, v("x"), v("")), ERR_SYNTAX);
	assert_int_equal(directory_account_add(db, v("\"\"@example.org"), v("")), ERR_SYNTAX);
	assert_int_equal(directory_account_add(db, v("@example.org"), v("")), ERR_SYNTAX);
	must(directory_account_list(db, v(""), account_row, NULL));
	expect_listed("\"John Doe\"@a.example+ Anna.Smith@example.org+ bob@example.org ");
	must(directory_account_list(db, v("EXAMPLE.org"), account_row, NULL));
	expect_listed("Anna.Smith@example.org+ bob@example.org ");

	struct buf address = { 0 }, hash = { 0 };
	must(directory_account_login(db, v("aNNa.sMITH@eXAMPLE.ORG"), &address, &hash));
	assert_string_equal(buf_cstr(&address), "Anna.Smith@example.org");
	assert_string_equal(buf_cstr(&hash), "$argon2id$x");
	buf_reset(&address);
	buf_reset(&hash);
	must(directory_account_set_password(db, v("BOB@example.org"), v("new")));
	must(directory_account_login(db, v("bob@example.org"), &address, &hash));
	assert_string_equal(buf_cstr(&hash), "new");
	buf_reset(&address);
	buf_reset(&hash);
	static const char *const unknown[] = { "bobby@example.org", "bob+x@example.org", "bob", "", "bob@",
		"@example.org", "bob@example.org@example.org", "bob@example.org'--" };
	for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
		assert_int_equal(directory_account_login(db, v(unknown[i]), &address, &hash), ERR_NOT_FOUND);
	assert_true(address.len == 0 && hash.len == 0);
	assert_int_equal(directory_account_set_password(db, v("carl@example.org"), v("new")), ERR_NOT_FOUND);
	must(directory_account_remove(db, v("Bob@Example.org")));
	assert_int_equal(directory_account_remove(db, v("bob@example.org")), ERR_NOT_FOUND);
	buf_clear(&address);
	buf_clear(&hash);
}

static void aliases(void **state)
{
	(void)state;
	must(directory_domain_add(db, v("example.org")));
	must(directory_account_add(db, v("anna@example.org"), v("")));
	must(directory_alias_add(db, v("Sales@Example.org"), v("Anna@example.org")));
	must(directory_alias_add(db, v("sales@example.org"), v("X@Else.example")));
	must(directory_alias_add(db, v("@example.org"), v("anna@example.org")));
	assert_int_equal(directory_alias_add(db, v("SALES@example.org"), v("ANNA@example.org")), ERR_EXISTS);
	assert_int_equal(directory_alias_add(db, v("anna@example.org"), v("x@else.example")), ERR_EXISTS);
	assert_int_equal(directory_account_add(db, v("sales@example.org"), v("")), ERR_EXISTS);
	assert_int_equal(directory_alias_add(db, v("x@else.example"), v("anna@example.org")), ERR_NOT_FOUND);
	assert_int_equal(directory_alias_add(db, v("@else.example"), v("anna@example.org")), ERR_NOT_FOUND);
	assert_int_equal(directory_alias_add(db, v("self@example.org"), v("Self@example.org")), ERR_STATE);
	assert_int_equal(directory_alias_add(db, v("x@example.org"), v("@else.example")), ERR_SYNTAX);
	assert_int_equal(directory_alias_add(db, v("x@example.org"), v("anna")), ERR_SYNTAX);
	assert_int_equal(directory_alias_add(db, v("@"), v("anna@example.org")), ERR_SYNTAX);
	must(directory_alias_list(db, v("example.ORG"), alias_row, NULL));
	expect_listed(
		"@example.org>anna@example.org Sales@example.org>Anna@example.org sales@example.org>X@else.example ");
	must(directory_alias_remove(db, v("sales@example.org"), v("x@else.example")));
	assert_int_equal(directory_alias_remove(db, v("sales@example.org"), v("x@else.example")), ERR_NOT_FOUND);
	must(directory_alias_remove(db, v("SALES@example.org"), v("")));
	must(directory_alias_remove(db, v("@example.org"), v("")));
	must(directory_alias_list(db, v(""), alias_row, NULL));
	expect_listed("");
}

static const char *find_with(const char *local, const char *domain, const char *delimiter, const char *postmaster)
{
	static char text[4096];
	struct arena arena;
	arena_init(&arena, 1u << 20);
	struct directory_options options = { .delimiter = v(delimiter), .postmaster = v(postmaster) };
	struct directory_lookup lookup;
	enum err err = directory_find(db, &options, v(local), v(domain), &arena, &lookup);
	if (err != ERR_OK) {
		snprintf(text, sizeof text, "%s", err_name(err));
	} else if (lookup.result != DIRECTORY_FOUND) {
		assert_int_equal(lookup.target_count, 0);
		snprintf(text, sizeof text, "%s", lookup.result == DIRECTORY_UNKNOWN ? "unknown" : "not ours");
	} else {
		struct buf out = { 0 };
		for (size_t i = 0; i < lookup.target_count; i++) {
			const struct directory_target *t = &lookup.targets[i];
			must(buf_append_format(&out, "%s%.*s", i > 0 ? " " : "", VIEW_ARG(t->address)));
			if (t->is_mailbox)
				must(buf_append_format(&out, "=%.*s", VIEW_ARG(t->mailbox)));
		}
		snprintf(text, sizeof text, "%s", buf_cstr(&out));
		buf_clear(&out);
	}
	arena_clear(&arena);
	return text;
}

static void fill(void)
{
	static const char *const domain_names[] = { "d.example", "e.example", "all.example" };
	for (size_t i = 0; i < 3; i++)
		must(directory_domain_add(db, v(domain_names[i])));
	static const char *const account_names[] = { "First@d.example", "Bob@d.example", "\"odd one\"@d.example",
		"a+b@d.example", "info@all.example", "postmaster@e.example" };
	for (size_t i = 0; i < sizeof account_names / sizeof account_names[0]; i++)
		must(directory_account_add(db, v(account_names[i]), v("")));
	static const char *const pairs[][2] = {
		{ "sales@d.example", "bob@d.example" },
		{ "out@d.example", "Who@Else.example" },
		{ "list@d.example", "bob+list@d.example" },
		{ "list@d.example", "sales@d.example" },
		{ "list@d.example", "who@else.example" },
		{ "list@d.example", "out@d.example" },
		{ "list@d.example", "gone@d.example" },
		{ "twice@d.example", "bob@d.example" },
		{ "twice@d.example", "sales@d.example" },
		{ "gone-only@d.example", "gone@d.example" },
		{ "loop@d.example", "loop2@d.example" },
		{ "loop2@d.example", "loop@d.example" },
		{ "loop-out@d.example", "loop-out2@d.example" },
		{ "loop-out2@d.example", "loop-out@d.example" },
		{ "loop-out2@d.example", "bob@d.example" },
		{ "@all.example", "info@all.example" },
		{ "x@all.example", "nobody@all.example" },
		{ "tag@d.example", "sales+t@d.example" },
		{ "abuse@all.example", "bob@d.example" },
		{ "both@d.example", "postmaster@d.example" },
		{ "both@d.example", "abuse@d.example" },
	};
	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
		must(directory_alias_add(db, v(pairs[i][0]), v(pairs[i][1])));
}

static void find_cases(void **state)
{
	(void)state;
	fill();
	static const struct {
		const char *name, *local, *domain, *delimiter, *postmaster, *want;
	} cases[] = {
		{ "account", "bob", "d.example", "+", "", "bob@d.example=Bob@d.example" },
		{ "case of both", "BOB", "D.Example", "+", "", "BOB@d.example=Bob@d.example" },
		{ "needs quotes", "odd one", "d.example", "+", "", "\"odd one\"@d.example=\"odd one\"@d.example" },
		{ "tag", "bob+x+y", "d.example", "+", "", "bob+x+y@d.example=Bob@d.example" },
		{ "one of two delimiters", "bob-x+y", "d.example", "+-", "", "bob-x+y@d.example=Bob@d.example" },
		{ "empty tag", "bob+", "d.example", "+", "", "bob+@d.example=Bob@d.example" },
		{ "no delimiter", "bob+x", "d.example", "", "", "unknown" },
		{ "another delimiter", "bob+x", "d.example", "-", "", "unknown" },
		{ "account whose name has the delimiter", "A+B", "d.example", "+", "", "A+B@d.example=a+b@d.example" },
		{ "nothing before the delimiter", "+x", "d.example", "+", "", "unknown" },
		{ "unknown", "nobody", "d.example", "+", "", "unknown" },
		{ "empty", "", "d.example", "+", "", "unknown" },
		{ "not ours", "bob", "else.example", "+", "", "not ours" },
		{ "below ours is not ours", "bob", "sub.d.example", "+", "", "not ours" },
		{ "an address literal", "bob", "[192.0.2.1]", "+", "", "not ours" },
		{ "same name, other domain", "bob", "e.example", "+", "", "unknown" },
		{ "alias", "SALES", "d.example", "+", "", "bob@d.example=Bob@d.example" },
		{ "alias with tag", "sales+q", "d.example", "+", "", "bob@d.example=Bob@d.example" },
		{ "alias to elsewhere", "out", "d.example", "+", "", "Who@else.example" },
		{ "alias to a tagged alias", "tag", "d.example", "+", "", "bob@d.example=Bob@d.example" },
		{ "list", "list", "d.example", "+", "",
			"bob+list@d.example=Bob@d.example Who@else.example bob@d.example=Bob@d.example "
			"who@else.example" },
		{ "the same twice", "twice", "d.example", "+", "", "bob@d.example=Bob@d.example" },
		{ "alias to nobody", "gone-only", "d.example", "+", "", "unknown" },
		{ "loop", "loop", "d.example", "+", "", "unknown" },
		{ "loop with a way out", "loop-out", "d.example", "+", "", "bob@d.example=Bob@d.example" },
		{ "catch-all", "anything", "all.example", "+", "", "info@all.example=info@all.example" },
		{ "catch-all, empty local part", "", "all.example", "+", "", "info@all.example=info@all.example" },
		{ "alias to nobody, caught", "x", "all.example", "+", "", "info@all.example=info@all.example" },
		{ "postmaster: first account", "postmaster", "d.example", "+", "", "First@d.example=First@d.example" },
		{ "postmaster: configured", "PostMaster", "d.example", "+", "bob@d.example",
			"bob@d.example=Bob@d.example" },
		{ "postmaster: configured elsewhere", "postmaster", "d.example", "+", "p@else.example",
			"p@else.example" },
		{ "postmaster: configured an alias", "postmaster", "d.example", "+", "sales@d.example",
			"bob@d.example=Bob@d.example" },
		{ "postmaster: configured nobody", "postmaster", "d.example", "+", "gone@d.example",
			"First@d.example=First@d.example" },
		{ "postmaster: configured itself", "postmaster", "d.example", "+", "postmaster@d.example",
			"First@d.example=First@d.example" },
		{ "postmaster: an account", "postmaster", "e.example", "+", "bob@d.example",
			"postmaster@e.example=postmaster@e.example" },
		{ "postmaster: caught", "postmaster", "all.example", "+", "bob@d.example",
			"info@all.example=info@all.example" },
		{ "postmaster elsewhere", "postmaster", "else.example", "+", "", "not ours" },
		{ "abuse", "abuse", "d.example", "+", "bob@d.example", "bob@d.example=Bob@d.example" },
		{ "abuse: an alias", "abuse", "all.example", "+", "", "bob@d.example=Bob@d.example" },
		{ "both fall back to one", "both", "d.example", "+", "bob@d.example", "bob@d.example=Bob@d.example" },
		{ "other role names don't", "webmaster", "d.example", "+", "bob@d.example", "unknown" },
		{ "quotes are data", "a'; DROP TABLE account; --", "d.example", "+", "", "unknown" },
		{ "longer than a local part", "0123456789012345678901234567890123456789012345678901234567890123456789",
			"all.example", "+", "", "unknown" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const char *got = find_with(cases[i].local, cases[i].domain, cases[i].delimiter, cases[i].postmaster);
		if (strcmp(got, cases[i].want) != 0)
			fail_msg("%s: got %s, want %s", cases[i].name, got, cases[i].want);
	}
}

static void find_without_accounts(void **state)
{
	(void)state;
	must(directory_domain_add(db, v("d.example")));
	assert_string_equal(find_with("postmaster", "d.example", "+", ""), "unknown");
	assert_string_equal(find_with("postmaster", "d.example", "+", "p@d.example"), "unknown");
}

static void chain(const char *prefix, unsigned length)
{
	for (unsigned i = 1; i <= length; i++) {
		char from[64], to[64];
		snprintf(from, sizeof from, "%s%u@d.example", prefix, i);
		snprintf(to, sizeof to, i < length ? "%s%u@d.example" : "end@d.example", prefix, i + 1);
		must(directory_alias_add(db, v(from), v(to)));
	}
}

static void find_limits(void **state)
{
	(void)state;
	must(directory_domain_add(db, v("d.example")));
	must(directory_account_add(db, v("end@d.example"), v("")));
	chain("ten", 10);
	chain("eleven", 11);
	assert_string_equal(find_with("ten1", "d.example", "+", ""), "end@d.example=end@d.example");
	assert_string_equal(find_with("eleven1", "d.example", "+", ""), "limit");
	assert_string_equal(find_with("eleven2", "d.example", "+", ""), "end@d.example=end@d.example");

	must(db_begin(db));
	for (unsigned i = 0; i < 1001; i++) {
		char to[64];
		snprintf(to, sizeof to, "t%u@else.example", i);
		if (i < 1000)
			must(directory_alias_add(db, v("thousand@d.example"), v(to)));
		must(directory_alias_add(db, v("more@d.example"), v(to)));
	}
	must(db_commit(db));
	struct directory_options options = { .delimiter = VIEW("+") };
	struct directory_lookup lookup = { .target_count = 7 };
	struct arena arena;
	arena_init(&arena, 1u << 20);
	must(directory_find(db, &options, v("thousand"), v("d.example"), &arena, &lookup));
	assert_int_equal(lookup.target_count, 1000);
	arena_clear(&arena);
	assert_int_equal(directory_find(db, &options, v("more"), v("d.example"), &arena, &lookup), ERR_LIMIT);
	arena_clear(&arena);
	arena_init(&arena, 1000);
	assert_int_equal(directory_find(db, &options, v("thousand"), v("d.example"), &arena, &lookup), ERR_LIMIT);
	assert_int_equal(lookup.target_count, 1000); /* untouched */
	arena_clear(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(domains, setup, teardown),
		cmocka_unit_test_setup_teardown(accounts, setup, teardown),
		cmocka_unit_test_setup_teardown(aliases, setup, teardown),
		cmocka_unit_test_setup_teardown(find_cases, setup, teardown),
		cmocka_unit_test_setup_teardown(find_without_accounts, setup, teardown),
		cmocka_unit_test_setup_teardown(find_limits, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
