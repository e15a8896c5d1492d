#include "mail/downgrade.h"

#include "mail/encode.h"
#include "mail/header.h"
#include "mail/mime.h"
#include "mail/scan.h"
#include "mail/writer_private.h"

struct entity {
	struct view bytes;
	struct mime_part part;
	unsigned depth;
	bool is_message; /* the whole message, or one inside message/rfc822: it has its own MIME-Version */
	bool has_type_field, has_mime_version;
};

static void convert(struct writer *w, struct view bytes, unsigned depth, bool in_digest, bool is_message);

/* True if it can go over any server as it is. */
static bool is_clean(struct view v)
{
	struct mail_scan scan = mail_scan(v);
	return !scan.has_8bit_header && !scan.has_8bit_body && !mail_scan_is_binary(&scan);
}

static void refuse(struct writer *w, const char *why)
{
	write_result(w, err_set(ERR_UNSUPPORTED, "%s", why));
}

/* One line of a field with a proper end; a line that is too long is folded at a blank. */
static void write_header_line(struct writer *w, struct view line)
{
	while (line.len > MAIL_LINE_MAX_BYTES) {
		size_t at = MAIL_LINE_MAX_BYTES;
		while (at > 0 && line.ptr[at] != ' ' && line.ptr[at] != '\t')
			at--;
		/* No blank to fold at; or only blanks in front of it, which would look like the end of the header to some. */
		if (view_trim(view_sub(line, 0, at)).len == 0) {
			refuse(w, "a header line is too long to be folded");
			return;
		}
		write_view(w, view_sub(line, 0, at));
		write_text(w, "\r\n");
		line = view_from(line, at);
	}
	write_view(w, line);
	write_text(w, "\r\n");
}

static void write_field(struct writer *w, struct view whole)
{
	struct view line;
	while (view_split(&whole, '\n', &line)) {
		if (line.len > 0 && line.ptr[line.len - 1] == '\r')
			line.len--;
		for (size_t i = 0; i < line.len && w->err == ERR_OK; i++)
			if (line.ptr[i] >= 0x80)
				refuse(w, "the header has bytes that are not ASCII");
			else if (line.ptr[i] == '\r' || line.ptr[i] == '\0')
				refuse(w, "the header has a bare CR or a NUL");
		write_header_line(w, line);
	}
}

/* The header with this transfer encoding instead of its own; NULL keeps it. */
static void write_header(struct writer *w, const struct entity *e, const char *encoding)
{
	struct view rest = e->part.header;
	struct header_field field;
	while (header_next(&rest, &field))
		if (encoding == NULL || !view_eq_nocase(field.name, VIEW("Content-Transfer-Encoding")))
			write_field(w, field.whole);
	if (encoding != NULL) {
		if (e->is_message && !e->has_mime_version)
			write_text(w, "MIME-Version: 1.0\r\n");
		/* RFC 1428 §3: text that doesn't say its charset. UTF-8 can be told by its bytes. */
		if (e->is_message && !e->has_type_field)
			write_text(w,
				view_is_utf8(e->part.body) ? "Content-Type: text/plain; charset=utf-8\r\n"
							   : "Content-Type: text/plain; charset=unknown-8bit\r\n");
		write_text(w, "Content-Transfer-Encoding: ");
		write_text(w, encoding);
		write_text(w, "\r\n");
	}
	if (rest.len > 0)
		write_text(w, "\r\n");
}

static void write_leaf(struct writer *w, const struct entity *e, bool as_text)
{
	struct buf decoded = { .max_bytes = w->out->max_bytes };
	struct view body = e->part.body;
	if (e->part.encoding == MIME_UNKNOWN) {
		refuse(w, "a part in an unknown transfer encoding has 8-bit bytes");
		return;
	}
	write_header(w, e, as_text ? "quoted-printable" : "base64");
	/* Encoded already, and yet not clean: encoded again from what a reader would make of it. */
	if (e->part.encoding == MIME_QUOTED_PRINTABLE || e->part.encoding == MIME_BASE64) {
		write_result(w, mime_part_decode(&e->part, &decoded));
		body = buf_view(&decoded);
	}
	if (w->err == ERR_OK)
		write_result(w, as_text ? quoted_printable_encode(body, w->out) : base64_encode_lines(body, w->out));
	buf_clear(&decoded);
}

