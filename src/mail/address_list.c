#include "mail/address_list.h"

#include "mail/address_private.h"
#include "mail/encode.h"
#include "mail/writer_private.h"

/* One element while it is read. */
struct element {
	struct view rest;
	struct buf phrase; /* the words with a space between */
	struct buf value; /* the words and dots as a local part's value */
	struct buf domain;
	struct view comment; /* the last one, without its parentheses */
	bool is_local_part; /* words and single dots in turn, a word at both ends */
	bool has_domain;
};

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static enum err unclosed(struct element *e, const char *what)
{
	/* All of the rest belongs to it: reading on behind the next comma would read the same bytes again and again. */
	e->rest = VIEW_NONE;
	return err_set(ERR_SYNTAX, "%s is not closed", what);
}

/* CFWS: blanks, folds, nested comments. */
static enum err skip_cfws(struct element *e)
{
	struct view v = e->rest;
	size_t depth = 0, from = 0;
	for (size_t i = 0; i < v.len; i++) {
		uint8_t c = v.ptr[i];
		if (depth > 0 && c == '\\') {
			i++;
		} else if (c == '(') {
			if (depth++ == 0)
				from = i + 1;
		} else if (depth > 0 && c == ')') {
			if (--depth == 0)
				e->comment = view_sub(v, from, i - from);
		} else if (depth == 0 && !is_blank(c)) {
			e->rest = view_from(v, i);
			return ERR_OK;
		}
	}
	e->rest = VIEW_NONE;
	return depth == 0 ? ERR_OK : unclosed(e, "a comment");
}

/* The byte that stands next, or 0 at the end. */
static uint8_t next_byte(const struct element *e)
{
	return e->rest.len > 0 ? e->rest.ptr[0] : 0;
}

/* Quoted string at the front: its value to *out. */
static enum err take_quoted(struct element *e, struct buf *out)
{
	struct view v = e->rest;
	for (size_t i = 1; i < v.len; i++) {
		uint8_t c = v.ptr[i];
		if (c == '"') {
			e->rest = view_from(v, i + 1);
			return ERR_OK;
		}
		if (c == '\\' && i + 1 < v.len)
			c = v.ptr[++i];
		if (c == '\r' || c == '\n')
			continue;
		enum err err = buf_append_byte(out, c);
		if (err != ERR_OK)
			return err;
	}
	return unclosed(e, "a quoted string");
}

static struct view take_atom(struct element *e)
{
	size_t n = 0;
	while (n < e->rest.len && (address_is_atext(e->rest.ptr[n]) || e->rest.ptr[n] >= 0x80))
		n++;
	struct view atom = view_sub(e->rest, 0, n);
	e->rest = view_from(e->rest, n);
	return atom;
}

/* Words and dots up to another special: a phrase or a local part, which only what follows tells. */
static enum err take_words(struct element *e)
{
	bool after_word = false;
	buf_reset(&e->phrase);
	buf_reset(&e->value);
	e->is_local_part = true;
	for (;;) {
		size_t before_blanks = e->rest.len;
		enum err err = skip_cfws(e);
		if (err != ERR_OK)
			return err;
		uint8_t c = next_byte(e);
		bool blanks = e->rest.len < before_blanks;
		if (c == '.') {
			e->is_local_part &= after_word;
			after_word = false;
			e->rest = view_from(e->rest, 1);
			err = buf_append_byte(&e->phrase, '.');
			if (err == ERR_OK)
				err = buf_append_byte(&e->value, '.');
		} else if (c == '"' || address_is_atext(c) || c >= 0x80) {
			e->is_local_part &= !after_word;
			if (e->phrase.len > 0 && blanks)
				err = buf_append_byte(&e->phrase, ' ');
			after_word = true;
			size_t before = e->value.len;
			if (err == ERR_OK)
				err = c == '"' ? take_quoted(e, &e->value) : buf_append(&e->value, take_atom(e));
			if (err == ERR_OK)
				err = buf_append(&e->phrase, view_from(buf_view(&e->value), before));
		} else {
			e->is_local_part &= after_word;
			return ERR_OK;
		}
		if (err != ERR_OK)
			return err;
	}
}

