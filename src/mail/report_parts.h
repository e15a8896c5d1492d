/* What machine-readable reports (RFC 6522) have in common: a part for programs, and the message that it is about. Pure; for dsn_parse.c, feedback_report.c. */
#ifndef MAIL_REPORT_PARTS_H
#define MAIL_REPORT_PARTS_H

#include "mail/mime.h"

struct report_parts {
	bool has_report, has_message;
	struct mime_part report; /* the first part outside attached messages that is_report() */
	struct view message; /* behind it: the message or its header section, as transferred */
};
/* Views point into `message`. At most 1,000 parts are looked at. */
void report_parts_find(struct view message, bool (*is_report)(const struct mime_type *type), struct report_parts *ret);

/* A value's line ends taken out, in the memory of `text`, in which it stands; outer blanks off. It never becomes longer. */
struct view report_parts_unfold(struct buf *text, struct view value);
/* The first word of a value: a comment may follow. */
struct view report_parts_first_word(struct view value);
/* "type; value" → value, and the type; without a semicolon all of it, and no type. `ret_type` may be NULL. */
struct view report_parts_without_type(struct view value, struct view *ret_type);

#endif
