/* Composes a new message: RFC 5322, RFC 2045–2047, RFC 2183, RFC 2231. Pure. */
#ifndef MAIL_COMPOSE_H
#define MAIL_COMPOSE_H

#include "base/buf.h"

#define COMPOSE_RANDOM_BYTES 16u

struct compose_attachment {
	struct view name; /* file name in UTF-8; only what stands behind the last slash is told; may be empty */
	struct view type; /* "application/pdf"; empty or malformed: application/octet-stream */
	struct view bytes;
};

struct compose {
	struct view from; /* address lists as people write them: `Jörg <joerg@example.com>, info@example.com` */
	struct view to, cc, reply_to; /* may be empty */
	struct view subject; /* UTF-8 */
	struct view text, html; /* UTF-8, any line ends; both empty: an empty text */
	size_t attachment_count;
	const struct compose_attachment *attachments;
	int64_t wall_ms;
	int zone_minutes;
	struct view hostname; /* for the Message-ID */
	uint8_t random[COMPOSE_RANDOM_BYTES]; /* for Message-ID and boundaries */
};

struct compose_built {
	bool is_smtputf8; /* an address has UTF-8: the message needs SMTPUTF8 */
};

/* Appends the whole message: CRLF line ends, 7-bit but for UTF-8 addresses, text and HTML as multipart/alternative, attachments in
 * multipart/mixed; each part 7bit, quoted-printable or base64, whichever suits it. ERR_SYNTAX for a malformed address (err_detail() names the
 * field) or an empty from, ERR_LIMIT from the buffer; then nothing is appended. */
enum err compose_build(const struct compose *compose, struct buf *out, struct compose_built *ret) MUST_CHECK;

#endif
