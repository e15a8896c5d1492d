/* What operators ask of the queue: lists with filters, searches in bites, and acts. */
#include "store/queue_store_private.h"
#include "store/site_map.h"
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

static struct buf listed;
static void list_row(void *owner, const struct queue_message *m, const struct queue_recipient *r)
{
	(void)owner;
	must(buf_append_format(
		&listed, "%llu/%u%s ", (unsigned long long)m->id, r->index, r->state == QUEUE_HELD ? "h" : ""));
	assert_true(m->reverse_path.len == 0 || view_find(m->reverse_path, '@') < m->reverse_path.len);
	assert_true(m->received_at_ms > 0);
}

static void expect_list(const struct queue_filter *filter, uint64_t after, size_t limit, const char *want)
{
	buf_reset(&listed);
	must(queue_store_list(contract.db, filter, after, limit, list_row, NULL));
	assert_string_equal(buf_cstr(&listed), want);
}

/* 1: from a@one to u@x.org, U@Y.org; 2: from B@two to v@y.ORG, held w@x.org; 3: from <> to z@y.org, deferred. */
static void put_three(void)
{
	struct queue_recipient one[] = { { .index = 0, .address = VIEW("u@x.org") },
		{ .index = 1, .address = VIEW("U@Y.org") } };
	struct queue_recipient two[] = { { .index = 0, .address = VIEW("v@y.ORG"), .attempts = 1 },
		{ .index = 1, .address = VIEW("w@x.org"), .attempts = 3, .state = QUEUE_HELD } };
	struct queue_recipient three[] = { { .index = 0, .address = VIEW("\"@x.org\"@y.org"), .attempts = 2 } };
	struct queue_message messages[] = {
		{ .id = 1,
			.received_at_ms = 10,
			.size_bytes = 100,
			.reverse_path = VIEW("a@one"),
			.recipient_count = 2,
			.recipients = one },
		{ .id = 2,
			.received_at_ms = 20,
			.size_bytes = 30,
			.reverse_path = VIEW("B@two"),
			.spool = VIEW("02/two"),
			.recipient_count = 2,
			.recipients = two },
		{ .id = 3,
			.received_at_ms = 30,
			.size_bytes = 7,
			.spool = VIEW("03/three"),
			.recipient_count = 1,
			.recipients = three },
	};
	for (size_t i = 0; i < 3; i++)
		must(queue_store_put(contract.db, &messages[i]));
}

static const struct {
	const char *name;
	struct queue_filter filter;
	uint64_t after, limit;
	const char *want;
} list_cases[] = {
	{ "everything", { .message_id = 0 }, 0, 100, "1/0 1/1 2/0 2/1h 3/0 " },
	{ "one message", { .message_id = 2 }, 0, 100, "2/0 2/1h " },
	{ "one message, already seen", { .message_id = 2 }, 2, 100, "" },
	{ "one message after an earlier one", { .message_id = 2 }, 1, 100, "2/0 2/1h " },
	{ "no such message", { .message_id = 4 }, 0, 100, "" },
	{ "an id beyond all", { .message_id = UINT64_MAX }, 0, 100, "" },
	{ "from the second", { .message_id = 0 }, 1, 1, "2/0 2/1h " },
	{ "two messages", { .message_id = 0 }, 0, 2, "1/0 1/1 2/0 2/1h " },
	{ "none", { .message_id = 0 }, 0, 0, "" },
	{ "held", { .only_held = true }, 0, 100, "2/1h " },
	{ "deferred", { .only_deferred = true }, 0, 100, "2/0 3/0 " },
	{ "deferred, first", { .only_deferred = true }, 0, 1, "2/0 " },
	{ "deferred and held", { .only_deferred = true, .only_held = true }, 0, 100, "" },
};

static void list_and_filters(void **state)
{
	(void)state;
	put_three();
	for (size_t i = 0; i < sizeof list_cases / sizeof list_cases[0]; i++) {
		print_message("  %s\n", list_cases[i].name);
		expect_list(&list_cases[i].filter, list_cases[i].after, list_cases[i].limit, list_cases[i].want);
	}
	expect_list(&(struct queue_filter){ .recipient_domain = VIEW("X.Org") }, 0, 100, "1/0 2/1h ");
	expect_list(&(struct queue_filter){ .recipient_domain = VIEW("y.org") }, 0, 100, "1/1 2/0 3/0 ");
	expect_list(&(struct queue_filter){ .recipient_domain = VIEW("org") }, 0, 100, "");
	expect_list(&(struct queue_filter){ .sender = VIEW("b@TWO") }, 0, 100, "2/0 2/1h ");
	expect_list(&(struct queue_filter){ .sender = VIEW("<>") }, 0, 100, "3/0 ");
	expect_list(
		&(struct queue_filter){ .sender = VIEW("b@two"), .recipient_domain = VIEW("x.org") }, 0, 100, "2/1h ");
	buf_clear(&listed);
}

