#include "cli/question.h"

#include "cli/admin_client.h"

#define DAYS_MAX 100000u

const char *question_text(const json_t *object, const char *key)
{
	return cli_text(json_object_get(object, key));
}

long long question_number(const json_t *object, const char *key)
{
	return (long long)json_integer_value(json_object_get(object, key));
}

static json_t *first_word(const char *key, const struct option_list *words)
{
	return words->count > 0 ? json_pack("{s:o}", key, cli_json_text(words->items[0])) : NULL;
}

json_t *question_domain(const struct option_list *words)
{
	return first_word("domain", words);
}

json_t *question_address(const struct option_list *words)
{
	return first_word("address", words);
}

static int read_days(const char *days, uint64_t *ret)
{
	if (days == NULL || (view_parse_u64(view_from_cstr(days), DAYS_MAX, ret) == ERR_OK && *ret > 0))
		return -1;
	cli_error("--days takes a number above 0, not '%s'", days);
	return EX_USAGE;
}

int question_run(const struct question *question, int argc, char **argv)
{
	const char *config_path = NULL, *days = NULL;
	bool json = false;
	uint64_t day_count = 0;
	const struct option_spec options[] = { CLI_CONFIG_OPTION(&config_path), CLI_JSON_OPTION(&json),
		{ .name = "days",
			.letter = 'd',
			.value_name = "N",
			.help = "look back so many days (30)",
			.ret_value = &days } };
	const struct usage usage = {
		.synopsis = question->synopsis,
		.text = question->text,
		.option_count = sizeof options / sizeof options[0] - (question->has_days ? 0 : 1),
		.options = options,
	};
	struct option_list words;
	json_t *result = NULL;
	int code = cli_options(&usage, argc, argv, question->min, question->max, &words);
	if (code < 0)
		code = read_days(days, &day_count);
	if (code >= 0)
		return code;
	json_t *arguments = question->pack != NULL ? question->pack(&words) : NULL;
	if (day_count > 0)
		json_object_set_new(arguments, "days", json_integer((json_int_t)day_count));
	code = admin_client_once(config_path, question->command, arguments, &result);
	if (code >= 0)
		return code;
	if (json)
		cli_print_json(result);
	else
		question->print(result, &words);
	json_decref(result);
	return EX_OK;
}
