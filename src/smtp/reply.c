#include "smtp/reply.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* What a peer may send: RFC 5321 §4.5.3.1.5 says 512 with CRLF, real servers go beyond it. */
#define LINE_MAX_BYTES 2048u
#define REPLY_MAX_BYTES 16384u
#define WIRE_LINE_MAX_BYTES 512u

struct enhanced {
	uint8_t class;
	uint16_t subject, detail;
};

/* "class.subject.detail" (RFC 3463 §2: one digit, then 1–3 digits each) at the front of `text`, followed by a blank or nothing.
 * Returns the bytes taken with the blank, 0 if there is none. */
static size_t parse_enhanced(struct view text, struct enhanced *ret)
{
	unsigned part[3] = { 0, 0, 0 };
	size_t at = 0;
	for (size_t i = 0; i < 3; i++) {
		size_t digits = 0;
		for (; at < text.len && ascii_is_digit(text.ptr[at]) && digits < 3; digits++)
			part[i] = part[i] * 10 + (unsigned)(text.ptr[at++] - '0');
		if (digits == 0 || (i == 0 && digits != 1))
			return 0;
		if (i < 2 && (at >= text.len || text.ptr[at++] != '.'))
			return 0;
	}
	if (at < text.len && text.ptr[at] != ' ' && text.ptr[at] != '\t')
		return 0;
	if (part[0] != 2 && part[0] != 4 && part[0] != 5)
		return 0;
	*ret = (struct enhanced){ (uint8_t)part[0], (uint16_t)part[1], (uint16_t)part[2] };
	return at < text.len ? at + 1 : at;
}

/* `len` less the start of a UTF-8 sequence that a cut at `len` left incomplete. */
static size_t without_cut_character(const uint8_t *text, size_t len)
{
	size_t start = len;
	while (start > 0 && len - start < 3 && (text[start - 1] & 0xc0) == 0x80)
		start--;
	if (start == 0 || text[start - 1] < 0xc0)
		return len;
	uint8_t lead = text[start - 1];
	size_t want = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
	return len - start + 1 < want ? start - 1 : len;
}

/* Controls would let a peer's text forge lines in logs and reports; UTF-8 is a legal reply (RFC 6531 §3.7.4.2). */
static void clean_text(struct smtp_reply *reply, bool allow_utf8)
{
	bool keep_high = allow_utf8 && view_is_utf8(view_of(reply->text, reply->text_len));
	for (size_t i = 0; i < reply->text_len; i++) {
		uint8_t c = (uint8_t)reply->text[i];
		bool fine = ascii_is_printable(c) || c == '\t' || c == '\n' || (c >= 0x80 && keep_high);
		if (!fine)
			reply->text[i] = '?';
	}
}

