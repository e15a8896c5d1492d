#include "mail/mime.h"

#include "mail/encode.h"
#include "mail/header.h"

#include <string.h>

enum { SECTIONS_MAX = 64 };

/* Skips blanks, folds and comments. */
static struct view skip_cfws(struct view v)
{
	size_t depth = 0, i = 0;
	for (; i < v.len; i++) {
		uint8_t c = v.ptr[i];
		if (c == '(')
			depth++;
		else if (depth > 0 && c == '\\')
			i++;
		else if (depth > 0 && c == ')')
			depth--;
		else if (depth == 0 && c != ' ' && c != '\t' && c != '\r' && c != '\n')
			break;
	}
	return view_from(v, i);
}

/* RFC 2045 §5.1 token. */
static bool is_token(uint8_t c)
{
	return c > ' ' && c < 0x7f && strchr("()<>@,;:\\\"/[]?=", c) == NULL;
}

static struct view take_token(struct view *rest)
{
	size_t n = 0;
	while (n < rest->len && is_token(rest->ptr[n]))
		n++;
	struct view token = view_sub(*rest, 0, n);
	*rest = view_from(*rest, n);
	return token;
}

bool mime_type_parse(struct view value, struct mime_type *ret)
{
	struct mime_type type = { 0 };
	struct view rest = skip_cfws(value);
	type.type = take_token(&rest);
	rest = skip_cfws(rest);
	if (type.type.len == 0 || rest.len == 0 || rest.ptr[0] != '/')
		return false;
	rest = skip_cfws(view_from(rest, 1));
	type.subtype = take_token(&rest);
	if (type.subtype.len == 0)
		return false;
	type.parameters = view_from(rest, view_find(rest, ';'));
	*ret = type;
	return true;
}

bool mime_type_is(const struct mime_type *type, const char *major, const char *minor)
{
	return view_eq_nocase(type->type, view_from_cstr(major)) &&
		view_eq_nocase(type->subtype, view_from_cstr(minor));
}

/* A parameter as it stands: the value with its quotes. */
struct parameter {
	struct view name, value;
	bool is_quoted;
};

static struct view take_value(struct view *rest, bool *ret_quoted)
{
	size_t n = 0;
	*ret_quoted = rest->len > 0 && rest->ptr[0] == '"';
	if (*ret_quoted) {
		for (n = 1; n < rest->len && rest->ptr[n] != '"'; n++)
			if (rest->ptr[n] == '\\')
				n++;
		struct view inside = view_sub(*rest, 1, (n < rest->len ? n : rest->len) - 1);
		*rest = view_from(*rest, n + 1);
		return inside;
	}
	/* Wider than a token: "=" and the like stand unquoted in many boundaries. */
	while (n < rest->len && rest->ptr[n] > ' ' && rest->ptr[n] != ';')
		n++;
	struct view value = view_sub(*rest, 0, n);
	*rest = view_from(*rest, n);
	return value;
}

static bool next_parameter(struct view *rest, struct parameter *ret)
{
	while (rest->len > 0) {
		*rest = skip_cfws(*rest);
		ret->name = take_token(rest);
		*rest = skip_cfws(*rest);
		if (ret->name.len > 0 && rest->len > 0 && rest->ptr[0] == '=') {
			*rest = skip_cfws(view_from(*rest, 1));
			ret->value = take_value(rest, &ret->is_quoted);
			return true;
		}
		/* A semicolon, or something that is no parameter: on behind the next semicolon. */
		*rest = view_from(*rest, view_find(*rest, ';') + 1);
	}
	return false;
}

/* What a parameter's name says under RFC 2231: "name", "name*", "name*3", "name*3*". */
struct parsed_name {
	bool is_extended; /* percent codes */
	bool is_section;
	uint64_t section;
};

