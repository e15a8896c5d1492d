#include "mailauth/dkim_private.h"

#include <idn2.h>
#include <string.h>

/* Host names as DNS takes them, with the underscore that selectors and some domains have. */
static bool is_domain(struct view v, size_t labels_min)
{
	size_t labels = 0;
	if (v.len == 0 || v.len > 253)
		return false;
	for (size_t i = 0; i <= v.len; i++) {
		size_t start = i;
		while (i < v.len && (ascii_is_alnum(v.ptr[i]) || v.ptr[i] == '-' || v.ptr[i] == '_'))
			i++;
		if (i < v.len && v.ptr[i] != '.')
			return false;
		if (i == start || i - start > 63)
			return false;
		labels++;
	}
	return labels >= labels_min;
}

static bool to_lower(struct view text, size_t labels_min, struct arena *arena, struct view *ret)
{
	uint8_t lower[253];
	if (!is_domain(text, labels_min))
		return false;
	for (size_t i = 0; i < text.len; i++)
		lower[i] = ascii_lower(text.ptr[i]);
	return arena_dup(arena, view_of(lower, text.len), ret) == ERR_OK;
}

bool dkim_domain_normalise(struct view text, size_t labels_min, struct arena *arena, struct view *ret)
{
	if (view_is_ascii(text))
		return to_lower(text, labels_min, arena, ret);
	uint8_t utf8[512], *a_labels = NULL;
	if (text.len >= sizeof utf8 || memchr(text.ptr, 0, text.len) != NULL)
		return false;
	memcpy(utf8, text.ptr, text.len);
	utf8[text.len] = 0;
	if (idn2_lookup_u8(utf8, &a_labels, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
		return false;
	bool done = to_lower(view_from_cstr((const char *)a_labels), labels_min, arena, ret);
	idn2_free(a_labels);
	return done;
}

bool dkim_domain_is_within(struct view domain, struct view parent)
{
	return view_eq(domain, parent) ||
		(domain.len > parent.len && view_ends_with_nocase(domain, parent) &&
			domain.ptr[domain.len - parent.len - 1] == '.');
}
