#include "config/config.h"

#include "base/mem.h"
#include "config/config_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Lines that make any file complete; errors of the cases stand in the lines behind. */
#define MINIMAL "hostname = \"mx.example\" listen mx { address = \"127.0.0.1:25\" }\n"

static struct config *must_parse(const char *text)
{
	struct buf errors = { 0 };
	struct config *config = config_parse(view_from_cstr(text), "t", &errors);
	if (config == NULL)
		fail_msg("%s", buf_cstr(&errors));
	assert_int_equal(errors.len, 0);
	buf_clear(&errors);
	return config;
}

static void test_defaults(void **state)
{
	(void)state;
	struct config *c = must_parse(MINIMAL);
	assert_string_equal(c->path, "t");
	assert_string_equal(c->hostname, "mx.example");
	assert_string_equal(c->data, "/var/lib/postrider");
	assert_string_equal(c->user, "postrider");
	assert_null(c->postmaster);
	assert_string_equal(c->mail_folder, "/var/lib/postrider/mail");
	assert_string_equal(c->socket, "/var/lib/postrider/submit.sock");
	assert_string_equal(c->recipient_delimiter, "+");
	assert_int_equal(c->receive_threads, 0);
	assert_int_equal(c->stop_timeout_ms, 10000);
	assert_null(c->tls_certificate);
	assert_null(c->tls_key);
	assert_string_equal(c->tls_minimum, "1.2");
	assert_true(c->listeners[LISTENER_MX].enabled);
	assert_false(c->listeners[LISTENER_SUBMISSION].enabled);
	assert_int_equal(c->limits.connections, 10000);
	assert_int_equal(c->limits.connections_per_address, 100);
	assert_int_equal(c->limits.commands_per_session, 1000);
	assert_int_equal(c->limits.errors_per_session, 20);
	assert_int_equal(c->limits.messages_per_session, 1000);
	assert_int_equal(c->limits.auth_failures_per_session, 5);
	assert_int_equal(c->limits.recipients_per_message, 1000);
	assert_int_equal(c->limits.message_size_bytes, 50 * 1024 * 1024);
	assert_int_equal(c->limits.idle_timeout_ms, 300000);
	assert_int_equal(c->limits.data_timeout_ms, 180000);
	assert_int_equal(c->limits.message_timeout_ms, 3600000);
	assert_int_equal(c->limits.hops, 100);
	assert_int_equal(c->limits.body_memory_bytes, 256 * 1024 * 1024);
	assert_int_equal(c->limits.inline_body_bytes, 1024 * 1024);
	assert_int_equal(c->queue.retry_first_ms, 300000);
	assert_int_equal(c->queue.retry_max_ms, 14400000);
	assert_int_equal(c->queue.expire_ms, 432000000);
	assert_int_equal(c->queue.expire_bounce_ms, 86400000);
	assert_int_equal(c->queue.warn_after_ms, 14400000);
	assert_int_equal(c->queue.active_recipients, 20000);
	assert_int_equal(c->delivery.port, 25);
	assert_int_equal(c->delivery.concurrency_per_destination, 20);
	assert_int_equal(c->delivery.connections, 500);
	assert_int_equal(c->delivery.messages_per_connection, 100);
	assert_int_equal(c->delivery.recipients_per_transaction, 100);
	assert_int_equal(c->delivery.connect_timeout_ms, 30000);
	assert_int_equal(c->delivery.idle_ms, 2000);
	assert_int_equal(c->delivery.tls, CONFIG_TLS_MAY);
	assert_true(c->delivery.ipv6);
	assert_int_equal(c->delivery.source_v4.len, 0);
	assert_int_equal(c->delivery.source_v6.len, 0);
	assert_string_equal(c->delivery.ehlo_name, "mx.example");
	assert_null(c->delivery.ca_file);
	assert_int_equal(c->smarthost_count, 0);
	assert_int_equal(c->dns.server_count, 0);
	assert_null(c->dns.trust_anchor_file);
	assert_int_equal(c->dns.timeout_ms, 20000);
	assert_int_equal(c->log.target, LOG_TARGET_STDERR);
	assert_int_equal(c->log.format, LOG_FORMAT_LOGFMT);
	assert_int_equal(c->log.level, LOG_LEVEL_INFO);
	config_unref(c);
}

