/* Dates of header fields (RFC 5322 §3.3), without any time zone database: the zone is an offset that is passed in. Pure. */
#ifndef MAIL_DATE_H
#define MAIL_DATE_H

#include "base/buf.h"

/* Appends "Mon, 23 Nov 2026 14:39:00 +0000". `wall_ms` is Unix time, cut to the second; the zone's offset is in minutes, east
 * positive. ERR_LIMIT for years outside 1900–9999 and offsets of a day or more. */
enum err date_format(int64_t wall_ms, int zone_minutes, struct buf *out) MUST_CHECK;

/* Reads a date-time, also the obsolete forms of RFC 5322 §4.3: comments and folds anywhere, years of two and three digits, zone names
 * (those without a known meaning, and a missing zone, count as UTC). The day's name is not checked against the date.
 * ERR_SYNTAX; *ret_ms is Unix time. */
enum err date_parse(struct view text, int64_t *ret_ms) MUST_CHECK;

/* The Internet's own form (RFC 3339 §5.6): "2026-11-23T14:39:00Z", cut to the second. ERR_LIMIT as above. */
enum err date_format_rfc3339(int64_t wall_ms, struct buf *out) MUST_CHECK;
/* The same with any offset and with fractions of seconds; a leap second counts as the one before it. ERR_SYNTAX. */
enum err date_parse_rfc3339(struct view text, int64_t *ret_ms) MUST_CHECK;

#endif
