#include "service/reports_private.h"

#include "crypto/hash.h"

#include <string.h>

#define DAY_MS ((int64_t)REPORTS_DAY_S * 1000)
/* What was seen before midnight is noted seconds later, of slow messages minutes; TLS results are written each minute. */
#define SETTLE_MS 600000

int64_t reports_time_of_day(const char *hostname, int64_t jitter_ms, int64_t day)
{
	struct buf text = { 0 };
	uint8_t hash[HASH_BYTES];
	uint64_t number = 0;
	if (buf_append_format(&text, "%s %lld", hostname, (long long)day) == ERR_OK) {
		hash_once(buf_view(&text), hash);
		memcpy(&number, hash, sizeof number);
	}
	buf_clear(&text);
	return day * DAY_MS + SETTLE_MS + (int64_t)(number % (uint64_t)(jitter_ms > 0 ? jitter_ms : 1));
}

int64_t reports_time_next(const char *hostname, int64_t jitter_ms, int64_t planned_ms, int64_t now_ms)
{
	/* A round that is further away than tomorrow's was planned by a clock that was wrong. */
	if (planned_ms > 0 && planned_ms - now_ms <= 2 * DAY_MS)
		return planned_ms;
	return reports_time_of_day(hostname, jitter_ms, now_ms / DAY_MS);
}
