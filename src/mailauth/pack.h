/* What reports travel in: gzip to write; gzip and zip to read, from memory to memory and bounded. Pure. */
#ifndef MAILAUTH_PACK_H
#define MAILAUTH_PACK_H

#include "base/buf.h"

#define PACK_ENTRIES_MAX 64u /* of a zip file; what stands behind them is not looked at */

/* Appends `in` as a gzip file (RFC 1952) without name or time: the same bytes give the same file. ERR_LIMIT from the buffer. */
enum err pack_gzip(struct view in, struct buf *out) MUST_CHECK;

/* Appends what is in a gzip file, or the first file in a zip file whose name ends with one of the suffixes ("xml"), or the first one at all.
 * Files in files are unpacked twice. What is neither is appended as it is. ERR_SYNTAX with a sentence: damaged; ERR_LIMIT: it would
 * become larger than the buffer may; then nothing is appended. */
enum err pack_open(struct view in, struct view suffix, struct buf *out) MUST_CHECK;

#endif