static const char everything[] =
	"\xef\xbb\xbf# a comment\r\n"
	"#\n"
	"/* another,\n over lines */ // and one more\n"
	"hostname = Mail.Example.com   # no quotes needed\n"
	"data = '/srv/\"mail\"/${HOME}/'\n"
	"user = \"mail-user\"\n"
	"postmaster = \"admin@example.com\"\n"
	"mail_folder = \"/srv/a\\\\b\\\"c\"\n"
	"socket = /run/p.sock\n"
	"recipient_delimiter = \"+-\"\n"
	"receive_threads = 3\n"
	"stop_timeout = 250ms\n"
	"tls { certificate = \"/c.pem\" key = \"/k.pem\" minimum = \"1.3\" }\n"
	"listen mx { address = { \"127.0.0.1:2525\", # here\n \"[::1]:2526\" /* and here */ }\n"
	" relay_from = {\"10.0.0.0/8\", \"2001:db8::/32\", \"192.0.2.7\"} normalise_line_ends = On }\n"
	"listen submission { address += \"127.0.0.1:587\" address += \"[::1]:587\" }\n"
	"listen submissions { address = *:465 }\n"
	"limits { connections = 7 message_size = \"1 MiB\" idle_timeout = 1h inline_body = 64k }\n"
	"queue { retry_first = 1s retry_max = \"2s\" warn_after = 0 expire = \"1d12h\" }\n"
	"delivery { port = 2500 tls = verify ipv6 = no source_ipv4 = \"192.0.2.1\" source_ipv6 = \"2001:db8::1\"\n"
	"  ehlo_name = \"out.example.com\" ca_file = \"/ca.pem\" idle = 0 }\n"
	"smarthost a { host = \"smtp.example.net\" domains = {\"Example.org\", \".example.org\"} }\n"
	"smarthost \"b-2\" { host = \"192.0.2.9\" port = 2587 tls = implicit verify = false concurrency = 2 "
	"hand_on_holds = yes }\n"
	"smarthost c { host = localhost tls = clear domains = {\".net.example.org\", \"x.example\"} }\n"
	"dns { servers = {\"127.0.0.1@5353\", \"2001:db8::53\"} trust_anchor = \"/a\" timeout = 2s }\n"
	"log { to = journald format = json }\n"
	"log { level = DEBUG }";

static void test_everything(void **state)
{
	(void)state;
	struct config *c = must_parse(everything);
	assert_string_equal(c->hostname, "Mail.Example.com");
	assert_string_equal(c->data, "/srv/\"mail\"/${HOME}/");
	assert_string_equal(c->mail_folder, "/srv/a\\b\"c");
	assert_string_equal(c->user, "mail-user");
	assert_string_equal(c->postmaster, "admin@example.com");
	assert_string_equal(c->socket, "/run/p.sock");
	assert_string_equal(c->recipient_delimiter, "+-");
	assert_int_equal(c->receive_threads, 3);
	assert_int_equal(c->stop_timeout_ms, 250);
	assert_string_equal(c->tls_certificate, "/c.pem");
	assert_string_equal(c->tls_key, "/k.pem");
	assert_string_equal(c->tls_minimum, "1.3");
	const struct config_listener *mx = &c->listeners[LISTENER_MX];
	assert_int_equal(mx->address_count, 2);
	assert_int_equal(net_address_port(&mx->addresses[1]), 2526);
	assert_true(net_address_is_v6(&mx->addresses[1]));
	assert_int_equal(mx->relay_from_count, 3);
	assert_int_equal(mx->relay_from[0].prefix_bits, 8);
	assert_int_equal(mx->relay_from[2].prefix_bits, 32);
	assert_true(mx->normalise_line_ends);
	assert_int_equal(c->listeners[LISTENER_SUBMISSION].address_count, 2);
	assert_int_equal(c->listeners[LISTENER_SUBMISSIONS].address_count, 2);
	assert_int_equal(c->limits.connections, 7);
	assert_int_equal(c->limits.message_size_bytes, 1048576);
	assert_int_equal(c->limits.idle_timeout_ms, 3600000);
	assert_int_equal(c->limits.inline_body_bytes, 65536);
	assert_int_equal(c->queue.retry_first_ms, 1000);
	assert_int_equal(c->queue.warn_after_ms, 0);
	assert_int_equal(c->queue.expire_ms, 129600000);
	assert_int_equal(c->delivery.port, 2500);
	assert_int_equal(c->delivery.tls, CONFIG_TLS_VERIFY);
	assert_false(c->delivery.ipv6);
	assert_string_equal(net_address_ip(&c->delivery.source_v4).text, "192.0.2.1");
	assert_string_equal(net_address_ip(&c->delivery.source_v6).text, "2001:db8::1");
	assert_string_equal(c->delivery.ehlo_name, "out.example.com");
	assert_string_equal(c->delivery.ca_file, "/ca.pem");
	assert_int_equal(c->delivery.idle_ms, 0);
	assert_int_equal(c->smarthost_count, 3);
	assert_string_equal(c->smarthosts[0].name, "a");
	assert_int_equal(c->smarthosts[0].port, 587);
	assert_int_equal(c->smarthosts[0].tls, CONFIG_SMARTHOST_STARTTLS);
	assert_true(c->smarthosts[0].verify);
	assert_null(c->smarthosts[0].login);
	assert_int_equal(c->smarthosts[0].domain_count, 2);
	assert_int_equal(c->smarthosts[0].concurrency, 10);
	assert_false(c->smarthosts[0].hand_on_holds);
	assert_true(c->smarthosts[1].hand_on_holds);
	assert_true(config_hands_on_holds(c));
	assert_string_equal(c->smarthosts[1].name, "b-2");
	assert_int_equal(c->smarthosts[1].port, 2587);
	assert_false(c->smarthosts[1].verify);
	assert_int_equal(c->smarthosts[1].domain_count, 1);
	assert_string_equal(c->smarthosts[1].domains[0], "*");
	assert_int_equal(c->smarthosts[2].port, 25);
	assert_int_equal(c->dns.server_count, 2);
	assert_string_equal(c->dns.servers[0], "127.0.0.1@5353");
	assert_string_equal(c->dns.trust_anchor_file, "/a");
	assert_int_equal(c->log.target, LOG_TARGET_JOURNALD);
	assert_int_equal(c->log.format, LOG_FORMAT_JSON);
	assert_int_equal(c->log.level, LOG_LEVEL_DEBUG);
	config_unref(c);
}

