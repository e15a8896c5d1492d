#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/hash.h"
#include "mailauth/dane.h"

#define N(text)                                                                                                        \
	{                                                                                                              \
		(const uint8_t *)(text), sizeof(text) - 1                                                              \
	}

static const struct {
	const char *name;
	struct dane_host host;
	const char *want; /* each with a space behind */
} hosts[] = {
	{ "plain", { .name = N("mx.a"), .mx_is_secure = true, .address_is_secure = true }, "mx.a " },
	{ "insecure MX", { .name = N("mx.a"), .address_is_secure = true }, "" },
	{ "insecure address", { .name = N("mx.a"), .mx_is_secure = true }, "" },
	{ "insecure address, a meaningless flag",
		{ .name = N("mx.a"), .mx_is_secure = true, .first_cname_is_secure = true }, "" },
	{ "the same name behind CNAMEs",
		{ .name = N("mx.a"), .expanded = N("MX.A"), .mx_is_secure = true, .address_is_secure = true },
		"mx.a " },
	{ "CNAME, secure to its end",
		{ .name = N("mx.a"), .expanded = N("h.b"), .mx_is_secure = true, .address_is_secure = true },
		"h.b mx.a " },
	{ "CNAME into an unsigned zone",
		{ .name = N("mx.a"), .expanded = N("h.b"), .mx_is_secure = true, .first_cname_is_secure = true },
		"mx.a " },
	{ "insecure CNAME", { .name = N("mx.a"), .expanded = N("h.b"), .mx_is_secure = true }, "" },
	{ "secure CNAME, insecure MX",
		{ .name = N("mx.a"), .expanded = N("h.b"), .address_is_secure = true, .first_cname_is_secure = true },
		"" },
	{ "null MX", { .mx_is_secure = true, .address_is_secure = true }, "" },
};

static void names_base_domains(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
		struct view domains[2];
		char text[64] = "";
		size_t len = 0, count = dane_base_domains(&hosts[i].host, domains);
		for (size_t k = 0; k < count; k++)
			len += (size_t)snprintf(text + len, sizeof text - len, "%.*s ", VIEW_ARG(domains[k]));
		if (strcmp(text, hosts[i].want) != 0)
			fail_msg("%s: %s", hosts[i].name, text);
	}
}

static const struct {
	const char *name, *base, *next_hop, *expanded, *want;
} references[] = {
	{ "by MX", "mx.b", "a", "", "mx.b a " },
	{ "by MX behind a CNAME", "mx.b", "a", "c", "mx.b a c " },
	{ "an insecure MX, or none", "mx.b", "", "", "mx.b " },
	{ "its own MX", "a", "A", "a", "a " },
	{ "the CNAME's target is the MX", "c", "a", "c", "c a " },
};

static void names_references(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof references / sizeof *references; i++) {
		struct dane_names names = dane_names(view_from_cstr(references[i].base),
			view_from_cstr(references[i].next_hop), view_from_cstr(references[i].expanded));
		char text[64] = "";
		size_t len = 0;
		for (size_t k = 0; k < names.count; k++)
			len += (size_t)snprintf(text + len, sizeof text - len, "%.*s ", VIEW_ARG(names.names[k]));
		if (strcmp(text, references[i].want) != 0)
			fail_msg("%s: %s", references[i].name, text);
	}
}

