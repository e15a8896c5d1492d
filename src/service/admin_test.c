#include "service/admin.h"

#include "base/mem.h"
#include "queue/id.h"
#include "smtp/receiver.h"
#include "store/directory_store.h"
#include "store/spool.h"
#include "store/store_contract.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define NOW_MS 1700000000000
#define HASH "$argon2id$v=19$m=65536,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g"

static struct contract store;

static int open_store(void **state)
{
	(void)state;
	contract_open(&store);
	return 0;
}

static int close_store(void **state)
{
	(void)state;
	contract_close(&store);
	return 0;
}

/* A request, in a transaction, as its callers run it. */
static enum err run(const char *request_text, json_t **ret_result, struct admin_effects *ret_effects)
{
	struct admin_context context = {
		.now_ms = NOW_MS, .data_folder = store.folder, .postmaster = "boss@ours.example"
	};
	json_t *request = admin_parse_request(view_from_cstr(request_text));
	if (request == NULL)
		return ERR_SYNTAX;
	assert_int_equal(db_begin(store.db), ERR_OK);
	enum err err = admin_run(store.db, &context, request, ret_result, ret_effects);
	json_decref(request);
	if (err == ERR_OK) {
		assert_int_equal(db_commit(store.db), ERR_OK);
		return ERR_OK;
	}
	CLEANUP(mem_free_pointer) char *why = mem_dup_cstr(err_detail());
	db_rollback(store.db);
	return err_set(err, "%s", why);
}

struct step {
	const char *request;
	enum err err;
	const char *want; /* the result, keys sorted; or a part of the sentence */
};

static void run_steps(const struct step *steps, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		json_t *result = NULL;
		struct admin_effects effects = { 0 };
		enum err err = run(steps[i].request, &result, &effects);
		if (err != steps[i].err)
			fail_msg("%s: %s (%s)", steps[i].request, err_name(err), err_detail());
		if (err != ERR_OK) {
			if (strstr(err_detail(), steps[i].want) == NULL)
				fail_msg("%s: \"%s\" is not in \"%s\"", steps[i].request, steps[i].want, err_detail());
			continue;
		}
		char *text = json_dumps(result, JSON_COMPACT | JSON_SORT_KEYS);
		if (strcmp(text, steps[i].want) != 0)
			fail_msg("%s: got %s, want %s", steps[i].request, text, steps[i].want);
		free(text);
		json_decref(result);
		admin_effects_clear(&effects);
	}
}

#define REQUEST(command, arguments) "{\"command\":\"" command "\",\"arguments\":{" arguments "}}"