static void last_id(void **state)
{
	(void)state;
	uint64_t id = 9;
	must(queue_store_last_id(contract.db, &id));
	assert_int_equal(id, 0);
	put_three();
	must(queue_store_last_id(contract.db, &id));
	assert_int_equal(id, 3);
}

static struct buf gone_names;
static void gone(void *owner, const char *spool)
{
	assert_ptr_equal(owner, &gone_names);
	must(buf_append_format(&gone_names, "%s ", spool));
}

static uint64_t act(enum queue_action action, struct queue_filter filter)
{
	uint64_t changed = 99;
	struct queue_change change = { .action = action, .now_ms = 7777, .reply = VIEW("554 5.0.0 no") };
	must(queue_store_change(contract.db, &change, &filter, gone, &gone_names, &changed));
	return changed;
}

static void acts(void **state)
{
	(void)state;
	put_three();
	struct queue_message got;
	assert_int_equal(
		act(QUEUE_RETRY, (struct queue_filter){ .recipient_domain = VIEW("x.org") }), 1); /* not the held one */
	must(load(1, &got));
	assert_true(got.recipients[0].due_at_ms == 7777 && got.recipients[1].due_at_ms == 0);
	/* What only waited for something else waits for its release still. */
	must(db_exec(contract.db,
		"UPDATE recipient SET flags = 129, hold_until_ms = 9999, due_at_ms = 5 WHERE message_id = 1"));
	assert_int_equal(act(QUEUE_TRY, (struct queue_filter){ .recipient_domain = VIEW("x.org") }), 1);
	must(load(1, &got));
	assert_true(got.recipients[0].due_at_ms == 7777 && got.recipients[1].due_at_ms == 5);
	assert_true(got.recipients[0].flags == (QUEUE_REQUIRETLS | QUEUE_FUTURE));
	/* It is released by a retry, and keeps what else is known of it. */
	(void)act(QUEUE_RETRY, (struct queue_filter){ .recipient_domain = VIEW("x.org") });
	must(load(1, &got));
	assert_true(got.recipients[0].flags == QUEUE_REQUIRETLS && got.recipients[0].hold_until_ms == 9999);
	assert_true(got.recipients[1].flags == (QUEUE_REQUIRETLS | QUEUE_FUTURE));
	assert_false(queue_recipient_waits(&got.recipients[0], 9998));
	assert_true(queue_recipient_waits(&got.recipients[1], 9998));
	assert_false(queue_recipient_waits(&got.recipients[1], 9999));
	must(load(2, &got));
	assert_true(got.recipients[1].due_at_ms == 0 && got.recipients[1].state == QUEUE_HELD);
	assert_int_equal(act(QUEUE_HOLD, (struct queue_filter){ .message_id = 2 }), 1);
	assert_int_equal(act(QUEUE_HOLD, (struct queue_filter){ .message_id = 2 }), 0);
	assert_int_equal(
		act(QUEUE_RELEASE, (struct queue_filter){ .only_held = true, .recipient_domain = VIEW("x.org") }), 1);
	must(load(2, &got));
	assert_true(got.recipients[0].state == QUEUE_HELD && got.recipients[1].state == QUEUE_READY);
	assert_true(got.recipients[1].due_at_ms == 7777 && got.recipients[1].attempts == 3);

	assert_int_equal(act(QUEUE_REMOVE, (struct queue_filter){ .recipient_domain = VIEW("x.org") }), 2);
	assert_string_equal(buf_cstr(&gone_names), "");
	assert_int_equal(rows(), 3003);
	assert_int_equal(act(QUEUE_REMOVE, (struct queue_filter){ .message_id = 2 }), 1);
	assert_string_equal(buf_cstr(&gone_names), "02/two ");
	assert_int_equal(act(QUEUE_REMOVE, (struct queue_filter){ .sender = VIEW("nobody") }), 0);
	assert_int_equal(act(QUEUE_REMOVE, (struct queue_filter){ 0 }), 2);
	assert_string_equal(buf_cstr(&gone_names), "02/two 03/three ");
	assert_int_equal(rows(), 0);
	buf_clear(&gone_names);
}

