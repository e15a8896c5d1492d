/*
 * Reports. The input is read as one; then its pieces (between "|") become a report of ours, hostile words in every place, which must be
 * well-formed mail and read back as what went in.
 */
#include "mail/dsn.h"

#include "mail/address.h"
#include "mail/dsn_parse.h"
#include "mail/header.h"
#include "mail/mime.h"
#include "mail/scan.h"

#include <stdlib.h>
#include <string.h>

#define LAW(condition)                                                                                                 \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			abort();                                                                                       \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct dsn_report report;

static void check_parse(struct view in)
{
	if (dsn_parse(in, &report) != ERR_OK) {
		LAW(report.recipient_count == 0 && report.text.len == 0);
		return;
	}
	LAW(report.recipient_count > 0 && report.recipient_count <= DSN_REPORT_RECIPIENTS_MAX);
	for (size_t i = 0; i < report.recipient_count; i++) {
		struct view value = report.recipients[i].diagnostic;
		LAW(report.recipients[i].final.len > 0);
		LAW(value.len == 0 || memchr(value.ptr, '\n', value.len) == NULL);
		value = report.recipients[i].status;
		LAW(value.len == 0 || (value.len >= 5 && value.len <= 9));
	}
	LAW(report.returned.len <= in.len);
}

/* A multipart/report of exactly three parts. */
static void check_structure(struct view message, const struct dsn *dsn, const struct dsn_built *built)
{
	struct mime_part part;
	struct mime_walker walker;
	struct view child, last = VIEW_NONE;
	size_t parts = 0;
	mime_part_parse(message, false, &part);
	LAW(mime_type_is(&part.type, "multipart", "report") && mime_walker_init(&walker, &part));
	while (mime_walker_next(&walker, &child)) {
		last = child;
		parts++;
	}
	LAW(parts == 3 && walker.is_closed);
	mime_part_parse(last, false, &part);
	if (built->returned_full)
		LAW(view_eq(part.body, dsn->message));
	LAW(header_count(message, VIEW("To")) == 1 && header_count(message, VIEW("Bcc")) == 0);
	LAW(header_count(message, VIEW("")) == 0);
	struct mail_scan scan = mail_scan(message);
	LAW(!mail_scan_is_binary(&scan));
	LAW(!scan.has_8bit_body || built->is_8bit);
	LAW(!scan.has_8bit_header || built->is_smtputf8);
}

static void check_build(struct view in)
{
	struct view words[12] = { 0 }, rest = in;
	for (size_t i = 0; i < 12 && view_split(&rest, '|', &words[i]); i++)
		;
	unsigned bits = in.len > 0 ? in.ptr[in.len - 1] : 0;
	struct dsn_recipient recipients[2] = {
		{ .address = words[1],
			.original = words[2],
			.action = (enum dsn_action)(bits % 5),
			.status = words[3],
			.remote_mta = words[4],
			.remote_address = words[5],
			.reply = words[6],
			.last_attempt_ms = bits },
		{ .address = words[7],
			.action = (enum dsn_action)(bits / 5 % 5),
			.status = words[8],
			.reason = words[9],
			.retry_until_ms = bits },
	};
	struct dsn dsn = { .to = words[0].len > 0 ? words[0] : VIEW("a@b"),
		.reporting_mta = VIEW("mx.example"),
		.envelope_id = words[10],
		.recipient_count = 1 + bits % 2,
		.recipients = recipients,
		.message = rest,
		.return_full = bits % 3 > 0,
		.return_max_bytes = bits % 7 == 0 ? 100 : 0 };
	uint64_t hash = view_hash(in); /* so that the input can't hold the boundary */
	memcpy(dsn.random, &hash, sizeof hash);
	struct buf out = { 0 };
	struct dsn_built built;
	if (dsn_build(&dsn, &out, &built) == ERR_OK) {
		check_structure(buf_view(&out), &dsn, &built);
		enum err err = dsn_parse(buf_view(&out), &report);
		struct address address;
		LAW(err == ERR_OK || address_parse(words[1], ADDRESS_ALLOW_UTF8, &address) != ERR_OK);
		for (size_t i = 0; i < report.recipient_count && report.recipient_count == dsn.recipient_count; i++) {
			LAW(report.recipients[i].has_action && report.recipients[i].action == recipients[i].action);
			LAW(report.recipients[i].status.len > 0);
		}
	} else {
		LAW(out.len == 0);
	}
	buf_clear(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_parse(view_of(data, size));
	check_build(view_of(data, size));
	dsn_report_clear(&report);
	return 0;
}
