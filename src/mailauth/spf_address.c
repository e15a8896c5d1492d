#include "mailauth/spf_private.h"

#include <string.h>

bool spf_address_parse4(struct view text, uint8_t ret[4])
{
	uint8_t bytes[4];
	for (unsigned i = 0; i < 4; i++) {
		size_t end = i < 3 ? view_find(text, '.') : text.len;
		struct view digits = view_sub(text, 0, end);
		uint64_t n;
		if (i < 3 && end == text.len)
			return false;
		/* §12: a qnum has no leading zeros. */
		if (digits.len > 3 || (digits.len > 1 && digits.ptr[0] == '0') ||
			view_parse_u64(digits, 255, &n) != ERR_OK)
			return false;
		bytes[i] = (uint8_t)n;
		text = view_from(text, end + 1);
	}
	memcpy(ret, bytes, 4);
	return true;
}

static bool parse_group(struct view group, uint8_t ret[2])
{
	unsigned n = 0;
	if (group.len == 0 || group.len > 4)
		return false;
	for (size_t i = 0; i < group.len; i++) {
		int digit = ascii_hex_value(group.ptr[i]);
		if (digit < 0)
			return false;
		n = n << 4 | (unsigned)digit;
	}
	ret[0] = (uint8_t)(n >> 8);
	ret[1] = (uint8_t)n;
	return true;
}

/* The groups at the front of *rest, up to "::" or the end; `bytes` are filled from *len on. */
static bool parse_groups(struct view *rest, uint8_t bytes[16], size_t *len)
{
	for (;;) {
		size_t end = view_find(*rest, ':');
		struct view group = view_sub(*rest, 0, end);
		if (view_find(group, '.') < group.len) {
			if (end < rest->len || *len > 12 || !spf_address_parse4(group, bytes + *len))
				return false;
			*len += 4;
		} else {
			if (*len > 14 || !parse_group(group, bytes + *len))
				return false;
			*len += 2;
		}
		*rest = view_from(*rest, end);
		if (rest->len == 0 || view_starts_with(*rest, VIEW("::")))
			return true;
		*rest = view_from(*rest, 1);
	}
}

bool spf_address_parse6(struct view text, uint8_t ret[16])
{
	uint8_t bytes[16] = { 0 };
	size_t len = 0, gap = 16;
	bool has_gap = view_starts_with(text, VIEW("::"));
	if (!has_gap && !parse_groups(&text, bytes, &len))
		return false;
	has_gap = text.len > 0;
	if (has_gap) {
		gap = len;
		text = view_from(text, 2);
		if (text.len > 0 && (!parse_groups(&text, bytes, &len) || text.len > 0))
			return false;
	}
	/* "::" is one group of zeros at least. */
	if (has_gap ? len > 14 : len != 16)
		return false;
	if (has_gap) {
		size_t behind = len - gap;
		memmove(bytes + 16 - behind, bytes + gap, behind);
		memset(bytes + gap, 0, 16 - behind - gap);
	}
	memcpy(ret, bytes, 16);
	return true;
}

bool spf_address_same_prefix(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;
	if (memcmp(a, b, whole) != 0)
		return false;
	return rest == 0 || ((a[whole] ^ b[whole]) & (0xff00u >> rest & 0xffu)) == 0;
}

static unsigned group_at(struct view ip, unsigned i)
{
	return (unsigned)ip.ptr[2 * i] << 8 | ip.ptr[2 * i + 1];
}

/* RFC 5952 §4.2: the longest run of at least two groups of zeros, the first of equals. */
static unsigned longest_zeros(struct view ip, unsigned *ret_begin)
{
	unsigned best = 0;
	for (unsigned i = 0; i < 8; i++) {
		unsigned n = 0;
		while (i + n < 8 && group_at(ip, i + n) == 0)
			n++;
		if (n > best) {
			best = n;
			*ret_begin = i;
		}
		i += n;
	}
	return best >= 2 ? best : 0;
}

enum err spf_address_format(struct view ip, struct buf *out)
{
	if (ip.len == 4)
		return buf_append_format(out, "%u.%u.%u.%u", ip.ptr[0], ip.ptr[1], ip.ptr[2], ip.ptr[3]);
	unsigned begin = 8;
	unsigned zeros = longest_zeros(ip, &begin);
	enum err err = ERR_OK;
	for (unsigned i = 0; i < 8 && err == ERR_OK; i++) {
		if (zeros > 0 && i == begin) {
			err = buf_append(out, VIEW("::"));
			i += zeros - 1;
		} else {
			bool needs_colon = i > 0 && !(zeros > 0 && i == begin + zeros);
			err = buf_append_format(out, needs_colon ? ":%x" : "%x", group_at(ip, i));
		}
	}
	return err;
}

enum err spf_address_format_dotted(struct view ip, struct buf *out)
{
	if (ip.len == 4)
		return spf_address_format(ip, out);
	enum err err = ERR_OK;
	for (unsigned i = 0; i < 16 && err == ERR_OK; i++)
		err = buf_append_format(out, i > 0 ? ".%X.%X" : "%X.%X", (unsigned)ip.ptr[i] >> 4, ip.ptr[i] & 15u);
	return err;
}

enum err spf_address_format_reverse(struct view ip, struct buf *out)
{
	enum err err = ERR_OK;
	if (ip.len == 4)
		return buf_append_format(out, "%u.%u.%u.%u.in-addr.arpa", ip.ptr[3], ip.ptr[2], ip.ptr[1], ip.ptr[0]);
	for (unsigned i = 16; i-- > 0 && err == ERR_OK;)
		err = buf_append_format(out, "%x.%x.", ip.ptr[i] & 15u, (unsigned)ip.ptr[i] >> 4);
	return err != ERR_OK ? err : buf_append(out, VIEW("ip6.arpa"));
}

static enum err append_name_byte(struct buf *out, uint8_t c)
{
	c = ascii_lower(c);
	if (ascii_is_alnum(c) || c == '-' || c == '_' || c == '.')
		return buf_append_byte(out, c);
	return buf_append_format(out, "\\%03u", c);
}

enum err spf_name_format(struct view domain, struct buf *out)
{
	buf_reset(out);
	if (domain.len > 0 && domain.ptr[domain.len - 1] == '.')
		domain.len--;
	if (domain.len == 0 || domain.len > SPF_NAME_MAX_BYTES)
		return ERR_SYNTAX;
	size_t label_len = 0;
	enum err err = ERR_OK;
	for (size_t i = 0; i < domain.len && err == ERR_OK; i++) {
		bool is_dot = domain.ptr[i] == '.';
		if (is_dot ? label_len == 0 : label_len == SPF_LABEL_MAX_BYTES)
			return ERR_SYNTAX;
		label_len = is_dot ? 0 : label_len + 1;
		err = append_name_byte(out, domain.ptr[i]);
	}
	return err == ERR_OK && label_len == 0 ? ERR_SYNTAX : err;
}
