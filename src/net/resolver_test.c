#include "net/testing.h"

#include "net/resolver.h"

#include "base/buf.h"
#include "dns/message.h"
#include "net/testing_dns.h"
#include "net/testing_knot.h"

#include <arpa/inet.h>
#include <string.h>
#include <unistd.h>

static bool have_knot;

struct question {
	struct loop *loop;
	struct resolver *resolver;
	struct resolver_query *query;
	struct places_key share;
	unsigned answers;
	unsigned *left; /* the loop stops at 0 */
	struct resolver_answer answer;
	struct buf wire;
	char why_bogus[256];
	bool asking;
	void (*then)(struct question *question);
};

static void on_answered(void *owner, const struct resolver_answer *answer)
{
	struct question *question = owner;
	assert_false(question->asking);
	question->answers++;
	question->answer = *answer;
	buf_reset(&question->wire);
	assert_int_equal(buf_append(&question->wire, answer->wire), ERR_OK);
	snprintf(question->why_bogus, sizeof question->why_bogus, "%s",
		answer->why_bogus != NULL ? answer->why_bogus : "");
	if (question->then != NULL)
		question->then(question);
	if (question->left != NULL && --*question->left == 0)
		loop_stop(question->loop);
}

static void ask(struct question *question, const char *name, uint16_t type)
{
	question->asking = true;
	question->query = resolver_ask(question->resolver, question->share, name, type, on_answered, question);
	question->asking = false;
	assert_non_null(question->query);
}

static struct resolver *new_resolver(struct loop *loop, const char *server, const char *anchors, uint32_t timeout_ms)
{
	struct resolver *resolver = resolver_new(loop,
		&(struct resolver_options){ .server_count = 1,
			.servers = &server,
			.trust_anchor_file = anchors,
			.timeout_ms = timeout_ms });
	if (resolver == NULL)
		fail_msg("%s", err_detail());
	return resolver;
}

static void need_knot(void)
{
	if (have_knot)
		return;
	print_message("SKIPPED: knotd (package knot) is not installed: the resolver was NOT tested against a server\n");
	skip();
}

static const struct {
	const char *name;
	uint16_t type;
	unsigned rcode;
	bool secure, bogus;
	size_t records;
	const char *first; /* name or data of the first record */
} cases[] = {
	{ "mail.secure.test", DNS_TYPE_A, 0, true, false, 1, "\x7f\x00\x05\x01" },
	{ "MAIL.Secure.Test", DNS_TYPE_A, 0, true, false, 1, "\x7f\x00\x05\x01" },
	{ "mail.secure.test", DNS_TYPE_AAAA, 0, true, false, 1, NULL },
	{ "secure.test", DNS_TYPE_MX, 0, true, false, 2, NULL },
	{ "secure.test", DNS_TYPE_TXT, 0, true, false, 1, "v=spf1 mx -all" },
	{ "_25._tcp.mail.secure.test", DNS_TYPE_TLSA, 0, true, false, 1, NULL },
	{ "_25._tcp.backup.secure.test", DNS_TYPE_TLSA, 3, true, false, 0, NULL },
	{ "alias.secure.test", DNS_TYPE_A, 0, true, false, 1, "\x7f\x00\x05\x01" },
	{ "nomail.secure.test", DNS_TYPE_MX, 0, true, false, 1, "" },
	{ "mail.secure.test", DNS_TYPE_MX, 0, true, false, 0, NULL },
	{ "missing.secure.test", DNS_TYPE_A, 3, true, false, 0, NULL },
	{ "mail.plain.test", DNS_TYPE_A, 0, false, false, 1, "\x7f\x00\x05\x01" },
	{ "plain.test", DNS_TYPE_MX, 0, false, false, 2, NULL },
	{ "missing.plain.test", DNS_TYPE_A, 3, false, false, 0, NULL },
	{ "mail.bogus.test", DNS_TYPE_A, 2, false, true, 0, NULL },
};
enum { CASES = sizeof cases / sizeof cases[0] };

