#include "store/store_harness.h"

#include "store/faulty_vfs.h"
#include "store/store_contract.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void answers_come_to_the_loop_that_asked(void **state)
{
	(void)state;
	struct loop_thread homes[2];
	loop_thread_start(&homes[0]);
	loop_thread_start(&homes[1]);
	struct store *store = start_store(harness_folder);
	static struct waited jobs[400];
	for (size_t i = 0; i < 400; i++) {
		waited_init(&jobs[i], &homes[i % 2], 1 + i);
		store_write(store, homes[i % 2].loop, &jobs[i].job);
	}
	for (size_t i = 0; i < 400; i++)
		assert_int_equal(wait_for(&jobs[i]), ERR_OK);
	store_close(store);
	loop_thread_stop(&homes[0]);
	loop_thread_stop(&homes[1]);
	for (size_t i = 0; i < 400; i++)
		assert_true(jobs[i].at_home && jobs[i].done_calls == 1 && jobs[i].runs == 1);
	store = open_store(harness_folder);
	for (size_t i = 0; i < 400; i++)
		assert_true(is_there(store_db(store), 1 + i));
	store_close(store);
}

static void a_group_is_one_commit(void **state)
{
	(void)state;
	struct loop_thread home;
	loop_thread_start(&home);
	struct store *store = start_store(harness_folder);
	struct gate gate;
	gate_close(&gate, store, &home);
	uint64_t syncs = faulty_vfs_syncs("-wal");
	static struct waited jobs[1000];
	for (size_t i = 0; i < 1000; i++) {
		waited_init(&jobs[i], &home, 1 + i);
		store_write(store, home.loop, &jobs[i].job);
	}
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(jobs[i].done_calls, 0); /* nothing is answered before its commit */
	gate_open(&gate);
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(wait_for(&jobs[i]), ERR_OK);
	struct store_counts counts = store_counts(store);
	assert_true(counts.commits >= 2 && counts.jobs == 1001 && counts.failed_groups == 0);
	/* The group's time limit may split it on a very slow machine, never into anything near one sync per job. */
	assert_true(counts.commits < 100 && faulty_vfs_syncs("-wal") - syncs < 100);
	store_close(store);
	loop_thread_stop(&home);
}

static void only_the_failing_job_fails(void **state)
{
	(void)state;
	struct loop_thread home;
	loop_thread_start(&home);
	struct store *store = start_store(harness_folder);
	struct gate gate;
	gate_close(&gate, store, &home);
	static struct waited jobs[50];
	for (size_t i = 0; i < 50; i++) {
		waited_init(&jobs[i], &home, 1 + i);
		if (i == 0 || i == 17 || i == 18 || i == 49)
			jobs[i].wanted = ERR_STATE;
		if (i == 30)
			jobs[i].id = 5; /* exists then: a failure of the database's */
		store_write(store, home.loop, &jobs[i].job);
	}
	gate_open(&gate);
	for (size_t i = 0; i < 50; i++) {
		enum err err = wait_for(&jobs[i]);
		assert_int_equal(err, i == 30 ? ERR_EXISTS : jobs[i].wanted);
		if (jobs[i].wanted != ERR_OK)
			assert_string_equal(jobs[i].job.detail, "as the test wanted");
		assert_int_equal(jobs[i].done_calls, 1);
	}
	assert_true(store_counts(store).failed_groups >= 1 && store_counts(store).jobs == 46);
	store_close(store);
	loop_thread_stop(&home);
	store = open_store(harness_folder);
	for (size_t i = 0; i < 50; i++)
		assert_int_equal(is_there(store_db(store), 1 + i), jobs[i].wanted == ERR_OK && i != 30);
	store_close(store);
}

static void close_runs_what_is_queued(void **state)
{
	(void)state;
	struct loop_thread home;
	loop_thread_start(&home);
	struct store *store = start_store(harness_folder);
	static struct waited jobs[300];
	for (size_t i = 0; i < 300; i++) {
		waited_init(&jobs[i], &home, 1 + i);
		store_write(store, home.loop, &jobs[i].job);
	}
	store_close(store);
	for (size_t i = 0; i < 300; i++)
		assert_int_equal(wait_for(&jobs[i]), ERR_OK);
	/* And without threads there is nobody to run them. */
	store = open_store(harness_folder);
	struct waited late;
	waited_init(&late, &home, 999);
	store_write(store, home.loop, &late.job);
	store_close(store);
	assert_int_equal(wait_for(&late), ERR_CANCELLED);
	loop_thread_stop(&home);
}

