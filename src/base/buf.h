/*
 * A growing byte buffer with an upper bound. Zero-initialised (`struct buf b = { 0 };`) it is empty and bounded by
 * BUF_DEFAULT_MAX_BYTES; an append that would pass the bound changes nothing and returns ERR_LIMIT.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/view.h"

#define BUF_DEFAULT_MAX_BYTES (64u * 1024 * 1024)

struct buf {
	uint8_t *ptr;
	size_t len; /* bytes in use */
	size_t cap;
	size_t max_bytes; /* 0 means BUF_DEFAULT_MAX_BYTES */
};

void buf_init(struct buf *buf, size_t max_bytes);
/* Frees the memory; the buffer is empty and usable again with the same bound. */
void buf_clear(struct buf *buf);
/* Forgets the content, keeps the memory. */
static inline void buf_reset(struct buf *buf)
{
	buf->len = 0;
}

static inline struct view buf_view(const struct buf *buf)
{
	return (struct view){ buf->ptr, buf->len };
}

/* Room for `more` further bytes. */
enum err buf_reserve(struct buf *buf, size_t more) MUST_CHECK;
enum err buf_append(struct buf *buf, struct view bytes) MUST_CHECK;
enum err buf_append_byte(struct buf *buf, uint8_t byte) MUST_CHECK;
enum err buf_append_cstr(struct buf *buf, const char *s) MUST_CHECK;
enum err buf_append_u64(struct buf *buf, uint64_t n) MUST_CHECK;
/* printf into the buffer. */
enum err buf_append_format(struct buf *buf, const char *format, ...) MUST_CHECK PRINTF_LIKE(2, 3);
/* Peer text for a log line or a reply: printable ASCII as it is, backslash and the quote `"` and the rest as \xNN;
 * cut to `max` source bytes with "..." behind. */
enum err buf_append_escaped(struct buf *buf, struct view bytes, size_t max) MUST_CHECK;
/* Removes n bytes from the front (n ≤ len). */
void buf_consume(struct buf *buf, size_t n);
/* Hands the memory to the caller (mem_free()) and leaves the buffer empty. *ret_len may be NULL. */
uint8_t *buf_take(struct buf *buf, size_t *ret_len);
/* The content as a C string inside the buffer (a NUL is kept behind the content); "" if empty. */
const char *buf_cstr(struct buf *buf);

#endif
