/* Address literals (RFC 5321 §4.1.3). Apart from address.c because the IPv6 grammar is a world of its own. */
#include "mail/address.h"

/* Snum: 1–3 digits, 0–255. */
static bool ipv4_is_valid(struct view v)
{
	size_t parts = 0;
	struct view rest = v, part;
	if (v.len == 0 || v.ptr[v.len - 1] == '.')
		return false;
	while (view_split(&rest, '.', &part)) {
		uint64_t n;
		if (part.len > 3 || view_parse_u64(part, 255, &n) != ERR_OK)
			return false;
		parts++;
	}
	return parts == 4;
}

/* Counts the groups of "hex:hex:…[:a.b.c.d]", an IPv4 tail counting two; false if malformed. Empty text is zero groups. */
static bool count_groups(struct view v, bool tail_allowed, size_t *ret_groups, bool *ret_has_tail)
{
	*ret_groups = 0;
	*ret_has_tail = false;
	if (v.len == 0)
		return true;
	if (v.ptr[v.len - 1] == ':')
		return false;
	struct view part;
	while (view_split(&v, ':', &part)) {
		if (view_find(part, '.') < part.len) {
			if (!tail_allowed || v.len > 0 || !ipv4_is_valid(part))
				return false;
			*ret_has_tail = true;
			*ret_groups += 2;
			return true;
		}
		if (part.len < 1 || part.len > 4)
			return false;
		for (size_t i = 0; i < part.len; i++)
			if (ascii_hex_value(part.ptr[i]) < 0)
				return false;
		*ret_groups += 1;
	}
	return true;
}

static bool ipv6_is_valid(struct view v)
{
	size_t gap = v.len;
	for (size_t i = 0; i + 1 < v.len && gap == v.len; i++)
		if (v.ptr[i] == ':' && v.ptr[i + 1] == ':')
			gap = i;
	size_t before, after;
	bool has_tail;
	if (gap == v.len)
		return count_groups(v, true, &before, &has_tail) && before == 8;
	if (!count_groups(view_sub(v, 0, gap), false, &before, &has_tail) ||
		!count_groups(view_from(v, gap + 2), true, &after, &has_tail))
		return false;
	/* "The "::" represents at least 2 16-bit groups of zeros": RFC 5321 §4.1.3 under IPv6-comp and IPv6v4-comp. */
	return before + after <= 6;
}

bool address_literal_is_valid(struct view domain)
{
	if (domain.len < 3 || domain.ptr[0] != '[' || domain.ptr[domain.len - 1] != ']')
		return false;
	struct view inner = view_sub(domain, 1, domain.len - 2);
	/* General-address-literal is not accepted: no tag but IPv6 was ever registered, so it can't be delivered to. */
	if (view_starts_with_nocase(inner, VIEW("IPv6:")))
		return ipv6_is_valid(view_from(inner, 5));
	return ipv4_is_valid(inner);
}
