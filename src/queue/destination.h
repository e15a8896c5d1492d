/*
 * Destinations: where deliveries queue up in memory, one per set of hosts and stream ("mx/a.example.net,b.example.net@shop"), one per smart host
 * ("smarthost/google") and one for local mailboxes. A destination knows how many connections it may have, how many it has, and until when it is
 * left alone after failures. It stands under limiters (of its site, its stream …), all of which must agree. A dead, held or suspended destination
 * costs others nothing: only runnable ones are ever looked at. Pure: the time is passed in (monotonic milliseconds).
 */
#ifndef QUEUE_DESTINATION_H
#define QUEUE_DESTINATION_H

#include "base/list.h"
#include "base/view.h"
#include "queue/limiter.h"

#define DESTINATION_LIMITERS_MAX 3u
#define DESTINATION_PRIORITY_MAX 9 /* MT-PRIORITY (RFC 6710): -9 … 9 */
#define DESTINATION_PRIORITIES (2u * DESTINATION_PRIORITY_MAX + 1u)

struct destination_gate;

enum destination_hold { DESTINATION_FREE, DESTINATION_HELD_TO_CONNECT, DESTINATION_HELD_TO_SEND };

struct destination {
	struct list runnable_link; /* private: in one of the table's rings while it has work and room */
	struct list *ring; /* private: which one; NULL: none */
	struct destination *next; /* private: hash chain */
	struct list blocked_link, held_link; /* private */
	struct view key; /* owned */
	struct list waiting
		[DESTINATION_PRIORITIES]; /* private: deliveries, the least urgent first; the members are the owner's */
	uint32_t waiting_priorities; /* private: one bit for each list that has any */
	size_t waiting_count;
	size_t awaited; /* the owner's: how many wait elsewhere on its account; it is not forgotten meanwhile */
	uint32_t connections; /* open or opening */
	uint32_t connections_max;
	/* How many it may have by now: begins small and grows with success up to connections_max. Trouble closes it; then it stays as it is for a
	 * while, longer each time that the trouble is there again where it was. */
	uint32_t window;
	uint32_t window_at_trouble;
	uint32_t troubles;
	int64_t grow_at_ms;
	uint32_t
		proven; /* the owner's: how many of them got as far as mail; none is declared dead while there is one */
	uint32_t failures; /* connection attempts that failed, in a row */
	char reason[240]; /* why the last one failed: told to those who wait; "" if none did */
	int64_t blocked_until_ms; /* 0: not blocked */
	uint64_t settings; /* the owner's: by which of his settings its limiters were set */
	bool is_local; /* set by the owner before the first delivery: its connections are none on the network, and never too many */
	/* What waits for it on disk, since memory is others', too: the first of it, as the owner reads the disk. */
	struct destination_left {
		bool any, reading; /* it is not forgotten */
		int64_t due_ms;
		uint64_t id;
		uint32_t index;
	} left;
	struct list left_link; /* private */
	struct list idle; /* connections of the owner's, ready for the next delivery: changed by the functions below */
	size_t gate_count; /* private, as is what follows: its limiters */
	struct destination_gate *gates[DESTINATION_LIMITERS_MAX];
	enum destination_hold hold;
	struct destination_gate
		*held_by; /* NULL: by none; held all the same, it waits for an address (egress_waits.c) */
	const void
		*turn_at; /* where it waited last, and since when, in numbers: who is let go in vain keeps his turn */
	uint64_t turn_there;
	struct list line_link, line_idle_link; /* private to egress_waits.c, with the turn there; 0: none */
	uint64_t turn;
};

struct destination_table;

struct destination_table *destination_table_new(void);
/* Every destination must be without deliveries and connections. Before the limiters are freed. */
void destination_table_free(struct destination_table *table);

/* Finds or makes one. connections_max is (re)set: limits may have changed by a reload. */
struct destination *destination_get(struct destination_table *table, struct view key, uint32_t connections_max);
/* Frees it if nothing waits, nothing is open and it is not blocked; else does nothing. The pointer must not be used again if it returns true. */
bool destination_release(struct destination_table *table, struct destination *destination);
size_t destination_count(const struct destination_table *table);

/* Adds a delivery behind those of its priority (in front of them: one whose connection was lost before it was tried). Higher ones go first. */
void destination_add(
	struct destination_table *table, struct destination *destination, struct list *delivery, int32_t priority);
void destination_add_first(
	struct destination_table *table, struct destination *destination, struct list *delivery, int32_t priority);
/* Takes the next delivery, or NULL. */
struct list *destination_take(struct destination_table *table, struct destination *destination);
/* Takes the first that fits, among the next few; NULL: none of those does. */
struct list *destination_take_fitting(struct destination_table *table, struct destination *destination,
	bool (*fits)(void *owner, struct list *delivery), void *owner);
/* Whether there is one. */
bool destination_has_fitting(
	const struct destination *destination, bool (*fits)(void *owner, struct list *delivery), void *owner);
/* All that fit, appended to *ret in their order. */
void destination_take_all_fitting(struct destination_table *table, struct destination *destination,
	bool (*fits)(void *owner, struct list *delivery), void *owner, struct list *ret);
