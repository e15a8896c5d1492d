#include "service/tls_results.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/mem.h"
#include "service/dispatcher_private.h"

#include <string.h>

#define ROWS_MAX 4096u
#define BUCKETS 1024u
#define ARENA_BYTES (8u * 1024 * 1024)
#define FLUSH_MS 60000
#define FLUSH_ROWS 1024u
#define DAY_MS (24LL * 60 * 60 * 1000)
#define REASON_MAX_BYTES 200u

struct row {
	struct row *next; /* in its bucket */
	struct row *after; /* in the order of coming */
	struct tls_result result;
};

/* Rows that are written together; they live in one arena. */
struct batch {
	struct store_job job; /* first */
	struct dispatcher *dispatcher; /* waits for it when stopping */
	struct arena arena;
	struct row *buckets[BUCKETS];
	struct row *first, *last;
	size_t count, lost;
};

struct tls_results {
	struct server *server;
	struct loop *loop;
	struct loop_timer timer;
	struct batch *batch; /* being filled; NULL: nothing yet */
};

static void flush(void *owner)
{
	(void)tls_results_flush(owner);
}

struct tls_results *tls_results_new(struct server *server, struct loop *loop)
{
	struct tls_results *results = mem_alloc(sizeof *results);
	results->server = server;
	results->loop = loop;
	loop_timer_init(&results->timer, loop, flush, results);
	return results;
}

static void free_batch(struct batch *batch)
{
	if (batch == NULL)
		return;
	arena_clear(&batch->arena);
	mem_free(batch);
}

void tls_results_free(struct tls_results *results)
{
	if (results == NULL)
		return;
	loop_timer_clear(&results->timer);
	free_batch(results->batch);
	mem_free(results);
}

/* The texts of a row, in one order for hashing, comparing and copying. */
#define TEXTS 8u
static void texts_of(struct tls_result *result, struct view *ret[TEXTS])
{
	struct view *texts[TEXTS] = { &result->domain, &result->policy_type, &result->policy, &result->host,
		&result->result, &result->reason, &result->sending_ip, &result->receiving_ip };
	memcpy(ret, texts, sizeof texts);
}

static uint64_t hash(struct tls_result *result)
{
	struct view *texts[TEXTS];
	uint64_t sum = (uint64_t)result->day;
	texts_of(result, texts);
	for (size_t i = 0; i < TEXTS; i++)
		sum = sum * 31 + view_hash(*texts[i]);
	return sum;
}

static bool is_same(struct tls_result *a, struct tls_result *b)
{
	struct view *left[TEXTS], *right[TEXTS];
	texts_of(a, left);
	texts_of(b, right);
	for (size_t i = 0; i < TEXTS; i++)
		if (!view_eq(*left[i], *right[i]))
			return false;
	return a->day == b->day;
}

static struct row *keep(struct batch *batch, const struct tls_result *result)
{
	struct row *row = batch->count < ROWS_MAX ? arena_alloc(&batch->arena, sizeof *row) : NULL;
	if (row == NULL)
		return NULL;
	struct view *texts[TEXTS];
	row->result = *result;
	texts_of(&row->result, texts);
	for (size_t i = 0; i < TEXTS; i++)
		if (arena_dup(&batch->arena, *texts[i], texts[i]) != ERR_OK)
			return NULL;
	return row;
}

static void count(struct batch *batch, struct tls_result *result)
{
	struct row **at = &batch->buckets[hash(result) % BUCKETS];
	while (*at != NULL && !is_same(&(*at)->result, result))
		at = &(*at)->next;
	if (*at != NULL) {
		(*at)->result.sessions += result->sessions;
		return;
	}
	struct row *row = keep(batch, result);
	if (row == NULL) {
		batch->lost++;
		return;
	}
	*at = row;
	if (batch->last != NULL)
		batch->last->after = row;
	else
		batch->first = row;
	batch->last = row;
	batch->count++;
}

static enum err write_rows(struct store_job *job, struct db *db)
{
	const struct batch *batch = (const struct batch *)(void *)job;
	enum err err = ERR_OK;
	for (const struct row *row = batch->first; row != NULL && err == ERR_OK; row = row->after)
		err = tls_result_store_add(db, &row->result);
	return err;
}

static void written(struct store_job *job)
{
	struct batch *batch = (struct batch *)(void *)job;
	struct dispatcher *dispatcher = batch->dispatcher;
	if (job->err != ERR_OK || batch->lost > 0)
		LOG(LOG_LEVEL_WARNING, "tls-results-lost",
			LOG_NUM("count", job->err != ERR_OK ? batch->count + batch->lost : batch->lost),
			LOG_CSTR("reason", job->err != ERR_OK ? job->detail : "too many at once"));
	free_batch(batch);
	if (dispatcher != NULL)
		dispatcher_job_ended(dispatcher);
}

bool tls_results_flush(struct tls_results *results)
{
	struct batch *batch = results != NULL ? results->batch : NULL;
	if (batch == NULL)
		return false;
	loop_timer_set(&results->timer, INT64_MAX);
	results->batch = NULL;
	batch->job.run = write_rows;
	batch->job.done = written;
	batch->dispatcher = results->server->dispatcher;
	if (batch->dispatcher != NULL)
		dispatcher_job_started(batch->dispatcher);
	store_write(results->server->store, results->loop, &batch->job);
	return true;
}

void tls_result_add(struct tls_results *results, const struct tls_result *result)
{
	if (results == NULL)
		return;
	if (results->batch == NULL) {
		results->batch = mem_alloc(sizeof *results->batch);
		arena_init(&results->batch->arena, ARENA_BYTES);
		loop_timer_set(&results->timer, loop_now_ms(results->loop) + FLUSH_MS);
	}
	struct tls_result dated = *result;
	dated.day = (int32_t)(clock_wall_ms() / DAY_MS);
	dated.reason = view_sub(dated.reason, 0, REASON_MAX_BYTES);
	count(results->batch, &dated);
	if (results->batch->count >= FLUSH_ROWS)
		(void)tls_results_flush(results);
}