static void test_find_smarthost(void **state)
{
	(void)state;
	static const struct {
		const char *domain, *name;
	} cases[] = {
		{ "example.org", "a" },
		{ "EXAMPLE.ORG", "a" },
		{ "www.example.org", "a" },
		{ "net.example.org", "a" },
		{ "x.net.example.org", "c" },
		{ "x.example", "c" },
		{ "y.x.example", "b-2" },
		{ "notexample.org", "b-2" },
		{ "", "b-2" },
		{ "*", "b-2" },
	};
	struct config *c = must_parse(everything);
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct config_smarthost *found = config_find_smarthost(c, view_from_cstr(cases[i].domain));
		assert_non_null(found);
		if (strcmp(found->name, cases[i].name) != 0)
			fail_msg("%s: %s", cases[i].domain, found->name);
	}
	config_unref(c);
	c = must_parse(MINIMAL "smarthost s { host = h domains = \"a.example\" }");
	assert_non_null(config_find_smarthost(c, VIEW("A.example")));
	assert_null(config_find_smarthost(c, VIEW("b.example")));
	uint8_t huge[300] = { 0 };
	assert_null(config_find_smarthost(c, view_of(huge, sizeof huge)));
	config_unref(c);
}

struct error_case {
	const char *name, *text, *errors;
};

