#include "mail/header.h"

#include <string.h>

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/* Length of the line at the front, with its end. */
static size_t line_length(struct view v)
{
	const uint8_t *end = memchr(v.ptr, '\n', v.len);
	return end != NULL ? (size_t)(end - v.ptr) + 1 : v.len;
}

/* 1 or 2 if the front is an empty line, else 0. */
static size_t empty_line_length(struct view v)
{
	if (v.len > 0 && v.ptr[0] == '\n')
		return 1;
	return v.len > 1 && v.ptr[0] == '\r' && v.ptr[1] == '\n' ? 2 : 0;
}

/* Index of the colon behind a well-formed name, with the name's length; or v.len. */
static size_t find_colon(struct view v, size_t *ret_name_len)
{
	size_t n = 0;
	while (n < v.len && v.ptr[n] > ' ' && v.ptr[n] < 0x7f && v.ptr[n] != ':')
		n++;
	size_t colon = n;
	while (colon < v.len && is_blank(v.ptr[colon]))
		colon++;
	*ret_name_len = n;
	return n > 0 && colon < v.len && v.ptr[colon] == ':' ? colon : v.len;
}

bool header_next(struct view *rest, struct header_field *ret)
{
	if (rest->len == 0 || empty_line_length(*rest) > 0)
		return false;
	size_t len = line_length(*rest);
	while (len < rest->len && is_blank(rest->ptr[len]))
		len += line_length(view_from(*rest, len));
	struct view whole = view_sub(*rest, 0, len), text = whole;
	if (text.ptr[text.len - 1] == '\n')
		text.len -= text.len > 1 && text.ptr[text.len - 2] == '\r' ? 2 : 1;
	size_t name_len, colon = find_colon(text, &name_len);
	ret->whole = whole;
	ret->name = colon < text.len ? view_sub(text, 0, name_len) : VIEW_NONE;
	ret->value = colon < text.len ? view_from(text, colon + 1) : text;
	*rest = view_from(*rest, len);
	return true;
}

bool header_find(struct view headers, struct view name, struct header_field *ret)
{
	struct header_field field;
	while (header_next(&headers, &field))
		if (field.name.len > 0 && view_eq_nocase(field.name, name)) {
			*ret = field;
			return true;
		}
	return false;
}

size_t header_count(struct view headers, struct view name)
{
	struct header_field field;
	size_t n = 0;
	while (header_next(&headers, &field))
		n += field.name.len > 0 && view_eq_nocase(field.name, name);
	return n;
}

size_t header_section_length(struct view message)
{
	struct view rest = message;
	while (rest.len > 0) {
		size_t empty = empty_line_length(rest);
		if (empty > 0)
			return message.len - rest.len + empty;
		rest = view_from(rest, line_length(rest));
	}
	return message.len;
}

enum err header_unfold(struct view value, struct buf *out)
{
	struct view v = view_trim(value);
	enum err err = buf_reserve(out, v.len);
	for (size_t i = 0; i < v.len && err == ERR_OK; i++) {
		uint8_t c = v.ptr[i];
		if (c == '\n' || (c == '\r' && i + 1 < v.len && v.ptr[i + 1] == '\n'))
			continue;
		out->ptr[out->len++] = c == '\r' || c == '\0' ? ' ' : c;
	}
	return err;
}
