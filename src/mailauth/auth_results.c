#include "mailauth/auth_results.h"

/* RFC 5322 §2.1.1 would like lines under 78; a tab may be shown as eight columns. */
enum { LINE_MAX_BYTES = 77, TAB_COLUMNS = 8, SHOWN_MAX_BYTES = 320, WORD_MAX_BYTES = 990 };

struct writer {
	struct buf *out;
	enum err err;
};

static void put(struct writer *w, struct view bytes)
{
	if (w->err == ERR_OK)
		w->err = buf_append(w->out, bytes);
}

static void put_byte(struct writer *w, uint8_t c)
{
	if (w->err == ERR_OK)
		w->err = buf_append_byte(w->out, c);
}

/* Results */

/* RFC 8601 §2.2: Keyword of RFC 5321, of which ptypes and properties are made, too. */
static bool is_keyword(struct view v)
{
	for (size_t i = 0; i < v.len; i++)
		if (!ascii_is_alnum(v.ptr[i]) && v.ptr[i] != '-' && v.ptr[i] != '_')
			return false;
	return v.len > 0 && v.ptr[v.len - 1] != '-';
}

/* RFC 2045 §5.1: what a token may have. "@" may stand in a pvalue besides, between local part and domain. */
static bool is_token_byte(uint8_t c)
{
	struct view specials = VIEW("()<>@,;:\\\"/[]?=");
	return c > ' ' && c < 0x7f && view_find(specials, c) == specials.len;
}

static bool is_plain(struct view v)
{
	size_t at = view_find_last(v, '@');
	for (size_t i = 0; i < v.len; i++)
		if (!is_token_byte(v.ptr[i]) && i != at)
			return false;
	return v.len > 0 && at + 1 != v.len;
}

static void put_quoted(struct writer *w, struct view v)
{
	put_byte(w, '"');
	for (size_t i = 0; i < v.len && w->err == ERR_OK; i++) {
		uint8_t c = v.ptr[i];
		if (c == '"' || c == '\\')
			put_byte(w, '\\');
		put_byte(w, ascii_is_printable(c) ? c : '?');
	}
	put_byte(w, '"');
}

static void put_value(struct writer *w, struct view v)
{
	v = view_sub(v, 0, SHOWN_MAX_BYTES);
	if (is_plain(v))
		put(w, v);
	else
		put_quoted(w, v);
}

enum err auth_result_format(const struct auth_result *result, struct buf *out)
{
	size_t before = out->len;
	struct writer w = { out, ERR_OK };
	ASSERT(is_keyword(result->method) && is_keyword(result->result));
	put(&w, result->method);
	put_byte(&w, '=');
	put(&w, result->result);
	if (result->reason.len > 0) {
		put(&w, VIEW(" reason="));
		put_quoted(&w, view_sub(result->reason, 0, SHOWN_MAX_BYTES));
	}
	for (size_t i = 0; i < result->property_count; i++) {
		const struct auth_property *property = &result->properties[i];
		ASSERT(is_keyword(property->type) && is_keyword(property->name));
		put_byte(&w, ' ');
		put(&w, property->type);
		put_byte(&w, '.');
		put(&w, property->name);
		put_byte(&w, '=');
		put_value(&w, property->value);
	}
	if (w.err != ERR_OK)
		out->len = before;
	return w.err;
}

enum err auth_iprev_format(enum auth_iprev result, struct view address, struct view name, struct buf *out)
{
	static const char *const names[AUTH_IPREV_COUNT] = { "pass", "fail", "temperror", "permerror" };
	struct auth_property property = { VIEW("policy"), VIEW("iprev"), address };
	struct auth_result iprev = { .method = VIEW("iprev"),
		.result = view_from_cstr(names[result]),
		.reason = name,
		.properties = &property,
		.property_count = 1 };
	return auth_result_format(&iprev, out);
}

/* The field */

/* What may stand between two ";" of ours. Comments are none of our results' business, so no parentheses. */
static bool is_result(struct view v)
{
	bool in_quotes = false, has_equals = false;
	for (size_t i = 0; i < v.len; i++) {
		uint8_t c = v.ptr[i];
		if (!ascii_is_printable(c))
			return false;
		if (in_quotes && c == '\\') {
			if (++i == v.len || !ascii_is_printable(v.ptr[i]))
				return false;
		} else if (c == '"') {
			in_quotes = !in_quotes;
		} else if (!in_quotes && (c == ';' || c == '(' || c == ')' || c == '\\')) {
			return false;
		}
		has_equals |= !in_quotes && c == '=';
	}
	return has_equals && !in_quotes && v.ptr[0] != ' ' && v.ptr[v.len - 1] != ' ';
}

/* Up to the next space outside quotes: folds inside them would be read differently by different readers. */
static struct view next_word(struct view v)
{
	bool in_quotes = false;
	size_t i = 0;
	for (; i < v.len && (in_quotes || v.ptr[i] != ' '); i++) {
		if (in_quotes && v.ptr[i] == '\\')
			i++;
		else if (v.ptr[i] == '"')
			in_quotes = !in_quotes;
	}
	return view_sub(v, 0, i);
}

/* RFC 5322 §2.1.1: no line may be longer than 998 bytes, and words are not broken. */
static bool words_fit(struct view rest)
{
	for (struct view word; rest.len > 0; rest = view_trim(view_from(rest, word.len))) {
		word = next_word(rest);
		if (word.len > WORD_MAX_BYTES)
			return false;
	}
	return true;
}

/* A result on lines of its own. */
static void put_result(struct writer *w, struct view result)
{
	size_t column = 0;
	put(w, VIEW(";"));
	for (struct view rest = result, word; rest.len > 0; rest = view_trim(view_from(rest, word.len))) {
		word = next_word(rest);
		if (column == 0 || column + 1 + word.len > LINE_MAX_BYTES) {
			put(w, VIEW("\r\n\t"));
			column = TAB_COLUMNS;
		} else {
			put_byte(w, ' ');
			column++;
		}
		put(w, word);
		column += word.len;
	}
}

enum err auth_results_format(struct view authserv_id, const struct view *results, size_t count, struct buf *out)
{
	size_t before = out->len;
	struct writer w = { out, ERR_OK };
	for (size_t i = 0; i < count; i++)
		if (!is_result(results[i]) || !words_fit(results[i]))
			return err_set(ERR_SYNTAX, "no result that Authentication-Results could have");
	put(&w, VIEW("Authentication-Results: "));
	put_value(&w, authserv_id);
	for (size_t i = 0; i < count; i++)
		put_result(&w, results[i]);
	put(&w, count == 0 ? VIEW("; none\r\n") : VIEW("\r\n"));
	if (w.err != ERR_OK)
		out->len = before;
	return w.err;
}
