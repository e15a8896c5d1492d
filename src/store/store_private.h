/* The store's inside: what its files share. */
#ifndef STORE_STORE_PRIVATE_H
#define STORE_STORE_PRIVATE_H

#include "base/buf.h"
#include "store/db_private.h"
#include "store/event_store.h"

#include <pthread.h>
#include <stdatomic.h>

#define STORE_READERS_MAX 64u
#define STORE_SCANNERS 2u

/* Jobs on their way to threads; the writer has one for itself, the readers share one. */
struct store_jobs {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct list waiting;
	unsigned asleep; /* threads in the wait */
	bool stopping;
};
void store_jobs_init(struct store_jobs *jobs);
void store_jobs_clear(struct store_jobs *jobs);
void store_jobs_add(struct store_jobs *jobs, struct loop *loop, struct store_job *job);
/* Waits for jobs and takes the first `max` of them into `ret` (uninitialised before); false when stopping and none is left. */
bool store_jobs_take(struct store_jobs *jobs, size_t max, struct list *ret);
void store_jobs_stop(struct store_jobs *jobs);

/* Fills in the outcome and posts the job to its loop. The job is gone afterwards. `detail` is copied. */
void store_answer(struct store_job *job, enum err err, const char *detail);
/* The job behind a link of a struct store_jobs' list. */
struct store_job *store_job_of(struct list *link);

struct store_reader {
	struct store_jobs *jobs; /* the readers' or the scanners' */
	struct db *db;
	pthread_t thread;
	bool started;
};

/* Events wait as records in one buffer: a fixed part, then the two texts. */
struct store_events {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct buf waiting;
	size_t waiting_count;
	uint64_t dropped;
	bool stopping;
	struct db *db; /* the events thread's own */
	pthread_t thread;
	bool started;
	int64_t keep_ms;
};

struct store {
	char *folder;
	int lock_fd;
	pid_t opened_by; /* a connection must not be carried over a fork */
	struct db *main; /* opened when first needed; the writer's once it runs */
	struct db *events_reader, *events_writer;
	struct store_jobs writes, reads, scans;
	pthread_t writer;
	bool writer_started;
	unsigned reader_count;
	struct store_reader readers[STORE_READERS_MAX];
	struct store_reader scanners[STORE_SCANNERS];
	struct store_events events;
	_Atomic uint64_t commits, jobs, failed_groups;
};

/* "sqlite:<folder>/<name>"; the caller frees. */
char *store_url(const struct store *store, const char *name);
#define STORE_MAIN_FILE "postrider.db"
#define STORE_EVENTS_FILE "events.db"

/* ERR_BUSY with the sentence of store_open(). */
enum err store_lock(struct store *store) MUST_CHECK;
/* Our process id into the lock file: again after a fork. */
void store_lock_name_owner(struct store *store);
void store_unlock(struct store *store);

void *store_writer_main(void *store);
void *store_events_main(void *store);
void store_events_init(struct store_events *events);
void store_events_clear(struct store_events *events);
void store_events_stop(struct store_events *events);

#endif
