#include "store/store_private.h"

#include "base/mem.h"
#include "queue/id.h"
#include "store/spool.h"
#include "store/store_schema.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EVENT_KEEP_MS (14ll * 24 * 3600 * 1000)

char *store_url(const struct store *store, const char *name)
{
	size_t size = strlen(store->folder) + strlen(name) + 16;
	char *url = mem_alloc(size);
	snprintf(url, size, "sqlite:%s/%s", store->folder, name);
	return url;
}

static enum err open_file(
	const struct store *store, const char *name, bool read_only, enum db_sync sync, struct db **ret)
{
	char *url = store_url(store, name);
	enum err err = db_open(url, read_only, sync, ret);
	mem_free(url);
	return err;
}

/* Opens, migrates, and moves what the last run left in the log into the file. The latter before anything is appended to the log: see
 * db_sqlite.c on what a failed sync and a crash leave there. */
static enum err open_database(
	const struct store *store, const char *name, enum db_sync sync, enum store_schema schema, struct db **ret)
{
	struct db *db = NULL;
	char *url = store_url(store, name);
	enum err err = db_open(url, false, sync, &db);
	if (err == ERR_OK)
		err = db_empty_log(db);
	if (err == ERR_OK)
		err = store_schema_migrate(db, schema, url + strlen("sqlite:"));
	mem_free(url);
	if (err != ERR_OK)
		db_close(db);
	else
		*ret = db;
	return err;
}

static enum err open_main(struct store *store)
{
	if (store->main != NULL)
		return ERR_OK;
	return open_database(store, STORE_MAIN_FILE, DB_SYNC_FULL, STORE_SCHEMA_MAIN, &store->main);
}

struct sweep {
	struct db *db;
	enum err err;
};

/* A file stays if its message's row names it, and if that can't be found out. */
static bool is_named(void *owner, const char *name)
{
	struct sweep *sweep = owner;
	uint64_t id;
	struct db_statement *s = db_prepare(sweep->db, "SELECT 1 FROM message WHERE id = $1 AND spool = $2");
	if (s == NULL || queue_id_parse(view_from_cstr(name + 3), &id) != ERR_OK) {
		sweep->err = ERR_IO;
		return true;
	}
	db_bind_int(s, 1, (int64_t)id);
	db_bind_text(s, 2, view_from_cstr(name));
	bool row = true;
	enum err err = db_step(s, &row);
	if (err != ERR_OK) {
		sweep->err = err;
		return true;
	}
	db_reset(s);
	return row;
}

