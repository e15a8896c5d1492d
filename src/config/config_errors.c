#include "config/config_private.h"

#include <stdarg.h>

#define ERROR_MAX_BYTES 1024u

void config_errors_init(struct config_errors *errors, const char *name)
{
	*errors = (struct config_errors){ .name = name };
}

void config_errors_clear(struct config_errors *errors)
{
	buf_clear(&errors->text);
	errors->count = 0;
}

void config_errors_add(struct config_errors *errors, unsigned line, const char *format, ...)
{
	if (errors->count == CONFIG_ERRORS_MAX) {
		errors->more = true;
		return;
	}
	char sentence[ERROR_MAX_BYTES];
	va_list args;
	va_start(args, format);
	int len = vsnprintf(sentence, sizeof sentence, format, args);
	va_end(args);
	ASSERT(len >= 0);
	size_t shown = (size_t)len < sizeof sentence ? (size_t)len : sizeof sentence - 1;
	size_t from = errors->text.len;
	if (buf_append(&errors->text, view_of(sentence, shown)) == ERR_OK)
		errors->list[errors->count++] = (struct config_error){ .line = line, .from = from, .len = shown };
}

void config_errors_cut(struct config_errors *errors, size_t count)
{
	if (count >= errors->count)
		return;
	errors->text.len = errors->list[count].from;
	errors->count = count;
	errors->more = false;
}

static int by_line(const void *a, const void *b)
{
	const struct config_error *x = a, *y = b;
	/* What concerns the file as a whole comes last. */
	unsigned line_x = x->line - 1, line_y = y->line - 1;
	if (line_x != line_y)
		return line_x < line_y ? -1 : 1;
	return x->from < y->from ? -1 : x->from > y->from;
}

void config_errors_write(struct config_errors *errors, struct buf *out)
{
	qsort(errors->list, errors->count, sizeof errors->list[0], by_line);
	/* A caller's full buffer cuts the list short; that there are errors is told by the NULL. */
	enum err err = ERR_OK;
	for (size_t i = 0; i < errors->count && err == ERR_OK; i++) {
		const struct config_error *e = &errors->list[i];
		struct view sentence = view_sub(buf_view(&errors->text), e->from, e->len);
		err = e->line > 0 ? buf_append_format(out, "%s:%u: %.*s\n", errors->name, e->line, VIEW_ARG(sentence))
				  : buf_append_format(out, "%s: %.*s\n", errors->name, VIEW_ARG(sentence));
	}
	if (errors->more && err == ERR_OK)
		err = buf_append_format(out, "%s: there are more errors\n", errors->name);
	(void)err;
}

struct config_shown config_show(struct view text)
{
	struct config_shown shown = { { 0 } };
	struct buf out;
	buf_init(&out, sizeof shown.text - 1);
	/* Each byte may become four, and "..." follows. */
	size_t max = text.len;
	while (buf_append_escaped(&out, text, max) != ERR_OK)
		max = max > 90 ? 90 : max - 1;
	for (size_t i = 0; i < out.len; i++)
		shown.text[i] = (char)out.ptr[i];
	buf_clear(&out);
	return shown;
}
