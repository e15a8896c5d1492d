#include "smtp/command.h"

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static struct view trim_blanks(struct view v)
{
	while (v.len > 0 && is_blank(v.ptr[0]))
		v = view_from(v, 1);
	while (v.len > 0 && is_blank(v.ptr[v.len - 1]))
		v.len--;
	return v;
}

/* Takes the word at the front of *rest, and the blanks behind it. */
static struct view take_word(struct view *rest)
{
	size_t n = 0;
	while (n < rest->len && !is_blank(rest->ptr[n]))
		n++;
	struct view word = view_sub(*rest, 0, n);
	*rest = trim_blanks(view_from(*rest, n));
	return word;
}

void smtp_command_split(struct view line, struct view *ret_verb, struct view *ret_arguments)
{
	*ret_verb = take_word(&line);
	*ret_arguments = trim_blanks(line);
}

bool smtp_command_keyword(struct view *arguments, struct view keyword)
{
	struct view rest = *arguments;
	if (!view_starts_with_nocase(rest, keyword))
		return false;
	rest = trim_blanks(view_from(rest, keyword.len));
	if (rest.len == 0 || rest.ptr[0] != ':')
		return false;
	*arguments = trim_blanks(view_from(rest, 1));
	return true;
}

enum err smtp_command_bdat(struct view arguments, uint64_t *ret_size, bool *ret_last, bool *ret_clean)
{
	struct view size = take_word(&arguments);
	uint64_t bytes;
	if (view_parse_u64(size, UINT64_MAX, &bytes) != ERR_OK)
		return ERR_SYNTAX;
	*ret_size = bytes;
	*ret_last = view_eq_nocase(arguments, VIEW("LAST"));
	*ret_clean = *ret_last || arguments.len == 0;
	return ERR_OK;
}

bool smtp_command_hello_is_valid(struct view name)
{
	if (name.len < 1 || name.len > ADDRESS_DOMAIN_MAX_BYTES)
		return false;
	if (name.ptr[0] == '[')
		return address_literal_is_valid(name);
	if (name.len > 1 && name.ptr[name.len - 1] == '.')
		name.len--;
	size_t label = 0;
	for (size_t i = 0; i < name.len; i++) {
		uint8_t c = name.ptr[i];
		if (c != '.' && c != '-' && c != '_' && !ascii_is_alnum(c))
			return false;
		if (c == '.' && label == 0)
			return false;
		label = c == '.' ? 0 : label + 1;
		if (label > 63)
			return false;
	}
	return label > 0;
}
