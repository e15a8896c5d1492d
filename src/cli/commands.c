#include "cli/commands.h"

#include "cli/cli.h"

#include <string.h>
#include <unistd.h>

#define COMMAND(name, run, summary)                                                                                    \
	{                                                                                                              \
		name, run, summary                                                                                     \
	}

/* One a line: tools/manual_check reads them. */
const struct command commands[] = {
	COMMAND("init", cmd_init, "set a server up: configuration, certificate, folders, first domain and account"),
	COMMAND("check", cmd_check, "say whether the configuration is fine"),
	COMMAND("serve", cmd_serve, "run the server"),
	COMMAND("reload", cmd_reload, "make the running server read its configuration again"),
	COMMAND("domain", cmd_domain, "add, remove or list the domains that we take mail for"),
	COMMAND("account", cmd_account, "add, remove or list mailboxes, and set their passwords"),
	COMMAND("alias", cmd_alias, "add, remove or list addresses that lead to others"),
	COMMAND("dkim", cmd_dkim, "make, list, publish and rotate the keys that sign mail"),
	COMMAND("doctor", cmd_doctor, "compare a domain's published records, and its server, with what they should be"),
	COMMAND("dns", cmd_dns, "print the DNS records that a domain needs"),
	COMMAND("bounces", cmd_bounces, "list the recipients whose mail came back, and why"),
	COMMAND("dmarc", cmd_dmarc, "tell who sends as a domain, by the reports of others"),
	COMMAND("reports", cmd_reports, "send, list and sum up daily reports about authentication and TLS"),
	COMMAND("queue", cmd_queue, "list, show, retry, hold, release or remove mail that waits"),
	COMMAND("shaping", cmd_shaping, "test, check or list the rules for sites that we send to"),
	COMMAND("stream", cmd_stream, "list streams of mail and the addresses they send from"),
	COMMAND("trace", cmd_trace, "tell the whole life of one message"),
	COMMAND("send", cmd_send, "write and send a message, with attachments, to any server"),
	COMMAND("sendmail", cmd_sendmail, "take a message from a program, as the old sendmail did"),
	COMMAND("version", cmd_version, "print the version"),
	COMMAND("help", cmd_help, "explain a command"),
};
const size_t command_count = sizeof commands / sizeof commands[0];

void commands_print(void)
{
	for (size_t i = 0; i < command_count; i++)
		printf("  %-10s %s\n", commands[i].name, commands[i].summary);
}

/* For somebody who has just installed it: the next step, by what is there already. */
static int newcomer(void)
{
	const char *path = config_default_path(NULL);
	bool configured = access(path, F_OK) == 0;
	puts("Postrider is a mail server: it takes mail from programs and people, keeps it safely and delivers it.\n");
	if (!configured) {
		printf("There is no configuration yet (%s). To set a server up:\n\n", path);
		puts("  postrider init             asks a few questions and writes everything that is needed");
		puts("  postrider serve            runs it\n");
	} else {
		printf("The configuration is %s. What you may want next:\n\n", path);
		puts("  postrider check            is the configuration fine?");
		puts("  postrider serve            run the server (or: systemctl start postrider)");
		puts("  postrider account add you@your.domain");
		puts("  postrider doctor your.domain");
		puts("                             is its mail found and believed? (postrider dns prints what to "
		     "publish)");
		puts("  postrider queue list       what waits, and why\n");
	}
	puts("All commands (each has its own --help):\n");
	commands_print();
	return EX_OK;
}

static int unknown(const char *name)
{
	const char *names[32];
	for (size_t i = 0; i < command_count; i++)
		names[i] = commands[i].name;
	const char *near = options_nearest(name, command_count, names);
	if (near != NULL)
		cli_error("there is no command '%s', did you mean '%s'?", name, near);
	else
		cli_error("there is no command '%s' (see: postrider help)", name);
	return EX_USAGE;
}

int commands_new_aliases(void)
{
	puts("Aliases are kept in the store and hold at once: postrider alias add ALIAS TARGET. There is nothing to "
	     "rebuild.");
	return EX_OK;
}

int commands_main(int argc, char **argv)
{
	const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
	const char *called = slash != NULL ? slash + 1 : argc > 0 ? argv[0] : "postrider";
	if (strcmp(called, "sendmail") == 0)
		return cmd_sendmail(argc, argv);
	if (strcmp(called, "newaliases") == 0)
		return commands_new_aliases();
	if (strcmp(called, "mailq") == 0) {
		char *list[] = { argv[0], (char[]){ "list" }, NULL };
		return cmd_queue(2, list);
	}
	if (argc < 2)
		return newcomer();
	const char *name = argv[1];
	if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
		name = "version";
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		name = "help";
	for (size_t i = 0; i < command_count; i++)
		if (strcmp(name, commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	return unknown(name);
}