/* The one that destination_take() would take; NULL: none waits. */
struct list *destination_first(const struct destination *destination);
/* Whether it may have one more connection, as far as its window goes and no limiter has said no. */
bool destination_has_room(const struct destination *destination);

/* Counts of connections, here and at its limiters. */
void destination_opened(struct destination_table *table, struct destination *destination);
void destination_closed(struct destination_table *table, struct destination *destination);
/* A connection worked: failures and block are forgotten. */
void destination_connected(struct destination_table *table, struct destination *destination);
/* It carried a message, too: one more may be opened. Who only answers, and then lets us wait, gets no more of them. */
void destination_succeeded(struct destination_table *table, struct destination *destination, int64_t now_ms);
/* One more connection was refused while others work: that many are enough. Called while the refused one is still counted. */
void destination_refused_more(struct destination_table *table, struct destination *destination, int64_t now_ms);
/* It asks for patience, or lets us wait: half as many, at least one. */
void destination_strained(struct destination_table *table, struct destination *destination, int64_t now_ms);
/* No host could be reached: the destination is left alone for first_ms, doubling up to max_ms. */
void destination_failed(struct destination_table *table, struct destination *destination, int64_t now_ms,
	int64_t first_ms, int64_t max_ms);

/* A connection became idle: who waits for it to close may ask again, and have it closed; one that is not idle any more (it may not have been). */
void destination_idle_add(struct destination_table *table, struct destination *destination, struct list *connection);
void destination_idle_remove(struct destination_table *table, struct destination *destination, struct list *connection);

/* Puts it under these limiters instead of those it is under; they must live as long as it stands under them (limiter.users counts that). */
void destination_set_limiters(struct destination_table *table, struct destination *destination, size_t count,
	struct limiter *const *limiters);
/* May it open a connection and send a message on it (only send one more on a connection it has)? If not, it is held: out of the rings until the
 * limiter's time comes, or one of the limiter's connections closes. Nothing is taken by asking. */
bool destination_may_open(struct destination_table *table, struct destination *destination, int64_t now_ms);
bool destination_may_send(struct destination_table *table, struct destination *destination, int64_t now_ms);
/* A message is on its way: taken from all its limiters. */
void destination_sent(struct destination *destination, int64_t now_ms);
/* It came to none: given back, and who waits for that may ask again. */
void destination_unsent(struct destination_table *table, struct destination *destination, int64_t now_ms);
/* The limiter's mind was changed (it was resumed): those that wait for it may ask at once. */
void destination_ask_again(struct destination_table *table, struct limiter *limiter);
/* The limiter that suspends it now; NULL: none. */
const struct limiter *destination_suspended(const struct destination *destination, int64_t now_ms);
/* The limiter for one of whose connections it waits; NULL: none. */
const struct limiter *destination_held_by(const struct destination *destination);
/* It is free to ask again. */
void destination_let_go(struct destination_table *table, struct destination *destination);
bool destination_is_under(const struct destination *destination, const struct limiter *limiter);

/* Something of it is left on disk, from there on (or nothing any more: `any` false). */
void destination_set_left(
	struct destination_table *table, struct destination *destination, const struct destination_left *left);
/* The next of those that have something left on disk, in turn, which are not blocked and have so few waiting (or awaited); NULL: none among the next few. */
struct destination *destination_next_left(struct destination_table *table, size_t waiting_max);
/* All of what is left is going to be read by somebody. */
void destination_forget_left(struct destination_table *table);

enum destination_leave {
	DESTINATION_MAY_NOT_OPEN, /* only those that need no new connection on the network */
	DESTINATION_MAY_OPEN_FIRST, /* and those that have none yet */
	DESTINATION_MAY_OPEN,
};
/* The next destination that has waiting deliveries, room for a connection (or an idle one), is not blocked and not held, in turn; NULL: none. It
 * is put at the end of its ring, so that none starves; those without any connection come before those that want one more. */
struct destination *destination_next_runnable(struct destination_table *table, enum destination_leave leave);
/* Whether there is one that only waits for leave to open a connection; or one that has none yet. */
bool destination_wants_connection(const struct destination_table *table);
bool destination_wants_first_connection(const struct destination_table *table);
/* Whether there is one that a share of the connections (limiter.is_share) keeps from having one. */
bool destination_waits_for_share(const struct destination_table *table);
/* Unblocks those whose time has come, and lets a few of those go that a limiter held and may let go now. True: there were any; ask again when they
 * have had their turn. */
bool destination_wake(struct destination_table *table, int64_t now_ms);
/* Failures are forgotten: all are to be tried at once. */
void destination_forget_failures(struct destination_table *table);
/* When destination_wake() has something to do; INT64_MAX: only when something else happens. */
int64_t destination_next_wake_ms(const struct destination_table *table);
/* Calls each() for every destination; it may take deliveries but not release destinations. Those that are then empty are freed. */
void destination_each(
	struct destination_table *table, void (*each)(void *owner, struct destination *destination), void *owner);

#endif
