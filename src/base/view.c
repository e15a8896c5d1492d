#include "base/view.h"

#include "base/mem.h"

#include <string.h>

struct view view_from_cstr(const char *s)
{
	return s == NULL ? VIEW_NONE : view_of(s, strlen(s));
}

bool view_eq(struct view a, struct view b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool view_eq_nocase(struct view a, struct view b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (ascii_lower(a.ptr[i]) != ascii_lower(b.ptr[i]))
			return false;
	return true;
}

int view_compare(struct view a, struct view b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int c = n > 0 ? memcmp(a.ptr, b.ptr, n) : 0;
	if (c != 0)
		return c;
	return a.len < b.len ? -1 : a.len > b.len;
}

bool view_starts_with(struct view v, struct view prefix)
{
	return v.len >= prefix.len && view_eq(view_sub(v, 0, prefix.len), prefix);
}

bool view_starts_with_nocase(struct view v, struct view prefix)
{
	return v.len >= prefix.len && view_eq_nocase(view_sub(v, 0, prefix.len), prefix);
}

bool view_ends_with_nocase(struct view v, struct view suffix)
{
	return v.len >= suffix.len && view_eq_nocase(view_from(v, v.len - suffix.len), suffix);
}

size_t view_find(struct view v, uint8_t byte)
{
	const uint8_t *at = v.len > 0 ? memchr(v.ptr, byte, v.len) : NULL;
	return at != NULL ? (size_t)(at - v.ptr) : v.len;
}

size_t view_find_last(struct view v, uint8_t byte)
{
	const uint8_t *at = v.len > 0 ? memrchr(v.ptr, byte, v.len) : NULL;
	return at != NULL ? (size_t)(at - v.ptr) : v.len;
}

struct view view_sub(struct view v, size_t from, size_t len)
{
	if (from >= v.len)
		return VIEW_NONE;
	size_t left = v.len - from;
	return (struct view){ v.ptr + from, len < left ? len : left };
}

struct view view_from(struct view v, size_t from)
{
	return view_sub(v, from, v.len);
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct view view_trim(struct view v)
{
	while (v.len > 0 && is_blank(v.ptr[0])) {
		v.ptr++;
		v.len--;
	}
	while (v.len > 0 && is_blank(v.ptr[v.len - 1]))
		v.len--;
	return v;
}

bool view_split(struct view *rest, uint8_t separator, struct view *ret_part)
{
	if (rest->len == 0)
		return false;
	size_t at = view_find(*rest, separator);
	*ret_part = view_sub(*rest, 0, at);
	*rest = view_from(*rest, at + 1);
	return true;
}

enum err view_parse_u64(struct view v, uint64_t max, uint64_t *ret)
{
	if (v.len == 0)
		return ERR_SYNTAX;
	uint64_t n = 0;
	bool over = false;
	for (size_t i = 0; i < v.len; i++) {
		if (!ascii_is_digit(v.ptr[i]))
			return ERR_SYNTAX;
		uint64_t digit = (uint64_t)(v.ptr[i] - '0');
		if (n > (UINT64_MAX - digit) / 10)
			over = true;
		else
			n = n * 10 + digit;
	}
	if (over || n > max)
		return ERR_LIMIT;
	*ret = n;
	return ERR_OK;
}

bool view_is_ascii(struct view v)
{
	for (size_t i = 0; i < v.len; i++)
		if (v.ptr[i] >= 0x80)
			return false;
	return true;
}

/* Length of the well-formed sequence at the front, or 0. */
static size_t utf8_sequence(struct view v)
{
	uint8_t c = v.ptr[0];
	if (c < 0x80)
		return 1;
	size_t n = c >= 0xc2 && c <= 0xdf ? 2 : (c & 0xf0) == 0xe0 ? 3 : c >= 0xf0 && c <= 0xf4 ? 4 : 0;
	if (n == 0 || v.len < n)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((v.ptr[i] & 0xc0) != 0x80)
			return 0;
	uint8_t d = v.ptr[1];
	if ((c == 0xe0 && d < 0xa0) || (c == 0xed && d > 0x9f) || (c == 0xf0 && d < 0x90) || (c == 0xf4 && d > 0x8f))
		return 0;
	return n;
}

bool view_is_utf8(struct view v)
{
	while (v.len > 0) {
		size_t n = utf8_sequence(v);
		if (n == 0)
			return false;
		v = view_from(v, n);
	}
	return true;
}

uint64_t view_hash(struct view v)
{
	uint64_t h = 0xcbf29ce484222325u;
	for (size_t i = 0; i < v.len; i++)
		h = (h ^ v.ptr[i]) * 0x100000001b3u;
	return h;
}

uint64_t view_hash_nocase(struct view v)
{
	uint64_t h = 0xcbf29ce484222325u;
	for (size_t i = 0; i < v.len; i++)
		h = (h ^ ascii_lower(v.ptr[i])) * 0x100000001b3u;
	return h;
}

char *view_to_cstr(struct view v)
{
	char *s = mem_alloc(v.len + 1);
	if (v.len > 0)
		memcpy(s, v.ptr, v.len);
	s[v.len] = '\0';
	return s;
}