static void check_case(size_t i, const struct question *question)
{
	print_message("  %s %u: rcode %u%s%s %s\n", cases[i].name, (unsigned)cases[i].type, question->answer.rcode,
		question->answer.secure ? " secure" : "", question->answer.bogus ? " bogus" : "", question->why_bogus);
	assert_int_equal(question->answers, 1);
	assert_int_equal(question->answer.err, ERR_OK);
	assert_int_equal(question->answer.secure, cases[i].secure);
	assert_int_equal(question->answer.bogus, cases[i].bogus);
	if (cases[i].bogus) {
		assert_string_not_equal(question->why_bogus, "");
		assert_int_equal(question->answer.rcode, DNS_RCODE_SERVFAIL);
		assert_int_equal(question->wire.len, 0);
		return;
	}
	assert_int_equal(question->answer.rcode, cases[i].rcode);
	struct arena arena;
	struct dns_answer answer;
	arena_init(&arena, 10000);
	assert_int_equal(dns_answer_parse(buf_view(&question->wire), cases[i].type, &arena, &answer), ERR_OK);
	assert_int_equal(answer.rcode, cases[i].rcode);
	assert_int_equal(answer.record_count, cases[i].records);
	if (cases[i].first != NULL) {
		struct view first = cases[i].type == DNS_TYPE_MX ? answer.records[0].name : answer.records[0].data;
		size_t len = cases[i].type == DNS_TYPE_A ? 4 : strlen(cases[i].first);
		assert_true(view_eq(first, view_of(cases[i].first, len)));
	}
	arena_clear(&arena);
}

/* All at once, then all again from the cache: never from inside resolver_ask(). */
static void questions_are_answered(void **state)
{
	(void)state;
	need_knot();
	struct loop *loop = loop_new("test");
	struct resolver *resolver = new_resolver(loop, knot_server(), knot_trust_anchor_file(), 0);
	for (int round = 0; round < 2; round++) {
		unsigned left = CASES;
		struct question questions[CASES];
		for (size_t i = 0; i < CASES; i++) {
			questions[i] = (struct question){ .loop = loop, .resolver = resolver, .left = &left };
			ask(&questions[i], cases[i].name, cases[i].type);
		}
		loop_run(loop);
		for (size_t i = 0; i < CASES; i++) {
			check_case(i, &questions[i]);
			buf_clear(&questions[i].wire);
		}
	}
	resolver_free(resolver);
	loop_free(loop);
}

static void ask_once_more(struct question *question)
{
	question->then = NULL;
	resolver_cancel(question->query); /* too late, and harmless */
	ask(question, "backup.plain.test", DNS_TYPE_A);
}

static void asking_inside_an_answer(void **state)
{
	(void)state;
	need_knot();
	unsigned left = 2;
	struct question question = { .loop = loop_new("test"), .left = &left, .then = ask_once_more };
	question.resolver = new_resolver(question.loop, knot_server(), knot_trust_anchor_file(), 0);
	ask(&question, "mail.secure.test", DNS_TYPE_A);
	loop_run(question.loop);
	assert_int_equal(question.answers, 2);
	assert_false(question.answer.secure);
	resolver_free(question.resolver);
	loop_free(question.loop);
	buf_clear(&question.wire);
}

static void free_resolver(struct question *question)
{
	resolver_free(question->resolver);
	question->resolver = NULL;
}

static void freeing_inside_an_answer(void **state)
{
	(void)state;
	need_knot();
	unsigned left = 1;
	struct question question = { .loop = loop_new("test"), .left = &left, .then = free_resolver };
	struct question open = question;
	open.resolver = question.resolver = new_resolver(question.loop, knot_server(), NULL, 0);
	ask(&question, "mail.plain.test", DNS_TYPE_A);
	ask(&open, "backup.plain.test", DNS_TYPE_A);
	loop_run(question.loop);
	/* One of the two came first and freed the resolver; then the other is cancelled. */
	assert_int_equal(question.answers + open.answers, 1);
	loop_free(question.loop);
	buf_clear(&question.wire);
	buf_clear(&open.wire);
}

