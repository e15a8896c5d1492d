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
	struct suspension suspension = { kind, view_from_cstr(name), until_ms, view_from_cstr(reason) };
	must(suspension_store_set(contract.db, &suspension));
}

static void list(int64_t now_ms)
{
	arena_clear(&arena);
	must(suspension_store_list(contract.db, now_ms, &arena, &found, &count));
}

static const struct suspension *find(enum suspension_kind kind, const char *name, int64_t now_ms)
{
	return suspension_find(found, count, kind, view_from_cstr(name), now_ms);
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
	bool was_there = false;
	must(suspension_store_remove(contract.db, SUSPENSION_DOMAIN, VIEW("a.EXAMPLE"), &was_there));
	assert_true(was_there);
	must(suspension_store_remove(contract.db, SUSPENSION_DOMAIN, VIEW("a.example"), &was_there));
	assert_false(was_there);
	must(suspension_store_remove(contract.db, SUSPENSION_SITE, VIEW("b.example"), &was_there));
	assert_false(was_there);
	list(100);
	assert_int_equal(count, 4);
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
	struct suspension s = { SUSPENSION_SITE, VIEW("google"), 0, VIEW_NONE };
	must(suspension_reply(&s, &out));
	assert_string_equal(buf_cstr(&out), "450 4.3.2 Suspended by the administrator: site google");
	buf_reset(&out);
	s.reason = VIEW("new addresses");
	must(suspension_reply(&s, &out));
	assert_string_equal(buf_cstr(&out), "450 4.3.2 Suspended by the administrator: site google (new addresses)");
	assert_true(view_starts_with(buf_view(&out), VIEW(SUSPENSION_REPLY)));
	buf_clear(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(set_list_and_remove, setup, teardown),
		cmocka_unit_test_setup_teardown(ends_with_its_time, setup, teardown),
		cmocka_unit_test_setup_teardown(limits, setup, teardown),
		cmocka_unit_test_setup_teardown(texts, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
