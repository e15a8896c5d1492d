#include "cli/admin_client.h"
#include "cli/cli.h"
#include "cli/commands.h"

#include <stdio.h>
#include <string.h>

#define PAGE 500

static long long number(const json_t *row, const char *name)
{
	return (long long)json_integer_value(json_object_get(row, name));
}

/* One address a line: how often, why at last, when. */
static void print_row(const json_t *row)
{
	printf("%s  hard %lld, soft %lld, complaints %lld  %s at %s: %s\n", cli_text(json_object_get(row, "address")),
		number(row, "hard"), number(row, "soft"), number(row, "complaints"),
		cli_text(json_object_get(row, "last_class")), cli_time(number(row, "last_ms")).text,
		cli_text(json_object_get(row, "last_text")));
}

/* All pages, one after another: the list may be longer than one answer. */
static enum err print_pages(const struct config *config, bool hard, bool json)
{
	struct admin_client client;
	json_t *after = NULL;
	enum err err = ERR_OK;
	admin_client_init(&client, config);
	for (bool more = true; more && err == ERR_OK;) {
		json_t *arguments = json_pack("{s:i, s:b}", "limit", PAGE, "hard", hard), *result = NULL;
		if (after != NULL)
			json_object_set(arguments, "after", after);
		err = admin_client_call(&client, "bounces.list", arguments, &result);
		const json_t *rows = json_object_get(result, "bounces");
		size_t count = json_array_size(rows);
		for (size_t i = 0; i < count; i++)
			if (json)
				cli_print_json(json_array_get(rows, i));
			else
				print_row(json_array_get(rows, i));
		json_decref(after);
		after = count > 0 ? json_incref(json_object_get(json_array_get(rows, count - 1), "address")) : NULL;
		more = count == PAGE;
		json_decref(result);
	}
	json_decref(after);
	admin_client_clear(&client);
	return err;
}

static int list(int argc, char **argv)
{
	const char *config_path = NULL;
	bool json = false, hard = false;
	const struct option_spec options[] = {
		{ .name = "hard", .help = "only addresses that do not work", .ret_flag = &hard },
		CLI_CONFIG_OPTION(&config_path),
		CLI_JSON_OPTION(&json),
	};
	const struct usage usage = {
		.synopsis = "postrider bounces list [--hard] [--config FILE] [--json]",
		.text = "Lists the recipients whose mail came back: how often for good (hard), how often for reasons "
			"that may pass "
			"(soft), how often they complained,\n"
			"and what was said last. With --json one object a line.\n",
		.option_count = sizeof options / sizeof options[0],
		.options = options,
	};
	struct option_list words;
	int code = cli_options(&usage, argc, argv, 0, 0, &words);
	if (code >= 0)
		return code;
	struct config *config = cli_load_config(config_path, &code);
	if (config == NULL)
		return code;
	enum err err = print_pages(config, hard, json);
	config_unref(config);
	return err == ERR_OK ? EX_OK : cli_fail(err);
}

static int show(int argc, char **argv)
{
	const char *config_path = NULL;
	bool json = false;
	const struct option_spec options[] = { CLI_CONFIG_OPTION(&config_path), CLI_JSON_OPTION(&json) };
	const struct usage usage = {
		.synopsis = "postrider bounces show ADDRESS [--config FILE] [--json]",
		.text = "Tells what is known of one recipient.\n",
		.option_count = sizeof options / sizeof options[0],
		.options = options,
	};
	struct option_list words;
	json_t *result = NULL;
	int code = cli_options(&usage, argc, argv, 1, 1, &words);
	if (code < 0)
		code = admin_client_once(config_path, "bounces.show",
			json_pack("{s:o}", "address", cli_json_text(words.items[0])), &result);
	if (code >= 0)
		return code;
	const json_t *row = json_object_get(result, "bounce");
	if (json)
		cli_print_json(row);
	else
		print_row(row);
	json_decref(result);
	return EX_OK;
}

static int forget(int argc, char **argv)
{
	const char *config_path = NULL;
	const struct option_spec options[] = { CLI_CONFIG_OPTION(&config_path) };
	const struct usage usage = {
		.synopsis = "postrider bounces forget ADDRESS [--config FILE]",
		.text = "Forgets what is known of one recipient.\n",
		.option_count = sizeof options / sizeof options[0],
		.options = options,
	};
	struct option_list words;
	json_t *result = NULL;
	int code = cli_options(&usage, argc, argv, 1, 1, &words);
	if (code < 0)
		code = admin_client_once(config_path, "bounces.forget",
			json_pack("{s:o}", "address", cli_json_text(words.items[0])), &result);
	if (code >= 0)
		return code;
	json_decref(result);
	printf("%s is forgotten\n", words.items[0]);
	return EX_OK;
}

int cmd_bounces(int argc, char **argv)
{
	static const struct subcommand subcommands[] = {
		{ "list", list, "recipients whose mail came back" },
		{ "show", show, "what is known of one" },
		{ "forget", forget, "forget one" },
	};
	return cli_group("bounces", sizeof subcommands / sizeof subcommands[0], subcommands, argc, argv);
}
