#include "mail/date.h"

#include "mail/testing.h"

static void test_format(void **state)
{
	(void)state;
	static const struct {
		int64_t ms;
		int zone;
		const char *text; /* NULL: ERR_LIMIT */
	} cases[] = {
		{ 0, 0, "Thu, 1 Jan 1970 00:00:00 +0000" },
		{ 1795444740000, 0, "Mon, 23 Nov 2026 14:39:00 +0000" },
		{ 1795444740999, 60, "Mon, 23 Nov 2026 15:39:00 +0100" },
		{ 1795444740000, -570, "Mon, 23 Nov 2026 05:09:00 -0930" },
		{ 1795444740000, 14 * 60, "Tue, 24 Nov 2026 04:39:00 +1400" },
		{ 951782400000, 0, "Tue, 29 Feb 2000 00:00:00 +0000" },
		{ 951868799000, 1, "Wed, 1 Mar 2000 00:00:59 +0001" },
		{ 4107542400000, 0, "Mon, 1 Mar 2100 00:00:00 +0000" },
		{ -1, 0, "Wed, 31 Dec 1969 23:59:59 +0000" },
		{ -2208988800000, 0, "Mon, 1 Jan 1900 00:00:00 +0000" },
		{ -2208988800001, 0, NULL },
		{ 253402300799000, 0, "Fri, 31 Dec 9999 23:59:59 +0000" },
		{ 253402300800000, 0, NULL },
		{ INT64_MAX, 0, NULL },
		{ INT64_MIN, 0, NULL },
		{ 0, 1440, NULL },
		{ 0, -1440, NULL },
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct buf out = { 0 };
		const char *name = cases[i].text != NULL ? cases[i].text : "out of range";
		assert_err(name, date_format(cases[i].ms, cases[i].zone, &out), cases[i].text ? ERR_OK : ERR_LIMIT);
		assert_text(name, buf_view(&out), cases[i].text ? cases[i].text : "");
		int64_t back;
		if (cases[i].text != NULL) {
			assert_err(name, date_parse(buf_view(&out), &back), ERR_OK);
			assert_true(back <= cases[i].ms && back > cases[i].ms - 1000);
		}
		buf_clear(&out);
	}
}

static void test_parse(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t seconds; /* -1: ERR_SYNTAX */
	} cases[] = {
		{ "Mon, 23 Nov 2026 14:39:00 +0000", 1795444740 },
		{ "23 Nov 2026 14:39 GMT", 1795444740 },
		{ "Mon,23 Nov 26 14:39:00 UT", 1795444740 },
		{ "Monday, 23 November 2026 09:39:00 EST", 1795444740 },
		{ "Mon, 23 nov 2026 10:39:00 edt", 1795444740 },
		{ "Mon 23 Nov 2026 07:39:00 -0700 (PDT)", 1795444740 },
		{ "  Mon, (a (b) \\) c) 23\r\n Nov 2026 (x)14 : 39 : 00 -0000 ", 1795444740 },
		{ "23-Nov-2026 14:39:00 Z", 1795444740 },
		{ "23 Nov 2026 14:39:00 K", 1795444740 },
		{ "23 Nov 2026 14:39:00 MEZ", 1795444740 },
		{ "23 Nov 2026 09:39:00 EST5EDT", 1795444740 },
		{ "23 Nov 2026 14:39:00", 1795444740 },
		{ "1 Jan 70 0:0:0 GMT", 0 },
		{ "1 Jan 100 00:00:00 GMT", 946684800 },
		{ "31 Dec 1998 23:59:60 +0000", 915148800 },
		{ "29 Feb 2024 00:00:00 +0000", 1709164800 },
		{ "29 Feb 2023 00:00:00 +0000", -1 },
		{ "31 Apr 2023 00:00:00 +0000", -1 },
		{ "0 Jan 2023 00:00:00 +0000", -1 },
		{ "Foo, 1 Jan 2023 00:00:00 +0000", -1 },
		{ "1 Foo 2023 00:00:00 +0000", -1 },
		{ "1 Jan 2023 24:00:00 +0000", -1 },
		{ "1 Jan 2023 00:60:00 +0000", -1 },
		{ "1 Jan 2023 00:00:61 +0000", -1 },
		{ "1 Jan 2023 00:00:00 +00", -1 },
		{ "1 Jan 2023 00:00:00 +0060", -1 },
		{ "1 Jan 2023 00:00:00 +0000 x", -1 },
		{ "1 Jan 20230 00:00:00 +0000", -1 },
		{ "1 Jan 2023", -1 },
		{ "Mon,", -1 },
		{ "", -1 },
		{ "(", -1 },
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		int64_t ms = -7;
		assert_err(cases[i].text, date_parse(view_from_cstr(cases[i].text), &ms),
			cases[i].seconds < 0 ? ERR_SYNTAX : ERR_OK);
		if (ms != (cases[i].seconds < 0 ? -7 : cases[i].seconds * 1000))
			fail_msg("%s: got %lld", cases[i].text, (long long)ms);
	}
}

