/*
 * What shaping rules suspended: the mail of one stream to one site. The limiter of the two holds it; the store keeps a row of it, so that it outlasts this
 * process, is seen by operators, and can be lifted by them. Rows are written when a suspension begins, or becomes longer by more than a little:
 * not for each reply that says the same, and never in the way of a delivery.
 */
#include "service/dispatcher_private.h"

#include "base/clock.h"
#include "base/mem.h"

#include <string.h>

/* Replies that come in together count as one: a row whose end is early by this part of the time is good enough. */
#define LONGER_PART 10

struct shaped {
	struct list link;
	struct dispatcher *dispatcher;
	struct limiter *limiter; /* lives as long as it is suspended, and this is dropped before it may go */
	struct suspension suspension;
	struct buf texts; /* its own */
	bool is_restored; /* it is from an earlier process: the wall clock says when it ends */
	bool is_stored;
	bool is_fresh; /* stored since the reading under way began, which may have looked too early */
	uint32_t writes; /* under way */
};

struct dispatcher_shaped {
	struct list all;
	size_t count;
};

struct shaped_write {
	struct store_job job; /* first */
	struct shaped *shaped;
	struct suspension suspension;
	struct buf texts;
};

struct shaped_tidy {
	struct store_job job; /* first */
	struct dispatcher *dispatcher;
};

struct dispatcher_shaped *dispatcher_shaped_new(void)
{
	struct dispatcher_shaped *all = mem_alloc(sizeof *all);
	list_init(&all->all);
	return all;
}

static void drop(struct shaped *shaped)
{
	ASSERT(shaped->writes == 0);
	shaped->limiter->suspended_by = NULL;
	list_remove(&shaped->link);
	shaped->dispatcher->shaped->count--;
	buf_clear(&shaped->texts);
	mem_free(shaped);
}

void dispatcher_shaped_free(struct dispatcher_shaped *all)
{
	if (all == NULL)
		return;
	while (!list_is_empty(&all->all))
		drop(LIST_ENTRY(all->all.next, struct shaped, link));
	mem_free(all);
}

/* Its texts are copied into `texts`, which must have been empty. */
static void keep(struct suspension *suspension, struct buf *texts)
{
	struct view *const kept[] = { &suspension->name, &suspension->stream, &suspension->reason };
	size_t at = 0;
	enum err err = ERR_OK;
	for (size_t i = 0; i < sizeof kept / sizeof kept[0] && err == ERR_OK; i++)
		err = buf_append(texts, *kept[i]);
	ASSERT(err == ERR_OK);
	for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
		*kept[i] = view_sub(buf_view(texts), at, kept[i]->len);
		at += kept[i]->len;
	}
}

static void set_suspension(struct shaped *shaped, const struct suspension *suspension)
{
	struct suspension kept = *suspension;
	struct buf texts = { 0 };
	keep(&kept, &texts);
	buf_clear(&shaped->texts);
	shaped->texts = texts;
	shaped->suspension = kept;
}

static struct shaped *shaped_of(struct dispatcher *d, struct limiter *limiter)
{
	if (limiter->suspended_by != NULL)
		return limiter->suspended_by;
	struct shaped *shaped = mem_alloc(sizeof *shaped);
	shaped->dispatcher = d;
	shaped->limiter = limiter;
	list_append(&d->shaped->all, &shaped->link);
	d->shaped->count++;
	limiter->suspended_by = shaped;
	return shaped;
}

static void hold_back(struct shaped *shaped, int64_t until_ms)
{
	struct buf reply = { 0 };
	enum err err = suspension_reply(&shaped->suspension, &reply);
	ASSERT(err == ERR_OK);
	limiter_suspend(shaped->limiter, until_ms, buf_view(&reply));
	buf_clear(&reply);
}

static enum err run_write(struct store_job *job, struct db *db)
{
	struct shaped_write *write = (struct shaped_write *)(void *)job;
	return suspension_store_set(db, &write->suspension);
}

