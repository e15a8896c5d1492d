#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "mailauth/tls_rpt.h"

#define R "v=TLSRPTv1; rua="
static const struct {
	const char *name, *text;
	enum err err;
	const char *destinations; /* "m" or "h" and the URI, with a space behind */
} records[] = {
	{ "mailto", "v=TLSRPTv1;rua=mailto:reports@example.com", ERR_OK, "mmailto:reports@example.com " },
	{ "https", R "https://reports.example.com/v1?a=b&c=%20;", ERR_OK,
		"hhttps://reports.example.com/v1?a=b&c=%20 " },
	{ "both", R "mailto:a@b.example \t,\t https://b.example", ERR_OK, "mmailto:a@b.example hhttps://b.example " },
	{ "schemes have no case", R "MailTo:a@b.example,HTTPS://b", ERR_OK, "mMailTo:a@b.example hHTTPS://b " },
	{ "other schemes", R "ftp://b/,https://b,http://b", ERR_OK, "hhttps://b " },
	{ "only other schemes", R "http://b", ERR_UNSUPPORTED, NULL },
	{ "other fields", "v=TLSRPTv1 ; x=y; rua=https://b ;z=1 ;", ERR_OK, "hhttps://b " },
	{ "the first rua counts", R "https://a;rua=what", ERR_OK, "hhttps://a " },
	{ "encoded", R "mailto:%22a%2Cb%22%40b.example?subject=x", ERR_OK,
		"mmailto:%22a%2Cb%22%40b.example?subject=x " },
	{ "no rua", "v=TLSRPTv1; x=y", ERR_SYNTAX, NULL },
	{ "an empty rua", R, ERR_SYNTAX, NULL },
	{ "an empty URI", R "https://a,,https://b", ERR_SYNTAX, NULL },
	{ "a comma at the end", R "https://a,", ERR_SYNTAX, NULL },
	{ "no scheme", R "a@b.example", ERR_SYNTAX, NULL },
	{ "another version", "v=TLSRPTv2; rua=https://a", ERR_SYNTAX, NULL },
	{ "an exclamation mark", R "mailto:a@b.example!10m", ERR_SYNTAX, NULL },
	{ "a space inside", R "https://a b", ERR_SYNTAX, NULL },
	{ "half a percent", R "https://a/%4", ERR_SYNTAX, NULL },
	{ "no percent", R "https://a/%4g", ERR_SYNTAX, NULL },
	{ "no mailbox", R "mailto:", ERR_SYNTAX, NULL },
	{ "no domain", R "mailto:postmaster", ERR_SYNTAX, NULL },
	{ "two mailboxes", R "mailto:a@b.example%2Cc@d.example", ERR_SYNTAX, NULL },
	{ "a line end in a mailbox", R "mailto:a%0D%0A@b.example", ERR_SYNTAX, NULL },
	{ "no host", R "https:///path", ERR_SYNTAX, NULL },
	{ "no slashes", R "https:a.example", ERR_SYNTAX, NULL },
	{ "only a port", R "https://:443/", ERR_SYNTAX, NULL },
	{ "a user", R "https://example.com@evil.example/", ERR_SYNTAX, NULL },
	{ "8 bits", R "https://\xc3\xa4.example/", ERR_SYNTAX, NULL },
	{ "a line end", R "https://a,\nhttps://b", ERR_SYNTAX, NULL },
	{ "another field malformed", R "https://a; x=a b", ERR_SYNTAX, NULL },
};

static void reads_records(void **state)
{
	(void)state;
	struct buf out = { 0 };
	for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
		struct tls_rpt_record record = { 0 };
		enum err err = tls_rpt_record_parse(view_from_cstr(records[i].text), &record);
		if (err != records[i].err)
			fail_msg("%s: %s", records[i].name, err_name(err));
		if (err != ERR_OK)
			continue;
		buf_reset(&out);
		for (size_t k = 0; k < record.count; k++)
			assert_int_equal(buf_append_format(&out, "%c%.*s ",
						 record.destinations[k].scheme == TLS_RPT_MAILTO ? 'm' : 'h',
						 VIEW_ARG(record.destinations[k].uri)),
				ERR_OK);
		if (!view_eq(buf_view(&out), view_from_cstr(records[i].destinations)))
			fail_msg("%s: %s", records[i].name, buf_cstr(&out));
	}
	buf_clear(&out);
}

