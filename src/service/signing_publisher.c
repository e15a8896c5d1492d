#include "service/signing_publisher.h"

#include "base/clock.h"
#include "base/mem.h"
#include "service/signing.h"
#include "service/signing_check.h"
#include "store/dkim_store.h"

#include <string.h>

#define FIRST_MS 1000
#define OFTEN_MS (3 * 60 * 1000)
/* Nobody is at work on a key that was not published for a day. */
#define SELDOM_MS (60 * 60 * 1000)
#define YOUNG_MS ((int64_t)24 * 60 * 60 * 1000)
#define KEYS_MAX 1000u /* in one round */

struct waiting {
	char *domain, *selector, *name;
	struct buf record;
	int64_t created_ms;
};

/* One round: read the new keys, ask DNS for them, activate those that are there, load them. */
struct signing_publisher {
	struct background *background;
	struct loop_timer timer;
	struct loop_task poke_task;
	_Atomic bool poked;
	bool again; /* poked while a round is under way */
	bool stopped;
	struct store_job job; /* of the step under way */
	bool busy;
	size_t count;
	struct waiting *waiting;
	struct signing_check_key *asked;
	struct signing_check *check;
};

static void clear_waiting(struct signing_publisher *p)
{
	for (size_t i = 0; i < p->count; i++) {
		mem_free(p->waiting[i].domain);
		mem_free(p->waiting[i].selector);
		mem_free(p->waiting[i].name);
		buf_clear(&p->waiting[i].record);
	}
	mem_free(p->waiting);
	mem_free(p->asked);
	p->waiting = NULL;
	p->asked = NULL;
	p->count = 0;
}

static int64_t next_round_ms(const struct signing_publisher *p)
{
	int64_t newest_ms = 0;
	for (size_t i = 0; i < p->count; i++)
		if (p->waiting[i].created_ms > newest_ms)
			newest_ms = p->waiting[i].created_ms;
	return p->count > 0 && clock_wall_ms() - newest_ms < YOUNG_MS ? OFTEN_MS : SELDOM_MS;
}

static void end_round(struct signing_publisher *p)
{
	int64_t wait_ms = p->again ? 0 : next_round_ms(p);
	clear_waiting(p);
	p->busy = p->again = false;
	if (!p->stopped)
		loop_timer_set(&p->timer, loop_now_ms(p->background->loop) + wait_ms);
}

/* The step's store job ended: the next one follows, or the round is over. */
static bool step_ended(struct signing_publisher *p)
{
	background_job_ended(p->background);
	if (p->job.err == ERR_OK && !p->stopped)
		return true;
	if (p->job.err != ERR_OK)
		LOG(LOG_LEVEL_ERROR, "dkim-check-failed", LOG_CSTR("reason", p->job.detail));
	end_round(p);
	return false;
}

static void run_step(struct signing_publisher *p, enum err (*run)(struct store_job *job, struct db *db),
	void (*done)(struct store_job *job), bool writes)
{
	p->job = (struct store_job){ .run = run, .done = done };
	background_job_started(p->background);
	(writes ? store_write : store_read)(p->background->server->store, p->background->loop, &p->job);
}

static enum err load(struct store_job *job, struct db *db)
{
	struct signing_publisher *p = LIST_ENTRY(job, struct signing_publisher, job);
	return signing_load(p->background->server->signing, db);
}

static void loaded(struct store_job *job)
{
	struct signing_publisher *p = LIST_ENTRY(job, struct signing_publisher, job);
	if (step_ended(p))
		end_round(p);
}

