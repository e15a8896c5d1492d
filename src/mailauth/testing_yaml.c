#include "mailauth/testing_yaml.h"

#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

struct line {
	size_t indent;
	struct view text; /* behind the indent; empty for a blank line */
	size_t number;
};

struct reader {
	struct arena *arena;
	struct line *lines;
	size_t count, at;
};

static void broken(const struct reader *reader, const char *what)
{
	fprintf(stderr, "yaml: line %zu: %s\n", reader->at < reader->count ? reader->lines[reader->at].number : 0,
		what);
	abort();
}

static struct yaml *new_node(struct reader *reader, enum yaml_kind kind)
{
	struct yaml *node = arena_alloc(reader->arena, sizeof *node);
	if (node == NULL)
		broken(reader, "no memory");
	node->kind = kind;
	node->line = reader->at < reader->count ? reader->lines[reader->at].number : 0;
	return node;
}

static struct view keep(struct reader *reader, const struct buf *buf)
{
	struct view kept;
	if (arena_dup(reader->arena, buf_view(buf), &kept) != ERR_OK)
		broken(reader, "no memory");
	return kept;
}

static void put(struct buf *out, struct view bytes)
{
	if (buf_append(out, bytes) != ERR_OK)
		abort();
}

static void put_byte(struct buf *out, uint8_t byte)
{
	put(out, view_of(&byte, 1));
}

/* Lines that say something */

static bool is_silent(const struct line *line)
{
	return line->text.len == 0 || line->text.ptr[0] == '#';
}

/* The line at hand, comments and blank ones passed over; NULL at the end. */
static struct line *current(struct reader *reader)
{
	while (reader->at < reader->count && is_silent(&reader->lines[reader->at]))
		reader->at++;
	return reader->at < reader->count ? &reader->lines[reader->at] : NULL;
}

/* Scalars */

/* Index behind the closing quote, or 0 if it is not there. */
static size_t quoted_length(struct view text)
{
	uint8_t quote = text.ptr[0];
	for (size_t i = 1; i < text.len; i++) {
		if (quote == '"' && text.ptr[i] == '\\')
			i++;
		else if (text.ptr[i] == quote && quote == '\'' && i + 1 < text.len && text.ptr[i + 1] == '\'')
			i++;
		else if (text.ptr[i] == quote)
			return i + 1;
	}
	return 0;
}

static size_t put_escape(struct reader *reader, struct view rest, struct buf *out)
{
	static const char from[] = "0abtnvfre \"/\\", to[] = "\0\a\b\t\n\v\f\r\x1b \"/\\";
	if (rest.len > 2 && rest.ptr[0] == 'x') {
		put_byte(out, (uint8_t)(ascii_hex_value(rest.ptr[1]) << 4 | ascii_hex_value(rest.ptr[2])));
		return 3;
	}
	size_t i = rest.len > 0 ? view_find(view_from_cstr(from), rest.ptr[0]) : sizeof from - 1;
	if (i == sizeof from - 1)
		broken(reader, "an unknown escape");
	put_byte(out, (uint8_t)to[i]);
	return 1;
}

static struct view unquote(struct reader *reader, struct view quoted)
{
	struct buf out = { 0 };
	uint8_t quote = quoted.ptr[0];
	struct view inner = view_sub(quoted, 1, quoted.len - 2);
	for (size_t i = 0; i < inner.len; i++) {
		if (quote == '"' && inner.ptr[i] == '\\')
			i += put_escape(reader, view_from(inner, i + 1), &out);
		else
			put_byte(&out, inner.ptr[i]);
		if (quote == '\'' && inner.ptr[i] == '\'')
			i++;
	}
	struct view kept = keep(reader, &out);
	buf_clear(&out);
	return kept;
}

/* A plain scalar without the comment behind it. */
static struct view plain(struct view text)
{
	for (size_t i = 1; i < text.len; i++)
		if (text.ptr[i] == '#' && text.ptr[i - 1] == ' ')
			return view_trim(view_sub(text, 0, i));
	return view_trim(text);
}

static void add(struct yaml ***end, struct yaml *node)
{
	**end = node;
	*end = &node->next;
}

