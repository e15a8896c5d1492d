#include "service/site_pruner.h"

#include "base/clock.h"
#include "service/testing_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct testing_server t;
static struct background background;
static struct loop_timer timer;

static int setup(void **state)
{
	(void)state;
	testing_server_open(&t, "");
	background = (struct background){ .server = &t.server, .loop = loop_new("background") };
	assert_non_null(background.loop);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	loop_free(background.loop);
	testing_server_close(&t);
	return 0;
}

static void look(void *owner)
{
	(void)owner;
	if (testing_count(&t, "SELECT COUNT(*) FROM domain_site") == 3 && background.jobs == 0)
		loop_stop(background.loop);
	else
		loop_timer_set(&timer, loop_now_ms(background.loop) + 20);
}

static enum err fill(struct db *db, const void *arg)
{
	(void)arg;
	return db_exec(db,
		"INSERT INTO domain_site WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)"
		" SELECT 'd' || i || '.example', 'google', 5 FROM n;"
		"INSERT INTO domain_site VALUES ('far.example', 'mx.far.example', 5), ('far2.example', 'x', 5),"
		" ('today.example', 'google', 99999999)");
}

/* What mail waits for, and what was noted in the meantime, stays. */
static void forgets_what_nothing_waits_for(void **state)
{
	(void)state;
	testing_submit(&t, &(struct testing_mail){ .from = "", .to = "x@Far.example y@far2.example" });
	testing_write(&t, fill, NULL);
	struct site_pruner *pruner = site_pruner_new(&background);
	site_pruner_start(pruner);
	site_pruner_sweep(pruner);
	site_pruner_sweep(pruner); /* one at a time */
	loop_timer_init(&timer, background.loop, look, NULL);
	loop_timer_set(&timer, loop_now_ms(background.loop));
	loop_run(background.loop);
	loop_timer_clear(&timer);
	site_pruner_stop(pruner);
	assert_int_equal(testing_count(&t,
				 "SELECT COUNT(*) FROM domain_site WHERE domain IN ('far.example', 'far2.example', "
				 "'today.example')"),
		3);
	site_pruner_free(pruner);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(forgets_what_nothing_waits_for, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
