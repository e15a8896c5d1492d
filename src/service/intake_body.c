#include "service/intake_body.h"

#include "base/mem.h"
#include "mail/header.h"
#include "store/spool.h"

#include <string.h>
#include <unistd.h>

/* LIFE 4/10: the body is gathered in memory, or spooled to a file when it is large or memory is short. */

#define PIECE_BYTES (256u * 1024) /* what one write job takes */
#define WAITING_MAX (512u * 1024) /* beyond, the session stops reading */
#define BUDGET_STEP (64u * 1024)
#define HEADER_MAX_BYTES (128u * 1024)

enum spool_step { STEP_WRITE, STEP_FINISH };

/* What a worker works on; outlives the body if the session goes away meanwhile. */
struct spool_job {
	struct worker_job job;
	struct intake_body *body; /* NULL: the session is gone, clean up */
	struct server *server;
	enum spool_step step;
	uint64_t message_id;
	int fd; /* -1: create first */
	char name[64];
	struct buf bytes;
	size_t budget_bytes;
	enum err err;
};

struct intake_body {
	struct intake_body_options options;
	struct buf memory; /* whole body, or what waits for the writer */
	size_t budget_bytes;
	bool spooling;
	bool pressed; /* what is held is more than the server's memory for bodies allows */
	bool finishing;
	bool reported;
	struct spool_job *running;
	int fd;
	char name[64];
	enum err err;
	struct intake_body_result result;
	struct buf header; /* of a spooled body, as much as is looked at */
	void (*finished)(void *owner, struct intake_body_result *result);
};

static void spool_work(struct worker_job *job)
{
	struct spool_job *s = (struct spool_job *)(void *)job;
	const char *folder = store_folder(s->server->store);
	if (s->err == ERR_OK && s->fd < 0)
		s->err = spool_create(folder, s->message_id, &s->fd, s->name);
	if (s->err == ERR_OK && s->bytes.len > 0)
		s->err = spool_write(s->fd, buf_view(&s->bytes));
	if (s->step == STEP_FINISH && s->fd >= 0) {
		if (s->err == ERR_OK) {
			s->err = spool_finish(folder, s->name, s->fd);
		} else {
			close(s->fd);
		}
		s->fd = -1;
	}
}

static void discard_work(struct worker_job *job)
{
	struct spool_job *s = (struct spool_job *)(void *)job;
	if (s->fd >= 0)
		close(s->fd);
	if (s->name[0] != '\0')
		spool_remove(store_folder(s->server->store), s->name);
}

static void free_spool_job(struct worker_job *job)
{
	struct spool_job *s = (struct spool_job *)(void *)job;
	if (s->budget_bytes > 0)
		memory_budget_give(&s->server->body_memory, s->budget_bytes);
	server_job_ended(s->server);
	buf_clear(&s->bytes);
	mem_free(s);
}

/* The file belongs to nobody any more. */
static void discard(struct server *server, struct loop *loop, int fd, const char *name)
{
	if (fd < 0 && name[0] == '\0')
		return;
	struct spool_job *s = mem_alloc(sizeof *s);
	s->server = server;
	s->fd = fd;
	server_job_started(server);
	memcpy(s->name, name, sizeof s->name);
	s->job.work = discard_work;
	s->job.done = free_spool_job;
	if (worker_pool_run(server->workers, loop, &s->job) != ERR_OK) {
		/* The pool is full: one unlink here is better than a file that stays until the next start. */
		discard_work(&s->job);
		free_spool_job(&s->job);
	}
}

static void start_job(struct intake_body *body);

static size_t piece_bytes(const struct intake_body *body)
{
	/* Where memory is used up nothing is gathered: what came is written before more is read. */
	return body->pressed ? 1 : PIECE_BYTES;
}

static void report(struct intake_body *body)
{
	struct intake_body_result *r = &body->result;
	r->err = body->err;
	if (r->err == ERR_OK && !body->spooling) {
		r->memory = body->memory;
		body->memory = (struct buf){ 0 };
	} else if (r->err == ERR_OK) {
		memcpy(r->spool, body->name, sizeof r->spool);
		body->name[0] = '\0';
	}
	body->reported = true;
	body->finished(body->options.owner, r);
}

static void spool_done(struct worker_job *job)
{
	struct spool_job *s = (struct spool_job *)(void *)job;
	struct intake_body *body = s->body;
	if (body == NULL) {
		discard(s->server, job->loop, s->fd, s->name);
		free_spool_job(job);
		return;
	}
	bool was_finish = s->step == STEP_FINISH;
	body->running = NULL;
	body->fd = s->fd;
	memcpy(body->name, s->name, sizeof body->name);
	if (s->err != ERR_OK && body->err == ERR_OK)
		body->err = s->err;
	free_spool_job(job);
	if (was_finish) {
		report(body);
		return;
	}
	if (body->finishing || body->memory.len >= piece_bytes(body))
		start_job(body);
	if (!body->finishing)
		body->options.drained(body->options.owner);
}

