#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mailauth/spf_private.h"

#include <string.h>

/* Addresses, names */

static void test_addresses(void **state)
{
	(void)state;
	/* NULL: no address. What is written is %{c}, and then %{i}. */
	static const struct {
		const char *text, *written, *dotted;
	} cases[] = {
		{ "192.0.2.1", "192.0.2.1", "192.0.2.1" },
		{ "0.0.0.0", "0.0.0.0", "0.0.0.0" },
		{ "255.255.255.255", "255.255.255.255", "255.255.255.255" },
		{ "256.0.0.1", NULL, NULL },
		{ "01.2.3.4", NULL, NULL },
		{ "1.2.3", NULL, NULL },
		{ "1.2.3.4.5", NULL, NULL },
		{ "1.2.3.4.", NULL, NULL },
		{ "1..3.4", NULL, NULL },
		{ "", NULL, NULL },
		{ "::", "::", "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0" },
		{ "::1", "::1", "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1" },
		{ "2001:DB8::CB01", "2001:db8::cb01",
			"2.0.0.1.0.D.B.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.C.B.0.1" },
		{ "1::", "1::", NULL },
		{ "1:0:0:2:0:0:0:3", "1:0:0:2::3", NULL },
		{ "1:0:0:2:3:0:0:4", "1::2:3:0:0:4", NULL },
		{ "1:2:3:4:5:6:0:8", "1:2:3:4:5:6:0:8", NULL },
		{ "1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0", NULL },
		{ "::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8", NULL },
		{ "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304", NULL },
		{ "::1.2.3.4", "::102:304", NULL },
		{ "64:ff9b::192.0.2.33", "64:ff9b::c000:221", NULL },
		{ "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8", NULL },
		{ "1::2:3:4:5:6:7:8", NULL, NULL },
		{ "1:2:3:4:5:6:7", NULL, NULL },
		{ "1:2:3:4:5:6:7:8:9", NULL, NULL },
		{ "1::2::3", NULL, NULL },
		{ ":::", NULL, NULL },
		{ ":1", NULL, NULL },
		{ ":", NULL, NULL },
		{ "1:2:3:4:5:6:7:", NULL, NULL },
		{ "::12345", NULL, NULL },
		{ "::g", NULL, NULL },
		{ "1.2.3.4::", NULL, NULL },
		{ "1:2:3:4:5:6:7:1.2.3.4", NULL, NULL },
		{ "::1%eth0", NULL, NULL },
	};
	struct buf out = { 0 };
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct view text = view_from_cstr(cases[i].text);
		uint8_t bytes[16];
		bool is_v6 = view_find(text, ':') < text.len;
		bool good = is_v6 ? spf_address_parse6(text, bytes) : spf_address_parse4(text, bytes);
		if (good != (cases[i].written != NULL))
			fail_msg("\"%s\"", cases[i].text);
		if (!good)
			continue;
		buf_reset(&out);
		assert_int_equal(spf_address_format(view_of(bytes, is_v6 ? 16 : 4), &out), ERR_OK);
		assert_string_equal(buf_cstr(&out), cases[i].written);
		buf_reset(&out);
		assert_int_equal(spf_address_format_dotted(view_of(bytes, is_v6 ? 16 : 4), &out), ERR_OK);
		if (cases[i].dotted != NULL)
			assert_string_equal(buf_cstr(&out), cases[i].dotted);
	}
	buf_clear(&out);
}

