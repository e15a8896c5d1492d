#include "net/loop_private.h"

#include "base/mem.h"

/* What libevent was told. It is told again only when the timer must fire earlier than that, or when it did fire. */
struct alarm {
	struct event *event;
	int64_t armed_ms; /* INT64_MAX: not armed */
};

static void arm(struct loop_timer *timer)
{
	struct alarm *alarm = timer->event;
	int64_t wait_ms = timer->due_ms - loop_now_ms(timer->loop);
	if (wait_ms < 0)
		wait_ms = 0;
	struct timeval tv = { .tv_sec = (time_t)(wait_ms / 1000), .tv_usec = (suseconds_t)(wait_ms % 1000 * 1000) };
	ASSERT(event_add(alarm->event, &tv) == 0);
	alarm->armed_ms = timer->due_ms;
}

static void on_alarm(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct loop_timer *timer = arg;
	struct alarm *alarm = timer->event;
	loop_awake(timer->loop);
	alarm->armed_ms = INT64_MAX;
	if (timer->due_ms == INT64_MAX)
		return;
	/* Moved later since it was armed, or libevent's coarse clock was a little early. */
	if (timer->due_ms > loop_now_ms(timer->loop)) {
		arm(timer);
		return;
	}
	timer->due_ms = INT64_MAX;
	timer->fired(timer->owner);
}

void loop_timer_init(struct loop_timer *timer, struct loop *loop, void (*fired)(void *owner), void *owner)
{
	*timer = (struct loop_timer){ .loop = loop, .fired = fired, .owner = owner, .due_ms = INT64_MAX };
}

void loop_timer_set(struct loop_timer *timer, int64_t due_ms)
{
	timer->due_ms = due_ms;
	if (due_ms == INT64_MAX)
		return;
	if (timer->event == NULL) {
		struct alarm *alarm = mem_alloc(sizeof *alarm);
		alarm->armed_ms = INT64_MAX;
		alarm->event = evtimer_new(timer->loop->base, on_alarm, timer);
		ASSERT(alarm->event != NULL);
		timer->event = alarm;
	}
	struct alarm *alarm = timer->event;
	if (due_ms < alarm->armed_ms)
		arm(timer);
}

void loop_timer_clear(struct loop_timer *timer)
{
	struct alarm *alarm = timer->event;
	if (alarm != NULL) {
		event_free(alarm->event);
		mem_free(alarm);
		timer->event = NULL;
	}
	timer->due_ms = INT64_MAX;
}