static void test_directory(void **state)
{
	(void)state;
	static const struct step steps[] = {
		{ "{\"command\":\"domain.list\"}", ERR_OK, "{\"domains\":[]}" },
		{ REQUEST("domain.add", "\"domain\":\"Ours.Example.\""), ERR_OK, "{\"domain\":\"ours.example\"}" },
		{ REQUEST("domain.add", "\"domain\":\"ours.example\""), ERR_EXISTS,
			"the domain ours.example is already ours" },
		{ REQUEST("domain.add", "\"domain\":\"B\\u00fccher.example\""), ERR_OK,
			"{\"domain\":\"xn--bcher-kva.example\"}" },
		{ REQUEST("domain.add", "\"domain\":\"no domain\""), ERR_SYNTAX,
			"'no domain' is no valid domain name" },
		{ REQUEST("domain.add", "\"domain\":\"-x.example\""), ERR_SYNTAX, "is no valid domain name" },
		{ REQUEST("domain.list", ""), ERR_OK, "{\"domains\":[\"ours.example\",\"xn--bcher-kva.example\"]}" },
		{ REQUEST("account.add", "\"address\":\"Joe@OURS.example\",\"password_hash\":\"" HASH "\""), ERR_OK,
			"{\"address\":\"Joe@ours.example\"}" },
		{ REQUEST("account.add", "\"address\":\"joe@ours.example\""), ERR_EXISTS, "exists already" },
		{ REQUEST("account.add", "\"address\":\"ann@b\\u00fccher.example\""), ERR_OK,
			"{\"address\":\"ann@xn--bcher-kva.example\"}" },
		{ REQUEST("account.add", "\"address\":\"joe@other.example\""), ERR_NOT_FOUND,
			"the domain other.example is not one of ours" },
		{ REQUEST("account.add", "\"address\":\"joe\""), ERR_SYNTAX, "'joe' is no mail address" },
		{ REQUEST("account.add", "\"address\":\"a/../b@ours.example\""), ERR_SYNTAX, "" },
		{ REQUEST("account.add", "\"address\":\"a/b@ours.example\""), ERR_SYNTAX, "can't have a '/'" },
		{ REQUEST("account.add", "\"address\":\"\\\"a b\\\"@ours.example\""), ERR_SYNTAX, "can't need quotes" },
		{ REQUEST("account.add", "\"address\":\"\\\"kim\\\"@ours.example\""), ERR_OK,
			"{\"address\":\"kim@ours.example\"}" },
		{ REQUEST("account.add", "\"address\":\"a@[127.0.0.1]\""), ERR_SYNTAX, "not an address literal" },
		{ REQUEST("account.add", "\"address\":\"boss@ours.example\",\"password_hash\":\"secret\""), ERR_SYNTAX,
			"never a password" },
		{ REQUEST("account.add", "\"address\":\"boss@ours.example\",\"password_hash\":\"" HASH "\""), ERR_OK,
			"{\"address\":\"boss@ours.example\"}" },
		{ REQUEST("account.remove", "\"address\":\"BOSS@ours.example\""), ERR_STATE,
			"is the configured postmaster" },
		{ REQUEST("account.password", "\"address\":\"kim@ours.example\",\"password_hash\":\"" HASH "\""),
			ERR_OK, "{\"address\":\"kim@ours.example\"}" },
		{ REQUEST("account.password", "\"address\":\"joe@ours.example\",\"password_hash\":\"\""), ERR_OK,
			"{\"address\":\"joe@ours.example\"}" },
		{ REQUEST("account.password", "\"address\":\"nobody@ours.example\",\"password_hash\":\"\""),
			ERR_NOT_FOUND, "there is no account nobody@ours.example" },
		{ REQUEST("account.list", "\"domain\":\"ours.example\""), ERR_OK,
			"{\"accounts\":[{\"address\":\"boss@ours.example\",\"can_log_in\":true},"
			"{\"address\":\"Joe@ours.example\",\"can_log_in\":false},"
			"{\"address\":\"kim@ours.example\",\"can_log_in\":true}]}" },
		{ REQUEST("alias.add",
			  "\"alias\":\"info@ours.example\",\"targets\":[\"joe@ours.example\",\"x@Else.Example\"]"),
			ERR_OK,
			"{\"alias\":\"info@ours.example\",\"targets\":[\"joe@ours.example\",\"x@else.example\"]}" },
		{ REQUEST("alias.add", "\"alias\":\"info@ours.example\",\"targets\":[\"joe@ours.example\"]"),
			ERR_EXISTS, "info@ours.example exists already" },
		{ REQUEST("alias.add", "\"alias\":\"kim@ours.example\",\"targets\":[\"joe@ours.example\"]"), ERR_EXISTS,
			"kim@ours.example exists already" },
		{ REQUEST("alias.add", "\"alias\":\"@ours.example\",\"targets\":[\"boss@ours.example\"]"), ERR_OK,
			"{\"alias\":\"@ours.example\",\"targets\":[\"boss@ours.example\"]}" },
		{ REQUEST("alias.add", "\"alias\":\"a@ours.example\",\"targets\":[\"A@ours.example\"]"), ERR_SYNTAX,
			"can't point at itself" },
		{ REQUEST("alias.add", "\"alias\":\"a@ours.example\",\"targets\":[]"), ERR_SYNTAX,
			"must be a list of texts" },
		{ REQUEST("alias.add", "\"alias\":\"a@else.example\",\"targets\":[\"joe@ours.example\"]"),
			ERR_NOT_FOUND, "else.example is not one of ours" },
		{ REQUEST("alias.list", ""), ERR_OK,
			"{\"aliases\":[{\"alias\":\"@ours.example\",\"targets\":[\"boss@ours.example\"]},"
			"{\"alias\":\"info@ours.example\",\"targets\":[\"joe@ours.example\",\"x@else.example\"]}]}" },
		{ REQUEST("domain.remove", "\"domain\":\"ours.example\""), ERR_STATE, "still has accounts or aliases" },
		{ REQUEST("alias.remove", "\"alias\":\"info@ours.example\",\"targets\":[\"y@else.example\"]"),
			ERR_NOT_FOUND, "there is no alias info@ours.example for y@else.example" },
		{ REQUEST("alias.remove", "\"alias\":\"info@ours.example\",\"targets\":[\"x@else.example\"]"), ERR_OK,
			"{\"alias\":\"info@ours.example\"}" },
		{ REQUEST("alias.remove", "\"alias\":\"info@ours.example\""), ERR_OK,
			"{\"alias\":\"info@ours.example\"}" },
		{ REQUEST("alias.remove", "\"alias\":\"info@ours.example\""), ERR_NOT_FOUND, "there is no alias" },
		{ REQUEST("account.remove", "\"address\":\"joe@ours.example\""), ERR_OK,
			"{\"address\":\"joe@ours.example\"}" },
		{ REQUEST("account.remove", "\"address\":\"joe@ours.example\""), ERR_NOT_FOUND, "there is no account" },
		{ REQUEST("domain.remove", "\"domain\":\"else.example\""), ERR_NOT_FOUND, "is not one of ours" },
		{ REQUEST("account.remove", "\"address\":\"ann@xn--bcher-kva.example\""), ERR_OK,
			"{\"address\":\"ann@xn--bcher-kva.example\"}" },
		{ REQUEST("domain.remove", "\"domain\":\"b\\u00fccher.example\""), ERR_OK,
			"{\"domain\":\"xn--bcher-kva.example\"}" },
	};
	run_steps(steps, COUNT_OF(steps));
}

