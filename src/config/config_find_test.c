/* What is found in a configuration: streams, smart hosts by sender, policies, patterns. */
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define MINIMAL "hostname = \"mx.example\" listen mx { address = \"127.0.0.1:25\" }\n"

static struct config *must_parse(const char *text)
{
	struct buf errors = { 0 };
	struct config *config = config_parse(view_from_cstr(text), "t", &errors);
	if (config == NULL)
		fail_msg("%s", buf_cstr(&errors));
	buf_clear(&errors);
	return config;
}

/* A shop beside the team, two addresses, three smart hosts. */
static const char shop[] = MINIMAL
	"smarthost team { host = h senders = {\"@team.example\"} domains = {\"*\"} }\n"
	"smarthost main { host = h fallbacks = {spare} }\n"
	"smarthost spare { host = h }\n"
	"smarthost own { host = h }\n"
	"destination bank { domains = {\"bank.example\", \".bank.example\"} tls = verify }\n"
	"egress ip1 { source_ipv4 = 192.0.2.1 weight = 3 rate = {\"20/s\", \"5000/h\"} warm_up = {50, 100}\n"
	"             warm_up_start = 2026-12-01 }\n"
	"egress ip2 { source_ipv6 = \"2001:db8::1\" ehlo_name = out2.example.com }\n"
	"stream shop { accounts = {\"shop@example.com\"} egress = {IP1, ip2} priority = -3 bounces = signed\n"
	"              smarthost = own headers = \"X-Shop: *\" }\n"
	"stream bulk { }\n"
	"mta_sts { mode = testing }\n";

static void test_streams(void **state)
{
	(void)state;
	struct config *c = must_parse(shop);
	assert_int_equal(c->egress_count, 2);
	assert_int_equal(c->stream_count, 2);
	const struct config_stream *s = config_stream_named(c, VIEW("SHOP"));
	assert_ptr_equal(s, &c->streams[0]);
	assert_int_equal(s->egress_count, 2);
	assert_ptr_equal(s->egress_found[0], &c->egresses[0]);
	assert_ptr_equal(s->egress_found[1], &c->egresses[1]);
	assert_int_equal(s->priority, -3);
	assert_int_equal(s->bounces, CONFIG_BOUNCES_SIGNED);
	assert_int_equal(c->streams[1].egress_count, 0);
	assert_null(config_stream_named(c, VIEW("sho")));
	const struct config_egress *e = &c->egresses[0];
	assert_int_equal(e->weight, 3);
	assert_int_equal(e->rate_count, 2);
	assert_int_equal(e->rates[1].count, 5000);
	assert_int_equal(e->rates[1].per_ms, 3600000);
	assert_int_equal(e->warm_up_count, 2);
	assert_int_equal(e->warm_up[1], 100);
	assert_int_equal(e->warm_up_start_s, 1796083200);
	assert_int_equal(c->egresses[1].weight, 1);
	assert_string_equal(c->authentication.authserv_id, "mx.example");
	assert_string_equal(c->reports.from, "postmaster@mx.example");
	assert_string_equal(c->mta_sts.mx[0], "mx.example");
	assert_int_equal(c->mta_sts.mode, CONFIG_STS_TESTING);
	assert_int_equal(config_tls_policy_for(c, VIEW("www.Bank.example")), CONFIG_TLS_VERIFY);
	assert_int_equal(config_tls_policy_for(c, VIEW("notbank.example")), CONFIG_TLS_MAY);
	config_unref(c);
}

