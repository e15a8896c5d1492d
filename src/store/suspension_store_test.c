#include "store/store_contract.h"
#include "store/suspension_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct contract contract;
static struct arena arena;
static struct suspension *found;
static size_t count;

static int setup(void **state)
{
	(void)state;
	contract_open(&contract);
	arena_init(&arena, SUSPENSION_ARENA_BYTES);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	contract_close(&contract);
	arena_clear(&arena);
	return 0;
}

static void must(enum err err)
{
	if (err != ERR_OK)
		fail_msg("%s: %s", err_name(err), err_detail());
}

static void set(enum suspension_kind kind, const char *name, int64_t until_ms, const char *reason)
{
	struct suspension suspension = {
		.kind = kind, .name = view_from_cstr(name), .until_ms = until_ms, .reason = view_from_cstr(reason)
	};
	must(suspension_store_set(contract.db, &suspension));
}

static void set_for_stream(
	enum suspension_source source, const char *site, const char *stream, int64_t until_ms, const char *reason)
{
	struct suspension suspension = { .source = source,
		.kind = SUSPENSION_SITE,
		.name = view_from_cstr(site),
		.stream = view_from_cstr(stream),
		.until_ms = until_ms,
		.reason = view_from_cstr(reason) };
	must(suspension_store_set(contract.db, &suspension));
}

static void list(int64_t now_ms)
{
	arena_clear(&arena);
	must(suspension_store_list(contract.db, now_ms, &arena, &found, &count));
}

static const struct suspension *find(enum suspension_kind kind, const char *name, int64_t now_ms)
{
	struct suspension wanted = { .kind = kind, .name = view_from_cstr(name) };
	return suspension_find(found, count, &wanted, now_ms);
}

static const struct suspension *find_for_stream(
	enum suspension_source source, const char *site, const char *stream, int64_t now_ms)
{
	struct suspension wanted = { .source = source,
		.kind = SUSPENSION_SITE,
		.name = view_from_cstr(site),
		.stream = view_from_cstr(stream) };
	return suspension_find(found, count, &wanted, now_ms);
}

/* How many were in force, and are gone. */
static size_t lift(enum suspension_kind kind, const char *name, const char *stream, int64_t now_ms)
{
	arena_clear(&arena);
	must(suspension_store_lift(
		contract.db, kind, view_from_cstr(name), view_from_cstr(stream), now_ms, &arena, &found, &count));
	return count;
}

static void set_list_and_remove(void **state)
{
	(void)state;
	list(0);
	assert_int_equal(count, 0);
	assert_null(find(SUSPENSION_SITE, "google", 0));
	set(SUSPENSION_STREAM, "shop", 500, "warming up");
	set(SUSPENSION_SITE, "Google", 0, "");
	set(SUSPENSION_DOMAIN, "b.example", 0, "moved");
	set(SUSPENSION_DOMAIN, "a.example", 700, "");
	set(SUSPENSION_DOMAIN, "google", 700, "a domain of that name");
	list(100);
	assert_int_equal(count, 5);
	assert_true(view_eq(found[0].name, VIEW("a.example")) && found[0].until_ms == 700);
	const struct suspension *site = find(SUSPENSION_SITE, "GOOGLE", 100);
	assert_non_null(site);
	assert_true(site->until_ms == 0 && site->reason.len == 0 && view_eq(site->name, VIEW("google")));
	assert_true(view_eq(find(SUSPENSION_STREAM, "shop", 100)->reason, VIEW("warming up")));
	assert_true(view_eq(find(SUSPENSION_DOMAIN, "google", 100)->reason, VIEW("a domain of that name")));
	static const char *const others[] = { "", "a", "a.exampl", "a.example.", "a.examplf", "zz", "shop" };
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		if (find(SUSPENSION_DOMAIN, others[i], 100) != NULL)
			fail_msg("\"%s\" was found", others[i]);
	set(SUSPENSION_DOMAIN, "A.Example", 0, "for longer");
	list(100);
	assert_int_equal(count, 5);
	assert_int_equal(find(SUSPENSION_DOMAIN, "a.example", 100)->until_ms, 0);
	assert_int_equal(lift(SUSPENSION_DOMAIN, "a.EXAMPLE", "", 100), 1);
	assert_true(view_eq(found[0].name, VIEW("a.example")) && view_eq(found[0].reason, VIEW("for longer")));
	assert_int_equal(lift(SUSPENSION_DOMAIN, "a.example", "", 100), 0);
	assert_int_equal(lift(SUSPENSION_SITE, "b.example", "", 100), 0);
	list(100);
	assert_int_equal(count, 4);
}

