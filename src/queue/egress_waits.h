/*
 * Destinations that wait for an address to send from. One of a stream may use any of the stream's addresses, so it waits in its stream's line for the
 * first of them that has room; streams that share an address take turns at it. Where it has a connection open already, which only the address's
 * rates keep from the next message, it waits for those as well, in the order of all who wait.
 *
 * An address's limiter says when it has room, or somebody says that it may have some: then one is let go, and asks. If it takes the room, or has no
 * use for it, the next is let go, until one is refused: so each place costs two questions, however many wait. Pure: the time is passed in (monotonic
 * milliseconds).
 */
#ifndef QUEUE_EGRESS_WAITS_H
#define QUEUE_EGRESS_WAITS_H

#include "queue/destination.h"

/* When an address has room. INT64_MAX: when somebody says so. */
struct egress_room {
	struct limiter *limiter; /* the address's; NULL: it is not in use */
	int64_t connect_ms; /* for a new connection, and a message on it */
	int64_t send_ms; /* for a message on a connection that is open */
};

struct egress_waits;

struct egress_waits *egress_waits_new(struct destination_table *table);
/* Lets all go. Before the destinations and the limiters are freed. NULL is fine. */
void egress_waits_free(struct egress_waits *waits);
/* Lets all go, and keeps nothing of what limiters said: the limits may be others now. */
void egress_waits_forget(struct egress_waits *waits);

/* Others of its stream (which this limiter stands for) came before, and it must not open a connection but wait behind them. */
bool egress_waits_is_behind(
	const struct egress_waits *waits, const struct destination *destination, const struct limiter *stream);
/* Messages from this address are what others wait for, and it must not send one on a connection that it has. */
bool egress_waits_is_behind_at(
	const struct egress_waits *waits, const struct destination *destination, const struct limiter *address);

/* What is to be waited for. */
struct egress_wish {
	struct limiter *stream;
	size_t room_count; /* those of the stream's addresses: the same until egress_waits_forget() */
	const struct egress_room *rooms;
	bool connects; /* a connection from any of them */
	const struct limiter *idle_at; /* to send on a connection that is open, from this one; NULL: none is */
};
/* Holds the destination, which has just been told no (or is behind others), until it is let go. It keeps its turn if it was let go in vain. */
void egress_waits_add(
	struct egress_waits *waits, struct destination *destination, const struct egress_wish *wish, int64_t now_ms);
/* It waits here. */
bool egress_waits_has(const struct destination *destination);
/* It took room at this address: next time it waits behind all others. */
void egress_waits_took(struct egress_waits *waits, struct destination *destination, struct limiter *address);

/* There may be room at this address, whatever was said before: a connection closed, or has nothing to do and can be closed; a message came to none. True:
 * somebody waits for that, and is let go by egress_waits_wake(). */
bool egress_waits_may_ask(struct egress_waits *waits, struct limiter *address);
/* Lets one go for each address that has room. True: there were any; ask again when they have had their turn. */
bool egress_waits_wake(struct egress_waits *waits, int64_t now_ms);
/* When egress_waits_wake() has something to do; INT64_MAX: only when something else happens. */
int64_t egress_waits_next_ms(const struct egress_waits *waits);

#endif