static void test_smarthost_for(void **state)
{
	(void)state;
	struct config *c = must_parse(shop);
	static const struct {
		const char *from, *name;
	} cases[] = {
		{ "joe@team.example", "team" },
		{ "joe@TEAM.example", "team" },
		{ "joe@notteam.example", "main" },
		{ "joe@sub.team.example", "main" },
		{ "", "main" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct config_smarthost *found = config_find_smarthost_for(
			c, VIEW("a.example"), view_from_cstr(cases[i].from));
		assert_non_null(found);
		if (strcmp(found->name, cases[i].name) != 0)
			fail_msg("%s: %s", cases[i].from, found->name);
	}
	/* What is only named by others takes nothing by itself. */
	assert_int_equal(config_smarthost_named(c, VIEW("spare"))->domain_count, 0);
	assert_int_equal(config_smarthost_named(c, VIEW("own"))->domain_count, 0);
	config_unref(c);
}

static void test_matches(void **state)
{
	(void)state;
	static const struct {
		const char *pattern, *address;
		bool matches;
	} cases[] = {
		{ "a@example.com", "A@Example.COM", true },
		{ "a@example.com", "b@example.com", false },
		{ "@example.com", "b@example.com", true },
		{ "@example.com", "b@sub.example.com", false },
		{ ".example.com", "b@sub.example.com", true },
		{ ".example.com", "b@example.com", false },
		{ "example.com", "b@example.com", true },
		{ "*", "b@example.com", true },
		{ "@*", "b@example.com", true },
		{ "*", "", false },
		{ "@example.com", "", false },
	};
	for (size_t i = 0; i < COUNT(cases); i++)
		if (config_address_matches(cases[i].pattern, view_from_cstr(cases[i].address)) != cases[i].matches)
			fail_msg("%s %s", cases[i].pattern, cases[i].address);
}

static void test_clients(void **state)
{
	(void)state;
	static const struct {
		const char *settings, *imap_host, *pop3_host;
		unsigned imap_port, pop3_port, submission_port, submissions_port;
		bool knows;
	} cases[] = {
		{ "", NULL, NULL, 0, 0, 0, 0, false },
		{ "clients { imap = \"imap.example.com:1993\" pop3 = pop.example.com display_name = \"Ä & B\" }",
			"imap.example.com", "pop.example.com", 1993, 995, 0, 0, false },
		{ "clients { imap = imap.example.com }\ntls { certificate = \"/c\" key = \"/k\" }\n"
		  "listen submission { address = {\"*:2525\", \"*:587\"} }",
			"imap.example.com", NULL, 993, 0, 587, 0, true },
		{ "clients { display_name = x }\ntls { certificate = \"/c\" key = \"/k\" }\n"
		  "listen submissions { address = {\"*:4465\", \"*:4466\"} }",
			NULL, NULL, 0, 0, 0, 4465, false },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buf text = { 0 };
		struct view host;
		uint16_t port;
		assert_int_equal(buf_append_format(&text, "%s%s", MINIMAL, cases[i].settings), ERR_OK);
		struct config *c = must_parse(buf_cstr(&text));
		assert_int_equal(c->clients.imap != NULL, cases[i].imap_host != NULL);
		assert_int_equal(c->clients.pop3 != NULL, cases[i].pop3_host != NULL);
		if (c->clients.imap != NULL) {
			config_split_host_port(c->clients.imap, 993, &host, &port);
			assert_true(view_eq(host, view_from_cstr(cases[i].imap_host)));
			assert_int_equal(port, cases[i].imap_port);
		}
		if (c->clients.pop3 != NULL) {
			config_split_host_port(c->clients.pop3, 995, &host, &port);
			assert_true(view_eq(host, view_from_cstr(cases[i].pop3_host)));
			assert_int_equal(port, cases[i].pop3_port);
		}
		assert_int_equal(config_listener_port(c, LISTENER_SUBMISSION, 587), cases[i].submission_port);
		assert_int_equal(config_listener_port(c, LISTENER_SUBMISSIONS, 465), cases[i].submissions_port);
		assert_int_equal(config_knows_clients(c), cases[i].knows);
		config_unref(c);
		buf_clear(&text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_streams),
		cmocka_unit_test(test_smarthost_for),
		cmocka_unit_test(test_matches),
		cmocka_unit_test(test_clients),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
