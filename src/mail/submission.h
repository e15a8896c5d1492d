/* What a submission server and the sendmail command do to a header section (RFC 6409 §8, RFC 5322 §3.6). Pure. */
#ifndef MAIL_SUBMISSION_H
#define MAIL_SUBMISSION_H

#include "base/buf.h"

#define SUBMISSION_RANDOM_BYTES 8u

struct submission_facts {
	int64_t wall_ms;
	int zone_minutes;
	uint8_t random[SUBMISSION_RANDOM_BYTES];
	struct view hostname;
	/* sendmail mode: a whole "From" value to add if there is none; else empty: a server invents no authors. */
	struct view from;
};
/* Appends the fields that the header section lacks and a server may add: Date (RFC 5322 §3.6: a message must have one), Message-ID (§8.3), and From
 * when given. The caller puts them in front of the message, behind its Received field. Resent- fields are left alone. */
enum err submission_missing_fields(
	struct view headers, const struct submission_facts *facts, struct buf *out) MUST_CHECK;

/* How much of the front of a message is header: as header_section_length(), but a line that is no field ends the header, as with
 * `echo hello | sendmail joe`. *ret_body_from is where the body starts (behind the empty line if there is one). */
size_t submission_header_length(struct view message, size_t *ret_body_from);

/* sendmail -t: each recipient of To, Cc and Bcc; of Resent-To, Resent-Cc and Resent-Bcc instead if one of these is there (RFC 5322 §3.6.6).
 * Appends the canonical addresses, one a line ("joe@example.com\nroot\n"), without duplicates. ERR_SYNTAX (naming the element) for
 * a malformed one, ERR_LIMIT above `recipients_max`; then nothing is appended. */
enum err submission_recipients(struct view headers, size_t recipients_max, struct buf *out) MUST_CHECK;

/* Appends the header section without Bcc and Resent-Bcc (RFC 5322 §3.6.3). */
enum err submission_without_bcc(struct view headers, struct buf *out) MUST_CHECK;

#endif