#define SHORT_DER N("\x30\x03\x02\x01\x05")
static const uint8_t long_der[3 + 0x80] = { 0x30, 0x81, 0x80 };
static const uint8_t longer_der[4 + 0x100] = { 0x30, 0x82, 0x01, 0x00 };
static const uint8_t long_form_of_short[3 + 0x7f] = { 0x30, 0x81, 0x7f };
static const uint8_t zero_in_length[4 + 0x80] = { 0x30, 0x82, 0x00, 0x80 };
static const uint8_t zeros[65];
static const struct {
	const char *name;
	uint8_t usage, selector, matching;
	struct view data;
	bool is_usable;
} usable[] = {
	{ "PKIX-TA", 0, 0, 1, { zeros, 32 }, false },
	{ "PKIX-EE", 1, 1, 1, { zeros, 32 }, false },
	{ "DANE-TA", 2, 0, 1, { zeros, 32 }, true },
	{ "DANE-EE", 3, 1, 1, { zeros, 32 }, true },
	{ "SHA-512", 3, 0, 2, { zeros, 64 }, true },
	{ "usage 4", 4, 0, 1, { zeros, 32 }, false },
	{ "PrivCert", 255, 0, 1, { zeros, 32 }, false },
	{ "selector 2", 3, 2, 1, { zeros, 32 }, false },
	{ "matching 3", 3, 1, 3, { zeros, 32 }, false },
	{ "SHA-256, a byte short", 3, 1, 1, { zeros, 31 }, false },
	{ "SHA-256, a byte long", 3, 1, 1, { zeros, 33 }, false },
	{ "SHA-512 with SHA-256's length", 3, 1, 2, { zeros, 32 }, false },
	{ "SHA-512, a byte long", 3, 1, 2, { zeros, 65 }, false },
	{ "whole key", 3, 1, 0, SHORT_DER, true },
	{ "whole certificate", 2, 0, 0, { long_der, sizeof long_der }, true },
	{ "whole, two bytes of length", 2, 0, 0, { longer_der, sizeof longer_der }, true },
	{ "whole, cut", 2, 0, 0, { longer_der, sizeof longer_der - 1 }, false },
	{ "whole, length in a longer form", 2, 0, 0, { long_form_of_short, sizeof long_form_of_short }, false },
	{ "whole, a zero before the length", 2, 0, 0, { zero_in_length, sizeof zero_in_length }, false },
	{ "whole, indefinite length", 3, 0, 0, N("\x30\x80\x00\x00"), false },
	{ "whole, length of four bytes", 3, 0, 0, N("\x30\x84\x01\x00\x00\x00"), false },
	{ "whole, nothing inside", 3, 0, 0, N("\x30\x00"), false },
	{ "whole, another tag", 3, 0, 0, N("\x31\x03\x02\x01\x05"), false },
	{ "whole, nothing", 3, 0, 0, N(""), false },
};

static struct dns_record record_of(uint8_t usage, uint8_t selector, uint8_t matching, struct view data)
{
	return (struct dns_record){ .type = DNS_TYPE_TLSA,
		.tlsa_usage = usage,
		.tlsa_selector = selector,
		.tlsa_matching = matching,
		.data = data };
}

static void knows_usable_records(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof usable / sizeof *usable; i++) {
		struct dns_record record = record_of(
			usable[i].usage, usable[i].selector, usable[i].matching, usable[i].data);
		if (dane_is_usable(&record) != usable[i].is_usable)
			fail_msg("%s", usable[i].name);
	}
}

/* Records by letter: "u" usable, "x" not. */
static const struct {
	const char *name;
	enum dane_status status;
	unsigned rcode;
	const char *records;
	enum dane_demand want;
} demands[] = {
	{ "usable", DANE_STATUS_SECURE, 0, "u", DANE_VERIFY },
	{ "one of several usable", DANE_STATUS_SECURE, 0, "xxu", DANE_VERIFY },
	{ "none usable", DANE_STATUS_SECURE, 0, "xx", DANE_ENCRYPT },
	{ "proven absent", DANE_STATUS_SECURE, 0, "", DANE_NOTHING },
	{ "proven absent, the name, too", DANE_STATUS_SECURE, 3, "", DANE_NOTHING },
	{ "unsigned", DANE_STATUS_INSECURE, 0, "u", DANE_NOTHING },
	{ "unsigned and unusable", DANE_STATUS_INSECURE, 0, "x", DANE_NOTHING },
	{ "bogus", DANE_STATUS_FAILED, 2, "", DANE_DEFER },
	{ "bogus with records", DANE_STATUS_FAILED, 0, "u", DANE_DEFER },
	{ "refused", DANE_STATUS_SECURE, 5, "", DANE_DEFER },
};

