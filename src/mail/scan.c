#include "mail/scan.h"

#include <string.h>

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Bit 7 of each byte that is zero; exact, without carries between bytes. */
static uint64_t zero_bytes(uint64_t v)
{
	return ~(((v & EACH(0x7f)) + EACH(0x7f)) | v | EACH(0x7f));
}

struct block {
	bool has_8bit, has_nul;
	uint64_t cr_count;
};

/* Eight bytes at a time: this sees every byte of every message. */
static void scan_block(struct view v, struct block *ret)
{
	uint64_t high = 0, nul = 0, cr = 0;
	size_t i = 0;
	for (; v.len - i >= 8; i += 8) {
		uint64_t word;
		memcpy(&word, v.ptr + i, 8);
		high |= word;
		nul |= zero_bytes(word);
		cr += (zero_bytes(word ^ EACH('\r')) >> 7) * EACH(1) >>
			56; /* the sum of the eight bytes, each 0 or 1 */
	}
	for (; i < v.len; i++) {
		high |= v.ptr[i];
		nul |= v.ptr[i] == 0;
		cr += v.ptr[i] == '\r';
	}
	*ret = (struct block){ (high & EACH(0x80)) != 0, nul != 0, cr };
}

static void note_line(struct mail_scan *scan, uint64_t bytes)
{
	if (bytes > scan->line_max_bytes)
		scan->line_max_bytes = bytes;
}

/* Walks the lines; returns where the body begins in these bytes (their length if not here), and the number of CRLF. */
static size_t scan_lines(struct mail_scan *scan, struct view v, uint64_t *ret_crlf)
{
	size_t body = scan->in_body ? 0 : v.len, at = 0;
	uint64_t crlf = 0;
	const uint8_t *lf;
	while (at < v.len && (lf = memchr(v.ptr + at, '\n', v.len - at)) != NULL) {
		size_t end = (size_t)(lf - v.ptr);
		uint8_t before = end > 0 ? v.ptr[end - 1] : scan->last;
		uint64_t line = scan->line_bytes + (end - at) - (before == '\r');
		crlf += before == '\r';
		scan->has_bare_lf |= before != '\r';
		note_line(scan, line);
		scan->line_bytes = 0;
		at = end + 1;
		if (line == 0 && !scan->in_body) {
			scan->in_body = true;
			body = at;
		}
	}
	scan->line_bytes += v.len - at;
	*ret_crlf = crlf;
	return body;
}

void mail_scan_feed(struct mail_scan *scan, struct view bytes)
{
	if (bytes.len == 0)
		return;
	bool cr_was_last = scan->last == '\r';
	uint64_t crlf;
	size_t body = scan_lines(scan, bytes, &crlf);
	struct block in_header, in_body;
	scan_block(view_sub(bytes, 0, body), &in_header);
	scan_block(view_from(bytes, body), &in_body);
	scan->has_8bit_header |= in_header.has_8bit;
	scan->has_8bit_body |= in_body.has_8bit;
	scan->has_nul |= in_header.has_nul || in_body.has_nul;
	/* Every CR must have met its LF, but the one that may still wait at the end. */
	scan->last = bytes.ptr[bytes.len - 1];
	uint64_t cr = in_header.cr_count + in_body.cr_count + cr_was_last - (scan->last == '\r');
	scan->has_bare_cr |= cr != crlf;
	scan->header_bytes += body;
	scan->total_bytes += bytes.len;
}

void mail_scan_end(struct mail_scan *scan)
{
	scan->has_bare_cr |= scan->last == '\r';
	note_line(scan, scan->line_bytes);
}

struct mail_scan mail_scan(struct view message)
{
	struct mail_scan scan = { 0 };
	mail_scan_feed(&scan, message);
	mail_scan_end(&scan);
	return scan;
}
