/* Message-ID values (RFC 5322 §3.6.4). Pure: time and randomness are passed in. */
#ifndef MAIL_MESSAGE_ID_H
#define MAIL_MESSAGE_ID_H

#include "base/buf.h"

#define MESSAGE_ID_RANDOM_BYTES 8u

/* Appends "<mwtdfvs0.1f0e…@hostname>", the first part from the time. A host name with other bytes than those of a domain or an address
 * literal gives ERR_SYNTAX, a time out of range ERR_LIMIT. */
enum err message_id_make(int64_t wall_ms, const uint8_t random[MESSAGE_ID_RANDOM_BYTES], struct view hostname,
	struct buf *out) MUST_CHECK;

/* True if the text is a "<left@right>" of printable ASCII without blanks, at most 250 bytes: fit to be repeated in a reply's
 * In-Reply-To or in a log. */
bool message_id_is_clean(struct view id);

#endif