/* Half of an alias is not kept: the second target is malformed, and the caller rolls back. */
static void test_all_or_nothing(void **state)
{
	(void)state;
	static const struct step steps[] = {
		{ REQUEST("domain.add", "\"domain\":\"ours.example\""), ERR_OK, "{\"domain\":\"ours.example\"}" },
		{ REQUEST("alias.add", "\"alias\":\"i@ours.example\",\"targets\":[\"x@else.example\",\"y y\"]"),
			ERR_SYNTAX, "'y y' is no mail address" },
		{ REQUEST("alias.list", ""), ERR_OK, "{\"aliases\":[]}" },
	};
	run_steps(steps, COUNT_OF(steps));
}

static void test_requests_refused(void **state)
{
	(void)state;
	static const struct step steps[] = {
		{ "", ERR_SYNTAX, "no JSON object" },
		{ "[]", ERR_SYNTAX, "no JSON object" },
		{ "{\"command\":", ERR_SYNTAX, "no JSON object" },
		{ "{}", ERR_SYNTAX, "there is no command ''" },
		{ "{\"command\":7}", ERR_SYNTAX, "there is no command ''" },
		{ "{\"command\":\"domain.frob\"}", ERR_SYNTAX, "there is no command 'domain.frob'" },
		{ "{\"command\":\"domain.list\",\"arguments\":[]}", ERR_SYNTAX, "'arguments' must be a JSON object" },
		{ "{\"command\":\"domain.list\",\"command\":\"domain.add\"}", ERR_SYNTAX, "duplicate" },
		{ REQUEST("domain.add", ""), ERR_SYNTAX, "domain.add needs the argument 'domain'" },
		{ REQUEST("domain.add", "\"domain\":7"), ERR_SYNTAX, "'domain' must be a text" },
		{ REQUEST("domain.add", "\"domain\":\"\""), ERR_SYNTAX, "'domain' is empty" },
		{ REQUEST("domain.list", "\"x\":1"), ERR_SYNTAX, "domain.list does not know the argument 'x'" },
		{ REQUEST("queue.list", "\"limit\":0"), ERR_SYNTAX, "'limit' must be a number above 0" },
		{ REQUEST("queue.list", "\"held\":\"yes\""), ERR_SYNTAX, "'held' must be true or false" },
		{ REQUEST("queue.remove", ""), ERR_SYNTAX, "say which messages" },
		{ REQUEST("queue.remove", "\"all\":false"), ERR_SYNTAX, "say which messages" },
		{ REQUEST("queue.remove", "\"held\":false"), ERR_SYNTAX, "say which messages" },
		{ REQUEST("queue.remove", "\"ids\":[]"), ERR_SYNTAX, "must be a list of texts" },
		{ REQUEST("queue.remove", "\"sender\":\"\",\"all\":true"), ERR_SYNTAX, "'sender' is empty" },
		{ REQUEST("queue.remove", "\"ids\":[\"what\\nis this\"]"), ERR_SYNTAX, "is no queue id" },
		{ REQUEST("queue.show", "\"id\":\"0\""), ERR_SYNTAX, "is no queue id" },
	};
	run_steps(steps, COUNT_OF(steps));
}