static void demands_what_answers_say(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof demands / sizeof *demands; i++) {
		struct dns_record records[4];
		struct dns_answer answer = { .rcode = demands[i].rcode, .records = records };
		for (const char *r = demands[i].records; *r != '\0'; r++)
			records[answer.record_count++] = record_of(*r == 'u' ? 3 : 1, 1, 1, view_of(zeros, 32));
		if (dane_demand(demands[i].status, &answer) != demands[i].want)
			fail_msg("%s", demands[i].name);
	}
	assert_int_equal(dane_demand(DANE_STATUS_FAILED, NULL), DANE_DEFER);
	assert_int_equal(dane_demand(DANE_STATUS_INSECURE, NULL), DANE_NOTHING);
}

/* Three certificates: what is inside does not matter here. */
static const struct dane_certificate chain[] = {
	{ N("\x30\x04"
	    "leaf"),
		N("\x30\x04"
		  "lkey") },
	{ N("\x30\x04"
	    "midd"),
		N("\x30\x04"
		  "mkey") },
	{ N("\x30\x04"
	    "root"),
		N("\x30\x04"
		  "rkey") },
};

/* Records as text: usage, selector, matching and the certificate's number, each a digit; "9": of none. */
static const struct {
	const char *name, *records;
	size_t chain_count;
	enum dane_match_kind kind;
	size_t record, depth;
} matches[] = {
	{ "the certificate", "3000", 3, DANE_MATCH_EE, 0, 0 },
	{ "the certificate's SHA-256", "3010", 3, DANE_MATCH_EE, 0, 0 },
	{ "the certificate's SHA-512", "3020", 3, DANE_MATCH_EE, 0, 0 },
	{ "the key", "3100", 3, DANE_MATCH_EE, 0, 0 },
	{ "the key's SHA-256", "3110", 3, DANE_MATCH_EE, 0, 0 },
	{ "the key's SHA-512", "3120", 1, DANE_MATCH_EE, 0, 0 },
	{ "usage 3 looks at the server's only", "3111", 3, DANE_MATCH_NONE, 0, 0 },
	{ "usage 2 not at the server's", "2110", 3, DANE_MATCH_NONE, 0, 0 },
	{ "an anchor", "2011", 3, DANE_MATCH_ANCHOR_HINT, 0, 1 },
	{ "the lowest anchor", "2012 2111", 3, DANE_MATCH_ANCHOR_HINT, 1, 1 },
	{ "the anchor's whole key", "2102", 3, DANE_MATCH_ANCHOR_HINT, 0, 2 },
	{ "usage 3 goes first", "2111 3110", 3, DANE_MATCH_EE, 1, 0 },
	{ "an anchor where usage 3 does not match", "3119 2111", 3, DANE_MATCH_ANCHOR_HINT, 1, 1 },
	{ "an anchor that is not sent", "2112", 2, DANE_MATCH_NONE, 0, 0 },
	{ "one of several", "3119 3019 3110", 3, DANE_MATCH_EE, 2, 0 },
	{ "unusable usages", "0010 1110", 3, DANE_MATCH_NONE, 0, 0 },
	{ "SHA-256 does not count beside SHA-512", "3110 3129", 3, DANE_MATCH_NONE, 0, 0 },
	{ "but of its own selector only", "3110 3029", 3, DANE_MATCH_EE, 0, 0 },
	{ "and usage", "3110 2129", 3, DANE_MATCH_EE, 0, 0 },
	{ "whole records count beside hashes", "3100 3129", 3, DANE_MATCH_EE, 0, 0 },
	{ "both hashes match", "3110 3120", 3, DANE_MATCH_EE, 1, 0 },
	{ "selectors are not mixed up", "3009 3109", 3, DANE_MATCH_NONE, 0, 0 },
	{ "no certificate", "3110", 0, DANE_MATCH_NONE, 0, 0 },
	{ "no record", "", 3, DANE_MATCH_NONE, 0, 0 },
};

