#include "mailauth/auth_results.h"

/* One pass over the front of a value. Comments are counted, not recursed into: their depth is up to a stranger. */

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Takes a comment with those inside it; false if it doesn't end. */
static bool skip_comment(struct view *rest)
{
	size_t depth = 0;
	for (size_t i = 0; i < rest->len; i++) {
		uint8_t c = rest->ptr[i];
		if (c == '\\')
			i++;
		else if (c == '(')
			depth++;
		else if (c == ')' && --depth == 0) {
			*rest = view_from(*rest, i + 1);
			return true;
		}
	}
	return false;
}

/* RFC 5322 CFWS. */
static bool skip_blanks(struct view *rest)
{
	for (;;) {
		while (rest->len > 0 && is_blank(rest->ptr[0]))
			*rest = view_from(*rest, 1);
		if (rest->len == 0 || rest->ptr[0] != '(')
			return true;
		if (!skip_comment(rest))
			return false;
	}
}

/* False if it doesn't end, or out of memory: *err. Line ends are folds, which are not part of it. */
static bool read_quoted(struct view *rest, struct buf *out, enum err *err)
{
	for (size_t i = 1; i < rest->len && *err == ERR_OK; i++) {
		uint8_t c = rest->ptr[i];
		if (c == '"') {
			*rest = view_from(*rest, i + 1);
			return true;
		}
		if (c == '\\' && ++i < rest->len)
			c = rest->ptr[i];
		if (c != '\r' && c != '\n')
			*err = buf_append_byte(out, c);
	}
	return false;
}

/* Anything up to what ends a token in this place. Generous: it is compared, not kept. */
static bool read_token(struct view *rest, struct buf *out, enum err *err)
{
	struct view ends = VIEW("();=\"/ \t\r\n");
	size_t len = 0;
	while (len < rest->len && view_find(ends, rest->ptr[len]) == ends.len)
		len++;
	*err = buf_append(out, view_sub(*rest, 0, len));
	*rest = view_from(*rest, len);
	return len > 0;
}

static bool has_control(struct view v)
{
	for (size_t i = 0; i < v.len; i++)
		if (v.ptr[i] < ' ' || v.ptr[i] == 0x7f)
			return true;
	return false;
}

/* Behind the id comes a version or nothing, then ";" (or a "/", as RFC 5451's drafts had versions). */
static enum auth_serv_id read_id(struct view rest, struct buf *out, enum err *err)
{
	size_t before = out->len;
	if (!skip_blanks(&rest))
		return AUTH_ID_UNCLEAR;
	bool is_quoted = rest.len > 0 && rest.ptr[0] == '"';
	bool is_read = is_quoted ? read_quoted(&rest, out, err) : read_token(&rest, out, err);
	if (!is_read || has_control(view_from(buf_view(out), before)))
		return AUTH_ID_UNCLEAR;
	if (!skip_blanks(&rest))
		return AUTH_ID_UNCLEAR;
	/* A quoted one may not be a method, however it goes on. */
	if (!is_quoted && rest.len > 0 && rest.ptr[0] == '=')
		return AUTH_ID_ABSENT;
	return AUTH_ID_PRESENT;
}

enum err auth_results_read_id(struct view value, struct buf *out, enum auth_serv_id *ret)
{
	size_t before = out->len;
	enum err err = ERR_OK;
	enum auth_serv_id id = read_id(value, out, &err);
	if (err != ERR_OK || id != AUTH_ID_PRESENT)
		out->len = before;
	if (err == ERR_OK)
		*ret = id;
	return err;
}

static struct view bare(struct view name)
{
	name = view_trim(name);
	while (name.len > 0 && name.ptr[name.len - 1] == '.')
		name.len--;
	return name;
}

static bool is_one_of(struct view id, const struct view *ids, size_t id_count)
{
	for (size_t i = 0; i < id_count; i++)
		if (view_eq_nocase(bare(id), bare(ids[i])))
			return true;
	return false;
}

/* Longer than any id of ours: then it is compared no further. */
enum { ID_MAX_BYTES = 1024 };

static bool is_forged(struct view value, const struct view *ids, size_t id_count)
{
	uint8_t room[ID_MAX_BYTES];
	struct buf id = { room, 0, sizeof room, sizeof room };
	enum auth_serv_id kind;
	/* Too long an id is not ours. */
	if (auth_results_read_id(value, &id, &kind) != ERR_OK || kind == AUTH_ID_ABSENT)
		return false;
	return kind == AUTH_ID_UNCLEAR || is_one_of(buf_view(&id), ids, id_count);
}

bool auth_results_next_forged(struct view *rest, const struct view *ids, size_t id_count, struct header_field *ret)
{
	struct header_field field;
	while (header_next(rest, &field)) {
		if (!view_eq_nocase(field.name, VIEW("Authentication-Results")) ||
			!is_forged(field.value, ids, id_count))
			continue;
		*ret = field;
		return true;
	}
	return false;
}
