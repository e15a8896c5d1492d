#include "service/reports_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define HOUR_MS INT64_C(3600000)
#define DAY_MS (24 * HOUR_MS)
#define DAY INT64_C(20000)

/* Not before what the day showed is written, and within the jitter behind that. */
static void after_midnight(void **state)
{
	(void)state;
	int64_t earliest = INT64_MAX, latest = 0;
	for (int64_t day = DAY; day < DAY + 400; day++) {
		int64_t after_ms = reports_time_of_day("mail.a.example", 4 * HOUR_MS, day) - day * DAY_MS;
		assert_int_equal(reports_time_of_day("mail.a.example", 4 * HOUR_MS, day), after_ms + day * DAY_MS);
		earliest = after_ms < earliest ? after_ms : earliest;
		latest = after_ms > latest ? after_ms : latest;
		/* The longest jitter that can be configured, and none. */
		assert_true(reports_time_of_day("mail.a.example", 20 * HOUR_MS, day) < (day + 1) * DAY_MS);
		assert_int_equal(reports_time_of_day("mail.a.example", 0, day), day * DAY_MS + 600000);
	}
	assert_true(earliest >= 600000 && earliest < HOUR_MS);
	assert_true(latest > 3 * HOUR_MS && latest < 600000 + 4 * HOUR_MS);
	assert_int_not_equal(reports_time_of_day("mail.a.example", 4 * HOUR_MS, DAY),
		reports_time_of_day("mail.b.example", 4 * HOUR_MS, DAY));
}

static void next_round(void **state)
{
	(void)state;
	int64_t today_ms = reports_time_of_day("h", HOUR_MS, DAY);
	/* The server begins: today's, whether that is past or not. */
	assert_int_equal(reports_time_next("h", HOUR_MS, 0, DAY * DAY_MS), today_ms);
	assert_int_equal(reports_time_next("h", HOUR_MS, 0, DAY * DAY_MS + DAY_MS - 1), today_ms);
	/* What is planned stays, also when it is due. */
	assert_int_equal(reports_time_next("h", HOUR_MS, DAY * DAY_MS + 5, DAY * DAY_MS + 6), DAY * DAY_MS + 5);
	assert_int_equal(reports_time_next("h", HOUR_MS, DAY * DAY_MS + DAY_MS, DAY * DAY_MS), (DAY + 1) * DAY_MS);
	/* The clock was years ahead when it was planned: nobody waits for that. */
	assert_int_equal(reports_time_next("h", HOUR_MS, (DAY + 1000) * DAY_MS, DAY * DAY_MS), today_ms);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(after_midnight),
		cmocka_unit_test(next_round),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
