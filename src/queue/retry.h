/* When a recipient is tried again, and when it is given up. Pure: times are wall-clock ms, passed in. */
#ifndef QUEUE_RETRY_H
#define QUEUE_RETRY_H

#include <stdbool.h>
#include <stdint.h>

struct retry_schedule {
	int64_t first_ms; /* wait after the first failed attempt; it doubles with each further one */
	int64_t max_ms; /* up to this */
	int64_t expire_ms; /* age of a message at which it is given up */
	int64_t warn_after_ms; /* age at which the sender is told of the delay; 0 = never */
};

struct retry_decision {
	bool expired; /* give up now: due_at_ms is 0 */
	bool warn; /* the delay DSN is due; never together with `expired` */
	int64_t due_at_ms;
};

/* After an attempt failed for now. `attempts` counts it (at least 1); `warned`: the delay DSN went out before. The wait is spread by up to an
 * eighth either way (`random` decides), so that what failed together does not come back together. The last attempt is at the moment of expiry
 * (RFC 5321 §4.5.4.1: the give-up time is a bound, not a rounding). A clock that went back makes messages young, never expired. */
struct retry_decision retry_next(const struct retry_schedule *schedule, int64_t received_at_ms, int64_t now_ms,
	uint32_t attempts, bool warned, uint32_t random);

#endif
