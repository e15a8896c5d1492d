#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/question.h"

static void print_alias(const json_t *alias)
{
	const json_t *targets = json_object_get(alias, "targets");
	printf("%s:", question_text(alias, "alias"));
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

static void print_added(const json_t *result, const struct option_list *words)
{
	(void)words;
	print_alias(result);
}

static int add(int argc, char **argv)
{
	static const struct question question = {
		.command = "alias.add",
		.synopsis = "postrider alias add ALIAS TARGET... [--config FILE] [--json]",
		.text = "Leads mail for ALIAS to the targets, here or elsewhere. Further targets can be added later.\n"
			"ALIAS is name@domain, or @domain for everything there that has no mailbox or alias of its "
			"own.\n",
		.min = 2,
		.max = OPTION_LIST_MAX,
		.pack = pack,
		.print = print_added,
	};
	return question_run(&question, argc, argv);
}

static void print_removed(const json_t *result, const struct option_list *words)
{
	printf("%s: %s\n", question_text(result, "alias"), words->count > 1 ? "targets removed" : "removed");
}

static int remove_alias(int argc, char **argv)
{
	static const struct question question = {
		.command = "alias.remove",
		.synopsis = "postrider alias remove ALIAS [TARGET...] [--config FILE] [--json]",
		.text = "Removes an alias, or only the targets that are named.\n",
		.min = 1,
		.max = OPTION_LIST_MAX,
		.pack = pack,
		.print = print_removed,
	};
	return question_run(&question, argc, argv);
}

static void print_list(const json_t *result, const struct option_list *words)
{
	const json_t *aliases = json_object_get(result, "aliases");
	(void)words;
	for (size_t i = 0; i < json_array_size(aliases); i++)
		print_alias(json_array_get(aliases, i));
}

static int list(int argc, char **argv)
{
	static const struct question question = {
		.command = "alias.list",
		.synopsis = "postrider alias list [DOMAIN] [--config FILE] [--json]",
		.text = "Lists the aliases and where they lead.\n",
		.max = 1,
		.pack = question_domain,
		.print = print_list,
	};
	return question_run(&question, argc, argv);
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
