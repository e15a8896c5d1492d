#include "store/store_harness.h"

#include "store/faulty_vfs.h"
#include "store/store_contract.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

char harness_folder[64];

int harness_setup(void **state)
{
	(void)state;
	contract_make_folder(harness_folder);
	return 0;
}

int harness_teardown(void **state)
{
	(void)state;
	faulty_vfs_heal();
	faulty_vfs_forget();
	contract_remove_folder(harness_folder);
	return 0;
}

void must(enum err err)
{
	if (err != ERR_OK)
		fail_msg("%s: %s", err_name(err), err_detail());
}

struct store *open_store(const char *in)
{
	struct store *store = NULL;
	must(store_open(&(struct store_options){ .folder = in }, &store));
	return store;
}

struct store *start_store(const char *in)
{
	struct store *store = open_store(in);
	must(store_start(store));
	return store;
}

static void *loop_main(void *arg)
{
	loop_run(((struct loop_thread *)arg)->loop);
	return NULL;
}

void loop_thread_start(struct loop_thread *t)
{
	t->loop = loop_new("test");
	assert_non_null(t->loop);
	assert_int_equal(pthread_create(&t->thread, NULL, loop_main, t), 0);
}

void loop_thread_stop(struct loop_thread *t)
{
	loop_stop(t->loop);
	pthread_join(t->thread, NULL);
	loop_free(t->loop);
}

enum err put_one(struct db *db, uint64_t id)
{
	struct queue_recipient recipient = { .address = VIEW("r@example.org"), .due_at_ms = (int64_t)id };
	static uint8_t body[3000];
	struct queue_message message = { .id = id,
		.received_at_ms = 1,
		.reverse_path = VIEW("s@example.net"),
		.body = view_of(body, (size_t)(id * 37 % sizeof body)),
		.recipient_count = 1,
		.recipients = &recipient };
	return queue_store_put(db, &message);
}

enum err settle_one(struct db *db, uint64_t id)
{
	struct queue_outcome outcome = { .index = 0, .kind = QUEUE_SETTLED };
	char spool[64];
	return queue_store_settle(db, id, 1, &outcome, spool);
}

static enum err waited_run(struct store_job *job, struct db *db)
{
	struct waited *w = (struct waited *)job;
	w->runs++;
	enum err err = put_one(db, w->id);
	if (err == ERR_OK && w->wanted != ERR_OK)
		err = err_set(w->wanted, "as the test wanted");
	return err;
}

static void waited_done(struct store_job *job)
{
	struct waited *w = (struct waited *)job;
	pthread_mutex_lock(&w->lock);
	w->at_home = pthread_equal(pthread_self(), w->home->thread) != 0;
	w->done_calls++;
	pthread_cond_signal(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

void waited_init(struct waited *w, struct loop_thread *home, uint64_t id)
{
	*w = (struct waited){ .id = id, .home = home };
	w->job.run = waited_run;
	w->job.done = waited_done;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->changed, NULL);
}

enum err wait_for(struct waited *w)
{
	pthread_mutex_lock(&w->lock);
	while (w->done_calls == 0)
		pthread_cond_wait(&w->changed, &w->lock);
	pthread_mutex_unlock(&w->lock);
	return w->job.err;
}

enum err write_and_wait(struct store *store, struct loop_thread *home, uint64_t id)
{
	struct waited w;
	waited_init(&w, home, id);
	store_write(store, home->loop, &w.job);
	enum err err = wait_for(&w);
	if (err != ERR_OK)
		err_set(err, "%s", w.job.detail);
	return err;
}

static enum err gate_run(struct store_job *job, struct db *db)
{
	(void)db;
	struct gate *gate = (struct gate *)job;
	pthread_mutex_lock(&gate->w.lock);
	gate->entered = true;
	pthread_cond_broadcast(&gate->w.changed);
	while (!gate->open)
		pthread_cond_wait(&gate->w.changed, &gate->w.lock);
	pthread_mutex_unlock(&gate->w.lock);
	return ERR_OK;
}

void gate_close(struct gate *gate, struct store *store, struct loop_thread *home)
{
	*gate = (struct gate){ .entered = false };
	waited_init(&gate->w, home, 0);
	gate->w.job.run = gate_run;
	store_write(store, home->loop, &gate->w.job);
	pthread_mutex_lock(&gate->w.lock);
	while (!gate->entered)
		pthread_cond_wait(&gate->w.changed, &gate->w.lock);
	pthread_mutex_unlock(&gate->w.lock);
}

void gate_open(struct gate *gate)
{
	pthread_mutex_lock(&gate->w.lock);
	gate->open = true;
	pthread_cond_broadcast(&gate->w.changed);
	pthread_mutex_unlock(&gate->w.lock);
	assert_int_equal(wait_for(&gate->w), ERR_OK);
}

bool is_there(struct db *db, uint64_t id)
{
	struct arena arena;
	arena_init(&arena, 65536);
	struct queue_message message;
	enum err err = queue_store_load(db, id, &arena, &message);
	if (err != ERR_NOT_FOUND)
		must(err);
	arena_clear(&arena);
	return err == ERR_OK;
}
