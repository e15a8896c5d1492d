/*
 * The store: the data folder, its lock, its databases and its threads.
 *   - one writer thread takes ALL waiting write jobs, runs them in one transaction, commits once, and answers all (group commit);
 *   - a few reader threads with connections of their own: a look-up never waits behind a commit;
 *   - one events thread writes the trace (events.db), out of the queue's way.
 * A job's run() is called on the store's thread; its done() later on the loop that asked, exactly once, never from inside
 * store_write(). A write job's run() may be called more than once (when another job of the same group fails, the group is rolled
 * back and its jobs are run one by one), so it must not keep state from an earlier call.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "net/loop.h"
#include "store/db.h"

struct store;
struct store_event;

struct store_job {
	struct loop_task task; /* private */
	struct loop *loop; /* private */
	enum err (*run)(struct store_job *job, struct db *db);
	void (*done)(struct store_job *job);
	enum err err; /* set before done(): ERR_OK only when it is durable (write) or answered (read) */
	char detail[200]; /* a sentence when err is not ERR_OK */
};

struct store_options {
	const char *folder; /* the data folder; must exist and be writable */
	unsigned reader_threads; /* 0: 2 */
	int64_t event_keep_ms; /* the trace is kept this long: 0: 14 days */
};

/* Locks the folder (ERR_BUSY: "another postrider (pid N) uses /data"), opens or creates the databases, brings them to this version
 * (ERR_VERSION: "… was written by a newer postrider (schema 7, this one knows 3): install that version or newer"), sweeps spool files that no
 * message names. Threads are started by store_start() (after privileges were dropped and the process forked for good). */
enum err store_open(const struct store_options *options, struct store **ret) MUST_CHECK;
enum err store_start(struct store *store) MUST_CHECK;
/* Runs what is queued, commits, stops the threads, unlocks. Loops may still run (done() calls are posted to them). */
void store_close(struct store *store);

void store_write(struct store *store, struct loop *loop, struct store_job *job);
void store_read(struct store *store, struct loop *loop, struct store_job *job);
/* As store_read(), on threads that nobody else waits for: for what may look through the whole queue. */
void store_scan(struct store *store, struct loop *loop, struct store_job *job);
/* Before store_start(), or in a command-line program: the writing connection itself; NULL with err_detail() if it can't be opened. A process that
 * called this must not fork before store_start(). */
struct db *store_db(struct store *store);
/* Read connection to events.db for programs without threads (trace). NULL with err_detail() if it can't be opened. */
struct db *store_events_db(struct store *store);
/* Reads at once, on a connection of its own, which costs some milliseconds: for what must be known before the first message. Any thread. */
enum err store_read_now(struct store *store, enum err (*run)(void *owner, struct db *db), void *owner) MUST_CHECK;
/* For programs without threads: writes an event of the trace at once. */
enum err store_event_write(struct store *store, const struct store_event *event) MUST_CHECK;
const char *store_folder(const struct store *store);
/* Counted since start: for the log, `bench` and tests. */
struct store_counts {
	uint64_t commits, jobs, failed_groups;
};
struct store_counts store_counts(const struct store *store);

/* One step in a message's life, for `postrider trace`; copied, written within a second or so. Beyond 100,000 waiting events new ones are
 * dropped and counted (logged), never blocking mail. */
struct store_event {
	uint64_t message_id;
	int64_t at_ms;
	const char *event; /* "received", "delivered" … */
	struct view fields; /* logfmt: key=value key="va lue" */
};
void store_event_add(struct store *store, const struct store_event *event);

#endif
