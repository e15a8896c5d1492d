/* Reading other servers' delivery status notifications (RFC 3464, RFC 6533). Pure, tolerant, bounded. */
#ifndef MAIL_DSN_PARSE_H
#define MAIL_DSN_PARSE_H

#include "mail/dsn.h"

#define DSN_REPORT_RECIPIENTS_MAX 200u

struct dsn_report_recipient {
	struct view original, final; /* addresses without their type; final falls back to original */
	bool has_action;
	enum dsn_action action;
	struct view status; /* "5.1.1"; empty if missing or malformed */
	struct view diagnostic; /* without its type, folds undone */
	bool diagnostic_is_smtp;
	struct view remote_mta; /* without its type */
};

struct dsn_report {
	struct view reporting_mta, envelope_id; /* may be empty */
	struct view
		returned; /* the third part: the original message or its header section, as transferred; may be empty */
	size_t recipient_count;
	struct dsn_report_recipient recipients[DSN_REPORT_RECIPIENTS_MAX];
	bool is_truncated; /* it had more recipients */
	struct buf text; /* owns what the views above point to, but `returned`, which points into the message */
};

/* `ret` is zeroed or was used before. ERR_NOT_FOUND: the message is no DSN (it has no delivery-status part with a recipient).
 * ERR_LIMIT: the part is larger than 1 MiB. */
enum err dsn_parse(struct view message, struct dsn_report *ret) MUST_CHECK;
void dsn_report_clear(struct dsn_report *report);

#endif