static void bounces_and_rebinds(void **state)
{
	(void)state;
	put_three();
	struct queue_message got;
	assert_int_equal(act(QUEUE_BOUNCE, (struct queue_filter){ .recipient_domain = VIEW("x.org") }), 2);
	must(load(2, &got));
	assert_int_equal(got.recipients[0].flags, 0);
	const struct queue_recipient *r = &got.recipients[1]; /* it was held */
	assert_true(r->flags == QUEUE_RETURN && r->state == QUEUE_READY && r->due_at_ms == 7777 && r->attempts == 3);
	assert_view(r->last_reply, "554 5.0.0 no");
	assert_view(r->last_host, "");

	/* It was being tried: what came of it does not undo that it is returned. */
	struct queue_outcome outcome = {
		.index = 1, .kind = QUEUE_DEFERRED, .attempts = 4, .due_at_ms = 99999, .last_reply = VIEW("451 later")
	};
	char spool[64];
	must(queue_store_settle(contract.db, 2, 1, &outcome, spool));
	must(load(2, &got));
	r = &got.recipients[1];
	assert_true(r->attempts == 4 && r->due_at_ms == 7777);
	assert_view(r->last_reply, "554 5.0.0 no");

	assert_int_equal(act(QUEUE_HOLD, (struct queue_filter){ .message_id = 1 }), 2);
	struct queue_change change = {
		.action = QUEUE_REBIND, .now_ms = 8888, .set_stream = true, .stream = VIEW("shop")
	};
	uint64_t changed = 0;
	must(queue_store_change(contract.db, &change, &(struct queue_filter){ 0 }, gone, &gone_names, &changed));
	assert_int_equal(changed, 5);
	must(load(1, &got));
	assert_true(got.recipients[0].state == QUEUE_HELD && got.recipients[0].due_at_ms == 7777);
	assert_view(got.recipients[0].stream, "shop");
	must(load(3, &got));
	assert_true(got.recipients[0].state == QUEUE_READY && got.recipients[0].due_at_ms == 8888);
	change = (struct queue_change){ .action = QUEUE_REBIND, .set_smarthost = true, .smarthost = VIEW("google") };
	must(queue_store_change(contract.db, &change, &(struct queue_filter){ .stream = VIEW("SHOP"), .message_id = 3 },
		gone, &gone_names, &changed));
	assert_int_equal(changed, 1);
	change.smarthost = VIEW_NONE;
	must(load(3, &got));
	assert_view(got.recipients[0].smarthost, "google");
	assert_view(got.recipients[0].stream, "shop");
	change.set_stream = true;
	must(queue_store_change(contract.db, &change, &(struct queue_filter){ 0 }, gone, &gone_names, &changed));
	must(load(3, &got));
	assert_view(got.recipients[0].smarthost, "");
	assert_view(got.recipients[0].stream, "");
	must(queue_store_change(
		contract.db, &change, &(struct queue_filter){ .stream = VIEW("shop") }, gone, &gone_names, &changed));
	assert_int_equal(changed, 0);
}

/* By site: what was noted, else the domain itself. By suspension: how the reply begins. */
static void filters_by_site_and_suspension(void **state)
{
	(void)state;
	put_three();
	expect_list(&(struct queue_filter){ .site = VIEW("y.org") }, 0, 100, "1/1 2/0 3/0 ");
	must(queue_store_note_site(contract.db, VIEW("y.org"), VIEW("google"), 0));
	must(queue_store_note_site(contract.db, VIEW("z.org"), VIEW("google"), 0));
	expect_list(&(struct queue_filter){ .site = VIEW("y.org") }, 0, 100, "");
	expect_list(&(struct queue_filter){ .site = VIEW("Google") }, 0, 100, "1/1 2/0 3/0 ");
	expect_list(&(struct queue_filter){ .site = VIEW("x.ORG") }, 0, 100, "1/0 2/1h ");
	expect_list(&(struct queue_filter){ .site = VIEW("google"), .sender = VIEW("a@one") }, 0, 100, "1/1 ");
	expect_list(&(struct queue_filter){ .only_suspended = true }, 0, 100, "");
	struct queue_outcome outcome = { .index = 0,
		.kind = QUEUE_DEFERRED,
		.last_reply = VIEW("450 4.3.2 Suspended by the administrator: site google") };
	char spool[64];
	must(queue_store_settle(contract.db, 3, 1, &outcome, spool));
	expect_list(&(struct queue_filter){ .only_suspended = true }, 0, 100, "3/0 ");
	expect_list(&(struct queue_filter){ .only_suspended = true, .site = VIEW("google") }, 0, 100, "3/0 ");
	expect_list(&(struct queue_filter){ .only_suspended = true, .site = VIEW("other") }, 0, 100, "");
	expect_list(&(struct queue_filter){ .suspended_by = VIEW("site Google") }, 0, 100, "3/0 ");
	expect_list(&(struct queue_filter){ .suspended_by = VIEW("site goog") }, 0, 100, "");
	expect_list(&(struct queue_filter){ .suspended_by = VIEW("stream google") }, 0, 100, "");
	buf_clear(&listed);
}

