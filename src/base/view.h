/*
 * A view is borrowed bytes with their length: how text travels in this program. It owns nothing, is passed by value, and
 * is not NUL-terminated. An empty view may have a NULL pointer. Comparisons are of bytes; "nocase" folds ASCII only.
 */
#ifndef BASE_VIEW_H
#define BASE_VIEW_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct view {
	const uint8_t *ptr;
	size_t len;
};

/* A view of a string literal, and of any initialised array's bytes. */
#define VIEW(literal) ((struct view){ (const uint8_t *)("" literal), sizeof(literal) - 1 })
#define VIEW_NONE ((struct view){ NULL, 0 })
/* For printf formats: "%.*s". Only for bytes known to be clean; peer text goes through buf_append_escaped(). */
#define VIEW_ARG(v) (int)((v).len), (const char *)((v).ptr != NULL ? (v).ptr : (const uint8_t *)"")

static inline struct view view_of(const void *ptr, size_t len)
{
	return (struct view){ (const uint8_t *)ptr, len };
}

/* A C string's bytes; NULL gives the empty view. */
struct view view_from_cstr(const char *s);

bool view_eq(struct view a, struct view b);
bool view_eq_nocase(struct view a, struct view b);
/* <0, 0, >0, bytewise, a shorter prefix first. */
int view_compare(struct view a, struct view b);
bool view_starts_with(struct view v, struct view prefix);
bool view_starts_with_nocase(struct view v, struct view prefix);
bool view_ends_with_nocase(struct view v, struct view suffix);

/* Index of the first (last) such byte, or v.len. */
size_t view_find(struct view v, uint8_t byte);
size_t view_find_last(struct view v, uint8_t byte);

/* Bytes [from, from+len), cut to what there is; never out of bounds. */
struct view view_sub(struct view v, size_t from, size_t len);
/* From `from` to the end. */
struct view view_from(struct view v, size_t from);
/* Without leading and trailing space, tab, CR and LF. */
struct view view_trim(struct view v);
/* Takes what stands before the separator off the front of *rest (all of it if there is none); false when *rest is empty. */
bool view_split(struct view *rest, uint8_t separator, struct view *ret_part);

/* Decimal digits only, no sign or space. ERR_SYNTAX if empty or other bytes, ERR_LIMIT above max. */
enum err view_parse_u64(struct view v, uint64_t max, uint64_t *ret) MUST_CHECK;

/* True if every byte is 7-bit. */
bool view_is_ascii(struct view v);
/* True if the bytes are well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms, at most U+10FFFF). */
bool view_is_utf8(struct view v);

/* FNV-1a for hash tables; the nocase form folds ASCII. Not for hostile keys without a limit on their number. */
uint64_t view_hash(struct view v);
uint64_t view_hash_nocase(struct view v);

/* A NUL-terminated heap copy for a library's border; the caller frees it. Bytes after a NUL inside are kept but unseen. */
char *view_to_cstr(struct view v);

/* ASCII character classes, without locale. */
static inline uint8_t ascii_lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}
static inline uint8_t ascii_upper(uint8_t c)
{
	return c >= 'a' && c <= 'z' ? (uint8_t)(c - 32) : c;
}
static inline bool ascii_is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}
static inline bool ascii_is_alpha(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
static inline bool ascii_is_alnum(uint8_t c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c);
}
static inline bool ascii_is_printable(uint8_t c)
{
	return c >= 0x20 && c < 0x7f;
}
/* 0–15, or -1. */
static inline int ascii_hex_value(uint8_t c)
{
	if (ascii_is_digit(c))
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

#endif