static uint64_t id_of(unsigned n)
{
	return (uint64_t)NOW_MS * 4096 + n;
}

static const char *id_text(unsigned n)
{
	static struct queue_id_text texts[4];
	static unsigned next;
	struct queue_id_text *text = &texts[next++ % 4];
	*text = queue_id_format(id_of(n));
	return text->text;
}

/* Message n has n recipients; every second recipient was tried once; message 3 is spooled. */
static void put_messages(unsigned count)
{
	assert_int_equal(db_begin(store.db), ERR_OK);
	for (unsigned n = 1; n <= count; n++) {
		struct queue_recipient recipients[8] = { { 0 } };
		char addresses[8][40];
		struct queue_message message = {
			.id = id_of(n),
			.received_at_ms = NOW_MS - 60000,
			.reverse_path = n == 2 ? VIEW_NONE : VIEW("anna@ours.example"),
			.client = VIEW("192.0.2.1"),
			.source = VIEW("mx"),
			.size_bytes = 1000,
			.head = VIEW("Received: here\r\n"),
			.body = n == 3 ? VIEW_NONE : VIEW("Subject: x\r\nX-Odd: \xff\r\n\r\nbody\r\n"),
			.spool = n == 3 ? VIEW("00/spooled") : VIEW_NONE,
			.recipient_count = n,
			.recipients = recipients,
		};
		for (unsigned i = 0; i < n; i++) {
			snprintf(addresses[i], sizeof addresses[i], "r%u@d%u.example", i, i);
			recipients[i] = (struct queue_recipient){
				.index = i,
				.address = view_from_cstr(addresses[i]),
				.notify = i == 0 ? SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_DELAY : 0,
				.attempts = i % 2,
				.due_at_ms = NOW_MS + 1000,
				.last_reply = i % 2 != 0 ? VIEW("451 later") : VIEW_NONE,
				.last_attempt_ms = i % 2 != 0 ? NOW_MS - 1000 : 0,
			};
		}
		assert_int_equal(queue_store_put(store.db, &message), ERR_OK);
	}
	assert_int_equal(db_commit(store.db), ERR_OK);
}

/* Runs a request that must succeed and gives one integer of its result. */
static json_int_t number(const char *request, const char *key, struct admin_effects *effects)
{
	json_t *result = NULL;
	struct admin_effects own = { 0 };
	enum err err = run(request, &result, effects != NULL ? effects : &own);
	if (err != ERR_OK)
		fail_msg("%s: %s", request, err_detail());
	json_int_t value = json_integer_value(json_object_get(result, key));
	json_decref(result);
	admin_effects_clear(&own);
	return value;
}

static json_int_t held(void)
{
	return number("{\"command\":\"queue.summary\"}", "held", NULL);
}

static json_int_t messages(void)
{
	return number("{\"command\":\"queue.summary\"}", "messages", NULL);
}

static void test_queue_list(void **state)
{
	(void)state;
	put_messages(4);
	json_t *result = NULL;
	struct admin_effects effects = { 0 };
	size_t seen = 0;
	char request[200] = REQUEST("queue.list", "\"limit\":3");
	assert_int_equal(run(request, &result, &effects), ERR_OK);
	const json_t *list = json_object_get(result, "messages");
	assert_int_equal(json_array_size(list), 3);
	for (size_t i = 0; i < 3; i++, seen++) {
		const json_t *message = json_array_get(list, i);
		assert_string_equal(json_string_value(json_object_get(message, "id")), id_text((unsigned)i + 1));
		assert_int_equal(json_array_size(json_object_get(message, "recipients")), i + 1);
	}
	const char *next = json_string_value(json_object_get(result, "next"));
	assert_string_equal(next, id_text(3));
	snprintf(request, sizeof request, REQUEST("queue.list", "\"limit\":3,\"after\":\"%s\""), next);
	json_decref(result);
	assert_int_equal(run(request, &result, &effects), ERR_OK);
	assert_int_equal(json_array_size(json_object_get(result, "messages")), 1);
	assert_true(json_is_null(json_object_get(result, "next")));
	json_decref(result);
	assert_int_equal(
		run(REQUEST("queue.list", "\"domain\":\"D1.example\",\"deferred\":true"), &result, &effects), ERR_OK);
	assert_int_equal(json_array_size(json_object_get(result, "messages")), 3);
	const json_t *recipient = json_array_get(
		json_object_get(json_array_get(json_object_get(result, "messages"), 0), "recipients"), 0);
	assert_string_equal(json_string_value(json_object_get(recipient, "address")), "r1@d1.example");
	assert_string_equal(json_string_value(json_object_get(recipient, "state")), "deferred");
	assert_string_equal(json_string_value(json_object_get(recipient, "last_reply")), "451 later");
	json_decref(result);
	assert_int_equal(run(REQUEST("queue.list", "\"sender\":\"<>\""), &result, &effects), ERR_OK);
	assert_int_equal(json_array_size(json_object_get(result, "messages")), 1);
	json_decref(result);
}

