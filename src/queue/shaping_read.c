/* Lines into words, and the words of errors. */
#include "queue/shaping_read.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

void shaping_fail(struct shaping_reader *r, const char *format, ...)
{
	if (r->error_count++ >= SHAPING_ERRORS_MAX)
		return;
	char sentence[600];
	va_list args;
	va_start(args, format);
	vsnprintf(sentence, sizeof sentence, format, args);
	va_end(args);
	/* A caller's full buffer cuts the list short; that there are errors is told by the NULL. */
	enum err err = buf_append_format(r->errors, "%s:%u: %s\n", r->name, r->line, sentence);
	if (err == ERR_OK && r->error_count == SHAPING_ERRORS_MAX)
		err = buf_append_format(r->errors, "%s: there may be more errors\n", r->name);
	(void)err;
}

/* A word as it is shown in a sentence; good until the fourth call after. */
const char *shaping_show(struct shaping_reader *r, struct view word)
{
	char *text = r->shown[r->next_shown++ % 4];
	size_t n = word.len < 40 ? word.len : 40;
	for (size_t i = 0; i < n; i++)
		text[i] = ascii_is_printable(word.ptr[i]) ? (char)word.ptr[i] : '?';
	memcpy(text + n, word.len > n ? "…" : "", word.len > n ? sizeof "…" : 1);
	return text;
}

void *shaping_get(struct shaping_reader *r, size_t size)
{
	void *p = arena_alloc(&r->shaping->arena, size);
	/* The text is bounded, and so is what it becomes. */
	ASSERT(p != NULL);
	return p;
}

struct view shaping_keep(struct shaping_reader *r, struct view bytes)
{
	struct view copy = VIEW_NONE;
	enum err err = arena_dup(&r->shaping->arena, bytes, &copy);
	ASSERT(err == ERR_OK);
	return copy;
}

/* The number of edits (a letter more, less, other, or two swapped) between two short words. */
static size_t distance(struct view a, struct view b)
{
	size_t rows[3][32];
	if (a.len >= 31 || b.len >= 31)
		return SIZE_MAX;
	for (size_t i = 0; i <= a.len; i++) {
		size_t *row = rows[i % 3];
		const size_t *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
		row[0] = i;
		for (size_t j = 1; j <= b.len; j++) {
			if (i == 0) {
				row[j] = j;
				continue;
			}
			uint8_t x = ascii_lower(a.ptr[i - 1]), y = ascii_lower(b.ptr[j - 1]);
			size_t best = above[j - 1] + (x != y);
			best = above[j] + 1 < best ? above[j] + 1 : best;
			best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
			bool swapped = i > 1 && j > 1 && x == ascii_lower(b.ptr[j - 2]) &&
				ascii_lower(a.ptr[i - 2]) == y;
			if (swapped && above2[j - 2] + 1 < best)
				best = above2[j - 2] + 1;
			row[j] = best;
		}
	}
	return rows[a.len % 3][b.len];
}

static const char *nearest(struct view word, size_t count, const char *const *names)
{
	const char *best = NULL;
	size_t best_distance = word.len / 3 + 1;
	for (size_t i = 0; i < count; i++) {
		size_t d = distance(word, view_from_cstr(names[i]));
		if (d <= best_distance && (best == NULL || d < best_distance)) {
			best = names[i];
			best_distance = d;
		}
	}
	return best;
}

const char *shaping_did_you_mean(struct shaping_reader *r, struct view word, size_t count, const char *const *names)
{
	const char *near = nearest(word, count, names);
	if (near == NULL)
		return "";
	snprintf(r->near, sizeof r->near, ", did you mean `%s`?", near);
	return r->near;
}

/* A quoted token, from behind its first quote. False: it has no end, or something else is wrong. */
static bool read_quoted(struct shaping_reader *r, struct view line, size_t *at)
{
	/* What was unescaped before on this line is shorter than the line up to here. */
	uint8_t *text = r->unescaped + *at;
	size_t len = 0;
	for (; *at < line.len && line.ptr[*at] != '"'; (*at)++) {
		if (line.ptr[*at] == '\\') {
			++*at;
			if (*at == line.len || (line.ptr[*at] != '"' && line.ptr[*at] != '\\')) {
				shaping_fail(r, "behind a backslash only \\\\ or \\\" may stand");
				return false;
			}
		}
		/* Any blank stands for any number of blanks. */
		bool blank = line.ptr[*at] == ' ' || line.ptr[*at] == '\t';
		if (!blank)
			text[len++] = line.ptr[*at];
		else if (len > 0 && text[len - 1] != ' ')
			text[len++] = ' ';
	}
	if (*at == line.len) {
		shaping_fail(r, "the closing quote (\") is missing");
		return false;
	}
	++*at;
	while (len > 0 && text[len - 1] == ' ')
		len--;
	if (len == 0) {
		shaping_fail(r, "a quoted word is empty, it would match everything: leave it out");
		return false;
	}
	r->tokens[r->count++] = (struct shaping_token){ view_of(text, len), true };
	return true;
}

/* Cuts a line into tokens, up to its comment. */
bool shaping_read_tokens(struct shaping_reader *r, struct view line)
{
	size_t at = 0;
	r->count = 0;
	while (at < line.len && line.ptr[at] != '#') {
		if (line.ptr[at] == ' ' || line.ptr[at] == '\t') {
			at++;
			continue;
		}
		if (r->count == SHAPING_TOKENS_MAX) {
			shaping_fail(r, "more than %u words on one line: write several lines", SHAPING_TOKENS_MAX);
			return false;
		}
		if (line.ptr[at] == '"') {
			at++;
			if (!read_quoted(r, line, &at))
				return false;
			continue;
		}
		size_t from = at;
		while (at < line.len && line.ptr[at] != ' ' && line.ptr[at] != '\t' && line.ptr[at] != '"' &&
			line.ptr[at] != '#')
			at++;
		r->tokens[r->count++] = (struct shaping_token){ view_sub(line, from, at - from), false };
	}
	r->rule = view_trim(view_sub(line, 0, at));
	return true;
}

static const struct {
	const char *name;
	uint32_t ms;
} units[] = { { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 } };

uint32_t shaping_unit_ms(struct view name)
{
	for (size_t i = 0; i < COUNT(units); i++)
		if (view_eq_nocase(name, view_from_cstr(units[i].name)))
			return units[i].ms;
	return 0;
}
