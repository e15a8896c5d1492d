/*
 * The loop's inside, for the files of this folder. One round is: wait, run what became ready, run what was deferred,
 * run what was posted. Deferring is how "never from inside the call" is kept without a system call.
 */
#ifndef NET_LOOP_PRIVATE_H
#define NET_LOOP_PRIVATE_H

#include "base/buf.h"
#include "net/loop.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdatomic.h>

#define LOOP_READ_BYTES 65536u

/* Work for the end of this round, on the loop's own thread. Zero-initialise and set run; deferring twice runs it
 * once. */
struct loop_defer {
	struct list link;
	void (*run)(struct loop_defer *defer);
	bool waiting;
};

/* What lives on without an owner (a stream saying goodbye) and must go with the loop. */
struct loop_leftover {
	struct list link;
	void (*drop)(struct loop_leftover *leftover);
};

struct loop_clock {
	int64_t now_ms;
	bool fresh;
};

struct loop {
	struct event_base *base;
	char *name;
	struct loop_clock *clock;
	/* The one buffer that all streams read into; plain_buffer (what TLS decrypted) exists from the first TLS
	 * stream on. */
	uint8_t *read_buffer;
	uint8_t *plain_buffer;
	struct buf tls_output; /* encrypted bytes on their way to the kernel; empty between calls */
	struct list deferred;
	struct list leftovers;
	struct list signals;

	pthread_mutex_t lock;
	struct list posted; /* guarded by lock */
	atomic_bool sleeping; /* true: who posts must wake; false: the loop looks at `posted` before it waits again */
	atomic_bool stop;
	int wake_fd;
	struct event *wake_event;
};

/* The first thing that every event callback of this folder calls. */
static inline void loop_awake(struct loop *loop)
{
	if (atomic_load_explicit(&loop->sleeping, memory_order_relaxed))
		atomic_store(&loop->sleeping, false);
}

void loop_defer(struct loop *loop, struct loop_defer *defer);
void loop_defer_cancel(struct loop_defer *defer);

#endif
