/* Power cuts, kills and failing disks under load: whatever was answered "stored" is there afterwards. */
#include "store/store_harness.h"

#include "base/mem.h"
#include "store/faulty_vfs.h"
#include "store/store_contract.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdatomic.h>
#include <time.h>

#include <cmocka.h>

#define IDS_MAX 60000u

/* What a test's messages went through, by number: ids start at FIRST_ID. */
#define FIRST_ID 1000u
static _Atomic unsigned char put_ok[IDS_MAX], settle_asked[IDS_MAX], settle_ok[IDS_MAX];

/* Clients that put a message and settle every other one, over and over, on two loops. */
struct client {
	struct store_job job;
	struct load *load;
	struct loop_thread *home;
	size_t number;
	bool settling;
};
struct load {
	struct store *store;
	_Atomic size_t next;
	_Atomic bool stop;
	_Atomic unsigned running;
	_Atomic uint64_t refused;
};

static enum err client_run(struct store_job *job, struct db *db)
{
	struct client *c = (struct client *)job;
	return c->settling ? settle_one(db, FIRST_ID + c->number) : put_one(db, FIRST_ID + c->number);
}

static void client_next(struct client *c)
{
	size_t number = atomic_fetch_add(&c->load->next, 1);
	if (atomic_load(&c->load->stop) || number >= IDS_MAX) {
		atomic_fetch_sub(&c->load->running, 1);
		return;
	}
	c->number = number;
	c->settling = false;
	store_write(c->load->store, c->home->loop, &c->job);
}

static void client_done(struct store_job *job)
{
	struct client *c = (struct client *)job;
	if (job->err != ERR_OK)
		atomic_fetch_add(&c->load->refused, 1);
	else if (c->settling)
		settle_ok[c->number] = 1;
	else
		put_ok[c->number] = 1;
	if (job->err == ERR_OK && !c->settling && c->number % 2 == 0) {
		c->settling = true;
		settle_asked[c->number] = 1;
		store_write(c->load->store, c->home->loop, &c->job);
	} else {
		client_next(c);
	}
}

#define CLIENTS 60u
static void load_start(struct load *load, struct store *store, struct loop_thread homes[2], struct client *clients)
{
	*load = (struct load){ .store = store };
	atomic_store(&load->running, CLIENTS);
	for (size_t i = 0; i < CLIENTS; i++) {
		clients[i] = (struct client){ .load = load, .home = &homes[i % 2] };
		clients[i].job.run = client_run;
		clients[i].job.done = client_done;
		client_next(&clients[i]);
	}
}

static void pause_ms(long ms)
{
	nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
}

static void load_stop(struct load *load)
{
	atomic_store(&load->stop, true);
	while (atomic_load(&load->running) > 0)
		pause_ms(1);
}

/* What must be true of a store that was copied after this moment. */
struct promise {
	unsigned char stored[IDS_MAX], gone[IDS_MAX];
	size_t count;
};

/* An OK that is seen before the power is cut was given before it; a settlement that was only asked for allows both. */
static struct promise *promises_so_far(const struct load *load)
{
	struct promise *p = mem_alloc(sizeof *p);
	p->count = atomic_load(&load->next);
	if (p->count > IDS_MAX)
		p->count = IDS_MAX;
	for (size_t i = 0; i < p->count; i++) {
		p->gone[i] = settle_ok[i];
		p->stored[i] = put_ok[i];
	}
	return p;
}

static size_t check_promises(const struct promise *p, const char *in)
{
	struct store *store = open_store(in);
	struct db *db = store_db(store);
	struct db_statement *s = db_prepare(db, "PRAGMA integrity_check");
	assert_non_null(s);
	bool row;
	must(db_step(s, &row));
	assert_true(row && view_eq(db_column_view(s, 0), VIEW("ok")));
	db_reset(s);
	size_t kept = 0;
	for (size_t i = 0; i < p->count; i++) {
		bool there = is_there(db, FIRST_ID + i);
		if (p->stored[i] && !settle_asked[i] && !there)
			fail_msg("message %zu was answered \"stored\" and is lost", i);
		if (p->gone[i] && there)
			fail_msg("message %zu was answered \"settled\" and is back", i);
		kept += there;
	}
	store_close(store);
	return kept;
}

