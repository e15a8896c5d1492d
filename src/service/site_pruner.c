#include "service/site_pruner.h"

#include "base/clock.h"
#include "base/mem.h"
#include "store/site_sweep.h"

/* Not while a start is busy with what is due. */
#define FIRST_MS (15 * 60 * 1000)
#define EVERY_MS (24 * 60 * 60 * 1000)
/* Ten million recipients take some minutes, of which hardly any is work. */
#define READ_ROWS 5000u
#define REMOVE_ROWS 200u
#define PAUSE_MS 100

struct site_pruner {
	struct background *background;
	struct loop_timer timer;
	struct store_job job;
	struct site_sweep *sweep; /* under way; NULL: none */
	bool is_removing, more;
	bool stopped;
};

static void end_sweep(struct site_pruner *p)
{
	if (site_sweep_count(p->sweep) > 0)
		LOG(LOG_LEVEL_INFO, "sites-forgotten", LOG_NUM("domains", site_sweep_count(p->sweep)));
	site_sweep_free(p->sweep);
	p->sweep = NULL;
	if (!p->stopped)
		loop_timer_set(&p->timer, loop_now_ms(p->background->loop) + EVERY_MS);
}

static enum err run_bite(struct store_job *job, struct db *db)
{
	struct site_pruner *p = LIST_ENTRY(job, struct site_pruner, job);
	return p->is_removing ? site_sweep_remove(p->sweep, db, REMOVE_ROWS)
			      : site_sweep_read(p->sweep, db, READ_ROWS, &p->more);
}

static void bite_done(struct store_job *job)
{
	struct site_pruner *p = LIST_ENTRY(job, struct site_pruner, job);
	bool goes_on = true;
	if (job->err != ERR_OK) {
		LOG(LOG_LEVEL_ERROR, "site-sweep-failed", LOG_CSTR("reason", job->detail));
		goes_on = false;
	} else if (p->is_removing) {
		goes_on = site_sweep_removed(p->sweep);
	} else {
		p->is_removing = !p->more;
	}
	if (goes_on && !p->stopped)
		loop_timer_set(&p->timer, loop_now_ms(p->background->loop) + PAUSE_MS);
	else
		end_sweep(p);
	background_job_ended(p->background);
}

static void next_bite(struct site_pruner *p)
{
	struct store *store = p->background->server->store;
	p->job = (struct store_job){ .run = run_bite, .done = bite_done };
	background_job_started(p->background);
	(p->is_removing ? store_write : store_scan)(store, p->background->loop, &p->job);
}

static void timer_fired(void *owner)
{
	struct site_pruner *p = owner;
	if (p->sweep == NULL)
		site_pruner_sweep(p);
	else
		next_bite(p);
}

struct site_pruner *site_pruner_new(struct background *background)
{
	struct site_pruner *p = mem_alloc(sizeof *p);
	p->background = background;
	loop_timer_init(&p->timer, background->loop, timer_fired, p);
	return p;
}

void site_pruner_start(struct site_pruner *pruner)
{
	loop_timer_set(&pruner->timer, loop_now_ms(pruner->background->loop) + FIRST_MS);
}

void site_pruner_sweep(struct site_pruner *pruner)
{
	if (pruner->sweep != NULL || pruner->stopped)
		return;
	pruner->sweep = site_sweep_new(clock_wall_ms());
	pruner->is_removing = false;
	next_bite(pruner);
}

void site_pruner_stop(struct site_pruner *pruner)
{
	pruner->stopped = true;
	loop_timer_clear(&pruner->timer);
}

void site_pruner_free(struct site_pruner *pruner)
{
	if (pruner == NULL)
		return;
	loop_timer_clear(&pruner->timer);
	site_sweep_free(pruner->sweep);
	mem_free(pruner);
}
