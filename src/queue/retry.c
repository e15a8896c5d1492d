#include "queue/retry.h"

/* first × 2^(attempts - 1), at most max. */
static int64_t base_wait(const struct retry_schedule *schedule, uint32_t attempts)
{
	int64_t wait = schedule->first_ms > 0 ? schedule->first_ms : 1;
	for (uint32_t i = 1; i < attempts && wait < schedule->max_ms; i++)
		wait = wait > schedule->max_ms / 2 ? schedule->max_ms : wait * 2;
	return wait < schedule->max_ms ? wait : schedule->max_ms > 0 ? schedule->max_ms : 1;
}

static int64_t add_saturating(int64_t a, int64_t b)
{
	int64_t sum;
	return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

/* wait × (1 ± 1/8), and never 0. */
static int64_t spread(int64_t wait, uint32_t random)
{
	int64_t range = wait / 4;
	/* Of the random number, 16 bits are fine enough and keep the product small. */
	int64_t offset = range / 65536 * (random >> 16) + range % 65536 * (random >> 16) / 65536;
	int64_t spread_wait = add_saturating(wait - wait / 8, offset);
	return spread_wait > 0 ? spread_wait : 1;
}

struct retry_decision retry_next(const struct retry_schedule *schedule, int64_t received_at_ms, int64_t now_ms,
	uint32_t attempts, bool warned, uint32_t random)
{
	int64_t age = now_ms > received_at_ms ? now_ms - received_at_ms : 0;
	bool time_is_up = schedule->deliver_by_ms > 0 && now_ms >= schedule->deliver_by_ms;
	if (age >= schedule->expire_ms || (time_is_up && schedule->by_time_returns))
		return (struct retry_decision){ .expired = true, .time_is_up = time_is_up };
	int64_t due = add_saturating(now_ms, spread(base_wait(schedule, attempts), random));
	int64_t latest = add_saturating(now_ms, schedule->expire_ms - age);
	if (schedule->deliver_by_ms > now_ms && schedule->deliver_by_ms < latest)
		latest = schedule->deliver_by_ms;
	bool is_late = time_is_up || (schedule->warn_after_ms > 0 && age >= schedule->warn_after_ms);
	return (struct retry_decision){
		.warn = !warned && is_late,
		.due_at_ms = due < latest ? due : latest,
		.latest_ms = latest,
	};
}
