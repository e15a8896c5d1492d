#include "mailauth/tag_list.h"
#include "mail/testing.h"

static void lists(void **state)
{
	(void)state;
	static const struct {
		const char *name, *text;
		enum err want;
		const char *value; /* of the tag "b" */
	} cases[] = {
		{ "one", "b=2", ERR_OK, "2" },
		{ "white space everywhere", " a = 1 ;\r\n\tb\t=\r\n 2 3 ; c =4", ERR_OK, "2 3" },
		{ "ends with a semicolon", "a=1; b=2;", ERR_OK, "2" },
		{ "a semicolon and blanks", "a=1;b=2; \t", ERR_OK, "2" },
		{ "an empty value", "a=;b=;c=", ERR_OK, "" },
		{ "equals signs in the value", "b=AA==", ERR_OK, "AA==" },
		{ "folds inside", "b=1\r\n 2\n\t3", ERR_OK, "1\r\n 2\n\t3" },
		{ "underscore and figures in names", "a_1=x; b=y", ERR_OK, "y" },
		{ "names have case", "B=1; b=2", ERR_OK, "2" },
		{ "UTF-8", "b=\xc3\xa4.example", ERR_OK, "\xc3\xa4.example" },
		{ "empty", "", ERR_SYNTAX, NULL },
		{ "blank", " \t ", ERR_SYNTAX, NULL },
		{ "only a semicolon", ";", ERR_SYNTAX, NULL },
		{ "two semicolons", "a=1;; b=2", ERR_SYNTAX, NULL },
		{ "two semicolons at the end", "b=2;;", ERR_SYNTAX, NULL },
		{ "a semicolon first", ";b=2", ERR_SYNTAX, NULL },
		{ "no equals sign", "b", ERR_SYNTAX, NULL },
		{ "no name", "=2", ERR_SYNTAX, NULL },
		{ "a name with a dash", "a-b=2", ERR_SYNTAX, NULL },
		{ "a name with a blank", "a b=2", ERR_SYNTAX, NULL },
		{ "a name that begins with a figure", "1b=2", ERR_SYNTAX, NULL },
		{ "twice", "b=1; c=2; b=1", ERR_SYNTAX, NULL },
		{ "a control character", "b=1\x01", ERR_SYNTAX, NULL },
		{ "DEL", "b=\x7f", ERR_SYNTAX, NULL },
		{ "a line end that is no fold", "b=1\r\nc=2", ERR_SYNTAX, NULL },
		{ "a line end at the end", "b=1\r\n", ERR_SYNTAX, NULL },
		{ "a lone CR", "b=1\r 2", ERR_SYNTAX, NULL },
		{ "no UTF-8", "b=\xe4", ERR_SYNTAX, NULL },
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct tag_list list;
		assert_err(cases[i].name, tag_list_parse(view_from_cstr(cases[i].text), &list), cases[i].want);
		if (cases[i].value == NULL)
			continue;
		const struct tag *tag = tag_list_find(&list, VIEW("b"));
		if (tag == NULL)
			fail_msg("%s: no tag", cases[i].name);
		else
			assert_text(cases[i].name, tag->value, cases[i].value);
		assert_null(tag_list_find(&list, VIEW("zz")));
	}
}

static void raw_is_all_between(void **state)
{
	(void)state;
	struct tag_list list;
	struct view text = VIEW("a=1; b= \r\n x y\t; c=");
	assert_int_equal(tag_list_parse(text, &list), ERR_OK);
	assert_text("b", tag_list_find(&list, VIEW("b"))->raw, " \r\n x y\t");
	/* Empty, but with its place. */
	assert_int_equal(tag_list_find(&list, VIEW("c"))->raw.len, 0);
	assert_ptr_equal(tag_list_find(&list, VIEW("c"))->raw.ptr, text.ptr + text.len);
}

static void too_many(void **state)
{
	(void)state;
	struct buf text = { 0 };
	struct tag_list list;
	for (unsigned i = 0; i <= TAG_LIST_TAGS_MAX; i++) {
		assert_int_equal(i == 0 ? ERR_OK : tag_list_parse(buf_view(&text), &list), ERR_OK);
		assert_int_equal(buf_append_format(&text, "t%u=x;", i), ERR_OK);
	}
	assert_int_equal(tag_list_parse(buf_view(&text), &list), ERR_LIMIT);
	buf_clear(&text);
}

static void parts(void **state)
{
	(void)state;
	static const struct {
		const char *text, *want;
	} cases[] = { { "a", "[a]" }, { " a : b\r\n :c ", "[a][b][c]" }, { "a:", "[a][]" }, { ":", "[][]" },
		{ "a::b", "[a][][b]" } };
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct buf got = { 0 };
		struct view rest = view_from_cstr(cases[i].text), part;
		while (tag_value_next(&rest, &part))
			assert_int_equal(buf_append_format(&got, "[%.*s]", VIEW_ARG(part)), ERR_OK);
		assert_text(cases[i].text, buf_view(&got), cases[i].want);
		buf_clear(&got);
	}
	struct view none = VIEW_NONE, part;
	assert_false(tag_value_next(&none, &part));
}

static void packed(void **state)
{
	(void)state;
	uint8_t out[4];
	size_t len = 99;
	assert_int_equal(tag_value_pack(VIEW("a b\r\n\tc d"), out, sizeof out, &len), ERR_OK);
	assert_text("packed", view_of(out, len), "abcd");
	assert_int_equal(tag_value_pack(VIEW("a b c d e"), out, sizeof out, &len), ERR_LIMIT);
	assert_int_equal(tag_value_pack(VIEW(" \t"), out, sizeof out, &len), ERR_OK);
	assert_int_equal(len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists),
		cmocka_unit_test(raw_is_all_between),
		cmocka_unit_test(too_many),
		cmocka_unit_test(parts),
		cmocka_unit_test(packed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
