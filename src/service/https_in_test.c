#include "service/https_in.h"

#include "store/directory_store.h"
#include "store/store_contract.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct domains *domains;

static int setup(void **state)
{
	(void)state;
	struct contract contract;
	contract_open(&contract);
	assert_int_equal(directory_domain_add(contract.db, VIEW("here.example")), ERR_OK);
	domains = domains_new();
	assert_int_equal(domains_load(domains, contract.db), ERR_OK);
	contract_close(&contract);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	domains_free(domains);
	return 0;
}

static struct config *settings(const char *more)
{
	struct buf text = { 0 }, errors = { 0 };
	assert_int_equal(buf_append_format(&text,
				 "hostname = \"mx.here.example\"\ndata = \"/tmp\"\n"
				 "listen mx { address = \"127.0.0.1:2525\" }\n%s\n",
				 more),
		ERR_OK);
	struct config *config = config_parse(buf_view(&text), "test", &errors);
	if (config == NULL)
		fail_msg("%s", buf_cstr(&errors));
	buf_clear(&text);
	buf_clear(&errors);
	return config;
}

#define PATH "/.well-known/mta-sts.txt"
#define ENFORCE "mta_sts { mode = \"enforce\" }"

#define AUTO "/mail/config-v1.1.xml"
#define WELL_KNOWN "/.well-known/autoconfig/mail/config-v1.1.xml"
#define TLS "tls { certificate = \"/c\" key = \"/k\" }\n"
#define SUBMISSION TLS "listen submission { address = {\"127.0.0.2:2525\", \"127.0.0.2:587\"} }\n"
#define SUBMISSIONS "listen submissions { address = \"127.0.0.1:4465\" }\n"
#define IMAP "clients { imap = \"imap.here.example:993\" }"
#define LOGIN                                                                                                          \
	"      <authentication>password-cleartext</authentication>\n"                                                  \
	"      <username>%EMAILADDRESS%</username>\n"
#define HEAD_OF(name)                                                                                                  \
	"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"                                                                 \
	"<clientConfig version=\"1.1\">\n"                                                                             \
	"  <emailProvider id=\"here.example\">\n"                                                                      \
	"    <domain>here.example</domain>\n"                                                                          \
	"    <displayName>" name "</displayName>\n"                                                                    \
	"    <displayShortName>" name "</displayShortName>\n"
#define SERVER(element, type, host, port, socket)                                                                      \
	"    <" element " type=\"" type "\">\n"                                                                        \
	"      <hostname>" host "</hostname>\n"                                                                        \
	"      <port>" port "</port>\n"                                                                                \
	"      <socketType>" socket "</socketType>\n" LOGIN "    </" element ">\n"
#define TAIL "  </emailProvider>\n</clientConfig>\n"

