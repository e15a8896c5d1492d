#include "mail/address.h"

#include "mail/address_private.h"

#include <string.h>

bool address_is_atext(uint8_t c)
{
	return ascii_is_alnum(c) || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

/* True for the C1 controls U+0080–U+009F and for the other dots that IDNA maps to "." (they would change what the domain means
 * after it was checked). `at` is the first byte of a well-formed sequence. */
static bool is_forbidden_utf8(struct view v, size_t at)
{
	struct view rest = view_from(v, at);
	return (rest.len >= 2 && rest.ptr[0] == 0xc2 && rest.ptr[1] < 0xa0) ||
		view_starts_with(rest, VIEW("\xe3\x80\x82")) || view_starts_with(rest, VIEW("\xef\xbc\x8e")) ||
		view_starts_with(rest, VIEW("\xef\xbd\xa1"));
}

/* False when a byte ≥ 0x80 is there that may not be. */
static bool utf8_is_allowed(struct view v, unsigned flags, bool in_domain)
{
	if (view_is_ascii(v))
		return true;
	if ((flags & ADDRESS_ALLOW_UTF8) == 0 || !view_is_utf8(v))
		return false;
	for (size_t i = 0; i < v.len; i++)
		if (v.ptr[i] >= 0xc2 && is_forbidden_utf8(v, i) && (in_domain || v.ptr[i] == 0xc2))
			return false;
	return true;
}

static bool label_is_valid(struct view label)
{
	if (label.len < 1 || label.len > 63 || label.ptr[0] == '-' || label.ptr[label.len - 1] == '-')
		return false;
	for (size_t i = 0; i < label.len; i++)
		if (!ascii_is_alnum(label.ptr[i]) && label.ptr[i] != '-' && label.ptr[i] < 0x80)
			return false;
	return true;
}

bool address_domain_is_valid(struct view domain, unsigned flags)
{
	if (domain.len < 1 || domain.len > ADDRESS_DOMAIN_MAX_BYTES || domain.ptr[domain.len - 1] == '.' ||
		!utf8_is_allowed(domain, flags, true))
		return false;
	struct view label;
	while (view_split(&domain, '.', &label))
		if (!label_is_valid(label))
			return false;
	return true;
}

static bool is_dot_string(struct view v)
{
	bool after_dot = true;
	for (size_t i = 0; i < v.len; i++) {
		bool dot = v.ptr[i] == '.';
		if (dot ? after_dot : !address_is_atext(v.ptr[i]) && v.ptr[i] < 0x80)
			return false;
		after_dot = dot;
	}
	return !after_dot;
}

/* The length of the Quoted-string at the front, quotes included, or 0 (RFC 5321 §4.1.2: qtextSMTP, quoted-pairSMTP). */
static size_t quoted_string_length(struct view v)
{
	for (size_t i = 1; i < v.len; i++) {
		uint8_t c = v.ptr[i];
		if (c == '"')
			return i + 1;
		if (c == '\\' && (++i == v.len || !ascii_is_printable(v.ptr[i])))
			return 0;
		if (!ascii_is_printable(c) && c < 0x80)
			return 0;
	}
	return 0;
}

/* Takes the local part off the front of `text`; what follows it is not looked at. */
static enum err parse_local(struct view text, unsigned flags, struct address *ret)
{
	if (text.len > 0 && text.ptr[0] == '"') {
		size_t len = quoted_string_length(text);
		if (len == 0)
			return err_set(ERR_SYNTAX, "the quoted local part is malformed or not closed");
		ret->local = view_sub(text, 0, len);
		ret->local_is_quoted = true;
	} else {
		ret->local = view_sub(text, 0, view_find(text, '@'));
		if (ret->local.len == 0)
			return err_set(ERR_SYNTAX, "the address has no local part");
		if (!is_dot_string(ret->local))
			return err_set(ERR_SYNTAX, "the local part has a character or a dot where none may be");
	}
	if (!utf8_is_allowed(ret->local, flags, false))
		return err_set(ERR_SYNTAX, "the local part is not ASCII");
	if (ret->local.len > ADDRESS_LOCAL_MAX_BYTES)
		return err_set(ERR_LIMIT, "the local part is longer than %u bytes", ADDRESS_LOCAL_MAX_BYTES);
	return ERR_OK;
}

static enum err parse_domain(struct view text, unsigned flags, struct address *ret)
{
	ret->domain = text;
	if (text.len == 0)
		return err_set(ERR_SYNTAX, "the address has no domain");
	if (text.len > ADDRESS_DOMAIN_MAX_BYTES)
		return err_set(ERR_LIMIT, "the domain is longer than %u bytes", ADDRESS_DOMAIN_MAX_BYTES);
	if (text.ptr[0] == '[') {
		ret->domain_is_literal = true;
		if (!address_literal_is_valid(text))
			return err_set(ERR_SYNTAX, "the address literal is malformed");
	} else if (!address_domain_is_valid(text, flags)) {
		return err_set(ERR_SYNTAX, "the domain is malformed");
	}
	return ERR_OK;
}

enum err address_parse(struct view text, unsigned flags, struct address *ret)
{
	struct address a = { .local = VIEW(""), .domain = VIEW("") };
	if (text.len == 0 && (flags & ADDRESS_ALLOW_NULL) != 0) {
		*ret = a;
		return ERR_OK;
	}
	/* Before any scanning, so that the work is bounded. */
	if (text.len > ADDRESS_PATH_MAX_BYTES - 2)
		return err_set(ERR_LIMIT, "the address is longer than %u bytes", ADDRESS_PATH_MAX_BYTES - 2);
	enum err err = parse_local(text, flags, &a);
	if (err != ERR_OK)
		return err;
	struct view rest = view_from(text, a.local.len);
	if (rest.len == 0) {
		/* RFC 5321 §4.1.1.3: only "postmaster" may stand without a domain. */
		if ((flags & ADDRESS_ALLOW_NO_DOMAIN) == 0 || !view_eq_nocase(a.local, VIEW("postmaster")))
			return err_set(ERR_SYNTAX, "the address has no domain");
	} else if (rest.ptr[0] != '@') {
		return err_set(ERR_SYNTAX, "the local part is followed by something else than @");
	} else {
		err = parse_domain(view_from(rest, 1), flags, &a);
		if (err != ERR_OK)
			return err;
	}
	a.has_utf8 = !view_is_ascii(text);
	*ret = a;
	return ERR_OK;
}

/* Index of the first `end` outside a quoted string, or v.len. Looks at no more bytes than a path may have. */
static size_t find_unquoted(struct view v, uint8_t end)
{
	bool quoted = false;
	size_t limit = v.len < ADDRESS_PATH_MAX_BYTES + 1 ? v.len : ADDRESS_PATH_MAX_BYTES + 1;
	for (size_t i = 0; i < limit; i++) {
		if (quoted && v.ptr[i] == '\\')
			i++;
		else if (v.ptr[i] == '"')
			quoted = !quoted;
		else if (!quoted && v.ptr[i] == end)
			return i;
	}
	return v.len;
}

/* A-d-l ":" at the front of *path is checked and removed. */
static enum err drop_source_route(struct view *path, unsigned flags)
{
	if (path->len == 0 || path->ptr[0] != '@')
		return ERR_OK;
	size_t colon = view_find(*path, ':');
	struct view hops = view_sub(*path, 0, colon), hop;
	if (colon == path->len || hops.ptr[hops.len - 1] == ',')
		return err_set(ERR_SYNTAX, "the source route is malformed");
	while (view_split(&hops, ',', &hop))
		if (hop.len < 2 || hop.ptr[0] != '@' || !address_domain_is_valid(view_from(hop, 1), flags))
			return err_set(ERR_SYNTAX, "the source route is malformed");
	*path = view_from(*path, colon + 1);
	return ERR_OK;
}

enum err address_parse_path(struct view text, unsigned flags, struct address *ret, size_t *ret_used)
{
	struct view path;
	size_t used;
	if (text.len == 0)
		return err_set(ERR_SYNTAX, "there is no address");
	if (text.ptr[0] == '<') {
		size_t end = find_unquoted(text, '>');
		if (end == text.len && text.len > ADDRESS_PATH_MAX_BYTES)
			return err_set(ERR_LIMIT, "the path is longer than %u bytes", ADDRESS_PATH_MAX_BYTES);
		if (end == text.len)
			return err_set(ERR_SYNTAX, "the path has no closing angle bracket");
		used = end + 1;
		if (used > ADDRESS_PATH_MAX_BYTES)
			return err_set(ERR_LIMIT, "the path is longer than %u bytes", ADDRESS_PATH_MAX_BYTES);
		path = view_sub(text, 1, end - 1);
		bool empty = path.len == 0;
		enum err err = drop_source_route(&path, flags);
		if (err != ERR_OK)
			return err;
		if (path.len == 0 && (!empty || (flags & ADDRESS_ALLOW_NULL) == 0))
			return err_set(ERR_SYNTAX, "the path is empty");
	} else {
		used = find_unquoted(text, ' ');
		path = view_sub(text, 0, used);
		flags &= ~(unsigned)ADDRESS_ALLOW_NULL;
	}
	enum err err = address_parse(path, flags, ret);
	if (err == ERR_OK)
		*ret_used = used;
	return err;
}

enum err address_local_value(const struct address *address, struct buf *out)
{
	if (!address->local_is_quoted)
		return buf_append(out, address->local);
	struct view inner = view_sub(address->local, 1, address->local.len >= 2 ? address->local.len - 2 : 0);
	enum err err = buf_reserve(out, inner.len);
	for (size_t i = 0; i < inner.len && err == ERR_OK; i++) {
		if (inner.ptr[i] == '\\' && i + 1 < inner.len)
			i++;
		err = buf_append_byte(out, inner.ptr[i]);
	}
	return err;
}

static enum err append_quoted(struct view value, struct buf *out)
{
	enum err err = buf_append_byte(out, '"');
	for (size_t i = 0; i < value.len && err == ERR_OK; i++) {
		if (value.ptr[i] == '"' || value.ptr[i] == '\\')
			err = buf_append_byte(out, '\\');
		if (err == ERR_OK)
			err = buf_append_byte(out, value.ptr[i]);
	}
	return err == ERR_OK ? buf_append_byte(out, '"') : err;
}

enum err address_append_local(struct view value, struct buf *out)
{
	return is_dot_string(value) ? buf_append(out, value) : append_quoted(value, out);
}

enum err address_format(const struct address *address, struct buf *out)
{
	struct buf value = { 0 };
	size_t before = out->len;
	enum err err = address_local_value(address, &value);
	/* The null path and its empty local part stay empty; "" in quotes does not. */
	if (err == ERR_OK)
		err = address->local_is_quoted ? address_append_local(buf_view(&value), out)
					       : buf_append(out, buf_view(&value));
	if (err == ERR_OK && address->domain.len > 0)
		err = buf_append_byte(out, '@');
	if (err == ERR_OK)
		err = buf_append(out, address->domain);
	buf_clear(&value);
	if (err != ERR_OK)
		out->len = before;
	return err;
}
