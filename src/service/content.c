/* Getting a message's content back into memory: the row from the store, a spooled body from its file, on the threads that may block. */
#include "service/dispatcher_private.h"

#include "base/mem.h"
#include "store/spool.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

struct content_job {
	struct store_job read; /* first */
	struct worker_job file;
	struct dispatcher *dispatcher;
	struct message *message;
	size_t spool_max;
	struct buf head, body;
	char spool[64];
	enum err err;
	char detail[200];
	void (*then)(void *owner, enum err err, const char *detail);
	void *owner;
};

static void finish(struct content_job *job, enum err err, const char *detail)
{
	struct message *m = job->message;
	struct dispatcher *d = job->dispatcher;
	if (err == ERR_OK && !m->content_loaded) {
		message_drop_content(m);
		m->head = job->head;
		m->body = job->body;
		job->head = job->body = (struct buf){ 0 };
		memcpy(m->spool, job->spool, sizeof m->spool);
		m->envelope.head = buf_view(&m->head);
		m->envelope.spool = view_from_cstr(m->spool);
		m->content_loaded = true;
		message_count_content(m);
	} else if (err == ERR_OK && job->body.len > m->body.len) {
		/* The start of a spooled body, for a report. */
		buf_clear(&m->body);
		m->body = job->body;
		job->body = (struct buf){ 0 };
		message_count_content(m);
	}
	buf_clear(&job->head);
	buf_clear(&job->body);
	if (job->then != NULL)
		job->then(job->owner, err, detail);
	mem_free(job);
	m->users--;
	dispatcher_message_done(d, m, 0); /* it may have been held by this job alone */
	dispatcher_job_ended(d);
}

static enum err read_row(struct store_job *read, struct db *db)
{
	struct content_job *job = (struct content_job *)(void *)read;
	buf_reset(&job->head);
	buf_reset(&job->body);
	return queue_store_load_content(db, job->message->envelope.id, &job->head, &job->body, job->spool);
}

static void read_file(struct worker_job *file)
{
	struct content_job *job = LIST_ENTRY(file, struct content_job, file);
	int fd = -1;
	uint64_t size = 0;
	job->err = spool_open(store_folder(job->dispatcher->server->store), job->spool, &fd, &size);
	size_t want = size < job->spool_max ? (size_t)size : job->spool_max;
	if (job->err == ERR_OK)
		job->err = buf_reserve(&job->body, want);
	while (job->err == ERR_OK && job->body.len < want) {
		ssize_t n = read(fd, job->body.ptr + job->body.len, want - job->body.len);
		if (n > 0)
			job->body.len += (size_t)n;
		else if (n == 0 || errno != EINTR)
			job->err = err_set(ERR_IO, "cannot read spool file %s: %s", job->spool,
				n == 0 ? "it is too short" : strerror(errno));
	}
	if (fd >= 0)
		close(fd);
	if (job->err == ERR_NOT_FOUND)
		job->err = ERR_IO; /* ERR_NOT_FOUND is said of messages: this one is there, and its file should be */
	if (job->err != ERR_OK)
		snprintf(job->detail, sizeof job->detail, "%s", err_detail());
}

static void file_read(struct worker_job *file)
{
	struct content_job *job = LIST_ENTRY(file, struct content_job, file);
	finish(job, job->err, job->detail);
}

/* False: the job has ended already. */
static bool start_file(struct content_job *job)
{
	job->file.work = read_file;
	job->file.done = file_read;
	if (worker_pool_run(job->dispatcher->server->workers, job->dispatcher->loop, &job->file) == ERR_OK)
		return true;
	finish(job, ERR_LIMIT, "too many files are being read and written");
	return false;
}

static void row_read(struct store_job *read)
{
	struct content_job *job = (struct content_job *)(void *)read;
	if (read->err == ERR_OK && job->spool[0] != '\0' && job->spool_max > 0)
		(void)start_file(job);
	else
		finish(job, read->err, read->detail);
}

void content_cancel(struct content_job *job)
{
	if (job != NULL)
		job->then = NULL;
}

struct removal {
	struct worker_job work; /* first */
	struct dispatcher *dispatcher;
	char name[64];
};

static void remove_file(struct worker_job *work)
{
	struct removal *removal = (struct removal *)(void *)work;
	spool_remove(store_folder(removal->dispatcher->server->store), removal->name);
}

static void file_removed(struct worker_job *work)
{
	struct removal *removal = (struct removal *)(void *)work;
	dispatcher_job_ended(removal->dispatcher);
	mem_free(removal);
}

void content_remove_spool(struct dispatcher *dispatcher, const char *name)
{
	struct removal *removal = mem_alloc(sizeof *removal);
	removal->dispatcher = dispatcher;
	snprintf(removal->name, sizeof removal->name, "%s", name);
	removal->work.work = remove_file;
	removal->work.done = file_removed;
	dispatcher_job_started(dispatcher);
	if (worker_pool_run(dispatcher->server->workers, dispatcher->loop, &removal->work) == ERR_OK)
		return;
	/* One unlink here rather than a file that stays until the next start. */
	remove_file(&removal->work);
	file_removed(&removal->work);
}

struct content_job *content_load(struct dispatcher *dispatcher, struct message *message, size_t spool_max,
	void (*then)(void *owner, enum err err, const char *detail), void *owner)
{
	/* A start of the file that was read for a report is not enough for who wants more of it. */
	uint64_t file_bytes = message->envelope.size_bytes - message->head.len;
	bool spool_wanted = spool_max > 0 && message->spool[0] != '\0' && message->body.len < spool_max &&
		message->body.len < file_bytes;
	if (message->content_loaded && !spool_wanted) {
		then(owner, ERR_OK, "");
		return NULL;
	}
	struct content_job *job = mem_alloc(sizeof *job);
	job->dispatcher = dispatcher;
	job->message = message;
	job->spool_max = spool_max;
	buf_init(&job->body, spool_max > BUF_DEFAULT_MAX_BYTES ? spool_max : BUF_DEFAULT_MAX_BYTES);
	job->then = then;
	job->owner = owner;
	message->users++;
	dispatcher_job_started(dispatcher);
	if (message->content_loaded) {
		memcpy(job->spool, message->spool, sizeof job->spool);
		if (start_file(job))
			return job;
		return NULL;
	}
	job->read.run = read_row;
	job->read.done = row_read;
	store_read(dispatcher->server->store, dispatcher->loop, &job->read);
	return job;
}
