#include "base/buf.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void buf_init(struct buf *buf, size_t max_bytes)
{
	*buf = (struct buf){ .max_bytes = max_bytes };
}

void buf_clear(struct buf *buf)
{
	mem_free(buf->ptr);
	*buf = (struct buf){ .max_bytes = buf->max_bytes };
}

enum err buf_reserve(struct buf *buf, size_t more)
{
	size_t max = buf->max_bytes > 0 ? buf->max_bytes : BUF_DEFAULT_MAX_BYTES;
	if (more > max - buf->len)
		return ERR_LIMIT;
	size_t need = buf->len + more;
	if (need <= buf->cap)
		return ERR_OK;
	size_t cap = buf->cap > 0 ? buf->cap : 64;
	while (cap < need)
		cap += cap / 2 + 64;
	if (cap > max)
		cap = max;
	buf->ptr = mem_resize(buf->ptr, cap);
	buf->cap = cap;
	return ERR_OK;
}

enum err buf_append(struct buf *buf, struct view bytes)
{
	if (bytes.len == 0)
		return ERR_OK;
	enum err err = buf_reserve(buf, bytes.len);
	if (err != ERR_OK)
		return err;
	memcpy(buf->ptr + buf->len, bytes.ptr, bytes.len);
	buf->len += bytes.len;
	return ERR_OK;
}

enum err buf_append_byte(struct buf *buf, uint8_t byte)
{
	return buf_append(buf, view_of(&byte, 1));
}

enum err buf_append_cstr(struct buf *buf, const char *s)
{
	return buf_append(buf, view_from_cstr(s));
}

enum err buf_append_u64(struct buf *buf, uint64_t n)
{
	uint8_t digits[20];
	size_t at = sizeof digits;
	do {
		digits[--at] = (uint8_t)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	return buf_append(buf, view_of(digits + at, sizeof digits - at));
}

enum err buf_append_format(struct buf *buf, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	va_list again;
	va_copy(again, args);
	char small[256];
	int n = vsnprintf(small, sizeof small, format, args);
	va_end(args);
	enum err err = ERR_OK;
	ASSERT(n >= 0);
	if ((size_t)n < sizeof small) {
		err = buf_append(buf, view_of(small, (size_t)n));
	} else {
		char *large = mem_alloc((size_t)n + 1);
		vsnprintf(large, (size_t)n + 1, format, again);
		err = buf_append(buf, view_of(large, (size_t)n));
		mem_free(large);
	}
	va_end(again);
	return err;
}

enum err buf_append_escaped(struct buf *buf, struct view bytes, size_t max)
{
	static const char hex[] = "0123456789abcdef";
	struct view shown = view_sub(bytes, 0, max);
	size_t before = buf->len;
	enum err err = ERR_OK;
	for (size_t i = 0; i < shown.len && err == ERR_OK; i++) {
		uint8_t c = shown.ptr[i];
		if (ascii_is_printable(c) && c != '\\' && c != '"') {
			err = buf_append_byte(buf, c);
		} else {
			uint8_t code[4] = { '\\', 'x', (uint8_t)hex[c >> 4], (uint8_t)hex[c & 15] };
			err = buf_append(buf, view_of(code, sizeof code));
		}
	}
	if (err == ERR_OK && shown.len < bytes.len)
		err = buf_append_cstr(buf, "...");
	if (err != ERR_OK)
		buf->len = before;
	return err;
}

void buf_consume(struct buf *buf, size_t n)
{
	ASSERT(n <= buf->len);
	buf->len -= n;
	if (buf->len > 0 && n > 0)
		memmove(buf->ptr, buf->ptr + n, buf->len);
}

uint8_t *buf_take(struct buf *buf, size_t *ret_len)
{
	uint8_t *ptr = buf->ptr;
	if (ret_len != NULL)
		*ret_len = buf->len;
	*buf = (struct buf){ .max_bytes = buf->max_bytes };
	return ptr;
}

const char *buf_cstr(struct buf *buf)
{
	if (buf_reserve(buf, 1) != ERR_OK)
		return "";
	buf->ptr[buf->len] = '\0';
	return (const char *)buf->ptr;
}