static void cancelled_questions_are_not_answered(void **state)
{
	(void)state;
	need_knot();
	unsigned left = 1;
	struct question cancelled = { .loop = loop_new("test") };
	cancelled.resolver = new_resolver(cancelled.loop, knot_server(), knot_trust_anchor_file(), 0);
	struct question other = { .loop = cancelled.loop, .resolver = cancelled.resolver, .left = &left };
	for (int round = 0; round < 2; round++) {
		/* The same question by another owner, and one from the cache (in round 1), must still be answered. */
		left = 1;
		ask(&cancelled, "mail.secure.test", DNS_TYPE_A);
		ask(&other, "mail.secure.test", DNS_TYPE_A);
		resolver_cancel(cancelled.query);
		loop_run(cancelled.loop);
	}
	assert_int_equal(cancelled.answers, 0);
	assert_int_equal(other.answers, 2);
	resolver_cancel(NULL);
	/* Open and cancelled questions go with the resolver. */
	ask(&cancelled, "one.secure.test", DNS_TYPE_A);
	ask(&cancelled, "two.secure.test", DNS_TYPE_A);
	resolver_cancel(cancelled.query);
	resolver_free(cancelled.resolver);
	loop_free(cancelled.loop);
	assert_int_equal(cancelled.answers, 0);
	buf_clear(&other.wire);
}

/* A socket that nobody reads. */
static int silent_server(char *ret_text, size_t size)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof sa;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof sa), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	snprintf(ret_text, size, "127.0.0.1@%u", (unsigned)ntohs(sa.sin_port));
	return fd;
}

static void silent_servers_time_out(void **state)
{
	(void)state;
	char server[64];
	int fd = silent_server(server, sizeof server);
	unsigned left = 2;
	struct question question = { .loop = loop_new("test"), .left = &left };
	question.resolver = new_resolver(question.loop, server, NULL, 100);
	struct question other = question;
	ask(&question, "example.org", DNS_TYPE_MX);
	ask(&other, "example.net", DNS_TYPE_MX);
	loop_run(question.loop);
	assert_int_equal(question.answers, 1);
	assert_int_equal(question.answer.err, ERR_TIMEOUT);
	assert_int_equal(other.answer.err, ERR_TIMEOUT);
	resolver_free(question.resolver);
	loop_free(question.loop);
	close(fd);
}

/* Who goes away leaves his question with libunbound: there must be a bound to that, and whoever waits behind it gets his answer. */
static void questions_wait_for_their_turn(void **state)
{
	(void)state;
	need_knot();
	enum { COUNT = 12, CANCELLED = 3 };
	const char *server = knot_server();
	struct loop *loop = loop_new("test");
	struct resolver *resolver = resolver_new(
		loop, &(struct resolver_options){ .server_count = 1, .servers = &server, .asked_max = 2 });
	assert_non_null(resolver);
	unsigned left = COUNT - CANCELLED;
	struct question questions[COUNT];
	for (size_t i = 0; i < COUNT; i++) {
		questions[i] = (struct question){ .loop = loop, .resolver = resolver, .left = &left };
		ask(&questions[i], i % 2 == 0 ? "mail.plain.test" : "missing.plain.test", DNS_TYPE_A);
	}
	/* One that is asked, two that wait. */
	resolver_cancel(questions[0].query);
	resolver_cancel(questions[5].query);
	resolver_cancel(questions[11].query);
	loop_run(loop);
	for (size_t i = 0; i < COUNT; i++) {
		bool is_cancelled = i == 0 || i == 5 || i == 11;
		assert_int_equal(questions[i].answers, is_cancelled ? 0 : 1);
		assert_int_equal(questions[i].answer.err, ERR_OK);
		if (!is_cancelled)
			assert_int_equal(
				questions[i].answer.rcode, i % 2 == 0 ? DNS_RCODE_NOERROR : DNS_RCODE_NXDOMAIN);
		buf_clear(&questions[i].wire);
	}
	resolver_free(resolver);
	loop_free(loop);
}