static void test_prefixes(void **state)
{
	(void)state;
	static const struct {
		uint8_t a[4], b[4];
		unsigned same; /* bits */
	} cases[] = {
		{ { 192, 0, 2, 1 }, { 192, 0, 2, 1 }, 32 },
		{ { 192, 0, 2, 1 }, { 192, 0, 2, 0 }, 31 },
		{ { 192, 0, 2, 1 }, { 192, 0, 3, 1 }, 23 },
		{ { 192, 0, 2, 1 }, { 64, 0, 2, 1 }, 0 },
		{ { 192, 0, 2, 1 }, { 192, 128, 2, 1 }, 8 },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (unsigned bits = 0; bits <= 32; bits++)
			assert_int_equal(spf_address_same_prefix(cases[i].a, cases[i].b, bits), bits <= cases[i].same);
}

#define LABEL63 "abcdefghijklmnopqrstuvwxyz-abcdefghijklmnopqrstuvwxyz-123456789"

static void test_names(void **state)
{
	(void)state;
	static const struct {
		const char *domain, *name;
	} cases[] = {
		{ "Example.ORG", "example.org" },
		{ "example.org.", "example.org" },
		{ "a b%c_d.org", "a\\032b\\037c_d.org" },
		{ LABEL63 ".org", LABEL63 ".org" },
		{ LABEL63 "x.org", NULL },
		{ LABEL63 "." LABEL63 "." LABEL63 "." LABEL63, NULL }, /* 255 */
		{ "", NULL },
		{ ".", NULL },
		{ "a..b", NULL },
		{ ".a", NULL },
		{ "a..", NULL },
	};
	struct buf out = { 0 };
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(spf_name_format(view_from_cstr(cases[i].domain), &out),
			cases[i].name != NULL ? ERR_OK : ERR_SYNTAX);
		if (cases[i].name != NULL)
			assert_string_equal(buf_cstr(&out), cases[i].name);
	}
	buf_clear(&out);
}

/* Macros */

static void test_macros(void **state)
{
	(void)state;
	/* NULL: no domain-spec. The sender is strong-bad@email.example.com (RFC 7208 §7.4). */
	static const struct {
		const char *text, *expanded;
	} cases[] = {
		{ "%{s}", "strong-bad@email.example.com" },
		{ "%{o}", "email.example.com" },
		{ "%{d}", "email.example.com" },
		{ "%{d4}", "email.example.com" },
		{ "%{d3}", "email.example.com" },
		{ "%{d2}", "example.com" },
		{ "%{d1}", "com" },
		{ "%{dr}", "com.example.email" },
		{ "%{d2r}", "example.email" },
		{ "%{l}", "strong-bad" },
		{ "%{l-}", "strong.bad" },
		{ "%{lr}", "strong-bad" },
		{ "%{lr-}", "bad.strong" },
		{ "%{l1r-}", "strong" },
		{ "%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com" },
		{ "%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com" },
		{ "%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com" },
		{ "%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com" },
		{ "%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net" },
		{ "%{S}", "strong-bad%40email.example.com" },
		{ "%{D2R}", "example.email" },
		{ "%{h}.%{p}", "mail.example.net.host.example.com" },
		{ "%{h2.-}", "example.net" },
		{ "%{o0}", NULL },
		{ "%{o00}", NULL },
		{ "%{o99999999999999999999999}", "email.example.com" },
		{ "a%%b%_c%-", "a%b c%20" },
		{ "%%", "%" },
		{ "example.org", "example.org" },
		{ "example.org.", "example.org" },
		{ ".org", ".org" },
		{ "a:b/c.org", "a:b/c.org" },
		{ "%{i}.a-b.xn--p1ai", "192.0.2.3.a-b.xn--p1ai" },
		{ "", NULL },
		{ "org", NULL },
		{ "org.", NULL },
		{ "e.org..", NULL },
		{ "e.123", NULL },
		{ "e.-org", NULL },
		{ "e.org-", NULL },
		{ "%{d}org", NULL },
		{ "%{d}.", NULL },
		{ "%", NULL },
		{ "a%b.org", NULL },
		{ "%{}.org", NULL },
		{ "%{d.org", NULL },
		{ "%{d", NULL },
		{ "%{dd}.org", NULL },
		{ "%{dr2}.org", NULL },
		{ "%{d!}.org", NULL },
		{ "%{x}.org", NULL },
		{ "%{c}.org", NULL },
		{ "%{R}.org", NULL },
		{ "%{t}.org", NULL },
		{ "e .org", NULL },
		{ "e\t.org", NULL },
		{ "e\xc3\xa9.org", NULL },
	};
	struct spf_values values = { .ip = VIEW("\xc0\0\2\3"),
		.local = VIEW("strong-bad"),
		.sender_domain = VIEW("email.example.com"),
		.domain = VIEW("email.example.com"),
		.validated = VIEW("host.example.com"),
		.helo = VIEW("mail.example.net"),
		.receiver = VIEW("mx.example.org") };
	struct buf out = { 0 };
	buf_init(&out, SPF_TARGET_MAX_BYTES);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct view text = view_from_cstr(cases[i].text);
		if (spf_macro_is_domain_spec(text) != (cases[i].expanded != NULL))
			fail_msg("\"%s\"", cases[i].text);
		if (cases[i].expanded == NULL)
			continue;
		assert_int_equal(spf_macro_expand_domain(text, &values, &out), ERR_OK);
		assert_string_equal(buf_cstr(&out), cases[i].expanded);
	}
	values.ip = VIEW("\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\xcb\1");
	assert_int_equal(spf_macro_expand_domain(VIEW("%{ir}.%{v}._spf.%{d2}"), &values, &out), ERR_OK);
	assert_string_equal(
		buf_cstr(&out), "1.0.B.C.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.B.D.0.1.0.0.2.ip6._spf.example.com");
	buf_clear(&out);
}

