#include "queue/egress.h"

int64_t egress_day(int64_t wall_ms)
{
	int64_t day = wall_ms / EGRESS_DAY_MS;
	return wall_ms % EGRESS_DAY_MS < 0 ? day - 1 : day;
}

int64_t egress_day_start_ms(int64_t day)
{
	return day * EGRESS_DAY_MS;
}

static bool has_plan(const struct egress_plan *plan)
{
	return plan->start_s != 0 && plan->day_count > 0;
}

uint64_t egress_ceiling(const struct egress_plan *plan, int64_t day)
{
	if (!has_plan(plan))
		return EGRESS_NO_CEILING;
	int64_t first = egress_day(plan->start_s * 1000);
	if (day < first)
		return 0;
	uint64_t nth = (uint64_t)(day - first);
	return nth < plan->day_count ? plan->days[nth] : EGRESS_NO_CEILING;
}

size_t egress_plan_day(const struct egress_plan *plan, int64_t day)
{
	if (!has_plan(plan))
		return 0;
	int64_t first = egress_day(plan->start_s * 1000);
	if (day < first || (uint64_t)(day - first) >= plan->day_count)
		return 0;
	return (size_t)(day - first) + 1;
}

size_t egress_pick(size_t count, const uint32_t *weights, uint64_t random)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < count; i++)
		sum += weights[i];
	if (sum == 0)
		return count;
	uint64_t at = random % sum;
	size_t i = 0;
	while (at >= weights[i])
		at -= weights[i++];
	return i;
}