/* Every day of 400 years: the calendar repeats after that. */
static void test_all_days(void **state)
{
	(void)state;
	struct buf out = { 0 };
	for (int64_t day = 0; day < 146097; day += 1) {
		int64_t back;
		buf_reset(&out);
		assert_int_equal(date_format(day * 86400000, 0, &out), ERR_OK);
		assert_int_equal(date_parse(buf_view(&out), &back), ERR_OK);
		assert_true(back == day * 86400000);
	}
	buf_clear(&out);
}

static void test_rfc3339(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t ms; /* -1: ERR_SYNTAX */
		const char *back; /* NULL: the text itself */
	} cases[] = {
		{ "2026-11-23T14:39:00Z", 1795444740000, NULL },
		{ "1970-01-01T00:00:00Z", 0, NULL },
		{ "9999-12-31T23:59:59Z", 253402300799000, NULL },
		{ "2026-11-23t15:39:00+01:00", 1795444740000, "2026-11-23T14:39:00Z" },
		{ "2026-11-23T05:09:00.9999-09:30", 1795444740999, "2026-11-23T14:39:00Z" },
		{ "2026-11-23T14:39:00.5z", 1795444740500, "2026-11-23T14:39:00Z" },
		{ "2000-02-29T23:59:60Z", 951868799000, "2000-02-29T23:59:59Z" },
		{ "", -1, NULL },
		{ "2026-11-23", -1, NULL },
		{ "2026-11-23 14:39:00Z", -1, NULL },
		{ "2026-11-23T14:39:00", -1, NULL },
		{ "2026-11-23T14:39Z", -1, NULL },
		{ "2026-11-23T14:39:00.Z", -1, NULL },
		{ "2026-11-23T14:39:00Zx", -1, NULL },
		{ "2026-11-23T24:00:00Z", -1, NULL },
		{ "2026-11-23T14:39:00+0100", -1, NULL },
		{ "2026-13-01T00:00:00Z", -1, NULL },
		{ "2026-02-29T00:00:00Z", -1, NULL },
		{ "2026-11-31T00:00:00Z", -1, NULL },
		{ "2026-00-01T00:00:00Z", -1, NULL },
		{ "+026-11-23T14:39:00Z", -1, NULL },
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct buf out = { 0 };
		int64_t ms = -2;
		struct view text = view_from_cstr(cases[i].text);
		assert_err(cases[i].text, date_parse_rfc3339(text, &ms), cases[i].ms < 0 ? ERR_SYNTAX : ERR_OK);
		assert_int_equal(ms, cases[i].ms < 0 ? -2 : cases[i].ms);
		if (cases[i].ms >= 0) {
			assert_err(cases[i].text, date_format_rfc3339(ms, &out), ERR_OK);
			assert_text(cases[i].text, buf_view(&out), cases[i].back ? cases[i].back : cases[i].text);
		}
		buf_clear(&out);
	}
	struct buf out = { 0 };
	assert_int_equal(date_format_rfc3339(INT64_MAX, &out), ERR_LIMIT);
	assert_int_equal(date_format_rfc3339(253402300800000, &out), ERR_LIMIT);
	assert_int_equal(out.len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_rfc3339),
		cmocka_unit_test(test_all_days),
	};
	return cmocka_run_group_tests_name("date", tests, NULL, NULL);
}
