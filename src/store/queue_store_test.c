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
			.flags = QUEUE_REQUIRETLS | QUEUE_NO_SRS },
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
	must(queue_store_note_site(contract.db, VIEW("y.org"), VIEW("google")));
	must(queue_store_note_site(contract.db, VIEW("z.org"), VIEW("google")));
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
		"0 FROM message;"));
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
		"= 5"
		" WHERE message_id = 7 AND idx = 10"));
	must(queue_store_replace(contract.db, &message, 10, 0, 1, targets));
	must(load(7, &got));
	const struct queue_recipient *last = &got.recipients[3];
	assert_int_equal(last->index, 11);
	assert_view(last->stream, "shop");
	assert_view(last->smarthost, "google");
	assert_true(last->priority == -3 && last->deliver_by_ms == 99 && last->flags == 5 && last->state == QUEUE_HELD);
	/* The last one settled takes the message with it. */
	char spool[64];
	struct queue_outcome gone[] = { { .index = 2 }, { .index = 3 }, { .index = 4 }, { .index = 11 } };
	must(queue_store_settle(contract.db, 7, 4, gone, spool));
	assert_int_equal(rows(), 0);
}

static void notes_sites(void **state)
{
	(void)state;
	must(queue_store_note_site(contract.db, VIEW("Example.COM"), VIEW("Google")));
	must(queue_store_note_site(contract.db, VIEW("example.org"), VIEW("mx.example.org")));
	must(queue_store_note_site(contract.db, VIEW("example.com"), VIEW("google")));
	assert_int_equal(contract_int(contract.db,
				 "SELECT COUNT(*) FROM domain_site WHERE (domain = 'example.com' AND site = 'google')"
				 " OR (domain = 'example.org' AND site = 'mx.example.org')"),
		2);
	must(queue_store_note_site(contract.db, VIEW("example.com"), VIEW("outlook")));
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
		cmocka_unit_test_setup_teardown(list_and_filters, setup, teardown),
		cmocka_unit_test_setup_teardown(last_id, setup, teardown),
		cmocka_unit_test_setup_teardown(acts, setup, teardown),
		cmocka_unit_test_setup_teardown(bounces_and_rebinds, setup, teardown),
		cmocka_unit_test_setup_teardown(filters_by_site_and_suspension, setup, teardown),
		cmocka_unit_test_setup_teardown(finds_in_bites, setup, teardown),
		cmocka_unit_test_setup_teardown(acts_on_many, setup, teardown),
		cmocka_unit_test_setup_teardown(due_uses_the_index, setup, teardown),
		cmocka_unit_test_setup_teardown(replaces_a_recipient, setup, teardown),
		cmocka_unit_test_setup_teardown(notes_sites, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
