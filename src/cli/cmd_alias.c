#include "cli/admin_client.h"
#include "cli/cli.h"
#include "cli/commands.h"

static void print_alias(const json_t *alias)
{
	const json_t *targets = json_object_get(alias, "targets");
	printf("%s:", cli_text(json_object_get(alias, "alias")));
	for (size_t i = 0; i < json_array_size(targets); i++)
		printf("%s %s", i > 0 ? "," : "", cli_text(json_array_get(targets, i)));
	putchar('\n');
}

/* {"alias": first word, "targets": the others} */
static json_t *pack(const struct option_list *words)
{
	json_t *arguments = json_pack("{s:o}", "alias", cli_json_text(words->items[0]));
	json_t *targets = json_array();
	for (size_t i = 1; i < words->count; i++)
		json_array_append_new(targets, cli_json_text(words->items[i]));
	if (json_array_size(targets) > 0)
		json_object_set(arguments, "targets", targets);
	json_decref(targets);
	return arguments;
}

static int add(int argc, char **argv)
{
	const char *config_path = NULL;
	bool json = false;
	const struct option_spec options[] = { CLI_CONFIG_OPTION(&config_path), CLI_JSON_OPTION(&json) };
	const struct usage usage = {
		.synopsis = "postrider alias add ALIAS TARGET... [--config FILE] [--json]",
		.text = "Leads mail for ALIAS to the targets, here or elsewhere. Further targets can be added later.\n"
			"ALIAS is name@domain, or @domain for everything there that has no mailbox or alias of its "
			"own.\n",
		.option_count = sizeof options / sizeof options[0],
		.options = options,
	};
	struct option_list words;
	json_t *result = NULL;
	int code = cli_options(&usage, argc, argv, 2, OPTION_LIST_MAX, &words);
	if (code < 0)
		code = admin_client_once(config_path, "alias.add", pack(&words), &result);
	if (code >= 0)
		return code;
	if (json)
		cli_print_json(result);
	else
		print_alias(result);
	json_decref(result);
	return EX_OK;
}

static int remove_alias(int argc, char **argv)
{
	const char *config_path = NULL;
	bool json = false;
	const struct option_spec options[] = { CLI_CONFIG_OPTION(&config_path), CLI_JSON_OPTION(&json) };
	const struct usage usage = {
		.synopsis = "postrider alias remove ALIAS [TARGET...] [--config FILE] [--json]",
		.text = "Removes an alias, or only the targets that are named.\n",
		.option_count = sizeof options / sizeof options[0],
		.options = options,
	};
	struct option_list words;
	json_t *result = NULL;
	int code = cli_options(&usage, argc, argv, 1, OPTION_LIST_MAX, &words);
	if (code < 0)
		code = admin_client_once(config_path, "alias.remove", pack(&words), &result);
	if (code >= 0)
		return code;
	if (json)
		cli_print_json(result);
	else
		printf("%s: %s\n", cli_text(json_object_get(result, "alias")),
			words.count > 1 ? "targets removed" : "removed");
	json_decref(result);
	return EX_OK;
}

static int list(int argc, char **argv)
{
	const char *config_path = NULL;
	bool json = false;
	const struct option_spec options[] = { CLI_CONFIG_OPTION(&config_path), CLI_JSON_OPTION(&json) };
	const struct usage usage = {
		.synopsis = "postrider alias list [DOMAIN] [--config FILE] [--json]",
		.text = "Lists the aliases and where they lead.\n",
		.option_count = sizeof options / sizeof options[0],
		.options = options,
	};
	struct option_list words;
	json_t *result = NULL;
	int code = cli_options(&usage, argc, argv, 0, 1, &words);
	if (code < 0)
		code = admin_client_once(config_path, "alias.list",
			words.count > 0 ? json_pack("{s:o}", "domain", cli_json_text(words.items[0])) : NULL, &result);
	if (code >= 0)
		return code;
	const json_t *aliases = json_object_get(result, "aliases");
	for (size_t i = 0; !json && i < json_array_size(aliases); i++)
		print_alias(json_array_get(aliases, i));
	if (json)
		cli_print_json(result);
	json_decref(result);
	return EX_OK;
}

int cmd_alias(int argc, char **argv)
{
	static const struct subcommand subcommands[] = {
		{ "add", add, "lead an address to others" },
		{ "remove", remove_alias, "remove an alias or some of its targets" },
		{ "list", list, "list the aliases" },
	};
	return cli_group("alias", sizeof subcommands / sizeof subcommands[0], subcommands, argc, argv);
}
