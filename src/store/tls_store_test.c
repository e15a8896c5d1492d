#include "store/store_contract.h"
#include "store/sts_store.h"
#include "store/tls_result_store.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct contract contract;
static struct arena arena;
static struct buf seen;

static int setup(void **state)
{
	(void)state;
	contract_open(&contract);
	arena_init(&arena, 1024 * 1024);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	contract_close(&contract);
	arena_clear(&arena);
	buf_clear(&seen);
	return 0;
}

static void must(enum err err)
{
	if (err != ERR_OK)
		fail_msg("%s: %s", err_name(err), err_detail());
}

static void put(const char *domain, const char *id, int64_t fetched_ms, int64_t expires_ms, int64_t used_ms)
{
	struct sts_stored stored = { view_from_cstr(id), VIEW("version: STSv1\nmode: enforce\n"), fetched_ms,
		expires_ms, used_ms };
	must(sts_store_put(contract.db, view_from_cstr(domain), &stored));
}

static void policies_are_kept(void **state)
{
	(void)state;
	struct sts_stored found = { .used_ms = 77 };
	assert_int_equal(sts_store_get(contract.db, VIEW("a.example"), &arena, &found), ERR_NOT_FOUND);
	assert_int_equal(found.used_ms, 77);
	put("a.example", "1", 100, 1000, 50);
	put("b.example", "9", 100, 1000, 50);
	put("a.example", "2", 200, 2000, 60);
	must(sts_store_get(contract.db, VIEW("a.example"), &arena, &found));
	assert_true(view_eq(found.id, VIEW("2")) && view_eq(found.policy, VIEW("version: STSv1\nmode: enforce\n")));
	assert_true(found.fetched_ms == 200 && found.expires_ms == 2000 && found.used_ms == 60);
	must(sts_store_mark_used(contract.db, VIEW("a.example"), 70));
	must(sts_store_get(contract.db, VIEW("a.example"), &arena, &found));
	assert_int_equal(found.used_ms, 70);
	struct arena tiny;
	arena_init(&tiny, 8);
	assert_int_equal(sts_store_get(contract.db, VIEW("a.example"), &tiny, &found), ERR_LIMIT);
	arena_clear(&tiny);
	must(sts_store_tidy(contract.db, 1000));
	assert_int_equal(sts_store_get(contract.db, VIEW("b.example"), &arena, &found), ERR_NOT_FOUND);
	must(sts_store_get(contract.db, VIEW("a.example"), &arena, &found));
}

static void note_domain(void *owner, struct view domain)
{
	(void)owner;
	must(buf_append_format(&seen, "%.*s ", VIEW_ARG(domain)));
}

static void stale_ones_are_listed(void **state)
{
	(void)state;
	put("fresh", "1", 900, 5000, 900);
	put("half", "1", 400, 1500, 900); /* 600 of 1,100 ms are over */
	put("old", "1", 100, 9000, 900); /* fetched before 200 */
	put("unused", "1", 100, 9000, 300);
	put("expired", "1", 100, 1000, 900);
	must(sts_store_list_stale(contract.db, 1000, 200, 500, 10, note_domain, NULL));
	assert_string_equal(buf_cstr(&seen), "half old ");
	buf_reset(&seen);
	must(sts_store_list_stale(contract.db, 1000, 200, 500, 1, note_domain, NULL));
	assert_string_equal(buf_cstr(&seen), "half ");
}

static void add(int32_t day, const char *domain, const char *policy, const char *result, uint64_t sessions)
{
	struct tls_result row = {
		.day = day,
		.domain = view_from_cstr(domain),
		.policy_type = VIEW("sts"),
		.policy = view_from_cstr(policy),
		.host = VIEW("mx.example"),
		.result = view_from_cstr(result),
		.reason = view_from_cstr(result[0] != '\0' ? "certificate has expired" : ""),
		.sending_ip = VIEW("192.0.2.1"),
		.receiving_ip = VIEW("192.0.2.2"),
		.sessions = sessions,
	};
	must(tls_result_store_add(contract.db, &row));
}

static void note_result(void *owner, const struct tls_result *r)
{
	(void)owner;
	must(buf_append_format(&seen, "%d %.*s %.*s/%.*s %.*s [%.*s] (%.*s) %.*s>%.*s %u\n", (int)r->day,
		VIEW_ARG(r->domain), VIEW_ARG(r->policy_type), VIEW_ARG(r->policy), VIEW_ARG(r->host),
		VIEW_ARG(r->result), VIEW_ARG(r->reason), VIEW_ARG(r->sending_ip), VIEW_ARG(r->receiving_ip),
		(unsigned)r->sessions));
}

