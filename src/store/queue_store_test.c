#include "store/queue_store_private.h"
#include "store/store_contract.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct contract contract;
static struct arena arena;

static int setup(void **state)
{
	(void)state;
	contract_open(&contract);
	arena_init(&arena, 4u << 20);
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

static void assert_view(struct view got, const char *want)
{
	if (!view_eq(got, view_from_cstr(want)))
		fail_msg("got \"%.*s\", want \"%s\"", VIEW_ARG(got), want);
}

/* A message with `count` recipients "rN@example.org", due at `due`. */
static void put(uint64_t id, size_t count, int64_t due)
{
	static char addresses[8][32];
	struct queue_recipient recipients[8];
	assert_true(count <= 8);
	for (size_t i = 0; i < count; i++) {
		snprintf(addresses[i], sizeof addresses[i], "r%zu@example.org", i);
		recipients[i] = (struct queue_recipient){
			.index = (uint32_t)i, .address = view_from_cstr(addresses[i]), .due_at_ms = due
		};
	}
	struct queue_message message = { .id = id,
		.received_at_ms = (int64_t)id * 10,
		.reverse_path = VIEW("sender@example.net"),
		.size_bytes = 100 * id,
		.head = VIEW("Received: x\r\n"),
		.body = VIEW("\r\nhello\r\n"),
		.recipient_count = count,
		.recipients = recipients };
	must(queue_store_put(contract.db, &message));
}

static enum err load(uint64_t id, struct queue_message *ret)
{
	return queue_store_load(contract.db, id, &arena, ret);
}

static int64_t rows(void)
{
	return contract_int(
		contract.db, "SELECT (SELECT COUNT(*) FROM message) * 1000 + (SELECT COUNT(*) FROM recipient)");
}

/* What is put comes back, to the last bit. */
static void put_and_load(void **state)
{
	(void)state;
	struct queue_recipient recipients[] = {
		{ .index = 0,
			.address = VIEW("\"odd \\\" one\"@example.org"),
			.orcpt = VIEW("rfc822;odd+20one@example.org"),
			.original = VIEW("alias@example.org"),
			.notify = 5,
			.state = QUEUE_HELD,
			.attempts = UINT32_MAX,
			.due_at_ms = INT64_MAX,
			.warned = true,
			.last_reply = VIEW("451 4.7.1 sp\xc3\xa4ter"),
			.last_host = VIEW("mx.example.org[2001:db8::1]"),
			.last_attempt_ms = 17,
			.stream = VIEW("shop"),
			.smarthost = VIEW("google"),
			.priority = -9,
			.deliver_by_ms = 1700000000999,
			.flags = QUEUE_REQUIRETLS | QUEUE_NO_SRS,
			.hold_until_ms = 1700000000777,
			.hold_for_s = 999999999 },
		{ .index = UINT32_MAX, .address = VIEW("b@example.org"), .due_at_ms = 3 },
	};
	static const char body[] = "\r\nNUL \0 and \xff bytes\r\n";
	struct queue_message message = { .id = INT64_MAX,
		.received_at_ms = 1700000000123,
		.reverse_path = VIEW("Sender@Example.net"),
		.envid = VIEW("QQ314159"),
		.ret = 2,
		.body_type = 3,
		.smtputf8 = true,
		.account = VIEW("me@example.net"),
		.client = VIEW("192.0.2.1"),
		.source = VIEW("submission"),
		.size_bytes = UINT32_MAX + 5ull,
		.head = VIEW("Received: from x\r\n\tby y\r\n"),
		.body = view_of(body, sizeof body - 1),
		.spool = VIEW("3f/000000000000a"),
		.recipient_count = 2,
		.recipients = recipients };
	must(queue_store_put(contract.db, &message));
	struct queue_message got;
	must(load(INT64_MAX, &got));
	assert_true(got.id == INT64_MAX && got.received_at_ms == 1700000000123 && got.size_bytes == UINT32_MAX + 5ull);
	assert_true(got.ret == 2 && got.body_type == 3 && got.smtputf8);
	assert_view(got.reverse_path, "Sender@Example.net");
	assert_view(got.envid, "QQ314159");
	assert_view(got.account, "me@example.net");
	assert_view(got.client, "192.0.2.1");
	assert_view(got.source, "submission");
	assert_view(got.spool, "3f/000000000000a");
	assert_int_equal(got.recipient_count, 2);
	const struct queue_recipient *r = got.recipients;
	assert_view(r[0].address, "\"odd \\\" one\"@example.org");
	assert_view(r[0].orcpt, "rfc822;odd+20one@example.org");
	assert_view(r[0].original, "alias@example.org");
	assert_view(r[0].last_reply, "451 4.7.1 sp\xc3\xa4ter");
	assert_view(r[0].last_host, "mx.example.org[2001:db8::1]");
	assert_true(r[0].notify == 5 && r[0].state == QUEUE_HELD && r[0].attempts == UINT32_MAX && r[0].warned);
	assert_true(r[0].due_at_ms == INT64_MAX && r[0].last_attempt_ms == 17 && r[0].index == 0);
	assert_view(r[0].stream, "shop");
	assert_view(r[0].smarthost, "google");
	assert_true(r[0].priority == -9 && r[0].deliver_by_ms == 1700000000999);
	assert_int_equal(r[0].flags, QUEUE_REQUIRETLS | QUEUE_NO_SRS);
	assert_true(r[0].hold_until_ms == 1700000000777 && r[0].hold_for_s == 999999999);
	assert_true(r[1].hold_until_ms == 0 && r[1].hold_for_s == 0);
	assert_view(r[1].stream, "");
	assert_true(r[1].priority == 0 && r[1].deliver_by_ms == 0 && r[1].flags == 0);
	assert_true(r[1].index == UINT32_MAX && r[1].state == QUEUE_READY && !r[1].warned && r[1].due_at_ms == 3);
	assert_view(r[1].orcpt, "");

	struct buf head = { 0 }, content = { 0 };
	char spool[64];
	must(queue_store_load_content(contract.db, INT64_MAX, &head, &content, spool));
	assert_view(buf_view(&head), "Received: from x\r\n\tby y\r\n");
	assert_true(view_eq(buf_view(&content), message.body));
	assert_string_equal(spool, "3f/000000000000a");
	buf_clear(&head);
	buf_clear(&content);

	assert_int_equal(queue_store_put(contract.db, &message), ERR_EXISTS);
	assert_int_equal(load(5, &got), ERR_NOT_FOUND);
	assert_int_equal(load(UINT64_MAX, &got), ERR_NOT_FOUND);
	assert_int_equal(queue_store_load_content(contract.db, 5, &head, &content, spool), ERR_NOT_FOUND);
}

static void content_limits(void **state)
{
	(void)state;
	put(1, 1, 0);
	struct buf head, content;
	char spool[64] = "kept";
	buf_init(&head, 100);
	buf_init(&content, 5);
	assert_int_equal(queue_store_load_content(contract.db, 1, &head, &content, spool), ERR_LIMIT);
	assert_int_equal(head.len, 0);
	assert_string_equal(spool, "kept");
	buf_clear(&head);
	buf_clear(&content);
}

static void settle(void **state)
{
	(void)state;
	char spool[64] = "?";
	put(1, 3, 5);
	struct queue_outcome first[] = {
		{ .index = 0, .kind = QUEUE_SETTLED },
		{ .index = 2,
			.kind = QUEUE_DEFERRED,
			.attempts = 2,
			.due_at_ms = 900,
			.warned = true,
			.last_reply = VIEW("450 later"),
			.last_host = VIEW("mx[192.0.2.7]"),
			.last_attempt_ms = 70 },
	};
	must(queue_store_settle(contract.db, 1, 2, first, spool));
	assert_string_equal(spool, "");
	struct queue_message got;
	must(load(1, &got));
	assert_int_equal(got.recipient_count, 2);
	assert_true(got.recipients[0].index == 1 && got.recipients[0].attempts == 0);
	const struct queue_recipient *r = &got.recipients[1];
	assert_true(r->index == 2 && r->attempts == 2 && r->due_at_ms == 900 && r->warned && r->last_attempt_ms == 70);
	assert_view(r->last_reply, "450 later");
	assert_view(r->last_host, "mx[192.0.2.7]");
	/* Rows that are gone are passed over; the others still count. */
	struct queue_outcome second[] = { { .index = 0, .kind = QUEUE_DEFERRED }, { .index = 1, .kind = QUEUE_SETTLED },
		{ .index = 7, .kind = QUEUE_SETTLED } };
	must(queue_store_settle(contract.db, 1, 3, second, spool));
	assert_int_equal(rows(), 1001);
	struct queue_outcome third[] = { { .index = 2, .kind = QUEUE_SETTLED },
		{ .index = 1, .kind = QUEUE_DEFERRED } };
	must(queue_store_settle(contract.db, 1, 2, third, spool));
	assert_int_equal(rows(), 0);
	must(queue_store_settle(contract.db, 1, 2, third, spool)); /* all of it is gone */
	must(queue_store_settle(contract.db, 1, 0, NULL, spool));
}

static void settle_names_the_spool_file_once(void **state)
{
	(void)state;
	struct queue_recipient recipients[] = { { .index = 0, .address = VIEW("a@b") },
		{ .index = 1, .address = VIEW("c@d") } };
	struct queue_message message = {
		.id = 9, .spool = VIEW("aa/name"), .recipient_count = 2, .recipients = recipients
	};
	must(queue_store_put(contract.db, &message));
	char spool[64] = "?";
	struct queue_outcome outcome = { .index = 1, .kind = QUEUE_SETTLED };
	must(queue_store_settle(contract.db, 9, 1, &outcome, spool));
	assert_string_equal(spool, "");
	outcome.index = 0;
	must(queue_store_settle(contract.db, 9, 1, &outcome, spool));
	assert_string_equal(spool, "aa/name");
	must(queue_store_settle(contract.db, 9, 1, &outcome, spool));
	assert_string_equal(spool, "");
}

static void deferral_keeps_a_hold(void **state)
{
	(void)state;
	put(1, 1, 5);
	uint64_t changed = 0;
	struct queue_filter filter = { .message_id = 1 };
	must(queue_store_change(
		contract.db, &(struct queue_change){ .action = QUEUE_HOLD }, &filter, NULL, NULL, &changed));
	assert_int_equal(changed, 1);
	struct queue_outcome outcome = { .index = 0, .kind = QUEUE_DEFERRED, .attempts = 1, .due_at_ms = 50 };
	char spool[64];
	must(queue_store_settle(contract.db, 1, 1, &outcome, spool));
	struct queue_message got;
	must(load(1, &got));
	assert_true(got.recipients[0].state == QUEUE_HELD && got.recipients[0].attempts == 1);
	int64_t due = 0;
	must(queue_store_next_due(contract.db, &due));
	assert_true(due == INT64_MAX);
}

/* "id:index,index id:index" of one page. */
static void page(struct queue_position *at, int64_t until, size_t limit, const char *want)
{
	struct queue_message *messages;
	size_t count, row_count, seen = 0;
	must(queue_store_load_due(contract.db, *at, until, limit, &arena, &messages, &count, &row_count, at));
	struct buf text = { 0 };
	for (size_t i = 0; i < count; i++) {
		must(buf_append_format(&text, "%s%llu:", i > 0 ? " " : "", (unsigned long long)messages[i].id));
		for (size_t j = 0; j < messages[i].recipient_count; j++, seen++)
			must(buf_append_format(&text, "%s%u", j > 0 ? "," : "", messages[i].recipients[j].index));
		assert_view(messages[i].reverse_path, "sender@example.net");
		assert_true(messages[i].head.len == 0 && messages[i].body.len == 0);
		assert_true(messages[i].recipient_count == 0 || messages[i].recipients[0].address.len > 0);
	}
	assert_int_equal(seen, row_count);
	assert_string_equal(buf_cstr(&text), want);
	buf_clear(&text);
}

static void due_in_order(void **state)
{
	(void)state;
	put(3, 2, 100);
	put(2, 2, 100);
	put(1, 1, 300);
	put(4, 1, 50);
	put(5, 1, -7);
	struct queue_outcome outcome = { .index = 0, .kind = QUEUE_DEFERRED, .attempts = 1, .due_at_ms = 200 };
	char spool[64];
	must(queue_store_settle(contract.db, 2, 1, &outcome, spool));
	int64_t due;
	must(queue_store_next_due(contract.db, &due));
	assert_true(due == -7);

	struct queue_position at = { .due_at_ms = INT64_MIN };
	page(&at, 99, 100, "5:0 4:0");
	page(&at, 99, 100, "");
	page(&at, 1000, 100, "2:1 3:0,1 2:0 1:0");
	page(&at, 1000, 100, "");
	/* Page by page it is the same, also when a page ends inside a message. */
	at = (struct queue_position){ .due_at_ms = INT64_MIN };
	page(&at, 1000, 2, "5:0 4:0");
	page(&at, 1000, 2, "2:1 3:0");
	page(&at, 1000, 1, "3:1");
	page(&at, 1000, 2, "2:0 1:0");
	page(&at, 1000, 2, "");
	at = (struct queue_position){ .due_at_ms = 100, .message_id = 3, .index = 0 };
	page(&at, 299, 100, "3:1 2:0");
	at = (struct queue_position){ .due_at_ms = 0 };
	page(&at, INT64_MAX, 0, "");
}

static void due_page_ends_with_the_memory(void **state)
{
	(void)state;
	for (uint64_t id = 1; id <= 50; id++)
		put(id, 1, 10);
	struct arena small;
	arena_init(&small, 8192);
	struct queue_position at = { 0 };
	struct queue_message *messages;
	size_t count, row_count, seen = 0;
	do {
		must(queue_store_load_due(contract.db, at, 10, 100, &small, &messages, &count, &row_count, &at));
		for (size_t i = 0; i < count; i++)
			assert_true(messages[i].id == ++seen);
		arena_clear(&small);
	} while (count > 0);
	assert_int_equal(seen, 50);
	arena_init(&small, 100);
	at = (struct queue_position){ 0 };
	assert_int_equal(
		queue_store_load_due(contract.db, at, 10, 100, &small, &messages, &count, &row_count, &at), ERR_LIMIT);
	arena_clear(&small);
}

/* The plan says whether a million rows are read or only the page: the index of due rows in its order, then by key. */
static void due_uses_the_index(void **state)
{
	(void)state;
	if (contract.folder[0] == '\0')
		skip();
	must(db_exec(contract.db,
		"INSERT INTO message WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)"
		" SELECT i, 0, 0, 0, 0, 0, '', '', '', '', '', '', '', '' FROM n;"
		"INSERT INTO recipient SELECT id, 0, 0, id, 0, 0, 0, 0, 0, 'a@b', '', '', '', '', 0, 0, '', '', 0, 0, "
		"0, 0, 0 FROM message;"));
	static const char *const wanted[] = { "SEARCH r USING INDEX recipient_due",
		"SEARCH m USING INTEGER PRIMARY KEY" };
	static char explain[1024];
	snprintf(explain, sizeof explain, "EXPLAIN QUERY PLAN %s", queue_store_select_due);
	struct db_statement *s = db_prepare(contract.db, explain);
	assert_non_null(s);
	for (int i = 1; i <= 5; i++)
		db_bind_int(s, i, 0);
	size_t step = 0;
	bool row;
	enum err err;
	while ((err = db_step(s, &row)) == ERR_OK && row) {
		struct view detail = db_column_view(s, 3);
		if (step >= 2 || !view_starts_with(detail, view_from_cstr(wanted[step])))
			fail_msg("step %zu is %.*s", step, VIEW_ARG(detail));
		step++;
	}
	must(err);
	assert_int_equal(step, 2);
	struct queue_position at = { 0 };
	struct queue_message *messages;
	size_t count, row_count;
	must(queue_store_load_due(contract.db, at, 200000, 100, &arena, &messages, &count, &row_count, &at));
	assert_int_equal(count, 100);
	assert_true(messages[99].id == 100 && at.due_at_ms == 100);
}

/* A recipient gives way to others; who is settled later finds nothing of it. */
static void replaces_a_recipient(void **state)
{
	(void)state;
	put(7, 3, 50);
	struct queue_message message = { .id = 7, .size_bytes = 700 };
	struct queue_recipient targets[] = {
		{ .address = VIEW("a@example.org"), .original = VIEW("r1@example.org"), .due_at_ms = 60 },
		{ .address = VIEW("b@example.org"), .notify = 4, .due_at_ms = 60, .state = QUEUE_HELD, .index = 1 },
	};
	must(queue_store_replace(contract.db, &message, 1, 0, 2, targets));
	struct queue_message got;
	must(load(7, &got));
	assert_int_equal(got.recipient_count, 4);
	static const uint32_t indexes[] = { 0, 2, 3, 4 };
	static const char *const addresses[] = { "r0@example.org", "r2@example.org", "a@example.org", "b@example.org" };
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(got.recipients[i].index, indexes[i]);
		assert_view(got.recipients[i].address, addresses[i]);
		assert_int_equal(got.recipients[i].state, QUEUE_READY);
	}
	assert_view(got.recipients[2].original, "r1@example.org");
	assert_int_equal(got.recipients[3].notify, 4);
	/* It is gone: a repeat changes nothing. */
	must(queue_store_replace(contract.db, &message, 1, 0, 2, targets));
	assert_int_equal(rows(), 1004);
	/* Above what the caller knows, and held as it was. */
	uint64_t changed;
	struct queue_filter filter = { .message_id = 7 };
	struct queue_change hold = { .action = QUEUE_HOLD };
	must(queue_store_change(contract.db, &hold, &filter, NULL, NULL, &changed));
	must(queue_store_replace(contract.db, &message, 0, 10, 1, targets));
	must(load(7, &got));
	assert_int_equal(got.recipient_count, 4);
	assert_int_equal(got.recipients[3].index, 10);
	assert_int_equal(got.recipients[3].state, QUEUE_HELD);
	/* What the way of the first depends on, theirs does too. */
	must(db_exec(contract.db,
		"UPDATE recipient SET stream = 'shop', smarthost = 'google', priority = -3, deliver_by_ms = 99, flags "
		"= 5, hold_until_ms = 88, hold_for_s = 77"
		" WHERE message_id = 7 AND idx = 10"));
	must(queue_store_replace(contract.db, &message, 10, 0, 1, targets));
	must(load(7, &got));
	const struct queue_recipient *last = &got.recipients[3];
	assert_int_equal(last->index, 11);
	assert_view(last->stream, "shop");
	assert_view(last->smarthost, "google");
	assert_true(last->priority == -3 && last->deliver_by_ms == 99 && last->flags == 5 && last->state == QUEUE_HELD);
	assert_true(last->hold_until_ms == 88 && last->hold_for_s == 77);
	/* The last one settled takes the message with it. */
	char spool[64];
	struct queue_outcome gone[] = { { .index = 2 }, { .index = 3 }, { .index = 4 }, { .index = 11 } };
	must(queue_store_settle(contract.db, 7, 4, gone, spool));
	assert_int_equal(rows(), 0);
}

