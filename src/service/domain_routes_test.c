/* The table of routes, with a resolver that answers when and as the test says. */
#include "service/domain_routes.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define WAITERS 40

struct resolver_query {
	char name[300];
	void (*answered)(void *owner, const struct resolver_answer *answer);
	void *owner;
	bool open;
};

static struct resolver_query queries[2000];
static size_t query_count, cancelled;
static struct loop *loop;
static struct config *config;
static struct domain_routes *routes;

struct waiter {
	struct list link;
	unsigned found;
	enum mx_result result;
	char destination[300];
	char problem[300];
};
static struct waiter waiters[2000];

static struct resolver_query *ask(struct resolver *resolver, struct places_key share, const char *name, uint16_t type,
	void (*answered)(void *owner, const struct resolver_answer *answer), void *owner)
{
	assert_null(resolver);
	assert_true(share.group == resolver_share_named(RESOLVER_FOR_ROUTES, view_from_cstr(name)).group);
	assert_int_equal(type, DNS_TYPE_MX);
	struct resolver_query *q = &queries[query_count++];
	snprintf(q->name, sizeof q->name, "%s", name);
	q->answered = answered;
	q->owner = owner;
	q->open = true;
	return q;
}

static void cancel(struct resolver_query *query)
{
	assert_true(query->open);
	query->open = false;
	cancelled++;
}

static void found(void *owner, struct list *link, struct domain_route *route)
{
	assert_ptr_equal(owner, &routes);
	struct waiter *w = LIST_ENTRY(link, struct waiter, link);
	w->found++;
	w->result = route->hosts.result;
	snprintf(w->destination, sizeof w->destination, "%.*s", VIEW_ARG(route->destination));
	snprintf(w->problem, sizeof w->problem, "%s", route->problem != NULL ? route->problem : "");
}

static struct config *parse_config(const char *more)
{
	char text[400];
	struct buf errors = { 0 };
	snprintf(text, sizeof text,
		"hostname = \"mail.here.example\"\ndata = \"/nonexistent\"\nlisten mx { address = \"127.0.0.1:2525\" "
		"}\n%s",
		more);
	struct config *c = config_parse(view_from_cstr(text), "test", &errors);
	if (c == NULL)
		fail_msg("%s", buf_cstr(&errors));
	buf_clear(&errors);
	return c;
}

