#include "cli/cli.h"
#include "cli/commands.h"
#include "service/server.h"

int cmd_serve(int argc, char **argv)
{
	const char *config_path = NULL;
	const struct option_spec options[] = { CLI_CONFIG_OPTION(&config_path) };
	const struct usage usage = {
		.synopsis = "postrider serve [--config FILE]",
		.text = "Runs the server in the foreground until SIGTERM or Ctrl-C. SIGHUP (or: postrider reload) "
			"applies a\n"
			"changed configuration without dropping a connection. Started as root it binds its ports and "
			"then runs\n"
			"as the configured user.\n",
		.option_count = sizeof options / sizeof options[0],
		.options = options,
	};
	struct option_list arguments;
	int code = cli_options(&usage, argc, argv, 0, 0, &arguments);
	return code >= 0 ? code : server_run(config_default_path(config_path));
}
