#include "service/tls_results.h"

#include "base/clock.h"
#include "store/store_contract.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static char folder[64];
static struct server server;
static struct loop *loop;
static struct tls_results *results;

static int setup(void **state)
{
	(void)state;
	log_setup(LOG_TARGET_STDERR, LOG_FORMAT_LOGFMT, LOG_LEVEL_ERROR);
	contract_make_folder(folder);
	assert_int_equal(store_open(&(struct store_options){ .folder = folder }, &server.store), ERR_OK);
	assert_int_equal(store_start(server.store), ERR_OK);
	loop = loop_new("test");
	results = tls_results_new(&server, loop);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tls_results_free(results);
	store_close(server.store);
	loop_free(loop);
	contract_remove_folder(folder);
	return 0;
}

static void add(const char *domain, const char *result)
{
	tls_result_add(results,
		&(struct tls_result){ .domain = view_from_cstr(domain),
			.policy_type = VIEW("sts"),
			.policy = VIEW("version: STSv1"),
			.host = VIEW("mx.example"),
			.result = view_from_cstr(result),
			.sessions = 1 });
}

struct look {
	struct store_job job;
	int64_t rows, sessions;
};

static void count_row(void *owner, const struct tls_result *result)
{
	struct look *look = owner;
	look->rows++;
	look->sessions += (int64_t)result->sessions;
}

static void count_domain(void *owner, int32_t day, struct view domain)
{
	(void)day;
	(void)domain;
	((struct look *)owner)->rows++;
}

static enum err run_look(struct store_job *job, struct db *db)
{
	struct look *look = (struct look *)(void *)job;
	int32_t today = (int32_t)(clock_wall_ms() / 86400000);
	if (look->sessions < 0)
		return tls_result_store_domains(db, today + 2, 0, VIEW_NONE, 100000, count_domain, look);
	/* Midnight may pass meanwhile. */
	enum err err = tls_result_store_list(db, today, VIEW("a.example"), 100, count_row, look);
	return err == ERR_OK && look->rows == 0
		? tls_result_store_list(db, today - 1, VIEW("a.example"), 100, count_row, look)
		: err;
}

static void look_done(struct store_job *job)
{
	assert_int_equal(job->err, ERR_OK);
	loop_stop(loop);
}

/* What was written before is seen: this goes the same way. */
static struct look look(bool domains)
{
	struct look look = { .job.run = run_look, .job.done = look_done, .sessions = domains ? -1 : 0 };
	store_write(server.store, loop, &look.job);
	loop_run(loop);
	return look;
}

static void counted_and_written(void **state)
{
	(void)state;
	assert_false(tls_results_flush(results));
	for (int i = 0; i < 5; i++)
		add("a.example", "");
	add("a.example", "certificate-expired");
	assert_int_equal(look(false).rows, 0);
	assert_true(tls_results_flush(results));
	assert_false(tls_results_flush(results));
	struct look found = look(false);
	assert_int_equal(found.rows, 2);
	assert_int_equal(found.sessions, 6);
	add("a.example", "");
	assert_true(tls_results_flush(results));
	assert_int_equal(look(false).sessions, 7);
	tls_result_add(NULL, NULL);
	assert_false(tls_results_flush(NULL));
}

static void many_are_written_by_themselves(void **state)
{
	(void)state;
	char domain[32];
	for (unsigned i = 0; i < 3000; i++) {
		snprintf(domain, sizeof domain, "d%u.example", i);
		add(domain, "");
	}
	assert_true(look(true).rows >= 2048);
	assert_true(tls_results_flush(results));
	assert_int_equal(look(true).rows, 3000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(counted_and_written, setup, teardown),
		cmocka_unit_test_setup_teardown(many_are_written_by_themselves, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
