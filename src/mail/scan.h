/*
 * What a message is made of, as far as its transport must know (RFC 5321 §4.5.3.1.6, RFC 6152, RFC 3030): one pass over the bytes,
 * in pieces as they come or all at once. Pure.
 */
#ifndef MAIL_SCAN_H
#define MAIL_SCAN_H

#include "base/view.h"

#define MAIL_LINE_MAX_BYTES 998u /* without CRLF: RFC 5322 §2.1.1 */

struct mail_scan {
	bool has_8bit_header, has_8bit_body;
	bool has_nul, has_bare_cr, has_bare_lf;
	uint64_t line_max_bytes; /* the longest line without its end; a lone LF ends a line too */
	uint64_t header_bytes; /* up to and with the empty line; all bytes so far while that was not seen */
	uint64_t total_bytes;
	/* Private. */
	uint64_t line_bytes;
	uint8_t last;
	bool in_body;
};

/* Starts from a zeroed struct. The facts hold for what was fed; mail_scan_end() adds what only the end can tell. */
void mail_scan_feed(struct mail_scan *scan, struct view bytes);
/* A CR as the very last byte is bare; an unended last line counts for the longest. */
void mail_scan_end(struct mail_scan *scan);
struct mail_scan mail_scan(struct view message);

/* True if only BINARYMIME or a transfer encoding can carry it: NUL, bare CR or LF, or a line above 998 bytes. */
static inline bool mail_scan_is_binary(const struct mail_scan *scan)
{
	return scan->has_nul || scan->has_bare_cr || scan->has_bare_lf || scan->line_max_bytes > MAIL_LINE_MAX_BYTES;
}

#endif
