#include "service/sts_private.h"

#include "base/clock.h"
#include "net/testing_certificates.h"
#include "net/testing_dns.h"
#include "net/testing_https.h"
#include "store/store_contract.h"
#include "store/sts_store.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define OK_HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"
#define POLICY(mode, max_age) "version: STSv1\r\nmode: " mode "\r\nmx: mx.example\r\nmax_age: " max_age "\r\n"
#define ENFORCE OK_HEAD POLICY("enforce", "604800")
#define DAY_MS (24LL * 60 * 60 * 1000)

/* What the DNS and the policy hosts say at the moment. Both ask from threads of their own, but only after the test asked for something. */
static const char *record, *page;
static char folder[64];
static struct server server;
static struct loop *loop;
static struct resolver *resolver;
static struct https *https;
static struct sts *sts;

static const char *dns_answer(void *owner, const char *name, uint16_t type)
{
	(void)owner;
	if (type == DNS_TYPE_TXT && strncmp(name, "_mta-sts.", 9) == 0)
		return record;
	if (type != DNS_TYPE_A || strncmp(name, "mta-sts.", 8) != 0 || strstr(name, "nowhere") != NULL)
		return NULL;
	/* silent_host() on these. */
	return strstr(name, "neighbour") != NULL ? "127.0.0.2"
		: strstr(name, "far") != NULL    ? "127.0.9.1"
						 : "127.0.0.1";
}

static const char *https_answer_page(void *owner, const char *request)
{
	(void)owner;
	static const char wanted[] = "GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: mta-sts.";
	return strncmp(request, wanted, sizeof wanted - 1) == 0 ? page : "HTTP/1.1 500 Wrong\r\n\r\n";
}

static struct testing_dns dns = { .answer = dns_answer };
static struct testing_https policy_host = { .answer = https_answer_page };

static void open_sts(void)
{
	const char *servers[] = { dns.server };
	resolver = resolver_new(loop,
		&(struct resolver_options){
			.server_count = 1, .servers = servers, .default_trust_anchor_file = "/nonexistent" });
	sts = sts_new(&(struct sts_options){ .server = &server,
		.loop = loop,
		.resolver = resolver,
		.https = https,
		.port = policy_host.port,
		.ca_file = certificate_path("ca.pem") });
}

/* As if it had been fetched at that time. */
struct put {
	struct store_job job;
	const char *domain;
	struct sts_stored stored;
	bool done;
};

static enum err run_put(struct store_job *job, struct db *db)
{
	struct put *put = (struct put *)(void *)job;
	return sts_store_put(db, view_from_cstr(put->domain), &put->stored);
}

static void put_done(struct store_job *job)
{
	assert_int_equal(job->err, ERR_OK);
	((struct put *)(void *)job)->done = true;
	loop_stop(loop);
}

static void keep(const char *domain, int64_t age_ms, const char *policy, int64_t max_age_ms)
{
	int64_t now_ms = clock_wall_ms();
	struct put put = { .job.run = run_put,
		.job.done = put_done,
		.domain = domain,
		.stored = {
			VIEW("1"), view_from_cstr(policy), now_ms - age_ms, now_ms - age_ms + max_age_ms, now_ms } };
	store_write(server.store, loop, &put.job);
	/* Whoever asked before may be told first, and stops the loop too. */
	while (!put.done)
		loop_run(loop);
}

static void reopen(void)
{
	sts_free(sts);
	resolver_free(resolver);
	open_sts();
}

/* Everything anew but what is on disk. */
static void restart(void)
{
	/* What was to be written before is on disk with this. */
	keep("barrier.test", 0, POLICY("none", "1"), 1000);
	reopen();
}