static const struct error_case error_cases[] = {
	{ "nothing", "",
		"t: `hostname` is not set; write this server's full name, such as `hostname = \"mail.example.com\"`\n"
		"t: there is no listener; write at least `listen mx { address = \"*:25\" }` or a `listen "
		"submission`\n" },
	{ "unknown key", MINIMAL "listen submissions {\n\tadress = \"*:465\"\n}",
		"t:3: unknown key `adress` in section `listen submissions`; did you mean `address`?\n" },
	{ "several unknown keys, all at once",
		"hostnam = \"a\"\nlimits {\n conections = 1\n zzz = {1,2}\n}\nhostnam = \"b\"\n",
		"t:1: unknown key `hostnam` in the top of the file; did you mean `hostname`?\n"
		"t:3: unknown key `conections` in section `limits`; did you mean `connections`?\n"
		"t:4: unknown key `zzz` in section `limits`; see postrider.conf(5)\n"
		"t:6: unknown key `hostnam` in the top of the file; did you mean `hostname`?\n" },
	{ "key of another section", "message_size = \"1M\"\nlog { hostname = \"x\" }",
		"t:1: unknown key `message_size` in the top of the file; it belongs in section `limits`\n"
		"t:2: unknown key `hostname` in section `log`; it belongs at the top of the file\n" },
	{ "unknown section", "limit { connections = 1 }",
		"t:1: unknown section `limit` in the top of the file; did you mean `limits`?\n" },
	{ "unknown section with title", "listne mx { address = 1 }",
		"t:1: unknown section `listne` in the top of the file; did you mean `listen`?\n" },
	{ "unknown kind of listener", MINIMAL "listen smtp { address = \"*:26\" }",
		"t:2: there is no kind of listener `smtp`; write `listen mx`, `listen submission`, `listen "
		"submissions` or `listen https`\n" },
	{ "section used as a key", "listen = \"*:25\"",
		"t:1: `listen` is a section; write `listen mx|submission|submissions|https { … }`\n" },
	{ "plain section used as a key", "tls = yes", "t:1: `tls` is a section; write `tls { … }`\n" },
	{ "key used as a section", "hostname { x = y }", "t:1: `hostname` needs `=` and a value behind it\n" },
	{ "all bad values at once",
		MINIMAL "limits {\n idle_timeout = \"5 parsecs\"\n connections = many\n message_size = "
			"1\n}\nstop_timeout = 1d\n",
		"t:3: `limits.idle_timeout` can't be \"5 parsecs\": write a duration such as \"90s\", \"5m\", \"4h\" "
		"or \"1d\", from 1s to 1h\n"
		"t:4: `limits.connections` can't be \"many\": write a number from 1 to 1000000\n"
		"t:5: `limits.message_size` can't be \"1\": write a size such as \"64k\", \"50M\" or \"1GiB\", from "
		"64k to 2G\n"
		"t:7: `stop_timeout` can't be \"1d\": write a duration such as \"90s\", \"5m\", \"4h\" or \"1d\", from "
		"0 to 10m\n" },
	{ "duration without unit", MINIMAL "limits { idle_timeout = 300 }",
		"t:2: `limits.idle_timeout` can't be \"300\": write a duration such as \"90s\", \"5m\", \"4h\" or "
		"\"1d\", from 1s to 1h\n" },
	{ "number beyond 32 bits", MINIMAL "limits { hops = 99999999999999999999 }",
		"t:2: `limits.hops` can't be \"99999999999999999999\": write a number from 10 to 10000\n" },
	{ "bool", MINIMAL "delivery { ipv6 = maybe }", "t:2: `delivery.ipv6` can't be \"maybe\": write yes or no\n" },
	{ "choice, near", MINIMAL "log { level = infos }",
		"t:2: `log.level` can't be \"infos\": write one of error, warning, info or debug; did you mean "
		"`info`?\n" },
	{ "choice", MINIMAL "delivery { tls = \"\" }",
		"t:2: `delivery.tls` can't be \"\": write one of none, may, encrypt, verify or dane\n" },
	{ "word", MINIMAL "tls { minimum = 2 }",
		"t:2: `tls.minimum` can't be \"2\": write one of 1.0, 1.1, 1.2 or 1.3\n" },
	{ "hostname", "listen mx { address = \"*:25\" }\nhostname = \"mail_example.com.\"",
		"t:2: `hostname` can't be \"mail_example.com.\": write this server's full host name in ASCII letters, "
		"such as \"mail.example.com\"\n" },
	{ "source address of the wrong family", MINIMAL "delivery { source_ipv4 = \"::1\" source_ipv6 = \"1.2.3.4\" }",
		"t:2: `delivery.source_ipv4` can't be \"::1\": write an IPv4 address\n"
		"t:2: `delivery.source_ipv6` can't be \"1.2.3.4\": write an IPv6 address\n" },
	{ "listen address", "hostname = a.example\nlisten mx { address = \"localhost\" }",
		"t:2: `listen.address` can't be \"localhost\": write addresses and ports, such as \"*:25\", "
		"\"192.0.2.1:25\" or \"[2001:db8::1]:25\"\n" },
	{ "open relay",
		MINIMAL
		"listen submission { relay_from = {\"10.0.0.0/8\",\n\"0.0.0.0/0\", \"::/0\", \"128.0.0.0/1\"} }",
		"t:3: `listen.relay_from` can't be \"0.0.0.0/0\": this would make the server an open relay: anybody "
		"there could send mail through it; write only networks whose machines you trust\n"
		"t:3: `listen.relay_from` can't be \"::/0\": this would make the server an open relay: anybody there "
		"could send mail through it; write only networks whose machines you trust\n"
		"t:3: `listen.relay_from` can't be \"128.0.0.0/1\": this would make the server an open relay: anybody "
		"there could send mail through it; write only networks whose machines you trust\n" },
	{ "submission without tls", "hostname = a.example\nlisten submission {\n address = \"*:587\"\n}",
		"t:3: a submission listener needs TLS, because logins are only taken under it; set certificate and key "
		"in section `tls`\n" },
	{ "certificate without key", MINIMAL "tls { certificate = \"/c\" }",
		"t: `tls.certificate` is set without `tls.key`; write the file of its private key\n" },
	{ "key without certificate", MINIMAL "tls { key = \"/c\" }",
		"t: `tls.key` is set without `tls.certificate`; write the file of the certificate\n" },
	{ "empty listener", "hostname = a.example\nlisten mx {\n}",
		"t:3: this listener has no address; write `address = \"*:25\"` or another in it\n" },
	{ "normalise without networks",
		"hostname = a.example listen mx { address = \"*:25\" normalise_line_ends = yes }",
		"t:1: `normalise_line_ends` is for the networks in `relay_from`, and there are none\n" },
	{ "same port twice",
		MINIMAL "tls { certificate = \"/c\" key = \"/k\" }\nlisten submission { address = \"127.0.0.1:25\" }",
		"t:3: 127.0.0.1 port 25 is in two places; a port can have one listener\n" },
	{ "smarthost alone", MINIMAL "smarthost s {\n}", "t:3: smarthost `s` has no `host`\n" },
	{ "smarthost login without password", MINIMAL "smarthost s { host = h login = joe }",
		"t:2: smarthost `s` has a `login` but no `password_file`\n" },
	{ "smarthost password without login", MINIMAL "smarthost s { host = h password_file = \"/p\" }",
		"t:2: smarthost `s` has a `password_file` but no `login`\n" },
	{ "smarthost login in clear",
		MINIMAL "smarthost s { host = \"h.example\" login = joe password_file = \"/p\" tls = clear }",
		"t:2: smarthost `s` would get its password or token in clear text; write `tls = \"starttls\"`\n" },
	{ "domain through two smart hosts",
		MINIMAL "smarthost a { host = h }\nsmarthost b { host = h domains = \"*\" }",
		"t:3: \"*\" is in `domains` twice (smarthost `a` and `b`); it can go through one\n" },
	{ "smarthost that is not there",
		MINIMAL "smarthost a { host = h fallbacks = {b, a} }\nstream s { smarthost = c egress = {x} }",
		"t:2: smarthost `a`: there is no smarthost section `b`\n"
		"t:2: smarthost `a` is its own fallback\n"
		"t:3: stream `s`: there is no egress section `x`\n"
		"t:3: stream `s`: there is no smarthost section `c`\n" },
	{ "smarthost with a token, incomplete", MINIMAL "smarthost a { host = h auth = xoauth2 }",
		"t:2: smarthost `a` needs a `login`: the mailbox to send as\n"
		"t:2: smarthost `a` needs `oauth_token_url` and `oauth_client_id` to get its access tokens\n"
		"t:2: smarthost `a` needs `oauth_refresh_token_file`, or `oauth_client_secret_file` for the client "
		"credentials grant\n" },
	{ "token in clear",
		MINIMAL
		"smarthost a { host = \"h.example\" auth = xoauth2 tls = clear login = joe oauth_client_id = i\n"
		"oauth_token_url = \"https://h/t\" oauth_refresh_token_env = T }",
		"t:2: smarthost `a` would get its password or token in clear text; write `tls = \"starttls\"`\n" },
	{ "token from a stranger in clear", MINIMAL "smarthost a { host = h oauth_token_url = \"http://h.example/t\" }",
		"t:2: `smarthost.oauth_token_url` can't be \"http://h.example/t\": write an https:// address; http:// "
		"only "
		"to this machine (127.0.0.1, [::1])\n" },
	{ "half a client certificate", MINIMAL "smarthost a { host = h key = \"/k\" }",
		"t:2: smarthost `a` has only one of `certificate` and `key`; write both\n" },
	{ "rates", MINIMAL "egress e { source_ipv4 = 192.0.2.1 rate = {\"20\", \"0/s\", \"1/w\", \"5/h\"} }",
		"t:2: `egress.rate` can't be \"20\": write rates such as \"20/s\", \"1000/m\", \"5000/h\" or "
		"\"100000/d\"\n"
		"t:2: `egress.rate` can't be \"0/s\": write rates such as \"20/s\", \"1000/m\", \"5000/h\" or "
		"\"100000/d\"\n"
		"t:2: `egress.rate` can't be \"1/w\": write rates such as \"20/s\", \"1000/m\", \"5000/h\" or "
		"\"100000/d\"\n" },
	{ "warm-up without a day", MINIMAL "egress e { source_ipv4 = 192.0.2.1 warm_up = {50, 100} }",
		"t:2: egress `e` has only one of `warm_up` and `warm_up_start`; write both\n" },
	{ "no such day", MINIMAL "egress e { source_ipv4 = 192.0.2.1 warm_up = 1 warm_up_start = 2027-02-29 }",
		"t:2: `egress.warm_up_start` can't be \"2027-02-29\": write a date such as \"2026-12-01\"\n" },
	{ "egress of nothing", MINIMAL "egress e { weight = 2 }",
		"t:2: egress `e` has no address; write `source_ipv4`, `source_ipv6` or both\n" },
	{ "DANE for an address",
		MINIMAL "smarthost a { host = \"192.0.2.1\" tls = dane }\nsmarthost b { host = \"::1\" tls = "
			"\"implicit-dane\" domains = {\"b.example\"} }",
		"t:2: smarthost `a`: an address has no DANE records; write the `host` by its name\n"
		"t:3: smarthost `b`: an address has no DANE records; write the `host` by its name\n" },
	{ "DANE that is not verified", MINIMAL "smarthost a { host = \"h.example\" tls = dane verify = no }",
		"t:2: smarthost `a` has `verify = no`, but DANE is nothing else; leave out one of the two\n" },
	{ "destination of nothing", MINIMAL "destination d { tls = verify }",
		"t:2: destination `d` has no `domains`\n" },
	{ "priority", MINIMAL "stream s { priority = -10 }",
		"t:2: `stream.priority` can't be \"-10\": write a number from -9 to 9\n" },
	{ "stream's retries", MINIMAL "stream s { retry_first = 2h retry_max = 1h }",
		"t:2: stream `s`: `retry_first` is longer than `retry_max`\n" },
	{ "stream's name", MINIMAL "stream aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa { }",
		"t:2: `stream aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa`: a name here has at "
		"most 64 "
		"letters\n" },
	{ "https without tls", MINIMAL "listen https { address = \"127.0.0.1:443\" }",
		"t:2: `listen https` needs TLS; set certificate and key in section `tls`\n" },
	{ "IMAP server without a name", MINIMAL "clients { imap = \":993\" }",
		"t:2: `clients.imap` can't be \":993\": write a host name with the port of its TLS service: "
		"\"imap.example.com:993\"\n" },
	{ "IMAP server's address", MINIMAL "clients { imap = \"192.0.2.1:993\" }",
		"t:2: `clients.imap` can't be \"192.0.2.1:993\": write a host name with the port of its TLS service: "
		"\"imap.example.com:993\"\n" },
	{ "IMAP port", MINIMAL "clients { imap = \"h.example:0\" }",
		"t:2: `clients.imap` can't be \"h.example:0\": write a host name with the port of its TLS service: "
		"\"imap.example.com:993\"\n" },
	{ "no IMAP port", MINIMAL "clients { imap = \"h.example:\" }",
		"t:2: `clients.imap` can't be \"h.example:\": write a host name with the port of its TLS service: "
		"\"imap.example.com:993\"\n" },
	{ "large IMAP port", MINIMAL "clients { imap = \"h.example:65536\" }",
		"t:2: `clients.imap` can't be \"h.example:65536\": write a host name with the port of its TLS service: "
		"\"imap.example.com:993\"\n" },
	{ "host with a port", MINIMAL "smarthost a { host = \"h.example:587\" }",
		"t:2: `smarthost.host` can't be \"h.example:587\": write a host name, such as \"smtp.example.net\", or "
		"an IP address without brackets; the port has its own key, `port`\n" },
	{ "retry order", MINIMAL "queue { retry_first = 5h }",
		"t: `queue.retry_first` is longer than `queue.retry_max`\n" },
	{ "socket too long",
		MINIMAL "data = "
			"\"/"
			"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
			"aaaaaaaaaaaa\"",
		"t: the path of `socket`, "
		"/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaa/submit.sock, is longer than 107 bytes (a limit of the system); set a shorter one\n" },
	{ "set twice", MINIMAL "data = \"/a\"\ndata = \"/b\"", "t:3: `data` is set again; it was set in line 2\n" },
	{ "list set twice", "hostname = a.example listen mx { address = \"*:25\"\n address = \"*:26\" }",
		"t:2: `address` is set again; it was set in line 1\n" },
	{ "list in pieces",
		"hostname = a.example listen mx { address = \"*:25\" normalise_line_ends = no\n address += \"*:26\" }",
		"t:2: write all values of `address` in one place: `address = { \"…\", \"…\" }`\n" },
	{ "section twice", MINIMAL "listen mx { }", "t:2: there are two sections with the name `mx`; write one\n" },
	{ "list where one value is", "hostname = { a, b }",
		"t:1: unexpected `{`; if a list was meant: this key has one value\n" },
	{ "append to one value", "hostname += a", "t:1: `hostname` has one value; write `=` instead of `+=`\n" },
	{ "string without end", "hostname = \"a.example\nlisten mx { }\ndata = 'x",
		"t:1: this string has no end; write \" behind it on the same line\n"
		"t:3: this string has no end; write ' behind it on the same line\n" },
	{ "comment without end", "\n/* hostname = a", "t:2: this comment has no end; write `*/` behind it\n" },
	{ "section without end", MINIMAL "limits {\n hops = 20\n",
		"t:2: this `{` is not closed; write a `}` at the end of the section or list\n" },
	{ "value missing", "hostname =", "t:1: the file ends here, but a value or a section is missing\n" },
	{ "brace too many", MINIMAL "}", "t:2: unexpected `}`; no section is open here\n" },
	{ "semicolon", "hostname = a.example;\nhostname = \"b\";",
		"t:1: no `;` is needed here; take it away\nt:2: no `;` is needed here; take it away\n" },
	{ "include", "include(\"/etc/passwd\")",
		"t:1: there are no functions such as include() here; put values with ( or ) in quotes\n" },
	{ "path as a name", "\"tls|key\" = \"x\"\n\"=x\" = y\n\"\" = 1",
		"t:1: `tls|key` can't be a name; names are made of letters, digits, `_`, `-` and `.`, values stand "
		"behind `=`\n"
		"t:2: `=x` can't be a name; names are made of letters, digits, `_`, `-` and `.`, values stand behind "
		"`=`\n"
		"t:3: `` can't be a name; names are made of letters, digits, `_`, `-` and `.`, values stand behind "
		"`=`\n" },
	{ "bytes that are no text", "hostname = \"a\x01\"\ndata = \"\xff\"\n\x7f\n",
		"t:1: the byte 0x01 can't stand here; write printable text\n"
		"t:2: this is not UTF-8 text\n"
		"t:3: the byte 0x7f can't stand here; write printable text\n" },
	{ "escape", "hostname = \"\\n\"", "t:1: unknown escape; in \"…\" there are only \\\" and \\\\\n" },
	{ "nameless", "= x", "t:1: unexpected `=`\n" },
};

