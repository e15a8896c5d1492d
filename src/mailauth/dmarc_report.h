/*
 * DMARC aggregate reports: writing them (RFC 9990; readers of RFC 7489's format understand them, too) and reading those of others, of both kinds
 * and as loosely as they are written in the field. Pure.
 */
#ifndef MAILAUTH_DMARC_REPORT_H
#define MAILAUTH_DMARC_REPORT_H

#include "base/arena.h"
#include "base/buf.h"

struct dmarc_report_auth {
	struct view domain;
	struct view selector; /* of DKIM */
	struct view scope; /* of SPF: "mfrom", "helo"; may be empty */
	struct view result; /* lower case */
	struct view human_result; /* may be empty */
};
struct dmarc_report_reason {
	struct view type, comment;
};

/* Messages that are alike in everything a report tells apart. */
struct dmarc_report_row {
	struct view source_ip; /* as text */
	uint64_t messages;
	struct view disposition; /* "none", "quarantine", "reject"; RFC 9990's "pass" */
	bool dkim_aligned, spf_aligned; /* passed, and aligned */
	size_t reason_count;
	const struct dmarc_report_reason *reasons;
	struct view header_from, envelope_from, envelope_to; /* domains; the last two may be empty */
	size_t dkim_count, spf_count;
	const struct dmarc_report_auth *dkim, *spf;
};

struct dmarc_report_policy {
	struct view domain;
	struct view discovery_method; /* "treewalk", "psl"; may be empty */
	struct view p, sp, np, fo, adkim, aspf, testing; /* as words; all but p may be empty */
};

struct dmarc_report {
	struct view organization, email, contact, report_id, generator; /* contact, generator may be empty */
	struct view error; /* what was wrong with the policy; may be empty */
	int64_t begin_s, end_s; /* Unix time */
	struct dmarc_report_policy policy;
	/* Only of a report that was read; the writer gets its rows one by one. */
	size_t row_count;
	const struct dmarc_report_row *rows;
	bool is_truncated; /* there were more rows, or more of something in a row */
};

/* Writing: begin, rows, end. Texts may be anything: they are made clean, and cut to 1,024 bytes. ERR_LIMIT from the buffer. */
enum err dmarc_report_begin(const struct dmarc_report *report, struct buf *out) MUST_CHECK;
enum err dmarc_report_add(const struct dmarc_report_row *row, struct buf *out) MUST_CHECK;
enum err dmarc_report_end(struct buf *out) MUST_CHECK;

/* Appends "mail.receiver.example!example.com!1013662812!1013749130!id.xml.gz" (RFC 9990 §3.5.2); an empty id is left out. */
enum err dmarc_report_file_name(
	const struct dmarc_report *report, struct view receiver, struct view id, struct buf *out) MUST_CHECK;

enum {
	DMARC_REPORT_ROWS_MAX = 50000,
	DMARC_REPORT_AUTH_MAX = 100, /* DKIM results of a row, and SPF's, and reasons */
	DMARC_REPORT_DEPTH_MAX = 16,
	DMARC_REPORT_TEXT_MAX_BYTES = 1024, /* of one element: the rest is left out */
	DMARC_REPORT_ARENA_BYTES = 96 * 1024 * 1024
};

/* Reads a report. All memory from the arena, which should have a budget of DMARC_REPORT_ARENA_BYTES. ERR_SYNTAX with a sentence: it is not
 * well-formed XML, has a document type (which could make it grow without end), is no report, or lacks the policy's domain.
 * ERR_LIMIT: it is too large. Words and domains are in lower case, texts trimmed and clean, absent or odd numbers 0. A "<" or "&" that begins no
 * tag or reference stands for itself, and bytes that are not UTF-8 are U+FFFD, as some write them. */
enum err dmarc_report_read(struct view xml, struct arena *arena, struct dmarc_report *ret) MUST_CHECK;

#endif
