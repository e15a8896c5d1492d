#include "mail/compose.h"

#include "mail/address_list.h"
#include "mail/date.h"
#include "mail/encode.h"
#include "mail/message_id.h"
#include "mail/mime.h"
#include "mail/scan.h"
#include "mail/writer_private.h"

#include "base/mem.h"

enum { FIELD_COLUMN_MAX = 76, TYPE_MAX_BYTES = 200, NAME_MAX_BYTES = 255, NAME_SECTION_BYTES = 40 };

/* One mailbox behind what stands in the line already; *column is counted on. */
static void write_mailbox(struct writer *w, const struct address_list_entry *entry, bool first, size_t *column)
{
	struct buf one = { 0 };
	write_result(w, address_list_format(entry->name, entry->address, &one));
	if (!first)
		write_text(w, ",");
	if (!first && *column + 2 + one.len > FIELD_COLUMN_MAX) {
		write_text(w, "\r\n ");
		*column = 0;
	} else {
		write_text(w, " ");
	}
	write_view(w, buf_view(&one));
	*column += 2 + one.len;
	buf_clear(&one);
}

/* An address field from what a person wrote; nothing if there is no mailbox in it. Tells the number of mailboxes, and whether one
 * needs SMTPUTF8. `first_only` for Sender. */
static size_t write_addresses(struct writer *w, const char *name, struct view text, bool first_only, bool *utf8)
{
	struct address_list list;
	struct address_list_entry entry;
	size_t count = 0, column = view_from_cstr(name).len;
	enum err err = ERR_OK;
	address_list_init(&list, text);
	while (w->err == ERR_OK && (count == 0 || !first_only) && (err = address_list_next(&list, &entry)) == ERR_OK) {
		if (entry.local_length == entry.address.len)
			err = err_set(ERR_SYNTAX, "an address has no domain");
		if (err != ERR_OK)
			break;
		if (count == 0)
			write_text(w, name);
		write_mailbox(w, &entry, count == 0, &column);
		*utf8 |= !view_is_ascii(entry.address);
		count++;
	}
	address_list_clear(&list);
	if (err != ERR_OK && err != ERR_NOT_FOUND) {
		/* A copy, since err_set() writes where err_detail() reads. */
		CLEANUP(mem_free_pointer) char *detail = mem_dup_cstr(err_detail());
		write_result(w, err_set(err, "%s %s", name, detail));
	}
	if (count > 0)
		write_text(w, "\r\n");
	return count;
}

static void write_subject(struct writer *w, struct view subject)
{
	if (view_trim(subject).len == 0)
		return;
	write_text(w, "Subject: ");
	write_result(w, header_text_encode(view_trim(subject), w->out));
	write_text(w, "\r\n");
}

static void write_header(struct writer *w, const struct compose *c, bool *utf8)
{
	write_text(w, "Date: ");
	write_result(w, date_format(c->wall_ms, c->zone_minutes, w->out));
	write_text(w, "\r\n");
	size_t authors = write_addresses(w, "From:", c->from, false, utf8);
	if (authors == 0 && w->err == ERR_OK)
		write_result(w, err_set(ERR_SYNTAX, "From: there is no address"));
	if (authors > 1) /* RFC 5322 §3.6.2 */
		write_addresses(w, "Sender:", c->from, true, utf8);
	write_addresses(w, "Reply-To:", c->reply_to, false, utf8);
	size_t shown = write_addresses(w, "To:", c->to, false, utf8);
	shown += write_addresses(w, "Cc:", c->cc, false, utf8);
	if (shown == 0)
		write_text(w, "To: undisclosed-recipients:;\r\n");
	write_subject(w, c->subject);
	write_text(w, "Message-ID: ");
	write_result(w, message_id_make(c->wall_ms, c->random + MESSAGE_ID_RANDOM_BYTES, c->hostname, w->out));
	write_text(w, "\r\nMIME-Version: 1.0\r\n");
}

