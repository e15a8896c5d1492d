#include "mail/report_compose.h"
#include "mail/header.h"
#include "mail/mime.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_field(struct view message, const char *name, const char *wanted)
{
	struct header_field field;
	struct buf value = { 0 };
	if (!header_find(message, view_from_cstr(name), &field))
		fail_msg("there is no %s", name);
	assert_int_equal(header_unfold(field.value, &value), ERR_OK);
	assert_string_equal(buf_cstr(&value), wanted);
	buf_clear(&value);
}

static struct report_compose sample(struct view report_type)
{
	static const struct view to[] = { { (const uint8_t *)"a@there.example", 15 },
		{ (const uint8_t *)"b@there.example", 15 } };
	static const struct report_compose_field fields[] = {
		{ "TLS-Report-Domain", { (const uint8_t *)"there.example\r\nBcc: x@y", 23 } },
	};
	return (struct report_compose){
		.from = VIEW("postmaster@here.example"),
		.to = to,
		.to_count = 2,
		.subject = VIEW("Report Domain: there.example Submitter: here.example Report-ID: <abc>"),
		.fields = fields,
		.field_count = 1,
		.text = VIEW("Hello\nyou\x07"),
		.report_type = report_type,
		.file_name = VIEW("here.example!there.example!1!2.xml.gz"),
		.file_type = VIEW("application/gzip"),
		.file = VIEW("\x1f\x8b\x00\xff"),
		.message_id = VIEW("<abc@here.example>"),
		.wall_ms = 1762560000000,
		.random = { 1, 0xab },
	};
}

static void test_a_report(void **state)
{
	(void)state;
	struct buf out = { 0 }, value = { 0 };
	struct report_compose report = sample(VIEW("tlsrpt"));
	assert_int_equal(report_compose(&report, &out), ERR_OK);
	struct view message = buf_view(&out);
	assert_field(message, "Date", "Sat, 8 Nov 2025 00:00:00 +0000");
	assert_field(message, "From", "postmaster@here.example");
	assert_field(message, "To", "a@there.example, b@there.example");
	assert_field(message, "Subject", "Report Domain: there.example Submitter: here.example Report-ID: <abc>");
	assert_field(message, "Message-ID", "<abc@here.example>");
	assert_field(message, "TLS-Report-Domain", "there.example  Bcc: x@y");
	assert_field(message, "Auto-Submitted", "auto-generated");
	assert_int_equal(header_count(message, VIEW("Bcc")), 0);
	struct mime_part whole, part;
	struct mime_walker walker;
	struct view child;
	mime_part_parse(message, false, &whole);
	assert_true(mime_type_is(&whole.type, "multipart", "report"));
	assert_int_equal(mime_parameter(&whole.type, VIEW("report-type"), &value), ERR_OK);
	assert_string_equal(buf_cstr(&value), "tlsrpt");
	assert_true(mime_walker_init(&walker, &whole));
	assert_true(mime_walker_next(&walker, &child));
	mime_part_parse(child, false, &part);
	assert_true(view_eq(part.body, VIEW("Hello\r\nyou?\r\n")));
	assert_true(mime_walker_next(&walker, &child));
	mime_part_parse(child, false, &part);
	assert_true(mime_type_is(&part.type, "application", "gzip"));
	buf_reset(&value);
	assert_int_equal(mime_part_decode(&part, &value), ERR_OK);
	assert_true(view_eq(buf_view(&value), report.file));
	assert_field(
		part.header, "Content-Disposition", "attachment; filename=\"here.example!there.example!1!2.xml.gz\"");
	assert_false(mime_walker_next(&walker, &child));
	assert_true(walker.is_closed);
	buf_clear(&out);
	buf_clear(&value);
}

static void test_all_or_nothing(void **state)
{
	(void)state;
	struct report_compose report = sample(VIEW_NONE);
	struct buf out = { 0 };
	assert_int_equal(report_compose(&report, &out), ERR_OK);
	assert_true(view_is_ascii(buf_view(&out)));
	struct buf narrow;
	buf_init(&narrow, out.len - 1);
	assert_int_equal(report_compose(&report, &narrow), ERR_LIMIT);
	assert_int_equal(narrow.len, 0);
	buf_clear(&narrow);
	buf_clear(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_report),
		cmocka_unit_test(test_all_or_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
