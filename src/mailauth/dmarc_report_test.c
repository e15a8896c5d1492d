#include "mailauth/dmarc_report.h"
#include "mailauth/pack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct dmarc_report sample = {
	.organization = { (const uint8_t *)"Here & Co", 9 },
	.email = { (const uint8_t *)"postmaster@here.example", 23 },
	.report_id = { (const uint8_t *)"20400.7@here.example", 20 },
	.generator = { (const uint8_t *)"Postrider", 9 },
	.begin_s = 1762560000,
	.end_s = 1762646399,
	.policy = {
		.domain = { (const uint8_t *)"there.example", 13 },
		.discovery_method = { (const uint8_t *)"treewalk", 8 },
		.p = { (const uint8_t *)"reject", 6 },
		.np = { (const uint8_t *)"none", 4 },
		.adkim = { (const uint8_t *)"s", 1 },
		.testing = { (const uint8_t *)"y", 1 },
		.fo = { (const uint8_t *)"0:1", 3 },
	},
};

static enum err write_sample(struct buf *out)
{
	const struct dmarc_report_auth dkim[] = {
		{ .domain = VIEW("there.example"), .selector = VIEW("s1"), .result = VIEW("pass") },
		{ .domain = VIEW("<x>.example"), .selector = VIEW("\x01\xff"), .result = VIEW("fail") },
	};
	const struct dmarc_report_auth spf = {
		.domain = VIEW("bounces.example"), .scope = VIEW("mfrom"), .result = VIEW("softfail")
	};
	const struct dmarc_report_reason reason = { VIEW("policy_test_mode"), VIEW("t=y") };
	const struct dmarc_report_row rows[] = {
		{ .source_ip = VIEW("192.0.2.1"),
			.messages = 12,
			.disposition = VIEW("none"),
			.dkim_aligned = true,
			.header_from = VIEW("there.example"),
			.envelope_from = VIEW("bounces.example"),
			.dkim_count = 2,
			.dkim = dkim,
			.spf_count = 1,
			.spf = &spf },
		{ .source_ip = VIEW("2001:db8::5"),
			.messages = 1,
			.disposition = VIEW("quarantine"),
			.reason_count = 1,
			.reasons = &reason,
			.header_from = VIEW("sub.there.example"),
			.spf_count = 1,
			.spf = &spf },
	};
	enum err err = dmarc_report_begin(&sample, out);
	for (size_t i = 0; i < 2 && err == ERR_OK; i++)
		err = dmarc_report_add(&rows[i], out);
	return err == ERR_OK ? dmarc_report_end(out) : err;
}

static void assert_text(struct view got, const char *wanted)
{
	if (!view_eq(got, view_from_cstr(wanted)))
		fail_msg("got \"%.*s\", want \"%s\"", VIEW_ARG(got), wanted);
}

static void test_what_is_written_is_read(void **state)
{
	(void)state;
	struct buf xml = { 0 };
	struct arena arena;
	struct dmarc_report got;
	arena_init(&arena, DMARC_REPORT_ARENA_BYTES);
	assert_int_equal(write_sample(&xml), ERR_OK);
	assert_int_equal(dmarc_report_read(buf_view(&xml), &arena, &got), ERR_OK);
	assert_text(got.organization, "Here & Co");
	assert_text(got.email, "postmaster@here.example");
	assert_text(got.report_id, "20400.7@here.example");
	assert_int_equal(got.begin_s, 1762560000);
	assert_int_equal(got.end_s, 1762646399);
	assert_text(got.policy.domain, "there.example");
	assert_text(got.policy.p, "reject");
	assert_text(got.policy.sp, "reject"); /* RFC 7489's schema demands it */
	assert_text(got.policy.adkim, "s");
	assert_text(got.policy.testing, "y");
	assert_int_equal(got.row_count, 2);
	const struct dmarc_report_row *row = &got.rows[0];
	assert_text(row->source_ip, "192.0.2.1");
	assert_int_equal(row->messages, 12);
	assert_true(row->dkim_aligned);
	assert_false(row->spf_aligned);
	assert_int_equal(row->dkim_count, 2);
	assert_text(row->dkim[0].selector, "s1");
	assert_text(row->dkim[1].domain, "<x>.example");
	assert_text(row->dkim[1].selector, "\xef\xbf\xbd");
	assert_text(row->spf[0].result, "softfail");
	assert_text(got.rows[1].source_ip, "2001:db8::5");
	assert_text(got.rows[1].disposition, "quarantine");
	assert_text(got.rows[1].envelope_from, "");
	assert_int_equal(got.rows[1].reason_count, 1);
	assert_text(got.rows[1].reasons[0].type, "policy_test_mode");
	assert_false(got.is_truncated);
	arena_clear(&arena);
	buf_clear(&xml);
}

