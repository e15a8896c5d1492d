#include "net/testing.h"

#include "net/address.h"

#include <arpa/inet.h>
#include <string.h>

static void parses(void **state)
{
	(void)state;
	static const struct {
		const char *name, *ip;
		enum err err;
		const char *text;
		bool v6, loopback;
	} cases[] = {
		{ "IPv4", "192.0.2.1", ERR_OK, "192.0.2.1", false, false },
		{ "IPv4 loopback", "127.8.0.1", ERR_OK, "127.8.0.1", false, true },
		{ "IPv6", "2001:DB8::1", ERR_OK, "2001:db8::1", true, false },
		{ "IPv6 loopback", "::1", ERR_OK, "::1", true, true },
		{ "mapped becomes IPv4", "::ffff:192.0.2.7", ERR_OK, "192.0.2.7", false, false },
		{ "mapped in hex", "::ffff:7f00:1", ERR_OK, "127.0.0.1", false, true },
		{ "compatible is not mapped", "::192.0.2.7", ERR_OK, "::192.0.2.7", true, false },
		{ "empty", "", ERR_SYNTAX, NULL, false, false },
		{ "three parts", "192.0.2", ERR_SYNTAX, NULL, false, false },
		{ "leading zero", "192.0.2.01", ERR_SYNTAX, NULL, false, false },
		{ "too large", "192.0.2.256", ERR_SYNTAX, NULL, false, false },
		{ "trailing space", "192.0.2.1 ", ERR_SYNTAX, NULL, false, false },
		{ "brackets", "[::1]", ERR_SYNTAX, NULL, false, false },
		{ "scope", "fe80::1%lo", ERR_SYNTAX, NULL, false, false },
		{ "much too long", "1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111", ERR_SYNTAX, NULL, false,
			false },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct net_address a;
		memset(&a, 0x55, sizeof a);
		struct net_address untouched = a;
		print_message("  %s\n", cases[i].name);
		assert_int_equal(net_address_parse(view_from_cstr(cases[i].ip), 25, &a), cases[i].err);
		if (cases[i].err != ERR_OK) {
			assert_memory_equal(&a, &untouched, sizeof a);
			continue;
		}
		assert_string_equal(net_address_ip(&a).text, cases[i].text);
		assert_int_equal(net_address_port(&a), 25);
		assert_int_equal(net_address_is_v6(&a), cases[i].v6);
		assert_int_equal(net_address_is_loopback(&a), cases[i].loopback);
	}
	struct net_address a;
	assert_int_equal(net_address_parse(view_of("127.0.0.1\0x", 11), 25, &a), ERR_SYNTAX);
}

static void takes_raw_bytes_and_sockaddrs(void **state)
{
	(void)state;
	static const uint8_t mapped[16] = { [10] = 0xff, [11] = 0xff, 10, 1, 2, 3 };
	struct net_address a, b;
	assert_int_equal(net_address_from_bytes(view_of(mapped, 16), 7, &a), ERR_OK);
	assert_int_equal(net_address_from_bytes(view_of(mapped + 12, 4), 8, &b), ERR_OK);
	assert_string_equal(net_address_ip(&a).text, "10.1.2.3");
	assert_true(net_address_same_ip(&a, &b));
	assert_int_equal(net_address_from_bytes(view_of(mapped, 5), 8, &b), ERR_SYNTAX);
	assert_int_equal(net_address_port(&b), 8);

	struct sockaddr_in6 sa = { .sin6_family = AF_INET6, .sin6_port = htons(2525) };
	memcpy(&sa.sin6_addr, mapped, 16);
	net_address_from_sockaddr((struct sockaddr *)&sa, sizeof sa, &a);
	assert_string_equal(net_address_ip(&a).text, "10.1.2.3");
	assert_int_equal(net_address_port(&a), 2525);
	assert_int_equal(a.len, sizeof(struct sockaddr_in));

	struct sockaddr unix_sa = { .sa_family = AF_UNIX };
	net_address_from_sockaddr(&unix_sa, sizeof unix_sa, &a);
	assert_string_equal(net_address_ip(&a).text, "");
	assert_false(net_address_same_ip(&a, &a));
}

