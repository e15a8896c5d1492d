/* Values as people write them: durations, sizes, yes and no; and the nearest valid name for a mistyped one. Pure. */
#ifndef CONFIG_CONFIG_VALUE_H
#define CONFIG_CONFIG_VALUE_H

#include "base/buf.h"

/* "250ms", "30s", "5m", "4h", "5d", "1w" and sums such as "1h30m"; "0" alone needs no unit. ERR_SYNTAX, ERR_LIMIT above 2^63 ms. */
enum err config_parse_duration(struct view text, uint64_t *ret_ms) MUST_CHECK;
/* Bytes: "1048576", "64k", "50M", "1 MiB", "2GiB": powers of 1024, in either case. ERR_SYNTAX, ERR_LIMIT. */
enum err config_parse_size(struct view text, uint64_t *ret_bytes) MUST_CHECK;
/* yes, no, true, false, on, off, in either case. */
enum err config_parse_bool(struct view text, bool *ret) MUST_CHECK;

/* "2026-12-01": the Unix time of its 00:00 UTC, from 1970 to 9999. ERR_SYNTAX. */
enum err config_parse_date(struct view text, int64_t *ret_s) MUST_CHECK;
/* "20/s", "1000/m", "5000/h", "100000/d": above 0. ERR_SYNTAX, ERR_LIMIT. */
enum err config_parse_rate(struct view text, uint32_t *ret_count, uint32_t *ret_per_ms) MUST_CHECK;

/* The shortest such text that parses to just this value. */
enum err config_format_duration(uint64_t ms, struct buf *out) MUST_CHECK;
enum err config_format_size(uint64_t bytes, struct buf *out) MUST_CHECK;

/* Changes of one letter (put in, left out, replaced, swapped with its neighbour) between the two, ignoring ASCII case; names of more than 64
 * bytes are infinitely far. */
unsigned config_edit_distance(struct view a, struct view b);

/* The nearest of the candidates offered so far, if any is near enough to be what was meant. */
struct config_nearest {
	struct view written;
	struct view best; /* "" = none */
	unsigned distance;
};
void config_nearest_init(struct config_nearest *nearest, struct view written);
void config_nearest_offer(struct config_nearest *nearest, struct view candidate);

#endif