static void notes_sites(void **state)
{
	(void)state;
	must(queue_store_note_site(contract.db, VIEW("Example.COM"), VIEW("Google"), 0));
	must(queue_store_note_site(contract.db, VIEW("example.org"), VIEW("mx.example.org"), 0));
	must(queue_store_note_site(contract.db, VIEW("example.com"), VIEW("google"), 0));
	assert_int_equal(contract_int(contract.db,
				 "SELECT COUNT(*) FROM domain_site WHERE (domain = 'example.com' AND site = 'google')"
				 " OR (domain = 'example.org' AND site = 'mx.example.org')"),
		2);
	must(queue_store_note_site(contract.db, VIEW("example.com"), VIEW("outlook"), 0));
	/* The day when it was noted last; once a day is enough, and a clock that went back takes nothing back. */
	static const struct {
		int64_t now_ms, day;
	} days[] = { { 86399999, 0 }, { 86400000, 1 }, { 5 * (int64_t)86400000, 5 }, { 86400000, 5 } };
	for (size_t i = 0; i < sizeof days / sizeof days[0]; i++) {
		must(queue_store_note_site(contract.db, VIEW("example.org"), VIEW("mx.example.org"), days[i].now_ms));
		assert_int_equal(
			contract_int(contract.db, "SELECT noted_day FROM domain_site WHERE domain = 'example.org'"),
			days[i].day);
	}
	assert_int_equal(contract_int(contract.db, "SELECT COUNT(*) FROM domain_site"), 2);
	assert_int_equal(contract_int(contract.db, "SELECT COUNT(*) FROM domain_site WHERE site = 'google'"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(put_and_load, setup, teardown),
		cmocka_unit_test_setup_teardown(content_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(settle, setup, teardown),
		cmocka_unit_test_setup_teardown(settle_names_the_spool_file_once, setup, teardown),
		cmocka_unit_test_setup_teardown(deferral_keeps_a_hold, setup, teardown),
		cmocka_unit_test_setup_teardown(due_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(due_page_ends_with_the_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(due_uses_the_index, setup, teardown),
		cmocka_unit_test_setup_teardown(replaces_a_recipient, setup, teardown),
		cmocka_unit_test_setup_teardown(notes_sites, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
