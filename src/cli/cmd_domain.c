#include "cli/admin_client.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/question.h"

static int change(const char *command, const char *synopsis, const char *text, const char *done, int argc, char **argv)
{
	const char *config_path = NULL;
	bool json = false;
	const struct option_spec options[] = { CLI_CONFIG_OPTION(&config_path), CLI_JSON_OPTION(&json) };
	const struct usage usage = { synopsis, text, sizeof options / sizeof options[0], options };
	struct option_list arguments;
	int code = cli_options(&usage, argc, argv, 1, OPTION_LIST_MAX, &arguments);
	for (size_t i = 0; code < 0 && i < arguments.count; i++) {
		json_t *result = NULL;
		code = admin_client_once(
			config_path, command, json_pack("{s:o}", "domain", cli_json_text(arguments.items[i])), &result);
		if (code >= 0)
			break;
		if (json)
			cli_print_json(result);
		else
			printf("%s: %s\n", cli_text(json_object_get(result, "domain")), done);
		json_decref(result);
	}
	return code < 0 ? EX_OK : code;
}

static int add(int argc, char **argv)
{
	return change("domain.add", "postrider domain add DOMAIN... [--config FILE] [--json]",
		"Makes this server take mail for these domains. Names with umlauts and the like are fine.\n", "added",
		argc, argv);
}

static int remove_domain(int argc, char **argv)
{
	return change("domain.remove", "postrider domain remove DOMAIN... [--config FILE] [--json]",
		"Stops taking mail for these domains. Their accounts and aliases must be removed first.\n", "removed",
		argc, argv);
}

static void print_list(const json_t *result, const struct option_list *words)
{
	const json_t *domains = json_object_get(result, "domains");
	(void)words;
	for (size_t i = 0; i < json_array_size(domains); i++)
		puts(cli_text(json_array_get(domains, i)));
	if (json_array_size(domains) == 0)
		fputs("There are no domains yet: postrider domain add example.com\n", stderr);
}

static int list(int argc, char **argv)
{
	static const struct question question = {
		.command = "domain.list",
		.synopsis = "postrider domain list [--config FILE] [--json]",
		.text = "Lists the domains that this server takes mail for, one a line.\n",
		.print = print_list,
	};
	return question_run(&question, argc, argv);
}

int cmd_domain(int argc, char **argv)
{
	static const struct subcommand subcommands[] = {
		{ "add", add, "take mail for a domain" },
		{ "remove", remove_domain, "stop taking mail for it" },
		{ "list", list, "list our domains" },
	};
	return cli_group("domain", sizeof subcommands / sizeof subcommands[0], subcommands, argc, argv);
}