static void parses_listen_specifications(void **state)
{
	(void)state;
	static const struct {
		const char *spec;
		enum err err;
		size_t count;
		const char *first, *second;
		uint16_t port;
	} cases[] = {
		{ "*:25", ERR_OK, 2, "0.0.0.0", "::", 25 },
		{ ":587", ERR_OK, 2, "0.0.0.0", "::", 587 },
		{ "127.0.0.1:2525", ERR_OK, 1, "127.0.0.1", NULL, 2525 },
		{ "[::1]:587", ERR_OK, 1, "::1", NULL, 587 },
		{ "[::]:65535", ERR_OK, 1, "::", NULL, 65535 },
		{ "::1:587", ERR_SYNTAX, 0, NULL, NULL, 0 },
		{ "[127.0.0.1]:25", ERR_SYNTAX, 0, NULL, NULL, 0 },
		{ "127.0.0.1", ERR_SYNTAX, 0, NULL, NULL, 0 },
		{ "127.0.0.1:", ERR_SYNTAX, 0, NULL, NULL, 0 },
		{ "127.0.0.1:smtp", ERR_SYNTAX, 0, NULL, NULL, 0 },
		{ "127.0.0.1:65536", ERR_SYNTAX, 0, NULL, NULL, 0 },
		{ "example.com:25", ERR_SYNTAX, 0, NULL, NULL, 0 },
		{ "[]:25", ERR_SYNTAX, 0, NULL, NULL, 0 },
		{ "25", ERR_SYNTAX, 0, NULL, NULL, 0 },
		{ "", ERR_SYNTAX, 0, NULL, NULL, 0 },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct net_address a[2];
		size_t count = 9;
		print_message("  %s\n", cases[i].spec);
		assert_int_equal(net_address_parse_listen(view_from_cstr(cases[i].spec), a, &count), cases[i].err);
		if (cases[i].err != ERR_OK) {
			assert_int_equal(count, 9);
			assert_string_not_equal(err_detail(), "");
			continue;
		}
		assert_int_equal(count, cases[i].count);
		assert_string_equal(net_address_ip(&a[0]).text, cases[i].first);
		for (size_t k = 0; k < count; k++)
			assert_int_equal(net_address_port(&a[k]), cases[i].port);
		if (count == 2)
			assert_string_equal(net_address_ip(&a[1]).text, cases[i].second);
	}
}

static void ranges_contain(void **state)
{
	(void)state;
	static const struct {
		const char *range, *ip;
		bool inside;
	} cases[] = {
		{ "10.0.0.0/8", "10.255.1.2", true },
		{ "10.0.0.0/8", "11.0.0.0", false },
		{ "10.1.2.3", "10.1.2.3", true },
		{ "10.1.2.3", "10.1.2.2", false },
		{ "192.0.2.128/25", "192.0.2.129", true },
		{ "192.0.2.128/25", "192.0.2.127", false },
		{ "192.0.2.77/31", "192.0.2.76", true },
		{ "0.0.0.0/0", "203.0.113.9", true },
		{ "0.0.0.0/0", "2001:db8::1", false },
		{ "::/0", "203.0.113.9", false },
		{ "2001:db8::/32", "2001:db8:ffff::1", true },
		{ "2001:db8::/32", "2001:db9::1", false },
		{ "2001:db8::1", "2001:db8::1", true },
		{ "2001:db8::/127", "2001:db8::2", false },
		{ "::ffff:10.0.0.0/104", "10.9.9.9", true },
		{ "10.0.0.0/8", "::ffff:10.0.0.1", true },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct net_range range;
		struct net_address ip;
		print_message("  %s %s\n", cases[i].range, cases[i].ip);
		assert_int_equal(net_range_parse(view_from_cstr(cases[i].range), &range), ERR_OK);
		assert_int_equal(net_address_parse(view_from_cstr(cases[i].ip), 25, &ip), ERR_OK);
		assert_int_equal(net_range_contains(&range, &ip), cases[i].inside);
	}
	static const char *const bad[] = { "", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "::/129",
		"::ffff:0:0/95", "10.0.0.0/8/8", "10/8", "localhost" };
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct net_range range;
		print_message("  %s\n", bad[i]);
		assert_int_equal(net_range_parse(view_from_cstr(bad[i]), &range), ERR_SYNTAX);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses),
		cmocka_unit_test(takes_raw_bytes_and_sockaddrs),
		cmocka_unit_test(parses_listen_specifications),
		cmocka_unit_test(ranges_contain),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
