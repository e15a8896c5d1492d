/* xtext (RFC 3461 §4) and the UTF-8 address types of RFC 6533 §3. */
#include "mail/encode.h"

static const char hex[] = "0123456789ABCDEF";

enum err xtext_encode(struct view in, struct buf *out)
{
	size_t before = out->len;
	enum err err = ERR_OK;
	for (size_t i = 0; i < in.len && err == ERR_OK; i++) {
		uint8_t c = in.ptr[i];
		if (c >= '!' && c <= '~' && c != '+' && c != '=') {
			err = buf_append_byte(out, c);
		} else {
			uint8_t code[3] = { '+', (uint8_t)hex[c >> 4], (uint8_t)hex[c & 15] };
			err = buf_append(out, view_of(code, sizeof code));
		}
	}
	if (err != ERR_OK)
		out->len = before;
	return err;
}

/* Upper-case hexadecimal only, as the grammar has it. */
static int hex_value(uint8_t c)
{
	return c >= 'a' ? -1 : ascii_hex_value(c);
}

enum err xtext_decode(struct view in, struct buf *out)
{
	size_t before = out->len;
	enum err err = buf_reserve(out, in.len);
	for (size_t i = 0; i < in.len && err == ERR_OK; i++) {
		uint8_t c = in.ptr[i];
		if (c == '+') {
			int high = i + 2 < in.len ? hex_value(in.ptr[i + 1]) : -1;
			int low = i + 2 < in.len ? hex_value(in.ptr[i + 2]) : -1;
			if (high < 0 || low < 0) {
				err = err_set(ERR_SYNTAX, "xtext has a + without two hexadecimal digits");
				break;
			}
			c = (uint8_t)(high << 4 | low);
			i += 2;
		} else if (c < '!' || c > '~' || c == '=') {
			err = err_set(ERR_SYNTAX, "xtext has a character that must be encoded");
			break;
		}
		out->ptr[out->len++] = c;
	}
	if (err != ERR_OK)
		out->len = before;
	return err;
}

/* One scalar value off the front of well-formed UTF-8. */
static uint32_t take_scalar(struct view in, size_t *at)
{
	uint8_t c = in.ptr[(*at)++];
	unsigned more = c < 0x80 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
	uint32_t scalar = more == 0 ? c : c & (0x3fu >> more);
	for (; more > 0; more--)
		scalar = scalar << 6 | (in.ptr[(*at)++] & 0x3f);
	return scalar;
}

static enum err append_scalar(uint32_t scalar, struct buf *out)
{
	uint8_t bytes[4];
	size_t n = scalar < 0x80 ? 1 : scalar < 0x800 ? 2 : scalar < 0x10000 ? 3 : 4;
	for (size_t i = n; i > 1; i--, scalar >>= 6)
		bytes[i - 1] = (uint8_t)(0x80u | (scalar & 0x3fu));
	static const uint8_t lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	bytes[0] = (uint8_t)(lead[n] | scalar);
	return buf_append(out, view_of(bytes, n));
}

enum err utf8_addr_xtext_encode(struct view in, struct buf *out)
{
	if (!view_is_utf8(in))
		return err_set(ERR_SYNTAX, "the address is not UTF-8");
	size_t before = out->len;
	enum err err = ERR_OK;
	for (size_t i = 0; i < in.len && err == ERR_OK;) {
		uint32_t scalar = take_scalar(in, &i);
		if (scalar > ' ' && scalar < 0x7f && scalar != '+' && scalar != '=' && scalar != '\\')
			err = buf_append_byte(out, (uint8_t)scalar);
		else
			err = buf_append_format(out, "\\x{%02X}", (unsigned)scalar);
	}
	if (err != ERR_OK)
		out->len = before;
	return err;
}

/* "\x{1F4A9}" at `at`; false if malformed: 2–6 digits, no surrogate, no needless zero (RFC 6533 §3 HEXPOINT). */
static bool parse_embedded(struct view in, size_t *at, uint32_t *ret)
{
	struct view rest = view_sub(in, *at, 10);
	size_t end = view_find(rest, '}');
	if (!view_starts_with(rest, VIEW("\\x{")) || end == rest.len || end < 5 || (end > 5 && rest.ptr[3] == '0'))
		return false;
	uint32_t scalar = 0;
	for (size_t i = 3; i < end; i++) {
		int value = hex_value(rest.ptr[i]);
		if (value < 0)
			return false;
		scalar = scalar << 4 | (uint32_t)value;
	}
	if (scalar > 0x10ffff || (scalar >= 0xd800 && scalar <= 0xdfff) || scalar == 0)
		return false;
	*at += end + 1;
	*ret = scalar;
	return true;
}

enum err utf8_addr_xtext_decode(struct view in, struct buf *out)
{
	if (!view_is_utf8(in))
		return err_set(ERR_SYNTAX, "the address is not UTF-8");
	size_t before = out->len;
	enum err err = ERR_OK;
	for (size_t i = 0; i < in.len && err == ERR_OK;) {
		uint32_t scalar = in.ptr[i];
		if (scalar == '\\') {
			if (!parse_embedded(in, &i, &scalar)) {
				err = err_set(ERR_SYNTAX, "the address has a malformed \\x{...}");
				break;
			}
		} else if (scalar <= ' ' || scalar == 0x7f || scalar == '+' || scalar == '=') {
			err = err_set(ERR_SYNTAX, "the address has a character that must be encoded");
			break;
		} else {
			scalar = take_scalar(in, &i);
		}
		err = append_scalar(scalar, out);
	}
	if (err != ERR_OK)
		out->len = before;
	return err;
}
