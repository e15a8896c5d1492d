/*
 * The dispatcher: takes messages from the queue to where they go. It owns the destinations, the outgoing connections and the
 * resolver, on a thread and loop of its own. In memory it holds what is due now, up to a limit; the rest stays on disk until it is due.
 */
#ifndef SERVICE_DISPATCHER_H
#define SERVICE_DISPATCHER_H

#include "service/server_private.h"

/*
 * New rows become due this much after they were put: time for the message to be handed over in memory. Only one that was not (memory was
 * short, or the process ended) is read from disk then; at start nothing waits for it. It keeps a reader that is a moment behind from
 * delivering a second time what is being delivered from memory.
 */
#define DISPATCHER_HANDOVER_MS 5000

/* NULL with err_detail(). */
struct dispatcher *dispatcher_new(struct server *server);
/* Starts the thread and reads what is due. */
enum err dispatcher_start(struct dispatcher *dispatcher) MUST_CHECK;
/* Lets what is under way finish for at most timeout_ms, writes outcomes, stops the thread. */
void dispatcher_stop(struct dispatcher *dispatcher, uint32_t timeout_ms);
void dispatcher_free(struct dispatcher *dispatcher); /* NULL is fine */

/* LIFE 7/10: a committed message, any thread; the dispatcher owns it from here. When memory is short it forgets the message at once and reads it
 * back from the store later; but not if it can go where few others wait. */
void dispatcher_take(struct dispatcher *dispatcher, struct message *message);
/* An operator changed rows of the queue: what waits in memory is forgotten and read again. Any thread. */
void dispatcher_reload_queue(struct dispatcher *dispatcher);
/* What is suspended has changed in the store. done() is called on the loop that asked, never from inside this call, when that is in force: nothing more
 * is begun that is suspended now, and whatever was put off by a suspension that was lifted can be found on disk. `follow` is the caller's and
 * must live until then; the server must not end before (server_job_started()). */
struct dispatcher_follow {
	struct loop_task task; /* private, as are the next three */
	struct list link;
	struct dispatcher *dispatcher;
	struct loop *loop;
	void (*done)(struct dispatcher_follow *follow);
};
void dispatcher_follow_suspensions(struct dispatcher *dispatcher, struct loop *loop, struct dispatcher_follow *follow,
	void (*done)(struct dispatcher_follow *follow));
/* New settings are in force. Any thread. */
void dispatcher_reload_config(struct dispatcher *dispatcher);

struct dispatcher_counts {
	uint64_t active_messages, active_recipients, connections, destinations;
};

#endif
