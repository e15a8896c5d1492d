/*
 * Queue ids: 64-bit numbers that grow, made of the wall clock (ms × 4096) and never going back, shown as lower-case base32
 * (digits and letters without i, l, o, u) so that they sort as text, can be read out on the phone and stand in a Received field.
 */
#ifndef QUEUE_ID_H
#define QUEUE_ID_H

#include "base/view.h"

#define QUEUE_ID_TEXT_BYTES 14u
struct queue_id_text {
	char text[QUEUE_ID_TEXT_BYTES];
}; /* NUL-terminated */

/* The id after `last` at this time: at least now_ms × 4096, always above `last`. */
uint64_t queue_id_next(uint64_t last, int64_t now_ms);
struct queue_id_text queue_id_format(uint64_t id);
enum err queue_id_parse(struct view text, uint64_t *ret) MUST_CHECK;

#endif
