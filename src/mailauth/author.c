#include "mailauth/author.h"

#include "mail/address_list.h"
#include "mail/header.h"
#include "mailauth/dkim_private.h"

enum { DOMAIN_MAX_BYTES = 253, ARENA_BYTES = 1024 };

void author_clear(struct author *author)
{
	buf_clear(&author->domain);
	*author = (struct author){ 0 };
}

static bool is_same(struct view a, struct view b)
{
	struct arena arena;
	struct view in_a, in_b;
	arena_init(&arena, ARENA_BYTES);
	bool same = dkim_domain_normalise(a, 1, &arena, &in_a) && dkim_domain_normalise(b, 1, &arena, &in_b)
		? view_eq(in_a, in_b)
		: view_eq_nocase(a, b);
	arena_clear(&arena);
	return same;
}

static enum err count_domain(struct author *author, struct view domain)
{
	while (domain.len > 0 && domain.ptr[domain.len - 1] == '.')
		domain.len--;
	domain = view_sub(domain, 0, DOMAIN_MAX_BYTES + 1); /* a longer one is none, and stays none */
	if (domain.len == 0 || author->domain_count > 1)
		return ERR_OK;
	if (author->domain_count == 1 && is_same(buf_view(&author->domain), domain))
		return ERR_OK;
	return author->domain_count++ == 0 ? buf_append(&author->domain, domain) : ERR_OK;
}

/* False if the field is no address list. */
static bool count_mailboxes(struct author *author, struct view value, enum err *err)
{
	struct address_list list;
	struct address_list_entry entry;
	address_list_init(&list, value);
	enum err found = ERR_OK;
	while (*err == ERR_OK && (found = address_list_next(&list, &entry)) == ERR_OK)
		if (entry.local_length < entry.address.len)
			*err = count_domain(author, view_from(entry.address, entry.local_length + 1));
	address_list_clear(&list);
	return found == ERR_NOT_FOUND;
}

static bool is_domain_byte(uint8_t c)
{
	return ascii_is_alnum(c) || c >= 0x80 || c == '.' || c == '-' || c == '_';
}

/* Length of a quoted string or comment at the front; 0 if it is none, or doesn't end: then it is read like anything else. */
static size_t skipped(struct view v)
{
	size_t depth = 0;
	bool in_quotes = v.ptr[0] == '"';
	if (!in_quotes && v.ptr[0] != '(')
		return 0;
	for (size_t i = in_quotes ? 1 : 0; i < v.len; i++) {
		uint8_t c = v.ptr[i];
		if (c == '\\')
			i++;
		else if (in_quotes && c == '"')
			return i + 1;
		else if (!in_quotes && c == '(')
			depth++;
		else if (!in_quotes && c == ')' && --depth == 0)
			return i + 1;
	}
	return 0;
}

static enum err count_anything(struct author *author, struct view v)
{
	enum err err = ERR_OK;
	bool ends = true; /* one quote that doesn't end is enough: none is looked for behind it */
	while (v.len > 0 && err == ERR_OK) {
		size_t skip = ends ? skipped(v) : 0;
		ends = ends && (skip > 0 || (v.ptr[0] != '"' && v.ptr[0] != '('));
		if (skip == 0 && v.ptr[0] == '@') {
			size_t len = 1;
			while (len < v.len && is_domain_byte(v.ptr[len]))
				len++;
			err = count_domain(author, view_sub(v, 1, len - 1));
			skip = len;
		}
		v = view_from(v, skip > 0 ? skip : 1);
	}
	return err;
}

static enum err look_at(struct author *author, struct view value)
{
	enum err err = ERR_OK;
	struct author before = *author;
	author->domain = (struct buf){ 0 };
	author->domain_count = 0;
	if (!count_mailboxes(author, value, &err) && err == ERR_OK) {
		buf_clear(&author->domain);
		author->domain_count = 0;
		err = count_anything(author, value);
	}
	/* Of several fields the first one's counts, and that there are several. */
	if (before.domain.len > 0) {
		buf_clear(&author->domain);
		author->domain = before.domain;
	}
	return err;
}

enum err author_find(struct view headers, struct author *ret)
{
	enum err err = ERR_OK;
	struct header_field field;
	*ret = (struct author){ 0 };
	while (err == ERR_OK && header_next(&headers, &field)) {
		if (!view_eq_nocase(field.name, VIEW("From")))
			continue;
		/* Two are bad enough, a stranger may send thousands. */
		if (ret->field_count++ < 2)
			err = look_at(ret, field.value);
	}
	if (ret->field_count > 1)
		ret->domain_count = 2;
	return err;
}