struct smtp_reply smtp_reply_make(uint16_t code, const char *enhanced, const char *format, ...)
{
	struct smtp_reply reply = { .code = code };
	ASSERT(code >= 200 && code <= 599);
	if (enhanced != NULL) {
		struct enhanced e = { 0 };
		ASSERT(parse_enhanced(view_from_cstr(enhanced), &e) == strlen(enhanced));
		ASSERT(e.class == code / 100);
		reply.class = e.class;
		reply.subject = e.subject;
		reply.detail = e.detail;
	}
	char text[SMTP_REPLY_TEXT_MAX_BYTES + 1];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(text, sizeof text, format, args);
	va_end(args);
	ASSERT(n >= 0);
	size_t len = (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
	if ((size_t)n >= sizeof text)
		len = without_cut_character((const uint8_t *)text, len);
	while (len > 0 && text[len - 1] == '\n')
		len--;
	memcpy(reply.text, text, len);
	reply.text_len = (uint16_t)len;
	clean_text(&reply, true);
	return reply;
}

/* How much of `line` fits into `room` bytes: up to the last blank in the second half, else a hard cut between characters. */
static size_t line_piece(struct view line, size_t room)
{
	if (line.len <= room)
		return line.len;
	size_t blank = view_find_last(view_sub(line, 0, room), ' ');
	if (blank < room && blank > room / 2)
		return blank + 1;
	return without_cut_character(line.ptr, room);
}

enum err smtp_reply_format(const struct smtp_reply *reply, struct buf *out)
{
	char enhanced[16] = "";
	int enhanced_len = 0;
	if (reply->class != 0)
		enhanced_len = snprintf(enhanced, sizeof enhanced, "%u.%u.%u ", (unsigned)reply->class,
			(unsigned)reply->subject % 1000, (unsigned)reply->detail % 1000);
	size_t room = WIRE_LINE_MAX_BYTES - 4 - (size_t)enhanced_len - 2;
	size_t before = out->len;
	struct view rest = smtp_reply_text(reply);
	bool last;
	do {
		size_t end = view_find(rest, '\n');
		size_t piece = line_piece(view_sub(rest, 0, end), room);
		/* A '\n' is taken with the line before it. */
		size_t used = piece == end && end < rest.len ? piece + 1 : piece;
		last = used == rest.len && (piece == used);
		enum err err = buf_append_format(out, "%03u%c%s%.*s\r\n", (unsigned)reply->code, last ? ' ' : '-',
			enhanced, VIEW_ARG(view_sub(rest, 0, piece)));
		if (err != ERR_OK) {
			out->len = before;
			return err;
		}
		rest = view_from(rest, used);
	} while (!last);
	return ERR_OK;
}

enum err smtp_reply_parse_line(
	struct view in, uint16_t *ret_code, bool *ret_is_last, struct view *ret_text, size_t *ret_used)
{
	size_t end = view_find(in, '\n');
	if (end >= LINE_MAX_BYTES)
		return err_set(ERR_LIMIT, "a reply line of more than %u bytes", LINE_MAX_BYTES);
	if (end == in.len)
		return ERR_AGAIN;
	struct view line = view_sub(in, 0, end);
	if (line.len > 0 && line.ptr[line.len - 1] == '\r')
		line.len--;
	uint64_t code;
	if (view_parse_u64(view_sub(line, 0, 3), 599, &code) != ERR_OK || line.len < 3 || code < 200)
		return err_set(ERR_SYNTAX, "no SMTP reply: a line without a code");
	if (line.len > 3 && line.ptr[3] != ' ' && line.ptr[3] != '-')
		return err_set(ERR_SYNTAX, "no SMTP reply: neither space nor hyphen behind the code");
	*ret_code = (uint16_t)code;
	*ret_is_last = line.len == 3 || line.ptr[3] == ' ';
	*ret_text = view_from(line, 4);
	*ret_used = end + 1;
	return ERR_OK;
}

/* Adds a line's text, as much as fits; the rest of an overlong reply is of no use to anybody. */
static void append_line(struct smtp_reply *reply, struct view text, bool first)
{
	size_t room = SMTP_REPLY_TEXT_MAX_BYTES - reply->text_len;
	if (!first && room > 0) {
		reply->text[reply->text_len++] = '\n';
		room--;
	}
	size_t n = text.len <= room ? text.len : without_cut_character(text.ptr, room);
	if (n > 0)
		memcpy(reply->text + reply->text_len, text.ptr, n);
	reply->text_len = (uint16_t)(reply->text_len + n);
}

enum err smtp_reply_parse(struct view in, struct smtp_reply *ret, size_t *ret_used)
{
	struct smtp_reply reply = { 0 };
	struct enhanced enhanced = { 0 };
	size_t at = 0;
	bool last = false;
	for (bool first = true; !last; first = false) {
		uint16_t code;
		struct view text;
		size_t used;
		if (at > REPLY_MAX_BYTES)
			return err_set(ERR_LIMIT, "a reply of more than %u bytes", REPLY_MAX_BYTES);
		enum err err = smtp_reply_parse_line(view_from(in, at), &code, &last, &text, &used);
		if (err != ERR_OK)
			return err;
		/* RFC 5321 §4.2.1: the code on each line is the same. */
		if (!first && code != reply.code)
			return err_set(ERR_SYNTAX, "no SMTP reply: its lines have different codes");
		reply.code = code;
		struct enhanced here = { 0 };
		size_t skip = parse_enhanced(text, &here);
		if (first && skip > 0 && here.class == code / 100)
			enhanced = here;
		if (skip > 0 && enhanced.class != 0 && here.class == enhanced.class &&
			here.subject == enhanced.subject && here.detail == enhanced.detail)
			text = view_from(text, skip);
		append_line(&reply, text, first);
		at += used;
	}
	reply.class = enhanced.class;
	reply.subject = enhanced.subject;
	reply.detail = enhanced.detail;
	clean_text(&reply, true);
	*ret = reply;
	*ret_used = at;
	return ERR_OK;
}

enum err smtp_reply_describe(const struct smtp_reply *reply, struct buf *out)
{
	size_t before = out->len;
	enum err err = ERR_OK;
	if (reply->code != 0)
		err = buf_append_format(out, "%03u ", (unsigned)reply->code);
	if (err == ERR_OK && reply->class != 0)
		err = buf_append_format(
			out, "%u.%u.%u ", (unsigned)reply->class, (unsigned)reply->subject, (unsigned)reply->detail);
	size_t text_at = out->len;
	if (err == ERR_OK)
		err = buf_append(out, smtp_reply_text(reply));
	if (err != ERR_OK) {
		out->len = before;
		return err;
	}
	for (size_t i = text_at; i < out->len; i++)
		if (out->ptr[i] == '\n')
			out->ptr[i] = ' ';
	while (out->len > before && out->ptr[out->len - 1] == ' ')
		out->len--;
	return ERR_OK;
}
