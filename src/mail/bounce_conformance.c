/*
 * dsn_parse() against sisimai's collection of bounces. Counted are the results that a report's fields can give: the sample has a
 * delivery-status part, and the status that the table expects stands in a Status field. (The table has many others, which sisimai made
 * from the server's words or from its own list, 5.0.9xx.) The number in a row's second column is the recipient's place.
 */
#include "mail/dsn_parse.h"

#include "mail/conformance.h"

static struct dsn_report report;

/* RFC 3464 reports as told by the file itself, not by the parser under test: a part of that type somewhere. */
static bool has_status_part(struct view message)
{
	static const char *const wanted[] = { "content-type: message/delivery-status",
		"content-type: message/global-delivery-status" };
	struct view line;
	while (view_split(&message, '\n', &line))
		for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
			if (view_starts_with_nocase(line, view_from_cstr(wanted[i])))
				return true;
	return false;
}

/* Asks for a Status field with this value; told from the file, as above. */
static bool has_status(struct view message, struct view status)
{
	struct view line;
	while (view_split(&message, '\n', &line))
		if (view_starts_with_nocase(line, VIEW("status:")) &&
			view_starts_with(view_trim(view_from(line, 7)), status))
			return true;
	return false;
}

/* Samples where we answer otherwise on purpose. */
static const struct {
	const char *file, *reason;
} disputed[] = {
	{ "lhost-x5-01", "the report is attached to another message as a message of its own" },
	{ "lhost-postfix-49", "the report is quoted as the plain text of another message" },
	{ "lhost-postfix-50", "the report is quoted as the plain text of another message" },
	{ "lhost-sendmail-53", "the message has no Content-Type, so it has no parts" },
	{ "lhost-sendmail-54", "the message has no Content-Type, so it has no parts" },
	{ "rfc3464-35", "the delimiter lines are indented" },
	{ "rhost-franceptt-07", "the delimiter lines are not those that Content-Type names" },
	{ "rhost-google-02", "the delimiter lines are not those that Content-Type names" },
	{ "rfc3464-28", "the second report is inside the returned message" },
	{ "rhost-cox-01", "the second report is inside the returned message" },
};

static const char *dispute_of(struct view file)
{
	for (size_t i = 0; i < sizeof disputed / sizeof disputed[0]; i++)
		if (memmem(file.ptr, file.len, disputed[i].file, strlen(disputed[i].file)) != NULL)
			return disputed[i].reason;
	return NULL;
}

struct count {
	unsigned passed, total, unexplained;
};

static void check_row(struct view file, uint64_t index, struct view want, struct view message, struct count *count)
{
	struct view got = VIEW("no report");
	if (dsn_parse(message, &report) == ERR_OK)
		got = index <= report.recipient_count ? report.recipients[index - 1].status : VIEW("no such recipient");
	count->total++;
	if (view_eq(got, want)) {
		count->passed++;
		return;
	}
	const char *reason = dispute_of(file);
	count->unexplained += reason == NULL;
	printf("%.*s, recipient %u: got \"%.*s\", want \"%.*s\": %s\n", VIEW_ARG(file), (unsigned)index, VIEW_ARG(got),
		VIEW_ARG(want), reason != NULL ? reason : "WRONG");
}

int main(void)
{
	struct buf table = { 0 }, folder = { 0 };
	struct count count = { 0 };
	read_suite(__FILE__, "bounce-sisimai/expected.tsv", &table);
	suites_folder(__FILE__, &folder);
	struct view rest = buf_view(&table), line, file, column;
	(void)view_split(&rest, '\n', &line); /* the table's header */
	while (view_split(&rest, '\n', &line)) {
		struct buf path = { 0 }, message = { 0 };
		uint64_t index = 0;
		(void)view_split(&line, '\t', &file);
		if (!view_split(&line, '\t', &column) || view_parse_u64(column, 1000, &index) != ERR_OK || index == 0 ||
			!view_split(&line, '\t', &column))
			abort();
		if (buf_append_format(&path, "%s/bounce-sisimai/%.*s", buf_cstr(&folder), VIEW_ARG(file)) != ERR_OK)
			abort();
		if (column.len > 0 && read_suite_file(buf_cstr(&path), &message) &&
			has_status_part(buf_view(&message)) && has_status(buf_view(&message), column))
			check_row(file, index, column, buf_view(&message), &count);
		buf_clear(&path);
		buf_clear(&message);
	}
	dsn_report_clear(&report);
	buf_clear(&table);
	buf_clear(&folder);
	printf("CONFORMANCE bounce-sisimai %u/%u\n", count.passed, count.total);
	return count.unexplained == 0 && count.total > 0 ? 0 : 1;
}
