#include "policy/stream_choice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define LIST(...)                                                                                                      \
	{                                                                                                              \
		COUNT(((const char *const[]){ __VA_ARGS__ })), (const char *const[])                                   \
		{                                                                                                      \
			__VA_ARGS__                                                                                    \
		}                                                                                                      \
	}

static const char header[] = "Received: from a\r\n by b\r\n"
			     "From: Shop <shop@example.com>\r\n"
			     "X-Campaign: Spring sale\r\n\t2026\r\n"
			     "list-unsubscribe: <https://example.com/u>\r\n"
			     "bad line\r\n"
			     "\r\n"
			     "X-Body: not a field\r\n";

static const struct {
	const char *name;
	struct stream_rules rules;
	bool matches;
} cases[] = {
	{ "no rules take everything", { .listeners = { 0, NULL } }, true },
	{ "listener", { .listeners = LIST("mx", "submission") }, true },
	{ "other listener", { .listeners = LIST("mx", "local") }, false },
	{ "account", { .accounts = LIST("SHOP@example.com") }, true },
	{ "other account", { .accounts = LIST("shop2@example.com") }, false },
	{ "domain of accounts", { .accounts = LIST("@example.com") }, true },
	{ "user of the machine", { .accounts = LIST("local:shop@example.com") }, false },
	{ "sender", { .senders = LIST("bounce+1@news.example.com") }, true },
	{ "sender's domain", { .senders = LIST("news.example.com") }, true },
	{ "below a domain", { .senders = LIST(".example.com") }, true },
	{ "not the domain itself", { .senders = LIST(".news.example.com") }, false },
	{ "parent with @", { .senders = LIST("@example.com") }, false },
	{ "recipient", { .recipients = LIST("b@example.org", "a@example.net") }, true },
	{ "recipients' domain", { .recipients = LIST("@EXAMPLE.net") }, true },
	{ "any recipient", { .recipients = LIST("*") }, true },
	{ "other recipient", { .recipients = LIST("example.org", ".example.net") }, false },
	{ "field is there", { .headers = LIST("List-Unsubscribe") }, true },
	{ "field is not", { .headers = LIST("X-Priority", "List-Id") }, false },
	{ "value", { .headers = LIST("X-Campaign: spring*") }, true },
	{ "whole value, unfolded", { .headers = LIST("x-campaign:SPRING sale\t2026") }, true },
	{ "part of the value", { .headers = LIST("X-Campaign: spring") }, false },
	{ "stars inside", { .headers = LIST("X-Campaign: *sale*20*6") }, true },
	{ "stars that don't meet", { .headers = LIST("X-Campaign: *sale*27*") }, false },
	{ "fields end with the header section", { .headers = LIST("X-Body") }, false },
	{ "any one of the fields", { .headers = LIST("X-None", "From: *<shop@example.com>") }, true },
	{ "all kinds must match",
		{ .listeners = LIST("submission"),
			.accounts = LIST("@example.com"),
			.senders = LIST("@news.example.com"),
			.recipients = LIST("example.net"),
			.headers = LIST("List-Unsubscribe") },
		true },
	{ "and one does not", { .listeners = LIST("submission"), .recipients = LIST("example.org") }, false },
};

static const struct stream_message message = {
	.listener = { (const uint8_t *)"submission", 10 },
	.account = { (const uint8_t *)"shop@example.com", 16 },
	.reverse_path = { (const uint8_t *)"bounce+1@news.example.com", 25 },
	.header = { (const uint8_t *)header, sizeof header - 1 },
};

static void one_stream(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct stream_choice choice;
		stream_choice_init(&choice, 1, &cases[i].rules, &message);
		if ((stream_choice_for(&choice, VIEW("a@example.net")) == 0) != cases[i].matches)
			fail_msg("%s", cases[i].name);
	}
}

static void the_first_that_matches(void **state)
{
	(void)state;
	const struct stream_rules streams[] = {
		{ .listeners = LIST("mx") },
		{ .recipients = LIST("example.net") },
		{ .headers = LIST("List-Unsubscribe"), .recipients = LIST("@example.org") },
		{ .senders = LIST("*") },
	};
	struct stream_choice choice;
	stream_choice_init(&choice, 4, streams, &message);
	assert_int_equal(stream_choice_for(&choice, VIEW("a@example.net")), 1);
	assert_int_equal(stream_choice_for(&choice, VIEW("a@example.org")), 2);
	assert_int_equal(stream_choice_for(&choice, VIEW("a@example.com")), 3);
	struct stream_message null_path = message;
	null_path.reverse_path = VIEW_NONE;
	stream_choice_init(&choice, 4, streams, &null_path);
	assert_int_equal(stream_choice_for(&choice, VIEW("a@example.com")), 4);
	stream_choice_init(&choice, 0, NULL, &message);
	assert_int_equal(stream_choice_for(&choice, VIEW("a@example.com")), 0);
}

static void users_of_this_machine(void **state)
{
	(void)state;
	const struct stream_rules streams[] = {
		{ .accounts = LIST("@www-data", "www-data", "*") },
		{ .accounts = LIST("local:www-data"), .listeners = LIST("local") },
	};
	struct stream_message local = { .listener = VIEW("local"), .account = VIEW("local:www-data") };
	struct stream_choice choice;
	stream_choice_init(&choice, 2, streams, &local);
	assert_int_equal(stream_choice_for(&choice, VIEW("a@example.net")), 1);
	/* Nobody logged in: no account matches. */
	local.account = VIEW_NONE;
	stream_choice_init(&choice, 2, streams, &local);
	assert_int_equal(stream_choice_for(&choice, VIEW("a@example.net")), 2);
}

/* Patterns of an operator against values of a stranger: no blow-up. */
static void many_stars(void **state)
{
	(void)state;
	static char value[100000];
	memset(value, 'a', sizeof value);
	memcpy(value, "X: ", 3);
	const struct stream_rules streams[] = { { .headers = LIST("X: *a*a*a*a*a*a*a*a*a*a*b") } };
	struct stream_message m = { .header = view_of(value, sizeof value) };
	struct stream_choice choice;
	stream_choice_init(&choice, 1, streams, &m);
	assert_int_equal(stream_choice_for(&choice, VIEW("a@example.net")), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_stream),
		cmocka_unit_test(the_first_that_matches),
		cmocka_unit_test(users_of_this_machine),
		cmocka_unit_test(many_stars),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
