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
	int64_t deliver_by_ms; /* DELIVERBY (RFC 2852): wall clock; 0: no such time */
	bool by_time_returns; /* then it is given up (mode R); else its sender is told (mode N) */
};

struct retry_decision {
	bool expired; /* give up now: the times are 0 */
	bool time_is_up; /* with expired: because of deliver_by_ms */
	bool warn; /* the delay DSN is due; never together with `expired` */
	int64_t due_at_ms;
	int64_t latest_ms; /* whatever it waits for, it is looked at then: at its expiry, or when its time is up */
};

/* After an attempt failed for now. `attempts` counts it (at least 1); `warned`: the delay DSN went out before. The wait is spread by up to an
 * eighth either way (`random` decides), so that what failed together does not come back together. The last attempt is at the moment of expiry
 * (RFC 5321 §4.5.4.1: the give-up time is a bound, not a rounding). A clock that went back makes messages young, never expired. */
struct retry_decision retry_next(const struct retry_schedule *schedule, int64_t received_at_ms, int64_t now_ms,
	uint32_t attempts, bool warned, uint32_t random);

#endif
