#include "policy/limits.h"

#include "base/mem.h"
#include "policy/client_key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

struct ip {
	uint8_t bytes[16];
	size_t len;
};

static struct view view_ip(const struct ip *ip)
{
	return view_of(ip->bytes, ip->len);
}

/* The n-th client of IPv4 (n even) or IPv6 (n odd). */
static struct ip make_ip(uint32_t n)
{
	struct ip ip = { .len = n % 2 == 0 ? 4 : 16 };
	for (size_t i = 0; i < 4; i++)
		ip.bytes[i] = (uint8_t)(n >> (24 - 8 * i));
	if (ip.len == 16)
		ip.bytes[15] = (uint8_t)n; /* within the /64: does not matter */
	return ip;
}

static void test_keys(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		struct ip a, b;
		bool same;
	} cases[] = {
		{ "IPv4", { { 192, 0, 2, 1 }, 4 }, { { 192, 0, 2, 1 }, 4 }, true },
		{ "another IPv4", { { 192, 0, 2, 1 }, 4 }, { { 192, 0, 2, 2 }, 4 }, false },
		{ "IPv4-mapped", { { 192, 0, 2, 1 }, 4 }, { { [10] = 0xff, 0xff, 192, 0, 2, 1 }, 16 }, true },
		{ "another IPv4-mapped", { { 192, 0, 2, 1 }, 4 }, { { [10] = 0xff, 0xff, 192, 0, 2, 2 }, 16 }, false },
		{ "the same /64", { { 0x20, 1, 0xd, 0xb8, [15] = 1 }, 16 },
			{ { 0x20, 1, 0xd, 0xb8, [8] = 9, [15] = 2 }, 16 }, true },
		{ "another /64", { { 0x20, 1, 0xd, 0xb8, [7] = 1 }, 16 }, { { 0x20, 1, 0xd, 0xb8, [7] = 2 }, 16 },
			false },
		{ "IPv4 is not an IPv6 of the same bytes", { { 192, 0, 2, 1 }, 4 }, { { 192, 0, 2, 1 }, 16 }, false },
		{ "0.0.0.0 and ::", { { 0 }, 4 }, { { 0 }, 16 }, false },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct client_key a = client_key_make(view_ip(&cases[i].a)), b = client_key_make(view_ip(&cases[i].b));
		if (client_key_eq(a, b) != cases[i].same)
			fail_msg("%s", cases[i].name);
		if (cases[i].same)
			assert_true(client_key_hash(a, 1) == client_key_hash(b, 1));
		assert_true(client_key_hash(a, 1) != client_key_hash(a, 2));
	}
}

static void assert_refused(struct connection_limits *limits, uint32_t client, const char *text)
{
	struct ip ip = make_ip(client);
	struct smtp_reply refusal;
	assert_false(connection_limits_open(limits, view_ip(&ip), &refusal));
	struct buf out = { 0 };
	assert_int_equal(smtp_reply_describe(&refusal, &out), ERR_OK);
	assert_string_equal(buf_cstr(&out), text);
	buf_clear(&out);
}

static void open_one(struct connection_limits *limits, uint32_t client)
{
	struct ip ip = make_ip(client);
	struct smtp_reply refusal;
	assert_true(connection_limits_open(limits, view_ip(&ip), &refusal));
}

static void close_one(struct connection_limits *limits, uint32_t client)
{
	struct ip ip = make_ip(client);
	connection_limits_close(limits, view_ip(&ip));
}

static void test_limits(void **state)
{
	(void)state;
	struct connection_limits *limits = connection_limits_new(5, 2, 42);
	open_one(limits, 1);
	open_one(limits, 1);
	assert_refused(limits, 1, "421 4.7.0 Too many connections from your address; close some first");
	open_one(limits, 2);
	open_one(limits, 2);
	open_one(limits, 3);
	assert_refused(limits, 4, "421 4.7.0 Too many connections to this server; try again later");
	assert_int_equal(connection_limits_count(limits), 5);
	close_one(limits, 1);
	open_one(limits, 4);
	close_one(limits, 4);
	open_one(limits, 1);
	/* Lower limits after a reload: what is open stays, nothing new comes in. */
	connection_limits_change(limits, 3, 1);
	assert_refused(limits, 9, "421 4.7.0 Too many connections to this server; try again later");
	close_one(limits, 1);
	close_one(limits, 1);
	close_one(limits, 3);
	assert_int_equal(connection_limits_count(limits), 2);
	assert_refused(limits, 2, "421 4.7.0 Too many connections from your address; close some first");
	open_one(limits, 3);
	connection_limits_change(limits, 100, 100);
	open_one(limits, 2);
	struct ip ip = make_ip(2);
	assert_int_equal(connection_limits_count_of(limits, view_ip(&ip)), 3);
	connection_limits_free(limits);
	connection_limits_free(NULL);
}

/* Against a plain array of counts: random comings and goings of up to 3,000 clients, so that the table grows, shrinks and closes gaps. */
static void test_against_model(void **state)
{
	(void)state;
	enum { CLIENTS = 3000, STEPS = 200000 };
	uint32_t *counts = mem_alloc_array(CLIENTS, sizeof *counts), total = 0;
	struct connection_limits *limits = connection_limits_new(100000, 3, 7);
	uint64_t random = 88172645463325252u;
	for (unsigned step = 0; step < STEPS; step++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		/* Tides: mostly opening, then mostly closing. */
		bool opening = (random >> 32) % 10 < (step / 20000 % 2 == 0 ? 8 : 2);
		uint32_t client = (uint32_t)(random % CLIENTS);
		struct ip ip = make_ip(client);
		assert_int_equal(connection_limits_count_of(limits, view_ip(&ip)), counts[client]);
		if (opening) {
			struct smtp_reply refusal;
			bool opened = connection_limits_open(limits, view_ip(&ip), &refusal);
			assert_int_equal(opened, counts[client] < 3);
			counts[client] += opened;
			total += opened;
		} else if (counts[client] > 0) {
			connection_limits_close(limits, view_ip(&ip));
			counts[client]--;
			total--;
		}
		assert_int_equal(connection_limits_count(limits), total);
	}
	for (uint32_t client = 0; client < CLIENTS; client++)
		for (; counts[client] > 0; counts[client]--)
			close_one(limits, client);
	assert_int_equal(connection_limits_count(limits), 0);
	connection_limits_free(limits);
	mem_free(counts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_against_model),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
