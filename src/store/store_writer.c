/*
 * LIFE 6/10: group commit. One thread takes all jobs that wait, runs them in one transaction, syncs once, and answers all.
 *
 * When a job fails, the transaction is rolled back: the jobs before it run again as a group of their own, the failed one alone (what it
 * is told must be true of a store that has its predecessors committed), and the rest as a new group. When the medium fails
 * (disk full, I/O error), all are answered with that at once: the next one would fare no better, and their senders are to hear "try later" soon.
 */
#include "store/store_private.h"

#include "base/clock.h"

#include <string.h>

#define GROUP_JOBS_MAX 2000u
/* Large bodies make long transactions; whoever is in the group waits for all of it. */
#define GROUP_MS_MAX 100

static void move_first(struct list *from, size_t count, struct list *to)
{
	list_init(to);
	while (count-- > 0)
		list_append(to, list_take_first(from));
}

static void answer_all(struct list *jobs, enum err err, const char *detail)
{
	struct list *link;
	while ((link = list_take_first(jobs)) != NULL)
		store_answer(store_job_of(link), err, detail);
}

/* Runs jobs in the transaction until one fails or time is up; *ret_ran counts those that succeeded. */
static enum err run_jobs(struct store *store, struct list *jobs, size_t *ret_ran)
{
	int64_t end_ms = clock_monotonic_ms() + GROUP_MS_MAX;
	enum err err = ERR_OK;
	size_t ran = 0;
	for (struct list *link = jobs->next; link != jobs && err == ERR_OK; link = link->next) {
		if (ran > 0 && ran % 16 == 0 && clock_monotonic_ms() > end_ms)
			break;
		struct store_job *job = store_job_of(link);
		err = job->run(job, store->main);
		ran += err == ERR_OK;
	}
	*ret_ran = ran;
	return err;
}

/* How one transaction with the first jobs of a list ended. Unless it was committed, nothing of it is in the store, the list is as it was, and the
 * sentence is in err_detail(). */
enum outcome {
	COMMITTED, /* its jobs are answered and off the list */
	JOB_FAILED, /* the one behind the first `ran` */
	STORE_FAILED,
};

static enum outcome try_group(struct store *store, struct list *jobs, size_t *ret_ran, enum err *ret_err)
{
	*ret_ran = 0;
	*ret_err = db_begin(store->main);
	if (*ret_err != ERR_OK)
		return STORE_FAILED;
	*ret_err = run_jobs(store, jobs, ret_ran);
	if (*ret_err != ERR_OK) {
		db_rollback(store->main);
		return db_storage_failed(store->main) ? STORE_FAILED : JOB_FAILED;
	}
	*ret_err = db_commit(store->main);
	if (*ret_err != ERR_OK)
		return STORE_FAILED;
	atomic_fetch_add_explicit(&store->commits, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&store->jobs, *ret_ran, memory_order_relaxed);
	struct list done;
	move_first(jobs, *ret_ran, &done);
	answer_all(&done, ERR_OK, "");
	return COMMITTED;
}

/* Each in a transaction of its own. */
static void run_singly(struct store *store, struct list *jobs)
{
	while (!list_is_empty(jobs)) {
		struct list one;
		size_t ran;
		enum err err;
		move_first(jobs, 1, &one);
		if (try_group(store, &one, &ran, &err) != COMMITTED)
			answer_all(&one, err, err_detail());
	}
}

/* The job behind the first `ran` failed for a reason of its own. */
static void part_at_failure(struct store *store, struct list *jobs, size_t ran, enum err err)
{
	struct list before, failed;
	move_first(jobs, ran, &before);
	move_first(jobs, 1, &failed);
	if (ran == 0) {
		answer_all(&failed, err, err_detail()); /* it was alone already */
		return;
	}
	while (!list_is_empty(&before)) {
		size_t again;
		enum outcome outcome = try_group(store, &before, &again, &err);
		if (outcome == JOB_FAILED)
			run_singly(store, &before);
		else if (outcome == STORE_FAILED)
			answer_all(&before, err, err_detail());
	}
	run_singly(store, &failed);
}

static void write_all(struct store *store, struct list *jobs)
{
	while (!list_is_empty(jobs)) {
		size_t ran;
		enum err err;
		enum outcome outcome = try_group(store, jobs, &ran, &err);
		if (outcome == COMMITTED)
			continue;
		atomic_fetch_add_explicit(&store->failed_groups, 1, memory_order_relaxed);
		if (outcome == JOB_FAILED)
			part_at_failure(store, jobs, ran, err);
		else
			answer_all(jobs, err, err_detail());
	}
}

void *store_writer_main(void *arg)
{
	struct store *store = arg;
	struct list jobs;
	while (store_jobs_take(&store->writes, GROUP_JOBS_MAX, &jobs))
		write_all(store, &jobs);
	return NULL;
}