/* Those that wait have no more time than the others, and may go when their resolver does. */
static void waiting_questions_time_out(void **state)
{
	(void)state;
	char server[64];
	int fd = silent_server(server, sizeof server);
	unsigned left = 3;
	struct loop *loop = loop_new("test");
	const char *servers = server;
	struct resolver *resolver = resolver_new(loop,
		&(struct resolver_options){ .server_count = 1,
			.servers = &servers,
			.default_trust_anchor_file = "/nonexistent",
			.timeout_ms = 100,
			.asked_max = 1 });
	struct question questions[4];
	for (size_t i = 0; i < 3; i++) {
		questions[i] = (struct question){ .loop = loop, .resolver = resolver, .left = &left };
		ask(&questions[i], "example.org", (uint16_t)(i == 0 ? DNS_TYPE_MX : DNS_TYPE_A));
	}
	loop_run(loop);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(questions[i].answer.err, ERR_TIMEOUT);
	questions[3] = (struct question){ .loop = loop, .resolver = resolver };
	ask(&questions[3], "example.org", DNS_TYPE_TXT);
	resolver_free(resolver);
	loop_free(loop);
	close(fd);
}

static const char *answer_unless_silent(void *owner, const char *name, uint16_t type)
{
	(void)owner;
	(void)type;
	return strstr(name, "silent") != NULL ? testing_dns_silence : "hello";
}

static const char *answer_slowly(void *owner, const char *name, uint16_t type)
{
	(void)owner;
	(void)type;
	if (strstr(name, "slow") != NULL)
		nanosleep(&(struct timespec){ .tv_sec = 1 }, NULL);
	return "hello";
}

/* A server far away, or one that must ask others first: what it said fast before does not matter. */
static void slow_answers_are_waited_for(void **state)
{
	(void)state;
	struct testing_dns dns = { .answer = answer_slowly };
	testing_dns_start(&dns);
	struct loop *loop = loop_new("test");
	unsigned left;
	struct question question = {
		.loop = loop, .resolver = new_resolver(loop, dns.server, NULL, 20000), .left = &left
	};
	static const char *const names[] = { "slow.example", "a.example", "slow.b.example", "c.example", "d.example",
		"slow.e.example" };
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		left = 1;
		question.answers = 0;
		ask(&question, names[i], DNS_TYPE_TXT);
		loop_run(loop);
		assert_int_equal(question.answers, 1);
		assert_int_equal(question.answer.err, ERR_OK);
		assert_int_equal(question.answer.rcode, DNS_RCODE_NOERROR);
		buf_clear(&question.wire);
	}
	resolver_free(question.resolver);
	loop_free(loop);
	testing_dns_stop(&dns);
}

static struct places_key client(const char *ip, uint64_t session)
{
	struct net_address address;
	assert_int_equal(net_address_parse(view_from_cstr(ip), 25, &address), ERR_OK);
	return resolver_share_client(&address, session);
}

enum { HOSTILE = 3000 };

struct attack {
	const char *name;
	uint32_t asked_max;
	unsigned networks, sessions; /* of hostile clients, and of each */
	bool go_away; /* and leave their questions with libunbound */
	const char *honest; /* the honest client's address */
};
static const struct attack attacks[] = {
	{ "one network, one session", 0, 1, 1, false, "203.0.113.1" },
	{ "one network, many sessions", 0, 1, 400, false, "203.0.113.1" },
	{ "many sessions beside the honest one", 0, 1, 16, false, "10.0.0.200" },
	{ "many networks", 0, 250, 4, false, "203.0.113.1" },
	{ "many networks, few places", 64, 40, 4, false, "203.0.113.1" },
	{ "they go away", 64, 1, 40, true, "203.0.113.1" },
	{ "IPv6: the addresses of one network", 64, 0, 40, false, "2001:db8:1::1" },
};