static size_t make_records(const char *text, struct dns_record *records, uint8_t rooms[][64])
{
	size_t count = 0;
	for (struct view rest = view_from_cstr(text), word; view_split(&rest, ' ', &word); count++) {
		uint8_t selector = (uint8_t)(word.ptr[1] - '0'), matching = (uint8_t)(word.ptr[2] - '0');
		static const struct dane_certificate other = { N("\x30\x04"
								 "othe"),
			N("\x30\x04"
			  "okey") };
		const struct dane_certificate *of = word.ptr[3] == '9' ? &other : &chain[word.ptr[3] - '0'];
		struct view data = selector == 0 ? of->der : of->spki;
		if (matching == 1)
			hash_once(data, rooms[count]);
		else if (matching == 2)
			hash_sha512_once(data, rooms[count]);
		if (matching > 0)
			data = view_of(rooms[count], matching == 1 ? 32 : 64);
		records[count] = record_of((uint8_t)(word.ptr[0] - '0'), selector, matching, data);
	}
	return count;
}

static void matches_chains(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof matches / sizeof *matches; i++) {
		struct dns_record records[4];
		uint8_t rooms[4][64];
		struct dns_answer answer = { .records = records };
		answer.record_count = make_records(matches[i].records, records, rooms);
		struct dane_match got = dane_match(&answer, chain, matches[i].chain_count);
		if (got.kind != matches[i].kind || got.record != matches[i].record || got.depth != matches[i].depth)
			fail_msg(
				"%s: %d, record %zu, depth %zu", matches[i].name, (int)got.kind, got.record, got.depth);
	}
}

/* A hash of nothing must not match a certificate whose key is unknown, and what is too high is not looked at. */
static void is_bounded(void **state)
{
	(void)state;
	struct dns_record record;
	uint8_t room[1][64];
	struct dns_answer answer = { .records = &record, .record_count = 1 };
	struct dane_certificate unknown = { .der = chain[0].der };
	hash_once(VIEW_NONE, room[0]);
	record = record_of(3, 1, 1, view_of(room[0], 32));
	assert_int_equal(dane_match(&answer, &unknown, 1).kind, DANE_MATCH_NONE);

	struct dane_certificate tall[DANE_CHAIN_MAX + 1];
	for (size_t i = 0; i <= DANE_CHAIN_MAX; i++)
		tall[i] = chain[0];
	make_records("2012", &record, room);
	tall[DANE_CHAIN_MAX] = chain[2];
	assert_int_equal(dane_match(&answer, tall, DANE_CHAIN_MAX + 1).kind, DANE_MATCH_NONE);
	tall[DANE_CHAIN_MAX - 1] = chain[2];
	assert_int_equal(dane_match(&answer, tall, DANE_CHAIN_MAX + 1).kind, DANE_MATCH_ANCHOR_HINT);
}

static const struct {
	const char *records;
	bool needs_chain;
} anchors[] = { { "2012", false }, { "2002", true }, { "3110 2102", true }, { "3000", false }, { "0002", false },
	{ "", false } };

static void says_when_the_chain_is_needed(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof anchors / sizeof *anchors; i++) {
		struct dns_record records[4];
		uint8_t rooms[4][64];
		struct dns_answer answer = { .records = records };
		answer.record_count = make_records(anchors[i].records, records, rooms);
		if (dane_needs_chain(&answer) != anchors[i].needs_chain)
			fail_msg("%s", anchors[i].records);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_base_domains),
		cmocka_unit_test(names_references),
		cmocka_unit_test(knows_usable_records),
		cmocka_unit_test(demands_what_answers_say),
		cmocka_unit_test(matches_chains),
		cmocka_unit_test(is_bounded),
		cmocka_unit_test(says_when_the_chain_is_needed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
