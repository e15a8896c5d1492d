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

struct reports *reports_new(struct background *background)
{
	struct reports *reports = mem_alloc(sizeof *reports);
	reports->background = background;
	reports_notes_init(reports);
	return reports;
}

void reports_start(struct reports *reports)
{
	loop_timer_init(&reports->write_timer, reports->background->loop, write_due, reports);
	loop_timer_set(&reports->write_timer, clock_monotonic_ms() + WRITE_EVERY_MS);
}

void reports_stop(struct reports *reports)
{
	loop_timer_clear(&reports->write_timer);
	reports_notes_write(reports);
}

void reports_free(struct reports *reports)
{
	if (reports == NULL)
		return;
	reports_notes_clear(reports);
	mem_free(reports);
}
