/*
 * An event loop: one thread runs it, everything it owns lives and dies on it. Only loop_post() and loop_stop() may be
 * called from other threads. (libevent is behind it; no libevent type shows here but in loop_private.h.)
 */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include "base/list.h"
#include "base/view.h"

struct loop;

/* NULL with err_detail() if the system refuses. */
struct loop *loop_new(const char *name);
/* Runs what was posted and not yet run, so that nothing leaks. Streams, timers and resolvers on it go first. NULL is
 * fine. */
void loop_free(struct loop *loop);
/* Runs on the calling thread until loop_stop(). */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);
/* Monotonic ms, cached for one round of the loop. */
int64_t loop_now_ms(const struct loop *loop);
const char *loop_name(const struct loop *loop);

/* A message from any thread to this loop: run(task) is called on the loop's thread, in order of posting, never from
 * inside loop_post(). The task belongs to the caller, usually embedded in a larger value that run() frees. Posting is
 * cheap when the loop is awake (one wake-up for many posts). */
struct loop_task {
	struct list link;
	void (*run)(struct loop_task *task);
};
void loop_post(struct loop *loop, struct loop_task *task);

/* A timer, embedded in its owner. Zero-initialise, loop_timer_init(), set as often as needed, loop_timer_clear()
 * before the owner goes. */
struct loop_timer {
	struct loop *loop;
	void (*fired)(void *owner);
	void *owner;
	void *event; /* private */
	int64_t due_ms;
};
void loop_timer_init(struct loop_timer *timer, struct loop *loop, void (*fired)(void *owner), void *owner);
/* Monotonic time at which fired() is called once; replaces an earlier setting; INT64_MAX unsets. Moving a timer later
 * is nearly free (it is re-armed when the old time comes), so call it after each piece of input. */
void loop_timer_set(struct loop_timer *timer, int64_t due_ms);
void loop_timer_clear(struct loop_timer *timer);

/* Signals, on the loop that asked (the main one). */
void loop_on_signal(struct loop *loop, int signal_number, void (*caught)(void *owner, int signal_number), void *owner);

#endif