static void test_errors(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(error_cases); i++) {
		const struct error_case *c = &error_cases[i];
		struct buf errors = { 0 };
		struct config *config = config_parse(view_from_cstr(c->text), "t", &errors);
		if (config != NULL)
			fail_msg("%s: no error", c->name);
		if (strcmp(buf_cstr(&errors), c->errors) != 0)
			fail_msg("%s: got\n%swant\n%s", c->name, buf_cstr(&errors), c->errors);
		buf_clear(&errors);
	}
}

static void test_error_limits(void **state)
{
	(void)state;
	struct buf text = { 0 }, errors;
	buf_init(&errors, 0);
	for (unsigned i = 0; i < 200; i++)
		assert_int_equal(buf_append_format(&text, "unknown_%u = 1\nstop_timeout = x\n", i), ERR_OK);
	assert_null(config_parse(buf_view(&text), "t", &errors));
	size_t lines = 0;
	for (struct view rest = buf_view(&errors), line; view_split(&rest, '\n', &line);)
		lines++;
	assert_true(lines >= 20 && lines <= 51);
	/* A full buffer of the caller is no harm. */
	buf_clear(&errors);
	buf_init(&errors, 30);
	assert_null(config_parse(buf_view(&text), "t", &errors));
	assert_true(errors.len <= 30);
	buf_clear(&errors);
	buf_init(&errors, 0);
	buf_reset(&text);
	while (text.len <= 256 * 1024)
		assert_int_equal(buf_append_cstr(&text, "# nothing\n"), ERR_OK);
	assert_null(config_parse(buf_view(&text), "t", &errors));
	assert_string_equal(buf_cstr(&errors), "t: the file is larger than 256 KiB\n");
	buf_reset(&errors);
	buf_reset(&text);
	for (unsigned i = 0; i < 1002; i++)
		assert_int_equal(buf_append_format(&text, "smarthost s%u { host = h }\n", i), ERR_OK);
	assert_null(config_parse(buf_view(&text), "t", &errors));
	assert_string_equal(buf_cstr(&errors), "t:1001: there are more than 1000 sections of this kind\n");
	buf_clear(&text);
	buf_clear(&errors);
}

