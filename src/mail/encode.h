/* Transfer encodings: base64, quoted-printable, RFC 3461 xtext, RFC 6533 utf-8-addr-xtext, RFC 2047 encoded words. Pure. */
#ifndef MAIL_ENCODE_H
#define MAIL_ENCODE_H

#include "base/buf.h"

/* Without line breaks, with padding. */
enum err base64_encode(struct view in, struct buf *out) MUST_CHECK;
/* In lines of 76 characters with CRLF, for message bodies. */
enum err base64_encode_lines(struct view in, struct buf *out) MUST_CHECK;
/* Strict (RFC 4648 §3.5; padding required): for SASL. ERR_SYNTAX. */
enum err base64_decode(struct view in, struct buf *out) MUST_CHECK;
/* For message bodies: skips line breaks and foreign bytes (RFC 2045 §6.8). */
enum err base64_decode_lenient(struct view in, struct buf *out) MUST_CHECK;

/* Quoted-printable of text with CRLF line ends: lines of at most 76, CRLF kept as line ends, trailing blanks encoded, a dot, "From " or
 * "--" at a line's start encoded. */
enum err quoted_printable_encode(struct view in, struct buf *out) MUST_CHECK;
enum err quoted_printable_decode(struct view in, struct buf *out) MUST_CHECK;

/* RFC 3461 §4. Decoding is strict: ERR_SYNTAX. */
enum err xtext_encode(struct view in, struct buf *out) MUST_CHECK;
enum err xtext_decode(struct view in, struct buf *out) MUST_CHECK;

/* RFC 6533 §3 utf-8-addr-xtext: "\\x{E4}" for what is not ASCII, and for space, "+", "=" and the backslash. Both directions also
 * take utf-8-addr-unitext (UTF-8 as it is). ERR_SYNTAX when malformed or not UTF-8. */
enum err utf8_addr_xtext_encode(struct view in, struct buf *out) MUST_CHECK;
enum err utf8_addr_xtext_decode(struct view in, struct buf *out) MUST_CHECK;

/* Header text: as it is if it is plain ASCII (folded before a blank where it is long), else RFC 2047 encoded words (UTF-8, B or Q,
 * each ≤ 75), folded with "\r\n " between words. Text that looks like an encoded word is encoded too. Control characters (CR and LF
 * above all) become spaces, bytes that are not UTF-8 U+FFFD: the result can't end the field. */
enum err header_text_encode(struct view utf8, struct buf *out) MUST_CHECK;
/* Copies text so that it can't end a line or break a terminal: control characters become spaces, what is not UTF-8 U+FFFD. */
enum err text_clean(struct view in, struct buf *out) MUST_CHECK;
/* Decodes encoded words of charset UTF-8, US-ASCII and ISO-8859-1/-15, leaves others as they are. For display:
 * folds are undone, control characters become spaces, and the result is UTF-8 whatever came in. */
enum err header_text_decode(struct view in, struct buf *out) MUST_CHECK;

#endif