static bool parse_name(struct view actual, struct view wanted, struct parsed_name *ret)
{
	if (!view_starts_with_nocase(actual, wanted))
		return false;
	struct view rest = view_from(actual, wanted.len);
	*ret = (struct parsed_name){ 0 };
	if (rest.len == 0)
		return true;
	if (rest.ptr[0] != '*')
		return false;
	rest = view_from(rest, 1);
	if (rest.len == 0) {
		ret->is_extended = true;
		return true;
	}
	if (rest.ptr[rest.len - 1] == '*') {
		ret->is_extended = true;
		rest.len--;
	}
	ret->is_section = true;
	return view_parse_u64(rest, SECTIONS_MAX, &ret->section) == ERR_OK;
}

static enum err append_value(const struct parameter *p, bool extended, bool has_charset, struct buf *out)
{
	struct view v = p->value;
	enum err err = ERR_OK;
	if (extended && has_charset) {
		/* charset'language'text: the two names are dropped. */
		size_t first = view_find(v, '\''), second = view_find(view_from(v, first + 1), '\'');
		if (first < v.len && first + 1 + second < v.len)
			v = view_from(v, first + 1 + second + 1);
	}
	for (size_t i = 0; i < v.len && err == ERR_OK; i++) {
		uint8_t c = v.ptr[i];
		if (extended && c == '%' && i + 2 < v.len && ascii_hex_value(v.ptr[i + 1]) >= 0 &&
			ascii_hex_value(v.ptr[i + 2]) >= 0) {
			c = (uint8_t)(ascii_hex_value(v.ptr[i + 1]) << 4 | ascii_hex_value(v.ptr[i + 2]));
			i += 2;
		} else if (p->is_quoted && c == '\\' && i + 1 < v.len) {
			c = v.ptr[++i];
		} else if (p->is_quoted && (c == '\r' || c == '\n')) {
			continue;
		}
		err = buf_append_byte(out, c);
	}
	return err;
}

/* The parameter with this section number, or (section == SIZE_MAX) without one; the extended form is preferred. */
static bool find_parameter(
	const struct mime_type *type, struct view name, size_t section, struct parameter *ret, bool *ret_extended)
{
	struct view rest = type->parameters;
	struct parameter p;
	struct parsed_name n;
	bool found = false;
	while (next_parameter(&rest, &p)) {
		if (!parse_name(p.name, name, &n) || n.is_section != (section != SIZE_MAX) ||
			(n.is_section && n.section != section) || (found && !n.is_extended))
			continue;
		*ret = p;
		*ret_extended = n.is_extended;
		if (n.is_extended)
			return true;
		found = true;
	}
	return found;
}

enum err mime_parameter(const struct mime_type *type, struct view name, struct buf *out)
{
	struct parameter p;
	bool extended;
	size_t before = out->len;
	enum err err = ERR_NOT_FOUND;
	if (find_parameter(type, name, SIZE_MAX, &p, &extended)) {
		err = append_value(&p, extended, true, out);
	} else {
		size_t section = 0;
		for (; section < SECTIONS_MAX && find_parameter(type, name, section, &p, &extended); section++) {
			err = append_value(&p, extended, section == 0, out);
			if (err != ERR_OK)
				break;
		}
		if (section == SECTIONS_MAX)
			err = err_set(ERR_LIMIT, "a parameter has more than %d continuations", SECTIONS_MAX);
	}
	if (err != ERR_OK)
		out->len = before;
	return err;
}

static enum mime_encoding parse_encoding(struct view value)
{
	static const char *const names[] = { "7bit", "8bit", "binary", "quoted-printable", "base64" };
	struct view rest = skip_cfws(value), token = take_token(&rest);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (view_eq_nocase(token, view_from_cstr(names[i])))
			return (enum mime_encoding)i;
	return MIME_UNKNOWN;
}

void mime_part_parse(struct view entity, bool default_digest, struct mime_part *ret)
{
	struct mime_part part = { 0 };
	size_t header = header_section_length(entity);
	part.header = view_sub(entity, 0, header);
	part.body = view_from(entity, header);
	struct view rest = part.header;
	struct header_field field;
	bool has_type = false, has_encoding = false;
	while (header_next(&rest, &field)) {
		if (!has_type && view_eq_nocase(field.name, VIEW("Content-Type"))) {
			has_type = mime_type_parse(field.value, &part.type);
		} else if (!has_encoding && view_eq_nocase(field.name, VIEW("Content-Transfer-Encoding"))) {
			has_encoding = true;
			part.encoding = parse_encoding(field.value);
		}
	}
	if (!has_type)
		part.type = (struct mime_type){ default_digest ? VIEW("message") : VIEW("text"),
			default_digest ? VIEW("rfc822") : VIEW("plain"), VIEW_NONE, true };
	*ret = part;
}