/* Takes the one # away from the lines that hold a key, so that what they show as defaults is set. */
/* Keys that go only without, or with, others: they stay comments. */
static bool is_one_of_two(struct view line)
{
	struct view name = view_sub(line, 0, view_find(line, ' '));
	return view_starts_with(name, VIEW("oauth_")) || view_eq(name, VIEW("password_env")) ||
		view_eq(name, VIEW("fallbacks"));
}

static void uncomment(struct view text, struct buf *out)
{
	for (struct view line; view_split(&text, '\n', &line);) {
		size_t at = 0;
		while (at < line.len && line.ptr[at] == '\t')
			at++;
		bool key = at + 1 < line.len && line.ptr[at] == '#' && line.ptr[at + 1] != ' ';
		key = key && !is_one_of_two(view_from(line, at + 1));
		assert_int_equal(buf_append(out, view_from(line, key ? at + 1 : 0)), ERR_OK);
		assert_int_equal(buf_append_byte(out, '\n'), ERR_OK);
	}
}

static void test_template(void **state)
{
	(void)state;
	struct buf text = { 0 }, once = { 0 }, all = { 0 };
	assert_int_equal(config_template("mx.example.com", "/srv/a \"b\"", "/c.pem", "/k.pem", &text), ERR_OK);
	struct config *c = must_parse(buf_cstr(&text));
	assert_string_equal(c->hostname, "mx.example.com");
	assert_string_equal(c->data, "/srv/a \"b\"");
	assert_string_equal(c->tls_certificate, "/c.pem");
	assert_int_equal(c->listeners[LISTENER_MX].address_count, 2);
	assert_int_equal(c->listeners[LISTENER_SUBMISSION].address_count, 4);
	assert_int_equal(c->listeners[LISTENER_SUBMISSIONS].address_count, 2);
	assert_int_equal(c->smarthost_count, 0);
	/* What it shows as defaults are the defaults, and its examples are valid. */
	uncomment(buf_view(&text), &once);
	uncomment(buf_view(&once), &all);
	struct config *u = must_parse(buf_cstr(&all));
	assert_memory_equal(&c->limits, &u->limits, sizeof c->limits);
	assert_memory_equal(&c->queue, &u->queue, sizeof c->queue);
	assert_memory_equal(&c->log, &u->log, sizeof c->log);
	assert_string_equal(c->user, u->user);
	assert_int_equal(c->delivery.tls, u->delivery.tls);
	assert_int_equal(u->smarthost_count, 1);
	size_t count;
	const struct config_key *keys = config_keys(&count);
	for (size_t i = 0; i < count; i++) {
		struct buf line = { 0 };
		assert_int_equal(buf_append_format(&line, "%s = ", keys[i].name), ERR_OK);
		if (strstr(buf_cstr(&text), buf_cstr(&line)) == NULL)
			fail_msg("%s.%s is not in the template", keys[i].section, keys[i].name);
		buf_clear(&line);
	}
	config_unref(u);
	config_unref(c);
	buf_reset(&text);
	assert_int_equal(config_template("mx.example.com", "/d", NULL, NULL, &text), ERR_OK);
	c = must_parse(buf_cstr(&text));
	assert_false(c->listeners[LISTENER_SUBMISSION].enabled);
	config_unref(c);
	buf_clear(&text);
	buf_clear(&once);
	buf_clear(&all);
	buf_init(&text, 100);
	assert_int_equal(config_template("mx.example.com", "/d", NULL, NULL, &text), ERR_LIMIT);
	buf_clear(&text);
}

