#include "cli/dns_plan.h"

#include "cli/certificate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define MINIMAL "hostname = mail.example.com listen mx { address = \"*:25\" }\n"

#define SUBMISSION "tls { certificate = \"/nowhere\" key = \"/nowhere\" }\nlisten submission { address = \"*:587\" }\n"

struct plan_case {
	const char *name, *config, *keys, *wanted; /* lines of records, in order */
};

static const struct plan_case cases[] = {
	{ "the least", MINIMAL, "[]",
		"example.com. 3600 IN MX 10 mail.example.com.\n"
		"example.com. 3600 IN TXT \"v=spf1 mx -all\"\n"
		"mail.example.com. 3600 IN TXT \"v=spf1 a -all\"\n"
		"_dmarc.example.com. 3600 IN TXT \"v=DMARC1; p=none\"\n"
		"_submissions._tcp.example.com. 3600 IN SRV 0 0 0 .\n"
		"_submission._tcp.example.com. 3600 IN SRV 0 0 0 .\n"
		"_imaps._tcp.example.com. 3600 IN SRV 0 0 0 .\n"
		"_pop3s._tcp.example.com. 3600 IN SRV 0 0 0 .\n" },
	{ "keys that sign, and one that does no more", MINIMAL,
		"[{\"name\":\"a._domainkey.example.com\",\"record\":\"v=DKIM1; p=AAA\",\"state\":\"active\"},"
		"{\"name\":\"b._domainkey.example.com\",\"record\":\"v=DKIM1; p=BBB\",\"state\":\"new\"},"
		"{\"name\":\"c._domainkey.example.com\",\"record\":\"v=DKIM1; p=CCC\",\"state\":\"retired\"}]",
		"example.com. 3600 IN MX 10 mail.example.com.\n"
		"example.com. 3600 IN TXT \"v=spf1 mx -all\"\n"
		"mail.example.com. 3600 IN TXT \"v=spf1 a -all\"\n"
		"a._domainkey.example.com. 3600 IN TXT \"v=DKIM1; p=AAA\"\n"
		"b._domainkey.example.com. 3600 IN TXT \"v=DKIM1; p=BBB\"\n"
		"_dmarc.example.com. 3600 IN TXT \"v=DMARC1; p=none\"\n"
		"_submissions._tcp.example.com. 3600 IN SRV 0 0 0 .\n"
		"_submission._tcp.example.com. 3600 IN SRV 0 0 0 .\n"
		"_imaps._tcp.example.com. 3600 IN SRV 0 0 0 .\n"
		"_pop3s._tcp.example.com. 3600 IN SRV 0 0 0 .\n" },
	{ "everything, in another domain than the server's",
		"hostname = mx.host.example\n"
		"tls { certificate = \"/nowhere\" key = \"/nowhere\" }\n"
		"listen mx { address = { \"192.0.2.1:25\", \"[2001:db8::1]:25\", \"127.0.0.1:25\" } }\n"
		"listen submission { address = \"*:2525\" }\n"
		"listen submissions { address = { \"*:4465\", \"*:465\" } }\n"
		"listen https { address = \"*:443\" }\n"
		"delivery { source_ipv4 = 192.0.2.1 }\n"
		"egress one { source_ipv4 = 192.0.2.7 ehlo_name = out.example.com }\n"
		"mta_sts { mode = enforce }\n"
		"reports { mailbox = \"reports@other.example\" }\n"
		"clients { imap = \"imap.host.example:993\" pop3 = \"pop.host.example:1995\" }\n",
		"[]",
		"example.com. 3600 IN MX 10 mx.host.example.\n"
		"mx.host.example. 3600 IN A 192.0.2.1\n"
		"mx.host.example. 3600 IN AAAA 2001:db8::1\n"
		"out.example.com. 3600 IN A 192.0.2.7\n"
		"example.com. 3600 IN TXT \"v=spf1 mx ip4:192.0.2.1 ip4:192.0.2.7 -all\"\n"
		"out.example.com. 3600 IN TXT \"v=spf1 a -all\"\n"
		"_dmarc.example.com. 3600 IN TXT \"v=DMARC1; p=none; rua=mailto:reports@other.example\"\n"
		"example.com._report._dmarc.other.example. 3600 IN TXT \"v=DMARC1\"\n"
		"_mta-sts.example.com. 3600 IN TXT \"v=STSv1; id=12c00169afbd\"\n"
		"mta-sts.example.com. 3600 IN CNAME mx.host.example.\n"
		"_smtp._tls.example.com. 3600 IN TXT \"v=TLSRPTv1; rua=mailto:reports@other.example\"\n"
		"_submissions._tcp.example.com. 3600 IN SRV 0 1 465 mx.host.example.\n"
		"_submission._tcp.example.com. 3600 IN SRV 0 1 2525 mx.host.example.\n"
		"_imaps._tcp.example.com. 3600 IN SRV 0 1 993 imap.host.example.\n"
		"_pop3s._tcp.example.com. 3600 IN SRV 10 1 1995 pop.host.example.\n"
		"autoconfig.example.com. 3600 IN CNAME mx.host.example.\n" },
	{ "through a provider",
		MINIMAL "smarthost p { host = smtp.provider.example }\nreports { mailbox = \"r@example.com\" }", "[]",
		"example.com. 3600 IN MX 10 mail.example.com.\n"
		"example.com. 3600 IN TXT \"v=spf1 mx ~all\"\n"
		"mail.example.com. 3600 IN TXT \"v=spf1 a -all\"\n"
		"_dmarc.example.com. 3600 IN TXT \"v=DMARC1; p=none; rua=mailto:r@example.com\"\n"
		"_smtp._tls.example.com. 3600 IN TXT \"v=TLSRPTv1; rua=mailto:r@example.com\"\n"
		"_submissions._tcp.example.com. 3600 IN SRV 0 0 0 .\n"
		"_submission._tcp.example.com. 3600 IN SRV 0 0 0 .\n"
		"_imaps._tcp.example.com. 3600 IN SRV 0 0 0 .\n"
		"_pop3s._tcp.example.com. 3600 IN SRV 0 0 0 .\n" },
	{ "addresses to send from", MINIMAL "delivery { source_ipv4 = 192.0.2.1 source_ipv6 = \"2001:db8::1\" }", "[]",
		"example.com. 3600 IN MX 10 mail.example.com.\n"
		"mail.example.com. 3600 IN A 192.0.2.1\n"
		"mail.example.com. 3600 IN AAAA 2001:db8::1\n"
		"example.com. 3600 IN TXT \"v=spf1 mx ip4:192.0.2.1 ip6:2001:db8::1 -all\"\n"
		"mail.example.com. 3600 IN TXT \"v=spf1 a -all\"\n"
		"_dmarc.example.com. 3600 IN TXT \"v=DMARC1; p=none\"\n"
		"_submissions._tcp.example.com. 3600 IN SRV 0 0 0 .\n"
		"_submission._tcp.example.com. 3600 IN SRV 0 0 0 .\n"
		"_imaps._tcp.example.com. 3600 IN SRV 0 0 0 .\n"
		"_pop3s._tcp.example.com. 3600 IN SRV 0 0 0 .\n" },
	{ "IMAP elsewhere, nothing of autoconfig", MINIMAL "clients { imap = imap.example.com }", "[]",
		"example.com. 3600 IN MX 10 mail.example.com.\n"
		"example.com. 3600 IN TXT \"v=spf1 mx -all\"\n"
		"mail.example.com. 3600 IN TXT \"v=spf1 a -all\"\n"
		"_dmarc.example.com. 3600 IN TXT \"v=DMARC1; p=none\"\n"
		"_submissions._tcp.example.com. 3600 IN SRV 0 0 0 .\n"
		"_submission._tcp.example.com. 3600 IN SRV 0 0 0 .\n"
		"_imaps._tcp.example.com. 3600 IN SRV 0 1 993 imap.example.com.\n"
		"_pop3s._tcp.example.com. 3600 IN SRV 0 0 0 .\n" },
};

