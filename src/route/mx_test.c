#include "route/mx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define RECORDS_MAX 64

struct mx_case {
	const char *name;
	bool no_answer;
	unsigned rcode;
	const char *cname; /* NULL: none */
	const char *records; /* "10 a 20 b": preference and host, "." for the root */
	enum mx_result result;
	bool is_implicit;
	const char *hosts; /* in order; "a|b" when both orders are right */
};

static const struct mx_case cases[] = {
	{ "one", false, 0, NULL, "10 a", MX_HOSTS, false, "a" },
	{ "by preference", false, 0, NULL, "30 c 10 a 20 b", MX_HOSTS, false, "a b c" },
	{ "preferences at their ends", false, 0, NULL, "65535 z 0 a", MX_HOSTS, false, "a z" },
	{ "host twice", false, 0, NULL, "30 a 20 b 10 A", MX_HOSTS, false, "A b" },
	{ "equal ones", false, 0, NULL, "10 a 10 b", MX_HOSTS, false, "a|b" },
	{ "none: the domain itself", false, 0, NULL, "", MX_HOSTS, true, "example.org" },
	{ "none, behind a CNAME", false, 0, "target.example", "", MX_HOSTS, true, "target.example" },
	{ "records behind a CNAME", false, 0, "target.example", "10 a", MX_HOSTS, false, "a" },
	{ "null MX", false, 0, NULL, "0 .", MX_NULL, false, "" },
	{ "null MX of another preference", false, 0, NULL, "10 .", MX_NULL, false, "" },
	{ "null MX twice", false, 0, NULL, "0 . 10 .", MX_NULL, false, "" },
	{ "null MX beside a host", false, 0, NULL, "0 . 10 a", MX_HOSTS, false, "a" },
	{ "null MX beside ourselves", false, 0, NULL, "0 . 10 mx.own", MX_LOOP, false, "" },
	{ "no such domain", false, 3, NULL, "", MX_NO_DOMAIN, false, "" },
	{ "no such domain behind a CNAME", false, 3, "target.example", "", MX_NO_DOMAIN, false, "" },
	{ "SERVFAIL", false, 2, NULL, "", MX_TEMPORARY, false, "" },
	{ "REFUSED", false, 5, NULL, "10 a", MX_TEMPORARY, false, "" },
	{ "no answer", true, 0, NULL, "", MX_TEMPORARY, false, "" },
	{ "we are a backup", false, 0, NULL, "10 a 20 mx.own 30 b", MX_HOSTS, false, "a" },
	{ "we and an equal one", false, 0, NULL, "10 a 20 b 20 mx.own 20 c", MX_HOSTS, false, "a" },
	{ "we by the other name", false, 0, NULL, "10 a 20 OUT.own 30 mx.own", MX_HOSTS, false, "a" },
	{ "we twice", false, 0, NULL, "20 mx.own 5 a 10 mx.own 15 b", MX_HOSTS, false, "a" },
	{ "we are the best", false, 0, NULL, "10 mx.own 20 a", MX_LOOP, false, "" },
	{ "we are the only one", false, 0, NULL, "0 MX.OWN", MX_LOOP, false, "" },
	{ "we and equal ones only", false, 0, NULL, "10 a 10 mx.own 10 b", MX_LOOP, false, "" },
	{ "a name that ends as ours", false, 0, NULL, "10 xmx.own 20 mx.own.example", MX_HOSTS, false,
		"xmx.own mx.own.example" },
};

static const struct view own[] = { { (const uint8_t *)"mx.own", 6 }, { (const uint8_t *)"out.own", 7 } };

static size_t parse_records(const char *text, struct dns_record *records)
{
	size_t count = 0;
	struct view rest = view_from_cstr(text), preference, name;
	while (view_split(&rest, ' ', &preference) && view_split(&rest, ' ', &name)) {
		uint64_t n;
		assert_int_equal(view_parse_u64(preference, 65535, &n), ERR_OK);
		records[count++] = (struct dns_record){ .type = DNS_TYPE_MX,
			.preference = (uint16_t)n,
			.name = view_eq(name, VIEW(".")) ? VIEW_NONE : name };
	}
	return count;
}

/* The names with spaces between them. */
static void describe(const struct mx_hosts *hosts, char *text, size_t size)
{
	size_t at = 0;
	text[0] = '\0';
	for (size_t i = 0; i < hosts->count; i++)
		at += (size_t)snprintf(text + at, size - at, "%s%.*s", i > 0 ? " " : "", VIEW_ARG(hosts->names[i]));
}