/* Every kind of line end becomes CRLF, and the last line gets one. */
static enum err append_crlf(struct view text, struct buf *out)
{
	struct writer w = writer_begin(out);
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.ptr[i];
		if (c == '\r' || c == '\n')
			write_text(&w, "\r\n");
		else
			write_byte(&w, c);
		if (c == '\r' && i + 1 < text.len && text.ptr[i + 1] == '\n')
			i++;
	}
	if (text.len > 0 && text.ptr[text.len - 1] != '\n' && text.ptr[text.len - 1] != '\r')
		write_text(&w, "\r\n");
	return writer_end(&w);
}

static void write_text_part(struct writer *w, const char *subtype, struct view text)
{
	struct buf lines = { 0 };
	write_result(w, append_crlf(text, &lines));
	struct view v = buf_view(&lines);
	struct mail_scan scan = mail_scan(v);
	size_t high = 0;
	for (size_t i = 0; i < v.len; i++)
		high += v.ptr[i] >= 0x80 || v.ptr[i] == '=';
	write_text(w, "Content-Type: text/");
	write_text(w, subtype);
	write_text(w,
		view_is_ascii(v)          ? "; charset=us-ascii\r\n"
			: view_is_utf8(v) ? "; charset=utf-8\r\n"
					  : "; charset=unknown-8bit\r\n"); /* RFC 1428 §3 */
	write_text(w, "Content-Transfer-Encoding: ");
	if (view_is_ascii(v) && !mail_scan_is_binary(&scan)) {
		write_text(w, "7bit\r\n\r\n");
		write_view(w, v);
	} else if (high * 6 < v.len) { /* each costs two more bytes there, a third of all is what base64 costs */
		write_text(w, "quoted-printable\r\n\r\n");
		write_result(w, quoted_printable_encode(v, w->out));
	} else {
		write_text(w, "base64\r\n\r\n");
		write_result(w, base64_encode_lines(v, w->out));
	}
	buf_clear(&lines);
}

/* The boundary of one level: two levels of one message must differ. */
static void write_boundary(struct writer *w, const struct compose *c, const char *level)
{
	write_text(w, "=_");
	write_text(w, level);
	write_hex(w, c->random, COMPOSE_RANDOM_BYTES);
}

static void write_multipart_type(struct writer *w, const struct compose *c, const char *level)
{
	write_text(w, "Content-Type: multipart/");
	write_text(w, level);
	write_text(w, ";\r\n\tboundary=\"");
	write_boundary(w, c, level);
	write_text(w, "\"\r\n\r\n");
}

static void write_delimiter(struct writer *w, const struct compose *c, const char *level, const char *behind)
{
	write_text(w, "--");
	write_boundary(w, c, level);
	write_text(w, behind);
	write_text(w, "\r\n");
}

static void write_body(struct writer *w, const struct compose *c)
{
	if (c->html.len == 0) {
		write_text_part(w, "plain", c->text);
	} else if (c->text.len == 0) {
		write_text_part(w, "html", c->html);
	} else {
		write_multipart_type(w, c, "alternative");
		write_delimiter(w, c, "alternative", "");
		write_text_part(w, "plain", c->text);
		write_text(w, "\r\n");
		write_delimiter(w, c, "alternative", "");
		write_text_part(w, "html", c->html);
		write_text(w, "\r\n");
		write_delimiter(w, c, "alternative", "--");
	}
}

