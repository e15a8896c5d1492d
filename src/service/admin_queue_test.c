/* Administration of the queue beyond holding and removing: finding, returning, rebinding, suspending, summing up. */
#include "service/admin.h"

#include "base/mem.h"
#include "config/config.h"
#include "queue/id.h"
#include "store/store_contract.h"
#include "store/suspension_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define NOW_MS 1700000000000

static struct contract store;
static struct admin_effects effects;
static json_t *result;

static int open_store(void **state)
{
	(void)state;
	contract_open(&store);
	return 0;
}

static void forget(void)
{
	admin_effects_clear(&effects);
	json_decref(result);
	result = NULL;
}

static int close_store(void **state)
{
	(void)state;
	forget();
	contract_close(&store);
	return 0;
}

static uint64_t id_of(unsigned n)
{
	return (uint64_t)(NOW_MS - 60000) * 4096 + n;
}

static enum err run(const char *command, const char *arguments)
{
	static struct config_stream streams[] = { { .name = "shop" } };
	static struct config_smarthost smarthosts[] = { { .name = "google" } };
	struct config config = {
		.stream_count = 1, .streams = streams, .smarthost_count = 1, .smarthosts = smarthosts
	};
	struct admin_context context = { .now_ms = NOW_MS, .config = &config };
	struct buf text = { 0 };
	forget();
	assert_int_equal(
		buf_append_format(&text, "{\"command\":\"%s\",\"arguments\":{%s}}", command, arguments), ERR_OK);
	json_t *request = admin_parse_request(buf_view(&text));
	assert_non_null(request);
	buf_clear(&text);
	assert_int_equal(db_begin(store.db), ERR_OK);
	enum err err = admin_run(store.db, &context, request, &result, &effects);
	json_decref(request);
	if (err == ERR_OK) {
		assert_int_equal(db_commit(store.db), ERR_OK);
		return ERR_OK;
	}
	CLEANUP(mem_free_pointer) char *why = mem_dup_cstr(err_detail());
	db_rollback(store.db);
	return err_set(err, "%s", why);
}

static void must(const char *command, const char *arguments)
{
	if (run(command, arguments) != ERR_OK)
		fail_msg("%s {%s}: %s", command, arguments, err_detail());
}

static void expect_result(const char *command, const char *arguments, const char *want)
{
	must(command, arguments);
	char *text = json_dumps(result, JSON_COMPACT | JSON_SORT_KEYS);
	if (strcmp(text, want) != 0)
		fail_msg("%s {%s}: %s", command, arguments, text);
	free(text);
}

/* Message n is for u@dN.example, tried once. */
static void put_messages(unsigned count)
{
	assert_int_equal(db_begin(store.db), ERR_OK);
	for (unsigned n = 1; n <= count; n++) {
		char address[40];
		snprintf(address, sizeof address, "u@d%u.example", n);
		struct queue_recipient recipient = { .address = view_from_cstr(address),
			.attempts = 1,
			.due_at_ms = NOW_MS + 5000,
			.last_reply = VIEW("451 4.2.1 later 77") };
		struct queue_message message = { .id = id_of(n),
			.received_at_ms = NOW_MS - 60000,
			.reverse_path = VIEW("anna@ours.example"),
			.size_bytes = 10,
			.recipient_count = 1,
			.recipients = &recipient };
		assert_int_equal(queue_store_put(store.db, &message), ERR_OK);
	}
	assert_int_equal(db_commit(store.db), ERR_OK);
}

static struct buf events;
static void add_event(void *owner, const struct store_event *event)
{
	assert_ptr_equal(owner, &events);
	assert_int_equal(event->at_ms, NOW_MS);
	assert_int_equal(
		buf_append_format(&events, "%llu %s %.*s\n", (unsigned long long)(event->message_id - id_of(0)),
			event->event, VIEW_ARG(event->fields)),
		ERR_OK);
}

static void expect_events(const char *want)
{
	buf_reset(&events);
	admin_effects_events(&effects, NOW_MS, add_event, &events);
	assert_string_equal(buf_cstr(&events), want);
	buf_clear(&events);
}

