/*
 * Turning an 8-bit message into a 7-bit one for a server without 8BITMIME (RFC 6152 §3), part by part. Also takes binary content
 * (bare CR or LF, NUL, long lines) to text for a server without BINARYMIME. Pure.
 * Signatures over the body (DKIM) don't survive this; that is why it is done only where the other server leaves no choice.
 */
#ifndef MAIL_DOWNGRADE_H
#define MAIL_DOWNGRADE_H

#include "base/buf.h"

/* Appends the message as pure 7-bit text: CRLF line ends, lines of at most 998 bytes, no NUL. Parts whose bytes ask for it become
 * quoted-printable (text and message/global…) or base64 (others); what is 7-bit already stays byte for byte. ERR_UNSUPPORTED, with the reason
 * in err_detail(), where RFC 6152 leaves only a bounce with 5.6.3: 8-bit bytes in a header (that needs SMTPUTF8: 5.6.7), inside
 * multipart/signed (RFC 1847 §2.1), in an unknown transfer encoding, or in parts nested too deep. ERR_LIMIT from the buffer. Nothing is
 * appended on failure. */
enum err downgrade_to_7bit(struct view message, struct buf *out) MUST_CHECK;

#endif
