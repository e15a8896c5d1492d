#include "store/directory_private.h"

#include <string.h>

static enum err too_long(void)
{
	return err_set(ERR_LIMIT, "the address is too long");
}

/* Bytes at the end of the key's memory, in lower case if asked. */
static enum err keep(struct directory_key *key, struct view bytes, bool lower, struct view *ret)
{
	if (bytes.len > sizeof key->memory - key->used)
		return too_long();
	uint8_t *at = key->memory + key->used;
	for (size_t i = 0; i < bytes.len; i++)
		at[i] = lower ? ascii_lower(bytes.ptr[i]) : bytes.ptr[i];
	key->used += bytes.len;
	*ret = view_of(at, bytes.len);
	return ERR_OK;
}

/* Quotes and backslashes around a value, so that address_format() can decide what of it is needed. */
static enum err quote(struct view value, uint8_t *out, size_t room, size_t *ret_len)
{
	size_t len = 0;
	if (value.len > (room - 2) / 2)
		return too_long();
	out[len++] = '"';
	for (size_t i = 0; i < value.len; i++) {
		if (value.ptr[i] == '"' || value.ptr[i] == '\\')
			out[len++] = '\\';
		out[len++] = value.ptr[i];
	}
	out[len++] = '"';
	*ret_len = len;
	return ERR_OK;
}

enum err directory_key_make(struct view local_value, struct view domain, struct directory_key *ret)
{
	ret->used = 0;
	uint8_t quoted[2 * ADDRESS_PATH_MAX_BYTES];
	size_t quoted_len = 0;
	enum err err = quote(local_value, quoted, sizeof quoted, &quoted_len);
	if (err == ERR_OK)
		err = keep(ret, local_value, false, &ret->local);
	if (err == ERR_OK)
		err = keep(ret, local_value, true, &ret->local_key);
	if (err == ERR_OK)
		err = keep(ret, domain, true, &ret->domain);
	if (err != ERR_OK)
		return err;
	struct address address = {
		.local = view_of(quoted, quoted_len), .local_is_quoted = true, .domain = ret->domain
	};
	struct buf text;
	buf_init(&text, 4 * ADDRESS_PATH_MAX_BYTES);
	err = address_format(&address, &text);
	if (err == ERR_OK)
		err = keep(ret, buf_view(&text), false, &ret->address);
	if (err == ERR_OK)
		err = keep(ret, buf_view(&text), true, &ret->address_key);
	buf_clear(&text);
	return err;
}

static enum err make_catch_all(struct view text, struct directory_key *ret)
{
	if (!address_domain_is_valid(view_from(text, 1), 0))
		return err_set(ERR_SYNTAX, "the domain is malformed");
	ret->used = 0;
	ret->local = ret->local_key = VIEW_NONE;
	enum err err = keep(ret, text, true, &ret->address);
	ret->address_key = ret->address;
	ret->domain = view_from(ret->address, 1);
	return err;
}

enum err directory_key_parse(struct view text, bool catch_all, struct directory_key *ret)
{
	if (catch_all && text.len > 1 && text.ptr[0] == '@')
		return make_catch_all(text, ret);
	struct address address;
	enum err err = address_parse(text, ADDRESS_ALLOW_UTF8, &address);
	if (err != ERR_OK)
		return err;
	if (!view_is_ascii(address.domain))
		return err_set(ERR_SYNTAX, "the domain must be written in its ASCII form (xn--...)");
	struct buf value;
	buf_init(&value, ADDRESS_PATH_MAX_BYTES);
	err = address_local_value(&address, &value);
	if (err == ERR_OK && value.len == 0)
		err = err_set(ERR_SYNTAX, "the address has no local part");
	if (err == ERR_OK)
		err = directory_key_make(buf_view(&value), address.domain, ret);
	buf_clear(&value);
	return err;
}
