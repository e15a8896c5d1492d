/*
 * One SMTP reply as a value: code, enhanced code and text (RFC 5321 §4.2, RFC 3463). Received replies keep their text; sent
 * ones are formatted with the continuation lines that the text's '\n' ask for.
 */
#ifndef SMTP_REPLY_H
#define SMTP_REPLY_H

#include "base/buf.h"

#define SMTP_REPLY_TEXT_MAX_BYTES 500u

struct smtp_reply {
	uint16_t code; /* 200–599; 0 = no reply (never sent) */
	uint8_t class; /* of the enhanced code, 2, 4 or 5; 0 = no enhanced code */
	uint16_t subject, detail; /* of the enhanced code: class.subject.detail */
	uint16_t text_len;
	char text[SMTP_REPLY_TEXT_MAX_BYTES]; /* without codes; lines separated by '\n'; not NUL-terminated */
};

/* Builds a reply. `enhanced` is a literal such as "5.1.1", or NULL for none. Text longer than the limit is cut, bytes that
 * may not stand in a reply become '?'. */
struct smtp_reply smtp_reply_make(uint16_t code, const char *enhanced, const char *format, ...) PRINTF_LIKE(3, 4);

/* Appends the wire form, each line at most 512 bytes including CRLF (RFC 5321 §4.5.3.1.5): "250-2.1.0 first\r\n250 2.1.0 last\r\n". */
enum err smtp_reply_format(const struct smtp_reply *reply, struct buf *out) MUST_CHECK;

/* Parses one complete reply (all its lines) off the front of `in`. ERR_AGAIN: incomplete; ERR_SYNTAX: no SMTP reply;
 * ERR_LIMIT: too long. *ret_used = bytes taken. The enhanced code is taken out of the text where it stands and agrees with the class. */
enum err smtp_reply_parse(struct view in, struct smtp_reply *ret, size_t *ret_used) MUST_CHECK;

/* One line of a reply off the front of `in`, for callers that need each line whole (the EHLO reply's extensions, which may be longer
 * than a reply's text): errors as above; *ret_text without the code, borrowed from `in`. */
enum err smtp_reply_parse_line(
	struct view in, uint16_t *ret_code, bool *ret_is_last, struct view *ret_text, size_t *ret_used) MUST_CHECK;

/* "550 5.1.1 No such user" on one line ('\n' becomes a space): for logs, traces and DSN Diagnostic-Code. */
enum err smtp_reply_describe(const struct smtp_reply *reply, struct buf *out) MUST_CHECK;

static inline struct view smtp_reply_text(const struct smtp_reply *reply)
{
	return view_of(reply->text, reply->text_len);
}
static inline bool smtp_reply_is_positive(const struct smtp_reply *reply)
{
	return reply->code >= 200 && reply->code < 400;
}
static inline bool smtp_reply_is_transient(const struct smtp_reply *reply)
{
	return reply->code >= 400 && reply->code < 500;
}
static inline bool smtp_reply_is_permanent(const struct smtp_reply *reply)
{
	return reply->code >= 500 && reply->code < 600;
}

#endif