enum err mime_part_decode(const struct mime_part *part, struct buf *out)
{
	if (part->encoding == MIME_QUOTED_PRINTABLE)
		return quoted_printable_decode(part->body, out);
	if (part->encoding == MIME_BASE64)
		return base64_decode_lenient(part->body, out);
	return buf_append(out, part->body);
}

/* A delimiter line in `v`: where its line starts, where the next begins, and whether it closes. */
static bool find_delimiter(
	const struct mime_walker *w, struct view v, size_t *ret_from, size_t *ret_to, bool *ret_closes)
{
	struct view boundary = mime_walker_boundary(w);
	for (size_t at = 0; at < v.len;) {
		struct view rest = view_from(v, at);
		const uint8_t *lf = memchr(rest.ptr, '\n', rest.len);
		struct view line = view_sub(rest, 0, lf != NULL ? (size_t)(lf - rest.ptr) + 1 : rest.len);
		if (line.len >= 2 && line.ptr[0] == '-' && line.ptr[1] == '-' &&
			view_starts_with(view_from(line, 2), boundary)) {
			struct view tail = view_from(line, 2 + boundary.len);
			bool closes = view_starts_with(tail, VIEW("--"));
			if (view_trim(view_from(tail, closes ? 2 : 0)).len == 0) {
				*ret_from = at;
				*ret_to = at + line.len;
				*ret_closes = closes;
				return true;
			}
		}
		at += line.len;
	}
	return false;
}

struct view mime_walker_boundary(const struct mime_walker *walker)
{
	return view_of(walker->boundary, walker->boundary_len);
}

bool mime_walker_init(struct mime_walker *walker, const struct mime_part *multipart)
{
	*walker = (struct mime_walker){ 0 };
	if (!view_eq_nocase(multipart->type.type, VIEW("multipart")))
		return false;
	struct buf boundary = { .max_bytes = 4 * MIME_BOUNDARY_MAX_BYTES };
	enum err err = mime_parameter(&multipart->type, VIEW("boundary"), &boundary);
	struct view value = view_trim(buf_view(&boundary));
	bool usable = err == ERR_OK && value.len > 0 && value.len <= MIME_BOUNDARY_MAX_BYTES;
	if (usable) {
		memcpy(walker->boundary, value.ptr, value.len);
		walker->boundary_len = value.len;
	}
	buf_clear(&boundary);
	size_t from, to;
	bool closes;
	if (!usable || !find_delimiter(walker, multipart->body, &from, &to, &closes))
		return false;
	walker->preamble = view_sub(multipart->body, 0, from);
	walker->rest = view_from(multipart->body, to);
	walker->is_closed = closes;
	walker->is_open = !closes;
	if (closes)
		walker->epilogue = walker->rest;
	return true;
}

bool mime_walker_next(struct mime_walker *walker, struct view *ret_entity)
{
	size_t from, to;
	bool closes;
	if (!walker->is_open)
		return false;
	if (!find_delimiter(walker, walker->rest, &from, &to, &closes)) {
		/* Cut off, or the sender forgot to close: the rest is the last part. */
		walker->is_open = false;
		*ret_entity = walker->rest;
		walker->rest = VIEW_NONE;
		return ret_entity->len > 0;
	}
	struct view entity = view_sub(walker->rest, 0, from);
	if (entity.len > 0) /* it ends with the delimiter's line end */
		entity.len -= entity.len > 1 && entity.ptr[entity.len - 2] == '\r' ? 2 : 1;
	*ret_entity = entity;
	walker->rest = view_from(walker->rest, to);
	walker->is_open = !closes;
	walker->is_closed = closes;
	if (closes)
		walker->epilogue = walker->rest;
	return true;
}