static struct yaml *parse_flow_list(struct reader *reader, struct view text)
{
	struct yaml *list = new_node(reader, YAML_LIST), **end = &list->first;
	struct view rest = view_trim(view_from(text, 1));
	while (rest.len > 0 && rest.ptr[0] != ']') {
		struct yaml *item = new_node(reader, YAML_SCALAR);
		bool is_quoted = rest.ptr[0] == '"' || rest.ptr[0] == '\'';
		size_t len = is_quoted ? quoted_length(rest) : 0;
		while (!is_quoted && len < rest.len && rest.ptr[len] != ',' && rest.ptr[len] != ']')
			len++;
		if (len == 0)
			broken(reader, "an item is missing");
		item->text = is_quoted ? unquote(reader, view_sub(rest, 0, len)) : view_trim(view_sub(rest, 0, len));
		add(&end, item);
		rest = view_trim(view_from(rest, len));
		if (rest.len > 0 && rest.ptr[0] == ',')
			rest = view_trim(view_from(rest, 1));
	}
	if (rest.len == 0)
		broken(reader, "\"]\" is missing");
	return list;
}

static bool is_complete(struct view text)
{
	uint8_t first = text.ptr[0];
	if (first == '"' || first == '\'')
		return quoted_length(text) > 0;
	return first != '[' || view_find(text, ']') < text.len;
}

/* A value that begins on the line at hand and goes on in those that are indented deeper than `indent` (of the
 * mapping, or -1). */
static struct yaml *parse_inline(struct reader *reader, struct view text, ptrdiff_t indent)
{
	struct buf joined = { 0 };
	bool is_plain = text.ptr[0] != '"' && text.ptr[0] != '\'' && text.ptr[0] != '[';
	put(&joined, is_plain ? plain(text) : text);
	reader->at++;
	while (is_plain || !is_complete(buf_view(&joined))) {
		const struct line *line = reader->at < reader->count ? &reader->lines[reader->at] : NULL;
		if (line == NULL || is_silent(line) || (ptrdiff_t)line->indent <= indent)
			break;
		put_byte(&joined, ' ');
		put(&joined, is_plain ? plain(line->text) : line->text);
		reader->at++;
	}
	text = keep(reader, &joined);
	buf_clear(&joined);
	if (!is_complete(text))
		broken(reader, "a value has no end");
	if (text.ptr[0] == '[')
		return parse_flow_list(reader, text);
	struct yaml *scalar = new_node(reader, YAML_SCALAR);
	scalar->text = is_plain ? text : unquote(reader, view_sub(text, 0, quoted_length(text)));
	return scalar;
}

/* What stands between two lines of a block scalar, `blank` lines apart. */
static void put_break(struct buf *out, bool is_folded, size_t blank)
{
	if (is_folded && blank == 0)
		put_byte(out, ' ');
	if (!is_folded)
		put_byte(out, '\n');
	for (; blank > 0; blank--)
		put_byte(out, '\n');
}

/* Behind "|" and ">", maybe with "-": the lines that are indented deeper than `indent`. */
static struct yaml *parse_block_scalar(struct reader *reader, struct view mark, ptrdiff_t indent)
{
	struct yaml *scalar = new_node(reader, YAML_SCALAR);
	struct buf out = { 0 };
	bool strips = view_find(mark, '-') < mark.len;
	size_t base = SIZE_MAX, blank = 0;
	if (mark.len > (strips ? 2u : 1u))
		broken(reader, "an unknown block scalar");
	for (reader->at++; reader->at < reader->count; reader->at++) {
		const struct line *line = &reader->lines[reader->at];
		if (line->text.len == 0 && line->indent <= base) {
			blank++;
			continue;
		}
		if ((ptrdiff_t)line->indent <= indent)
			break;
		if (base != SIZE_MAX)
			put_break(&out, mark.ptr[0] == '>', blank);
		for (; base == SIZE_MAX && blank > 0; blank--)
			put_byte(&out, '\n');
		base = base == SIZE_MAX ? line->indent : base;
		for (size_t i = base; i < line->indent; i++)
			put_byte(&out, ' ');
		put(&out, line->text);
		blank = 0;
	}
	if (!strips && base != SIZE_MAX)
		put_byte(&out, '\n');
	scalar->text = keep(reader, &out);
	buf_clear(&out);
	return scalar;
}

/* Blocks */

/* The length of the key at the front of a line, up to its ":"; 0 if there is none. */
static size_t key_length(struct view text)
{
	size_t i = 0;
	if (text.len > 0 && (text.ptr[0] == '"' || text.ptr[0] == '\''))
		i = quoted_length(text);
	else if (text.len > 0 && text.ptr[0] == '[')
		return 0;
	for (; i < text.len; i++)
		if (text.ptr[i] == ':' && (i + 1 == text.len || text.ptr[i + 1] == ' '))
			return i;
	return 0;
}

