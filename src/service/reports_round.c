/* When reports are made: after midnight UTC plus a delay that is this server's own, and again each hour while some could not be settled. */
#include "service/reports_private.h"
#include "service/reports_lookup.h"

#include "base/clock.h"
#include "base/mem.h"
#include "store/bounce_store.h"
#include "store/dmarc_store.h"
#include "store/report_store.h"
#include "store/tls_result_store.h"

#include <string.h>

#define ACTIVE_MAX 8u
#define BATCH_DOMAINS 50u
#define CHECK_EVERY_MS 60000
#define RETRY_MS 3600000
#define RECEIVED_KEEP_MS (400ll * 86400 * 1000) /* reports of others, bounces: somewhat more than a year */
#define EXPIRE_BITES 10u
#define KEEP_DAYS 2 /* a day's reports are tried for so long (RFC 8460 §5.4: 24 h) */

static int64_t today(void)
{
	return clock_wall_ms() / 1000 / REPORTS_DAY_S;
}

/* Tasks */

struct reports_task *reports_task_of(struct store_job *job)
{
	struct reports_task *task = (struct reports_task *)(void *)job;
	struct background *background = task->reports->background;
	task->in_job = false;
	if (task->reports->stopping) {
		/* A message that was put into the queue waits there. */
		reports_task_end(task, REPORTS_LEFT);
		task = NULL;
	}
	background_job_ended(background);
	return task;
}

void reports_task_job(struct reports_task *task, bool writes, enum err (*run)(struct store_job *job, struct db *db),
	void (*done)(struct store_job *job))
{
	struct background *background = task->reports->background;
	task->in_job = true;
	task->job.run = run;
	task->job.done = done;
	background_job_started(background);
	if (writes)
		store_write(background->server->store, background->loop, &task->job);
	else
		store_read(background->server->store, background->loop, &task->job);
}

bool reports_task_is_last_try(const struct reports_task *task)
{
	return task->day < today() - KEEP_DAYS;
}

static void task_free(struct reports_task *task)
{
	reports_lookup_cancel(task->lookup);
	reports_tls_cancel(task);
	list_remove(&task->link);
	mem_free(task->targets);
	message_free(task->mail);
	reports_tls_rows_free(task->tls_rows);
	buf_clear(&task->file);
	buf_clear(&task->resolve);
	config_unref(task->config);
	mem_free(task);
}

static void go_on(struct reports *reports);

void reports_task_end(struct reports_task *task, enum reports_end end)
{
	struct reports *reports = task->reports;
	struct reports_round *round = &reports->round;
	*(end == REPORTS_SENT ? &round->sent : end == REPORTS_UNWANTED ? &round->unwanted : &round->left) += 1;
	round->active--;
	task_free(task);
	if (!reports->stopping)
		go_on(reports);
}

static void task_begin(struct reports_task *task)
{
	struct reports *reports = task->reports;
	list_remove(&task->link);
	list_append(&reports->tasks, &task->link);
	reports->round.active++;
	task->config = server_config(reports->background->server);
	if (task->kind == REPORTS_DMARC)
		reports_dmarc_begin(task);
	else
		reports_tls_begin(task);
}

static struct reports_task *task_new(
	struct reports *reports, enum reports_kind kind, int64_t day, struct view domain, struct view policy)
{
	struct reports_task *task = mem_alloc(sizeof *task + domain.len + policy.len);
	task->reports = reports;
	task->kind = kind;
	task->day = day;
	if (domain.len > 0)
		memcpy(task->text, domain.ptr, domain.len);
	if (policy.len > 0)
		memcpy(task->text + domain.len, policy.ptr, policy.len);
	task->domain = view_of(task->text, domain.len);
	task->policy = view_of(task->text + domain.len, policy.len);
	list_init(&task->link);
	return task;
}

/* Domains, read in batches */

struct load {
	struct store_job job; /* first */
	struct reports *reports;
	enum reports_kind kind;
	int64_t last_day, after_day;
	struct buf after_domain;
	size_t count;
	struct list tasks;
};

static void drop_tasks(struct list *tasks)
{
	while (!list_is_empty(tasks))
		task_free(LIST_ENTRY(tasks->next, struct reports_task, link));
}