/* Every row of the table is complete, and everything about it can be said. */
static void test_table(void **state)
{
	(void)state;
	size_t count, kind_count;
	const struct config_key *keys = config_keys(&count);
	const struct config_section_kind *kinds = config_section_kinds(&kind_count);
	struct buf listing = { 0 };
	assert_int_equal(config_keys_describe(&listing), ERR_OK);
	assert_true(count > 120 && kind_count == 19);
	for (size_t i = 0; i < count; i++) {
		assert_non_null(config_section_kind_find(view_from_cstr(keys[i].section)));
		assert_ptr_equal(
			config_key_find(view_from_cstr(keys[i].section), view_from_cstr(keys[i].name)), &keys[i]);
		assert_non_null(keys[i].what);
		if (keys[i].default_text == NULL && (keys[i].default_note == NULL || keys[i].example == NULL))
			fail_msg("%s.%s has no default, note or example", keys[i].section, keys[i].name);
		assert_non_null(strstr(buf_cstr(&listing), keys[i].what));
	}
	assert_null(config_key_find(VIEW("limits"), VIEW("hostname")));
	assert_null(config_key_find(VIEW("nowhere"), VIEW("hostname")));
	for (size_t i = 0; i < kind_count; i++)
		assert_non_null(strstr(buf_cstr(&listing), kinds[i].usage));
	buf_clear(&listing);
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

struct load_case {
	const char *name, *password_file, *password,
		*error; /* of the password file: what is in it; NULL: it is not there */
};

static const struct load_case load_cases[] = {
	{ "one line", "secret\n", "secret", NULL },
	{ "no line end", "secret", "secret", NULL },
	{ "CRLF and a second line", "sec ret\r\nnotes\n", "sec ret", NULL },
	{ "missing", NULL, NULL, "can't be read: No such file or directory" },
	{ "empty", "", NULL, " is empty" },
	{ "empty line", "\nsecret\n", NULL, " is empty" },
};

static void test_load(void **state)
{
	(void)state;
	char folder[] = "/tmp/config_test_XXXXXX";
	assert_non_null(mkdtemp(folder));
	struct buf path = { 0 }, secret = { 0 }, text = { 0 }, errors = { 0 };
	assert_int_equal(buf_append_format(&path, "%s/conf", folder), ERR_OK);
	assert_int_equal(buf_append_format(&secret, "%s/secret", folder), ERR_OK);
	assert_int_equal(
		buf_append_format(&text, MINIMAL "smarthost s {\nhost = h\nlogin = \"joe\" password_file = \"%s\" }\n",
			buf_cstr(&secret)),
		ERR_OK);
	assert_null(config_load(buf_cstr(&path), &errors));
	assert_non_null(strstr(buf_cstr(&errors), "/conf: no such file; create one with `postrider init`\n"));
	buf_reset(&errors);
	assert_null(config_load(folder, &errors));
	assert_non_null(strstr(buf_cstr(&errors), ": this is a folder; the configuration is a file\n"));
	write_file(buf_cstr(&path), buf_cstr(&text));
	for (size_t i = 0; i < COUNT(load_cases); i++) {
		const struct load_case *c = &load_cases[i];
		buf_reset(&errors);
		unlink(buf_cstr(&secret));
		if (c->password_file != NULL)
			write_file(buf_cstr(&secret), c->password_file);
		struct config *config = config_load(buf_cstr(&path), &errors);
		if ((config != NULL) != (c->error == NULL))
			fail_msg("%s: %s", c->name, buf_cstr(&errors));
		if (config != NULL) {
			assert_string_equal(config->smarthosts[0].password, c->password);
			assert_string_equal(config->path, buf_cstr(&path));
		} else {
			assert_non_null(strstr(buf_cstr(&errors), c->error));
			assert_non_null(strstr(buf_cstr(&errors), "/conf:3: "));
		}
		config_unref(config);
	}
	/* From text alone, no other file is read. */
	struct config *config = must_parse(buf_cstr(&text));
	assert_null(config->smarthosts[0].password);
	config_unref(config);
	unlink(buf_cstr(&secret));
	unlink(buf_cstr(&path));
	assert_int_equal(rmdir(folder), 0);
	buf_clear(&path);
	buf_clear(&secret);
	buf_clear(&text);
	buf_clear(&errors);
}

static void test_references(void **state)
{
	(void)state;
	struct config *c = must_parse(MINIMAL);
	assert_ptr_equal(config_ref(c), c);
	config_unref(c);
	assert_string_equal(c->hostname, "mx.example");
	config_unref(c);
	config_unref(NULL);
}

static void test_default_path(void **state)
{
	(void)state;
	assert_int_equal(unsetenv("POSTRIDER_CONFIG"), 0);
	assert_string_equal(config_default_path("/a"), "/a");
	assert_string_equal(config_default_path(NULL), "/etc/postrider/postrider.conf");
	assert_int_equal(setenv("POSTRIDER_CONFIG", "/b", 1), 0);
	assert_string_equal(config_default_path("/a"), "/a");
	assert_string_equal(config_default_path(NULL), "/b");
	assert_int_equal(setenv("POSTRIDER_CONFIG", "", 1), 0);
	assert_string_equal(config_default_path(NULL), "/etc/postrider/postrider.conf");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_everything),
		cmocka_unit_test(test_find_smarthost),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_error_limits),
		cmocka_unit_test(test_template),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_load),
		cmocka_unit_test(test_references),
		cmocka_unit_test(test_default_path),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
