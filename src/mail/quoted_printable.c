/* Quoted-printable (RFC 2045 §6.7). */
#include "mail/encode.h"

enum { LINE_CHARS = 75 }; /* 76 with the "=" of a soft break */

static const char hex[] = "0123456789ABCDEF";

static bool is_line_end(struct view in, size_t at)
{
	return at + 1 < in.len && in.ptr[at] == '\r' && in.ptr[at + 1] == '\n';
}

/* Whether the byte must become =XX where it stands. `column` 0 is the start of an encoded line. */
static bool must_encode(struct view in, size_t at, size_t column)
{
	uint8_t c = in.ptr[at];
	if (c == ' ' || c == '\t')
		return at + 1 == in.len || is_line_end(in, at + 1);
	if (!ascii_is_printable(c) || c == '=')
		return true;
	/* A line's first dot is what broken dot-stuffing eats, "From " what mbox files mangle; "--" behind a soft break could become a
	 * delimiter that was none. */
	if (column == 0 && c == '-')
		return at + 1 < in.len && in.ptr[at + 1] == '-';
	return column == 0 && (c == '.' || (c == 'F' && view_starts_with(view_from(in, at), VIEW("From "))));
}

enum err quoted_printable_encode(struct view in, struct buf *out)
{
	size_t before = out->len, column = 0;
	enum err err = ERR_OK;
	for (size_t i = 0; i < in.len && err == ERR_OK; i++) {
		/* At most a soft break and a code. */
		err = buf_reserve(out, 6);
		if (err != ERR_OK)
			break;
		uint8_t *at = out->ptr + out->len;
		if (is_line_end(in, i)) {
			*at++ = '\r';
			*at++ = '\n';
			i++;
			column = 0;
		} else {
			bool code = must_encode(in, i, column);
			if (column + (code ? 3 : 1) > LINE_CHARS) {
				*at++ = '=';
				*at++ = '\r';
				*at++ = '\n';
				column = 0;
				code = must_encode(in, i, column);
			}
			if (code) {
				*at++ = '=';
				*at++ = (uint8_t)hex[in.ptr[i] >> 4];
				*at++ = (uint8_t)hex[in.ptr[i] & 15];
			} else {
				*at++ = in.ptr[i];
			}
			column += code ? 3 : 1;
		}
		out->len = (size_t)(at - out->ptr);
	}
	if (err != ERR_OK)
		out->len = before;
	return err;
}

/* Length of the line end at `at`: 2, 1 (a lone LF), 0. */
static size_t line_end_length(struct view in, size_t at)
{
	if (is_line_end(in, at))
		return 2;
	return at < in.len && in.ptr[at] == '\n';
}

static size_t skip_blanks(struct view in, size_t at)
{
	while (at < in.len && (in.ptr[at] == ' ' || in.ptr[at] == '\t'))
		at++;
	return at;
}

enum err quoted_printable_decode(struct view in, struct buf *out)
{
	/* The decoded text is never longer. */
	enum err err = buf_reserve(out, in.len);
	if (err != ERR_OK)
		return err;
	for (size_t i = 0; i < in.len;) {
		uint8_t c = in.ptr[i];
		if (c == ' ' || c == '\t') {
			/* Blanks before a line end were added on the way: RFC 2045 §6.7 (3). */
			size_t end = skip_blanks(in, i);
			if (end < in.len && line_end_length(in, end) == 0)
				for (; i < end; i++)
					out->ptr[out->len++] = in.ptr[i];
			i = end;
			continue;
		}
		if (c == '=') {
			if (i + 2 < in.len && ascii_hex_value(in.ptr[i + 1]) >= 0 &&
				ascii_hex_value(in.ptr[i + 2]) >= 0) {
				out->ptr[out->len++] = (uint8_t)(ascii_hex_value(in.ptr[i + 1]) << 4 |
					ascii_hex_value(in.ptr[i + 2]));
				i += 3;
				continue;
			}
			size_t end = skip_blanks(in, i + 1);
			if (end == in.len || line_end_length(in, end) > 0) {
				i = end + (end < in.len ? line_end_length(in, end) : 0);
				continue;
			}
		}
		out->ptr[out->len++] = c;
		i++;
	}
	return ERR_OK;
}
