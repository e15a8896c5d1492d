#include "service/reports_private.h"

#include "base/clock.h"
#include "base/mem.h"

#define WRITE_EVERY_MS 5000

static void write_due(void *owner)
{
	struct reports *reports = owner;
	reports_notes_write(reports);
	loop_timer_set(&reports->write_timer, clock_monotonic_ms() + WRITE_EVERY_MS);
}

/* What was noted until now belongs into them: the round begins when that is written. */
static void send_posted(struct loop_task *task)
{
	struct reports *reports = LIST_ENTRY(task, struct reports, send_task);
	if (reports->stopping)
		return;
	reports->send_wanted = true;
	reports_notes_write(reports);
}

void reports_send_now(struct server *server, int64_t last_day)
{
	if (server->background == NULL)
		return;
	struct reports *reports = server->background->reports;
	atomic_store(&reports->send_day, last_day);
	if (!atomic_exchange(&reports->send_posted, true))
		loop_post(server->background->loop, &reports->send_task);
}

struct reports *reports_new(struct background *background)
{
	struct reports *reports = mem_alloc(sizeof *reports);
	reports->background = background;
	reports->send_task.run = send_posted;
	reports_notes_init(reports);
	reports_round_init(reports);
	return reports;
}

void reports_start(struct reports *reports)
{
	loop_timer_init(&reports->write_timer, reports->background->loop, write_due, reports);
	loop_timer_set(&reports->write_timer, clock_monotonic_ms() + WRITE_EVERY_MS);
	loop_timer_init(&reports->round_timer, reports->background->loop, reports_round_check, reports);
	reports_round_check(reports);
}

void reports_stop(struct reports *reports)
{
	loop_timer_clear(&reports->write_timer);
	loop_timer_clear(&reports->round_timer);
	reports_round_stop(reports);
	reports_notes_write(reports);
}

void reports_free(struct reports *reports)
{
	if (reports == NULL)
		return;
	buf_clear(&reports->round.after_domain);
	reports_notes_clear(reports);
	mem_free(reports);
}