static void keep_dmarc(void *owner, const struct dmarc_store_domain *found)
{
	struct load *load = owner;
	struct reports_task *task = task_new(load->reports, REPORTS_DMARC, found->day, found->domain, found->policy);
	task->notes = found->notes;
	task->unlisted = found->unlisted;
	list_append(&load->tasks, &task->link);
	load->count++;
}

static void keep_tls(void *owner, int32_t day, struct view domain)
{
	struct load *load = owner;
	struct reports_task *task = task_new(load->reports, REPORTS_TLS, day, domain, VIEW_NONE);
	list_append(&load->tasks, &task->link);
	load->count++;
}

static enum err read_domains(struct store_job *job, struct db *db)
{
	struct load *load = (struct load *)(void *)job;
	struct view after = buf_view(&load->after_domain);
	drop_tasks(&load->tasks);
	load->count = 0;
	struct dmarc_store_domain from = { .day = load->after_day, .domain = after };
	if (load->kind == REPORTS_DMARC)
		return dmarc_store_domains(db, &from, load->last_day, BATCH_DOMAINS, keep_dmarc, load);
	return tls_result_store_domains(
		db, (int32_t)load->last_day + 1, (int32_t)load->after_day, after, BATCH_DOMAINS, keep_tls, load);
}

static void domains_read(struct store_job *job)
{
	struct load *load = (struct load *)(void *)job;
	struct reports *reports = load->reports;
	struct background *background = reports->background;
	struct reports_round *round = &reports->round;
	round->loading = false;
	if (job->err != ERR_OK)
		LOG(LOG_LEVEL_ERROR, "reports-unreadable", LOG_CSTR("reason", job->detail));
	round->at_end = job->err != ERR_OK || load->count < BATCH_DOMAINS;
	round->left += job->err != ERR_OK;
	while (job->err == ERR_OK && !reports->stopping && !list_is_empty(&load->tasks)) {
		struct list *link = load->tasks.next;
		struct reports_task *task = LIST_ENTRY(link, struct reports_task, link);
		list_remove(link);
		list_append(&round->waiting, link);
		round->after_day = task->day;
		buf_reset(&round->after_domain);
		if (buf_append(&round->after_domain, task->domain) != ERR_OK)
			round->at_end = true;
	}
	drop_tasks(&load->tasks);
	buf_clear(&load->after_domain);
	mem_free(load);
	if (!reports->stopping)
		go_on(reports);
	background_job_ended(background);
}

static void load_domains(struct reports *reports)
{
	struct reports_round *round = &reports->round;
	struct load *load = mem_alloc(sizeof *load);
	load->reports = reports;
	load->kind = round->kind;
	load->last_day = round->last_day;
	load->after_day = round->after_day;
	list_init(&load->tasks);
	/* A copy: the job runs on another thread. */
	if (buf_append(&load->after_domain, buf_view(&round->after_domain)) != ERR_OK)
		buf_reset(&load->after_domain);
	load->job.run = read_domains;
	load->job.done = domains_read;
	round->loading = true;
	background_job_started(reports->background);
	store_read(reports->background->server->store, reports->background->loop, &load->job);
}

/* What nobody could be told in time goes. */
struct expiry {
	struct store_job job; /* first */
	struct background *background;
	int64_t before_day;
	uint64_t domains;
};

static enum err expire(struct store_job *job, struct db *db)
{
	struct expiry *expiry = (struct expiry *)(void *)job;
	enum err err = dmarc_store_expire(db, expiry->before_day, &expiry->domains);
	if (err == ERR_OK)
		err = tls_result_store_tidy(db, (int32_t)expiry->before_day);
	uint64_t removed = 1;
	int64_t before_ms = clock_wall_ms() - RECEIVED_KEEP_MS;
	/* In bites; what is left goes next time. */
	for (unsigned i = 0; i < EXPIRE_BITES && removed > 0 && err == ERR_OK; i++)
		err = report_store_expire(db, before_ms, &removed);
	if (err == ERR_OK)
		err = bounce_store_expire(db, before_ms, &removed);
	return err;
}