static void test_file_name(void **state)
{
	(void)state;
	struct buf name = { 0 };
	assert_int_equal(dmarc_report_file_name(&sample, VIEW("mail.here.example"), VIEW("abc7"), &name), ERR_OK);
	assert_string_equal(buf_cstr(&name), "mail.here.example!there.example!1762560000!1762646399!abc7.xml.gz");
	buf_reset(&name);
	assert_int_equal(dmarc_report_file_name(&sample, VIEW("a/../b \"x\""), VIEW_NONE, &name), ERR_OK);
	assert_string_equal(buf_cstr(&name), "a-..-b--x-!there.example!1762560000!1762646399.xml.gz");
	buf_clear(&name);
}

#define POLICY_PART "<policy_published><domain>A.Example.</domain><p>None</p></policy_published>"
#define ROW_PART(ip)                                                                                                   \
	"<record><row><source_ip>" ip                                                                                  \
	"</source_ip><count>3</count><policy_evaluated><disposition>none</disposition><dkim>Pass</dkim>"               \
	"<spf>fail</spf></policy_evaluated></row><identifiers><header_from>A.EXAMPLE</header_from></identifiers></"    \
	"record>"

static void test_reading(void **state)
{
	(void)state;
	static const struct {
		const char *name, *xml;
		enum err err;
		size_t rows;
	} cases[] = {
		{ "plain", "<feedback>" POLICY_PART ROW_PART("192.0.2.7") "</feedback>", ERR_OK, 1 },
		{ "no rows", "<feedback>" POLICY_PART "</feedback>", ERR_OK, 0 },
		{ "no policy", "<feedback>" ROW_PART("192.0.2.7") "</feedback>", ERR_SYNTAX, 0 },
		{ "empty", "", ERR_SYNTAX, 0 },
		{ "something else", "<html><body/></html>", ERR_SYNTAX, 0 },
		{ "cut off", "<feedback>" POLICY_PART "<record>", ERR_SYNTAX, 0 },
		{ "a prefix",
			"<d:feedback xmlns:d='urn:x'><d:policy_published><d:domain>a.example</d:domain></"
			"d:policy_published><d:record><x:row/></d:record></d:feedback>",
			ERR_OK, 1 },
		{ "a document type",
			"<!DOCTYPE feedback [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b "
			"'&a;&a;&a;&a;&a;&a;&a;'>]><feedback>" POLICY_PART "</feedback>",
			ERR_SYNTAX, 0 },
		{ "an external entity",
			"<!DOCTYPE feedback SYSTEM 'file:///etc/passwd'><feedback>" POLICY_PART "</feedback>",
			ERR_SYNTAX, 0 },
		{ "wrapped, and not closed",
			"<?xml version='1.0'?> <xs:schema xmlns:xs='http://x'><feedback>" POLICY_PART ROW_PART(
				"192.0.2.1") "</feedback> more",
			ERR_OK, 1 },
		{ "a stray <",
			"<feedback><report_metadata><email><joe@x.example></email></report_metadata>" POLICY_PART
			"</feedback>",
			ERR_OK, 0 },
		{ "a stray &",
			"<feedback><report_metadata><org_name>AT&T</org_name></report_metadata>" POLICY_PART
			"</feedback>",
			ERR_OK, 0 },
		{ "bytes that are not UTF-8",
			"<feedback><report_metadata><org_name>B\xfc"
			"cher</org_name></report_metadata>" POLICY_PART "</feedback>",
			ERR_OK, 0 },
		{ "nested deeply",
			"<feedback><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a></a></a></a></a></a></a></a></a></"
			"a></a></a></a></a></a></a></a></feedback>",
			ERR_SYNTAX, 0 },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct arena arena;
		struct dmarc_report got;
		arena_init(&arena, DMARC_REPORT_ARENA_BYTES);
		enum err err = dmarc_report_read(view_from_cstr(cases[i].xml), &arena, &got);
		if (err != cases[i].err)
			fail_msg("%s: %s (%s)", cases[i].name, err_name(err), err == ERR_OK ? "" : err_detail());
		if (err == ERR_OK)
			assert_int_equal(got.row_count, cases[i].rows);
		if (i == 0) {
			assert_text(got.policy.domain, "a.example");
			assert_text(got.policy.p, "none");
			assert_text(got.rows[0].header_from, "a.example");
			assert_true(got.rows[0].dkim_aligned);
		}
		arena_clear(&arena);
	}
}