static struct config *must_parse(const char *text)
{
	struct buf errors = { 0 };
	struct config *config = config_parse(view_from_cstr(text), "t", &errors);
	if (config == NULL)
		fail_msg("%s", buf_cstr(&errors));
	buf_clear(&errors);
	return config;
}

static void run_case(const struct plan_case *c)
{
	struct config *config = must_parse(c->config);
	json_t *keys = json_loads(c->keys, 0, NULL);
	struct dns_plan plan;
	struct buf text = { 0 };
	assert_int_equal(dns_plan_make(config, "example.com", keys, &plan), ERR_OK);
	for (size_t i = 0; i < plan.count; i++)
		assert_int_equal(dns_entry_format(&plan.entries[i], &text), ERR_OK);
	if (strcmp(buf_cstr(&text), c->wanted) != 0)
		fail_msg("%s:\n%swant\n%s", c->name, buf_cstr(&text), c->wanted);
	buf_reset(&text);
	assert_int_equal(dns_plan_format(&plan, "example.com", &text), ERR_OK);
	for (unsigned topic = 0; topic < DNS_TOPICS; topic++)
		assert_non_null(strstr(buf_cstr(&text), dns_topic_title((enum dns_topic)topic)));
	buf_clear(&text);
	dns_plan_clear(&plan);
	json_decref(keys);
	config_unref(config);
}

