/*
 * libConfuse's own scanner expands ${VARIABLES}, silently drops bytes that it has no rule for (a bare * among them), does not
 * know comments inside lists, and counts lines wrongly behind some comments. So it never sees the file: it gets the same
 * tokens, each word as a plain quoted string, on the same lines, without comments.
 */
#include "config/config_private.h"

struct prepare {
	struct view in;
	size_t at;
	unsigned line;
	struct config_errors *errors;
	struct buf *out;
	bool ok;
	unsigned depth, opened_line; /* of open braces, and where the outermost one is */
	uint8_t last, before_last; /* tokens: '=' (and +=) ',' '{' '}' and 'w' for a word; 0 before the first */
};

static uint8_t peek(const struct prepare *p, size_t ahead)
{
	return ahead < p->in.len - p->at ? p->in.ptr[p->at + ahead] : 0;
}

/* The output is bounded by a small multiple of the input, far below a buf's bound. */
static void emit(struct prepare *p, struct view bytes)
{
	if (buf_append(p->out, bytes) != ERR_OK)
		p->ok = false;
}

static void emit_string_byte(struct prepare *p, uint8_t c)
{
	if (c == '"' || c == '\\' || c == '$')
		emit(p, VIEW("\\"));
	emit(p, view_of(&c, 1));
}

static void wrong(struct prepare *p, unsigned line, const char *sentence)
{
	p->ok = false;
	config_errors_add(p->errors, line, "%s", sentence);
}

static void note_token(struct prepare *p, uint8_t kind)
{
	if (kind == '{' && p->depth++ == 0)
		p->opened_line = p->line;
	else if (kind == '}' && p->depth > 0)
		p->depth--;
	p->before_last = p->last;
	p->last = kind;
}

/* A word that is no value is the name of a key or section. libConfuse takes "a|b" and "a=b|c" as paths to other sections, and
 * never returns from some of them: those stay outside. */
static void check_word(struct prepare *p, struct view word)
{
	bool is_value = p->last == '=' || p->last == ',' || (p->last == '{' && p->before_last == '=');
	note_token(p, 'w');
	if (is_value) {
		if (!view_is_utf8(word))
			wrong(p, p->line, "this is not UTF-8 text");
		return;
	}
	bool good = word.len > 0;
	for (size_t i = 0; i < word.len; i++)
		good = good && (ascii_is_alnum(word.ptr[i]) || view_find(VIEW("_-."), word.ptr[i]) < 3);
	if (!good) {
		p->ok = false;
		config_errors_add(p->errors, p->line,
			"`%s` can't be a name; names are made of letters, digits, `_`, `-` and `.`, values stand "
			"behind `=`",
			config_show(word).text);
	}
}

static bool ends_line(uint8_t c)
{
	return c == '\n';
}

static void skip_line_comment(struct prepare *p)
{
	while (p->at < p->in.len && !ends_line(p->in.ptr[p->at]))
		p->at++;
}

static void skip_block_comment(struct prepare *p)
{
	unsigned start = p->line;
	for (p->at += 2; p->at < p->in.len; p->at++) {
		if (peek(p, 0) == '*' && peek(p, 1) == '/') {
			p->at += 2;
			return;
		}
		if (ends_line(p->in.ptr[p->at])) {
			p->line++;
			emit(p, VIEW("\n"));
		}
	}
	wrong(p, start, "this comment has no end; write `*/` behind it");
}

/* A byte that may stand in a string; complains about others. */
static bool byte_is_fine(struct prepare *p, uint8_t c)
{
	if (c >= 0x20 && c != 0x7f)
		return true;
	if (c == '\t')
		return true;
	p->ok = false;
	config_errors_add(p->errors, p->line, "the byte 0x%02x can't stand here; write printable text", c);
	return false;
}

/* One escape of a "string"; p->at stands behind the backslash. */
static bool take_escape(struct prepare *p)
{
	uint8_t c = peek(p, 0);
	if (c != '"' && c != '\\' && c != '\'' && c != '$') {
		wrong(p, p->line, "unknown escape; in \"…\" there are only \\\" and \\\\");
		return false;
	}
	emit_string_byte(p, c);
	p->at++;
	return true;
}