static int setup(void **state)
{
	(void)state;
	static const struct domain_routes_dns dns = { ask, cancel };
	memset(queries, 0, sizeof queries);
	memset(waiters, 0, sizeof waiters);
	query_count = cancelled = 0;
	loop = loop_new("test");
	config = parse_config("queue { retry_first = \"100s\" retry_max = \"100s\" }\n");
	routes = domain_routes_new(
		&(struct domain_routes_options){ .loop = loop, .dns = &dns, .found = found, .owner = &routes });
	domain_routes_configure(routes, config, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	domain_routes_free(routes);
	config_unref(config);
	loop_free(loop);
	return 0;
}

static struct domain_route *find(const char *domain, size_t waiter)
{
	return domain_routes_find(routes, view_from_cstr(domain), &waiters[waiter].link);
}

static void put_name(struct buf *out, const char *name)
{
	struct view rest = view_from_cstr(name), label;
	while (view_split(&rest, '.', &label)) {
		uint8_t len = (uint8_t)label.len;
		assert_int_equal(buf_append(out, view_of(&len, 1)), ERR_OK);
		assert_int_equal(buf_append(out, label), ERR_OK);
	}
	assert_int_equal(buf_append(out, view_of("", 1)), ERR_OK);
}

static void put_u16(struct buf *out, size_t value)
{
	uint8_t bytes[2] = { (uint8_t)(value >> 8), (uint8_t)value };
	assert_int_equal(buf_append(out, view_of(bytes, 2)), ERR_OK);
}

/* `records`: "10 mx1.example.net 20 ." */
static void make_answer(struct buf *out, const char *domain, unsigned rcode, const char *records)
{
	struct view rest = view_from_cstr(records), preference, name;
	size_t count = 0;
	for (size_t i = 0; i < rest.len; i++)
		count += rest.ptr[i] == ' ';
	count = (count + 1) / 2;
	put_u16(out, 1);
	put_u16(out, 0x8180u | rcode);
	put_u16(out, 1);
	put_u16(out, count);
	put_u16(out, 0);
	put_u16(out, 0);
	put_name(out, domain);
	put_u16(out, DNS_TYPE_MX);
	put_u16(out, 1);
	while (view_split(&rest, ' ', &preference) && view_split(&rest, ' ', &name)) {
		uint64_t number = 0;
		char text[300];
		struct buf data = { 0 };
		assert_int_equal(view_parse_u64(preference, 65535, &number), ERR_OK);
		snprintf(text, sizeof text, "%.*s", VIEW_ARG(name));
		put_u16(&data, number);
		put_name(&data, strcmp(text, ".") == 0 ? "" : text);
		put_name(out, domain);
		put_u16(out, DNS_TYPE_MX);
		put_u16(out, 1);
		put_u16(out, 0);
		put_u16(out, 300);
		put_u16(out, data.len);
		assert_int_equal(buf_append(out, buf_view(&data)), ERR_OK);
		buf_clear(&data);
	}
}

static void answer(size_t query, unsigned rcode, const char *records)
{
	struct resolver_query *q = &queries[query];
	struct buf wire = { 0 };
	assert_true(q->open);
	q->open = false;
	make_answer(&wire, q->name, rcode, records);
	q->answered(q->owner, &(struct resolver_answer){ .rcode = rcode, .wire = buf_view(&wire), .secure = true });
	buf_clear(&wire);
}

static void fail_query(size_t query, enum err err)
{
	struct resolver_query *q = &queries[query];
	assert_true(q->open);
	q->open = false;
	q->answered(q->owner, &(struct resolver_answer){ .err = err });
}

/* One question for all who ask at the same time, none for those who ask later. */
static void asked_once(void **state)
{
	(void)state;
	for (size_t i = 0; i < WAITERS; i++)
		assert_null(find(i % 2 == 0 ? "Example.NET" : "example.net", i));
	assert_int_equal(query_count, 1);
	assert_string_equal(queries[0].name, "example.net");
	answer(0, 0, "10 b.mx.example 20 A.mx.example");
	for (size_t i = 0; i < WAITERS; i++) {
		assert_int_equal(waiters[i].found, 1);
		assert_string_equal(waiters[i].destination, "mx/a.mx.example,b.mx.example");
	}
	struct domain_route *route = find("example.net", 0);
	assert_non_null(route);
	assert_int_equal(route->hosts.count, 2);
	assert_true(view_eq(route->hosts.names[0], VIEW("b.mx.example")));
	assert_true(view_eq(route->domain, VIEW("example.net")));
	assert_true(view_eq(route->site, VIEW("a.mx.example,b.mx.example")));
	assert_true(route->mx_is_secure);
	assert_int_equal(query_count, 1);
}

/* The same hosts in any order are one destination; one more host makes it another. */
static void one_destination_for_one_set(void **state)
{
	(void)state;
	static const char *const records[] = { "10 a.example 10 b.example", "5 b.example 50 a.example 60 a.example",
		"10 a.example 20 b.example 30 c.example", "10 a.example" };
	static const char *const keys[] = { "mx/a.example,b.example", "mx/a.example,b.example",
		"mx/a.example,b.example,c.example", "mx/a.example" };
	for (size_t i = 0; i < 4; i++) {
		char domain[32];
		snprintf(domain, sizeof domain, "d%zu.example", i);
		assert_null(find(domain, i));
		answer(i, 0, records[i]);
		assert_string_equal(waiters[i].destination, keys[i]);
	}
}

/* Names of any length are cut to a bounded key that still tells them apart. */
static void long_sets(void **state)
{
	(void)state;
	char records[2][2000] = { "", "" };
	for (size_t set = 0; set < 2; set++)
		for (int i = 0; i < 10; i++) {
			size_t len = strlen(records[set]);
			snprintf(records[set] + len, sizeof records[set] - len,
				"%s10 %s%d.a-rather-long-name.of-hosts.example", i > 0 ? " " : "",
				i == 9 && set == 1 ? "z" : "mx", i);
		}
	for (size_t i = 0; i < 3; i++) {
		char domain[32];
		snprintf(domain, sizeof domain, "d%zu.example", i);
		assert_null(find(domain, i));
		answer(i, 0, records[i % 2]);
		assert_int_equal(strlen(waiters[i].destination), 200);
	}
	assert_string_equal(waiters[0].destination, waiters[2].destination);
	assert_string_not_equal(waiters[0].destination, waiters[1].destination);
}

static void without_hosts(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		unsigned rcode;
		const char *records;
		enum mx_result result;
		const char *reply; /* its beginning, or the destination */
	} cases[] = {
		{ "no such domain", 3, "", MX_NO_DOMAIN, "550 5.1.2 " },
		{ "null MX", 0, "0 .", MX_NULL, "556 5.1.10 " },
		{ "we are the best host", 0, "10 mail.here.example 20 b.example", MX_LOOP, "554 5.4.6 " },
		{ "SERVFAIL", 2, "", MX_TEMPORARY, "451 4.4.3 " },
		{ "no MX record", 0, "", MX_HOSTS, "mx/d4.example" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char domain[32];
		snprintf(domain, sizeof domain, "d%zu.example", i);
		assert_null(find(domain, i));
		answer(i, cases[i].rcode, cases[i].records);
		const char *text = cases[i].result == MX_HOSTS ? waiters[i].destination : waiters[i].problem;
		if (waiters[i].result != cases[i].result || strncmp(text, cases[i].reply, strlen(cases[i].reply)) != 0)
			fail_msg("%s: %d, %s", cases[i].name, (int)waiters[i].result, text);
		assert_non_null(find(domain, i)); /* known for a while, whatever it is */
	}
}

static void without_dns(void **state)
{
	(void)state;
	static const struct {
		const char *domain;
		enum mx_result result;
	} cases[] = {
		{ "[192.0.2.1]", MX_HOSTS },
		{ "[IPv6:2001:db8::1]", MX_HOSTS },
		{ "[192.0.2]", MX_NO_DOMAIN },
		{ "[", MX_NO_DOMAIN },
		{ "[]", MX_NO_DOMAIN },
		{ "[192.0.2.1", MX_NO_DOMAIN },
		{ "b\xc3\xbc"
		  "cher.example",
			MX_NO_DOMAIN },
		{ "", MX_NO_DOMAIN },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct domain_route *route = find(cases[i].domain, i);
		assert_non_null(route);
		if (route->hosts.result != cases[i].result)
			fail_msg("%s: %d", cases[i].domain, (int)route->hosts.result);
	}
	assert_true(view_eq(find("[192.0.2.1]", 0)->destination, VIEW("mx/[192.0.2.1]")));
	char long_name[400];
	memset(long_name, 'a', sizeof long_name - 1);
	long_name[sizeof long_name - 1] = '\0';
	assert_int_equal(find(long_name, 0)->hosts.result, MX_NO_DOMAIN);
	assert_int_equal(query_count, 0);
}

static int64_t left_ms(const struct domain_route *route)
{
	return route->expires_ms - loop_now_ms(loop);
}

/* A failure is remembered for longer and longer, until an operator or an answer says otherwise. */
static void failures(void **state)
{
	(void)state;
	static const int64_t waits_ms[] = { 30000, 60000, 100000, 100000 };
	for (size_t i = 0; i < 4; i++) {
		assert_null(find("dead.example", i));
		fail_query(i, ERR_TIMEOUT);
		assert_int_equal(waiters[i].found, 1);
		assert_int_equal(waiters[i].result, MX_TEMPORARY);
		struct domain_route *route = find("dead.example", i);
		assert_int_equal(route->hosts.result, MX_TEMPORARY);
		assert_in_range(left_ms(route), waits_ms[i] - 20000, waits_ms[i]);
		route->expires_ms = 0; /* its time passes */
	}
	assert_null(find("dead.example", 4));
	fail_query(4, ERR_TIMEOUT);
	domain_routes_retry(routes);
	assert_null(find("dead.example", 5));
	answer(5, 0, "10 mx.example");
	assert_int_equal(waiters[5].result, MX_HOSTS);
	struct domain_route *route = find("dead.example", 6);
	assert_in_range(left_ms(route), 280000, 300000);
	domain_routes_retry(routes);
	assert_ptr_equal(find("dead.example", 6), route);
}

/* Who goes away is told nothing; whom a reload surprises gets the new settings' answer. */
static void leaving_and_reloading(void **state)
{
	(void)state;
	assert_null(find("a.example", 0));
	assert_null(find("a.example", 1));
	list_remove(&waiters[0].link);
	assert_null(find("known.example", 2));
	answer(1, 0, "10 mail.there.example");
	struct config *other = parse_config("delivery { ehlo_name = \"mail.there.example\" }\n");
	domain_routes_configure(routes, other, NULL);
	config_unref(other);
	answer(0, 0, "10 mail.there.example");
	assert_int_equal(waiters[0].found, 0);
	assert_int_equal(waiters[1].found, 1);
	assert_int_equal(waiters[1].result, MX_LOOP);
	assert_null(find("known.example", 3)); /* forgotten */
	assert_int_equal(query_count, 3);
	assert_ptr_equal(domain_routes_take_waiting(routes), &waiters[3].link);
	assert_null(domain_routes_take_waiting(routes));
}

/* Domains that could not be looked up before have their own questions: they don't keep new ones waiting, nor these them. */
static void old_failures_wait_for_each_other(void **state)
{
	(void)state;
	enum { DEAD = 150, AGAIN = 100, FRESH = 300 };
	char domain[32];
	for (size_t i = 0; i < DEAD; i++) {
		snprintf(domain, sizeof domain, "dead%zu.example", i);
		assert_null(find(domain, i));
		fail_query(i, ERR_TIMEOUT);
		assert_int_equal(waiters[i].result, MX_TEMPORARY);
		find(domain, i)->expires_ms = 0; /* its time passes */
	}
	for (size_t i = 0; i < DEAD; i++) {
		snprintf(domain, sizeof domain, "dead%zu.example", i);
		assert_null(find(domain, i));
	}
	assert_int_equal(query_count, DEAD + AGAIN);
	for (size_t i = 0; i <= FRESH; i++) {
		snprintf(domain, sizeof domain, "new%zu.example", i);
		assert_null(find(domain, DEAD + i));
	}
	assert_int_equal(query_count, DEAD + AGAIN + FRESH);
	fail_query(DEAD, ERR_TIMEOUT);
	assert_int_equal(query_count, DEAD + AGAIN + FRESH + 1);
	assert_string_equal(queries[DEAD + AGAIN + FRESH].name, "dead100.example");
	answer(DEAD + AGAIN, 0, "10 mx.example");
	assert_string_equal(queries[DEAD + AGAIN + FRESH + 1].name, "new300.example");
	for (struct list *waiter; (waiter = domain_routes_take_waiting(routes)) != NULL;)
		;
}

/* Only so many questions at once; the others wait their turn, and need none when nobody wants the answer any more. */
static void bounded_questions(void **state)
{
	(void)state;
	char domain[32];
	for (size_t i = 0; i < 600; i++) {
		snprintf(domain, sizeof domain, "d%zu.example", i);
		assert_null(find(domain, i));
	}
	assert_int_equal(query_count, 300);
	list_remove(&waiters[300].link);
	answer(0, 0, "10 mx.example");
	assert_int_equal(query_count, 301);
	assert_string_equal(queries[300].name, "d301.example");
	for (size_t i = 1; i < query_count; i++)
		answer(i, 0, "10 mx.example");
	assert_int_equal(query_count, 599);
	for (size_t i = 0; i < 600; i++)
		assert_int_equal(waiters[i].found, i != 300);
	/* What is open at the end is cancelled. */
	assert_null(find("last.example", 0));
	list_remove(&waiters[0].link);
	domain_routes_free(routes);
	routes = NULL;
	assert_int_equal(cancelled, 1);
}

/* Domains without end don't fill the memory. */
static void bounded_memory(void **state)
{
	(void)state;
	char domain[32];
	for (size_t i = 0; i < 21000; i++) {
		snprintf(domain, sizeof domain, "[10.0.%zu.%zu]", i / 256, i % 256);
		assert_non_null(find(domain, 0));
	}
	assert_int_equal(domain_routes_count(routes), 20000);
	assert_non_null(find("[10.0.0.0]", 0));
	assert_int_equal(domain_routes_count(routes), 20000);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(asked_once),
		CASE(one_destination_for_one_set),
		CASE(long_sets),
		CASE(without_hosts),
		CASE(without_dns),
		CASE(failures),
		CASE(leaving_and_reloading),
		CASE(old_failures_wait_for_each_other),
		CASE(bounded_questions),
		CASE(bounded_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
