#include "net/loop_private.h"

#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct loop_signal {
	struct list link;
	struct event *event;
	struct loop *loop;
	void (*caught)(void *owner, int signal_number);
	void *owner;
};

/* The event is edge-triggered: every write is a new edge, so the counter is never read back. */
static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	loop_awake(arg);
}

static struct event_base *new_base(void)
{
	struct event_config *config = event_config_new();
	if (config == NULL)
		return NULL;
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	/* Edge-triggering is needed for wake_event; this also makes sure that we got epoll. */
	event_config_require_features(config, EV_FEATURE_ET);
	struct event_base *base = event_base_new_with_config(config);
	event_config_free(config);
	return base;
}

struct loop *loop_new(const char *name)
{
	struct event_base *base = new_base();
	int wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (base == NULL || wake_fd < 0) {
		err_set(ERR_IO, "cannot create the event loop %s: %s", name, strerror(errno));
		if (base != NULL)
			event_base_free(base);
		if (wake_fd >= 0)
			close(wake_fd);
		return NULL;
	}
	struct loop *loop = mem_alloc(sizeof *loop);
	loop->base = base;
	loop->wake_fd = wake_fd;
	loop->name = mem_dup_cstr(name);
	loop->clock = mem_alloc(sizeof *loop->clock);
	loop->read_buffer = mem_alloc(LOOP_READ_BYTES);
	list_init(&loop->deferred);
	list_init(&loop->leftovers);
	list_init(&loop->signals);
	list_init(&loop->posted);
	pthread_mutex_init(&loop->lock, NULL);
	loop->wake_event = event_new(base, wake_fd, EV_READ | EV_ET | EV_PERSIST, on_wake, loop);
	ASSERT(loop->wake_event != NULL && event_add(loop->wake_event, NULL) == 0);
	return loop;
}

/* Moves all members, so that what is added while they run belongs to the next round. */
static void take_all(struct list *from, struct list *to)
{
	list_init(to);
	if (list_is_empty(from))
		return;
	*to = *from;
	to->next->prev = to;
	to->prev->next = to;
	list_init(from);
}

static bool run_deferred(struct loop *loop)
{
	struct list now;
	take_all(&loop->deferred, &now);
	struct list *link;
	bool any = false;
	while ((link = list_take_first(&now)) != NULL) {
		struct loop_defer *defer = LIST_ENTRY(link, struct loop_defer, link);
		defer->waiting = false;
		defer->run(defer);
		any = true;
	}
	return any;
}

static bool run_posted(struct loop *loop)
{
	struct list now;
	pthread_mutex_lock(&loop->lock);
	take_all(&loop->posted, &now);
	pthread_mutex_unlock(&loop->lock);
	struct list *link;
	bool any = false;
	while ((link = list_take_first(&now)) != NULL) {
		struct loop_task *task = LIST_ENTRY(link, struct loop_task, link);
		task->run(task);
		any = true;
	}
	return any;
}

void loop_free(struct loop *loop)
{
	if (loop == NULL)
		return;
	while (run_deferred(loop) || run_posted(loop))
		continue;
	while (!list_is_empty(&loop->leftovers)) {
		struct loop_leftover *leftover = LIST_ENTRY(loop->leftovers.next, struct loop_leftover, link);
		list_remove(&leftover->link);
		leftover->drop(leftover);
	}
	struct list *link;
	while ((link = list_take_first(&loop->signals)) != NULL) {
		struct loop_signal *signal = LIST_ENTRY(link, struct loop_signal, link);
		event_free(signal->event);
		mem_free(signal);
	}
	event_free(loop->wake_event);
	event_base_free(loop->base);
	close(loop->wake_fd);
	pthread_mutex_destroy(&loop->lock);
	buf_clear(&loop->tls_output);
	mem_free(loop->plain_buffer);
	mem_free(loop->read_buffer);
	mem_free(loop->clock);
	mem_free(loop->name);
	mem_free(loop);
}

/* True if the loop may wait: nothing is left to do and whoever posts from now on wakes it. */
static bool fall_asleep(struct loop *loop)
{
	if (!list_is_empty(&loop->deferred))
		return false;
	pthread_mutex_lock(&loop->lock);
	bool idle = list_is_empty(&loop->posted) && !atomic_load(&loop->stop);
	atomic_store(&loop->sleeping, idle);
	pthread_mutex_unlock(&loop->lock);
	return idle;
}

void loop_run(struct loop *loop)
{
	while (!atomic_load(&loop->stop)) {
		int flags = EVLOOP_ONCE | (fall_asleep(loop) ? 0 : EVLOOP_NONBLOCK);
		loop->clock->fresh = false;
		/* -1 would be a failing epoll_wait(): a broken descriptor table, nothing that could be mended. */
		int result = event_base_loop(loop->base, flags);
		ASSERT(result >= 0);
		loop_awake(loop);
		run_deferred(loop);
		run_posted(loop);
	}
	loop->clock->fresh = false;
	/* The next loop_run() runs again. */
	atomic_store(&loop->stop, false);
}

static void wake(struct loop *loop)
{
	uint64_t one = 1;
	ssize_t n = write(loop->wake_fd, &one, sizeof one);
	ASSERT(n == (ssize_t)sizeof one);
}

void loop_stop(struct loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	atomic_store(&loop->stop, true);
	if (atomic_exchange(&loop->sleeping, false))
		wake(loop);
	pthread_mutex_unlock(&loop->lock);
}

void loop_post(struct loop *loop, struct loop_task *task)
{
	pthread_mutex_lock(&loop->lock);
	list_append(&loop->posted, &task->link);
	/* Inside the lock: once it is released the loop may run the task, stop and be freed by its owner. */
	if (atomic_exchange(&loop->sleeping, false))
		wake(loop);
	pthread_mutex_unlock(&loop->lock);
}

int64_t loop_now_ms(const struct loop *loop)
{
	if (!loop->clock->fresh) {
		loop->clock->now_ms = clock_monotonic_ms();
		loop->clock->fresh = true;
	}
	return loop->clock->now_ms;
}

const char *loop_name(const struct loop *loop)
{
	return loop->name;
}

void loop_defer(struct loop *loop, struct loop_defer *defer)
{
	if (defer->waiting)
		return;
	defer->waiting = true;
	list_append(&loop->deferred, &defer->link);
}

void loop_defer_cancel(struct loop_defer *defer)
{
	if (!defer->waiting)
		return;
	defer->waiting = false;
	list_remove(&defer->link);
}

/* Signals */

static void on_signal(evutil_socket_t number, short what, void *arg)
{
	(void)what;
	struct loop_signal *signal = arg;
	loop_awake(signal->loop);
	signal->caught(signal->owner, (int)number);
}

void loop_on_signal(struct loop *loop, int signal_number, void (*caught)(void *owner, int signal_number), void *owner)
{
	struct loop_signal *signal = mem_alloc(sizeof *signal);
	signal->loop = loop;
	signal->caught = caught;
	signal->owner = owner;
	signal->event = event_new(loop->base, signal_number, EV_SIGNAL | EV_PERSIST, on_signal, signal);
	ASSERT(signal->event != NULL && event_add(signal->event, NULL) == 0);
	list_append(&loop->signals, &signal->link);
}
