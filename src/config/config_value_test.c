#include "config/config_value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

struct amount_case {
	const char *text;
	enum err err;
	uint64_t value;
	const char *shortest; /* NULL: not formatted back */
};

static const struct amount_case durations[] = {
	{ "250ms", ERR_OK, 250, "250ms" },
	{ "300s", ERR_OK, 300000, "5m" },
	{ "5m", ERR_OK, 300000, "5m" },
	{ "4h", ERR_OK, 14400000, "4h" },
	{ "1d", ERR_OK, 86400000, "1d" },
	{ "2w", ERR_OK, 1209600000, "14d" },
	{ "1h30m", ERR_OK, 5400000, "90m" },
	{ " 1 h 30 m ", ERR_OK, 5400000, "90m" },
	{ "1s500ms", ERR_OK, 1500, "1500ms" },
	{ "5M", ERR_OK, 300000, "5m" },
	{ "0", ERR_OK, 0, "0" },
	{ "0s", ERR_OK, 0, "0" },
	{ "", ERR_SYNTAX, 0, NULL },
	{ "5", ERR_SYNTAX, 0, NULL },
	{ "m", ERR_SYNTAX, 0, NULL },
	{ "5x", ERR_SYNTAX, 0, NULL },
	{ "5 parsecs", ERR_SYNTAX, 0, NULL },
	{ "-5m", ERR_SYNTAX, 0, NULL },
	{ "1.5h", ERR_SYNTAX, 0, NULL },
	{ "1h30", ERR_SYNTAX, 0, NULL },
	{ "9223372036854775807ms", ERR_OK, INT64_MAX, NULL },
	{ "9223372036854775808ms", ERR_LIMIT, 0, NULL },
	{ "9223372036854775807ms1ms", ERR_LIMIT, 0, NULL },
	{ "99999999999999999999d", ERR_LIMIT, 0, NULL },
	{ "9223372036854775d", ERR_LIMIT, 0, NULL },
};

static const struct amount_case sizes[] = {
	{ "0", ERR_OK, 0, "0" },
	{ "1", ERR_OK, 1, "1" },
	{ "1000B", ERR_OK, 1000, "1000" },
	{ "64k", ERR_OK, 65536, "64k" },
	{ "64K", ERR_OK, 65536, "64k" },
	{ "50M", ERR_OK, 52428800, "50M" },
	{ "1 MiB", ERR_OK, 1048576, "1M" },
	{ "2GiB", ERR_OK, 2147483648, "2G" },
	{ "3g", ERR_OK, 3221225472, "3G" },
	{ "1536", ERR_OK, 1536, "1536" },
	{ "", ERR_SYNTAX, 0, NULL },
	{ "M", ERR_SYNTAX, 0, NULL },
	{ "1MB", ERR_SYNTAX, 0, NULL },
	{ "1M2k", ERR_SYNTAX, 0, NULL },
	{ "1 M M", ERR_SYNTAX, 0, NULL },
	{ "0x10", ERR_SYNTAX, 0, NULL },
	{ "9223372036854775807", ERR_OK, INT64_MAX, NULL },
	{ "9223372036854775808", ERR_LIMIT, 0, NULL },
	{ "9007199254740992k", ERR_LIMIT, 0, NULL },
};

static void check_amounts(const struct amount_case *cases, size_t count, enum err (*parse)(struct view, uint64_t *),
	enum err (*format)(uint64_t, struct buf *))
{
	for (size_t i = 0; i < count; i++) {
		const struct amount_case *c = &cases[i];
		uint64_t value = 12345;
		enum err err = parse(view_from_cstr(c->text), &value);
		if (err != c->err || value != (err == ERR_OK ? c->value : 12345))
			fail_msg("\"%s\": %s, %llu", c->text, err_name(err), (unsigned long long)value);
		if (err != ERR_OK)
			continue;
		struct buf out = { 0 };
		assert_int_equal(format(value, &out), ERR_OK);
		if (c->shortest != NULL)
			assert_string_equal(buf_cstr(&out), c->shortest);
		uint64_t again;
		assert_int_equal(parse(buf_view(&out), &again), ERR_OK);
		assert_true(again == value);
		buf_clear(&out);
	}
}

static void test_durations(void **state)
{
	(void)state;
	check_amounts(durations, COUNT(durations), config_parse_duration, config_format_duration);
}

static void test_sizes(void **state)
{
	(void)state;
	check_amounts(sizes, COUNT(sizes), config_parse_size, config_format_size);
}

static void test_bool(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum err err;
		bool value;
	} cases[] = {
		{ "yes", ERR_OK, true },
		{ "no", ERR_OK, false },
		{ "TRUE", ERR_OK, true },
		{ "False", ERR_OK, false },
		{ "on", ERR_OK, true },
		{ "off", ERR_OK, false },
		{ "", ERR_SYNTAX, false },
		{ "1", ERR_SYNTAX, false },
		{ "y", ERR_SYNTAX, false },
		{ "yes ", ERR_SYNTAX, false },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		bool value = !cases[i].value;
		assert_int_equal(config_parse_bool(view_from_cstr(cases[i].text), &value), cases[i].err);
		assert_int_equal(value, cases[i].err == ERR_OK ? cases[i].value : !cases[i].value);
	}
}

static void test_edit_distance(void **state)
{
	(void)state;
	static const struct {
		const char *a, *b;
		unsigned distance;
	} cases[] = {
		{ "", "", 0 },
		{ "", "abc", 3 },
		{ "address", "address", 0 },
		{ "adress", "address", 1 },
		{ "addresss", "address", 1 },
		{ "addrexs", "address", 1 },
		{ "adderss", "address", 1 },
		{ "Address", "address", 0 },
		{ "kitten", "sitting", 3 },
		{ "ab", "ba", 1 },
		{ "abc", "cba", 2 },
		{ "hostname", "data", 6 },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct view a = view_from_cstr(cases[i].a), b = view_from_cstr(cases[i].b);
		if (config_edit_distance(a, b) != cases[i].distance || config_edit_distance(b, a) != cases[i].distance)
			fail_msg("%s, %s: %u", cases[i].a, cases[i].b, config_edit_distance(a, b));
	}
	uint8_t longest[65] = { 0 };
	assert_int_equal(config_edit_distance(view_of(longest, 64), view_of(longest, 64)), 0);
	assert_true(config_edit_distance(view_of(longest, 65), VIEW("a")) == UINT32_MAX);
}

static void test_nearest(void **state)
{
	(void)state;
	static const char *const names[] = { "address", "relay_from", "normalise_line_ends", "connections",
		"connections_per_address" };
	static const struct {
		const char *written, *best;
	} cases[] = {
		{ "adress", "address" },
		{ "relayfrom", "relay_from" },
		{ "normalize_line_ends", "normalise_line_ends" },
		{ "connection", "connections" },
		{ "connections_per", "connections" },
		{ "normalise", "normalise_line_ends" },
		{ "xyzzy", "" },
		{ "a", "" },
		{ "", "" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct config_nearest nearest;
		config_nearest_init(&nearest, view_from_cstr(cases[i].written));
		for (size_t n = 0; n < COUNT(names); n++)
			config_nearest_offer(&nearest, view_from_cstr(names[n]));
		if (!view_eq(nearest.best, view_from_cstr(cases[i].best)))
			fail_msg("%s: got \"%.*s\"", cases[i].written, VIEW_ARG(nearest.best));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_bool),
		cmocka_unit_test(test_edit_distance),
		cmocka_unit_test(test_nearest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