static void expired(struct store_job *job)
{
	struct expiry *expiry = (struct expiry *)(void *)job;
	if (job->err != ERR_OK)
		LOG(LOG_LEVEL_ERROR, "reports-unwritable", LOG_CSTR("reason", job->detail));
	else if (expiry->domains > 0)
		LOG(LOG_LEVEL_WARNING, "reports-expired", LOG_NUM("domains", expiry->domains));
	background_job_ended(expiry->background);
	mem_free(expiry);
}

static void expire_old(struct reports *reports)
{
	struct expiry *expiry = mem_alloc(sizeof *expiry);
	expiry->background = reports->background;
	expiry->before_day = today() - KEEP_DAYS - 1;
	expiry->job.run = expire;
	expiry->job.done = expired;
	background_job_started(reports->background);
	store_write(reports->background->server->store, reports->background->loop, &expiry->job);
}

/* Rounds */

static void end_round(struct reports *reports)
{
	struct reports_round *round = &reports->round;
	round->is_open = false;
	LOG(round->sent + round->left > 0 ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG, "reports-made",
		LOG_NUM("sent", round->sent), LOG_NUM("unwanted", round->unwanted), LOG_NUM("left", round->left));
	if (round->left > 0)
		reports->next_round_ms = clock_wall_ms() + RETRY_MS;
	expire_old(reports);
	if (round->again)
		reports_round_start(reports, round->again_day);
}

/* Keeps some tasks going, reads more when they run out, and ends. */
static void go_on(struct reports *reports)
{
	struct reports_round *round = &reports->round;
	/* A task may end while it begins: then this loop, which is under way, goes on. */
	if (round->going || !round->is_open)
		return;
	round->going = true;
	while (round->active < ACTIVE_MAX && !list_is_empty(&round->waiting))
		task_begin(LIST_ENTRY(round->waiting.next, struct reports_task, link));
	round->going = false;
	if (round->loading || round->active > 0 || !list_is_empty(&round->waiting))
		return;
	if (round->at_end && round->kind == REPORTS_DMARC) {
		round->kind = REPORTS_TLS;
		round->after_day = 0;
		buf_reset(&round->after_domain);
		round->at_end = false;
	}
	if (round->at_end)
		end_round(reports);
	else
		load_domains(reports);
}

void reports_round_start(struct reports *reports, int64_t last_day)
{
	struct reports_round *round = &reports->round;
	if (round->is_open) {
		round->again_day = round->again && round->again_day > last_day ? round->again_day : last_day;
		round->again = true;
		return;
	}
	round->is_open = true;
	round->again = false;
	round->kind = REPORTS_DMARC;
	round->last_day = last_day;
	round->after_day = 0;
	buf_reset(&round->after_domain);
	round->at_end = false;
	round->sent = round->unwanted = round->left = 0;
	go_on(reports);
}

void reports_round_check(void *owner)
{
	struct reports *reports = owner;
	int64_t now_ms = clock_wall_ms(), day = today();
	struct config *config = server_config(reports->background->server);
	int64_t jitter_ms = config->reports.jitter_ms;
	reports->next_round_ms = reports_time_next(config->hostname, jitter_ms, reports->next_round_ms, now_ms);
	if (now_ms >= reports->next_round_ms && !reports->round.is_open) {
		reports->next_round_ms = reports_time_of_day(config->hostname, jitter_ms, day + 1);
		reports_round_start(reports, day - 1);
	}
	config_unref(config);
	/* The wall clock may be set: it is looked at often. */
	loop_timer_set(&reports->round_timer, clock_monotonic_ms() + CHECK_EVERY_MS);
}

void reports_round_init(struct reports *reports)
{
	list_init(&reports->tasks);
	list_init(&reports->round.waiting);
}

void reports_round_stop(struct reports *reports)
{
	struct list *link = reports->tasks.next;
	reports->stopping = true;
	while (link != &reports->tasks) {
		struct reports_task *task = LIST_ENTRY(link, struct reports_task, link);
		link = link->next;
		/* Those with a job under way end when it comes back. */
		if (!task->in_job)
			reports_task_end(task, REPORTS_LEFT);
	}
	drop_tasks(&reports->round.waiting);
}
