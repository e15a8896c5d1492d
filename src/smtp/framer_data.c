#include "smtp/framer.h"

/*
 * The scan runs from line end to line end with memchr(), which is many bytes per cycle; a piece goes over as many lines as there
 * are, and breaks only where a byte of the stream is no byte of the message (a stuffed dot, the end mark) or needs a report.
 */

#define WINDOW_BYTES 1024u

/* Takes the first byte when it is to be held or to be left out, or tells what it means behind what is held. */
struct step {
	enum smtp_data_kind kind;
	bool found; /* kind is to be reported */
	size_t used;
};

/* What is held is resolved by the byte behind it. */
static struct step resolve_held(struct smtp_data_framer *framer, uint8_t next, struct view *ret_piece)
{
	switch (framer->state) {
	case SMTP_DATA_AFTER_CR:
		if (next == '\n') {
			framer->state = SMTP_DATA_AT_LINE_START;
			*ret_piece = VIEW("\r\n");
			return (struct step){ SMTP_DATA_BYTES, true, 1 };
		}
		framer->state = SMTP_DATA_IN_LINE;
		return (struct step){ SMTP_DATA_BARE_CR, true, 0 };
	case SMTP_DATA_AFTER_DOT:
		/* RFC 5321 §4.5.2: a dot with anything behind it is taken away, even before a second dot. */
		framer->state = next == '\r' ? SMTP_DATA_AFTER_DOT_CR : SMTP_DATA_IN_LINE;
		return (struct step){ SMTP_DATA_MORE, false, next == '\r' ? 1 : 0 };
	case SMTP_DATA_AFTER_DOT_CR:
		if (next == '\n') {
			framer->state = SMTP_DATA_AT_LINE_START;
			return (struct step){ SMTP_DATA_END, true, 1 };
		}
		framer->state = SMTP_DATA_IN_LINE;
		return (struct step){ SMTP_DATA_BARE_CR, true, 0 };
	case SMTP_DATA_AT_LINE_START:
	case SMTP_DATA_IN_LINE:
		break;
	}
	return (struct step){ SMTP_DATA_MORE, false, 0 };
}

/* Length of the plain message bytes at the front: whole lines, and then the part of a line before something that is not plain. Moves
 * the state along. Each look goes over a bounded window, else a flood of odd bytes would make every one of them cost a look over all
 * the input behind it. */
static size_t scan(struct smtp_data_framer *framer, struct view in)
{
	size_t at = 0;
	while (at < in.len) {
		if (framer->state == SMTP_DATA_AT_LINE_START && framer->dots && in.ptr[at] == '.')
			break;
		struct view line = view_sub(in, at, WINDOW_BYTES);
		line.len = view_find(line, '\n');
		size_t cr = view_find(line, '\r');
		size_t nul = view_find(view_sub(line, 0, cr), '\0');
		size_t behind_cr = at + cr + 1;
		if (nul == cr && cr + 1 == line.len && behind_cr < in.len && in.ptr[behind_cr] == '\n') {
			framer->state = SMTP_DATA_AT_LINE_START;
			at = behind_cr + 1;
			continue;
		}
		size_t plain = nul < cr ? nul : cr;
		at += plain;
		if (plain > 0)
			framer->state = SMTP_DATA_IN_LINE;
		if (plain < WINDOW_BYTES)
			break;
	}
	return at;
}

/* The first byte is none of the message's plain ones. */
static struct step take_special(struct smtp_data_framer *framer, uint8_t byte)
{
	switch (byte) {
	case '\r':
		framer->state = SMTP_DATA_AFTER_CR;
		return (struct step){ SMTP_DATA_MORE, false, 1 };
	case '\n':
		framer->state = SMTP_DATA_IN_LINE;
		return (struct step){ SMTP_DATA_BARE_LF, true, 1 };
	case '\0':
		framer->state = SMTP_DATA_IN_LINE;
		return (struct step){ SMTP_DATA_NUL, true, 1 };
	default:
		ASSERT(byte == '.');
		framer->state = SMTP_DATA_AFTER_DOT;
		return (struct step){ SMTP_DATA_MORE, false, 1 };
	}
}

enum smtp_data_kind smtp_data_framer_feed(
	struct smtp_data_framer *framer, struct view in, struct view *ret_piece, size_t *ret_used)
{
	size_t at = 0;
	while (at < in.len) {
		struct step step;
		if (framer->state >= SMTP_DATA_AFTER_CR) {
			step = resolve_held(framer, in.ptr[at], ret_piece);
		} else {
			size_t plain = scan(framer, view_from(in, at));
			if (plain > 0) {
				*ret_piece = view_sub(in, at, plain);
				*ret_used = at + plain;
				return SMTP_DATA_BYTES;
			}
			step = take_special(framer, in.ptr[at]);
		}
		at += step.used;
		if (step.found) {
			*ret_used = at;
			return step.kind;
		}
	}
	*ret_used = at;
	return SMTP_DATA_MORE;
}
