#include "store/store_private.h"

#include <string.h>

void store_jobs_init(struct store_jobs *jobs)
{
	*jobs = (struct store_jobs){ .asleep = 0 };
	pthread_mutex_init(&jobs->lock, NULL);
	pthread_cond_init(&jobs->wake, NULL);
	list_init(&jobs->waiting);
}

void store_jobs_clear(struct store_jobs *jobs)
{
	ASSERT(list_is_empty(&jobs->waiting));
	pthread_mutex_destroy(&jobs->lock);
	pthread_cond_destroy(&jobs->wake);
}

struct store_job *store_job_of(struct list *link)
{
	struct loop_task *task = LIST_ENTRY(link, struct loop_task, link);
	return LIST_ENTRY(task, struct store_job, task);
}

void store_jobs_add(struct store_jobs *jobs, struct loop *loop, struct store_job *job)
{
	job->loop = loop;
	job->err = ERR_OK;
	job->detail[0] = '\0';
	pthread_mutex_lock(&jobs->lock);
	list_append(&jobs->waiting, &job->task.link);
	bool wake = jobs->asleep > 0;
	pthread_mutex_unlock(&jobs->lock);
	/* A thread that is at work looks for more before it sleeps. */
	if (wake)
		pthread_cond_signal(&jobs->wake);
}

bool store_jobs_take(struct store_jobs *jobs, size_t max, struct list *ret)
{
	list_init(ret);
	pthread_mutex_lock(&jobs->lock);
	while (list_is_empty(&jobs->waiting) && !jobs->stopping) {
		jobs->asleep++;
		pthread_cond_wait(&jobs->wake, &jobs->lock);
		jobs->asleep--;
	}
	struct list *link;
	while (max-- > 0 && (link = list_take_first(&jobs->waiting)) != NULL)
		list_append(ret, link);
	pthread_mutex_unlock(&jobs->lock);
	return !list_is_empty(ret);
}

void store_jobs_stop(struct store_jobs *jobs)
{
	pthread_mutex_lock(&jobs->lock);
	jobs->stopping = true;
	pthread_mutex_unlock(&jobs->lock);
	pthread_cond_broadcast(&jobs->wake);
}

static void run_done(struct loop_task *task)
{
	struct store_job *job = LIST_ENTRY(task, struct store_job, task);
	job->done(job);
}

void store_answer(struct store_job *job, enum err err, const char *detail)
{
	job->err = err;
	if (err != ERR_OK)
		snprintf(job->detail, sizeof job->detail, "%s", detail);
	job->task.run = run_done;
	loop_post(job->loop, &job->task);
}