static void note_day(void *owner, int32_t day, struct view domain)
{
	(void)owner;
	must(buf_append_format(&seen, "%d:%.*s ", (int)day, VIEW_ARG(domain)));
}

static void results_are_counted(void **state)
{
	(void)state;
	add(7, "a.example", "p", "", 3);
	add(7, "a.example", "p", "certificate-expired", 1);
	add(7, "a.example", "p", "", 4);
	add(7, "a.example", "o", "", 1);
	add(8, "a.example", "p", "", 9);
	must(tls_result_store_list(contract.db, 7, VIEW("a.example"), 100, note_result, NULL));
	assert_string_equal(buf_cstr(&seen),
		"7 a.example sts/o mx.example [] () 192.0.2.1>192.0.2.2 1\n"
		"7 a.example sts/p mx.example [] () 192.0.2.1>192.0.2.2 7\n"
		"7 a.example sts/p mx.example [certificate-expired] (certificate has expired) 192.0.2.1>192.0.2.2 1\n");
	buf_reset(&seen);
	must(tls_result_store_list(contract.db, 7, VIEW("a.example"), 1, note_result, NULL));
	assert_string_equal(buf_cstr(&seen), "7 a.example sts/o mx.example [] () 192.0.2.1>192.0.2.2 1\n");
}

static void days_and_domains(void **state)
{
	(void)state;
	add(7, "b.example", "p", "", 1);
	add(6, "c.example", "p", "", 1);
	add(7, "a.example", "p", "", 1);
	add(7, "a.example", "q", "", 1);
	add(8, "a.example", "p", "", 1);
	must(tls_result_store_domains(contract.db, 8, -1, VIEW_NONE, 100, note_day, NULL));
	assert_string_equal(buf_cstr(&seen), "6:c.example 7:a.example 7:b.example ");
	buf_reset(&seen);
	must(tls_result_store_domains(contract.db, 9, 7, VIEW("a.example"), 1, note_day, NULL));
	assert_string_equal(buf_cstr(&seen), "7:b.example ");
	must(tls_result_store_remove(contract.db, 7, VIEW("a.example")));
	must(tls_result_store_tidy(contract.db, 7));
	buf_reset(&seen);
	must(tls_result_store_domains(contract.db, 100, -1, VIEW_NONE, 100, note_day, NULL));
	assert_string_equal(buf_cstr(&seen), "7:b.example 8:a.example ");
}

struct listed {
	size_t count;
	struct tls_result list[4];
	char text[4][16];
};

static void keep_result(void *owner, const struct tls_result *result)
{
	struct listed *listed = owner;
	char *host = listed->text[listed->count];
	snprintf(host, sizeof listed->text[0], "%.*s", VIEW_ARG(result->host));
	listed->list[listed->count++] = (struct tls_result){ .day = result->day,
		.domain = VIEW("a.example"),
		.policy_type = VIEW("sts"),
		.policy = VIEW("p"),
		.host = view_from_cstr(host),
		.sessions = result->sessions };
}

static void add_at(const char *host, uint64_t sessions)
{
	must(tls_result_store_add(contract.db,
		&(struct tls_result){ .day = 7,
			.domain = VIEW("a.example"),
			.policy_type = VIEW("sts"),
			.policy = VIEW("p"),
			.host = view_from_cstr(host),
			.sessions = sessions }));
}

/* Only what a report tells is taken off: neither is a session lost that was counted while the report was made, nor told twice. */
static void only_what_was_listed_is_taken(void **state)
{
	(void)state;
	struct listed listed = { 0 }, more = { 0 };
	add_at("mx1", 2);
	add_at("mx2", 3);
	must(tls_result_store_list(contract.db, 7, VIEW("a.example"), 4, keep_result, &listed));
	assert_int_equal(listed.count, 2);
	add_at("mx2", 4);
	add_at("mx3", 1);
	must(tls_result_store_take(contract.db, listed.count, listed.list));
	must(tls_result_store_list(contract.db, 7, VIEW("a.example"), 4, keep_result, &more));
	assert_int_equal(more.count, 2);
	assert_string_equal(more.text[0], "mx2");
	assert_int_equal(more.list[0].sessions, 4);
	assert_string_equal(more.text[1], "mx3");
	/* Nothing came meanwhile. */
	must(tls_result_store_take(contract.db, more.count, more.list));
	must(tls_result_store_take(contract.db, 0, NULL));
	assert_int_equal(contract_int(contract.db, "SELECT COUNT(*) FROM tls_result"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(policies_are_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(stale_ones_are_listed, setup, teardown),
		cmocka_unit_test_setup_teardown(results_are_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(days_and_domains, setup, teardown),
		cmocka_unit_test_setup_teardown(only_what_was_listed_is_taken, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
