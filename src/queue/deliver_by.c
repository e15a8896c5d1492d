#include "queue/deliver_by.h"

bool deliver_by_is_over(const struct deliver_by *by, int64_t now_ms)
{
	return by->by_ms != 0 && by->returns && now_ms >= by->by_ms;
}

void deliver_by_adjust(const struct deliver_by *by, int64_t received_at_ms, int64_t now_ms, bool warned,
	int64_t *due_at_ms, bool *warn)
{
	/* Told, or told elsewhere: nothing is left to be done at that time. */
	if (by->by_ms == 0 || (!by->returns && (warned || by->by_ms <= received_at_ms)))
		return;
	if (now_ms < by->by_ms) {
		if (*due_at_ms > by->by_ms)
			*due_at_ms = by->by_ms;
	} else if (!by->returns) {
		*warn = true;
	}
}
