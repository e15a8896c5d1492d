#include "store/queue_summary.h"
#include "store/store_contract.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define NOW_MS 1700000000000
#define MINUTE_MS 60000

static struct contract contract;

static int setup(void **state)
{
	(void)state;
	contract_open(&contract);
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

static void put(int64_t age_ms, uint64_t size_bytes, size_t count, struct queue_recipient *recipients)
{
	static uint64_t serial;
	for (size_t i = 0; i < count; i++)
		recipients[i].index = (uint32_t)i;
	struct queue_message message = { .id = (uint64_t)(NOW_MS - age_ms) * 4096 + serial++ % 4096,
		.received_at_ms = NOW_MS - age_ms,
		.reverse_path = VIEW("sender@example.net"),
		.size_bytes = size_bytes,
		.recipient_count = count,
		.recipients = recipients };
	must(queue_store_put(contract.db, &message));
}

static struct queue_tally *read_all(const struct queue_filter *filter, size_t rows)
{
	struct queue_tally *tally = queue_tally_new(filter, NOW_MS);
	bool more = true;
	while (more)
		must(queue_tally_read(tally, contract.db, rows, &more));
	assert_true(queue_tally_summary(tally)->complete);
	return tally;
}

static void expect_top(struct queue_tally *tally, enum queue_grouping grouping, size_t room, const char *want)
{
	struct queue_group groups[10];
	size_t count = 0;
	bool exact = false;
	struct buf text = { 0 };
	must(queue_tally_top(tally, contract.db, grouping, room, groups, &count, &exact));
	assert_true(exact && count <= room);
	for (size_t i = 0; i < count; i++)
		must(buf_append_format(
			&text, "%.*s %llu|", VIEW_ARG(groups[i].name), (unsigned long long)groups[i].recipients));
	assert_string_equal(buf_cstr(&text), want);
	buf_clear(&text);
}

/* Three messages; five recipients at x.org, y.org and z.org. */
static void put_some(void)
{
	put(4 * 24 * 60 * MINUTE_MS, 100, 2,
		(struct queue_recipient[]){ { .address = VIEW("u@x.org"),
						    .attempts = 3,
						    .stream = VIEW("shop"),
						    .last_reply = VIEW("451 4.7.1 Greylisted, session a17") },
			{ .address = VIEW("U@Y.org"), .attempts = 2, .state = QUEUE_HELD } });
	put(10 * MINUTE_MS, 30, 2,
		(struct queue_recipient[]){ { .address = VIEW("v@y.org"),
						    .attempts = 1,
						    .last_reply = VIEW("451 4.7.1 Greylisted, session b2") },
			{ .address = VIEW("w@z.org"),
				.attempts = 1,
				.last_reply = VIEW("450 4.3.2 Suspended by the administrator: site z") } });
	put(0, 7, 1, (struct queue_recipient[]){ { .address = VIEW("w@x.org"), .flags = QUEUE_RETURN } });
}

static void empty(void **state)
{
	(void)state;
	struct queue_tally *tally = read_all(&(struct queue_filter){ 0 }, 10);
	const struct queue_summary *sum = queue_tally_summary(tally);
	assert_true(sum->messages == 0 && sum->recipients == 0 && sum->oldest_ms == 0 && sum->bytes == 0);
	for (size_t i = 0; i < QUEUE_GROUPINGS; i++)
		expect_top(tally, (enum queue_grouping)i, 10, "");
	queue_tally_free(tally);
	queue_tally_free(NULL);
}

/* The same, however large the bites are. */
static void totals_ages_and_groups(void **state)
{
	(void)state;
	put_some();
	must(queue_store_note_site(contract.db, VIEW("x.org"), VIEW("google"), 0));
	must(queue_store_note_site(contract.db, VIEW("z.org"), VIEW("google"), 0));
	for (size_t rows = 1; rows < 8; rows++) {
		struct queue_tally *tally = read_all(&(struct queue_filter){ 0 }, rows);
		const struct queue_summary *sum = queue_tally_summary(tally);
		assert_true(sum->messages == 3 && sum->recipients == 5 && sum->bytes == 137);
		assert_true(sum->deferred == 3 && sum->held == 1 && sum->suspended == 1 && sum->returning == 1);
		assert_true(sum->oldest_ms == NOW_MS - 4ll * 24 * 60 * MINUTE_MS);
		static const uint64_t ages[QUEUE_AGES] = { 1, 2, 0, 0, 0, 0, 2 };
		assert_memory_equal(sum->by_age, ages, sizeof ages);
		expect_top(tally, QUEUE_BY_DOMAIN, 10, "x.org 2|y.org 2|z.org 1|");
		expect_top(tally, QUEUE_BY_DOMAIN, 1, "x.org 2|");
		expect_top(tally, QUEUE_BY_DOMAIN, 0, "");
		expect_top(tally, QUEUE_BY_SITE, 10, "google 3|y.org 2|");
		expect_top(tally, QUEUE_BY_STREAM, 10, "shop 1|");
		expect_top(tally, QUEUE_BY_REPLY, 10,
			"451 4.7.1 Greylisted, session # 2|450 4.3.2 Suspended by the administrator: site z 1|");
		queue_tally_free(tally);
	}
}

static void filtered(void **state)
{
	(void)state;
	put_some();
	char domain[] = "y.org";
	struct queue_filter filter = { .recipient_domain = view_from_cstr(domain) };
	struct queue_tally *tally = queue_tally_new(&filter, NOW_MS);
	domain[0] = 'x'; /* the tally has its own */
	bool more;
	must(queue_tally_read(tally, contract.db, 100, &more));
	assert_false(more);
	const struct queue_summary *sum = queue_tally_summary(tally);
	assert_true(sum->messages == 2 && sum->recipients == 2 && sum->bytes == 130 && sum->held == 1);
	expect_top(tally, QUEUE_BY_SITE, 10, "y.org 2|");
	queue_tally_free(tally);
	tally = read_all(&(struct queue_filter){ .stream = VIEW("shop"), .sender = VIEW("sender@EXAMPLE.net") }, 100);
	assert_int_equal(queue_tally_summary(tally)->recipients, 1);
	queue_tally_free(tally);
}

/* More domains than are told apart: the large ones are still right, and it is said that small ones are missing. */
static void bounded(void **state)
{
	(void)state;
	must(db_exec(contract.db,
		"INSERT INTO recipient WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 450000)"
		" SELECT i, 0, 0, 0, 1, 0, 0, 0, 1, CASE i % 10 WHEN 0 THEN 'u@large.example' ELSE 'u@d' || i || "
		"'.example' END,"
		" '', '', '451 ' || i, '', 0, 0, '', '', 0, 0, 0, 0, 0 FROM n;"));
	struct queue_tally *tally = read_all(&(struct queue_filter){ 0 }, 100000);
	struct queue_group groups[2];
	size_t count;
	bool exact;
	must(queue_tally_top(tally, contract.db, QUEUE_BY_DOMAIN, 2, groups, &count, &exact));
	assert_true(!exact && count == 2);
	assert_true(view_eq(groups[0].name, VIEW("large.example")) && groups[0].recipients == 45000);
	assert_int_equal(groups[1].recipients, 1);
	must(queue_tally_top(tally, contract.db, QUEUE_BY_REPLY, 2, groups, &count, &exact));
	assert_true(exact && count == 1 && groups[0].recipients == 450000);
	queue_tally_free(tally);
}

/* Several threads count the same as one, also where most ids lie close together. */
static void by_several_threads(void **state)
{
	(void)state;
	must(db_exec(contract.db,
		"INSERT INTO recipient WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 149999)"
		" SELECT CASE WHEN i < 300 THEN (i / 3 + 1) * 1000000007 ELSE 6963200000000000000 + i / 3 END, i % 3, "
		"i % 7 = 0, 0, "
		"i % 5, 0, 0, 0, 10, 'u@d' || (i % 1000) || '.example', '', '', '451 reason ' || CASE i % 4 WHEN 0 "
		"THEN "
		"'one' ELSE "
		"'other' END, '', 0, 0, '', '', 0, 0, 0, 0, 0 FROM n;"));
	struct queue_tally *one = read_all(&(struct queue_filter){ 0 }, 30000),
			   *several = queue_tally_new(&(struct queue_filter){ 0 }, NOW_MS);
	must(queue_tally_read_all(several, contract.db));
	assert_int_equal(queue_tally_summary(one)->recipients, 150000);
	assert_int_equal(queue_tally_summary(one)->messages, 50000);
	assert_memory_equal(queue_tally_summary(one), queue_tally_summary(several), sizeof(struct queue_summary));
	for (size_t g = 0; g < QUEUE_GROUPINGS; g++) {
		struct queue_group a[10], b[10];
		size_t a_count, b_count;
		bool exact;
		must(queue_tally_top(one, contract.db, (enum queue_grouping)g, 10, a, &a_count, &exact));
		must(queue_tally_top(several, contract.db, (enum queue_grouping)g, 10, b, &b_count, &exact));
		assert_true(exact && a_count == b_count);
		for (size_t i = 0; i < a_count; i++)
			assert_true(view_eq(a[i].name, b[i].name) && a[i].recipients == b[i].recipients);
	}
	queue_tally_free(one);
	queue_tally_free(several);
	several = queue_tally_new(&(struct queue_filter){ .recipient_domain = VIEW("D7.example") }, NOW_MS);
	must(queue_tally_read_all(several, contract.db));
	assert_int_equal(queue_tally_summary(several)->recipients, 150);
	queue_tally_free(several);
}

static const struct {
	const char *reply, *want;
} reply_cases[] = {
	{ "", "" },
	{ "451", "451" },
	{ "451 4.7.1 Try again", "451 4.7.1 Try again" },
	{ "451 4.7.1 Greylisted for 300 seconds", "451 4.7.1 Greylisted for # seconds" },
	{ "250 2.0.0 Ok: queued as ABC123", "250 2.0.0 Ok: queued as #" },
	{ "550 <someone@example.org>: no such user", "550 # no such user" },
	{ "421 4.7.28 192.0.2.1 4.7.28", "421 4.7.28 # #" },
	{ "  450   spaces  ", "450 spaces" },
	{ "450 averyveryverylongwordthatisakey end", "450 # end" },
	{ "no code at all", "no code at all" },
};

static void reply_classes(void **state)
{
	(void)state;
	uint8_t out[QUEUE_REPLY_CLASS_MAX_BYTES];
	for (size_t i = 0; i < sizeof reply_cases / sizeof reply_cases[0]; i++) {
		size_t len = queue_reply_class(view_from_cstr(reply_cases[i].reply), out);
		if (!view_eq(view_of(out, len), view_from_cstr(reply_cases[i].want)))
			fail_msg("\"%s\" became \"%.*s\"", reply_cases[i].reply, (int)len, (char *)out);
	}
	uint8_t text[400];
	for (size_t cut = 0; cut <= sizeof text; cut++) {
		for (size_t i = 0; i < sizeof text; i++)
			text[i] = i % 7 == 6 ? ' ' : 'x';
		assert_true(queue_reply_class(view_of(text, cut), out) <= sizeof out);
		memset(text, ' ', sizeof text);
		assert_int_equal(queue_reply_class(view_of(text, cut), out), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(empty, setup, teardown),
		cmocka_unit_test_setup_teardown(totals_ages_and_groups, setup, teardown),
		cmocka_unit_test_setup_teardown(filtered, setup, teardown),
		cmocka_unit_test_setup_teardown(bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(by_several_threads, setup, teardown),
		cmocka_unit_test(reply_classes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