/* However long it gets on the way, what is left is what cutting the whole would leave. */
static void test_macros_cut(void **state)
{
	(void)state;
	static const char *const units[] = { "%{d}.", "x.", "%{s}", "%{h}%{d}.", "abcdefghij.", "%{L}-", "%{d2r}.o." };
	struct spf_values values = { .ip = VIEW("\xc0\0\2\3"),
		.local = VIEW("strong bad"),
		.sender_domain = VIEW("email.example.com"),
		.domain = VIEW("email.example.com"),
		.helo = VIEW(LABEL63 "." LABEL63 "." LABEL63) };
	struct buf text = { 0 }, whole = { 0 }, out = { 0 };
	buf_init(&out, SPF_TARGET_MAX_BYTES);
	for (size_t i = 0; i < 500; i++) {
		buf_reset(&text);
		for (size_t n = 0; n < i; n++)
			assert_int_equal(buf_append_cstr(&text, units[(n * (1 + i % 5) + i) % 7]), ERR_OK);
		assert_int_equal(buf_append_cstr(&text, i % 2 == 0 ? ".org." : "%{d}"), ERR_OK);
		assert_int_equal(spf_macro_expand_explanation(buf_view(&text), &values, &whole), ERR_OK);
		struct view left = buf_view(&whole);
		if (left.ptr[left.len - 1] == '.')
			left.len--;
		while (left.len > 253)
			left = view_from(left, view_find(left, '.') + 1);
		assert_int_equal(spf_macro_expand_domain(buf_view(&text), &values, &out), ERR_OK);
		assert_true(view_eq(buf_view(&out), left));
	}
	/* One literal that is longer than all that is kept. */
	buf_reset(&text);
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(buf_append_cstr(&text, "abcde."), ERR_OK);
	assert_int_equal(buf_append_cstr(&text, "org"), ERR_OK);
	assert_int_equal(spf_macro_expand_domain(buf_view(&text), &values, &out), ERR_OK);
	assert_int_equal(out.len, 42 * 6 - 6 + 3);
	buf_clear(&text);
	buf_clear(&whole);
	buf_clear(&out);
}

/* Records */