static void take_string(struct prepare *p, uint8_t quote)
{
	size_t start = ++p->at;
	bool good = true;
	emit(p, VIEW("\""));
	while (p->at < p->in.len && !ends_line(p->in.ptr[p->at]) && p->in.ptr[p->at] != quote && good) {
		uint8_t c = p->in.ptr[p->at];
		if (c == '\\' && quote == '"') {
			p->at++;
			good = take_escape(p);
		} else {
			good = byte_is_fine(p, c);
			emit_string_byte(p, c);
			p->at++;
		}
	}
	emit(p, VIEW("\""));
	if (!good) {
		skip_line_comment(p);
		return;
	}
	struct view text = view_sub(p->in, start, p->at - start);
	if (p->at == p->in.len || p->in.ptr[p->at] != quote) {
		p->ok = false;
		config_errors_add(
			p->errors, p->line, "this string has no end; write %c behind it on the same line", quote);
		return;
	}
	p->at++;
	check_word(p, text);
}

static bool ends_word(const struct prepare *p)
{
	uint8_t c = peek(p, 0);
	if (c == '+')
		return peek(p, 1) == '=';
	return c <= ' ' || c == '"' || c == '\'' || c == '#' || c == '{' || c == '}' || c == '=' || c == ',' ||
		c == '(' || c == ')';
}

static void take_word(struct prepare *p)
{
	size_t start = p->at;
	emit(p, VIEW("\""));
	while (p->at < p->in.len && !ends_word(p)) {
		if (!byte_is_fine(p, p->in.ptr[p->at])) {
			skip_line_comment(p);
			return;
		}
		emit_string_byte(p, p->in.ptr[p->at++]);
	}
	emit(p, VIEW("\" "));
	struct view word = view_sub(p->in, start, p->at - start);
	if (word.len > 0 && word.ptr[word.len - 1] == ';')
		wrong(p, p->line, "no `;` is needed here; take it away");
	else
		check_word(p, word);
}

static void take_token(struct prepare *p)
{
	uint8_t c = p->in.ptr[p->at];
	if (c == '\n') {
		p->line++;
		p->at++;
		emit(p, VIEW("\n"));
	} else if (c == ' ' || c == '\t' || c == '\r') {
		p->at++;
		emit(p, VIEW(" "));
	} else if (c == '#' || (c == '/' && peek(p, 1) == '/')) {
		skip_line_comment(p);
	} else if (c == '/' && peek(p, 1) == '*') {
		skip_block_comment(p);
	} else if (c == '"' || c == '\'') {
		take_string(p, c);
	} else if (c == '{' || c == '}' || c == '=' || c == ',') {
		p->at++;
		emit(p, view_of(&c, 1));
		note_token(p, c);
	} else if (c == '+' && peek(p, 1) == '=') {
		p->at += 2;
		emit(p, VIEW("+="));
		note_token(p, '=');
	} else if (c == '(' || c == ')') {
		wrong(p, p->line, "there are no functions such as include() here; put values with ( or ) in quotes");
		skip_line_comment(p);
	} else if (c < ' ') {
		if (!byte_is_fine(p, c))
			skip_line_comment(p);
	} else {
		take_word(p);
	}
}

bool config_text_prepare(struct view text, struct config_errors *errors, struct buf *out)
{
	struct prepare p = { .in = text, .line = 1, .errors = errors, .out = out, .ok = true };
	if (view_starts_with(text, VIEW("\xef\xbb\xbf")))
		p.at = 3; /* the byte order mark that some editors write */
	while (p.at < p.in.len)
		take_token(&p);
	/* libConfuse takes the end of the file for the end of a section. */
	if (p.depth > 0)
		wrong(&p, p.opened_line, "this `{` is not closed; write a `}` at the end of the section or list");
	return p.ok;
}
