#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/question.h"

static const char *or_dash(const char *s)
{
	return s[0] != '\0' ? s : "-";
}

static void print_sources(const json_t *result)
{
	const json_t *sources = json_object_get(result, "sources");
	printf("\n%-39s %8s %8s %6s %6s  %s\n", "from", "messages", "aligned", "DKIM", "SPF", "as");
	for (size_t i = 0; i < json_array_size(sources); i++) {
		const json_t *s = json_array_get(sources, i);
		const char *ip = question_text(s, "ip");
		printf("%-39s %8lld %8lld %6lld %6lld", ip[0] != '\0' ? ip : "(others)", question_number(s, "messages"),
			question_number(s, "aligned"), question_number(s, "dkim_aligned"),
			question_number(s, "spf_aligned"));
		printf("  %s", or_dash(question_text(s, "header_from")));
		printf(", envelope %s", or_dash(question_text(s, "envelope_from")));
		printf(", signed %s", or_dash(question_text(s, "dkim_domain")));
		if (question_number(s, "quarantined") + question_number(s, "rejected") > 0)
			printf(" (%lld quarantined, %lld rejected)", question_number(s, "quarantined"),
				question_number(s, "rejected"));
		putchar('\n');
	}
	long long more = question_number(result, "source_count") - (long long)json_array_size(sources);
	if (more > 0)
		printf("and %lld further addresses with fewer messages\n", more);
}

static void print_report(const json_t *result, const struct option_list *words)
{
	(void)words;
	const json_t *reporters = json_object_get(result, "reporters");
	long long messages = question_number(result, "messages"), aligned = question_number(result, "aligned");
	if (json_array_size(reporters) == 0) {
		printf("Nobody reported about %s in the last %lld days. Does its DMARC record name the reports "
		       "mailbox (rua=)?\n",
			question_text(result, "domain"), question_number(result, "days"));
		return;
	}
	printf("%s, the last %lld days: %lld messages, %lld of them aligned with SPF or DKIM",
		question_text(result, "domain"), question_number(result, "days"), messages, aligned);
	if (messages > 0)
		printf(" (%.1f %%)", 100.0 * (double)aligned / (double)messages);
	puts(".");
	print_sources(result);
	printf("\n%-39s %8s %8s  %s\n", "reported by", "messages", "reports", "policy seen");
	for (size_t i = 0; i < json_array_size(reporters); i++) {
		const json_t *r = json_array_get(reporters, i);
		printf("%-39s %8lld %8lld  %s\n", or_dash(question_text(r, "organization")),
			question_number(r, "messages"), question_number(r, "reports"), question_text(r, "policy"));
	}
}

static int report(int argc, char **argv)
{
	static const struct question question = {
		.command = "dmarc.report",
		.synopsis = "postrider dmarc report DOMAIN [--days N] [--config FILE] [--json]",
		.text = "Sums up what others report about mail from DOMAIN: which servers send as it, how much, and "
			"whether\nSPF or DKIM passed for it (aligned). Reports are read from mail to "
			"reports.mailbox.\n",
		.min = 1,
		.max = 1,
		.has_days = true,
		.pack = question_domain,
		.print = print_report,
	};
	return question_run(&question, argc, argv);
}

static void print_failures(const json_t *result, const struct option_list *words)
{
	(void)words;
	const json_t *failures = json_object_get(result, "failures");
	if (json_array_size(failures) == 0)
		printf("No failure of %s was reported in the last %lld days.\n", question_text(result, "domain"),
			question_number(result, "days"));
	for (size_t i = 0; i < json_array_size(failures); i++) {
		const json_t *f = json_array_get(failures, i);
		int64_t at_ms = question_number(f, "arrival_ms") != 0 ? question_number(f, "arrival_ms")
								      : question_number(f, "received_ms");
		printf("%s  %s failed, from %s", cli_time(at_ms).text, or_dash(question_text(f, "failure")),
			or_dash(question_text(f, "ip")));
		printf("  author %s", or_dash(question_text(f, "header_from")));
		printf("  sender %s", or_dash(question_text(f, "mail_from")));
		printf("  told by %s", or_dash(question_text(f, "reporter")));
		if (question_text(f, "delivery_result")[0] != '\0')
			printf(" (%s)", question_text(f, "delivery_result"));
		if (question_number(f, "incidents") > 1)
			printf("  %lld times", question_number(f, "incidents"));
		putchar('\n');
	}
}

static int failures(int argc, char **argv)
{
	static const struct question question = {
		.command = "dmarc.failures",
		.synopsis = "postrider dmarc failures DOMAIN [--days N] [--config FILE] [--json]",
		.text = "Lists the single failures that others reported about mail from DOMAIN, the newest first.\n",
		.min = 1,
		.max = 1,
		.has_days = true,
		.pack = question_domain,
		.print = print_failures,
	};
	return question_run(&question, argc, argv);
}

int cmd_dmarc(int argc, char **argv)
{
	static const struct subcommand subcommands[] = {
		{ "report", report, "who sends as a domain, by the reports of others" },
		{ "failures", failures, "single failures that others reported" },
	};
	return cli_group("dmarc", sizeof subcommands / sizeof subcommands[0], subcommands, argc, argv);
}