static bool is_item(struct view text)
{
	return text.len > 0 && text.ptr[0] == '-' && (text.len == 1 || text.ptr[1] == ' ');
}

static struct yaml *parse_block(struct reader *reader, size_t indent);

static struct yaml *parse_value(struct reader *reader, struct view rest, size_t indent)
{
	if (rest.len > 0 && (rest.ptr[0] == '|' || rest.ptr[0] == '>'))
		return parse_block_scalar(reader, rest, (ptrdiff_t)indent);
	if (rest.len > 0 && rest.ptr[0] != '#')
		return parse_inline(reader, rest, (ptrdiff_t)indent);
	reader->at++;
	const struct line *next = current(reader);
	if (next != NULL && (next->indent > indent || (next->indent == indent && is_item(next->text))))
		return parse_block(reader, next->indent);
	return new_node(reader, YAML_SCALAR);
}

static struct yaml *parse_map(struct reader *reader, size_t indent)
{
	struct yaml *map = new_node(reader, YAML_MAP), **end = &map->first;
	struct line *line;
	while ((line = current(reader)) != NULL && line->indent == indent && !is_item(line->text)) {
		size_t len = key_length(line->text);
		struct view key = view_sub(line->text, 0, len);
		if (len == 0)
			broken(reader, "a key is missing");
		if (key.ptr[0] == '"' || key.ptr[0] == '\'')
			key = unquote(reader, key);
		struct yaml *value = parse_value(reader, view_trim(view_from(line->text, len + 1)), indent);
		value->key = key;
		add(&end, value);
	}
	return map;
}

static struct yaml *parse_list(struct reader *reader, size_t indent)
{
	struct yaml *list = new_node(reader, YAML_LIST), **end = &list->first;
	struct line *line;
	while ((line = current(reader)) != NULL && line->indent == indent && is_item(line->text)) {
		struct view rest = view_trim(view_from(line->text, 1));
		size_t inner = indent + (size_t)(rest.ptr - line->text.ptr);
		if (rest.len > 0 && key_length(rest) > 0) {
			/* A mapping whose first line stands behind the dash. */
			line->text = rest;
			line->indent = inner;
			add(&end, parse_map(reader, inner));
		} else {
			add(&end, parse_value(reader, rest, indent));
		}
	}
	return list;
}

static struct yaml *parse_block(struct reader *reader, size_t indent)
{
	struct view text = reader->lines[reader->at].text;
	if (is_item(text))
		return parse_list(reader, indent);
	if (key_length(text) > 0)
		return parse_map(reader, indent);
	return parse_inline(reader, text, (ptrdiff_t)indent - 1);
}

static struct view without_line_end(struct view line)
{
	return line.len > 0 && line.ptr[line.len - 1] == '\r' ? view_sub(line, 0, line.len - 1) : line;
}

struct yaml *yaml_parse(struct view text, struct arena *arena)
{
	struct reader reader = { .arena = arena };
	struct yaml *documents = NULL, **end = &documents;
	size_t count = 1;
	for (size_t i = 0; i < text.len; i++)
		count += text.ptr[i] == '\n';
	reader.lines = arena_alloc(arena, count * sizeof *reader.lines);
	if (reader.lines == NULL)
		broken(&reader, "no memory");
	struct view whole;
	for (size_t number = 1; text.len > 0 || number == 1; number++) {
		bool is_mark = false;
		if (view_split(&text, '\n', &whole)) {
			whole = without_line_end(whole);
			is_mark = view_eq(view_trim(whole), VIEW("---"));
		}
		if (!is_mark) {
			struct line *line = &reader.lines[reader.count++];
			while (line->indent < whole.len && whole.ptr[line->indent] == ' ')
				line->indent++;
			line->text = view_from(whole, line->indent);
			line->number = number;
		}
		if ((is_mark || text.len == 0) && current(&reader) != NULL)
			add(&end, parse_block(&reader, reader.lines[reader.at].indent));
		if ((is_mark || text.len == 0) && current(&reader) != NULL)
			broken(&reader, "it is indented differently");
	}
	return documents;
}

const struct yaml *yaml_get(const struct yaml *map, const char *key)
{
	if (map == NULL || map->kind != YAML_MAP)
		return NULL;
	for (const struct yaml *member = map->first; member != NULL; member = member->next)
		if (view_eq(member->key, view_from_cstr(key)))
			return member;
	return NULL;
}

struct view yaml_text(const struct yaml *map, const char *key)
{
	const struct yaml *member = yaml_get(map, key);
	return member != NULL ? member->text : VIEW_NONE;
}