static void written(struct store_job *job)
{
	struct shaped_write *write = (struct shaped_write *)(void *)job;
	struct shaped *shaped = write->shaped;
	struct dispatcher *d = shaped->dispatcher;
	shaped->writes--;
	/* One that can't be written is in force all the same, and tried again by the next tidying. */
	if (job->err == ERR_OK)
		shaped->is_stored = shaped->is_fresh = true;
	else
		LOG(LOG_LEVEL_ERROR, "suspension-unwritten", LOG_TEXT("site", write->suspension.name),
			LOG_CSTR("reason", job->detail));
	buf_clear(&write->texts);
	mem_free(write);
	dispatcher_job_ended(d);
}

/* More than so many are in memory only: the table is small, for it is read as a whole. */
static void write_row(struct shaped *shaped)
{
	struct dispatcher *d = shaped->dispatcher;
	if (d->shaped->count > SUSPENSIONS_MAX)
		return;
	struct shaped_write *write = mem_alloc(sizeof *write);
	write->shaped = shaped;
	write->suspension = shaped->suspension;
	keep(&write->suspension, &write->texts);
	write->job.run = run_write;
	write->job.done = written;
	shaped->writes++;
	dispatcher_job_started(d);
	store_write(d->server->store, d->loop, &write->job);
}

/* Cut where no character is cut in two. */
static struct view reason_from(struct view reply)
{
	struct view cut = view_sub(reply, 0, SUSPENSION_REASON_MAX_BYTES);
	if (cut.len < reply.len)
		while (cut.len > 0 && (reply.ptr[cut.len] & 0xc0) == 0x80)
			cut.len--;
	return cut;
}

void dispatcher_shaped_suspend(struct dispatcher *dispatcher, struct limiter *limiter, struct view site,
	struct view stream, struct view reply, int64_t for_ms)
{
	int64_t now_ms = loop_now_ms(dispatcher->loop);
	int64_t before_ms = limiter->suspended_until_ms > now_ms ? limiter->suspended_until_ms : 0;
	int64_t until_ms = now_ms + for_ms;
	if (until_ms <= before_ms)
		return;
	struct shaped *shaped = shaped_of(dispatcher, limiter);
	bool is_news = before_ms == 0 || until_ms - before_ms > for_ms / LONGER_PART;
	if (is_news) {
		set_suspension(shaped,
			&(struct suspension){ .source = SUSPENSION_BY_RULE,
				.kind = SUSPENSION_SITE,
				.name = view_sub(site, 0, SUSPENSION_NAME_MAX_BYTES),
				.stream = view_sub(stream, 0, SUSPENSION_STREAM_MAX_BYTES),
				.until_ms = clock_wall_ms() + for_ms,
				.reason = reason_from(reply) });
		shaped->is_restored = shaped->is_stored = false;
		write_row(shaped);
	}
	hold_back(shaped, until_ms);
}

static struct limiter *limiter_for(struct dispatcher *d, const struct suspension *suspension)
{
	struct buf name = { 0 };
	enum err err = buf_append_format(
		&name, "site/%.*s@%.*s", VIEW_ARG(suspension->name), VIEW_ARG(suspension->stream));
	ASSERT(err == ERR_OK);
	/* Its limits are set when the first destination comes to stand under it. */
	struct limiter *limiter = limiter_get(d->limiters, buf_view(&name), &(struct limiter_limits){ 0 });
	buf_clear(&name);
	return limiter;
}

void dispatcher_shaped_restore(struct dispatcher *dispatcher, const struct suspension *suspension)
{
	int64_t left_ms = suspension->until_ms - clock_wall_ms();
	if (left_ms <= 0)
		return;
	struct shaped *shaped = shaped_of(dispatcher, limiter_for(dispatcher, suspension));
	set_suspension(shaped, suspension);
	shaped->is_restored = shaped->is_stored = true;
	hold_back(shaped, loop_now_ms(dispatcher->loop) + left_ms);
}

