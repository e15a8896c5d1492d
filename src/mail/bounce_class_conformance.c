/*
 * bounce_classify() against sisimai's collection: samples with an RFC 3464 report whose recipient has a diagnostic text. Its vocabulary is coarser in
 * places and finer in others, so each of its reasons stands for a set of our classes. Printed are, per class of ours, how many of the verdicts were
 * among those (precision), and per reason how many samples were met (recall); it fails when fewer are right than before.
 */
#include "mail/bounce_class.h"
#include "mail/conformance.h"
#include "mail/dsn_parse.h"

#define MUST_BE_RIGHT 263u

static struct dsn_report report;

struct reason {
	const char *name;
	unsigned classes; /* bits */
	unsigned total, right;
};
#define B(class) (1u << (class))
static struct reason reasons[] = {
	{ "userunknown", B(BOUNCE_BAD_MAILBOX), 0, 0 },
	/* "filtered" is what Japanese mobile carriers say of addresses whose owners refuse mail, in the words of an unknown user. */
	{ "filtered", B(BOUNCE_BAD_MAILBOX) | B(BOUNCE_CONTENT) | B(BOUNCE_POLICY), 0, 0 },
	{ "mailboxfull", B(BOUNCE_FULL), 0, 0 },
	{ "expired", B(BOUNCE_EXPIRED) | B(BOUNCE_NETWORK), 0, 0 },
	{ "blocked", B(BOUNCE_REPUTATION), 0, 0 },
	{ "badreputation", B(BOUNCE_REPUTATION), 0, 0 },
	{ "policyviolation", B(BOUNCE_POLICY) | B(BOUNCE_CONTENT), 0, 0 },
	{ "authfailure", B(BOUNCE_AUTHENTICATION), 0, 0 },
	{ "rejected", B(BOUNCE_BAD_SENDER) | B(BOUNCE_POLICY) | B(BOUNCE_REPUTATION), 0, 0 },
	{ "networkerror", B(BOUNCE_NETWORK) | B(BOUNCE_DNS) | B(BOUNCE_BAD_DOMAIN) | B(BOUNCE_LOOP), 0, 0 },
	{ "suspend", B(BOUNCE_INACTIVE), 0, 0 },
	{ "hostunknown", B(BOUNCE_BAD_DOMAIN), 0, 0 },
	{ "spamdetected", B(BOUNCE_CONTENT), 0, 0 },
	{ "requireptr", B(BOUNCE_PTR), 0, 0 },
	{ "notaccept", B(BOUNCE_BAD_DOMAIN) | B(BOUNCE_POLICY), 0, 0 },
	{ "toomanyconn", B(BOUNCE_RATE), 0, 0 },
	{ "speeding", B(BOUNCE_RATE), 0, 0 },
	{ "systemerror", B(BOUNCE_SYSTEM), 0, 0 },
	{ "systemfull", B(BOUNCE_SYSTEM), 0, 0 },
	{ "mailererror", B(BOUNCE_SYSTEM), 0, 0 },
	{ "notcompliantrfc", B(BOUNCE_PROTOCOL) | B(BOUNCE_CONTENT), 0, 0 },
	{ "securityerror", B(BOUNCE_POLICY) | B(BOUNCE_AUTHENTICATION) | B(BOUNCE_TLS), 0, 0 },
	{ "hasmoved", B(BOUNCE_INACTIVE), 0, 0 },
	{ "norelaying", B(BOUNCE_RELAY), 0, 0 },
	{ "mesgtoobig", B(BOUNCE_TOO_LARGE), 0, 0 },
	{ "exceedlimit", B(BOUNCE_TOO_LARGE), 0, 0 },
	{ "virusdetected", B(BOUNCE_VIRUS), 0, 0 },
	{ "syntaxerror", B(BOUNCE_PROTOCOL), 0, 0 },
	{ "contenterror", B(BOUNCE_CONTENT), 0, 0 },
	{ "failedstarttls", B(BOUNCE_TLS), 0, 0 },
};
static unsigned verdicts[BOUNCE_CLASSES], verdicts_right[BOUNCE_CLASSES];

