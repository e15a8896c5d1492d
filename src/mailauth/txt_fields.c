#include "mailauth/txt_fields_private.h"

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static struct view skip_blanks(struct view v)
{
	while (v.len > 0 && is_blank(v.ptr[0]))
		v = view_from(v, 1);
	return v;
}

/* The RFCs say "v=X;" here, but their grammar lets blanks stand before the semicolon. */
static bool has_version(struct view text, struct view version)
{
	if (!view_starts_with(text, version))
		return false;
	struct view rest = skip_blanks(view_from(text, version.len));
	return rest.len > 0 && rest.ptr[0] == ';';
}

enum err txt_fields_choose(const struct dns_answer *answer, struct view version, struct view *ret)
{
	size_t found = 0;
	struct view text = VIEW_NONE;
	for (size_t i = 0; i < answer->record_count; i++)
		if (has_version(answer->records[i].data, version)) {
			text = answer->records[i].data;
			found++;
		}
	if (found == 0)
		return err_set(ERR_NOT_FOUND, "there is no %.*s record", VIEW_ARG(version));
	if (found > 1)
		return err_set(ERR_SYNTAX, "there are %zu %.*s records", found, VIEW_ARG(version));
	*ret = text;
	return ERR_OK;
}

enum err txt_fields_begin(struct view *rest, struct view version)
{
	if (rest->len > TXT_FIELDS_MAX_BYTES)
		return err_set(ERR_LIMIT, "the record is longer than %u bytes", TXT_FIELDS_MAX_BYTES);
	if (!has_version(*rest, version))
		return err_set(ERR_SYNTAX, "the record does not begin with \"%.*s;\"", VIEW_ARG(version));
	*rest = view_from(*rest, version.len);
	return ERR_OK;
}

enum txt_step txt_fields_next(struct view *rest, struct view *ret_name, struct view *ret_value)
{
	if (rest->len == 0)
		return TXT_END;
	struct view text = skip_blanks(*rest);
	if (text.len == 0 || text.ptr[0] != ';')
		return TXT_BAD;
	text = skip_blanks(view_from(text, 1));
	size_t end = view_find(text, ';');
	*rest = view_from(text, end);
	if (text.len == 0)
		return TXT_END;
	text = view_sub(text, 0, end);
	/* Blanks belong to a semicolon; at the end there is none. */
	while (rest->len > 0 && text.len > 0 && is_blank(text.ptr[text.len - 1]))
		text.len--;
	size_t equals = view_find(text, '=');
	struct view name = view_sub(text, 0, equals), value = view_from(text, equals + 1);
	if (value.len == 0 || is_blank(value.ptr[0]) || is_blank(value.ptr[value.len - 1]) ||
		!txt_field_name_is_valid(name))
		return TXT_BAD;
	*ret_name = name;
	*ret_value = value;
	return TXT_FIELD;
}

bool txt_field_value_is_plain(struct view value)
{
	for (size_t i = 0; i < value.len; i++)
		if (value.ptr[i] <= ' ' || value.ptr[i] >= 0x7f || value.ptr[i] == ';' || value.ptr[i] == '=')
			return false;
	return value.len > 0;
}

bool txt_field_name_is_valid(struct view name)
{
	if (name.len == 0 || name.len > TXT_FIELD_NAME_MAX_BYTES || !ascii_is_alnum(name.ptr[0]))
		return false;
	for (size_t i = 1; i < name.len; i++) {
		uint8_t c = name.ptr[i];
		if (!ascii_is_alnum(c) && c != '_' && c != '-' && c != '.')
			return false;
	}
	return true;
}