/* Behind the "@": atoms and dots, or a literal. */
static enum err take_domain(struct element *e)
{
	buf_reset(&e->domain);
	enum err err = skip_cfws(e);
	if (err == ERR_OK && next_byte(e) == '[') {
		size_t end = view_find(e->rest, ']');
		if (end == e->rest.len)
			return unclosed(e, "an address literal");
		err = buf_append(&e->domain, view_sub(e->rest, 0, end + 1));
		e->rest = view_from(e->rest, end + 1);
		return err == ERR_OK ? skip_cfws(e) : err;
	}
	while (err == ERR_OK && e->rest.len > 0) {
		struct view atom = take_atom(e);
		bool dot = atom.len == 0 && next_byte(e) == '.';
		if (atom.len == 0 && !dot)
			break;
		/* "a b" is no domain: a word must be followed by a dot. */
		if (!dot && e->domain.len > 0 && e->domain.ptr[e->domain.len - 1] != '.')
			return err_set(ERR_SYNTAX, "the domain has a blank in it");
		err = dot ? buf_append_byte(&e->domain, '.') : buf_append(&e->domain, atom);
		if (dot)
			e->rest = view_from(e->rest, 1);
		if (err == ERR_OK)
			err = skip_cfws(e);
	}
	return err;
}

/* "@a,@b:" in front of an address in angle brackets: read over (RFC 5322 §4.4). */
static enum err skip_route(struct element *e)
{
	while (next_byte(e) == '@' || next_byte(e) == ',') {
		bool at = next_byte(e) == '@';
		e->rest = view_from(e->rest, 1);
		enum err err = at ? take_domain(e) : skip_cfws(e);
		if (err != ERR_OK)
			return err;
	}
	if (next_byte(e) != ':')
		return err_set(ERR_SYNTAX, "the source route is malformed");
	e->rest = view_from(e->rest, 1);
	return skip_cfws(e);
}

/* local-part, and "@" domain if it is there. The local part is in e->value. */
static enum err take_mailbox(struct element *e)
{
	if (!e->is_local_part)
		return err_set(ERR_SYNTAX, "the local part is malformed");
	e->has_domain = next_byte(e) == '@';
	if (!e->has_domain)
		return ERR_OK;
	e->rest = view_from(e->rest, 1);
	return take_domain(e);
}

/* At "<". The words in front are kept aside as the name. */
static enum err take_angle(struct element *e, struct buf *name)
{
	enum err err = buf_append(name, buf_view(&e->phrase));
	e->rest = view_from(e->rest, 1);
	if (err == ERR_OK)
		err = skip_cfws(e);
	if (err == ERR_OK && next_byte(e) == '@')
		err = skip_route(e);
	if (err == ERR_OK)
		err = take_words(e);
	if (err == ERR_OK)
		err = take_mailbox(e);
	if (err != ERR_OK)
		return err;
	if (next_byte(e) != '>')
		return err_set(ERR_SYNTAX, "an angle bracket is not closed");
	e->rest = view_from(e->rest, 1);
	return skip_cfws(e);
}

/* Writes the result into the list's scratch memory and checks it as a whole. */
static enum err finish(struct address_list *list, struct element *e, struct buf *name, struct address_list_entry *ret)
{
	struct buf *out = &list->scratch;
	if (name->len == 0 && e->comment.len > 0) {
		enum err comment_err = buf_append(name, e->comment);
		if (comment_err != ERR_OK)
			return comment_err;
	}
	struct writer w = writer_begin(out);
	write_result(&w, address_append_local(buf_view(&e->value), out));
	size_t local_length = out->len;
	if (e->has_domain) {
		write_byte(&w, '@');
		write_view(&w, buf_view(&e->domain));
	}
	size_t address_length = out->len;
	write_result(&w, header_text_decode(buf_view(name), out));
	enum err err = writer_end(&w);
	if (err != ERR_OK)
		return err;
	struct view all = buf_view(out), address = view_sub(all, 0, address_length);
	struct address parsed;
	if (e->has_domain)
		err = address_parse(address, ADDRESS_ALLOW_UTF8, &parsed);
	else if (local_length > ADDRESS_LOCAL_MAX_BYTES)
		err = err_set(ERR_LIMIT, "the name is longer than %u bytes", ADDRESS_LOCAL_MAX_BYTES);
	else if (!view_is_utf8(address))
		err = err_set(ERR_SYNTAX, "the name is not UTF-8");
	if (err != ERR_OK)
		return err;
	*ret = (struct address_list_entry){ address, local_length, view_trim(view_from(all, address_length)) };
	return ERR_OK;
}

