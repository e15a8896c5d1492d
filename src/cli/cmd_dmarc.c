#include "cli/admin_client.h"
#include "cli/cli.h"
#include "cli/commands.h"

#include "base/clock.h"

#include <string.h>

static json_int_t number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static const char *text(const json_t *object, const char *key)
{
	return cli_text(json_object_get(object, key));
}

static const char *or_dash(const char *s)
{
	return s[0] != '\0' ? s : "-";
}

/* {"domain", "days"}; false: the days are no number. */
static bool pack(const struct option_list *words, const char *days, json_t **ret)
{
	uint64_t count = 0;
	if (days != NULL && (view_parse_u64(view_from_cstr(days), 100000, &count) != ERR_OK || count == 0)) {
		cli_error("--days takes a number above 0, not '%s'", days);
		return false;
	}
	*ret = json_pack("{s:o}", "domain", cli_json_text(words->items[0]));
	if (count > 0)
		json_object_set_new(*ret, "days", json_integer((json_int_t)count));
	return true;
}

static void print_sources(const json_t *result)
{
	const json_t *sources = json_object_get(result, "sources");
	printf("\n%-39s %8s %8s %6s %6s  %s\n", "from", "messages", "aligned", "DKIM", "SPF", "as");
	for (size_t i = 0; i < json_array_size(sources); i++) {
		const json_t *s = json_array_get(sources, i);
		const char *ip = text(s, "ip");
		printf("%-39s %8lld %8lld %6lld %6lld", ip[0] != '\0' ? ip : "(others)",
			(long long)number(s, "messages"), (long long)number(s, "aligned"),
			(long long)number(s, "dkim_aligned"), (long long)number(s, "spf_aligned"));
		printf("  %s", or_dash(text(s, "header_from")));
		printf(", envelope %s", or_dash(text(s, "envelope_from")));
		printf(", signed %s", or_dash(text(s, "dkim_domain")));
		if (number(s, "quarantined") + number(s, "rejected") > 0)
			printf(" (%lld quarantined, %lld rejected)", (long long)number(s, "quarantined"),
				(long long)number(s, "rejected"));
		putchar('\n');
	}
	json_int_t more = number(result, "source_count") - (json_int_t)json_array_size(sources);
	if (more > 0)
		printf("and %lld further addresses with fewer messages\n", (long long)more);
}

static void print_report(const json_t *result)
{
	const json_t *reporters = json_object_get(result, "reporters");
	long long messages = number(result, "messages"), aligned = number(result, "aligned");
	if (json_array_size(reporters) == 0) {
		printf("Nobody reported about %s in the last %lld days. Does its DMARC record name the reports "
		       "mailbox (rua=)?\n",
			text(result, "domain"), (long long)number(result, "days"));
		return;
	}
	printf("%s, the last %lld days: %lld messages, %lld of them aligned with SPF or DKIM", text(result, "domain"),
		(long long)number(result, "days"), messages, aligned);
	if (messages > 0)
		printf(" (%.1f %%)", 100.0 * (double)aligned / (double)messages);
	puts(".");
	print_sources(result);
	printf("\n%-39s %8s %8s  %s\n", "reported by", "messages", "reports", "policy seen");
	for (size_t i = 0; i < json_array_size(reporters); i++) {
		const json_t *r = json_array_get(reporters, i);
		printf("%-39s %8lld %8lld  %s\n", or_dash(text(r, "organization")), (long long)number(r, "messages"),
			(long long)number(r, "reports"), text(r, "policy"));
	}
}

static int report(int argc, char **argv)
{
	const char *config_path = NULL, *days = NULL;
	bool json = false;
	const struct option_spec options[] = { CLI_CONFIG_OPTION(&config_path), CLI_JSON_OPTION(&json),
		{ .name = "days",
			.letter = 'd',
			.value_name = "N",
			.help = "look back so many days (30)",
			.ret_value = &days } };
	const struct usage usage = {
		.synopsis = "postrider dmarc report DOMAIN [--days N] [--config FILE] [--json]",
		.text = "Sums up what others report about mail from DOMAIN: which servers send as it, how much, and "
			"whether\nSPF or DKIM passed for it (aligned). Reports are read from mail to "
			"reports.mailbox.\n",
		.option_count = sizeof options / sizeof options[0],
		.options = options,
	};
	struct option_list words;
	json_t *arguments = NULL, *result = NULL;
	int code = cli_options(&usage, argc, argv, 1, 1, &words);
	if (code < 0 && !pack(&words, days, &arguments))
		code = EX_USAGE;
	if (code < 0)
		code = admin_client_once(config_path, "dmarc.report", arguments, &result);
	if (code >= 0)
		return code;
	if (json)
		cli_print_json(result);
	else
		print_report(result);
	json_decref(result);
	return EX_OK;
}

static void print_failures(const json_t *result)
{
	const json_t *failures = json_object_get(result, "failures");
	if (json_array_size(failures) == 0)
		printf("No failure of %s was reported in the last %lld days.\n", text(result, "domain"),
			(long long)number(result, "days"));
	for (size_t i = 0; i < json_array_size(failures); i++) {
		const json_t *f = json_array_get(failures, i);
		json_int_t at_ms = number(f, "arrival_ms") != 0 ? number(f, "arrival_ms") : number(f, "received_ms");
		printf("%s  %s failed, from %s", cli_time(at_ms).text, or_dash(text(f, "failure")),
			or_dash(text(f, "ip")));
		printf("  author %s", or_dash(text(f, "header_from")));
		printf("  sender %s", or_dash(text(f, "mail_from")));
		printf("  told by %s", or_dash(text(f, "reporter")));
		if (text(f, "delivery_result")[0] != '\0')
			printf(" (%s)", text(f, "delivery_result"));
		if (number(f, "incidents") > 1)
			printf("  %lld times", (long long)number(f, "incidents"));
		putchar('\n');
	}
}

static int failures(int argc, char **argv)
{
	const char *config_path = NULL, *days = NULL;
	bool json = false;
	const struct option_spec options[] = { CLI_CONFIG_OPTION(&config_path), CLI_JSON_OPTION(&json),
		{ .name = "days",
			.letter = 'd',
			.value_name = "N",
			.help = "look back so many days (30)",
			.ret_value = &days } };
	const struct usage usage = {
		.synopsis = "postrider dmarc failures DOMAIN [--days N] [--config FILE] [--json]",
		.text = "Lists the single failures that others reported about mail from DOMAIN, the newest first.\n",
		.option_count = sizeof options / sizeof options[0],
		.options = options,
	};
	struct option_list words;
	json_t *arguments = NULL, *result = NULL;
	int code = cli_options(&usage, argc, argv, 1, 1, &words);
	if (code < 0 && !pack(&words, days, &arguments))
		code = EX_USAGE;
	if (code < 0)
		code = admin_client_once(config_path, "dmarc.failures", arguments, &result);
	if (code >= 0)
		return code;
	if (json)
		cli_print_json(result);
	else
		print_failures(result);
	json_decref(result);
	return EX_OK;
}

int cmd_dmarc(int argc, char **argv)
{
	static const struct subcommand subcommands[] = {
		{ "report", report, "who sends as a domain, by the reports of others" },
		{ "failures", failures, "single failures that others reported" },
	};
	return cli_group("dmarc", sizeof subcommands / sizeof subcommands[0], subcommands, argc, argv);
}