/* What an operator and a rule say of the same site, for all its mail and for single streams, are things apart, until one is resumed that names them. */
static void of_rules_and_for_streams(void **state)
{
	(void)state;
	static const struct {
		const char *name, *stream;
		enum suspension_kind kind;
		size_t lifted;
		const char *left; /* of the site google */
	} cases[] = {
		{ "Google", "", SUSPENSION_SITE, 5, "" },
		{ "google", "SHOP", SUSPENSION_SITE, 2, "operator/ rule/ rule/news " },
		{ "shop", "", SUSPENSION_STREAM, 4, "operator/ rule/ rule/news " },
		{ "google", "", SUSPENSION_DOMAIN, 0, "operator/ rule/ operator/shop rule/shop rule/news " },
		{ "google", "none", SUSPENSION_SITE, 0, "operator/ rule/ operator/shop rule/shop rule/news " },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		set(SUSPENSION_SITE, "google", 0, "an operator's");
		set(SUSPENSION_STREAM, "shop", 0, "the stream itself");
		set_for_stream(SUSPENSION_BY_OPERATOR, "google", "shop", 0, "an operator's of one stream");
		set_for_stream(SUSPENSION_BY_RULE, "Google", "", 500, "421 4.7.28 a rule's");
		set_for_stream(SUSPENSION_BY_RULE, "google", "Shop", 600, "421 4.7.28 of shop");
		set_for_stream(SUSPENSION_BY_RULE, "google", "news", 700, "421 4.7.28 of news");
		set_for_stream(SUSPENSION_BY_RULE, "yahoo", "shop", 700, "421 4.7.0 [TSS04]");
		list(100);
		assert_int_equal(count, 7);
		assert_true(view_eq(find_for_stream(SUSPENSION_BY_RULE, "google", "SHOP", 100)->reason,
			VIEW("421 4.7.28 of shop")));
		assert_null(find_for_stream(SUSPENSION_BY_RULE, "google", "shop", 600));
		assert_null(find_for_stream(SUSPENSION_BY_OPERATOR, "google", "news", 100));
		assert_int_equal(lift(cases[i].kind, cases[i].name, cases[i].stream, 100), cases[i].lifted);
		list(100);
		struct buf left = { 0 };
		static const char *const streams[] = { "", "shop", "news" };
		for (size_t n = 0; n < 3; n++)
			for (size_t source = 0; source < SUSPENSION_SOURCES; source++)
				if (find_for_stream((enum suspension_source)source, "google", streams[n], 100) != NULL)
					must(buf_append_format(&left, "%s/%s ",
						suspension_source_name((enum suspension_source)source), streams[n]));
		assert_string_equal(buf_cstr(&left), cases[i].left);
		buf_clear(&left);
	}
	/* What ended is no suspension that was lifted, and is gone all the same. */
	assert_int_equal(lift(SUSPENSION_SITE, "google", "shop", 600), 1);
	assert_int_equal(contract_int(contract.db, "SELECT COUNT(*) FROM suspension WHERE stream = 'shop'"), 1);
}

static void ends_with_its_time(void **state)
{
	(void)state;
	set(SUSPENSION_STREAM, "shop", 500, "");
	set(SUSPENSION_STREAM, "news", 0, "");
	list(499);
	assert_int_equal(count, 2);
	assert_non_null(find(SUSPENSION_STREAM, "shop", 499));
	assert_null(find(SUSPENSION_STREAM, "shop", 500)); /* a list that was read before it ended */
	list(500);
	assert_int_equal(count, 1);
	assert_int_equal(contract_int(contract.db, "SELECT COUNT(*) FROM suspension"), 2);
	must(suspension_store_tidy(contract.db, 499));
	assert_int_equal(contract_int(contract.db, "SELECT COUNT(*) FROM suspension"), 2);
	must(suspension_store_tidy(contract.db, 500));
	assert_int_equal(contract_int(contract.db, "SELECT COUNT(*) FROM suspension"), 1);
	must(suspension_store_tidy(contract.db, INT64_MAX));
	assert_int_equal(contract_int(contract.db, "SELECT COUNT(*) FROM suspension"), 1);
}

static void limits(void **state)
{
	(void)state;
	static char text[SUSPENSION_NAME_MAX_BYTES + 1];
	memset(text, 'x', sizeof text);
	struct suspension s = { .kind = SUSPENSION_SITE };
	assert_int_equal(suspension_store_set(contract.db, &s), ERR_SYNTAX);
	s.name = view_of(text, sizeof text);
	assert_int_equal(suspension_store_set(contract.db, &s), ERR_LIMIT);
	s.name = view_of(text, SUSPENSION_NAME_MAX_BYTES);
	s.reason = view_of(text, SUSPENSION_REASON_MAX_BYTES + 1);
	assert_int_equal(suspension_store_set(contract.db, &s), ERR_LIMIT);
	s.reason = view_of(text, SUSPENSION_REASON_MAX_BYTES);
	must(suspension_store_set(contract.db, &s));
	must(db_begin(contract.db));
	for (unsigned i = 1; i < SUSPENSIONS_MAX; i++) {
		char name[16];
		snprintf(name, sizeof name, "d%u", i);
		set(SUSPENSION_DOMAIN, name, 0, "");
	}
	must(db_commit(contract.db));
	s.name = VIEW("one.more");
	assert_int_equal(suspension_store_set(contract.db, &s), ERR_LIMIT);
	set(SUSPENSION_DOMAIN, "d1", 99, "changed");
	list(0);
	assert_int_equal(count, SUSPENSIONS_MAX);
	for (unsigned i = 1; i < SUSPENSIONS_MAX; i++) {
		char name[16];
		snprintf(name, sizeof name, "D%u", i);
		assert_non_null(find(SUSPENSION_DOMAIN, name, 0));
	}
	/* Rules have room of their own, which whoever sets them keeps. */
	set_for_stream(SUSPENSION_BY_RULE, "google", "", 99, "");
	struct arena small;
	arena_init(&small, 1000);
	assert_int_equal(suspension_store_list(contract.db, 0, &small, &found, &count), ERR_LIMIT);
	arena_clear(&small);
}