static enum err activate(struct store_job *job, struct db *db)
{
	struct signing_publisher *p = LIST_ENTRY(job, struct signing_publisher, job);
	int64_t now_ms = clock_wall_ms();
	enum err err = ERR_OK;
	for (size_t i = 0; err == ERR_OK && i < p->count; i++)
		if (p->asked[i].found == DKIM_PUBLISHED)
			err = dkim_store_activate(db, view_from_cstr(p->waiting[i].domain),
				view_from_cstr(p->waiting[i].selector), now_ms);
	/* Removed meanwhile: the next round goes by what is there then. */
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static void activated(struct store_job *job)
{
	struct signing_publisher *p = LIST_ENTRY(job, struct signing_publisher, job);
	if (!step_ended(p))
		return;
	for (size_t i = 0; i < p->count; i++)
		if (p->asked[i].found == DKIM_PUBLISHED)
			LOG(LOG_LEVEL_INFO, "dkim-key-published", LOG_CSTR("domain", p->waiting[i].domain),
				LOG_CSTR("selector", p->waiting[i].selector),
				LOG_CSTR("result", "it signs from now on"));
	run_step(p, load, loaded, false);
}

static void checked(void *owner)
{
	struct signing_publisher *p = owner;
	size_t found = 0;
	p->check = NULL;
	for (size_t i = 0; i < p->count; i++)
		found += p->asked[i].found == DKIM_PUBLISHED;
	if (found > 0)
		run_step(p, activate, activated, true);
	else
		end_round(p);
}

static void ask(struct signing_publisher *p)
{
	struct config *config = server_config(p->background->server);
	bool unchecked = !config->dkim.check_published;
	struct resolver *resolver = unchecked ? NULL : background_resolver(p->background);
	config_unref(config);
	p->asked = mem_alloc_array(p->count, sizeof *p->asked);
	for (size_t i = 0; i < p->count; i++)
		p->asked[i] = (struct signing_check_key){
			.name = p->waiting[i].name,
			.record = buf_view(&p->waiting[i].record),
			.found = unchecked ? DKIM_PUBLISHED : DKIM_PUBLICATION_UNKNOWN,
		};
	if (resolver != NULL)
		p->check = signing_check_start(p->background->loop, resolver, p->asked, p->count, checked, p);
	else
		checked(p);
}

static void keep_row(void *owner, const struct dkim_row *row)
{
	struct signing_publisher *p = owner;
	struct signature_private *key = NULL;
	struct buf name = { 0 }, record = { 0 };
	enum err err = p->count < KEYS_MAX ? signature_private_read_pem(row->private_key, &key) : ERR_LIMIT;
	if (err == ERR_OK)
		err = dkim_record_name(row->selector, row->domain, &name);
	if (err == ERR_OK)
		err = dkim_record_format(key, 0, &record);
	if (err == ERR_OK) {
		p->waiting = mem_resize(p->waiting, (p->count + 1) * sizeof *p->waiting);
		p->waiting[p->count++] = (struct waiting){
			.domain = view_to_cstr(row->domain),
			.selector = view_to_cstr(row->selector),
			.name = mem_dup_cstr(buf_cstr(&name)),
			.record = record,
			.created_ms = row->created_ms,
		};
		record = (struct buf){ 0 };
	}
	signature_private_free(key);
	buf_clear(&name);
	buf_clear(&record);
}

static enum err read_new(struct store_job *job, struct db *db)
{
	struct signing_publisher *p = LIST_ENTRY(job, struct signing_publisher, job);
	return dkim_store_list_state(db, VIEW_NONE, DKIM_STATE_NEW, keep_row, p);
}

static void new_known(struct store_job *job)
{
	struct signing_publisher *p = LIST_ENTRY(job, struct signing_publisher, job);
	if (!step_ended(p))
		return;
	if (p->count > 0)
		ask(p);
	else
		end_round(p);
}

static void begin_round(void *owner)
{
	struct signing_publisher *p = owner;
	if (p->busy || p->stopped)
		return;
	p->busy = true;
	run_step(p, read_new, new_known, false);
}

static void poked(struct loop_task *task)
{
	struct signing_publisher *p = LIST_ENTRY(task, struct signing_publisher, poke_task);
	atomic_store(&p->poked, false);
	if (p->busy)
		p->again = true;
	else
		begin_round(p);
}

struct signing_publisher *signing_publisher_new(struct background *background)
{
	struct signing_publisher *p = mem_alloc(sizeof *p);
	p->background = background;
	p->poke_task.run = poked;
	loop_timer_init(&p->timer, background->loop, begin_round, p);
	return p;
}

void signing_publisher_start(struct signing_publisher *p)
{
	loop_timer_set(&p->timer, loop_now_ms(p->background->loop) + FIRST_MS);
}

void signing_publisher_stop(struct signing_publisher *p)
{
	p->stopped = true;
	loop_timer_clear(&p->timer);
	signing_check_cancel(p->check);
	p->check = NULL;
}

void signing_publisher_free(struct signing_publisher *p)
{
	if (p == NULL)
		return;
	loop_timer_clear(&p->timer);
	signing_check_cancel(p->check);
	clear_waiting(p);
	mem_free(p);
}

void signing_publisher_poke(struct signing_publisher *p)
{
	if (!atomic_exchange(&p->poked, true))
		loop_post(p->background->loop, &p->poke_task);
}
