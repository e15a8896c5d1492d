#include "mailauth/tag_list.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/* Index of the first byte from `at` on that is none of ASCII's from `least` (a space, or the character behind it) to "~". */
static inline size_t find_outside(struct view v, size_t at, uint8_t least)
{
#ifdef __SSE2__
	const __m128i first = _mm_set1_epi8((char)least), delete = _mm_set1_epi8(0x7f);
	for (; v.len - at >= 16; at += 16) {
		const __m128i here = _mm_loadu_si128((const __m128i *)(const void *)(v.ptr + at));
		/* Compared with their signs: bytes from 0x80 on are below zero. */
		const __m128i outside = _mm_or_si128(_mm_cmplt_epi8(here, first), _mm_cmpeq_epi8(here, delete));
		unsigned found = (unsigned)_mm_movemask_epi8(outside);
		if (found != 0)
			return at + (size_t)__builtin_ctz(found);
	}
#endif
	while (at < v.len && v.ptr[at] >= least && v.ptr[at] < 0x7f)
		at++;
	return at;
}

/* Visible characters, UTF-8, blanks, and folds: a line end, with or without its CR, before a blank. */
static bool is_text(struct view v)
{
	bool has_8bit = false;
	for (size_t i = find_outside(v, 0, ' '); i < v.len; i = find_outside(v, i + 1, ' ')) {
		uint8_t c = v.ptr[i];
		if (c == '\r' && i + 1 < v.len && v.ptr[i + 1] == '\n')
			c = v.ptr[++i];
		if (c == '\n' ? i + 1 == v.len || !is_blank(v.ptr[i + 1]) : c < ' ' && c != '\t')
			return false;
		if (c == 0x7f)
			return false;
		has_8bit |= c >= 0x80;
	}
	return !has_8bit || view_is_utf8(v);
}

static bool is_name(struct view v)
{
	if (v.len == 0 || !ascii_is_alpha(v.ptr[0]))
		return false;
	for (size_t i = 1; i < v.len; i++)
		if (!ascii_is_alnum(v.ptr[i]) && v.ptr[i] != '_')
			return false;
	return true;
}

enum err tag_list_parse(struct view text, struct tag_list *ret)
{
	if (!is_text(text))
		return err_set(ERR_SYNTAX, "a tag list with control characters");
	ret->count = 0;
	struct view rest = text, part;
	/* One ";" may end the list; nothing else is empty. */
	while (view_trim(rest).len > 0 || ret->count == 0) {
		if (!view_split(&rest, ';', &part))
			return err_set(ERR_SYNTAX, "an empty tag list");
		size_t equals = view_find(part, '=');
		struct view name = view_trim(view_sub(part, 0, equals));
		if (equals == part.len || !is_name(name))
			return err_set(ERR_SYNTAX, "a tag list with a part that is no tag");
		/* Not view_from(): an empty one has its place, too. */
		struct view raw = view_of(part.ptr + equals + 1, part.len - equals - 1);
		if (tag_list_find(ret, name) != NULL)
			return err_set(ERR_SYNTAX, "a tag list with a tag twice");
		if (ret->count == TAG_LIST_TAGS_MAX)
			return err_set(ERR_LIMIT, "a tag list of more than %u tags", TAG_LIST_TAGS_MAX);
		ret->tags[ret->count++] = (struct tag){ name, view_trim(raw), raw };
	}
	return ERR_OK;
}

const struct tag *tag_list_find(const struct tag_list *list, struct view name)
{
	/* Most differ in their first byte; names are never empty. */
	for (size_t i = 0; i < list->count; i++)
		if (list->tags[i].name.ptr[0] == name.ptr[0] && view_eq(list->tags[i].name, name))
			return &list->tags[i];
	return NULL;
}

bool tag_value_next(struct view *rest, struct view *ret_part)
{
	/* view_split() knows no empty last part, but "a:" has one. */
	if (rest->ptr == NULL)
		return false;
	size_t colon = view_find(*rest, ':');
	*ret_part = view_trim(view_sub(*rest, 0, colon));
	*rest = colon < rest->len ? view_of(rest->ptr + colon + 1, rest->len - colon - 1) : VIEW_NONE;
	return true;
}

static bool is_white(uint8_t c)
{
	return is_blank(c) || c == '\r' || c == '\n';
}

enum err tag_value_pack(struct view value, uint8_t *out, size_t max, size_t *ret_len)
{
	size_t n = 0;
	for (size_t at = 0; at < value.len;) {
		if (is_white(value.ptr[at])) {
			at++;
			continue;
		}
		size_t end = find_outside(value, at + 1, ' ' + 1);
		if (end - at > max - n)
			return ERR_LIMIT;
		memcpy(out + n, value.ptr + at, end - at);
		n += end - at;
		at = end;
	}
	*ret_len = n;
	return ERR_OK;
}
