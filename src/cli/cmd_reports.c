#include "cli/admin_client.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/question.h"

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
		printf("The reports of the days up to %s are being made.\n", question_text(result, "day"));
	json_decref(result);
	return EX_OK;
}

static void print_waiting(const json_t *result, const struct option_list *words)
{
	const json_t *waiting = json_object_get(result, "waiting");
	(void)words;
	for (size_t i = 0; i < json_array_size(waiting); i++) {
		const json_t *one = json_array_get(waiting, i);
		printf("%-5s %s  %s\n", question_text(one, "kind"), question_text(one, "day"),
			question_text(one, "domain"));
	}
}

static int list(int argc, char **argv)
{
	static const struct question question = {
		.command = "reports.list",
		.synopsis = "postrider reports list [--config FILE] [--json]",
		.text = "Lists what has been noted for reports that are not sent yet: kind, day, domain.\n",
		.print = print_waiting,
	};
	return question_run(&question, argc, argv);
}

static void print_tls(const json_t *result, const struct option_list *words)
{
	(void)words;
	const json_t *reporters = json_object_get(result, "reporters"), *failures = json_object_get(result, "failures");
	if (json_array_size(reporters) == 0) {
		printf("Nobody reported about TLS with %s in the last %lld days. Does its TLSRPT record name the "
		       "reports mailbox (rua=)?\n",
			question_text(result, "domain"), question_number(result, "days"));
		return;
	}
	printf("%-32s %-16s %10s %10s\n", "reported by", "policy", "successes", "failures");
	for (size_t i = 0; i < json_array_size(reporters); i++) {
		const json_t *r = json_array_get(reporters, i);
		printf("%-32s %-16s %10lld %10lld\n", question_text(r, "organization"), question_text(r, "policy_type"),
			question_number(r, "successes"), question_number(r, "failures"));
	}
	for (size_t i = 0; i < json_array_size(failures); i++) {
		const json_t *f = json_array_get(failures, i);
		printf("%s%s  %lld sessions", i == 0 ? "\n" : "", question_text(f, "result"),
			question_number(f, "sessions"));
		printf("  %s", question_text(f, "host"));
		printf("[%s]", question_text(f, "receiving_ip"));
		printf("  %s\n", question_text(f, "reason"));
	}
}

static int tls(int argc, char **argv)
{
	static const struct question question = {
		.command = "reports.tls",
		.synopsis = "postrider reports tls DOMAIN [--days N] [--config FILE] [--json]",
		.text = "Sums up what others report about TLS with the mail servers of DOMAIN (RFC 8460).\n",
		.min = 1,
		.max = 1,
		.has_days = true,
		.pack = question_domain,
		.print = print_tls,
	};
	return question_run(&question, argc, argv);
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
