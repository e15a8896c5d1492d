/* Base64 (RFC 4648 §4, RFC 2045 §6.8). */
#include "mail/encode.h"

#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

enum { LINE_BYTES = 57 }; /* make 76 characters */

static void encode_group(const uint8_t *in, size_t n, uint8_t *out)
{
	uint32_t bits = (uint32_t)in[0] << 16 | (n > 1 ? (uint32_t)in[1] << 8 : 0) | (n > 2 ? in[2] : 0u);
	out[0] = (uint8_t)alphabet[bits >> 18];
	out[1] = (uint8_t)alphabet[bits >> 12 & 63];
	out[2] = n > 1 ? (uint8_t)alphabet[bits >> 6 & 63] : '=';
	out[3] = n > 2 ? (uint8_t)alphabet[bits & 63] : '=';
}

enum err base64_encode(struct view in, struct buf *out)
{
	if (in.len / 3 >= SIZE_MAX / 4 - 1)
		return ERR_LIMIT;
	enum err err = buf_reserve(out, (in.len + 2) / 3 * 4);
	if (err != ERR_OK)
		return err;
	for (size_t i = 0; i < in.len; i += 3) {
		encode_group(in.ptr + i, in.len - i < 3 ? in.len - i : 3, out->ptr + out->len);
		out->len += 4;
	}
	return ERR_OK;
}

enum err base64_encode_lines(struct view in, struct buf *out)
{
	size_t before = out->len;
	enum err err = ERR_OK;
	for (size_t i = 0; i < in.len && err == ERR_OK; i += LINE_BYTES) {
		err = base64_encode(view_sub(in, i, LINE_BYTES), out);
		if (err == ERR_OK)
			err = buf_append(out, VIEW("\r\n"));
	}
	if (err != ERR_OK)
		out->len = before;
	return err;
}

/* What each character stands for; 64: nothing. */
#define NONE_16 "\x40\x40\x40\x40\x40\x40\x40\x40\x40\x40\x40\x40\x40\x40\x40\x40"
static const char values[257] = NONE_16 NONE_16
	"\x40\x40\x40\x40\x40\x40\x40\x40\x40\x40\x40\x3e\x40\x40\x40\x3f"
	"\x34\x35\x36\x37\x38\x39\x3a\x3b\x3c\x3d\x40\x40\x40\x40\x40\x40"
	"\x40\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e"
	"\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x40\x40\x40\x40\x40"
	"\x40\x1a\x1b\x1c\x1d\x1e\x1f\x20\x21\x22\x23\x24\x25\x26\x27\x28"
	"\x29\x2a\x2b\x2c\x2d\x2e\x2f\x30\x31\x32\x33\x40\x40\x40\x40\x40" NONE_16 NONE_16 NONE_16 NONE_16 NONE_16
		NONE_16 NONE_16 NONE_16;

/* 0–63, or -1. */
static int value_of(uint8_t c)
{
	return values[c] < 64 ? values[c] : -1;
}

/* Four characters as 24 bits; -1 if one of them is outside the alphabet. */
static int32_t decode_group(const uint8_t *in)
{
	int32_t a = values[in[0]], b = values[in[1]], c = values[in[2]], d = values[in[3]];
	return (a | b | c | d) < 64 ? a << 18 | b << 12 | c << 6 | d : -1;
}

static void put_group(int32_t bits, uint8_t *out)
{
	out[0] = (uint8_t)(bits >> 16);
	out[1] = (uint8_t)(bits >> 8);
	out[2] = (uint8_t)bits;
}

enum err base64_decode(struct view in, struct buf *out)
{
	if (in.len % 4 != 0)
		return err_set(ERR_SYNTAX, "base64 text is not a multiple of four characters");
	size_t padding = 0;
	while (padding < 2 && padding < in.len && in.ptr[in.len - 1 - padding] == '=')
		padding++;
	size_t before = out->len;
	enum err err = buf_reserve(out, in.len / 4 * 3);
	if (err != ERR_OK)
		return err;
	uint8_t *to = out->ptr + out->len;
	for (size_t i = 0; i < in.len; i += 4, to += 3) {
		const uint8_t *group = in.ptr + i;
		uint8_t last[4];
		if (padding > 0 && i + 4 == in.len) {
			memcpy(last, group, 4);
			memset(last + 4 - padding, 'A', padding);
			group = last;
		}
		int32_t bits = decode_group(group);
		if (bits < 0)
			return err_set(ERR_SYNTAX, "base64 text has a character outside the alphabet");
		put_group(bits, to);
	}
	out->len += in.len / 4 * 3;
	/* The bits under the padding must be zero, else two texts would mean the same bytes (RFC 4648 §3.5). */
	for (size_t i = 0; i < padding; i++) {
		if (out->ptr[out->len - 1] != 0) {
			out->len = before;
			return err_set(ERR_SYNTAX, "base64 text has bits under its padding");
		}
		out->len--;
	}
	return ERR_OK;
}

enum err base64_decode_lenient(struct view in, struct buf *out)
{
	enum err err = buf_reserve(out, in.len / 4 * 3 + 3);
	if (err != ERR_OK)
		return err;
	uint32_t bits = 0;
	unsigned count = 0;
	for (size_t i = 0; i < in.len; i++) {
		int value = value_of(in.ptr[i]);
		if (value < 0 && in.ptr[i] != '=')
			continue;
		if (value < 0) {
			/* Padding ends a group; several encoded texts one behind the other are read on. */
			if (count >= 2)
				out->ptr[out->len++] = (uint8_t)(count == 2 ? bits >> 4 : bits >> 10);
			if (count == 3)
				out->ptr[out->len++] = (uint8_t)(bits >> 2);
			bits = 0;
			count = 0;
			continue;
		}
		bits = bits << 6 | (uint32_t)value;
		if (++count == 4) {
			out->ptr[out->len++] = (uint8_t)(bits >> 16);
			out->ptr[out->len++] = (uint8_t)(bits >> 8);
			out->ptr[out->len++] = (uint8_t)bits;
			bits = 0;
			count = 0;
		}
	}
	if (count >= 2)
		out->ptr[out->len++] = (uint8_t)(count == 2 ? bits >> 4 : bits >> 10);
	if (count == 3)
		out->ptr[out->len++] = (uint8_t)(bits >> 2);
	return ERR_OK;
}