/* What a running server knows goes before what was noted, and what an operator sent to a smart host goes to no site. */
static void filters_by_site_as_known(void **state)
{
	(void)state;
	put_three();
	must(queue_store_note_site(contract.db, VIEW("y.org"), VIEW("google"), 0));
	struct site_map *map = site_map_new();
	site_map_add(map, VIEW("Y.org"), VIEW("Outlook"));
	site_map_add(map, VIEW("elsewhere.org"), VIEW("google"));
	struct queue_filter google = { .site = VIEW("google"), .sites = map },
			    outlook = { .site = VIEW("outlook"), .sites = map },
			    itself = { .site = VIEW("x.org"), .sites = map };
	expect_list(&google, 0, 100, "");
	expect_list(&outlook, 0, 100, "1/1 2/0 3/0 ");
	expect_list(&itself, 0, 100, "1/0 2/1h ");
	struct queue_change change = { .action = QUEUE_REBIND, .set_smarthost = true, .smarthost = VIEW("relay") };
	uint64_t changed;
	outlook.message_id = 2;
	must(queue_store_change(contract.db, &change, &outlook, gone, NULL, &changed));
	assert_int_equal(changed, 1);
	outlook.message_id = 0;
	expect_list(&outlook, 0, 100, "1/1 3/0 ");
	uint64_t ids[10];
	struct queue_found found;
	must(queue_store_find(contract.db, &outlook, 0, 100, 10, ids, &found));
	assert_true(found.count == 2 && ids[0] == 1 && ids[1] == 3);
	site_map_free(map);
	buf_clear(&listed);
}

/* In bites: every message once, and none twice. */
static void finds_in_bites(void **state)
{
	(void)state;
	for (uint64_t id = 1; id <= 20; id++)
		put(id, 1 + id % 3, 5);
	struct queue_filter filter = { .recipient_domain = VIEW("example.org") };
	static const struct {
		size_t rows, room;
	} sizes[] = { { 1, 100 }, { 4, 100 }, { 100, 1 }, { 100, 7 }, { 3, 2 }, { 1000, 1000 } };
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		uint64_t ids[1000], after = 0, wanted = 1, looked_at = 0;
		struct queue_found found = { 0 };
		do {
			must(queue_store_find(contract.db, &filter, after, sizes[i].rows, sizes[i].room, ids, &found));
			assert_true(found.count <= sizes[i].room);
			for (size_t n = 0; n < found.count; n++)
				assert_int_equal(ids[n], wanted++);
			looked_at += found.looked_at;
			assert_true(found.next_id == 0 || found.next_id > after);
			after = found.next_id;
		} while (after != 0);
		assert_int_equal(wanted, 21);
		assert_int_equal(looked_at, 41);
	}
	uint64_t ids[5];
	struct queue_found found;
	filter.recipient_domain = VIEW("nobody.example");
	must(queue_store_find(contract.db, &filter, 0, 10, 5, ids, &found));
	assert_true(found.count == 0 && found.next_id > 0 && found.looked_at >= 10);
}

/* More rows than an act takes in one bite. */
static void acts_on_many(void **state)
{
	(void)state;
	must(db_begin(contract.db));
	for (uint64_t id = 1; id <= 700; id++)
		put(id, 3, 5);
	must(db_commit(contract.db));
	assert_int_equal(act(QUEUE_HOLD, (struct queue_filter){ 0 }), 2100);
	assert_int_equal(act(QUEUE_RELEASE, (struct queue_filter){ .only_held = true }), 2100);
	assert_int_equal(act(QUEUE_RETRY, (struct queue_filter){ 0 }), 2100);
	assert_int_equal(contract_int(contract.db, "SELECT COUNT(*) FROM recipient WHERE due_at_ms = 7777"), 2100);
	assert_int_equal(act(QUEUE_REMOVE, (struct queue_filter){ 0 }), 2100);
	assert_int_equal(rows(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(list_and_filters, setup, teardown),
		cmocka_unit_test_setup_teardown(last_id, setup, teardown),
		cmocka_unit_test_setup_teardown(acts, setup, teardown),
		cmocka_unit_test_setup_teardown(bounces_and_rebinds, setup, teardown),
		cmocka_unit_test_setup_teardown(filters_by_site_and_suspension, setup, teardown),
		cmocka_unit_test_setup_teardown(filters_by_site_as_known, setup, teardown),
		cmocka_unit_test_setup_teardown(finds_in_bites, setup, teardown),
		cmocka_unit_test_setup_teardown(acts_on_many, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