/* A zone with silent servers, asked about by one whose mail nobody wants, must not be in the way of honest questions. */
static void silence_stalls_nobody_else(void **state)
{
	(void)state;
	static struct question hostile[HOSTILE];
	for (size_t i = 0; i < sizeof attacks / sizeof attacks[0]; i++) {
		const struct attack *a = &attacks[i];
		print_message("  %s\n", a->name);
		struct testing_dns dns = { .answer = answer_unless_silent };
		testing_dns_start(&dns);
		const char *server = dns.server;
		unsigned left = 1, unheard = 0;
		struct loop *loop = loop_new("test");
		struct resolver *resolver = resolver_new(loop,
			&(struct resolver_options){ .server_count = 1,
				.servers = &server,
				.default_trust_anchor_file = "/nonexistent",
				.asked_max = a->asked_max });
		assert_non_null(resolver);
		for (unsigned k = 0; k < HOSTILE; k++) {
			char name[60], ip[60];
			snprintf(name, sizeof name, "q%u.silent.example", k);
			snprintf(ip, sizeof ip, a->networks > 0 ? "10.0.%u.1" : "2001:db8:0:%x::1",
				k % (a->networks > 0 ? a->networks : 50));
			hostile[k] = (struct question){ .loop = loop,
				.resolver = resolver,
				.share = client(ip, k % a->sessions),
				.left = &unheard };
			ask(&hostile[k], name, DNS_TYPE_TXT);
			if (a->go_away)
				resolver_cancel(hostile[k].query);
		}
		/* One after the other, as SPF asks. */
		for (unsigned k = 0; k < 20; k++) {
			char name[60];
			snprintf(name, sizeof name, "q%u.honest.example", k);
			struct question question = {
				.loop = loop, .resolver = resolver, .share = client(a->honest, 7777), .left = &left
			};
			left = 1;
			ask(&question, name, DNS_TYPE_TXT);
			loop_run(loop);
			assert_int_equal(question.answers, 1);
			assert_int_equal(question.answer.err, ERR_OK);
			assert_int_equal(question.answer.rcode, DNS_RCODE_NOERROR);
			buf_clear(&question.wire);
		}
		resolver_free(resolver);
		loop_free(loop);
		testing_dns_stop(&dns);
	}
}

/* Whose question it is. */
static void shares(void **state)
{
	(void)state;
	static const struct {
		const char *a, *b;
		bool is_same_group;
	} rows[] = {
		{ "192.0.2.1", "192.0.2.255", true },
		{ "192.0.2.1", "192.0.3.1", false },
		{ "2001:db8:1:2::3", "2001:db8:1:ffff::1", true },
		{ "2001:db8:1::1", "2001:db8:2::1", false },
		{ "0.0.1.1", "::1:1", false },
		{ "192.0.2.1", "::ffff:192.0.2.77", true },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		print_message("  %s %s\n", rows[i].a, rows[i].b);
		struct places_key a = client(rows[i].a, 5), b = client(rows[i].b, 6);
		assert_int_equal(a.group == b.group, rows[i].is_same_group);
		assert_int_equal(a.member, 5);
		assert_int_equal(b.member, 6);
	}
	struct places_key route = resolver_share_named(RESOLVER_FOR_ROUTES, VIEW("example.org"));
	assert_true(route.group == resolver_share_named(RESOLVER_FOR_ROUTES, VIEW("Example.ORG")).group);
	assert_true(route.group != resolver_share_named(RESOLVER_FOR_ROUTES, VIEW("example.net")).group);
	assert_true(route.group != resolver_share_named(RESOLVER_FOR_HOSTS, VIEW("example.org")).group);
}

/* The operator's trust anchor is a demand, Debian's is an offer. */
static void validation_by_default(void **state)
{
	(void)state;
	need_knot();
	static const struct {
		const char *name;
		bool by_default, wrong;
		unsigned rcode;
		bool secure, bogus;
	} rows[] = {
		{ "by default, and it works", true, false, DNS_RCODE_NOERROR, true, false },
		{ "by default, and nothing can be validated", true, true, DNS_RCODE_NOERROR, false, false },
		{ "demanded, and it works", false, false, DNS_RCODE_NOERROR, true, false },
		{ "demanded, and nothing can be validated", false, true, DNS_RCODE_SERVFAIL, false, true },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		print_message("  %s\n", rows[i].name);
		const char *server = knot_server(), *anchor = knot_root_anchor_file(rows[i].wrong);
		unsigned left = 2;
		struct question question = { .loop = loop_new("test"), .left = &left };
		question.resolver = resolver_new(question.loop,
			&(struct resolver_options){ .server_count = 1,
				.servers = &server,
				.trust_anchor_file = rows[i].by_default ? NULL : anchor,
				.default_trust_anchor_file = rows[i].by_default ? anchor : NULL });
		assert_non_null(question.resolver);
		struct question cancelled = question, other = question;
		/* All of them before the resolver can know. */
		ask(&question, "", DNS_TYPE_NS);
		ask(&cancelled, "", DNS_TYPE_SOA);
		ask(&other, "", DNS_TYPE_SOA);
		resolver_cancel(cancelled.query);
		loop_run(question.loop);
		assert_int_equal(cancelled.answers, 0);
		for (int k = 0; k < 2; k++) {
			const struct question *q = k == 0 ? &question : &other;
			assert_int_equal(q->answers, 1);
			assert_int_equal(q->answer.err, ERR_OK);
			assert_int_equal(q->answer.rcode, rows[i].rcode);
			assert_int_equal(q->answer.secure, rows[i].secure);
			assert_int_equal(q->answer.bogus, rows[i].bogus);
		}
		resolver_free(question.resolver);
		loop_free(question.loop);
		buf_clear(&question.wire);
		buf_clear(&other.wire);
	}
}