/* Made by root for a service that will run as somebody else: what is in the folder belongs to the folder's owner. */
static void give_to_owner(const struct store *store)
{
	static const char *const names[] = { "postrider.lock", STORE_MAIN_FILE, STORE_MAIN_FILE "-wal",
		STORE_MAIN_FILE "-shm", STORE_EVENTS_FILE, STORE_EVENTS_FILE "-wal", STORE_EVENTS_FILE "-shm",
		"spool" };
	struct stat stat;
	int folder = open(store->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return;
	if (fstat(folder, &stat) == 0 && stat.st_uid != 0)
		for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
			/* If it fails, the service will say that it can't write. */
			(void)!fchownat(folder, names[i], stat.st_uid, stat.st_gid, AT_SYMLINK_NOFOLLOW);
	close(folder);
}

static enum err sync_folder(const struct store *store)
{
	int fd = open(store->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum err err = ERR_OK;
	if (fd < 0 || fsync(fd) != 0)
		err = err_set(err_from_errno(errno), "cannot use %s: %s", store->folder, strerrordesc_np(errno));
	if (fd >= 0)
		close(fd);
	return err;
}

static enum err prepare_folder(struct store *store)
{
	struct db *events = NULL;
	enum err err = store_lock(store);
	if (err == ERR_OK)
		err = open_main(store);
	if (err == ERR_OK)
		err = open_database(store, STORE_EVENTS_FILE, DB_SYNC_RELAXED, STORE_SCHEMA_EVENTS, &events);
	struct sweep sweep = { .db = store->main };
	if (err == ERR_OK)
		err = spool_sweep(store->folder, is_named, &sweep);
	if (err == ERR_OK)
		err = sweep.err;
	if (err == ERR_OK)
		err = sync_folder(store);
	if (err == ERR_OK && geteuid() == 0)
		give_to_owner(store);
	/* Closed again: no connection may be open when the process forks, and store_start() may come after that. */
	db_close(events);
	db_close(store->main);
	store->main = NULL;
	return err;
}

enum err store_open(const struct store_options *options, struct store **ret)
{
	struct store *store = mem_alloc(sizeof *store);
	store->folder = mem_dup_cstr(options->folder);
	store->lock_fd = -1;
	store->reader_count = options->reader_threads > 0 ? options->reader_threads : 2;
	if (store->reader_count > STORE_READERS_MAX)
		store->reader_count = STORE_READERS_MAX;
	store->events.keep_ms = options->event_keep_ms > 0 ? options->event_keep_ms : EVENT_KEEP_MS;
	store_jobs_init(&store->writes);
	store_jobs_init(&store->reads);
	store_jobs_init(&store->scans);
	store_events_init(&store->events);
	enum err err = prepare_folder(store);
	if (err != ERR_OK) {
		store_close(store);
		return err;
	}
	*ret = store;
	return ERR_OK;
}

static void *reader_main(void *arg)
{
	struct store_reader *reader = arg;
	struct list jobs;
	while (store_jobs_take(reader->jobs, 1, &jobs)) {
		struct store_job *job = store_job_of(list_take_first(&jobs));
		enum err err = job->run(job, reader->db);
		store_answer(job, err, err_detail());
	}
	return NULL;
}

static enum err start_thread(pthread_t *thread, void *(*run)(void *), void *arg, bool *ret_started)
{
	int reason = pthread_create(thread, NULL, run, arg);
	if (reason != 0)
		return err_set(
			err_from_errno(reason), "cannot start a thread of the store: %s", strerrordesc_np(reason));
	*ret_started = true;
	return ERR_OK;
}

static enum err start_readers(struct store *store, size_t count, struct store_reader *readers, struct store_jobs *jobs)
{
	enum err err = ERR_OK;
	for (size_t i = 0; i < count && err == ERR_OK; i++) {
		struct store_reader *reader = &readers[i];
		reader->jobs = jobs;
		err = open_file(store, STORE_MAIN_FILE, true, DB_SYNC_FULL, &reader->db);
		if (err == ERR_OK)
			err = start_thread(&reader->thread, reader_main, reader, &reader->started);
	}
	return err;
}

enum err store_start(struct store *store)
{
	if (store->main != NULL && store->opened_by != getpid())
		return err_set(ERR_STATE, "the store was used before the process forked");
	store_lock_name_owner(store);
	struct store_events *events = &store->events;
	enum err err = open_main(store);
	if (err == ERR_OK)
		err = open_file(store, STORE_EVENTS_FILE, false, DB_SYNC_RELAXED, &events->db);
	if (err == ERR_OK)
		err = start_thread(&store->writer, store_writer_main, store, &store->writer_started);
	if (err == ERR_OK)
		err = start_thread(&events->thread, store_events_main, store, &events->started);
	if (err == ERR_OK)
		err = start_readers(store, store->reader_count, store->readers, &store->reads);
	if (err == ERR_OK)
		err = start_readers(store, STORE_SCANNERS, store->scanners, &store->scans);
	return err;
}

static void stop_readers(size_t count, struct store_reader *readers, struct store_jobs *jobs)
{
	store_jobs_stop(jobs);
	for (size_t i = 0; i < count; i++) {
		if (readers[i].started)
			pthread_join(readers[i].thread, NULL);
		db_close(readers[i].db);
	}
}

/* Jobs that no thread was ever there for. */
static void cancel_all(struct store_jobs *jobs)
{
	struct list *link;
	while ((link = list_take_first(&jobs->waiting)) != NULL)
		store_answer(store_job_of(link), ERR_CANCELLED, "the store was closed before it was started");
}

void store_close(struct store *store)
{
	if (store == NULL)
		return;
	stop_readers(store->reader_count, store->readers, &store->reads);
	stop_readers(STORE_SCANNERS, store->scanners, &store->scans);
	store_jobs_stop(&store->writes);
	if (store->writer_started)
		pthread_join(store->writer, NULL);
	store_events_stop(&store->events);
	if (store->events.started)
		pthread_join(store->events.thread, NULL);
	cancel_all(&store->reads);
	cancel_all(&store->scans);
	cancel_all(&store->writes);
	db_close(store->events_reader);
	db_close(store->events_writer);
	db_close(store->events.db);
	db_close(store->main);
	store_unlock(store);
	store_events_clear(&store->events);
	store_jobs_clear(&store->reads);
	store_jobs_clear(&store->scans);
	store_jobs_clear(&store->writes);
	mem_free(store->folder);
	mem_free(store);
}

void store_write(struct store *store, struct loop *loop, struct store_job *job)
{
	store_jobs_add(&store->writes, loop, job);
}

void store_read(struct store *store, struct loop *loop, struct store_job *job)
{
	store_jobs_add(&store->reads, loop, job);
}

void store_scan(struct store *store, struct loop *loop, struct store_job *job)
{
	store_jobs_add(&store->scans, loop, job);
}

struct db *store_db(struct store *store)
{
	ASSERT(!store->writer_started);
	if (open_main(store) != ERR_OK)
		return NULL;
	store->opened_by = getpid();
	return store->main;
}

struct db *store_events_db(struct store *store)
{
	if (store->events_reader == NULL &&
		open_file(store, STORE_EVENTS_FILE, true, DB_SYNC_RELAXED, &store->events_reader) != ERR_OK)
		return NULL;
	return store->events_reader;
}

enum err store_read_now(struct store *store, enum err (*run)(void *owner, struct db *db), void *owner)
{
	struct db *db = NULL;
	enum err err = open_file(store, STORE_MAIN_FILE, true, DB_SYNC_FULL, &db);
	if (err == ERR_OK)
		err = run(owner, db);
	db_close(db);
	return err;
}

enum err store_event_write(struct store *store, const struct store_event *event)
{
	ASSERT(!store->events.started);
	enum err err = ERR_OK;
	if (store->events_writer == NULL)
		err = open_file(store, STORE_EVENTS_FILE, false, DB_SYNC_RELAXED, &store->events_writer);
	return err == ERR_OK ? event_store_put(store->events_writer, event) : err;
}

const char *store_folder(const struct store *store)
{
	return store->folder;
}

struct store_counts store_counts(const struct store *store)
{
	return (struct store_counts){
		.commits = atomic_load_explicit(&store->commits, memory_order_relaxed),
		.jobs = atomic_load_explicit(&store->jobs, memory_order_relaxed),
		.failed_groups = atomic_load_explicit(&store->failed_groups, memory_order_relaxed),
	};
}
