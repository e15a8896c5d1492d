#include "cli/logfmt.h"
#include "cli/testing.h"

#include "base/log.h"

static void test_fields(void **state)
{
	static const struct {
		const char *name;
		const char *text;
		const char *want; /* name<value> each */
	} cases[] = {
		{ "nothing", "", "" },
		{ "one", "from=joe@example.com", "from<joe@example.com>" },
		{ "several", "a=1 b=2  c=3", "a<1>b<2>c<3>" },
		{ "quoted", "reply=\"451 4.7.1 later\" n=2", "reply<451 4.7.1 later>n<2>" },
		{ "escapes", "r=\"a\\x22b\\x5cc\\x0a\"", "r<a\"b\\c\n>" },
		{ "half an escape stays", "r=\"a\\x2\" s=\\", "r<a\\x2>s<\\>" },
		{ "empty values", "a= b=\"\" c=1", "a<>b<>c<1>" },
		{ "value with equals", "a=b=c", "a<b=c>" },
		{ "open quote", "a=\"b c", "a<b c>" },
		{ "no field ends it", "a=1 word b=2", "a<1>" },
		{ "no name", "=1", "" },
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct view rest = view_from_cstr(cases[i].text);
		struct view name;
		struct buf value = { 0 };
		struct buf got = { 0 };
		while (logfmt_next(&rest, &name, &value))
			assert_int_equal(buf_append_format(&got, "%.*s<%s>", VIEW_ARG(name), buf_cstr(&value)), ERR_OK);
		assert_text(cases[i].name, buf_view(&got), cases[i].want);
		buf_clear(&value);
		buf_clear(&got);
	}
}

/* Whatever is logged is read back as it was. */
static void test_round_trip(void **state)
{
	static const char *const values[] = { "plain", "two words", "a=b", "quote \" and \\ backslash",
		"tab\tand\nline", "Grüße", "\\x41", "\"" };
	(void)state;
	for (size_t i = 0; i < COUNT_OF(values); i++) {
		struct buf text = { 0 };
		struct buf value = { 0 };
		struct view name;
		struct log_field fields[] = { LOG_CSTR("first", values[i]), LOG_NUM("second", 7) };
		log_format_fields(&text, COUNT_OF(fields), fields);
		struct view rest = buf_view(&text);
		assert_true(logfmt_next(&rest, &name, &value));
		assert_text("name", name, "first");
		assert_text("value", buf_view(&value), values[i]);
		assert_true(logfmt_next(&rest, &name, &value));
		assert_text("number", buf_view(&value), "7");
		assert_false(logfmt_next(&rest, &name, &value));
		buf_clear(&text);
		buf_clear(&value);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_round_trip),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
