#include "net/worker.h"

#include "base/mem.h"

#include <pthread.h>
#include <signal.h>

struct worker_pool {
	pthread_mutex_t lock;
	pthread_cond_t wanted;
	struct list queue;
	size_t queue_len;
	size_t queue_max;
	bool stopping;
	unsigned thread_count;
	pthread_t threads[];
};

static void report_done(struct loop_task *task)
{
	struct worker_job *job = LIST_ENTRY(task, struct worker_job, task);
	job->done(job);
}

/* The next job, or NULL when the pool is stopping and nothing is left. */
static struct worker_job *take_job(struct worker_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	while (list_is_empty(&pool->queue) && !pool->stopping)
		pthread_cond_wait(&pool->wanted, &pool->lock);
	struct list *link = list_take_first(&pool->queue);
	if (link != NULL)
		pool->queue_len--;
	pthread_mutex_unlock(&pool->lock);
	return link != NULL ? LIST_ENTRY(link, struct worker_job, task.link) : NULL;
}

static void *work(void *arg)
{
	struct worker_pool *pool = arg;
	struct worker_job *job;
	while ((job = take_job(pool)) != NULL) {
		job->work(job);
		job->task.run = report_done;
		loop_post(job->loop, &job->task);
	}
	return NULL;
}

struct worker_pool *worker_pool_new(unsigned threads, size_t queue_max)
{
	if (threads == 0)
		threads = 1;
	struct worker_pool *pool = mem_alloc(sizeof *pool + threads * sizeof pool->threads[0]);
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->wanted, NULL);
	list_init(&pool->queue);
	pool->queue_max = queue_max;
	/* Signals are for the main loop's thread. */
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (; pool->thread_count < threads; pool->thread_count++)
		if (pthread_create(&pool->threads[pool->thread_count], NULL, work, pool) != 0)
			break;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (pool->thread_count == 0) {
		worker_pool_free(pool);
		err_set(ERR_IO, "cannot start a worker thread: the system's limit on threads is reached");
		return NULL;
	}
	return pool;
}

void worker_pool_free(struct worker_pool *pool)
{
	if (pool == NULL)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->stopping = true;
	pthread_cond_broadcast(&pool->wanted);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->thread_count; i++)
		pthread_join(pool->threads[i], NULL);
	pthread_cond_destroy(&pool->wanted);
	pthread_mutex_destroy(&pool->lock);
	mem_free(pool);
}

enum err worker_pool_run(struct worker_pool *pool, struct loop *loop, struct worker_job *job)
{
	job->loop = loop;
	pthread_mutex_lock(&pool->lock);
	bool full = pool->queue_len >= pool->queue_max;
	if (!full) {
		list_append(&pool->queue, &job->task.link);
		pool->queue_len++;
		pthread_cond_signal(&pool->wanted);
	}
	pthread_mutex_unlock(&pool->lock);
	return full ? err_set(ERR_LIMIT, "%zu jobs wait for a worker thread already", pool->queue_max) : ERR_OK;
}
