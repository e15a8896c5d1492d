/* For tests of the store: loops on threads of their own, jobs to wait for, and a gate that makes several jobs one group. */
#ifndef STORE_STORE_HARNESS_H
#define STORE_STORE_HARNESS_H

#include "store/queue_store.h"
#include "store/store.h"

#include <pthread.h>

/* The folder of the running test; cmocka's fixtures. */
extern char harness_folder[64];
int harness_setup(void **state);
int harness_teardown(void **state);
#define HARNESS_TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

/* Fails the test with the error's sentence. */
void must(enum err err);
struct store *open_store(const char *in);
struct store *start_store(const char *in);

struct loop_thread {
	struct loop *loop;
	pthread_t thread;
};
void loop_thread_start(struct loop_thread *t);
void loop_thread_stop(struct loop_thread *t);

/* A message of one recipient, its size made from its id; and its end. */
enum err put_one(struct db *db, uint64_t id) MUST_CHECK;
enum err settle_one(struct db *db, uint64_t id) MUST_CHECK;
bool is_there(struct db *db, uint64_t id);

/* A write job that puts message `id` and can be waited for. */
struct waited {
	struct store_job job;
	uint64_t id;
	enum err wanted; /* run() fails with it, after it has written */
	unsigned runs; /* of run(): the store's thread counts, the waiter reads after done() */
	struct loop_thread *home;
	bool at_home; /* done() came on the loop's thread */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned done_calls;
};
void waited_init(struct waited *w, struct loop_thread *home, uint64_t id);
enum err wait_for(struct waited *w) MUST_CHECK;
enum err write_and_wait(struct store *store, struct loop_thread *home, uint64_t id) MUST_CHECK;

/* Keeps the writer inside a transaction from gate_close() to gate_open(), so that what is queued meanwhile becomes one group. */
struct gate {
	struct waited w;
	bool entered, open;
};
void gate_close(struct gate *gate, struct store *store, struct loop_thread *home);
void gate_open(struct gate *gate);

#endif
