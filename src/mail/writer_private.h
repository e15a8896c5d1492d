/* Appending many pieces to a buffer with one check at the end: the first failure sticks and stops the rest. For the files of this folder. */
#ifndef MAIL_WRITER_PRIVATE_H
#define MAIL_WRITER_PRIVATE_H

#include "base/buf.h"

struct writer {
	struct buf *out;
	size_t start; /* where it began, to go back to */
	enum err err;
};

static inline struct writer writer_begin(struct buf *out)
{
	return (struct writer){ out, out->len, ERR_OK };
}
/* The result; what was appended is taken back on failure. */
static inline enum err writer_end(struct writer *w)
{
	if (w->err != ERR_OK)
		w->out->len = w->start;
	return w->err;
}

/* Notes another function's result: write_result(w, date_format(…, w->out)). Evaluated even after a failure, which is harmless. */
static inline void write_result(struct writer *w, enum err err)
{
	if (w->err == ERR_OK)
		w->err = err;
}
static inline void write_view(struct writer *w, struct view v)
{
	if (w->err == ERR_OK)
		w->err = buf_append(w->out, v);
}
static inline void write_text(struct writer *w, const char *text)
{
	write_view(w, view_from_cstr(text));
}
static inline void write_byte(struct writer *w, uint8_t byte)
{
	if (w->err == ERR_OK)
		w->err = buf_append_byte(w->out, byte);
}
static inline void write_u64(struct writer *w, uint64_t n)
{
	if (w->err == ERR_OK)
		w->err = buf_append_u64(w->out, n);
}
static inline void write_hex(struct writer *w, const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		write_byte(w, (uint8_t) "0123456789abcdef"[bytes[i] >> 4]);
		write_byte(w, (uint8_t) "0123456789abcdef"[bytes[i] & 15]);
	}
}

#endif
