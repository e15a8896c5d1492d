#include "service/iprev.h"

#include "dns/message.h"
#include "net/testing_dns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct case_ {
	const char *name, *client;
	const char *reverse; /* the question that is to be asked */
	const char *pointer, *address; /* the answers; NULL: no record, "": SERVFAIL */
	enum auth_iprev result;
	const char *host;
};

static const struct case_ cases[] = {
	{ "they agree", "192.0.2.1", "1.2.0.192.in-addr.arpa", "Mail.one.example", "192.0.2.1", AUTH_IPREV_PASS,
		"mail.one.example" },
	{ "IPv6", "2001:db8::c:21", "1.2.0.0.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
		"mail.six.example", "2001:db8::c:21", AUTH_IPREV_PASS, "mail.six.example" },
	{ "another address", "192.0.2.2", "2.2.0.192.in-addr.arpa", "mail.two.example", "192.0.2.99", AUTH_IPREV_FAIL,
		"" },
	{ "a name without address", "192.0.2.3", "3.2.0.192.in-addr.arpa", "mail.three.example", NULL, AUTH_IPREV_FAIL,
		"" },
	{ "no name", "192.0.2.4", "4.2.0.192.in-addr.arpa", NULL, "192.0.2.4", AUTH_IPREV_PERMERROR, "" },
	{ "no answer about the name", "192.0.2.5", "5.2.0.192.in-addr.arpa", "", "192.0.2.5", AUTH_IPREV_TEMPERROR,
		"" },
	{ "no answer about its address", "192.0.2.6", "6.2.0.192.in-addr.arpa", "mail.six.example", "",
		AUTH_IPREV_TEMPERROR, "" },
	{ "a name that is none", "192.0.2.7", "7.2.0.192.in-addr.arpa", "a\"b c.example", "192.0.2.7",
		AUTH_IPREV_PERMERROR, "" },
	{ "a name without a dot", "192.0.2.8", "8.2.0.192.in-addr.arpa", "localhost", "192.0.2.8", AUTH_IPREV_PERMERROR,
		"" },
};

static struct testing_dns dns;
static struct loop *loop;
static struct resolver *resolver;

static const char *answer(void *owner, const char *name, uint16_t type)
{
	const struct case_ *now = *(const struct case_ **)owner;
	size_t len = strlen(name);
	if (now == NULL)
		return "";
	if (type == DNS_TYPE_PTR)
		return strcmp(name, now->reverse) == 0 ? now->pointer : NULL;
	bool is_address = type == DNS_TYPE_A || type == DNS_TYPE_AAAA;
	return is_address && len > 8 && strcmp(name + len - 8, ".example") == 0 ? now->address : NULL;
}

static void finished(void *owner)
{
	(*(unsigned *)owner)++;
	loop_stop(loop);
}

static struct iprev *begin(const char *client, unsigned *count)
{
	struct net_address address;
	assert_int_equal(net_address_parse(view_from_cstr(client), 25, &address), ERR_OK);
	return iprev_new(resolver, resolver_share_client(&address, 1), &address, finished, count);
}

static void results(void **state)
{
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const struct case_ *c = &cases[i];
		unsigned count = 0;
		*(const struct case_ **)*state = c;
		struct iprev *iprev = begin(c->client, &count);
		assert_false(iprev_is_done(iprev));
		assert_int_equal(iprev_result(iprev), AUTH_IPREV_TEMPERROR);
		loop_run(loop);
		if (!iprev_is_done(iprev) || count != 1 || iprev_result(iprev) != c->result ||
			!view_eq(iprev_name(iprev), view_from_cstr(c->host)))
			fail_msg("%s: result %d, name %.*s", c->name, (int)iprev_result(iprev),
				VIEW_ARG(iprev_name(iprev)));
		iprev_free(iprev);
	}
}

static void given_up(void **state)
{
	(void)state;
	unsigned count = 0, other = 0;
	struct iprev *gone = begin("192.0.2.200", &count);
	struct iprev *iprev = begin("192.0.2.201", &other);
	iprev_free(gone);
	loop_run(loop);
	assert_int_equal(count, 0);
	assert_int_equal(other, 1);
	iprev_free(iprev);
	iprev_free(NULL);
}

static int setup(void **state)
{
	static const struct case_ *now;
	*state = &now;
	dns = (struct testing_dns){ .answer = answer, .owner = &now };
	testing_dns_start(&dns);
	loop = loop_new("test");
	const char *servers[] = { dns.server };
	struct resolver_options options = {
		.server_count = 1, .servers = servers, .default_trust_anchor_file = "/nonexistent", .timeout_ms = 20000
	};
	resolver = resolver_new(loop, &options);
	return resolver != NULL ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	resolver_free(resolver);
	loop_free(loop);
	testing_dns_stop(&dns);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(results, setup, teardown),
		cmocka_unit_test_setup_teardown(given_up, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