static void bounds_records(void **state)
{
	(void)state;
	struct tls_rpt_record record;
	struct buf text = { 0 };
	assert_int_equal(buf_append_cstr(&text, R "https://a"), ERR_OK);
	for (unsigned i = 1; i < TLS_RPT_DESTINATIONS_MAX; i++)
		assert_int_equal(buf_append_cstr(&text, ",https://a"), ERR_OK);
	assert_int_equal(tls_rpt_record_parse(buf_view(&text), &record), ERR_OK);
	assert_int_equal(record.count, TLS_RPT_DESTINATIONS_MAX);
	assert_int_equal(buf_append_cstr(&text, ",https://a"), ERR_OK);
	assert_int_equal(tls_rpt_record_parse(buf_view(&text), &record), ERR_LIMIT);
	while (text.len < 5000)
		assert_int_equal(buf_append_byte(&text, 'x'), ERR_OK);
	assert_int_equal(tls_rpt_record_parse(buf_view(&text), &record), ERR_LIMIT);
	buf_clear(&text);
}

static void finds_the_record(void **state)
{
	(void)state;
	struct dns_record of_answer[] = { { .data = VIEW("v=spf1 -all") }, { .data = VIEW(R "https://a") },
		{ .data = VIEW("v=TLSRPTv10; rua=https://b") }, { .data = VIEW(R "https://c") } };
	struct dns_answer answer = { .records = of_answer, .record_count = 3 };
	struct tls_rpt_record record;
	assert_int_equal(tls_rpt_record_find(&answer, &record), ERR_OK);
	assert_true(record.count == 1 && view_eq(record.destinations[0].uri, VIEW("https://a")));
	answer.record_count = 4;
	assert_int_equal(tls_rpt_record_find(&answer, &record), ERR_SYNTAX);
	answer.record_count = 1;
	assert_int_equal(tls_rpt_record_find(&answer, &record), ERR_NOT_FOUND);
	answer.record_count = 0;
	assert_int_equal(tls_rpt_record_find(&answer, &record), ERR_NOT_FOUND);
}

static const struct {
	const char *uri, *mailbox; /* NULL: none */
} mailboxes[] = {
	{ "mailto:a@b.example", "a@b.example" },
	{ "MAILTO:a%2Bb@c.example?cc=d@e.example", "a+b@c.example" },
	{ "mailto:%C3%A4@b.example#part", "\xc3\xa4@b.example" },
	{ "mailto:%22a%20b%22@c.example", "\"a b\"@c.example" },
	{ "mailto:a%00@b.example", NULL },
	{ "mailto:%FF@b.example", NULL },
	{ "mailto:a@b.example%", NULL },
	{ "mailto:?subject=a@b.example", NULL },
	{ "https://b.example", NULL },
	{ "", NULL },
};

static void reads_mailboxes(void **state)
{
	(void)state;
	struct buf out = { 0 };
	for (size_t i = 0; i < sizeof mailboxes / sizeof *mailboxes; i++) {
		buf_reset(&out);
		assert_int_equal(buf_append_cstr(&out, "to "), ERR_OK);
		enum err err = tls_rpt_mailbox(view_from_cstr(mailboxes[i].uri), &out);
		const char *want = mailboxes[i].mailbox;
		if (err != (want != NULL ? ERR_OK : ERR_SYNTAX) ||
			!view_eq(view_from(buf_view(&out), 3), view_from_cstr(want)))
			fail_msg("%s: %s %s", mailboxes[i].uri, err_name(err), buf_cstr(&out));
	}
	buf_clear(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_records),
		cmocka_unit_test(bounds_records),
		cmocka_unit_test(finds_the_record),
		cmocka_unit_test(reads_mailboxes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