static struct reason *find_reason(struct view name)
{
	for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
		if (view_eq(name, view_from_cstr(reasons[i].name)))
			return &reasons[i];
	return NULL;
}

static struct bounce_verdict classify(const struct dsn_report_recipient *recipient)
{
	struct bounce_reply reply = bounce_reply_from(recipient->diagnostic);
	if (reply.class == 0) {
		struct bounce_reply status = bounce_reply_from(recipient->status);
		reply.class = status.class;
		reply.subject = status.subject;
		reply.detail = status.detail;
	}
	return bounce_classify(&reply);
}

static void check_row(struct view file, uint64_t index, struct view wanted, struct view message)
{
	struct reason *reason = find_reason(wanted);
	if (reason == NULL || dsn_parse(message, &report) != ERR_OK || index > report.recipient_count ||
		report.recipients[index - 1].diagnostic.len < 12)
		return; /* no text of another server's: nothing to tell it from */
	const struct dsn_report_recipient *recipient = &report.recipients[index - 1];
	struct bounce_verdict verdict = classify(recipient);
	bool right = (reason->classes & B(verdict.class)) != 0;
	reason->total++;
	verdicts[verdict.class]++;
	if (right) {
		reason->right++;
		verdicts_right[verdict.class]++;
		return;
	}
	struct view got = bounce_class_name(verdict.class);
	printf("%.*s: %.*s instead of %.*s: %.*s | %.*s\n", VIEW_ARG(file), VIEW_ARG(got), VIEW_ARG(wanted),
		VIEW_ARG(recipient->status), VIEW_ARG(view_sub(recipient->diagnostic, 0, 160)));
}

static void print_table(unsigned *ret_right, unsigned *ret_total)
{
	for (size_t i = 0; i < BOUNCE_CLASSES; i++) {
		struct view name = bounce_class_name((enum bounce_class)i);
		if (verdicts[i] > 0)
			printf("precision %-16.*s %3u/%u\n", VIEW_ARG(name), verdicts_right[i], verdicts[i]);
		*ret_right += verdicts_right[i];
		*ret_total += verdicts[i];
	}
	for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
		if (reasons[i].total > 0)
			printf("met       %-16s %3u/%u\n", reasons[i].name, reasons[i].right, reasons[i].total);
}

int main(void)
{
	struct buf table = { 0 }, folder = { 0 };
	read_suite(__FILE__, "bounce-sisimai/expected.tsv", &table);
	suites_folder(__FILE__, &folder);
	struct view rest = buf_view(&table), line, file, column, reason;
	(void)view_split(&rest, '\n', &line); /* the table's header */
	while (view_split(&rest, '\n', &line)) {
		struct buf path = { 0 }, message = { 0 };
		uint64_t index = 0;
		(void)view_split(&line, '\t', &file);
		if (!view_split(&line, '\t', &column) || view_parse_u64(column, 1000, &index) != ERR_OK || index == 0 ||
			!view_split(&line, '\t', &column) || !view_split(&line, '\t', &column) ||
			!view_split(&line, '\t', &reason))
			abort();
		if (buf_append_format(&path, "%s/bounce-sisimai/%.*s", buf_cstr(&folder), VIEW_ARG(file)) != ERR_OK)
			abort();
		if (read_suite_file(buf_cstr(&path), &message))
			check_row(file, index, reason, buf_view(&message));
		buf_clear(&path);
		buf_clear(&message);
	}
	dsn_report_clear(&report);
	buf_clear(&table);
	buf_clear(&folder);
	unsigned right = 0, total = 0;
	print_table(&right, &total);
	printf("CONFORMANCE bounce-class-sisimai %u/%u\n", right, total);
	return right >= MUST_BE_RIGHT && total > 0 ? 0 : 1;
}