static void test_bounce(void **state)
{
	(void)state;
	put_messages(3);
	assert_int_equal(run("queue.bounce", "\"domain\":\"d2.example\""), ERR_SYNTAX);
	assert_non_null(strstr(err_detail(), "needs the argument 'reason'"));
	assert_int_equal(run("queue.bounce", "\"all\":true,\"reason\":\"two\\nlines\""), ERR_SYNTAX);
	assert_int_equal(run("queue.bounce", "\"all\":true,\"reason\":\"gr\\u00fcn\""), ERR_SYNTAX);
	assert_int_equal(run("queue.bounce", "\"reason\":\"gone\""), ERR_SYNTAX);
	expect_result(
		"queue.bounce", "\"all\":true,\"check\":true,\"reason\":\"x\"", "{\"changed\":0,\"not_found\":[]}");
	assert_false(effects.queue_changed);
	expect_result("queue.bounce", "\"domain\":\"d2.example\",\"reason\":\"The company is gone\"",
		"{\"changed\":1,\"not_found\":[]}");
	assert_true(effects.queue_changed);
	expect_events("2 returning by=operator recipients=1 reason=\"The company is gone\"\n");
	assert_int_equal(
		contract_int(store.db,
			"SELECT COUNT(*) FROM recipient WHERE address = 'u@d2.example' AND flags = 64 AND due_at_ms = "
			"1700000000000 AND last_reply = '554 5.0.0 Returned by the administrator: The company is "
			"gone'"),
		1);
	assert_int_equal(contract_int(store.db, "SELECT COUNT(*) FROM recipient WHERE flags <> 0"), 1);
}

static void test_rebind(void **state)
{
	(void)state;
	put_messages(3);
	assert_int_equal(run("queue.rebind", "\"all\":true"), ERR_SYNTAX);
	assert_int_equal(run("queue.rebind", "\"all\":true,\"to_stream\":\"shopp\""), ERR_NOT_FOUND);
	assert_string_equal(err_detail(), "the configuration has no stream 'shopp'");
	assert_int_equal(run("queue.rebind", "\"all\":true,\"to_smarthost\":\"shop\""), ERR_NOT_FOUND);
	expect_result("queue.rebind", "\"all\":true,\"to_stream\":\"shop\"", "{\"changed\":3,\"not_found\":[]}");
	expect_events("1 rebound by=operator recipients=1 stream=shop\n2 rebound by=operator recipients=1 stream=shop\n"
		      "3 rebound by=operator recipients=1 stream=shop\n");
	expect_result("queue.rebind", "\"domain\":\"d1.example\",\"to_stream\":\"none\",\"to_smarthost\":\"google\"",
		"{\"changed\":1,\"not_found\":[]}");
	assert_int_equal(
		contract_int(store.db, "SELECT COUNT(*) FROM recipient WHERE stream = 'shop' AND smarthost = ''"), 2);
	assert_int_equal(
		contract_int(store.db, "SELECT COUNT(*) FROM recipient WHERE stream = '' AND smarthost = 'google'"), 1);
	expect_result("queue.hold", "\"stream\":\"SHOP\"", "{\"changed\":2,\"not_found\":[]}");
	must("queue.list", "\"stream\":\"shop\"");
	assert_int_equal(json_array_size(json_object_get(result, "messages")), 2);
}

/* What queue.find gives, an action takes, with the filter once more. */
static void test_find_and_act(void **state)
{
	(void)state;
	put_messages(2500);
	size_t found = 0, bites = 0;
	char after[40] = "";
	bool more;
	do {
		must("queue.find", after);
		json_t *ids = json_incref(json_object_get(result, "ids"));
		const char *next = json_string_value(json_object_get(result, "next"));
		more = next != NULL;
		snprintf(after, sizeof after, "\"after\":\"%s\"", more ? next : "");
		found += json_array_size(ids);
		bites++;
		char *text = json_dumps(ids, JSON_COMPACT);
		struct buf arguments = { 0 };
		assert_int_equal(buf_append_format(&arguments, "\"domain\":\"d7.example\",\"ids\":%s", text), ERR_OK);
		free(text);
		must("queue.remove", buf_cstr(&arguments));
		assert_int_equal(json_integer_value(json_object_get(result, "changed")), bites == 1);
		assert_int_equal(json_array_size(json_object_get(result, "not_found")), 0);
		buf_clear(&arguments);
		json_decref(ids);
	} while (more);
	assert_int_equal(found, 2500);
	assert_int_equal(bites, 2);
	assert_int_equal(contract_int(store.db, "SELECT COUNT(*) FROM message"), 2499);
	must("queue.find", "\"domain\":\"nowhere.example\"");
	assert_int_equal(json_array_size(json_object_get(result, "ids")), 0);
	assert_int_equal(json_integer_value(json_object_get(result, "looked_at")), 2499);
	assert_true(json_is_null(json_object_get(result, "next")));
}