static void impossible_names_are_refused(void **state)
{
	(void)state;
	static char long_name[2000], long_label[80];
	memset(long_name, 'a', sizeof long_name - 1);
	memset(long_label, 'a', sizeof long_label - 1);
	static const char *const names[] = { "a..b", ".a", "a.", ".", long_name, long_label };
	enum { COUNT = sizeof names / sizeof names[0] };
	struct loop *loop = loop_new("test");
	struct resolver *resolver = new_resolver(loop, "127.0.0.1@1", NULL, 0);
	unsigned left = COUNT;
	struct question questions[COUNT];
	for (size_t i = 0; i < COUNT; i++) {
		questions[i] = (struct question){ .loop = loop, .resolver = resolver, .left = &left };
		ask(&questions[i], names[i], DNS_TYPE_A);
	}
	loop_run(loop);
	for (size_t i = 0; i < COUNT; i++)
		assert_int_equal(questions[i].answer.err, ERR_SYNTAX);
	resolver_free(resolver);
	loop_free(loop);
}

static void wrong_options_are_said(void **state)
{
	(void)state;
	static const char *const bad[] = { "ns.example.org" };
	static const char *const good[] = { "127.0.0.1" };
	struct loop *loop = loop_new("test");
	assert_null(resolver_new(loop, &(struct resolver_options){ .server_count = 1, .servers = bad }));
	assert_non_null(strstr(err_detail(), "cannot use the DNS server ns.example.org: "));
	assert_null(resolver_new(loop,
		&(struct resolver_options){
			.server_count = 1, .servers = good, .trust_anchor_file = "/nonexistent/root.key" }));
	assert_string_equal(err_detail(), "cannot read the DNSSEC trust anchor /nonexistent/root.key");
	char path[] = "/tmp/postrider-test-XXXXXX";
	int fd = mkstemp(path);
	assert_int_equal(write(fd, "this is no anchor\n", 18), 18);
	close(fd);
	assert_null(resolver_new(
		loop, &(struct resolver_options){ .server_count = 1, .servers = good, .trust_anchor_file = path }));
	assert_non_null(strstr(err_detail(), "cannot start the resolver with the trust anchor /tmp/"));
	print_message("  %s\n", err_detail());
	unlink(path);
	loop_free(loop);
}

static int start(void **state)
{
	(void)state;
	have_knot = knot_start();
	return 0;
}

static int stop(void **state)
{
	(void)state;
	knot_stop();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(questions_are_answered),
		cmocka_unit_test(asking_inside_an_answer),
		cmocka_unit_test(freeing_inside_an_answer),
		cmocka_unit_test(cancelled_questions_are_not_answered),
		cmocka_unit_test(silent_servers_time_out),
		cmocka_unit_test(questions_wait_for_their_turn),
		cmocka_unit_test(waiting_questions_time_out),
		cmocka_unit_test(slow_answers_are_waited_for),
		cmocka_unit_test(silence_stalls_nobody_else),
		cmocka_unit_test(shares),
		cmocka_unit_test(validation_by_default),
		cmocka_unit_test(impossible_names_are_refused),
		cmocka_unit_test(wrong_options_are_said),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
