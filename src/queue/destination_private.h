/* What destination.c and destination_hold.c share. */
#ifndef QUEUE_DESTINATION_PRIVATE_H
#define QUEUE_DESTINATION_PRIVATE_H

#include "queue/destination.h"

/* One limiter, with the destinations that wait for it: those that want a connection are told other times than those that want to send. */
struct destination_gate {
	struct list link; /* in the table's `held_gates` while any wait */
	struct limiter *limiter;
	uint32_t users;
	struct destination_queue {
		struct list held; /* first come, first let go */
		int64_t again_ms; /* when to ask again */
	} queues[DESTINATION_HELD_TO_SEND + 1]; /* by what they want */
};

struct destination_table {
	struct destination **buckets;
	size_t bucket_count;
	size_t count;
	struct list at_hand; /* runnable without a new connection on the network */
	struct list unserved; /* runnable, and has no connection yet */
	struct list runnable; /* the other runnable ones */
	struct list left; /* something of theirs is on disk */
	struct list blocked; /* left alone after failures */
	uint64_t turns; /* given at gates so far */
	int64_t next_unblock_ms; /* none of those is due sooner */
	struct list held_gates;
	int64_t next_gate_ms; /* none of those has to be asked again sooner */
};

/* Puts the destination into the ring that its state asks for, or takes it out. After every change of what is asked there. */
void destination_settle_place(struct destination_table *table, struct destination *destination);
/* Lets go of those whose time has come; true: any. */
bool destination_wake_held(struct destination_table *table, int64_t now_ms);
/* One of its connections closed: who waited for that may ask again. */
void destination_gates_closed(struct destination_table *table, struct destination *destination);
/* One is idle, and may be closed for them. */
void destination_gates_idle(struct destination_table *table, struct destination *destination);

#endif
