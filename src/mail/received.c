#include "mail/received.h"

#include "mail/address.h"
#include "mail/date.h"
#include "mail/header.h"

enum { FIELD_LINE_MAX = 77, FIELD_WORD_MAX = 320 };

/* Words joined by spaces, or by a fold where the line would get too long. */
struct folder {
	struct buf *out;
	size_t column;
	enum err err;
};

static void begin_line(struct folder *f)
{
	if (f->err == ERR_OK)
		f->err = buf_append(f->out, VIEW("\r\n\t"));
	f->column = 8;
}

/* Appends a word; what could end the line, a comment or the clause becomes "?". `plain` are the bytes besides letters and digits
 * that may stand. */
static void add_word(struct folder *f, const char *before, struct view word, struct view plain, const char *after)
{
	struct view front = view_from_cstr(before), back = view_from_cstr(after);
	word = view_sub(word, 0, FIELD_WORD_MAX);
	size_t len = front.len + word.len + back.len;
	if (f->column + 1 + len > FIELD_LINE_MAX && f->column > 8)
		begin_line(f);
	else if (f->column > 8 && f->err == ERR_OK)
		f->err = buf_append_byte(f->out, ' ');
	f->column += len + 1;
	if (f->err == ERR_OK)
		f->err = buf_append(f->out, front);
	for (size_t i = 0; i < word.len && f->err == ERR_OK; i++) {
		uint8_t c = word.ptr[i];
		f->err = buf_append_byte(f->out, ascii_is_alnum(c) || view_find(plain, c) < plain.len ? c : '?');
	}
	if (f->err == ERR_OK)
		f->err = buf_append(f->out, back);
}

static void add_text(struct folder *f, const char *text)
{
	add_word(f, text, VIEW_NONE, VIEW_NONE, "");
}

#define HOST_BYTES VIEW("-.:[]_")

static void add_from(struct folder *f, const struct received_trace *trace)
{
	bool is_v6 = view_find(trace->client_address, ':') < trace->client_address.len;
	const char *literal = is_v6 ? "[IPv6:" : "[";
	add_text(f, "from");
	/* RFC 5321 §4.1.4: the name of HELO is told even if it is a lie, and the true address in the comment. */
	if (trace->helo.len > 0)
		add_word(f, "", trace->helo, HOST_BYTES, "");
	else
		add_word(f, literal, trace->client_address, HOST_BYTES, "]");
	if (trace->client_name.len > 0) {
		add_word(f, "(", trace->client_name, HOST_BYTES, "");
		add_word(f, literal, trace->client_address, HOST_BYTES, "])");
	} else {
		add_word(f, is_v6 ? "([IPv6:" : "([", trace->client_address, HOST_BYTES, "])");
	}
	begin_line(f);
}

struct view received_protocol(const struct received_trace *trace)
{
	static const char *const names[2][2][2][2] = {
		/* [lmtp][utf8][tls][auth] */
		{ { { "ESMTP", "ESMTPA" }, { "ESMTPS", "ESMTPSA" } },
			{ { "UTF8SMTP", "UTF8SMTPA" }, { "UTF8SMTPS", "UTF8SMTPSA" } } },
		{ { { "LMTP", "LMTPA" }, { "LMTPS", "LMTPSA" } },
			{ { "UTF8LMTP", "UTF8LMTPA" }, { "UTF8LMTPS", "UTF8LMTPSA" } } },
	};
	/* Without EHLO there are no extensions, and no keyword for TLS from the first byte. */
	if (!trace->is_lmtp && !trace->is_esmtp)
		return VIEW("SMTP");
	return view_from_cstr(names[trace->is_lmtp][trace->is_smtputf8][trace->is_tls][trace->is_authenticated]);
}

#define NOTE_BYTES VIEW(" -.,:;_/+=@")

static void add_by(struct folder *f, const struct received_trace *trace)
{
	add_text(f, "by");
	add_word(f, "", trace->by, HOST_BYTES, "");
	if (trace->note.len > 0)
		add_word(f, "(", trace->note, NOTE_BYTES, ")");
	if (trace->client_address.len > 0) {
		add_word(f, "with ", received_protocol(trace), HOST_BYTES, "");
		if (trace->is_tls && trace->tls_version.len > 0) {
			bool alone = trace->tls_cipher.len == 0;
			add_word(f, "(", trace->tls_version, HOST_BYTES, alone ? ")" : "");
			if (!alone)
				add_word(f, "", trace->tls_cipher, HOST_BYTES, ")");
		}
	}
	if (trace->id.len > 0)
		add_word(f, "id ", trace->id, HOST_BYTES, "");
}

/* True if the path can stand in the field as it is. */
static bool is_clean_path(struct view path, bool utf8)
{
	for (size_t i = 0; i < path.len; i++)
		if (path.ptr[i] < ' ' || path.ptr[i] == 0x7f)
			return false;
	return path.len <= ADDRESS_PATH_MAX_BYTES && (view_is_ascii(path) || (utf8 && view_is_utf8(path)));
}

/* Copied as it is: a quoted local part may hold nearly anything that is printable. */
static void add_for(struct folder *f, struct view path)
{
	if (f->column + 6 + path.len + 2 > FIELD_LINE_MAX)
		begin_line(f);
	add_text(f, "for");
	if (f->err == ERR_OK)
		f->err = buf_append(f->out, VIEW(" <"));
	if (f->err == ERR_OK)
		f->err = buf_append(f->out, path);
	if (f->err == ERR_OK)
		f->err = buf_append(f->out, VIEW(">"));
	f->column += 3 + path.len;
}

/* RFC 6710 §7. */
static void add_priority(struct folder *f, int32_t priority)
{
	char digit[] = { (char)('0' + (priority < 0 ? -priority : priority) % 10), '\0' };
	add_text(f, priority < 0 ? "PRIORITY -" : "PRIORITY ");
	if (f->err == ERR_OK)
		f->err = buf_append_cstr(f->out, digit);
	f->column++;
}

enum err received_format(const struct received_trace *trace, struct buf *out)
{
	size_t before = out->len;
	struct folder f = { out, 9, buf_append(out, VIEW("Received:")) };
	if (trace->client_address.len > 0)
		add_from(&f, trace);
	add_by(&f, trace);
	if (trace->recipient.len > 0 && is_clean_path(trace->recipient, trace->is_smtputf8))
		add_for(&f, trace->recipient);
	if (trace->has_priority)
		add_priority(&f, trace->priority);
	if (f.err == ERR_OK)
		f.err = buf_append(out, VIEW(";\r\n\t"));
	if (f.err == ERR_OK)
		f.err = date_format(trace->wall_ms, trace->zone_minutes, out);
	if (f.err == ERR_OK)
		f.err = buf_append(out, VIEW("\r\n"));
	if (f.err != ERR_OK)
		out->len = before;
	return f.err;
}

size_t received_count(struct view headers)
{
	return header_count(headers, VIEW("Received"));
}

enum err return_path_format(struct view reverse_path, struct buf *out)
{
	if (!is_clean_path(reverse_path, true))
		return err_set(ERR_SYNTAX, "the reverse-path can't stand in a header field");
	size_t before = out->len;
	enum err err = buf_append(out, VIEW("Return-Path: <"));
	if (err == ERR_OK)
		err = buf_append(out, reverse_path);
	if (err == ERR_OK)
		err = buf_append(out, VIEW(">\r\n"));
	if (err != ERR_OK)
		out->len = before;
	return err;
}