static enum err read_run(struct store_job *job, struct db *db)
{
	struct waited *w = (struct waited *)job;
	assert_int_equal(put_one(db, 77777), ERR_PERMISSION); /* readers only read */
	return is_there(db, w->id) ? ERR_OK : err_set(ERR_NOT_FOUND, "not there");
}

static void reads_do_not_wait_for_the_writer(void **state)
{
	(void)state;
	struct loop_thread home;
	loop_thread_start(&home);
	struct store *store = start_store(harness_folder);
	must(write_and_wait(store, &home, 5));
	struct gate gate;
	gate_close(&gate, store, &home); /* the writer is inside a transaction */
	static struct waited reads[40];
	for (size_t i = 0; i < 40; i++) {
		waited_init(&reads[i], &home, 5 + i % 2);
		reads[i].job.run = read_run;
		store_read(store, home.loop, &reads[i].job);
	}
	for (size_t i = 0; i < 40; i++)
		assert_int_equal(wait_for(&reads[i]), i % 2 == 0 ? ERR_OK : ERR_NOT_FOUND);
	assert_string_equal(reads[1].job.detail, "not there");
	gate_open(&gate);
	store_close(store);
	loop_thread_stop(&home);
}

static void a_full_disk_answers_all_and_ends(void **state)
{
	(void)state;
	struct loop_thread home;
	loop_thread_start(&home);
	struct store *store = start_store(harness_folder);
	must(write_and_wait(store, &home, 1));
	for (unsigned full = 0; full < 2; full++) {
		struct gate gate;
		gate_close(&gate, store, &home);
		static struct waited jobs[300];
		for (size_t i = 0; i < 300; i++) {
			waited_init(&jobs[i], &home, 1000 * (full + 1) + i);
			store_write(store, home.loop, &jobs[i].job);
		}
		faulty_vfs_plan(
			(struct faulty_plan){ .suffix = "-wal", .write_chance = 100, .writes_are_full = full == 1 });
		gate_open(&gate); /* its own transaction wrote nothing */
		uint64_t failures = faulty_vfs_failures();
		for (size_t i = 0; i < 300; i++) {
			assert_int_equal(wait_for(&jobs[i]), full == 1 ? ERR_NO_SPACE : ERR_IO);
			assert_true(strstr(jobs[i].job.detail, "cannot write") != NULL);
			assert_int_equal(jobs[i].runs, 1); /* they were not tried one by one */
		}
		assert_true(faulty_vfs_failures() - failures < 5);
		assert_int_equal(write_and_wait(store, &home, 2), full == 1 ? ERR_NO_SPACE : ERR_IO);
		faulty_vfs_heal();
		must(write_and_wait(store, &home, 10 + full)); /* service resumes */
	}
	store_close(store);
	loop_thread_stop(&home);
	store = open_store(harness_folder);
	assert_true(is_there(store_db(store), 1) && is_there(store_db(store), 10) && is_there(store_db(store), 11));
	assert_false(
		is_there(store_db(store), 2) || is_there(store_db(store), 1000) || is_there(store_db(store), 2299));
	store_close(store);
}

static void a_second_server_is_refused(void **state)
{
	(void)state;
	struct store *store = open_store(harness_folder), *second = NULL;
	struct store_options options = { .folder = harness_folder };
	char wanted[160];
	snprintf(wanted, sizeof wanted, "another postrider (pid %d) uses %s", (int)getpid(), harness_folder);
	assert_int_equal(store_open(&options, &second), ERR_BUSY);
	assert_string_equal(err_detail(), wanted);
	pid_t child = fork();
	if (child == 0)
		_exit(store_open(&options, &second) == ERR_BUSY && strcmp(err_detail(), wanted) == 0 ? 0 : 1);
	int status = -1;
	assert_true(waitpid(child, &status, 0) == child && status == 0);
	store_close(store);
	store_close(open_store(harness_folder));
}