/* The power is cut at many moments of a life under load: whatever was answered is there. */
static void power_cuts(const struct faulty_plan *plan, unsigned rounds)
{
	for (size_t i = 0; i < IDS_MAX; i++)
		put_ok[i] = settle_asked[i] = settle_ok[i] = 0;
	struct loop_thread homes[2];
	static struct client clients[CLIENTS];
	struct load load;
	loop_thread_start(&homes[0]);
	loop_thread_start(&homes[1]);
	struct store *store = start_store(harness_folder);
	if (plan != NULL)
		faulty_vfs_plan(*plan);
	load_start(&load, store, homes, clients);
	struct promise *promises[16];
	char after[16][64];
	assert_true(rounds <= 16);
	for (unsigned i = 0; i < rounds; i++) {
		pause_ms(15 + 7 * (long)(i % 3));
		contract_make_folder(after[i]);
		promises[i] = promises_so_far(&load);
		faulty_vfs_cut_power(harness_folder, after[i], i + 1);
	}
	load_stop(&load);
	faulty_vfs_heal();
	struct store_counts counts = store_counts(store);
	store_close(store);
	loop_thread_stop(&homes[0]);
	loop_thread_stop(&homes[1]);
	print_message("  %llu jobs in %llu commits, %llu refused, %llu failures made\n",
		(unsigned long long)counts.jobs, (unsigned long long)counts.commits, (unsigned long long)load.refused,
		(unsigned long long)faulty_vfs_failures());
	for (unsigned i = 0; i < rounds; i++) {
		check_promises(promises[i], after[i]);
		contract_remove_folder(after[i]);
		mem_free(promises[i]);
	}
	struct promise *end = promises_so_far(&load);
	assert_true(check_promises(end, harness_folder) > 0);
	mem_free(end);
}

static void power_cuts_lose_nothing_answered(void **state)
{
	(void)state;
	power_cuts(NULL, 12);
}

static void failing_syncs_and_power_cuts(void **state)
{
	(void)state;
	uint64_t failures = faulty_vfs_failures();
	struct faulty_plan plan = { .suffix = "", .sync_chance = 30, .write_chance = 0, .seed = 7 };
	power_cuts(&plan, 12);
	assert_true(faulty_vfs_failures() > failures);
}

static void failing_writes_and_power_cuts(void **state)
{
	(void)state;
	uint64_t failures = faulty_vfs_failures();
	struct faulty_plan plan = {
		.suffix = "", .sync_chance = 5, .write_chance = 1, .writes_are_full = true, .seed = 9
	};
	power_cuts(&plan, 12);
	assert_true(faulty_vfs_failures() > failures);
}

/* The trap of failed syncs: the process dies with a transaction in the log that readers see and the disk never got; what is answered
 * after the restart must not hang behind that hole. */
static void killed_after_a_failed_sync(void **state)
{
	(void)state;
	char killed[64], cut[64];
	contract_make_folder(killed);
	contract_make_folder(cut);
	struct loop_thread home;
	loop_thread_start(&home);
	struct store *store = start_store(harness_folder);
	must(write_and_wait(store, &home, 1));
	faulty_vfs_plan((struct faulty_plan){ .suffix = "-wal", .sync_chance = 100 });
	assert_int_equal(write_and_wait(store, &home, 2), ERR_IO);
	assert_int_equal(write_and_wait(store, &home, 3), ERR_IO);
	faulty_vfs_kill(harness_folder, killed);
	faulty_vfs_heal();
	store_close(store);

	store = start_store(killed);
	must(write_and_wait(store, &home, 4));
	faulty_vfs_cut_power(killed, cut, 3);
	store_close(store);
	store = open_store(cut);
	assert_true(is_there(store_db(store), 1) && is_there(store_db(store), 4));
	store_close(store);
	loop_thread_stop(&home);
	contract_remove_folder(killed);
	contract_remove_folder(cut);
}

/* Where the disk works again, the remains of one failed sync never come back: neither after the next commit, nor when the process is killed before
 * there is one. */
static void a_failed_sync_leaves_nothing(void **state)
{
	(void)state;
	char killed[2][64], cut[64];
	contract_make_folder(killed[0]);
	contract_make_folder(killed[1]);
	contract_make_folder(cut);
	struct loop_thread home;
	loop_thread_start(&home);
	struct store *store = start_store(harness_folder);
	must(write_and_wait(store, &home, 1));
	faulty_vfs_plan((struct faulty_plan){ .suffix = "-wal", .sync_chance = 100, .limit = 1 });
	assert_int_equal(write_and_wait(store, &home, 2), ERR_IO);
	faulty_vfs_kill(harness_folder, killed[0]);
	must(write_and_wait(store, &home, 3));
	faulty_vfs_kill(harness_folder, killed[1]);
	faulty_vfs_cut_power(harness_folder, cut, 5);
	store_close(store);
	loop_thread_stop(&home);
	const char *const left[] = { killed[0], killed[1], cut, harness_folder };
	for (size_t i = 0; i < 4; i++) {
		store = open_store(left[i]);
		assert_true(is_there(store_db(store), 1));
		assert_false(is_there(store_db(store), 2));
		assert_int_equal(is_there(store_db(store), 3), i > 0);
		store_close(store);
	}
	contract_remove_folder(killed[0]);
	contract_remove_folder(killed[1]);
	contract_remove_folder(cut);
}

int main(void)
{
	faulty_vfs_register();
	const struct CMUnitTest tests[] = {
		HARNESS_TEST(power_cuts_lose_nothing_answered),
		HARNESS_TEST(failing_syncs_and_power_cuts),
		HARNESS_TEST(failing_writes_and_power_cuts),
		HARNESS_TEST(killed_after_a_failed_sync),
		HARNESS_TEST(a_failed_sync_leaves_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