static void test_queue_show(void **state)
{
	(void)state;
	put_messages(2);
	json_t *result = NULL;
	struct admin_effects effects = { 0 };
	char request[200];
	snprintf(request, sizeof request, REQUEST("queue.show", "\"id\":\"%s\""), id_text(2));
	assert_int_equal(run(request, &result, &effects), ERR_OK);
	assert_string_equal(json_string_value(json_object_get(result, "head")), "Received: here\r\n");
	/* Bytes that are no UTF-8 are shown; the body is not there. */
	assert_string_equal(json_string_value(json_object_get(result, "header")), "Subject: x\r\nX-Odd: \\xff\r\n");
	assert_string_equal(json_string_value(json_object_get(result, "sender")), "");
	const json_t *first = json_array_get(json_object_get(result, "recipients"), 0);
	assert_int_equal(json_array_size(json_object_get(first, "notify")), 2);
	json_decref(result);
	snprintf(request, sizeof request, REQUEST("queue.show", "\"id\":\"%s\""), id_text(77));
	assert_int_equal(run(request, &result, &effects), ERR_NOT_FOUND);
	assert_non_null(strstr(err_detail(), "is not in the queue"));
}

static void test_queue_show_spooled(void **state)
{
	(void)state;
	json_t *result = NULL;
	struct admin_effects effects = { 0 };
	char request[200];
	char name[64];
	int fd;
	assert_int_equal(spool_create(store.folder, id_of(1), &fd, name), ERR_OK);
	assert_int_equal(spool_write(fd, VIEW("Subject: spooled\r\n\r\nbody\r\n")), ERR_OK);
	assert_int_equal(spool_finish(store.folder, name, fd), ERR_OK);
	struct queue_recipient recipient = { .address = VIEW("a@b.example"), .due_at_ms = NOW_MS };
	struct queue_message message = { .id = id_of(1),
		.source = VIEW("mx"),
		.spool = view_from_cstr(name),
		.recipient_count = 1,
		.recipients = &recipient };
	assert_int_equal(db_begin(store.db), ERR_OK);
	assert_int_equal(queue_store_put(store.db, &message), ERR_OK);
	assert_int_equal(db_commit(store.db), ERR_OK);
	snprintf(request, sizeof request, REQUEST("queue.show", "\"id\":\"%s\""), id_text(1));
	assert_int_equal(run(request, &result, &effects), ERR_OK);
	assert_string_equal(json_string_value(json_object_get(result, "header")), "Subject: spooled\r\n");
	json_decref(result);
	/* Removing it names the file, for after the commit. */
	snprintf(request, sizeof request, REQUEST("queue.remove", "\"ids\":[\"%s\"]"), id_text(1));
	assert_int_equal(number(request, "changed", &effects), 1);
	assert_int_equal(effects.spool_count, 1);
	assert_string_equal(effects.spools[0].name, name);
	admin_effects_clear(&effects);
}