static void report_refused(struct loop_task *task)
{
	spool_done(LIST_ENTRY(task, struct worker_job, task));
}

static void start_job(struct intake_body *body)
{
	ASSERT(body->running == NULL);
	struct spool_job *s = mem_alloc(sizeof *s);
	s->server = body->options.server;
	server_job_started(s->server);
	s->body = body;
	s->message_id = body->options.message_id;
	s->fd = body->fd;
	memcpy(s->name, body->name, sizeof s->name);
	s->step = body->finishing ? STEP_FINISH : STEP_WRITE;
	if (body->err == ERR_OK)
		s->bytes = body->memory;
	else
		buf_clear(&body->memory);
	s->err = body->err;
	body->memory = (struct buf){ 0 };
	s->budget_bytes = body->budget_bytes;
	body->budget_bytes = 0;
	s->job.work = spool_work;
	s->job.done = spool_done;
	body->running = s;
	if (worker_pool_run(body->options.server->workers, body->options.loop, &s->job) != ERR_OK) {
		/* More spooling than the disk can take: this message is told to come back later. The answer still comes through
		 * the loop, by a job that does nothing but that. */
		s->err = ERR_LIMIT;
		if (body->err == ERR_OK)
			body->err = ERR_LIMIT;
		if (s->step == STEP_FINISH && s->fd >= 0) {
			close(s->fd);
			s->fd = -1;
		}
		s->job.task.run = report_refused;
		list_init(&s->job.task.link);
		s->job.loop = body->options.loop;
		loop_post(body->options.loop, &s->job.task);
	}
}

struct intake_body *intake_body_new(const struct intake_body_options *options)
{
	struct intake_body *body = mem_alloc(sizeof *body);
	body->options = *options;
	body->fd = -1;
	return body;
}

void intake_body_free(struct intake_body *body)
{
	if (body == NULL)
		return;
	struct server *server = body->options.server;
	if (body->running != NULL)
		body->running->body = NULL; /* spool_done() cleans up */
	else
		discard(server, body->options.loop, body->fd, body->name);
	if (body->budget_bytes > 0)
		memory_budget_give(&server->body_memory, body->budget_bytes);
	buf_clear(&body->memory);
	buf_clear(&body->header);
	mem_free(body);
}

static void look_at_header(struct intake_body *body, struct view start)
{
	body->result.header = view_sub(start, 0, header_section_length(start));
	body->result.received_fields = (unsigned)header_count(body->result.header, VIEW("Received"));
}

/* A spooled body is not read again: what belongs to its header is kept on the way. */
static void keep_header(struct intake_body *body, struct view bytes)
{
	bytes = view_sub(bytes, 0, HEADER_MAX_BYTES - body->header.len);
	if (buf_append(&body->header, bytes) != ERR_OK)
		body->err = ERR_LIMIT;
}

static void begin_spooling(struct intake_body *body, uint64_t header_bytes)
{
	body->spooling = true;
	struct view start = buf_view(&body->memory);
	keep_header(body, view_sub(start, 0, header_bytes < start.len ? (size_t)header_bytes : start.len));
}

static bool count_memory(struct intake_body *body, size_t more)
{
	size_t need = body->memory.len + more;
	if (need <= body->budget_bytes)
		return true;
	size_t step = need - body->budget_bytes;
	if (need > 16384)
		step = (step + BUDGET_STEP - 1) / BUDGET_STEP * BUDGET_STEP;
	if (!memory_budget_take(&body->options.server->body_memory, step))
		return false;
	body->budget_bytes += step;
	return true;
}

void intake_body_append(struct intake_body *body, struct view bytes)
{
	uint64_t header_before = body->result.scan.header_bytes;
	mail_scan_feed(&body->result.scan, bytes);
	if (body->err != ERR_OK)
		return;
	body->pressed = !count_memory(body, bytes.len);
	if (!body->spooling && (body->memory.len + bytes.len > body->options.inline_bytes || body->pressed))
		begin_spooling(body, header_before);
	if (body->spooling)
		keep_header(body, view_sub(bytes, 0, (size_t)(body->result.scan.header_bytes - header_before)));
	if (buf_append(&body->memory, bytes) != ERR_OK)
		body->err = ERR_LIMIT;
	if (body->spooling && body->running == NULL && body->memory.len >= piece_bytes(body))
		start_job(body);
}

bool intake_body_is_full(const struct intake_body *body)
{
	size_t most = body->pressed ? 1 : WAITING_MAX;
	return body->spooling && body->running != NULL && body->memory.len >= most;
}

void intake_body_finish(struct intake_body *body, void (*finished)(void *owner, struct intake_body_result *result))
{
	body->finished = finished;
	body->finishing = true;
	mail_scan_end(&body->result.scan);
	if (body->spooling) {
		look_at_header(body, buf_view(&body->header));
		if (body->running == NULL)
			start_job(body);
		return;
	}
	look_at_header(body, buf_view(&body->memory));
	report(body);
}
