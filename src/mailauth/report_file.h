/* Finding the report in a message that brings one: DMARC's aggregate reports come as XML, TLS reports as JSON, both plain or packed, in any part of
 * a message and under any media type. Pure. */
#ifndef MAILAUTH_REPORT_FILE_H
#define MAILAUTH_REPORT_FILE_H

#include "base/buf.h"

enum report_file_kind { REPORT_FILE_DMARC /* XML */, REPORT_FILE_TLS /* JSON */ };

enum {
	REPORT_FILE_PACKED_MAX_BYTES = 10 * 1024 * 1024, /* of one part, decoded */
	REPORT_FILE_MAX_BYTES = 50 * 1024 * 1024, /* unpacked */
	REPORT_FILE_PARTS_MAX = 100,
	REPORT_FILE_TRIES_MAX = 8 /* parts that are unpacked to see */
};

/* Puts the first report's text into *out (emptied before; its bound should be REPORT_FILE_MAX_BYTES). Attached messages are not looked into. ERR_NOT_FOUND:
 * no part looks like one; ERR_SYNTAX, ERR_LIMIT with a sentence: one that was to be one is damaged, or too large. */
enum err report_file_find(struct view message, struct buf *out, enum report_file_kind *ret_kind) MUST_CHECK;

/* The same for a file by itself. */
enum err report_file_open(struct view file, struct buf *out, enum report_file_kind *ret_kind) MUST_CHECK;

#endif
