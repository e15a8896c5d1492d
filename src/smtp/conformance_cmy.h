/*
 * For the conformance program: plays chasquid's dialogues ("chamuyero" files) against the receiver engine. Replies are compared by their
 * code (its first `digits` digits), for every server has its own words.
 */
#ifndef SMTP_CONFORMANCE_CMY_H
#define SMTP_CONFORMANCE_CMY_H

#include "base/buf.h"

/* True if the dialogue came out as written, and the last message is what `verify` (LF line ends; may be NULL) says. Else *ret_why has
 * where and what. */
bool cmy_run(struct view script, const struct buf *verify, size_t piece, size_t digits, struct buf *ret_why);

#endif