void dispatcher_shaped_reading_begins(struct dispatcher *dispatcher)
{
	for (struct list *l = dispatcher->shaped->all.next; l != &dispatcher->shaped->all; l = l->next)
		LIST_ENTRY(l, struct shaped, link)->is_fresh = false;
}

void dispatcher_shaped_lift(struct dispatcher *dispatcher)
{
	struct dispatcher *d = dispatcher;
	struct list *next;
	for (struct list *l = d->shaped->all.next; l != &d->shaped->all; l = next) {
		next = l->next;
		struct shaped *shaped = LIST_ENTRY(l, struct shaped, link);
		if (!shaped->is_stored || shaped->is_fresh || shaped->writes > 0 ||
			shaped->limiter->suspended_until_ms <= loop_now_ms(d->loop) ||
			shaped->suspension.until_ms <= clock_wall_ms() || /* its row ends by itself, a little sooner */
			dispatcher_find_suspension(d, &shaped->suspension) != NULL)
			continue;
		LOG(LOG_LEVEL_INFO, "site-resumed", LOG_TEXT("site", shaped->suspension.name),
			LOG_TEXT("stream", shaped->suspension.stream));
		limiter_resume(shaped->limiter);
		destination_ask_again(d->destinations, shaped->limiter);
		drop(shaped);
	}
	dispatcher_pump_soon(d);
}

static enum err run_tidy(struct store_job *job, struct db *db)
{
	(void)job;
	return suspension_store_tidy(db, clock_wall_ms());
}

static void tidied(struct store_job *job)
{
	struct shaped_tidy *tidy = (struct shaped_tidy *)(void *)job;
	if (job->err != ERR_OK)
		LOG(LOG_LEVEL_ERROR, "suspensions-untidy", LOG_CSTR("reason", job->detail));
	dispatcher_job_ended(tidy->dispatcher);
	mem_free(tidy);
}

static void remove_ended_rows(struct dispatcher *d)
{
	struct shaped_tidy *tidy = mem_alloc(sizeof *tidy);
	tidy->dispatcher = d;
	tidy->job.run = run_tidy;
	tidy->job.done = tidied;
	dispatcher_job_started(d);
	store_write(d->server->store, d->loop, &tidy->job);
}

/* A machine that started in 1970 sees soon that it is today: by then what an earlier process left has its end where it belongs. */
static bool has_ended_by_the_clock(const struct shaped *shaped, int64_t wall_ms)
{
	return shaped->is_restored && shaped->suspension.until_ms <= wall_ms;
}

void dispatcher_shaped_tidy(struct dispatcher *dispatcher)
{
	struct dispatcher *d = dispatcher;
	int64_t now_ms = loop_now_ms(d->loop), wall_ms = clock_wall_ms();
	bool any_row = false;
	struct list *next;
	for (struct list *l = d->shaped->all.next; l != &d->shaped->all; l = next) {
		next = l->next;
		struct shaped *shaped = LIST_ENTRY(l, struct shaped, link);
		bool is_over = shaped->limiter->suspended_until_ms <= now_ms;
		if (shaped->writes > 0)
			continue;
		if (!is_over && has_ended_by_the_clock(shaped, wall_ms)) {
			is_over = true;
			limiter_resume(shaped->limiter);
			destination_ask_again(d->destinations, shaped->limiter);
		}
		if (is_over) {
			any_row |= shaped->is_stored;
			drop(shaped);
		} else if (!shaped->is_stored) {
			write_row(shaped);
		}
	}
	if (any_row)
		remove_ended_rows(d);
}

void delivery_defer_shaped(struct delivery *delivery, const struct limiter *limiter)
{
	const struct shaped *shaped = limiter->suspended_by;
	struct buf reply = { 0 };
	ASSERT(shaped != NULL);
	enum err err = suspension_reply(&shaped->suspension, &reply);
	ASSERT(err == ERR_OK); /* its texts are bounded */
	delivery->untried = true;
	delivery_defer_until(delivery, buf_view(&reply), limiter->suspended_until_ms);
	buf_clear(&reply);
}