static void requests_are_answered(void **state)
{
	(void)state;
	static const struct {
		const char *name, *settings, *method, *host, *path, *status, *ends;
	} cases[] = {
		{ "enforce", ENFORCE, "GET", "mta-sts.here.example", PATH, "200 OK",
			"\r\n\r\nversion: STSv1\r\nmode: enforce\r\nmax_age: 604800\r\nmx: mx.here.example\r\n" },
		{ "testing, two hosts, a day",
			"mta_sts { mode = \"testing\" mx = {\"*.here.example\", \"mx.other.example\"} max_age = \"1d\" "
			"}",
			"GET", "MTA-STS.here.EXAMPLE.", PATH, "200 OK",
			"mode: testing\r\nmax_age: 86400\r\nmx: *.here.example\r\nmx: mx.other.example\r\n" },
		{ "HEAD", ENFORCE, "HEAD", "mta-sts.here.example", PATH, "200 OK", "Connection: close\r\n\r\n" },
		{ "another domain", ENFORCE, "GET", "mta-sts.there.example", PATH, "404 Not Found", "Not Found\n" },
		{ "another host", ENFORCE, "GET", "www.here.example", PATH, "404 Not Found", "Not Found\n" },
		{ "the domain itself", ENFORCE, "GET", "here.example", PATH, "404 Not Found", "Not Found\n" },
		{ "no host", ENFORCE, "GET", "", PATH, "404 Not Found", "Not Found\n" },
		{ "another path", ENFORCE, "GET", "mta-sts.here.example", "/", "404 Not Found", "Not Found\n" },
		{ "POST", ENFORCE, "POST", "mta-sts.here.example", PATH, "405 Method Not Allowed", "Not Allowed\n" },
		{ "get", ENFORCE, "get", "mta-sts.here.example", PATH, "405 Method Not Allowed", "Not Allowed\n" },
		{ "off", "", "GET", "mta-sts.here.example", PATH, "404 Not Found", "Not Found\n" },
		{ "autoconfig", SUBMISSION IMAP, "GET", "autoconfig.here.example", AUTO, "200 OK",
			"\r\n\r\n" HEAD_OF("here.example") SERVER("incomingServer", "imap", "imap.here.example", "993",
				"SSL") SERVER("outgoingServer", "smtp", "mx.here.example", "587", "STARTTLS") TAIL },
		{ "autoconfig with all there is",
			SUBMISSION SUBMISSIONS
			"clients { imap = \"imap.here.example:1993\" pop3 = pop.here.example display_name = \"<Ä> & "
			"\\\"B\\\" \xef\xbf\xbf\" }",
			"GET", "autoconfig.here.example", AUTO, "200 OK",
			"\r\n\r\n" HEAD_OF("&lt;Ä&gt; &amp; &quot;B&quot; \xef\xbf\xbd") SERVER("incomingServer",
				"imap", "imap.here.example", "1993",
				"SSL") SERVER("incomingServer", "pop3", "pop.here.example", "995", "SSL")
				SERVER("outgoingServer", "smtp", "mx.here.example", "4465", "SSL")
					SERVER("outgoingServer", "smtp", "mx.here.example", "587", "STARTTLS") TAIL },
		{ "autoconfig at the domain itself", SUBMISSION IMAP, "GET", "here.example.", WELL_KNOWN, "200 OK",
			TAIL },
		{ "autoconfig, HEAD", SUBMISSION IMAP, "HEAD", "autoconfig.here.example", AUTO, "200 OK",
			"Connection: close\r\n\r\n" },
		{ "autoconfig, POST", SUBMISSION IMAP, "POST", "autoconfig.here.example", AUTO,
			"405 Method Not Allowed", "Not Allowed\n" },
		{ "autoconfig of another domain", SUBMISSION IMAP, "GET", "autoconfig.there.example", AUTO,
			"404 Not Found", "Not Found\n" },
		{ "another domain itself", SUBMISSION IMAP, "GET", "there.example", WELL_KNOWN, "404 Not Found",
			"Not Found\n" },
		{ "autoconfig without a host", SUBMISSION IMAP, "GET", "", WELL_KNOWN, "404 Not Found", "Not Found\n" },
		{ "autoconfig of no domain", SUBMISSION IMAP, "GET", "autoconfig.", AUTO, "404 Not Found",
			"Not Found\n" },
		{ "autoconfig's path at another host", SUBMISSION IMAP, "GET", "here.example", AUTO, "404 Not Found",
			"Not Found\n" },
		{ "no server to read from", SUBMISSION, "GET", "autoconfig.here.example", AUTO, "404 Not Found",
			"Not Found\n" },
		{ "no server to submit to", IMAP, "GET", "autoconfig.here.example", AUTO, "404 Not Found",
			"Not Found\n" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		print_message("  %s\n", cases[i].name);
		struct config *config = settings(cases[i].settings);
		struct http_request request = { .method = view_from_cstr(cases[i].method),
			.host = view_from_cstr(cases[i].host),
			.path = view_from_cstr(cases[i].path) };
		struct buf out = { 0 };
		assert_int_equal(https_in_answer(config, domains, &request, 0, &out), ERR_OK);
		const char *text = buf_cstr(&out);
		size_t len = strlen(cases[i].ends);
		if (strncmp(text + strlen("HTTP/1.1 "), cases[i].status, strlen(cases[i].status)) != 0 ||
			out.len < len || strcmp(text + out.len - len, cases[i].ends) != 0)
			fail_msg("said: %s", text);
		buf_clear(&out);
		config_unref(config);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(requests_are_answered) };
	return cmocka_run_group_tests(tests, setup, teardown);
}
