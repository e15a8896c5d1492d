/* A small pool of threads for slow work: password hashing, file writes with fsync. Jobs are plain values; the answer
 * comes back to the loop that asked. */
#ifndef NET_WORKER_H
#define NET_WORKER_H

#include "net/loop.h"

struct worker_pool;

struct worker_job {
	struct loop_task task; /* private */
	struct loop *loop; /* private */
	void (*work)(struct worker_job *job); /* on a worker thread */
	void (*done)(struct worker_job *job); /* afterwards, on the loop that asked; may free the job */
};
/* NULL with err_detail() if no thread can be started. */
struct worker_pool *worker_pool_new(unsigned threads, size_t queue_max);
/* Finishes the queued jobs' work(), then stops the threads. Their done() calls are posted; loops must still run to
 * see them. */
void worker_pool_free(struct worker_pool *pool);
/* ERR_LIMIT when queue_max jobs wait already: the caller answers "try later". */
enum err worker_pool_run(struct worker_pool *pool, struct loop *loop, struct worker_job *job) MUST_CHECK;

#endif