/* The type as given if it is one, and one that may be base64 (RFC 2045 §6.4 forbids it for multipart and message). */
static void write_attachment_type(struct writer *w, const struct compose_attachment *a)
{
	struct mime_type type;
	bool printable = a->type.len <= TYPE_MAX_BYTES;
	for (size_t i = 0; i < a->type.len; i++)
		printable &= ascii_is_printable(a->type.ptr[i]);
	write_text(w, "Content-Type: ");
	if (!printable || !mime_type_parse(a->type, &type) || view_eq_nocase(type.type, VIEW("multipart")) ||
		view_eq_nocase(type.type, VIEW("message"))) {
		write_text(w, "application/octet-stream\r\n");
		return;
	}
	write_view(w, a->type);
	struct buf charset = { 0 };
	if (view_eq_nocase(type.type, VIEW("text")) &&
		mime_parameter(&type, VIEW("charset"), &charset) == ERR_NOT_FOUND && view_is_utf8(a->bytes))
		write_text(w, "; charset=utf-8");
	buf_clear(&charset);
	write_text(w, "\r\n");
}

/* RFC 2231 §4.1: filename*0*=UTF-8''…; in sections, so that no line gets long. `name` is clean UTF-8. */
static void write_extended_name(struct writer *w, struct view name)
{
	bool several = name.len > NAME_SECTION_BYTES;
	for (uint64_t section = 0; name.len > 0; section++) {
		struct view piece = view_sub(name, 0, NAME_SECTION_BYTES);
		while (piece.len < name.len && (name.ptr[piece.len] & 0xc0) == 0x80)
			piece.len--;
		write_text(w, ";\r\n\tfilename*");
		if (several) {
			write_u64(w, section);
			write_text(w, "*");
		}
		write_text(w, section == 0 ? "=UTF-8''" : "=");
		for (size_t i = 0; i < piece.len; i++) {
			uint8_t c = piece.ptr[i];
			if (ascii_is_alnum(c) || c == '.' || c == '-' || c == '_') {
				write_byte(w, c);
			} else {
				write_byte(w, '%');
				write_byte(w, (uint8_t) "0123456789ABCDEF"[c >> 4]);
				write_byte(w, (uint8_t) "0123456789ABCDEF"[c & 15]);
			}
		}
		name = view_from(name, piece.len);
	}
}

static void write_disposition(struct writer *w, struct view path)
{
	struct buf clean = { 0 };
	size_t slash = view_find_last(path, '/');
	struct view name = view_from(path, slash < path.len ? slash + 1 : 0);
	write_result(w, text_clean(view_sub(name, 0, NAME_MAX_BYTES), &clean));
	name = view_trim(buf_view(&clean));
	write_text(w, "Content-Disposition: attachment");
	bool simple = name.len <= NAME_SECTION_BYTES;
	for (size_t i = 0; i < name.len; i++)
		simple &= ascii_is_printable(name.ptr[i]) && name.ptr[i] != '"' && name.ptr[i] != '\\';
	if (name.len > 0 && simple) {
		write_text(w, "; filename=\"");
		write_view(w, name);
		write_text(w, "\"");
	} else {
		write_extended_name(w, name);
	}
	write_text(w, "\r\n");
	buf_clear(&clean);
}

static void write_attachment(struct writer *w, const struct compose_attachment *a)
{
	write_attachment_type(w, a);
	write_disposition(w, a->name);
	write_text(w, "Content-Transfer-Encoding: base64\r\n\r\n");
	write_result(w, base64_encode_lines(a->bytes, w->out));
}

enum err compose_build(const struct compose *compose, struct buf *out, struct compose_built *ret)
{
	struct writer w = writer_begin(out);
	struct compose_built built = { 0 };
	write_header(&w, compose, &built.is_smtputf8);
	if (compose->attachment_count == 0) {
		write_body(&w, compose);
	} else {
		write_multipart_type(&w, compose, "mixed");
		write_delimiter(&w, compose, "mixed", "");
		write_body(&w, compose);
		for (size_t i = 0; i < compose->attachment_count && w.err == ERR_OK; i++) {
			write_text(&w, "\r\n");
			write_delimiter(&w, compose, "mixed", "");
			write_attachment(&w, &compose->attachments[i]);
		}
		write_text(&w, "\r\n");
		write_delimiter(&w, compose, "mixed", "--");
	}
	enum err err = writer_end(&w);
	if (err == ERR_OK)
		*ret = built;
	return err;
}
