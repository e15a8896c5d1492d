/*
 * Addresses to send from: which one takes the next connection, and how many messages a new one may carry today. A warm-up plan names a ceiling
 * for each of an address's first days; behind the last there is none, and before the first the address is not in use yet. Days are those of UTC.
 * Pure: time and randomness are passed in.
 */
#ifndef QUEUE_EGRESS_H
#define QUEUE_EGRESS_H

#include "base/view.h"

#define EGRESS_DAY_MS ((int64_t)86400000)
#define EGRESS_NO_CEILING UINT64_MAX

struct egress_plan {
	int64_t start_s; /* Unix time of the first day's 00:00 UTC; 0: no plan */
	size_t day_count;
	const uint32_t *days; /* messages */
};

/* Days since 1970-01-01 UTC, and when a day begins. Before 1970 the days are negative. */
int64_t egress_day(int64_t wall_ms);
int64_t egress_day_start_ms(int64_t day);

/* At most so many messages on this day. 0: it is before the first. */
uint64_t egress_ceiling(const struct egress_plan *plan, int64_t day);
/* The day of the plan that `day` is, from 1; 0: the plan has not begun, is over, or there is none. */
size_t egress_plan_day(const struct egress_plan *plan, int64_t day);

/* One of those whose weight is above 0, as often as the weights say; `random` is evenly spread over all its values. `count` when there is none. */
size_t egress_pick(size_t count, const uint32_t *weights, uint64_t random);

#endif