/* As a daemon does it: open, fork, the child goes on. */
static void a_store_opened_before_a_fork_works_after_it(void **state)
{
	(void)state;
	struct store *store = open_store(harness_folder);
	pid_t child = fork();
	if (child == 0) {
		struct loop_thread home;
		loop_thread_start(&home);
		bool fine = store_start(store) == ERR_OK && write_and_wait(store, &home, 3) == ERR_OK;
		store_close(store);
		loop_thread_stop(&home);
		_exit(fine ? 0 : 1);
	}
	int status = -1;
	assert_true(waitpid(child, &status, 0) == child && status == 0);
	store_close(store);
	store = open_store(harness_folder);
	assert_true(is_there(store_db(store), 3));
	/* A connection that is open can't be carried over. */
	child = fork();
	if (child == 0)
		_exit(store_start(store) == ERR_STATE ? 0 : 1);
	assert_true(waitpid(child, &status, 0) == child && status == 0);
	store_close(store);
}

static void a_newer_store_is_refused(void **state)
{
	(void)state;
	struct store *store = open_store(harness_folder);
	long long known = (long long)contract_int(store_db(store), "SELECT MAX(version) FROM schema_version");
	must(db_exec(store_db(store), "INSERT INTO schema_version (version) VALUES (99)"));
	store_close(store);
	struct store_options options = { .folder = harness_folder };
	assert_int_equal(store_open(&options, &store), ERR_VERSION);
	char wanted[200];
	snprintf(wanted, sizeof wanted,
		"%s/postrider.db was written by a newer postrider (schema 99, this one knows %lld): install that "
		"version or newer",
		harness_folder, known);
	assert_string_equal(err_detail(), wanted);
	assert_int_equal(store_open(&options, &store), ERR_VERSION); /* and the lock is free again */
}

static void bad_folders(void **state)
{
	(void)state;
	struct store *store = NULL;
	char path[128];
	snprintf(path, sizeof path, "%s/missing", harness_folder);
	assert_int_equal(store_open(&(struct store_options){ .folder = path }, &store), ERR_NOT_FOUND);
	assert_true(strstr(err_detail(), path) != NULL);
	snprintf(path, sizeof path, "%s/postrider.db", harness_folder);
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	for (int i = 0; i < 1000; i++)
		fputs("this is no database\n", file);
	fclose(file);
	assert_int_equal(store_open(&(struct store_options){ .folder = harness_folder }, &store), ERR_IO);
	assert_true(strstr(err_detail(), "not a database") != NULL);
}

static void files_are_private(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		mode_t mode;
	} wanted[] = { { "postrider.db", 0600 }, { "postrider.db-wal", 0600 }, { "events.db", 0600 },
		{ "postrider.lock", 0600 }, { "spool", 0700 } };
	mode_t before = umask(0);
	struct store *store = open_store(harness_folder);
	must(put_one(store_db(store), 1));
	umask(before);
	for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
		char path[160];
		struct stat stat_now;
		snprintf(path, sizeof path, "%s/%s", harness_folder, wanted[i].name);
		assert_int_equal(stat(path, &stat_now), 0);
		assert_int_equal(stat_now.st_mode & 07777, wanted[i].mode);
	}
	store_close(store);
}

int main(void)
{
	faulty_vfs_register();
	const struct CMUnitTest tests[] = {
		HARNESS_TEST(answers_come_to_the_loop_that_asked),
		HARNESS_TEST(a_group_is_one_commit),
		HARNESS_TEST(only_the_failing_job_fails),
		HARNESS_TEST(close_runs_what_is_queued),
		HARNESS_TEST(reads_do_not_wait_for_the_writer),
		HARNESS_TEST(a_full_disk_answers_all_and_ends),
		HARNESS_TEST(a_second_server_is_refused),
		HARNESS_TEST(a_store_opened_before_a_fork_works_after_it),
		HARNESS_TEST(a_newer_store_is_refused),
		HARNESS_TEST(bad_folders),
		HARNESS_TEST(files_are_private),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
