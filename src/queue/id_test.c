#include "queue/id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void next_grows(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		uint64_t last;
		int64_t now_ms;
		uint64_t want;
	} cases[] = {
		{ "first ever", 0, 1700000000000, 1700000000000u * 4096 },
		{ "a later millisecond", 1700000000000u * 4096 + 7, 1700000000001, 1700000000001u * 4096 },
		{ "the same millisecond", 1700000000000u * 4096, 1700000000000, 1700000000000u * 4096 + 1 },
		{ "the clock went back", 1700000000000u * 4096, 1600000000000, 1700000000000u * 4096 + 1 },
		{ "a clock before 1970", 41, -5, 42 },
		{ "clock at zero", 0, 0, 1 },
		{ "a clock out of range", 5, INT64_MAX, INT64_MAX },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		uint64_t got = queue_id_next(cases[i].last, cases[i].now_ms);
		if (got != cases[i].want)
			fail_msg("%s: %llu", cases[i].name, (unsigned long long)got);
	}
	uint64_t last = 0;
	for (int64_t i = 0; i < 20000; i++) {
		uint64_t id = queue_id_next(last, 1000 + i / 10000);
		assert_true(id > last);
		last = id;
	}
}

static void text_round_trip(void **state)
{
	(void)state;
	static const uint64_t ids[] = { 0, 1, 31, 32, 4095, 1700000000000u * 4096, 1700000000000u * 4096 + 4095,
		INT64_MAX, UINT64_MAX };
	struct queue_id_text before = { "" };
	for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
		struct queue_id_text text = queue_id_format(ids[i]);
		assert_int_equal(strlen(text.text), QUEUE_ID_TEXT_BYTES - 1);
		assert_true(strcmp(before.text, text.text) < 0); /* they sort as text */
		uint64_t back = 5;
		assert_int_equal(queue_id_parse(view_from_cstr(text.text), &back), ERR_OK);
		assert_true(back == ids[i]);
		before = text;
	}
	assert_string_equal(queue_id_format(0).text, "0000000000000");
	assert_string_equal(queue_id_format(UINT64_MAX).text, "fzzzzzzzzzzzz");
}

static void parse_cases(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum err err;
		uint64_t want;
	} cases[] = {
		{ "0000000000010", ERR_OK, 32 },
		{ "000000000001O", ERR_OK, 32 },
		{ "00000000000iL", ERR_OK, 33 },
		{ "FZZZZZZZZZZZZ", ERR_OK, UINT64_MAX },
		{ "g000000000000", ERR_SYNTAX, 0 },
		{ "000000000000u", ERR_SYNTAX, 0 },
		{ "000000000000-", ERR_SYNTAX, 0 },
		{ "000000000000\xff", ERR_SYNTAX, 0 },
		{ "000000000000", ERR_SYNTAX, 0 },
		{ "00000000000000", ERR_SYNTAX, 0 },
		{ "", ERR_SYNTAX, 0 },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		uint64_t got = 77;
		enum err err = queue_id_parse(view_from_cstr(cases[i].text), &got);
		if (err != cases[i].err || got != (err == ERR_OK ? cases[i].want : 77))
			fail_msg("\"%s\": %s, %llu", cases[i].text, err_name(err), (unsigned long long)got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(next_grows),
		cmocka_unit_test(text_round_trip),
		cmocka_unit_test(parse_cases),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