static void test_queue_actions(void **state)
{
	(void)state;
	put_messages(4);
	char request[300];
	struct admin_effects effects = { 0 };

	snprintf(request, sizeof request, REQUEST("queue.hold", "\"ids\":[\"%s\",\"%s\"]"), id_text(2), id_text(99));
	assert_int_equal(number(request, "changed", &effects), 2);
	assert_true(effects.queue_changed);
	assert_false(effects.directory_changed);
	assert_string_equal(effects.event, "held");
	assert_int_equal(effects.message_count, 1);
	assert_true(effects.messages[0].id == id_of(2) && effects.messages[0].recipients == 2);
	admin_effects_clear(&effects);
	assert_int_equal(held(), 2);

	/* Nothing to change is no failure, and no effect. */
	assert_int_equal(number(request, "changed", &effects), 0);
	assert_false(effects.queue_changed);
	admin_effects_clear(&effects);

	assert_int_equal(number(REQUEST("queue.hold", "\"domain\":\"d1.example\""), "changed", &effects), 2);
	assert_int_equal(effects.message_count, 2);
	assert_true(effects.messages[0].id == id_of(3) && effects.messages[1].recipients == 1);
	admin_effects_clear(&effects);
	assert_int_equal(held(), 4);

	assert_int_equal(
		number(REQUEST("queue.release", "\"held\":true,\"sender\":\"Anna@ours.example\""), "changed", &effects),
		2);
	assert_string_equal(effects.event, "released");
	assert_int_equal(effects.message_count, 2);
	admin_effects_clear(&effects);
	assert_int_equal(held(), 2);

	assert_int_equal(number(REQUEST("queue.release", "\"all\":true"), "changed", NULL), 2);
	assert_int_equal(held(), 0);
	assert_int_equal(number(REQUEST("queue.retry", "\"deferred\":true"), "changed", NULL), 1 + 1 + 2);

	assert_int_equal(number(REQUEST("queue.remove", "\"domain\":\"d0.example\""), "changed", &effects), 4);
	assert_int_equal(messages(), 3);
	assert_int_equal(effects.spool_count, 0);
	admin_effects_clear(&effects);
	assert_int_equal(number(REQUEST("queue.remove", "\"all\":true"), "changed", &effects), 1 + 2 + 3);
	assert_int_equal(messages(), 0);
	assert_int_equal(effects.spool_count, 1);
	assert_string_equal(effects.spools[0].name, "00/spooled");
	admin_effects_clear(&effects);
}

static void test_writes(void **state)
{
	static const struct {
		const char *request;
		bool writes;
	} cases[] = {
		{ "{\"command\":\"domain.add\"}", true },
		{ "{\"command\":\"queue.remove\"}", true },
		{ "{\"command\":\"queue.list\"}", false },
		{ "{\"command\":\"queue.summary\"}", false },
		{ "{\"command\":\"what\"}", false },
		{ "{}", false },
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		json_t *request = admin_parse_request(view_from_cstr(cases[i].request));
		assert_int_equal(admin_request_writes(request), cases[i].writes);
		json_decref(request);
	}
}

static void test_answers(void **state)
{
	(void)state;
	struct buf out = { 0 };
	json_t *result = json_pack("{s:s}", "domain", "x.example");
	assert_int_equal(admin_format_answer(ERR_OK, "", result, &out), ERR_OK);
	assert_string_equal(buf_cstr(&out), "{\"ok\":true,\"result\":{\"domain\":\"x.example\"}}\n");
	buf_reset(&out);
	assert_int_equal(admin_format_answer(ERR_EXISTS, "a \"sentence\"\nof two lines", NULL, &out), ERR_OK);
	assert_string_equal(
		buf_cstr(&out), "{\"ok\":false,\"error\":\"a \\\"sentence\\\"\\nof two lines\",\"code\":\"exists\"}\n");
	buf_clear(&out);
	buf_init(&out, 20);
	assert_int_equal(buf_append(&out, VIEW("kept")), ERR_OK);
	assert_int_equal(admin_format_answer(ERR_OK, "", result, &out), ERR_LIMIT);
	assert_string_equal(buf_cstr(&out), "kept");
	buf_clear(&out);
	json_decref(result);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_directory, open_store, close_store),
		cmocka_unit_test_setup_teardown(test_all_or_nothing, open_store, close_store),
		cmocka_unit_test_setup_teardown(test_requests_refused, open_store, close_store),
		cmocka_unit_test_setup_teardown(test_queue_list, open_store, close_store),
		cmocka_unit_test_setup_teardown(test_queue_show, open_store, close_store),
		cmocka_unit_test_setup_teardown(test_queue_show_spooled, open_store, close_store),
		cmocka_unit_test_setup_teardown(test_queue_actions, open_store, close_store),
		cmocka_unit_test(test_writes),
		cmocka_unit_test(test_answers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