static int setup(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	log_setup(LOG_TARGET_STDERR, LOG_FORMAT_LOGFMT, LOG_LEVEL_ERROR);
	certificates_make();
	testing_dns_start(&dns);
	testing_https_start(&policy_host, "policy.pem");
	contract_make_folder(folder);
	assert_int_equal(store_open(&(struct store_options){ .folder = folder }, &server.store), ERR_OK);
	assert_int_equal(store_start(server.store), ERR_OK);
	loop = loop_new("test");
	https = https_new(loop);
	open_sts();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	sts_free(sts);
	https_free(https);
	resolver_free(resolver);
	store_close(server.store);
	loop_free(loop);
	testing_https_stop(&policy_host);
	testing_dns_stop(&dns);
	contract_remove_folder(folder);
	certificates_remove();
	return 0;
}

struct got {
	unsigned times;
	bool has_policy;
	enum mta_sts_mode mode;
	enum sts_problem problem;
	char id[40], detail[300];
	struct sts_query *other;
};

static void found(void *owner, struct sts_policy *policy, enum sts_problem problem, const char *detail)
{
	struct got *got = owner;
	got->times++;
	got->has_policy = policy != NULL;
	got->mode = policy != NULL ? policy->policy.mode : MTA_STS_NONE;
	got->problem = problem;
	snprintf(got->id, sizeof got->id, "%s", policy != NULL ? policy->id : "");
	snprintf(got->detail, sizeof got->detail, "%s", detail);
	sts_cancel(got->other);
	loop_stop(loop);
}

static struct got find(const char *domain)
{
	struct got got = { 0 };
	assert_non_null(sts_find(sts, view_from_cstr(domain), found, &got));
	assert_int_equal(got.times, 0);
	loop_run(loop);
	assert_int_equal(got.times, 1);
	return got;
}

static void says(const char *txt, const char *answer)
{
	record = txt;
	page = answer;
}

static void policies_are_found(void **state)
{
	(void)state;
	unsigned before = policy_host.requests;
	says(NULL, ENFORCE);
	struct got got = find("without.test");
	assert_false(got.has_policy);
	assert_int_equal(got.problem, STS_FINE);
	assert_int_equal(policy_host.requests, before);
	says("v=STSv1; id=1;", ENFORCE);
	got = find("one.test");
	assert_true(got.has_policy && got.mode == MTA_STS_ENFORCE && got.problem == STS_FINE);
	assert_string_equal(got.id, "1");
	says("v=STSv1; id=1;", OK_HEAD POLICY("testing", "1000"));
	assert_int_equal(find("ONE.test").mode, MTA_STS_ENFORCE);
	assert_int_equal(policy_host.requests, before + 1);
	/* The id says that it is another now. */
	says("v=STSv1; id=2;", page);
	got = find("one.test");
	assert_int_equal(got.mode, MTA_STS_TESTING);
	assert_string_equal(got.id, "2");
	assert_int_equal(policy_host.requests, before + 2);
}

