#include "cli/cli.h"
#include "cli/commands.h"

/* OpenSSL has a type of this name. */
#define ERR_STATE OPENSSL_ERR_STATE
#include <openssl/crypto.h>
#undef ERR_STATE
#include <sqlite3.h>

int cmd_version(int argc, char **argv)
{
	bool json = false;
	const struct option_spec options[] = { CLI_JSON_OPTION(&json) };
	const struct usage usage = {
		.synopsis = "postrider version [--json]",
		.text = "Prints the version, and those of the libraries that matter to security.\n",
		.option_count = sizeof options / sizeof options[0],
		.options = options,
	};
	struct option_list arguments;
	int code = cli_options(&usage, argc, argv, 0, 0, &arguments);
	if (code >= 0)
		return code;
	if (json) {
		json_t *out = json_pack("{s:s, s:s, s:s}", "postrider", POSTRIDER_VERSION, "openssl",
			OpenSSL_version(OPENSSL_VERSION_STRING), "sqlite", sqlite3_libversion());
		cli_print_json(out);
		json_decref(out);
	} else {
		printf("postrider %s (OpenSSL %s, SQLite %s)\n", POSTRIDER_VERSION,
			OpenSSL_version(OPENSSL_VERSION_STRING), sqlite3_libversion());
	}
	return EX_OK;
}