static const struct {
	const char *command, *arguments, *sentence;
} refused[] = {
	{ "queue.suspend", "", "say one of: a site, a domain, a smart host, a stream" },
	{ "queue.suspend", "\"site\":\"a\",\"domain\":\"b.example\"",
		"say one of: a site, a domain, a smart host, a stream" },
	{ "queue.suspend", "\"stream\":\"shopp\"", "the configuration has no stream 'shopp'" },
	{ "queue.suspend", "\"site\":\"google\",\"reason\":\"a\\nb\"", "the reason must be one line of text" },
	{ "queue.suspend", "\"site\":\"google\",\"for_ms\":9223372036854775807",
		"that time is too long: leave it out to suspend until it is resumed" },
	{ "queue.suspend", "\"site\":\"google\",\"stream\":\"shopp\"", "the configuration has no stream 'shopp'" },
	{ "queue.suspend", "\"site\":\"google\",\"stream\":\"shop\",\"domain\":\"b.example\"",
		"say one of: a site, a domain, a smart host, a stream" },
	{ "queue.suspend", "\"site\":\"google@shop\"",
		"no site has an '@' in its name: for the mail of one stream to a site, give both their names" },
	{ "queue.resume", "\"site\":\"google@shop\"",
		"no site has an '@' in its name: for the mail of one stream to a site, give both their names" },
	{ "queue.resume", "", "say one of: a site, a domain, a smart host, a stream" },
};

static void test_suspend(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(refused); i++) {
		assert_int_not_equal(run(refused[i].command, refused[i].arguments), ERR_OK);
		assert_string_equal(err_detail(), refused[i].sentence);
	}
	expect_result("queue.suspensions", "", "{\"suspensions\":[]}");
	expect_result("queue.suspend", "\"domain\":\"B\\u00fccher.Example\",\"reason\":\"moving\"",
		"{\"kind\":\"domain\",\"name\":\"xn--bcher-kva.example\",\"reason\":\"moving\",\"source\":\"operator\","
		"\"until_ms\":null}");
	assert_true(effects.queue_changed && effects.suspensions_changed);
	expect_result("queue.suspend", "\"stream\":\"Shop\",\"for_ms\":1000",
		"{\"kind\":\"stream\",\"name\":\"Shop\",\"reason\":\"\",\"source\":\"operator\",\"until_ms\":"
		"1700000001000}");
	expect_result("queue.suspensions", "",
		"{\"suspensions\":[{\"kind\":\"domain\",\"name\":\"xn--bcher-kva.example\",\"reason\":\"moving\","
		"\"source\":\"operator\",\"until_ms\":null},"
		"{\"kind\":\"stream\",\"name\":\"shop\",\"reason\":\"\",\"source\":\"operator\",\"until_ms\":"
		"1700000001000}]}");
	expect_result("queue.resume", "\"stream\":\"shop\"",
		"{\"kind\":\"stream\",\"lifted\":[{\"kind\":\"stream\",\"name\":\"shop\",\"reason\":\"\","
		"\"source\":\"operator\",\"until_ms\":1700000001000}],\"name\":\"shop\",\"remaining\":[],"
		"\"was_suspended\":true}");
	assert_true(effects.queue_changed && effects.suspensions_changed);
	expect_result("queue.resume", "\"stream\":\"shop\"",
		"{\"kind\":\"stream\",\"lifted\":[],\"name\":\"shop\",\"remaining\":[],\"was_suspended\":false}");
	assert_false(effects.queue_changed || effects.suspensions_changed);
}

static void set_rule(const char *site, const char *stream, const char *reply)
{
	struct suspension suspension = { .source = SUSPENSION_BY_RULE,
		.kind = SUSPENSION_SITE,
		.name = view_from_cstr(site),
		.stream = view_from_cstr(stream),
		.until_ms = NOW_MS + 1000,
		.reason = view_from_cstr(reply) };
	assert_int_equal(suspension_store_set(store.db, &suspension), ERR_OK);
}

#define RULE_OF_SHOP                                                                                                   \
	"{\"kind\":\"site\",\"name\":\"google\",\"reason\":\"421 4.7.28 b\",\"source\":\"rule\",\"stream\":\"shop\","  \
	"\"until_ms\":1700000001000}"
#define RULE_OF_NONE                                                                                                   \
	"{\"kind\":\"site\",\"name\":\"google\",\"reason\":\"421 4.7.28 "                                              \
	"a\",\"source\":\"rule\",\"until_ms\":1700000001000}"