static void failures_are_told_apart(void **state)
{
	(void)state;
	static char endless[MTA_STS_POLICY_MAX_BYTES + 200];
	size_t n = (size_t)snprintf(endless, sizeof endless, ENFORCE);
	memset(endless + n, 'x', sizeof endless - n - 1);
	static const struct {
		const char *name, *domain, *page;
		enum sts_problem problem;
		const char *sentence;
	} cases[] = {
		{ "missing", "one.test", "HTTP/1.1 404 Not Found\r\n\r\n", STS_FETCH_ERROR, "status 404" },
		{ "moved", "one.test", "HTTP/1.1 301 Moved\r\nLocation: /elsewhere\r\n\r\n", STS_FETCH_ERROR,
			"mta-sts.one.test: the server answered with status 301" },
		{ "another type", "one.test",
			"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" POLICY("enforce", "9"), STS_POLICY_INVALID,
			"not text/plain" },
		{ "no type", "one.test", "HTTP/1.1 200 OK\r\n\r\n" POLICY("enforce", "9"), STS_POLICY_INVALID,
			"not text/plain" },
		{ "no policy", "one.test", OK_HEAD "hello", STS_POLICY_INVALID, "can't be read" },
		{ "too long", "one.test", endless, STS_POLICY_INVALID, "too long" },
		{ "another's certificate", "five.test", ENFORCE, STS_WEBPKI_INVALID, "mta-sts.five.test: " },
		{ "no address", "nowhere.test", ENFORCE, STS_FETCH_ERROR, "has no address" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		print_message("  %s\n", cases[i].name);
		restart();
		says("v=STSv1; id=1;", cases[i].page);
		struct got got = find(cases[i].domain);
		assert_false(got.has_policy);
		assert_int_equal(got.problem, cases[i].problem);
		if (strstr(got.detail, cases[i].sentence) == NULL)
			fail_msg("said: %s", got.detail);
		/* Not tried again at once, and the problem is remembered. */
		unsigned connections = policy_host.connections;
		struct got again = find(cases[i].domain);
		assert_int_equal(again.problem, got.problem);
		assert_string_equal(again.detail, got.detail);
		assert_int_equal(policy_host.connections, connections);
	}
}

static void what_is_kept_stays_in_force(void **state)
{
	(void)state;
	says("v=STSv1; id=1", ENFORCE);
	assert_true(find("two.test").has_policy);
	static const char *const records[] = { NULL, "", "v=STSv1; id=", "something else" };
	for (size_t i = 0; i < sizeof records / sizeof records[0]; i++) {
		restart();
		says(records[i], NULL);
		struct got got = find("two.test");
		assert_true(got.has_policy && got.mode == MTA_STS_ENFORCE && got.problem == STS_FINE);
	}
	/* A new policy that can't be had takes nothing away. */
	restart();
	says("v=STSv1; id=2", "HTTP/1.1 500 Oops\r\n\r\n");
	struct got got = find("two.test");
	assert_true(got.has_policy && got.mode == MTA_STS_ENFORCE);
	assert_int_equal(got.problem, STS_FETCH_ERROR);
	assert_string_equal(got.id, "1");
}

static void until(unsigned requests)
{
	/* The policy arrives when it does; asking for another domain makes the loop turn meanwhile. */
	while (policy_host.requests < requests)
		(void)find("turning.nowhere.test");
}

static void old_ones_are_refreshed(void **state)
{
	(void)state;
	unsigned before = policy_host.requests;
	/* Two days old, for a week: in force, and fetched anew meanwhile. */
	keep("three.test", 2 * DAY_MS, POLICY("enforce", "604800"), 7 * DAY_MS);
	says("v=STSv1; id=1", OK_HEAD POLICY("testing", "604800"));
	assert_int_equal(find("three.test").mode, MTA_STS_ENFORCE);
	until(before + 1);
	while (find("three.test").mode != MTA_STS_TESTING)
		;
	assert_int_equal(policy_host.requests, before + 1);
	/* Over its time: as if there were none. */
	restart();
	keep("three.test", 8 * DAY_MS, POLICY("enforce", "604800"), 7 * DAY_MS);
	says(NULL, ENFORCE);
	assert_false(find("three.test").has_policy);
}

static void nobody_need_ask(void **state)
{
	(void)state;
	unsigned before = policy_host.requests;
	keep("four.test", 2 * DAY_MS, POLICY("enforce", "604800"), 7 * DAY_MS);
	says("v=STSv1; id=1", OK_HEAD POLICY("testing", "604800"));
	sts_keep_refresh(sts);
	until(before + 1);
	while (find("four.test").mode != MTA_STS_TESTING)
		;
	assert_int_equal(policy_host.requests, before + 1);
}

static void many_ask_at_once(void **state)
{
	(void)state;
	unsigned before = policy_host.requests;
	struct got got[5] = { 0 }, cancelled = { 0 };
	says("v=STSv1; id=many", ENFORCE);
	sts_cancel(sts_find(sts, VIEW("one.test"), found, &cancelled));
	sts_cancel(NULL);
	for (size_t i = 0; i < 5; i++)
		(void)sts_find(sts, VIEW("one.test"), found, &got[i]);
	/* Whoever is told first may send the last one away. */
	got[0].other = sts_find(sts, VIEW("one.test"), found, &cancelled);
	while (got[4].times == 0)
		loop_run(loop);
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(got[i].times, 1);
		assert_string_equal(got[i].id, "many");
	}
	assert_int_equal(cancelled.times, 0);
	assert_int_equal(policy_host.requests, before + 1);
}

