#include "net/testing.h"

#include "net/worker.h"

#include <pthread.h>
#include <stdatomic.h>

enum { JOBS = 500 };

struct sum {
	struct loop *loop;
	pthread_t loop_thread;
	uint64_t total;
	unsigned left;
};
struct square {
	struct worker_job job;
	struct sum *sum;
	uint64_t in, out;
};

static void square_work(struct worker_job *job)
{
	struct square *square = LIST_ENTRY(job, struct square, job);
	assert_false(pthread_equal(pthread_self(), square->sum->loop_thread));
	square->out = square->in * square->in;
}

static void square_done(struct worker_job *job)
{
	struct square *square = LIST_ENTRY(job, struct square, job);
	assert_true(pthread_equal(pthread_self(), square->sum->loop_thread));
	square->sum->total += square->out;
	if (--square->sum->left == 0)
		loop_stop(square->sum->loop);
}

static void init_square(struct square *square, struct sum *sum, uint64_t in)
{
	*square = (struct square){ .job = { .work = square_work, .done = square_done }, .sum = sum, .in = in };
}

static void jobs_run_and_report(void **state)
{
	(void)state;
	struct sum sum = { .loop = loop_new("test"), .loop_thread = pthread_self(), .left = JOBS };
	struct worker_pool *pool = worker_pool_new(3, JOBS);
	static struct square squares[JOBS];
	uint64_t expected = 0;
	for (unsigned i = 0; i < JOBS; i++) {
		init_square(&squares[i], &sum, i);
		expected += (uint64_t)i * i;
		assert_int_equal(worker_pool_run(pool, sum.loop, &squares[i].job), ERR_OK);
	}
	loop_run(sum.loop);
	assert_int_equal(sum.total, expected);
	worker_pool_free(pool);
	loop_free(sum.loop);
}

/* A job that waits until it is let go, so that the queue behind it fills. */
struct gate {
	struct worker_job job;
	atomic_int started;
	pthread_mutex_t closed;
	bool done;
};

static void gate_work(struct worker_job *job)
{
	struct gate *gate = LIST_ENTRY(job, struct gate, job);
	atomic_store(&gate->started, 1);
	pthread_mutex_lock(&gate->closed);
	pthread_mutex_unlock(&gate->closed);
}

static void gate_done(struct worker_job *job)
{
	LIST_ENTRY(job, struct gate, job)->done = true;
}

static void full_queue_refuses_and_free_finishes(void **state)
{
	(void)state;
	struct sum sum = { .loop = loop_new("test"), .loop_thread = pthread_self(), .left = 2 };
	struct worker_pool *pool = worker_pool_new(1, 2);
	struct gate gate = { .job = { .work = gate_work, .done = gate_done }, .closed = PTHREAD_MUTEX_INITIALIZER };
	pthread_mutex_lock(&gate.closed);
	assert_int_equal(worker_pool_run(pool, sum.loop, &gate.job), ERR_OK);
	while (atomic_load(&gate.started) == 0)
		continue;
	struct square a, b, c;
	init_square(&a, &sum, 2);
	init_square(&b, &sum, 3);
	init_square(&c, &sum, 4);
	assert_int_equal(worker_pool_run(pool, sum.loop, &a.job), ERR_OK);
	assert_int_equal(worker_pool_run(pool, sum.loop, &b.job), ERR_OK);
	assert_int_equal(worker_pool_run(pool, sum.loop, &c.job), ERR_LIMIT);
	pthread_mutex_unlock(&gate.closed);
	/* Frees with two jobs waiting: both are worked off, and their answers wait in the loop. */
	worker_pool_free(pool);
	assert_int_equal(sum.total, 0);
	assert_false(gate.done);
	loop_run(sum.loop);
	assert_int_equal(sum.total, 13);
	assert_true(gate.done);
	loop_free(sum.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(jobs_run_and_report),
		cmocka_unit_test(full_queue_refuses_and_free_finishes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