/* What is said beside the records. */
static void test_notes(void **state)
{
	(void)state;
	static const struct {
		const char *config;
		enum dns_topic topic;
		const char *says; /* NULL: nothing is said */
	} notes[] = {
		{ MINIMAL, DNS_TOPIC_ADDRESS, "does not say which addresses are public" },
		{ MINIMAL "delivery { source_ipv4 = 192.0.2.1 }", DNS_TOPIC_ADDRESS, NULL },
		{ MINIMAL "delivery { source_ipv4 = 127.0.0.1 }", DNS_TOPIC_ADDRESS, "does not say" },
		{ MINIMAL, DNS_TOPIC_CLIENTS, "section `clients`" },
		{ MINIMAL "clients { pop3 = p.example.com }", DNS_TOPIC_CLIENTS, "no `listen submission`" },
		{ MINIMAL SUBMISSION "clients { pop3 = p.example.com }", DNS_TOPIC_CLIENTS, "With `listen https`" },
		{ MINIMAL SUBMISSION "clients { pop3 = p.example.com }\nlisten https { address = \"*:443\" }",
			DNS_TOPIC_CLIENTS, "certificate must be valid" },
	};
	for (size_t i = 0; i < sizeof notes / sizeof notes[0]; i++) {
		struct config *config = must_parse(notes[i].config);
		json_t *keys = json_array();
		struct dns_plan plan;
		assert_int_equal(dns_plan_make(config, "example.com", keys, &plan), ERR_OK);
		const char *note = plan.notes[notes[i].topic];
		if (notes[i].says == NULL ? note != NULL : note == NULL || strstr(note, notes[i].says) == NULL)
			fail_msg("%zu: %s", i, note != NULL ? note : "nothing");
		dns_plan_clear(&plan);
		json_decref(keys);
		config_unref(config);
	}
}

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		run_case(&cases[i]);
}

/* What `openssl x509 -pubkey | openssl pkey -pubin -outform der | sha256sum` prints is what the record has. */
static void test_tlsa(void **state)
{
	(void)state;
	char path[] = "/tmp/dns_plan_test_XXXXXX", command[300], line[200];
	int fd = mkstemp(path);
	struct buf certificate = { 0 }, key = { 0 }, text = { 0 };
	assert_int_equal(certificate_make_self_signed("mail.example.com", 1795000000, &certificate, &key), ERR_OK);
	assert_int_equal(write(fd, certificate.ptr, certificate.len), (ssize_t)certificate.len);
	close(fd);
	snprintf(command, sizeof command,
		"openssl x509 -in %s -noout -pubkey | openssl pkey -pubin -outform der | openssl sha256 -r", path);
	FILE *pipe = popen(command, "r");
	assert_non_null(pipe);
	assert_non_null(fgets(line, sizeof line, pipe));
	assert_int_equal(pclose(pipe), 0);
	assert_int_equal(certificate_key_hash(path, &text), ERR_OK);
	assert_int_equal(text.len, 64);
	assert_memory_equal(text.ptr, line, 64);
	unlink(path);
	buf_clear(&certificate);
	buf_clear(&key);
	buf_clear(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_notes),
		cmocka_unit_test(test_tlsa),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