static void test_bounds(void **state)
{
	(void)state;
	struct buf xml = { 0 };
	struct arena arena;
	struct dmarc_report got;
	assert_int_equal(buf_append_cstr(&xml, "<feedback>" POLICY_PART), ERR_OK);
	for (unsigned i = 0; i < DMARC_REPORT_ROWS_MAX + 5; i++)
		assert_int_equal(buf_append_cstr(&xml, "<record/>"), ERR_OK);
	assert_int_equal(buf_append_cstr(&xml, "<record><auth_results>"), ERR_OK);
	for (unsigned i = 0; i < DMARC_REPORT_AUTH_MAX + 5; i++)
		assert_int_equal(buf_append_cstr(&xml, "<dkim><domain>x</domain></dkim>"), ERR_OK);
	assert_int_equal(buf_append_cstr(&xml, "</auth_results></record></feedback>"), ERR_OK);
	arena_init(&arena, DMARC_REPORT_ARENA_BYTES);
	assert_int_equal(dmarc_report_read(buf_view(&xml), &arena, &got), ERR_OK);
	assert_int_equal(got.row_count, DMARC_REPORT_ROWS_MAX);
	assert_true(got.is_truncated);
	arena_clear(&arena);
	arena_init(&arena, 4096);
	assert_int_equal(dmarc_report_read(buf_view(&xml), &arena, &got), ERR_LIMIT);
	arena_clear(&arena);
	buf_clear(&xml);
}

static void test_pack(void **state)
{
	(void)state;
	struct buf plain = { 0 }, packed = { 0 }, twice = { 0 }, out = { 0 };
	for (unsigned i = 0; i < 20000; i++)
		assert_int_equal(buf_append_format(&plain, "line %u\n", i % 100), ERR_OK);
	assert_int_equal(pack_gzip(buf_view(&plain), &packed), ERR_OK);
	assert_true(packed.len < plain.len / 20);
	assert_int_equal(pack_open(buf_view(&packed), VIEW("xml"), &out), ERR_OK);
	assert_true(view_eq(buf_view(&out), buf_view(&plain)));
	/* Packed twice, and something else at all. */
	buf_reset(&out);
	assert_int_equal(pack_gzip(buf_view(&packed), &twice), ERR_OK);
	assert_int_equal(pack_open(buf_view(&twice), VIEW("xml"), &out), ERR_OK);
	assert_true(view_eq(buf_view(&out), buf_view(&plain)));
	buf_reset(&out);
	assert_int_equal(pack_open(VIEW("<feedback/>"), VIEW("xml"), &out), ERR_OK);
	assert_true(view_eq(buf_view(&out), VIEW("<feedback/>")));
	/* The same bytes give the same file. */
	buf_reset(&twice);
	assert_int_equal(pack_gzip(buf_view(&plain), &twice), ERR_OK);
	assert_true(view_eq(buf_view(&twice), buf_view(&packed)));
	/* Exactly enough room, and one too few. */
	struct buf narrow;
	buf_init(&narrow, plain.len);
	assert_int_equal(pack_open(buf_view(&packed), VIEW("xml"), &narrow), ERR_OK);
	buf_clear(&narrow);
	buf_init(&narrow, plain.len - 1);
	assert_int_equal(pack_open(buf_view(&packed), VIEW("xml"), &narrow), ERR_LIMIT);
	assert_int_equal(narrow.len, 0);
	buf_clear(&narrow);
	/* Damaged: cut off, and bytes changed. */
	assert_int_equal(pack_open(view_sub(buf_view(&packed), 0, packed.len / 2), VIEW("xml"), &narrow), ERR_SYNTAX);
	assert_int_equal(pack_open(view_sub(buf_view(&packed), 0, 3), VIEW("xml"), &narrow), ERR_SYNTAX);
	assert_int_equal(pack_open(VIEW("PK\x03\x04 nothing"), VIEW("xml"), &narrow), ERR_SYNTAX);
	assert_int_equal(pack_gzip(VIEW_NONE, &narrow), ERR_OK);
	buf_clear(&narrow);
	buf_clear(&plain);
	buf_clear(&packed);
	buf_clear(&twice);
	buf_clear(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_written_is_read),
		cmocka_unit_test(test_file_name),
		cmocka_unit_test(test_reading),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_pack),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
