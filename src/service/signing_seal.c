#include "service/signing_private.h"

#include "base/clock.h"
#include "base/mem.h"

#include <stdio.h>

#define RESULTS_MAX 32u

/* The arithmetic, on a worker; outlives the seal if that goes away meanwhile. */
struct job {
	struct worker_job work; /* first */
	struct signing_seal *seal; /* NULL: gone */
	struct server *server;
	struct arc_sealer *sealer;
	struct signing_keys *keys; /* held for the sealer */
	struct arc_verdict verdict;
	struct buf id, results[RESULTS_MAX];
	size_t result_count;
	enum err err;
	char detail[200];
	struct buf fields;
};

struct signing_seal {
	struct intake_tap tap;
	struct server *server;
	struct loop *loop;
	struct signing_keys *keys;
	struct arc_sealer *sealer; /* NULL: it is not sealed */
	struct job *running;
	void (*done)(void *owner, struct view fields);
	void *owner;
};

static void on_header(struct intake_tap *tap, const struct intake_header *header)
{
	struct signing_seal *seal = LIST_ENTRY(tap, struct signing_seal, tap);
	struct buf both = { 0 };
	enum err err = header->is_whole ? buf_append(&both, header->added) : ERR_LIMIT;
	if (err == ERR_OK)
		err = buf_append(&both, header->kept);
	if (err == ERR_OK)
		err = arc_sealer_headers(seal->sealer, buf_view(&both));
	if (err != ERR_OK) {
		arc_sealer_free(seal->sealer);
		seal->sealer = NULL;
	}
	buf_clear(&both);
}

static void on_body(struct intake_tap *tap, struct view piece)
{
	struct signing_seal *seal = LIST_ENTRY(tap, struct signing_seal, tap);
	if (seal->sealer == NULL)
		return;
	enum err err = arc_sealer_body(seal->sealer, piece);
	ASSERT(err == ERR_OK);
}

static void on_end(struct intake_tap *tap)
{
	(void)tap;
}

struct signing_seal *signing_seal_new(const struct signing_options *options, struct view domain)
{
	struct dkim_sign_key found[DKIM_SIGN_KEYS_MAX];
	struct arc_seal_options seal_options = { .now_s = (uint64_t)(clock_wall_ms() / 1000) };
	struct arc_sealer *sealer = NULL;
	if (!signing_has_keys(options->server->signing) ||
		!signing_find_ours(options->server->domains, domain, &seal_options.domain))
		return NULL;
	struct signing_keys *keys = signing_keys_now(options->server->signing);
	/* The first is RSA, if there is one: what every verifier of ARC knows. */
	if (signing_keys_find(keys, seal_options.domain, 0, NULL, found) > 0) {
		seal_options.key = found[0];
		if (arc_sealer_new(&seal_options, &sealer) != ERR_OK)
			sealer = NULL;
	}
	if (sealer == NULL) {
		signing_keys_unref(keys);
		return NULL;
	}
	struct signing_seal *seal = mem_alloc(sizeof *seal);
	seal->server = options->server;
	seal->loop = options->loop;
	seal->keys = keys;
	seal->sealer = sealer;
	list_init(&seal->tap.link);
	seal->tap.header = on_header;
	seal->tap.body = on_body;
	seal->tap.end = on_end;
	return seal;
}

struct intake_tap *signing_seal_tap(struct signing_seal *seal)
{
	return &seal->tap;
}

static void make_seal(struct worker_job *work)
{
	struct job *job = (struct job *)(void *)work;
	struct view results[RESULTS_MAX];
	for (size_t i = 0; i < job->result_count; i++)
		results[i] = buf_view(&job->results[i]);
	struct arc_seal_finish finish = { .verdict = job->verdict,
		.authserv_id = buf_view(&job->id),
		.results = results,
		.result_count = job->result_count };
	job->err = arc_sealer_finish(job->sealer, &finish, &job->fields);
	if (job->err != ERR_OK)
		snprintf(job->detail, sizeof job->detail, "%s", err_detail());
}

static void job_done(struct worker_job *work)
{
	struct job *job = (struct job *)(void *)work;
	struct signing_seal *seal = job->seal;
	struct server *server = job->server;
	if (job->err != ERR_OK)
		LOG(LOG_LEVEL_WARNING, "unsealed", LOG_CSTR("reason", job->detail));
	if (seal != NULL) {
		seal->running = NULL;
		seal->done(seal->owner, job->err == ERR_OK ? buf_view(&job->fields) : VIEW_NONE);
	}
	arc_sealer_free(job->sealer);
	signing_keys_unref(job->keys);
	for (size_t i = 0; i < job->result_count; i++)
		buf_clear(&job->results[i]);
	buf_clear(&job->id);
	buf_clear(&job->fields);
	mem_free(job);
	server_job_ended(server);
}

static struct job *new_job(struct signing_seal *seal, const struct arc_seal_finish *finish)
{
	struct job *job = mem_alloc(sizeof *job);
	job->seal = seal;
	job->server = seal->server;
	job->sealer = seal->sealer;
	job->keys = seal->keys;
	seal->sealer = NULL;
	seal->keys = NULL;
	job->verdict = finish->verdict;
	enum err err = buf_append(&job->id, finish->authserv_id);
	ASSERT(err == ERR_OK && finish->result_count <= RESULTS_MAX);
	for (; job->result_count < finish->result_count; job->result_count++) {
		err = buf_append(&job->results[job->result_count], finish->results[job->result_count]);
		ASSERT(err == ERR_OK); /* lines of a field */
	}
	job->work.work = make_seal;
	job->work.done = job_done;
	return job;
}

void signing_seal_finish(struct signing_seal *seal, const struct arc_seal_finish *finish,
	void (*done)(void *owner, struct view fields), void *owner)
{
	if (seal->sealer == NULL) {
		done(owner, VIEW_NONE);
		return;
	}
	struct job *job = new_job(seal, finish);
	seal->done = done;
	seal->owner = owner;
	seal->running = job;
	server_job_started(seal->server);
	if (worker_pool_run(seal->server->workers, seal->loop, &job->work) == ERR_OK)
		return;
	/* More work than the workers can do. */
	seal->running = NULL;
	job->seal = NULL;
	job_done(&job->work);
	done(owner, VIEW_NONE);
}

void signing_seal_free(struct signing_seal *seal)
{
	if (seal == NULL)
		return;
	if (seal->running != NULL)
		seal->running->seal = NULL;
	list_remove(&seal->tap.link);
	arc_sealer_free(seal->sealer);
	signing_keys_unref(seal->keys);
	mem_free(seal);
}
