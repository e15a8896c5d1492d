#include "policy/throttle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
enum { S = 1000, M = 60 * S };

static const struct login_throttle_limits limits = { .failures_max = 3, .window_ms = 10 * M, .block_ms = 5 * M };

struct step {
	int64_t at_ms;
	char what; /* 'f' a failed login; 'b' is blocked; 'o' is open */
	unsigned client;
};

struct scenario {
	const char *name;
	struct step steps[10];
};

static const struct scenario scenarios[] = {
	{ "blocked at the third",
		{ { 0, 'f', 1 }, { S, 'f', 1 }, { S, 'o', 1 }, { 2 * S, 'f', 1 }, { 2 * S, 'b', 1 } } },
	{ "others are not", { { 0, 'f', 1 }, { 0, 'f', 1 }, { 0, 'f', 1 }, { 0, 'b', 1 }, { 0, 'o', 2 } } },
	{ "the block ends", { { 0, 'f', 1 }, { 0, 'f', 1 }, { 0, 'f', 1 }, { 5 * M - 1, 'b', 1 }, { 5 * M, 'o', 1 } } },
	{ "slow failures never block",
		{ { 0, 'f', 1 }, { 9 * M, 'f', 1 }, { 10 * M, 'f', 1 }, { 10 * M, 'o', 1 }, { 20 * M, 'f', 1 },
			{ 20 * M, 'o', 1 } } },
	{ "just within the window", { { 0, 'f', 1 }, { 5 * M, 'f', 1 }, { 10 * M - 1, 'f', 1 }, { 10 * M, 'b', 1 } } },
	{ "behind the block, few more block again",
		{ { 0, 'f', 1 }, { 0, 'f', 1 }, { 0, 'f', 1 }, { 5 * M, 'o', 1 }, { 6 * M, 'f', 1 }, { 6 * M, 'o', 1 },
			{ 7 * M, 'f', 1 }, { 7 * M, 'b', 1 }, { 12 * M, 'o', 1 } } },
};

static const uint8_t *ip_of(unsigned client, uint8_t ip[4])
{
	ip[0] = 10;
	ip[1] = (uint8_t)(client >> 16);
	ip[2] = (uint8_t)(client >> 8);
	ip[3] = (uint8_t)client;
	return ip;
}

static void test_scenarios(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(scenarios); i++) {
		struct login_throttle *throttle = login_throttle_new(&limits, 100, 5);
		for (const struct step *s = scenarios[i].steps; s->what != '\0'; s++) {
			uint8_t ip[4];
			struct view client = view_of(ip_of(s->client, ip), 4);
			struct smtp_reply refusal;
			if (s->what == 'f')
				login_throttle_failed(throttle, client, s->at_ms);
			else if (login_throttle_allows(throttle, client, s->at_ms, false, &refusal) != (s->what == 'o'))
				fail_msg("%s: step %d", scenarios[i].name, (int)(s - scenarios[i].steps));
		}
		login_throttle_free(throttle);
	}
	login_throttle_free(NULL);
}

static void test_replies(void **state)
{
	(void)state;
	static const struct {
		int64_t at_ms;
		bool at_connect;
		const char *text;
	} cases[] = {
		{ 0, true, "421 4.7.0 Too many failed logins from your address; try again in 6 minutes" },
		{ 4 * M + S, false, "454 4.7.0 Too many failed logins from your address; try again in 1 minute" },
	};
	static const uint8_t ip[4] = { 192, 0, 2, 1 };
	struct login_throttle *throttle = login_throttle_new(&limits, 8, 5);
	for (unsigned i = 0; i < limits.failures_max; i++)
		login_throttle_failed(throttle, view_of(ip, 4), 0);
	assert_true(login_throttle_blocked_ms(throttle, view_of(ip, 4), M) == 4 * M);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct smtp_reply refusal;
		struct buf text = { 0 };
		assert_false(
			login_throttle_allows(throttle, view_of(ip, 4), cases[i].at_ms, cases[i].at_connect, &refusal));
		assert_int_equal(smtp_reply_describe(&refusal, &text), ERR_OK);
		assert_string_equal(buf_cstr(&text), cases[i].text);
		buf_clear(&text);
	}
	login_throttle_free(throttle);
}

/* A flood of addresses takes no more memory, and does not free those that are blocked as long as there are others. */
static void test_flood(void **state)
{
	(void)state;
	struct login_throttle *throttle = login_throttle_new(&limits, 1024, 5);
	uint8_t ip[4];
	for (unsigned n = 0; n < 3; n++)
		login_throttle_failed(throttle, view_of(ip_of(1, ip), 4), 0);
	for (unsigned client = 2; client < 50000; client++)
		login_throttle_failed(throttle, view_of(ip_of(client, ip), 4), 1);
	assert_true(login_throttle_blocked_ms(throttle, view_of(ip_of(1, ip), 4), 2) > 0);
	/* When all are blocked, the oldest makes room: the newest attacker is always counted. */
	for (unsigned client = 2; client < 20000; client++) {
		for (unsigned n = 0; n < 3; n++)
			login_throttle_failed(throttle, view_of(ip_of(client, ip), 4), 10 + client);
		assert_true(login_throttle_blocked_ms(throttle, view_of(ip_of(client, ip), 4), 10 + client) > 0);
	}
	login_throttle_free(throttle);
}

static void test_off(void **state)
{
	(void)state;
	static const uint8_t ip[4] = { 192, 0, 2, 1 };
	struct login_throttle_limits off = { .failures_max = 0, .window_ms = M, .block_ms = M };
	struct login_throttle *throttle = login_throttle_new(&off, 0, 5);
	for (unsigned i = 0; i < 100; i++)
		login_throttle_failed(throttle, view_of(ip, 4), 0);
	assert_true(login_throttle_blocked_ms(throttle, view_of(ip, 4), 0) == 0);
	login_throttle_free(throttle);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scenarios),
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_off),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