#define OPERATORS "{\"kind\":\"site\",\"name\":\"google\",\"reason\":\"\",\"source\":\"operator\",\"until_ms\":null}"

/* What rules suspended is listed and lifted beside what operators did, and an answer tells what was and what still is. */
static void test_suspended_by_rules(void **state)
{
	(void)state;
	set_rule("google", "", "421 4.7.28 a");
	set_rule("google", "shop", "421 4.7.28 b");
	must("queue.suspend", "\"site\":\"google\"");
	expect_result("queue.suspensions", "", "{\"suspensions\":[" OPERATORS "," RULE_OF_NONE "," RULE_OF_SHOP "]}");
	assert_int_equal(queue_store_note_site(store.db, VIEW("gmail.example"), VIEW("google"), NOW_MS), ERR_OK);
	expect_result("queue.resume", "\"domain\":\"gmail.example\"",
		"{\"kind\":\"domain\",\"lifted\":[],\"name\":\"gmail.example\",\"remaining\":[" OPERATORS
		"," RULE_OF_NONE "," RULE_OF_SHOP "],\"was_suspended\":false}");
	must("queue.suspend", "\"site\":\"google\",\"stream\":\"shop\",\"for_ms\":1000,\"reason\":\"why\"");
	expect_result("queue.resume", "\"site\":\"Google\",\"stream\":\"shop\"",
		"{\"kind\":\"site\",\"lifted\":[{\"kind\":\"site\",\"name\":\"google\",\"reason\":\"why\",\"source\":"
		"\"operator\",\"stream\":\"shop\",\"until_ms\":1700000001000}," RULE_OF_SHOP
		"],\"name\":\"Google\",\"remaining\":[" OPERATORS "],\"stream\":\"shop\",\"was_suspended\":true}");
	expect_result("queue.resume", "\"site\":\"google\"",
		"{\"kind\":\"site\",\"lifted\":[" OPERATORS "," RULE_OF_NONE
		"],\"name\":\"google\",\"remaining\":[],\"was_suspended\":true}");
	expect_result("queue.suspensions", "", "{\"suspensions\":[]}");
}

static void test_summary(void **state)
{
	(void)state;
	expect_result("queue.summary", "",
		"{\"ages\":[{\"below_ms\":300000,\"recipients\":0},{\"below_ms\":1800000,\"recipients\":0},"
		"{\"below_ms\":7200000,\"recipients\":0},{\"below_ms\":28800000,\"recipients\":0},"
		"{\"below_ms\":86400000,\"recipients\":0},{\"below_ms\":259200000,\"recipients\":0},"
		"{\"below_ms\":null,\"recipients\":0}],\"bytes\":0,\"complete\":true,\"deferred\":0,\"held\":0,"
		"\"messages\":0,"
		"\"oldest_ms\":null,\"recipients\":0,\"returning\":0,\"suspended\":0}");
	put_messages(12);
	must("queue.summary", "\"top\":3");
	assert_int_equal(json_integer_value(json_object_get(result, "recipients")), 12);
	assert_int_equal(json_integer_value(json_object_get(result, "oldest_ms")), NOW_MS - 60000);
	const json_t *domains = json_object_get(json_object_get(result, "domains"), "groups");
	assert_int_equal(json_array_size(domains), 3);
	assert_string_equal(json_string_value(json_object_get(json_array_get(domains, 0), "name")), "d1.example");
	const json_t *replies = json_object_get(json_object_get(result, "replies"), "groups");
	assert_int_equal(json_array_size(replies), 1);
	assert_string_equal(
		json_string_value(json_object_get(json_array_get(replies, 0), "name")), "451 4.2.1 later #");
	must("queue.summary", "\"domain\":\"D3.example\"");
	assert_int_equal(json_integer_value(json_object_get(result, "recipients")), 1);
	must("queue.summary", "\"recipients_max\":5");
	assert_int_equal(json_integer_value(json_object_get(result, "recipients")), 5);
	assert_true(json_is_false(json_object_get(result, "complete")));
	assert_true(json_is_null(json_object_get(result, "domains")) || json_object_get(result, "domains") == NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_bounce, open_store, close_store),
		cmocka_unit_test_setup_teardown(test_rebind, open_store, close_store),
		cmocka_unit_test_setup_teardown(test_find_and_act, open_store, close_store),
		cmocka_unit_test_setup_teardown(test_suspend, open_store, close_store),
		cmocka_unit_test_setup_teardown(test_suspended_by_rules, open_store, close_store),
		cmocka_unit_test_setup_teardown(test_summary, open_store, close_store),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
