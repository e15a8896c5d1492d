/*
 * How SMTP cuts the stream of bytes: command lines, message data up to CRLF.CRLF, and chunks of a declared size. Framers hold what
 * is incomplete and report line ends as they are; what to think of a bare CR or LF is for the engine above. Pure.
 */
#ifndef SMTP_FRAMER_H
#define SMTP_FRAMER_H

#include "base/view.h"

/* ---- Command lines ---- */

enum smtp_line_kind {
	SMTP_LINE_MORE, /* all bytes were taken, the line goes on */
	SMTP_LINE_COMPLETE, /* a line that ended with CRLF */
	SMTP_LINE_TOO_LONG, /* the same, but longer than `max_bytes`: its bytes are gone */
	SMTP_LINE_BARE_LF, /* a line that ended with LF alone */
};

/* Zero-initialised it is empty. Memory is held only while a partial line is. */
struct smtp_line_framer {
	uint8_t *partial;
	size_t partial_len, partial_cap;
	bool too_long; /* the bytes of this line so far were dropped */
	bool after_cr; /* the last byte seen was CR */
};

/* Takes bytes up to the end of one line. max_bytes counts the CRLF (RFC 5321 §4.5.3.1.4) and must be the same for all calls of one
 * line. *ret_line (set with COMPLETE): without CRLF, in `in` or in the framer; valid until smtp_line_framer_clear(), which is to be
 * called after each complete line. */
enum smtp_line_kind smtp_line_framer_feed(
	struct smtp_line_framer *framer, struct view in, size_t max_bytes, struct view *ret_line, size_t *ret_used);
/* Forgets the line; wipes and frees the memory, for it may have held a password. */
void smtp_line_framer_clear(struct smtp_line_framer *framer);

/* ---- Message data ---- */

enum smtp_data_kind {
	SMTP_DATA_MORE, /* all bytes were taken, nothing to report */
	SMTP_DATA_BYTES, /* a piece of the message, CRLF line ends only */
	SMTP_DATA_BARE_CR, /* a CR without LF stands here */
	SMTP_DATA_BARE_LF, /* a LF without CR stands here */
	SMTP_DATA_NUL,
	SMTP_DATA_END, /* CRLF.CRLF (RFC 5321 §4.1.1.4): the message is complete */
};

enum smtp_data_state {
	SMTP_DATA_AT_LINE_START, /* at the beginning, or behind a real CRLF: only here does a dot mean something */
	SMTP_DATA_IN_LINE,
	SMTP_DATA_AFTER_CR, /* a CR is held */
	SMTP_DATA_AFTER_DOT, /* a dot at the start of a line is held */
	SMTP_DATA_AFTER_DOT_CR, /* the same, and a CR behind it */
};

/* Zero-initialised it stands before the first byte. */
struct smtp_data_framer {
	enum smtp_data_state state;
	bool dots; /* DATA: dots are removed and CRLF.CRLF ends it; BDAT: a dot is a byte like any other */
};

/* Takes bytes up to the next thing to report. A piece is in `in` as far as that can be, else static. Nothing is copied. */
enum smtp_data_kind smtp_data_framer_feed(
	struct smtp_data_framer *framer, struct view in, struct view *ret_piece, size_t *ret_used);
/* The bytes are over without an end mark (BDAT): true if a CR is held, which is then a bare one. */
static inline bool smtp_data_framer_holds_cr(const struct smtp_data_framer *framer)
{
	return framer->state == SMTP_DATA_AFTER_CR;
}

/* ---- Chunks (RFC 3030) ---- */

struct smtp_chunk_framer {
	uint64_t left_bytes;
	bool last;
};

/* The part of `in` that belongs to the chunk. */
static inline struct view smtp_chunk_framer_peek(const struct smtp_chunk_framer *framer, struct view in)
{
	return framer->left_bytes < in.len ? view_sub(in, 0, (size_t)framer->left_bytes) : in;
}
static inline void smtp_chunk_framer_take(struct smtp_chunk_framer *framer, size_t bytes)
{
	framer->left_bytes -= bytes;
}

#endif