/* Takes connections, and never says a word. */
static int silent_host(const char *ip)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(policy_host.port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(inet_pton(AF_INET, ip, &sa.sin_addr), 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof sa), 0);
	assert_int_equal(listen(fd, 1000), 0);
	return fd;
}

/* Policy hosts that take their time do not keep the policies of other domains, not even of their neighbours, from being fetched. */
static void slow_hosts_stall_nobody_else(void **state)
{
	(void)state;
	static const char *const kinds[] = { "far", "neighbour" };
	static struct got slow[300];
	for (size_t k = 0; k < 2; k++) {
		print_message("  %s\n", kinds[k]);
		restart();
		says("v=STSv1; id=1;", ENFORCE);
		int fd = silent_host(k == 0 ? "127.0.9.1" : "127.0.0.2");
		for (unsigned i = 0; i < 300; i++) {
			char domain[60];
			snprintf(domain, sizeof domain, "d%u.%s.test", i, kinds[k]);
			slow[i] = (struct got){ 0 };
			(void)sts_find(sts, view_from_cstr(domain), found, &slow[i]);
		}
		struct got got = { 0 };
		(void)sts_find(sts, k == 0 ? VIEW("one.test") : VIEW("two.test"), found, &got);
		while (got.times == 0)
			loop_run(loop);
		assert_true(got.has_policy && got.mode == MTA_STS_ENFORCE && got.problem == STS_FINE);
		reopen();
		close(fd);
	}
}

/* A minute is a host's own time, but not that of those who wait behind it. */
static void slow_hosts_make_way(void **state)
{
	(void)state;
	static struct got slow[100];
	restart();
	says("v=STSv1; id=1;", ENFORCE);
	int fd = silent_host("127.0.0.2");
	for (unsigned i = 0; i < 100; i++) {
		char domain[60];
		snprintf(domain, sizeof domain, "d%u.neighbour.test", i);
		slow[i] = (struct got){ 0 };
		(void)sts_find(sts, view_from_cstr(domain), found, &slow[i]);
	}
	loop_run(loop);
	unsigned told = 0;
	for (unsigned i = 0; i < 100; i++) {
		told += slow[i].times;
		if (slow[i].times == 0)
			continue;
		assert_int_equal(slow[i].problem, STS_FETCH_ERROR);
		assert_non_null(strstr(slow[i].detail, "while others wait"));
	}
	assert_true(told > 0);
	reopen();
	close(fd);
}

static void freed_while_busy(void **state)
{
	(void)state;
	struct got silent = { 0 };
	says("v=STSv1; id=busy", ENFORCE);
	for (int turns = 0; turns < 4; turns++) {
		(void)sts_find(sts, VIEW("two.test"), found, &silent);
		for (int i = 0; i < turns; i++)
			(void)sts_find(sts, VIEW("three.test"), found, &silent);
		/* Half of the time as soon as it was asked, else as far as it comes meanwhile. */
		if (turns % 2 == 1)
			keep("meanwhile.test", 0, POLICY("none", "1"), 1000);
		unsigned told = silent.times;
		reopen();
		keep("barrier.test", 0, POLICY("none", "1"), 1000);
		assert_int_equal(silent.times, told);
	}
	assert_true(find("two.test").has_policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(policies_are_found, setup, teardown),
		cmocka_unit_test_setup_teardown(failures_are_told_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_kept_stays_in_force, setup, teardown),
		cmocka_unit_test_setup_teardown(old_ones_are_refreshed, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_need_ask, setup, teardown),
		cmocka_unit_test_setup_teardown(many_ask_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(slow_hosts_stall_nobody_else, setup, teardown),
		cmocka_unit_test_setup_teardown(slow_hosts_make_way, setup, teardown),
		cmocka_unit_test_setup_teardown(freed_while_busy, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
