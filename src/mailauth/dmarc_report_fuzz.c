/*
 * Laws of aggregate reports, for any bytes:
 *   - a report that is read is about a domain, and its numbers are within their bounds;
 *   - what was read can be written, and is the same when it is read again;
 *   - no text has control characters, and all of it is UTF-8;
 *   - a report is found in the file alone just as in a message that brings it; unpacking keeps to its bound.
 */
#include "mailauth/dmarc_report.h"
#include "mailauth/pack.h"
#include "mailauth/report_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { UNPACKED_MAX_BYTES = 1024 * 1024 };

static void check_text(struct view v)
{
	ASSERT(view_is_utf8(v));
	for (size_t i = 0; i < v.len; i++)
		ASSERT(v.ptr[i] >= ' ' || v.ptr[i] == '\t');
}

static void check_row(const struct dmarc_report_row *row)
{
	check_text(row->source_ip);
	check_text(row->disposition);
	check_text(row->header_from);
	check_text(row->envelope_from);
	ASSERT(row->dkim_count <= DMARC_REPORT_AUTH_MAX && row->spf_count <= DMARC_REPORT_AUTH_MAX &&
		row->reason_count <= DMARC_REPORT_AUTH_MAX && row->messages <= INT64_MAX / 1000000);
	for (size_t i = 0; i < row->dkim_count; i++) {
		check_text(row->dkim[i].domain);
		check_text(row->dkim[i].selector);
		check_text(row->dkim[i].result);
	}
	for (size_t i = 0; i < row->reason_count; i++)
		check_text(row->reasons[i].comment);
}

static void check_same(const struct dmarc_report *a, const struct dmarc_report *b)
{
	ASSERT(view_eq(a->policy.domain, b->policy.domain) && view_eq(a->policy.p, b->policy.p) &&
		view_eq(a->report_id, b->report_id) && view_eq(a->organization, b->organization));
	ASSERT(a->begin_s == b->begin_s && a->end_s == b->end_s && a->row_count == b->row_count);
	for (size_t i = 0; i < a->row_count; i++) {
		const struct dmarc_report_row *x = &a->rows[i], *y = &b->rows[i];
		ASSERT(view_eq(x->source_ip, y->source_ip) && x->messages == y->messages &&
			x->dkim_aligned == y->dkim_aligned && x->spf_aligned == y->spf_aligned &&
			view_eq(x->header_from, y->header_from) && x->dkim_count == y->dkim_count &&
			x->spf_count == y->spf_count && x->reason_count == y->reason_count);
		for (size_t k = 0; k < x->dkim_count; k++)
			ASSERT(view_eq(x->dkim[k].domain, y->dkim[k].domain) &&
				view_eq(x->dkim[k].result, y->dkim[k].result));
	}
}

static void check_report(const struct dmarc_report *report)
{
	struct buf out = { 0 };
	struct arena arena;
	struct dmarc_report again;
	ASSERT(report->policy.domain.len > 0 && report->row_count <= DMARC_REPORT_ROWS_MAX);
	check_text(report->policy.domain);
	check_text(report->organization);
	check_text(report->report_id);
	for (size_t i = 0; i < report->row_count; i++)
		check_row(&report->rows[i]);
	arena_init(&arena, DMARC_REPORT_ARENA_BYTES);
	ASSERT(dmarc_report_begin(report, &out) == ERR_OK);
	for (size_t i = 0; i < report->row_count; i++)
		ASSERT(dmarc_report_add(&report->rows[i], &out) == ERR_OK);
	ASSERT(dmarc_report_end(&out) == ERR_OK);
	ASSERT(dmarc_report_read(buf_view(&out), &arena, &again) == ERR_OK);
	check_same(report, &again);
	arena_clear(&arena);
	buf_clear(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena;
	struct dmarc_report report;
	struct buf unpacked, found;
	enum report_file_kind kind;
	buf_init(&unpacked, UNPACKED_MAX_BYTES);
	buf_init(&found, UNPACKED_MAX_BYTES);
	arena_init(&arena, DMARC_REPORT_ARENA_BYTES);
	enum err err = report_file_open(view_of(data, size), &unpacked, &kind);
	ASSERT(err == ERR_OK || err == ERR_NOT_FOUND || err == ERR_SYNTAX || err == ERR_LIMIT);
	ASSERT(unpacked.len <= UNPACKED_MAX_BYTES);
	if (err == ERR_OK) {
		struct buf mail = { 0 };
		ASSERT(buf_append_cstr(&mail,
			       "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n") ==
			ERR_OK);
		ASSERT(buf_append(&mail, view_of(data, size)) == ERR_OK);
		enum report_file_kind again;
		ASSERT(report_file_find(buf_view(&mail), &found, &again) == ERR_OK && kind == again);
		ASSERT(view_eq(buf_view(&found), buf_view(&unpacked)));
		buf_clear(&mail);
	} else {
		(void)!report_file_find(view_of(data, size), &found, &kind);
	}
	err = dmarc_report_read(err == ERR_OK ? buf_view(&unpacked) : view_of(data, size), &arena, &report);
	ASSERT(err == ERR_OK || err == ERR_SYNTAX || err == ERR_LIMIT);
	if (err == ERR_OK)
		check_report(&report);
	arena_clear(&arena);
	buf_clear(&unpacked);
	buf_clear(&found);
	return 0;
}
