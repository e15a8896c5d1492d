#include "cli/admin_client.h"
#include "cli/cli.h"
#include "cli/commands.h"

static const char *text(const json_t *object, const char *key)
{
	return cli_text(json_object_get(object, key));
}

static json_int_t number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static int send_reports(int argc, char **argv)
{
	const char *config_path = NULL, *day = NULL;
	bool json = false;
	const struct option_spec options[] = { CLI_CONFIG_OPTION(&config_path), CLI_JSON_OPTION(&json),
		{ .name = "day",
			.letter = 'd',
			.value_name = "YYYY-MM-DD",
			.help = "up to this day (yesterday)",
			.ret_value = &day } };
	const struct usage usage = {
		.synopsis = "postrider reports send [--day YYYY-MM-DD] [--config FILE] [--json]",
		.text = "Makes the running server send the DMARC and TLS reports of the days up to this one now, "
			"instead of when\nthey are due. Today's are about the day as far as it went. Days begin at "
			"midnight UTC.\n",
		.option_count = sizeof options / sizeof options[0],
		.options = options,
	};
	struct option_list words;
	json_t *result = NULL;
	int code = cli_options(&usage, argc, argv, 0, 0, &words);
	if (code < 0)
		code = admin_client_once(config_path, "reports.send",
			day != NULL ? json_pack("{s:o}", "day", cli_json_text(day)) : NULL, &result);
	if (code >= 0)
		return code;
	if (json)
		cli_print_json(result);
	else
		printf("The reports of the days up to %s are being made.\n", text(result, "day"));
	json_decref(result);
	return EX_OK;
}

static int list(int argc, char **argv)
{
	const char *config_path = NULL;
	bool json = false;
	const struct option_spec options[] = { CLI_CONFIG_OPTION(&config_path), CLI_JSON_OPTION(&json) };
	const struct usage usage = {
		.synopsis = "postrider reports list [--config FILE] [--json]",
		.text = "Lists what has been noted for reports that are not sent yet: kind, day, domain.\n",
		.option_count = sizeof options / sizeof options[0],
		.options = options,
	};
	struct option_list words;
	json_t *result = NULL;
	int code = cli_options(&usage, argc, argv, 0, 0, &words);
	if (code < 0)
		code = admin_client_once(config_path, "reports.list", NULL, &result);
	if (code >= 0)
		return code;
	const json_t *waiting = json_object_get(result, "waiting");
	for (size_t i = 0; !json && i < json_array_size(waiting); i++) {
		const json_t *one = json_array_get(waiting, i);
		printf("%-5s %s  %s\n", text(one, "kind"), text(one, "day"), text(one, "domain"));
	}
	if (json)
		cli_print_json(result);
	json_decref(result);
	return EX_OK;
}

static void print_tls(const json_t *result)
{
	const json_t *reporters = json_object_get(result, "reporters"), *failures = json_object_get(result, "failures");
	if (json_array_size(reporters) == 0) {
		printf("Nobody reported about TLS with %s in the last %lld days. Does its TLSRPT record name the "
		       "reports mailbox (rua=)?\n",
			text(result, "domain"), (long long)number(result, "days"));
		return;
	}
	printf("%-32s %-16s %10s %10s\n", "reported by", "policy", "successes", "failures");
	for (size_t i = 0; i < json_array_size(reporters); i++) {
		const json_t *r = json_array_get(reporters, i);
		printf("%-32s %-16s %10lld %10lld\n", text(r, "organization"), text(r, "policy_type"),
			(long long)number(r, "successes"), (long long)number(r, "failures"));
	}
	for (size_t i = 0; i < json_array_size(failures); i++) {
		const json_t *f = json_array_get(failures, i);
		printf("%s%s  %lld sessions", i == 0 ? "\n" : "", text(f, "result"), (long long)number(f, "sessions"));
		printf("  %s", text(f, "host"));
		printf("[%s]", text(f, "receiving_ip"));
		printf("  %s\n", text(f, "reason"));
	}
}

static int tls(int argc, char **argv)
{
	const char *config_path = NULL, *days = NULL;
	bool json = false;
	uint64_t count = 30;
	const struct option_spec options[] = { CLI_CONFIG_OPTION(&config_path), CLI_JSON_OPTION(&json),
		{ .name = "days",
			.letter = 'd',
			.value_name = "N",
			.help = "look back so many days (30)",
			.ret_value = &days } };
	const struct usage usage = {
		.synopsis = "postrider reports tls DOMAIN [--days N] [--config FILE] [--json]",
		.text = "Sums up what others report about TLS with the mail servers of DOMAIN (RFC 8460).\n",
		.option_count = sizeof options / sizeof options[0],
		.options = options,
	};
	struct option_list words;
	json_t *result = NULL;
	int code = cli_options(&usage, argc, argv, 1, 1, &words);
	if (code < 0 && days != NULL &&
		(view_parse_u64(view_from_cstr(days), 100000, &count) != ERR_OK || count == 0)) {
		cli_error("--days takes a number above 0, not '%s'", days);
		code = EX_USAGE;
	}
	if (code < 0)
		code = admin_client_once(config_path, "reports.tls",
			json_pack("{s:o, s:I}", "domain", cli_json_text(words.items[0]), "days", (json_int_t)count),
			&result);
	if (code >= 0)
		return code;
	if (json)
		cli_print_json(result);
	else
		print_tls(result);
	json_decref(result);
	return EX_OK;
}

int cmd_reports(int argc, char **argv)
{
	static const struct subcommand subcommands[] = {
		{ "send", send_reports, "send the reports that wait now" },
		{ "list", list, "what has been noted for reports" },
		{ "tls", tls, "what others report about TLS with our servers" },
	};
	return cli_group("reports", sizeof subcommands / sizeof subcommands[0], subcommands, argc, argv);
}