static void test_records(void **state)
{
	(void)state;
	/* The term at fault; NULL: there is none. */
	static const struct {
		const char *text, *fault;
	} cases[] = {
		{ "v=spf1", NULL },
		{ "v=spf1 ", NULL },
		{ "V=SPF1  ALL  ", NULL },
		{ "v=spf1 +a -mx ~ptr ?exists:%{d} include:a.org ip4:1.2.3.4 ip6::: all", NULL },
		{ "v=spf1 a/24//64 mx:e.org/0//0 a:e.org//128 mx/32", NULL },
		{ "v=spf1 moo=%{r}%{c} include=x a= Redirect=e.org EXP=e.org", NULL },
		{ "v=spf1 a:e.org/33", "a:e.org/33" },
		{ "v=spf1 a//129", "a//129" },
		{ "v=spf1 a/", "a/" },
		{ "v=spf1 a//", "a//" },
		{ "v=spf1 a/024", "a/024" },
		{ "v=spf1 a/24/64", "a/24/64" },
		{ "v=spf1 a//64/24", "a//64/24" },
		{ "v=spf1 a/4294967328", "a/4294967328" },
		{ "v=spf1 a/18446744073709551617", "a/18446744073709551617" },
		{ "v=spf1 ip4:1.2.3.4/", "ip4:1.2.3.4/" },
		{ "v=spf1 ip4:1.2.3.4//24", "ip4:1.2.3.4//24" },
		{ "v=spf1 ip4:::1", "ip4:::1" },
		{ "v=spf1 ip4=1.2.3.4", NULL },
		{ "v=spf1 ip6:1.2.3.4", "ip6:1.2.3.4" },
		{ "v=spf1 ip6", "ip6" },
		{ "v=spf1 ip4/24", "ip4/24" },
		{ "v=spf1 a:192.0.2.1", "a:192.0.2.1" },
		{ "v=spf1 --all", "--all" },
		{ "v=spf1 -", "-" },
		{ "v=spf1 all:e.org", "all:e.org" },
		{ "v=spf1 ptr/24", "ptr/24" },
		{ "v=spf1 ptr:", "ptr:" },
		{ "v=spf1 include", "include" },
		{ "v=spf1 exists:e.org/24", "exists:e.org/24" },
		{ "v=spf1 redirect=e.org redirect=f.org", "redirect=f.org" },
		{ "v=spf1 exp=e.org all exp=e.org", "exp=e.org" },
		{ "v=spf1 redirect=", "redirect=" },
		{ "v=spf1 redirect=%{r}.e.org", "redirect=%{r}.e.org" },
		{ "v=spf1 -redirect=e.org", "-redirect=e.org" },
		{ "v=spf1 moo=%", "moo=%" },
		{ "v=spf1 m\xc3\xb6=x", "m\xc3\xb6=x" },
		{ "v=spf1 all\tmx", "all\tmx" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct spf_record record;
		struct spf_fault fault;
		bool good = spf_record_parse(view_from_cstr(cases[i].text), &record, &fault);
		if (good != (cases[i].fault == NULL) || (!good && !view_eq(fault.term, view_from_cstr(cases[i].fault))))
			fail_msg("\"%s\": %s", cases[i].text, good ? "good" : fault.problem);
	}
	static const char *const others[] = { "", "v=spf1x", "v=spf10 all", "v=spf2.0/pra", " v=spf1", "v=spf1\tall" };
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		assert_false(spf_record_is_spf(view_from_cstr(others[i])));
}

static void test_terms(void **state)
{
	(void)state;
	struct spf_record record;
	struct spf_fault fault;
	struct spf_term term;
	assert_true(spf_record_parse(
		VIEW("v=spf1 ~a:%{d}/24//64 x=y  Include:b.org redirect=r.org ip4:1.2.3.4/8 -ip6:::1 exp=%{o}"),
		&record, &fault));
	assert_true(view_eq(record.redirect, VIEW("r.org")));
	assert_true(view_eq(record.redirect_text, VIEW("redirect=r.org")));
	assert_true(view_eq(record.explain, VIEW("%{o}")));
	struct view rest = record.terms;
	assert_true(spf_record_next(&rest, &term));
	assert_int_equal(term.mechanism, SPF_A);
	assert_int_equal(term.qualifier, SPF_SOFTFAIL);
	assert_true(view_eq(term.domain_spec, VIEW("%{d}")));
	assert_int_equal(term.prefix4_bits, 24);
	assert_int_equal(term.prefix6_bits, 64);
	assert_true(spf_record_next(&rest, &term));
	assert_int_equal(term.mechanism, SPF_INCLUDE);
	assert_int_equal(term.qualifier, SPF_PASS);
	assert_true(view_eq(term.text, VIEW("Include:b.org")));
	assert_true(spf_record_next(&rest, &term));
	assert_int_equal(term.mechanism, SPF_IP4);
	assert_int_equal(term.prefix4_bits, 8);
	assert_memory_equal(term.address, "\1\2\3\4", 4);
	assert_true(spf_record_next(&rest, &term));
	assert_int_equal(term.mechanism, SPF_IP6);
	assert_int_equal(term.qualifier, SPF_FAIL);
	assert_int_equal(term.prefix6_bits, 128);
	assert_false(spf_record_next(&rest, &term));
}

/* Header fields */

static const struct {
	const char *name;
	struct spf_question question;
	struct spf_verdict verdict;
	const char *received, *result;
} fields[] = {
	{ "pass",
		{ .ip = { (const uint8_t *)"\xc0\0\2\1", 4 },
			.helo = { (const uint8_t *)"mail.e.org", 10 },
			.local = { (const uint8_t *)"joe", 3 },
			.domain = { (const uint8_t *)"e.org", 5 },
			.receiver = { (const uint8_t *)"mx.org", 6 } },
		{ .result = SPF_PASS,
			.domain = { (const uint8_t *)"e.org", 5 },
			.term = { (const uint8_t *)"a/24", 4 } },
		"Received-SPF: pass (mx.org: domain of e.org permits 192.0.2.1)\r\n"
		"\treceiver=mx.org; identity=mailfrom; client-ip=192.0.2.1;\r\n"
		"\thelo=mail.e.org; envelope-from=\"joe@e.org\"; mechanism=a/24;\r\n",
		"spf=pass smtp.mailfrom=joe@e.org" },
	{ "hostile",
		{ .ip = { (const uint8_t *)"\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\1", 16 },
			.helo = { (const uint8_t *)"a\r\nX: \"\\(\xff", 10 },
			.local = { (const uint8_t *)"a\" b", 4 },
			.domain = { (const uint8_t *)"e.org\r\n", 7 } },
		{ .result = SPF_PERMERROR, .domain = { (const uint8_t *)"e)\r\n(\".org", 10 }, .problem = "a word" },
		"Received-SPF: permerror (unknown: domain of e????\".org has a faulty SPF\r\n"
		"\trecord about 192.0.2.1) receiver=unknown; identity=mailfrom;\r\n"
		"\tclient-ip=192.0.2.1; helo=\"a??X: \\\"\\\\(?\";\r\n"
		"\tenvelope-from=\"a\\\" b@e.org??\"; problem=\"a word\";\r\n",
		"spf=permerror reason=\"a word\" smtp.mailfrom=\"e)?\?(\\\".org\"" },
	{ "helo",
		{ .ip = { (const uint8_t *)"\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16 },
			.helo = { (const uint8_t *)"h.org", 5 } },
		{ .result = SPF_NEUTRAL, .identity = SPF_HELO, .domain = { (const uint8_t *)"h.org", 5 } },
		"Received-SPF: neutral (unknown: domain of h.org says neither yes nor no about\r\n"
		"\t2001:db8::1) receiver=unknown; identity=helo;\r\n"
		"\tclient-ip=\"2001:db8::1\"; helo=h.org; envelope-from=\"\";\r\n"
		"\tmechanism=default;\r\n",
		"spf=neutral smtp.helo=h.org" },
	{ "none",
		{ .ip = { (const uint8_t *)"\xc0\0\2\1", 4 },
			.local = { (const uint8_t *)"a.b.", 4 },
			.domain = { (const uint8_t *)"e.org", 5 } },
		{ .result = SPF_NONE, .domain = { (const uint8_t *)"e.org", 5 } },
		"Received-SPF: none (unknown: domain of e.org publishes no SPF record)\r\n"
		"\treceiver=unknown; identity=mailfrom; client-ip=192.0.2.1; helo=\"\";\r\n"
		"\tenvelope-from=\"a.b.@e.org\";\r\n",
		"spf=none smtp.mailfrom=e.org" },
};

static void test_fields(void **state)
{
	(void)state;
	struct buf out = { 0 };
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
		buf_reset(&out);
		assert_int_equal(spf_format_received(&fields[i].question, &fields[i].verdict, &out), ERR_OK);
		assert_string_equal(buf_cstr(&out), fields[i].received);
		buf_reset(&out);
		assert_int_equal(spf_format_result(&fields[i].question, &fields[i].verdict, &out), ERR_OK);
		assert_string_equal(buf_cstr(&out), fields[i].result);
	}
	/* All or nothing. */
	struct buf small = { 0 };
	buf_init(&small, 50);
	assert_int_equal(buf_append(&small, VIEW("before")), ERR_OK);
	assert_int_equal(spf_format_received(&fields[0].question, &fields[0].verdict, &small), ERR_LIMIT);
	assert_string_equal(buf_cstr(&small), "before");
	buf_clear(&small);
	buf_clear(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_macros),
		cmocka_unit_test(test_macros_cut),
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_terms),
		cmocka_unit_test(test_fields),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
