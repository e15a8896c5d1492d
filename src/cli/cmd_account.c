#include "cli/admin_client.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/question.h"

#include "crypto/password.h"

/* Asks for the password and puts its hash into the arguments; the password itself goes no further than this function. */
static enum err add_hash(const char *address, json_t *arguments)
{
	char prompt[200];
	struct buf password = { 0 };
	struct buf hash = { 0 };
	snprintf(prompt, sizeof prompt, "Password for %s", address);
	enum err err = cli_read_password(prompt, true, &password);
	if (err == ERR_OK)
		err = password_hash(buf_view(&password), &hash);
	cli_forget(&password);
	if (err == ERR_OK)
		json_object_set_new(arguments, "password_hash", json_string(buf_cstr(&hash)));
	buf_clear(&hash);
	return err;
}

static int run(const char *command, const char *config_path, json_t *arguments, bool json, const char *done)
{
	json_t *result = NULL;
	int code = admin_client_once(config_path, command, arguments, &result);
	if (code >= 0)
		return code;
	if (json)
		cli_print_json(result);
	else
		printf("%s: %s\n", cli_text(json_object_get(result, "address")), done);
	json_decref(result);
	return EX_OK;
}

static int add(int argc, char **argv)
{
	const char *config_path = NULL;
	bool json = false;
	bool no_password = false;
	const struct option_spec options[] = {
		{ .name = "no-password", .help = "a mailbox that nobody can log in to", .ret_flag = &no_password },
		CLI_CONFIG_OPTION(&config_path),
		CLI_JSON_OPTION(&json),
	};
	const struct usage usage = {
		.synopsis = "postrider account add ADDRESS [--no-password] [--config FILE] [--json]",
		.text = "Makes a mailbox. The password is asked for, or read from the first line of standard input:\n"
			"    echo 'the password' | postrider account add anna@example.com\n"
			"The domain must be one of ours (postrider domain add).\n",
		.option_count = sizeof options / sizeof options[0],
		.options = options,
	};
	struct option_list words;
	int code = cli_options(&usage, argc, argv, 1, 1, &words);
	if (code >= 0)
		return code;
	json_t *arguments = json_pack("{s:o}", "address", cli_json_text(words.items[0]));
	enum err err = no_password ? ERR_OK : add_hash(words.items[0], arguments);
	if (err != ERR_OK) {
		json_decref(arguments);
		return cli_fail(err);
	}
	return run("account.add", config_path, arguments, json, "added");
}

static int password(int argc, char **argv)
{
	const char *config_path = NULL;
	bool json = false;
	bool no_password = false;
	const struct option_spec options[] = {
		{ .name = "no-password", .help = "nobody can log in any more", .ret_flag = &no_password },
		CLI_CONFIG_OPTION(&config_path),
		CLI_JSON_OPTION(&json),
	};
	const struct usage usage = {
		.synopsis = "postrider account password ADDRESS [--no-password] [--config FILE] [--json]",
		.text = "Sets an account's password; it is asked for, or read from the first line of standard input.\n",
		.option_count = sizeof options / sizeof options[0],
		.options = options,
	};
	struct option_list words;
	int code = cli_options(&usage, argc, argv, 1, 1, &words);
	if (code >= 0)
		return code;
	json_t *arguments = json_pack("{s:o, s:s}", "address", cli_json_text(words.items[0]), "password_hash", "");
	enum err err = no_password ? ERR_OK : add_hash(words.items[0], arguments);
	if (err != ERR_OK) {
		json_decref(arguments);
		return cli_fail(err);
	}
	return run("account.password", config_path, arguments, json, no_password ? "no password" : "password set");
}

static void print_removed(const json_t *result, const struct option_list *words)
{
	(void)words;
	printf("%s: removed (its mail stays on disk)\n", question_text(result, "address"));
}

static int remove_account(int argc, char **argv)
{
	static const struct question question = {
		.command = "account.remove",
		.synopsis = "postrider account remove ADDRESS [--config FILE] [--json]",
		.text = "Removes an account. Its mail stays on disk, in the mail folder.\n",
		.min = 1,
		.max = 1,
		.pack = question_address,
		.print = print_removed,
	};
	return question_run(&question, argc, argv);
}

static void print_list(const json_t *result, const struct option_list *words)
{
	const json_t *accounts = json_object_get(result, "accounts");
	(void)words;
	for (size_t i = 0; i < json_array_size(accounts); i++) {
		const json_t *account = json_array_get(accounts, i);
		bool can_log_in = json_is_true(json_object_get(account, "can_log_in"));
		printf("%s%s\n", question_text(account, "address"), can_log_in ? "" : "  (no password)");
	}
}

static int list(int argc, char **argv)
{
	static const struct question question = {
		.command = "account.list",
		.synopsis = "postrider account list [DOMAIN] [--config FILE] [--json]",
		.text = "Lists the accounts, one a line.\n",
		.max = 1,
		.pack = question_domain,
		.print = print_list,
	};
	return question_run(&question, argc, argv);
}

int cmd_account(int argc, char **argv)
{
	static const struct subcommand subcommands[] = {
		{ "add", add, "make a mailbox" },
		{ "remove", remove_account, "remove it; its mail stays on disk" },
		{ "list", list, "list the accounts" },
		{ "password", password, "set a password" },
	};
	return cli_group("account", sizeof subcommands / sizeof subcommands[0], subcommands, argc, argv);
}
