/*
 * Destinations: where deliveries queue up in memory, one per set of hosts ("mx/example.net", "smarthost/google") and one for
 * local mailboxes. A destination knows how many connections it may have, how many it has, and until when it is left alone after
 * failures. A dead destination costs others nothing: only runnable ones are ever looked at. Pure: the time is passed in.
 */
#ifndef QUEUE_DESTINATION_H
#define QUEUE_DESTINATION_H

#include "base/list.h"
#include "base/view.h"

struct destination {
	struct list runnable_link; /* private: in one of the table's rings while it has work and room */
	struct list *ring; /* private: which one; NULL: none */
	struct destination *next; /* private: hash chain */
	struct view key; /* owned */
	struct list waiting; /* deliveries, first come first served; the members are the owner's */
	size_t waiting_count;
	uint32_t connections; /* open or opening */
	uint32_t connections_max;
	bool is_full; /* it refused one more connection while others worked: the window grows slowly */
	uint32_t successes; /* since then */
	uint32_t window; /* how many it may have by now: begins small, grows with success up to connections_max */
	uint32_t
		proven; /* the owner's: how many of them got as far as mail; none is declared dead while there is one */
	uint32_t failures; /* connection attempts that failed, in a row */
	char reason[240]; /* why the last one failed: told to those who wait; "" if none did */
	int64_t blocked_until_ms; /* monotonic; 0: not blocked */
	bool is_local; /* set by the owner before the first delivery: its connections are none on the network, and never too many */
	struct list idle; /* connections of the owner's, ready for the next delivery: changed by the functions below */
};

struct destination_table;

struct destination_table *destination_table_new(void);
/* Every destination must be without deliveries and connections. */
void destination_table_free(struct destination_table *table);

/* Finds or makes one. connections_max is (re)set: limits may have changed by a reload. */
struct destination *destination_get(struct destination_table *table, struct view key, uint32_t connections_max);
/* Frees it if nothing waits, nothing is open and it is not blocked; else does nothing. The pointer must not be used again if it returns true. */
bool destination_release(struct destination_table *table, struct destination *destination);
size_t destination_count(const struct destination_table *table);

/* Adds a delivery at the end (at the front: one whose connection was lost before it was tried). */
void destination_add(struct destination_table *table, struct destination *destination, struct list *delivery);
void destination_add_first(struct destination_table *table, struct destination *destination, struct list *delivery);
/* Takes the next delivery, or NULL. */
struct list *destination_take(struct destination_table *table, struct destination *destination);
/* Takes the first that fits, among the next few; NULL: none of those does. */
struct list *destination_take_fitting(struct destination_table *table, struct destination *destination,
	bool (*fits)(void *owner, struct list *delivery), void *owner);
/* The one that destination_take() would take; NULL: none waits. */
struct list *destination_first(const struct destination *destination);
/* Whether it may have one more connection. */
bool destination_has_room(const struct destination *destination);

/* Counts of connections. */
void destination_opened(struct destination_table *table, struct destination *destination);
void destination_closed(struct destination_table *table, struct destination *destination);
/* A connection worked: failures and block are forgotten. */
void destination_connected(struct destination_table *table, struct destination *destination);
/* It carried a message, too: one more may be opened. Who only answers, and then lets us wait, gets no more of them. */
void destination_succeeded(struct destination_table *table, struct destination *destination);
/* One more connection was refused while others work: that many are enough. Called while the refused one is still counted. */
void destination_refused_more(struct destination_table *table, struct destination *destination);
/* No host could be reached: the destination is left alone for first_ms, doubling up to max_ms. */
void destination_failed(struct destination_table *table, struct destination *destination, int64_t now_ms,
	int64_t first_ms, int64_t max_ms);

/* A connection became idle; the first idle one, taken off the list, or NULL; one that is not idle any more (it may not have been). */
void destination_idle_add(struct destination_table *table, struct destination *destination, struct list *connection);
struct list *destination_idle_take(struct destination_table *table, struct destination *destination);
void destination_idle_remove(struct destination_table *table, struct destination *destination, struct list *connection);

enum destination_leave {
	DESTINATION_MAY_NOT_OPEN, /* only those that need no new connection on the network */
	DESTINATION_MAY_OPEN_FIRST, /* and those that have none yet */
	DESTINATION_MAY_OPEN,
};
/* The next destination that has waiting deliveries, room for a connection (or an idle one) and is not blocked, in turn; NULL: none. It is put at
 * the end of its ring, so that none starves; those without any connection come before those that want one more. */
struct destination *destination_next_runnable(struct destination_table *table, enum destination_leave leave);
/* Whether there is one that only waits for leave to open a connection. */
bool destination_wants_connection(const struct destination_table *table);
/* Unblocks those whose time has come; returns when the next one is due, INT64_MAX: none. */
int64_t destination_unblock(struct destination_table *table, int64_t now_ms);
/* Calls each() for every destination; it may take deliveries but not release destinations. Those that are then empty are freed. */
void destination_each(
	struct destination_table *table, void (*each)(void *owner, struct destination *destination), void *owner);

#endif
