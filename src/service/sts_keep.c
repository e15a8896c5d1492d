/* Policies in the store: found again after a restart, refreshed while nobody asks. */
#include "service/sts_private.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/mem.h"
#include "service/dispatcher_private.h"
#include "store/sts_store.h"

#include <string.h>

#define REFRESH_EVERY_MS (60LL * 60 * 1000)
#define REFRESH_AT_ONCE 64u
#define DAY_MS (24LL * 60 * 60 * 1000)
/* A policy that no mail asked for in this time is left to expire. */
#define UNUSED_MS (30 * DAY_MS)

/* A job of the store, on its own: `sts` may be gone before it is done. */
struct sts_load {
	struct store_job job; /* first */
	struct list link; /* in sts->jobs */
	struct sts *sts; /* NULL: gone */
	struct dispatcher *dispatcher; /* waits for it when stopping */
	struct sts_entry *entry; /* loading: who wants it; NULL: nobody any more */
	enum job_kind { LOAD, PUT, MARK, REFRESH } kind;
	char domain[256];
	struct arena arena;
	struct sts_stored stored;
	int64_t now_ms;
	size_t stale_count;
	char (*stale)[256];
};

static void note_stale(void *owner, struct view domain)
{
	struct sts_load *load = owner;
	if (load->stale_count < REFRESH_AT_ONCE && domain.len < sizeof load->stale[0])
		snprintf(load->stale[load->stale_count++], sizeof load->stale[0], "%.*s", VIEW_ARG(domain));
}

static enum err run(struct store_job *job, struct db *db)
{
	struct sts_load *load = (struct sts_load *)(void *)job;
	struct view domain = view_from_cstr(load->domain);
	enum err err;
	switch (load->kind) {
	case LOAD:
		err = sts_store_get(db, domain, &load->arena, &load->stored);
		return err;
	case PUT:
		return sts_store_put(db, domain, &load->stored);
	case MARK:
		return sts_store_mark_used(db, domain, load->stored.used_ms);
	case REFRESH:
	default:
		load->stale_count = 0; /* a job may be run again */
		err = sts_store_tidy(db, load->now_ms);
		if (err != ERR_OK)
			return err;
		return sts_store_list_stale(db, load->now_ms, load->now_ms - DAY_MS, load->now_ms - UNUSED_MS,
			REFRESH_AT_ONCE, note_stale, load);
	}
}

static void loaded(struct sts_load *load)
{
	struct sts_entry *entry = load->entry;
	entry->load = NULL;
	entry->loaded = true;
	if (load->job.err == ERR_OK && entry->policy == NULL) {
		entry->policy = sts_policy_new(load->stored.id, load->stored.policy, load->stored.fetched_ms);
		entry->used_ms = load->stored.used_ms;
	} else if (load->job.err != ERR_OK && load->job.err != ERR_NOT_FOUND) {
		LOG(LOG_LEVEL_ERROR, "sts-load-failed", LOG_CSTR("domain", entry->domain),
			LOG_CSTR("reason", load->job.detail));
	}
	sts_entry_decide(entry);
}

static void refresh(struct sts_load *load)
{
	for (size_t i = 0; i < load->stale_count; i++)
		sts_entry_check(sts_entry_get(load->sts, view_from_cstr(load->stale[i])));
}

static void done(struct store_job *job)
{
	struct sts_load *load = (struct sts_load *)(void *)job;
	struct dispatcher *dispatcher = load->dispatcher;
	list_remove(&load->link);
	if (load->kind != LOAD && job->err != ERR_OK)
		LOG(LOG_LEVEL_ERROR, "sts-keep-failed", LOG_CSTR("domain", load->domain),
			LOG_CSTR("reason", job->detail));
	if (load->kind == LOAD && load->entry != NULL)
		loaded(load);
	else if (load->kind == REFRESH && load->sts != NULL && job->err == ERR_OK)
		refresh(load);
	arena_clear(&load->arena);
	mem_free(load->stale);
	mem_free(load);
	if (dispatcher != NULL)
		dispatcher_job_ended(dispatcher);
}

static struct sts_load *new_job(struct sts *sts, enum job_kind kind, const char *domain)
{
	struct sts_load *load = mem_alloc(sizeof *load);
	load->job.run = run;
	load->job.done = done;
	load->sts = sts;
	load->kind = kind;
	load->now_ms = clock_wall_ms();
	snprintf(load->domain, sizeof load->domain, "%s", domain);
	arena_init(&load->arena, MTA_STS_POLICY_MAX_BYTES + 4096u);
	list_append(&sts->jobs, &load->link);
	load->dispatcher = sts->options.server->dispatcher;
	if (load->dispatcher != NULL)
		dispatcher_job_started(load->dispatcher);
	return load;
}

void sts_load_start(struct sts_entry *entry)
{
	struct sts_load *load = new_job(entry->sts, LOAD, entry->domain);
	load->entry = entry;
	entry->load = load;
	store_read(entry->sts->options.server->store, entry->sts->options.loop, &load->job);
}

void sts_load_cancel(struct sts_load *load)
{
	if (load != NULL)
		load->entry = NULL;
}

static void write_job(struct sts *sts, struct sts_load *load)
{
	store_write(sts->options.server->store, sts->options.loop, &load->job);
}

void sts_keep_policy(struct sts_entry *entry)
{
	struct sts_policy *policy = entry->policy;
	struct sts_load *load = new_job(entry->sts, PUT, entry->domain);
	if (!list_is_empty(&entry->queries))
		entry->used_ms = load->now_ms;
	load->stored.fetched_ms = policy->fetched_ms;
	load->stored.expires_ms = policy->fetched_ms + (int64_t)policy->policy.max_age_s * 1000;
	load->stored.used_ms = entry->used_ms;
	enum err err = arena_dup(&load->arena, view_from_cstr(policy->id), &load->stored.id);
	if (err == ERR_OK)
		err = arena_dup(&load->arena, buf_view(&policy->text), &load->stored.policy);
	ASSERT(err == ERR_OK); /* its length was checked when it was parsed */
	write_job(entry->sts, load);
}

void sts_keep_used(struct sts_entry *entry)
{
	struct sts_load *load = new_job(entry->sts, MARK, entry->domain);
	entry->used_ms = load->stored.used_ms = load->now_ms;
	write_job(entry->sts, load);
}

void sts_keep_refresh(void *owner)
{
	struct sts *sts = owner;
	struct sts_load *load = new_job(sts, REFRESH, "");
	load->stale = mem_alloc_array(REFRESH_AT_ONCE, sizeof load->stale[0]);
	write_job(sts, load);
	loop_timer_set(&sts->timer, loop_now_ms(sts->options.loop) + REFRESH_EVERY_MS);
}

void sts_keep_forget_jobs(struct sts *sts)
{
	struct list *link;
	while ((link = list_take_first(&sts->jobs)) != NULL) {
		struct sts_load *load = LIST_ENTRY(link, struct sts_load, link);
		load->sts = NULL;
		load->entry = NULL;
	}
}