static bool is_wanted(const char *got, const char *wanted)
{
	const char *bar = strchr(wanted, '|');
	if (bar == NULL)
		return strcmp(got, wanted) == 0;
	char one[100], other[100];
	snprintf(one, sizeof one, "%.*s %s", (int)(bar - wanted), wanted, bar + 1);
	snprintf(other, sizeof other, "%s %.*s", bar + 1, (int)(bar - wanted), wanted);
	return strcmp(got, one) == 0 || strcmp(got, other) == 0;
}

static void test_order(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		for (uint64_t random = 0; random < 20; random++) {
			const struct mx_case *c = &cases[i];
			struct dns_record records[RECORDS_MAX];
			struct dns_answer answer = { .rcode = c->rcode,
				.had_cname = c->cname != NULL,
				.final_name = view_from_cstr(c->cname != NULL ? c->cname : "example.org"),
				.record_count = parse_records(c->records, records),
				.records = records };
			struct mx_hosts hosts;
			mx_order(c->no_answer ? NULL : &answer, VIEW("example.org"), 2, own, random, &hosts);
			char got[500];
			describe(&hosts, got, sizeof got);
			if (hosts.result != c->result || hosts.is_implicit != c->is_implicit ||
				!is_wanted(got, c->hosts))
				fail_msg("%s: result %d, hosts \"%s\"", c->name, hosts.result, got);
		}
}

static void test_domain_is_ours(void **state)
{
	(void)state;
	struct dns_answer answer = { .rcode = DNS_RCODE_NOERROR, .final_name = VIEW("mx.own") };
	struct mx_hosts hosts;
	mx_order(&answer, VIEW("MX.own"), 2, own, 1, &hosts);
	assert_int_equal(hosts.result, MX_LOOP);
	assert_int_equal(hosts.count, 0);
	/* With no name of our own, nothing is ours: not even an empty one. */
	mx_order(&answer, VIEW("mx.own"), 0, NULL, 1, &hosts);
	assert_int_equal(hosts.result, MX_HOSTS);
}

/* Records of other types in the answer are no hosts. */
static void test_other_types(void **state)
{
	(void)state;
	struct dns_record records[2] = { { .type = DNS_TYPE_A, .name = VIEW("wrong") },
		{ .type = DNS_TYPE_MX, .preference = 1, .name = VIEW("right") } };
	struct dns_answer answer = { .record_count = 2, .records = records };
	struct mx_hosts hosts;
	mx_order(&answer, VIEW("example.org"), 2, own, 1, &hosts);
	assert_int_equal(hosts.count, 1);
	assert_true(view_eq(hosts.names[0], VIEW("right")));
}

static void test_many(void **state)
{
	(void)state;
	struct dns_record records[RECORDS_MAX];
	uint8_t names[RECORDS_MAX];
	for (size_t i = 0; i < RECORDS_MAX; i++) {
		names[i] = (uint8_t)(i < 32 ? i + 33 : i + 59);
		records[i] = (struct dns_record){
			.type = DNS_TYPE_MX, .preference = (uint16_t)(RECORDS_MAX - i), .name = view_of(&names[i], 1)
		};
	}
	struct dns_answer answer = { .record_count = RECORDS_MAX, .records = records };
	struct mx_hosts hosts;
	mx_order(&answer, VIEW("example.org"), 2, own, 7, &hosts);
	assert_int_equal(hosts.count, MX_HOSTS_MAX);
	for (size_t i = 0; i < hosts.count; i++)
		assert_int_equal(hosts.preferences[i], i + 1);
}

/* Every one of equal hosts is first about as often: the load is shared. The same random number gives the same order. */
static void test_shuffle(void **state)
{
	(void)state;
	static const char letters[] = "abcde";
	struct dns_record records[5];
	for (size_t i = 0; i < 5; i++)
		records[i] = (struct dns_record){
			.type = DNS_TYPE_MX, .preference = 10, .name = view_of(&letters[i], 1)
		};
	struct dns_answer answer = { .record_count = 5, .records = records };
	unsigned first[5] = { 0 };
	for (uint64_t random = 0; random < 5000; random++) {
		struct mx_hosts hosts, again;
		mx_order(&answer, VIEW("example.org"), 2, own, random, &hosts);
		mx_order(&answer, VIEW("example.org"), 2, own, random, &again);
		assert_int_equal(hosts.count, 5);
		for (size_t i = 0; i < 5; i++)
			assert_true(view_eq(hosts.names[i], again.names[i]));
		first[hosts.names[0].ptr[0] - 'a']++;
	}
	for (size_t i = 0; i < 5; i++)
		assert_true(first[i] > 800 && first[i] < 1200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_domain_is_ours),
		cmocka_unit_test(test_other_types),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_shuffle),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
