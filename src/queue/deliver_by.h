/* The time in which a sender wants its message delivered (DELIVERBY, RFC 2852), while it is in the queue. Pure: times are wall-clock ms, passed in. */
#ifndef QUEUE_DELIVER_BY_H
#define QUEUE_DELIVER_BY_H

#include <stdbool.h>
#include <stdint.h>

struct deliver_by {
	int64_t by_ms; /* 0: the sender gave none */
	bool returns; /* mode R: it is returned when the time is over, and no later delivered; else mode N: its sender is told, and it goes on */
};

/* It is to be returned now, without another attempt. */
bool deliver_by_is_over(const struct deliver_by *by, int64_t now_ms);

/* For one that stays in the queue until *due_at_ms: it is looked at again when its time ends, if that comes first. Mode N: *warn is set when the sender is
 * to be told now, once (`warned`: it was); not if the time had ended before it came here, for then another server told it (RFC 2852 §4.1.4). */
void deliver_by_adjust(const struct deliver_by *by, int64_t received_at_ms, int64_t now_ms, bool warned,
	int64_t *due_at_ms, bool *warn);

#endif