static bool is_identity(enum mime_encoding encoding)
{
	return encoding == MIME_7BIT || encoding == MIME_8BIT || encoding == MIME_BINARY;
}

static void write_multipart(struct writer *w, const struct entity *e)
{
	struct mime_walker walker;
	struct view child, boundary;
	if (view_eq_nocase(e->part.type.subtype, VIEW("signed"))) {
		refuse(w, "a signed part has 8-bit bytes");
		return;
	}
	if (!is_identity(e->part.encoding) || !mime_walker_init(&walker, &e->part)) {
		refuse(w, "a multipart with 8-bit bytes can't be taken apart");
		return;
	}
	boundary = mime_walker_boundary(&walker);
	if (!is_clean(boundary)) {
		refuse(w, "a multipart has a boundary that is not ASCII");
		return;
	}
	write_header(w, e, e->part.encoding == MIME_7BIT ? NULL : "7bit");
	/* Readers see neither preamble nor epilogue (RFC 2046 §5.1.1). */
	if (is_clean(walker.preamble))
		write_view(w, walker.preamble);
	bool digest = view_eq_nocase(e->part.type.subtype, VIEW("digest"));
	while (w->err == ERR_OK && mime_walker_next(&walker, &child)) {
		write_text(w, "--");
		write_view(w, boundary);
		write_text(w, "\r\n");
		convert(w, child, e->depth + 1, digest, false);
		write_text(w, "\r\n");
	}
	write_text(w, "--");
	write_view(w, boundary);
	write_text(w, "--\r\n");
	if (is_clean(walker.epilogue))
		write_view(w, walker.epilogue);
}

static void write_message(struct writer *w, const struct entity *e)
{
	if (mime_type_is(&e->part.type, "message", "rfc822")) {
		if (!is_identity(e->part.encoding)) {
			refuse(w, "an attached message with 8-bit bytes claims to be encoded");
			return;
		}
		write_header(w, e, e->part.encoding == MIME_7BIT ? NULL : "7bit");
		convert(w, e->part.body, e->depth + 1, false, true);
	} else if (mime_type_is(&e->part.type, "message", "partial") ||
		mime_type_is(&e->part.type, "message", "external-body")) {
		refuse(w, "a part of a type that may not be encoded has 8-bit bytes");
	} else {
		/* RFC 6532 §3.7 allows it for message/global; for a report's status part it beats losing the report. */
		write_leaf(w, e, true);
	}
}

static void convert(struct writer *w, struct view bytes, unsigned depth, bool in_digest, bool is_message)
{
	/* Also what keeps signed parts whole that are 7-bit already. */
	if (is_clean(bytes)) {
		write_view(w, bytes);
		return;
	}
	if (depth > MIME_DEPTH_MAX) {
		refuse(w, "parts are nested too deep");
		return;
	}
	struct entity e = { .bytes = bytes, .depth = depth, .is_message = is_message };
	struct header_field field;
	mime_part_parse(bytes, in_digest, &e.part);
	e.has_type_field = header_find(e.part.header, VIEW("Content-Type"), &field);
	e.has_mime_version = header_find(e.part.header, VIEW("MIME-Version"), &field);
	bool is_multipart = view_eq_nocase(e.part.type.type, VIEW("multipart"));
	bool is_attached = view_eq_nocase(e.part.type.type, VIEW("message"));
	if (is_clean(e.part.body)) {
		write_header(w, &e, NULL);
		write_view(w, e.part.body);
	} else if (is_multipart) {
		write_multipart(w, &e);
	} else if (is_attached) {
		write_message(w, &e);
	} else {
		write_leaf(w, &e, view_eq_nocase(e.part.type.type, VIEW("text")));
	}
}

enum err downgrade_to_7bit(struct view message, struct buf *out)
{
	struct writer w = writer_begin(out);
	convert(&w, message, 0, false, true);
	return writer_end(&w);
}