/* One element from the front of list->rest. ERR_AGAIN: nothing to report (a group's name, an empty element). */
static enum err take_element(
	struct address_list *list, struct element *e, struct buf *name, struct address_list_entry *ret)
{
	enum err err = take_words(e);
	if (err != ERR_OK)
		return err;
	uint8_t c = next_byte(e);
	if (c == ':' && !list->in_group) {
		e->rest = view_from(e->rest, 1);
		list->in_group = true;
		return ERR_AGAIN;
	}
	bool empty = e->value.len == 0 && e->phrase.len == 0;
	if (empty && (c == ',' || c == ';' || e->rest.len == 0) && !e->is_local_part)
		return ERR_AGAIN;
	if (c != '<') {
		err = take_mailbox(e);
		/* "joe@example.com <joe@example.com>" is no grammar's, but a daily sight. */
		if (err == ERR_OK && next_byte(e) == '<' && e->has_domain) {
			buf_reset(&e->phrase);
			err = buf_append(&e->phrase, buf_view(&e->value));
			if (err == ERR_OK)
				err = buf_append_byte(&e->phrase, '@');
			if (err == ERR_OK)
				err = buf_append(&e->phrase, buf_view(&e->domain));
		}
	}
	if (err == ERR_OK && next_byte(e) == '<')
		err = take_angle(e, name);
	if (err != ERR_OK)
		return err;
	c = next_byte(e);
	if (e->rest.len > 0 && c != ',' && !(c == ';' && list->in_group))
		return err_set(ERR_SYNTAX, "an address is followed by something else than a comma");
	return finish(list, e, name, ret);
}

/* To the comma or group's end that comes next outside quotes, comments and angle brackets. */
static void skip_element(struct element *e, bool in_group)
{
	for (;;) {
		if (skip_cfws(e) != ERR_OK || e->rest.len == 0)
			return;
		uint8_t c = next_byte(e);
		if (c == ',' || (c == ';' && in_group))
			return;
		if (c == '"') {
			buf_reset(&e->value);
			if (take_quoted(e, &e->value) != ERR_OK)
				return;
		} else {
			e->rest = view_from(e->rest, 1);
		}
	}
}

void address_list_init(struct address_list *list, struct view text)
{
	*list = (struct address_list){ .rest = text };
}

void address_list_clear(struct address_list *list)
{
	buf_clear(&list->scratch);
	*list = (struct address_list){ 0 };
}

enum err address_list_next(struct address_list *list, struct address_list_entry *ret)
{
	enum err err = ERR_AGAIN;
	buf_reset(&list->scratch);
	while (err == ERR_AGAIN) {
		struct element e = { .rest = list->rest };
		struct buf name = { 0 };
		if (skip_cfws(&e) == ERR_OK && e.rest.len == 0) {
			list->rest = VIEW_NONE;
			return ERR_NOT_FOUND;
		}
		e.rest = list->rest;
		bool was_in_group = list->in_group;
		err = take_element(list, &e, &name, ret);
		bool group_began = list->in_group && !was_in_group;
		if (err != ERR_OK && err != ERR_AGAIN)
			skip_element(&e, list->in_group);
		if (!group_began && e.rest.len > 0) {
			/* At the comma, or at the ";" of a group (or one that stands alone, which is read over). */
			if (next_byte(&e) == ';')
				list->in_group = false;
			e.rest = view_from(e.rest, 1);
		}
		list->rest = e.rest;
		buf_clear(&e.phrase);
		buf_clear(&e.value);
		buf_clear(&e.domain);
		buf_clear(&name);
	}
	return err;
}

/* Words of atext with single spaces between. */
static bool is_atom_phrase(struct view v)
{
	bool after_word = false;
	for (size_t i = 0; i < v.len; i++) {
		bool space = v.ptr[i] == ' ';
		if (space ? !after_word : !address_is_atext(v.ptr[i]))
			return false;
		after_word = !space;
		/* An atom that looks like an encoded word would be read as one. */
		if (v.ptr[i] == '=' && i + 1 < v.len && v.ptr[i + 1] == '?')
			return false;
	}
	return after_word;
}

enum err address_list_format(struct view name, struct view address, struct buf *out)
{
	struct writer w = writer_begin(out);
	struct buf clean = { 0 };
	write_result(&w, text_clean(name, &clean));
	struct view shown = view_trim(buf_view(&clean));
	if (shown.len == 0) {
		write_view(&w, address);
	} else {
		if (!view_is_ascii(shown)) {
			write_result(&w, header_text_encode(shown, out));
		} else if (is_atom_phrase(shown)) {
			write_view(&w, shown);
		} else {
			write_byte(&w, '"');
			for (size_t i = 0; i < shown.len; i++) {
				if (shown.ptr[i] == '"' || shown.ptr[i] == '\\')
					write_byte(&w, '\\');
				write_byte(&w, shown.ptr[i]);
			}
			write_byte(&w, '"');
		}
		write_text(&w, " <");
		write_view(&w, address);
		write_text(&w, ">");
	}
	buf_clear(&clean);
	return writer_end(&w);
}
