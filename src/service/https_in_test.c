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
