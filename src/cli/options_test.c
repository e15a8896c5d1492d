#include "cli/options.h"
#include "cli/testing.h"

#include "base/mem.h"

#define WORDS_MAX 8

struct result {
	bool json, verbose;
	const char *config;
	struct option_list to;
	struct option_list words;
	bool help;
};

static enum err run(const char *const words[WORDS_MAX], struct result *ret)
{
	*ret = (struct result){ 0 };
	const struct option_spec options[] = {
		{ "config", 'c', "FILE", "", .ret_value = &ret->config },
		{ "json", 0, NULL, "", .ret_flag = &ret->json },
		{ "verbose", 'v', NULL, "", .ret_flag = &ret->verbose },
		{ "to", 't', "ADDRESS", "", .ret_list = &ret->to },
	};
	const struct usage usage = { "x", "", COUNT_OF(options), options };
	char *argv[WORDS_MAX + 2];
	int argc = 0;
	argv[argc++] = mem_dup_cstr("x");
	for (size_t i = 0; i < WORDS_MAX && words[i] != NULL; i++)
		argv[argc++] = mem_dup_cstr(words[i]);
	argv[argc] = NULL;
	enum err err = options_read(&usage, argc, argv, &ret->words, &ret->help);
	/* The results point into the words: they are compared by the caller, and kept until the test ends. */
	static char *kept[64 * (WORDS_MAX + 2)];
	static size_t kept_count;
	for (int i = 0; i < argc; i++) {
		if (kept_count == COUNT_OF(kept))
			fail_msg("too many cases");
		kept[kept_count++] = argv[i];
	}
	return err;
}

static void test_accepted(void **state)
{
	static const struct {
		const char *name;
		const char *words[WORDS_MAX];
		bool json, verbose;
		const char *config;
		const char *to;
		const char *arguments;
	} cases[] = {
		{ "nothing", { NULL }, false, false, "", "", "" },
		{ "long value apart", { "--config", "f" }, false, false, "f", "", "" },
		{ "long value attached", { "--config=f" }, false, false, "f", "", "" },
		{ "long value attached and empty", { "--config=" }, false, false, "", "", "" },
		{ "value with equals", { "--config=a=b" }, false, false, "a=b", "", "" },
		{ "letter value apart", { "-c", "f" }, false, false, "f", "", "" },
		{ "letter value attached", { "-cf" }, false, false, "f", "", "" },
		{ "bundle", { "-vcf" }, false, true, "f", "", "" },
		{ "last value wins", { "-ca", "--config", "b" }, false, false, "b", "", "" },
		{ "a list keeps all", { "--to", "a", "-tb", "--to=c" }, false, false, "", "a b c ", "" },
		{ "options behind arguments", { "x", "--json", "y" }, true, false, "", "", "x y " },
		{ "two dashes end options", { "--json", "--", "--config", "-v" }, true, false, "", "", "--config -v " },
		{ "one dash is an argument", { "-" }, false, false, "", "", "- " },
		{ "a value that begins with a dash", { "--config", "-v" }, false, false, "-v", "", "" },
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct result got;
		struct buf to = { 0 };
		struct buf arguments = { 0 };
		assert_err(cases[i].name, run(cases[i].words, &got), ERR_OK);
		for (size_t j = 0; j < got.to.count; j++)
			assert_int_equal(buf_append_format(&to, "%s ", got.to.items[j]), ERR_OK);
		for (size_t j = 0; j < got.words.count; j++)
			assert_int_equal(buf_append_format(&arguments, "%s ", got.words.items[j]), ERR_OK);
		assert_text(cases[i].name, view_from_cstr(got.config), cases[i].config);
		assert_text(cases[i].name, buf_view(&to), cases[i].to);
		assert_text(cases[i].name, buf_view(&arguments), cases[i].arguments);
		assert_int_equal(got.json, cases[i].json);
		assert_int_equal(got.verbose, cases[i].verbose);
		assert_false(got.help);
		buf_clear(&to);
		buf_clear(&arguments);
	}
}

static void test_refused(void **state)
{
	static const struct {
		const char *name;
		const char *words[WORDS_MAX];
		const char *sentence;
	} cases[] = {
		{ "near a name", { "--jsn" }, "unknown option --jsn, did you mean --json?" },
		{ "near nothing", { "--frobnicate" }, "unknown option --frobnicate (see --help)" },
		{ "unknown letter", { "-x" }, "unknown option -x (see --help)" },
		{ "unknown letter in a bundle", { "-vx" }, "unknown option -x (see --help)" },
		{ "odd letter", { "-\xc3\xa4" }, "unknown option -? (see --help)" },
		{ "value missing", { "--config" }, "--config needs a value: --config FILE" },
		{ "letter's value missing", { "-vc" }, "-c needs a value: -c FILE" },
		{ "flag with value", { "--json=yes" }, "--json takes no value" },
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct result got;
		assert_err(cases[i].name, run(cases[i].words, &got), ERR_SYNTAX);
		assert_text(cases[i].name, view_from_cstr(err_detail()), cases[i].sentence);
	}
}

static void test_help(void **state)
{
	(void)state;
	struct result got;
	assert_err("--help", run((const char *const[WORDS_MAX]){ "a", "--help", "--unknown" }, &got), ERR_OK);
	assert_true(got.help);
	assert_err("-h", run((const char *const[WORDS_MAX]){ "-h" }, &got), ERR_OK);
	assert_true(got.help);
	assert_err("behind --", run((const char *const[WORDS_MAX]){ "--", "--help" }, &got), ERR_OK);
	assert_false(got.help);
}

static void test_too_many(void **state)
{
	(void)state;
	char word[] = "w";
	char *argv[OPTION_LIST_MAX + 2];
	for (size_t i = 0; i < COUNT_OF(argv); i++)
		argv[i] = word;
	const struct usage usage = { "x", "", 0, NULL };
	struct option_list words = { 0 };
	bool help = false;
	assert_err("as many as fit", options_read(&usage, OPTION_LIST_MAX + 1, argv, &words, &help), ERR_OK);
	assert_int_equal(words.count, OPTION_LIST_MAX);
	words.count = 0;
	assert_err("one more", options_read(&usage, OPTION_LIST_MAX + 2, argv, &words, &help), ERR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_help),
		cmocka_unit_test(test_too_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
