/* Setting a server up: two commands from nothing to a running server, this is the first. */
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/init_plan.h"

static const char usage_text[] =
	"Sets a server up: a configuration file with every key explained, a self-signed certificate, the folders with\n"
	"the right owners, the first domain and account. On a terminal it asks for what is not given; elsewhere the\n"
	"account's password is the first line of standard input. Nothing that exists is overwritten without --force.\n";

int cmd_init(int argc, char **argv)
{
	struct init_plan plan = { 0 };
	const struct option_spec options[] = {
		{ .name = "hostname",
			.value_name = "NAME",
			.help = "this server's full name",
			.ret_value = &plan.hostname },
		{ .name = "data",
			.value_name = "FOLDER",
			.help = "queue, directory and mail",
			.ret_value = &plan.data },
		{ .name = "domain", .value_name = "DOMAIN", .help = "take mail for it", .ret_value = &plan.domain },
		{ .name = "account", .value_name = "ADDRESS", .help = "the first mailbox", .ret_value = &plan.account },
		{ .name = "certificate",
			.value_name = "FILE",
			.help = "use this one, with --key",
			.ret_value = &plan.certificate },
		{ .name = "key",
			.value_name = "FILE",
			.help = "the certificate's private key",
			.ret_value = &plan.key },
		{ .name = "user",
			.value_name = "NAME",
			.help = "user to run as when started as root",
			.ret_value = &plan.user },
		{ .name = "high-ports",
			.help = "ports that need no root: 8025, 8587, 8465",
			.ret_flag = &plan.high_ports },
		{ .name = "force", .letter = 'f', .help = "overwrite what is there", .ret_flag = &plan.force },
		CLI_CONFIG_OPTION(&plan.config),
	};
	const struct usage usage = {
		.synopsis = "postrider init [--hostname NAME] [--domain DOMAIN] [--account ADDRESS] [--data FOLDER] "
			    "[--config FILE]",
		.text = usage_text,
		.option_count = sizeof options / sizeof options[0],
		.options = options,
	};
	struct option_list words;
	int code = cli_options(&usage, argc, argv, 0, 0, &words);
	if (code >= 0)
		return code;
	enum err err = init_plan_complete(&plan);
	if (err == ERR_OK)
		err = init_plan_carry_out(&plan);
	code = err == ERR_OK ? EX_OK : cli_fail(err);
	if (err == ERR_OK)
		init_plan_tell_next(&plan);
	init_plan_clear(&plan);
	return code;
}
