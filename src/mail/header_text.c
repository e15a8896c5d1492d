/* Unstructured header text and RFC 2047 encoded words. */
#include "mail/encode.h"

#include <string.h>

enum {
	WORD_CHARS = 75, /* RFC 2047 §2 */
	FIRST_WORD_CHARS = 58, /* leaves room for the field's name on the first line */
	WORD_OVERHEAD = 12, /* "=?UTF-8?B?" and "?=" */
	FOLD_COLUMN = 60, /* where a plain text starts to be folded, the field's name not counted */
	PLAIN_WORD_MAX_CHARS = 900, /* what still fits a line of 998 with a field's name */
};

#define REPLACEMENT VIEW("\xef\xbf\xbd") /* U+FFFD */

/* The length of the well-formed UTF-8 sequence at the front, or 0. */
static size_t sequence_length(struct view v)
{
	size_t n = v.ptr[0] < 0x80 ? 1 : v.ptr[0] < 0xe0 ? 2 : v.ptr[0] < 0xf0 ? 3 : 4;
	return n <= v.len && view_is_utf8(view_sub(v, 0, n)) ? n : 0;
}

enum err text_clean(struct view in, struct buf *out)
{
	enum err err = ERR_OK;
	size_t before = out->len;
	while (in.len > 0 && err == ERR_OK) {
		size_t n = sequence_length(in);
		uint8_t c = in.ptr[0];
		if (n == 0)
			err = buf_append(out, REPLACEMENT);
		else if (n == 1)
			err = buf_append_byte(out, ascii_is_printable(c) || c == '\t' ? c : ' ');
		else
			err = c == 0xc2 && in.ptr[1] < 0xa0 ? buf_append_byte(out, ' ')
							    : buf_append(out, view_sub(in, 0, n));
		in = view_from(in, n > 0 ? n : 1);
	}
	if (err != ERR_OK)
		out->len = before;
	return err;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/* True if the text can stand in a header as it is: printable ASCII that nobody takes for an encoded word, foldable. */
static bool is_plain(struct view v)
{
	size_t word = 0;
	for (size_t i = 0; i < v.len; i++) {
		uint8_t c = v.ptr[i];
		if (!ascii_is_printable(c) && c != '\t')
			return false;
		if (c == '=' && i + 1 < v.len && v.ptr[i + 1] == '?')
			return false;
		word = is_blank(c) ? 0 : word + 1;
		if (word > PLAIN_WORD_MAX_CHARS)
			return false;
	}
	return v.len == 0 || (!is_blank(v.ptr[0]) && !is_blank(v.ptr[v.len - 1]));
}

/* Folds at the last blank before a word that would pass the column, so no line is blank and unfolding gives the same text. */
static enum err append_folded(struct view v, struct buf *out)
{
	size_t column = 0;
	enum err err = ERR_OK;
	for (size_t i = 0; i < v.len && err == ERR_OK;) {
		size_t end = i;
		while (end < v.len && !is_blank(v.ptr[end]))
			end++;
		while (end + 1 < v.len && is_blank(v.ptr[end]) && is_blank(v.ptr[end + 1]))
			end++;
		/* [i, end) is a word and all blanks behind it but the last, which starts the next piece. */
		size_t next = end;
		while (next + 1 < v.len && !is_blank(v.ptr[next + 1]))
			next++;
		err = buf_append(out, view_sub(v, i, end - i));
		column += end - i;
		if (err == ERR_OK && end < v.len) {
			if (column + (next - end) > FOLD_COLUMN) {
				err = buf_append(out, VIEW("\r\n"));
				column = 0;
			}
			if (err == ERR_OK)
				err = buf_append_byte(out, v.ptr[end]);
			column++;
			end++;
		}
		i = end;
	}
	return err;
}

/* RFC 2047 §5 (3) allows these in Q words wherever a word may stand. */
static bool is_q_plain(uint8_t c)
{
	return ascii_is_alnum(c) || (c != '\0' && strchr("!*+-/", c) != NULL);
}

static size_t q_length(struct view v)
{
	size_t n = 0;
	for (size_t i = 0; i < v.len; i++)
		n += is_q_plain(v.ptr[i]) || v.ptr[i] == ' ' ? 1 : 3;
	return n;
}

static enum err append_q(struct view v, struct buf *out)
{
	static const char hex[] = "0123456789ABCDEF";
	enum err err = ERR_OK;
	for (size_t i = 0; i < v.len && err == ERR_OK; i++) {
		uint8_t c = v.ptr[i];
		uint8_t code[3] = { '=', (uint8_t)hex[c >> 4], (uint8_t)hex[c & 15] };
		if (is_q_plain(c) || c == ' ')
			err = buf_append_byte(out, c == ' ' ? '_' : c);
		else
			err = buf_append(out, view_of(code, sizeof code));
	}
	return err;
}

static enum err append_word(struct view v, bool q, struct buf *out)
{
	enum err err = buf_append_cstr(out, q ? "=?UTF-8?Q?" : "=?UTF-8?B?");
	if (err == ERR_OK)
		err = q ? append_q(v, out) : base64_encode(v, out);
	return err == ERR_OK ? buf_append(out, VIEW("?=")) : err;
}

/* The longest front of `v` whose encoded form has at most `max` characters; characters stay whole (RFC 2047 §5). */
static size_t word_bytes(struct view v, bool q, size_t max)
{
	size_t taken = 0, q_chars = 0;
	while (taken < v.len) {
		size_t n = sequence_length(view_from(v, taken));
		q_chars += q_length(view_sub(v, taken, n));
		if ((q ? q_chars : (taken + n + 2) / 3 * 4) > max)
			break;
		taken += n;
	}
	return taken;
}

static enum err append_words(struct view v, struct buf *out)
{
	bool q = q_length(v) <= (v.len + 2) / 3 * 4;
	size_t max = FIRST_WORD_CHARS - WORD_OVERHEAD;
	enum err err = ERR_OK;
	while (v.len > 0 && err == ERR_OK) {
		size_t n = word_bytes(v, q, max);
		err = append_word(view_sub(v, 0, n), q, out);
		v = view_from(v, n);
		if (err == ERR_OK && v.len > 0)
			err = buf_append(out, VIEW("\r\n "));
		max = WORD_CHARS - WORD_OVERHEAD;
	}
	return err;
}

enum err header_text_encode(struct view utf8, struct buf *out)
{
	size_t before = out->len;
	enum err err;
	if (is_plain(utf8)) {
		err = append_folded(utf8, out);
	} else {
		struct buf clean = { .max_bytes = out->max_bytes };
		err = text_clean(utf8, &clean);
		struct view text = buf_view(&clean);
		/* Cleaning may have been all that it needed. */
		if (err == ERR_OK)
			err = is_plain(text) ? append_folded(text, out) : append_words(text, out);
		buf_clear(&clean);
	}
	if (err != ERR_OK)
		out->len = before;
	return err;
}

enum charset { CHARSET_UTF8, CHARSET_LATIN1, CHARSET_LATIN9 };
struct encoded_word {
	enum charset charset;
	bool q;
	struct view text;
	size_t length; /* of the whole word */
};

static bool charset_from_name(struct view name, enum charset *ret)
{
	static const struct {
		struct view name;
		enum charset charset;
	} names[] = {
		{ { (const uint8_t *)"utf-8", 5 }, CHARSET_UTF8 },
		{ { (const uint8_t *)"utf8", 4 }, CHARSET_UTF8 },
		{ { (const uint8_t *)"us-ascii", 8 }, CHARSET_UTF8 },
		{ { (const uint8_t *)"iso-8859-1", 10 }, CHARSET_LATIN1 },
		{ { (const uint8_t *)"iso-8859-15", 11 }, CHARSET_LATIN9 },
	};
	name = view_sub(name, 0, view_find(name, '*')); /* RFC 2231 §5: a language may follow */
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (view_eq_nocase(name, names[i].name)) {
			*ret = names[i].charset;
			return true;
		}
	return false;
}

/* "=?charset?Q?text?=" at the front. No blanks inside, but no limit of 75 either: many programs pass it. */
static bool parse_word(struct view in, struct encoded_word *ret)
{
	if (!view_starts_with(in, VIEW("=?")))
		return false;
	struct view rest = view_from(in, 2);
	size_t end = view_find(view_sub(rest, 0, 64), '?');
	if (end >= 64 || end + 2 >= rest.len || rest.ptr[end] != '?' || rest.ptr[end + 2] != '?' ||
		!charset_from_name(view_sub(rest, 0, end), &ret->charset))
		return false;
	uint8_t encoding = ascii_lower(rest.ptr[end + 1]);
	if (encoding != 'q' && encoding != 'b')
		return false;
	struct view text = view_from(rest, end + 3);
	size_t n = 0;
	while (n < text.len && text.ptr[n] != '?' && text.ptr[n] > ' ')
		n++;
	if (n + 1 >= text.len || text.ptr[n] != '?' || text.ptr[n + 1] != '=')
		return false;
	ret->q = encoding == 'q';
	ret->text = view_sub(text, 0, n);
	ret->length = 2 + end + 3 + n + 2;
	return true;
}

static enum err decode_q(struct view in, struct buf *out)
{
	enum err err = ERR_OK;
	for (size_t i = 0; i < in.len && err == ERR_OK; i++) {
		uint8_t c = in.ptr[i] == '_' ? ' ' : in.ptr[i];
		if (c == '=' && i + 2 < in.len && ascii_hex_value(in.ptr[i + 1]) >= 0 &&
			ascii_hex_value(in.ptr[i + 2]) >= 0) {
			c = (uint8_t)(ascii_hex_value(in.ptr[i + 1]) << 4 | ascii_hex_value(in.ptr[i + 2]));
			i += 2;
		}
		err = buf_append_byte(out, c);
	}
	return err;
}

/* The eight places where ISO-8859-15 differs from ISO-8859-1. */
static uint32_t latin9_scalar(uint8_t c)
{
	switch (c) {
	case 0xa4:
		return 0x20ac;
	case 0xa6:
		return 0x160;
	case 0xa8:
		return 0x161;
	case 0xb4:
		return 0x17d;
	case 0xb8:
		return 0x17e;
	case 0xbc:
		return 0x152;
	case 0xbd:
		return 0x153;
	case 0xbe:
		return 0x178;
	default:
		return c;
	}
}

static enum err append_latin(struct view in, bool latin9, struct buf *out)
{
	enum err err = ERR_OK;
	for (size_t i = 0; i < in.len && err == ERR_OK; i++) {
		uint32_t scalar = latin9 ? latin9_scalar(in.ptr[i]) : in.ptr[i];
		uint8_t bytes[3] = { (uint8_t)scalar };
		size_t n = 1;
		if (scalar >= 0x800) {
			bytes[0] = (uint8_t)(0xe0 | scalar >> 12);
			bytes[1] = (uint8_t)(0x80 | (scalar >> 6 & 0x3f));
			bytes[2] = (uint8_t)(0x80 | (scalar & 0x3f));
			n = 3;
		} else if (scalar >= 0x80) {
			bytes[0] = (uint8_t)(0xc0 | scalar >> 6);
			bytes[1] = (uint8_t)(0x80 | (scalar & 0x3f));
			n = 2;
		}
		err = buf_append(out, view_of(bytes, n));
	}
	return err;
}

static enum err decode_word(const struct encoded_word *word, struct buf *out)
{
	if (word->charset == CHARSET_UTF8)
		return word->q ? decode_q(word->text, out) : base64_decode_lenient(word->text, out);
	struct buf bytes = { 0 };
	enum err err = word->q ? decode_q(word->text, &bytes) : base64_decode_lenient(word->text, &bytes);
	if (err == ERR_OK)
		err = append_latin(buf_view(&bytes), word->charset == CHARSET_LATIN9, out);
	buf_clear(&bytes);
	return err;
}

/* Decodes the words; what is between two of them is dropped if it is blank (RFC 2047 §6.2). */
static enum err decode_all(struct view in, struct buf *out)
{
	struct encoded_word word;
	enum err err = ERR_OK;
	bool after_word = false;
	while (in.len > 0 && err == ERR_OK) {
		if (parse_word(in, &word)) {
			err = decode_word(&word, out);
			in = view_from(in, word.length);
			after_word = true;
			continue;
		}
		/* A run of blanks, or of what is not blank up to the next possible word. */
		size_t n = 1;
		if (view_trim(view_sub(in, 0, 1)).len == 0) {
			while (n < in.len && view_trim(view_sub(in, n, 1)).len == 0)
				n++;
			if (after_word && parse_word(view_from(in, n), &word)) {
				in = view_from(in, n);
				continue;
			}
		} else {
			while (n < in.len && in.ptr[n] != '=' && view_trim(view_sub(in, n, 1)).len > 0)
				n++;
		}
		for (size_t i = 0; i < n && err == ERR_OK; i++)
			if (in.ptr[i] != '\r' && in.ptr[i] != '\n')
				err = buf_append_byte(out, in.ptr[i]);
		after_word = false;
		in = view_from(in, n);
	}
	return err;
}

enum err header_text_decode(struct view in, struct buf *out)
{
	struct buf raw = { .max_bytes = out->max_bytes };
	size_t before = out->len;
	enum err err = decode_all(in, &raw);
	/* Cleaned at the end, since characters are often cut apart between two words. */
	if (err == ERR_OK)
		err = text_clean(buf_view(&raw), out);
	buf_clear(&raw);
	if (err != ERR_OK)
		out->len = before;
	return err;
}
