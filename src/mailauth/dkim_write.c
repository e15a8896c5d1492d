#include "mailauth/dkim_private.h"

#include <string.h>

enum { COLUMNS_MAX = 78 };

enum err dkim_write_word(struct dkim_writer *f, struct view glue, struct view word)
{
	bool fits = f->out->len - f->line_start + glue.len + word.len <= COLUMNS_MAX;
	enum err err = buf_append(f->out, fits ? glue : VIEW("\r\n\t"));
	if (!fits)
		f->line_start = f->out->len - 1;
	return err == ERR_OK ? buf_append(f->out, word) : err;
}

enum err dkim_write_breakable(struct dkim_writer *f, struct view value)
{
	enum err err = ERR_OK;
	while (err == ERR_OK && value.len > 0) {
		size_t used = f->out->len - f->line_start;
		struct view part = view_sub(value, 0, used < COLUMNS_MAX ? COLUMNS_MAX - used : COLUMNS_MAX - 1);
		err = dkim_write_word(f, VIEW_NONE, part);
		value = view_from(value, part.len);
	}
	return err;
}

enum err dkim_write_tag(struct dkim_writer *f, const char *name, struct view value)
{
	uint8_t word[300];
	size_t name_len = strlen(name), len = name_len + 1 + value.len + 1;
	/* Names of at most 253 bytes, digits, and digests. */
	ASSERT(len <= sizeof word);
	memcpy(word, name, name_len);
	word[name_len] = '=';
	memcpy(word + name_len + 1, value.ptr, value.len);
	word[len - 1] = ';';
	return dkim_write_word(f, VIEW(" "), view_of(word, len));
}

enum err dkim_write_number(struct dkim_writer *f, const char *name, uint64_t number)
{
	uint8_t digits[20];
	size_t at = sizeof digits;
	do
		digits[--at] = (uint8_t)('0' + number % 10);
	while ((number /= 10) > 0);
	return dkim_write_tag(f, name, view_of(digits + at, sizeof digits - at));
}