static void texts(void **state)
{
	(void)state;
	enum suspension_kind kind;
	for (size_t i = 0; i < SUSPENSION_KINDS; i++) {
		assert_true(
			suspension_kind_parse(view_from_cstr(suspension_kind_name((enum suspension_kind)i)), &kind));
		assert_int_equal(kind, i);
	}
	assert_false(suspension_kind_parse(VIEW("Site"), &kind));
	assert_false(suspension_kind_parse(VIEW_NONE, &kind));
	struct buf out = { 0 };
	struct suspension s = { .kind = SUSPENSION_SITE, .name = VIEW("google") };
	must(suspension_reply(&s, &out));
	assert_string_equal(buf_cstr(&out), "450 4.3.2 Suspended by the administrator: site google");
	buf_reset(&out);
	s.reason = VIEW("new addresses");
	must(suspension_reply(&s, &out));
	assert_string_equal(buf_cstr(&out), "450 4.3.2 Suspended by the administrator: site google (new addresses)");
	assert_true(suspension_is_reply(buf_view(&out)));
	buf_reset(&out);
	s = (struct suspension){ .source = SUSPENSION_BY_RULE,
		.kind = SUSPENSION_SITE,
		.name = VIEW("google"),
		.stream = VIEW("shop"),
		.reason = VIEW("421 4.7.28 Too fast") };
	must(suspension_reply(&s, &out));
	assert_string_equal(buf_cstr(&out),
		"451 4.7.0 Mail is suspended by a shaping rule: site google, stream shop (421 4.7.28 Too fast)");
	assert_true(suspension_is_reply(buf_view(&out)));
	buf_clear(&out);
}

#define BY_OPERATOR "450 4.3.2 Suspended by the administrator: "
#define BY_RULE "451 4.7.0 Mail is suspended by a shaping rule: "

static void what_a_reply_names(void **state)
{
	(void)state;
	static const struct {
		const char *reply, *what;
		bool names;
	} cases[] = {
		{ BY_OPERATOR "site google", "site google", true },
		{ BY_OPERATOR "site google (why)", "site Google", true },
		{ BY_RULE "site google (421 4.7.28 a)", "site google", true },
		{ BY_RULE "site google, stream shop (421 a)", "site google", true },
		{ BY_RULE "site google, stream shop (421 a)", "site google, stream shop", true },
		{ BY_RULE "site google, stream shop (421 a)", "site google, stream sho", false },
		{ BY_RULE "site google, stream shop (421 a)", "stream shop", true },
		{ BY_RULE "site google, stream shop", "STREAM SHOP", true },
		{ BY_RULE "site a.example,b.example, stream shop", "stream shop", true },
		{ BY_RULE "site a.example,b.example, stream shop", "site a.example,b.example", true },
		{ BY_RULE "site a.example,b.example", "site a.example", false },
		{ BY_RULE "site google, stream shops (421 a)", "stream shop", false },
		{ BY_RULE "site google (as we said, stream shop)", "stream shop", false },
		{ BY_RULE "site google (421 a)", "site google, stream shop", false },
		{ BY_RULE "site google (421 a)", "stream shop", false },
		{ BY_OPERATOR "stream shop (why)", "stream shop", true },
		{ BY_OPERATOR "stream shopping", "stream shop", false },
		{ BY_OPERATOR "domain google", "site google", false },
		{ BY_OPERATOR "site googles", "site google", false },
		{ BY_OPERATOR "site google", "", false },
		{ "451 4.7.0 Site google is slow: site google", "site google", false },
		{ "", "site google", false },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		if (suspension_reply_names(view_from_cstr(cases[i].reply), view_from_cstr(cases[i].what)) !=
			cases[i].names)
			fail_msg("\"%s\" names \"%s\"?", cases[i].reply, cases[i].what);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(set_list_and_remove, setup, teardown),
		cmocka_unit_test_setup_teardown(of_rules_and_for_streams, setup, teardown),
		cmocka_unit_test_setup_teardown(ends_with_its_time, setup, teardown),
		cmocka_unit_test_setup_teardown(limits, setup, teardown),
		cmocka_unit_test_setup_teardown(texts, setup, teardown),
		cmocka_unit_test_setup_teardown(what_a_reply_names, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
