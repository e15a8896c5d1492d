/* A message that brings a report as a file: multipart/report with its report-type (RFC 6522), or multipart/mixed. Pure. */
#ifndef MAIL_REPORT_COMPOSE_H
#define MAIL_REPORT_COMPOSE_H

#include "base/buf.h"

#define REPORT_COMPOSE_RANDOM_BYTES 16u

struct report_compose_field {
	const char *name;
	struct view value; /* made safe: it can't end the field */
};
struct report_compose {
	struct view from; /* an address, or as people write it */
	const struct view *to; /* addresses */
	size_t to_count; /* at least one */
	struct view subject;
	const struct report_compose_field *fields; /* further ones */
	size_t field_count;
	struct view text; /* for people: ASCII, any line ends */
	struct view report_type; /* "tlsrpt"; empty: multipart/mixed */
	struct view file_name; /* letters, digits and marks other than quote and backslash */
	struct view file_type; /* "application/gzip" */
	struct view file;
	struct view message_id; /* with angle brackets */
	int64_t wall_ms;
	uint8_t random[REPORT_COMPOSE_RANDOM_BYTES]; /* for the boundary */
};

/* Appends the whole message, 7-bit but for addresses in UTF-8, with CRLF. It says of itself that it was made by a machine (RFC 3834). ERR_LIMIT from
 * the buffer, or for a time out of range; then nothing is appended. */
enum err report_compose(const struct report_compose *report, struct buf *out) MUST_CHECK;

#endif
