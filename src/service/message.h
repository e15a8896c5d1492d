/*
 * A message in memory: its envelope, and its content where that is at hand. It belongs to one thread at a time: to the session that
 * receives it, then to the store's writer, then to the dispatcher.
 */
#ifndef SERVICE_MESSAGE_H
#define SERVICE_MESSAGE_H

#include "base/arena.h"
#include "base/buf.h"
#include "net/loop.h"
#include "smtp/receiver.h"
#include "store/queue_store.h"

#include <stdatomic.h>

/* Bytes of message content held in memory by the whole server; beyond the limit, bodies go to spool files and are read back. */
struct memory_budget {
	_Atomic size_t used_bytes;
	_Atomic size_t limit_bytes; /* a reload may change it */
};
/* False (and nothing taken) when it does not fit. */
bool memory_budget_take(struct memory_budget *budget, size_t bytes);
void memory_budget_give(struct memory_budget *budget, size_t bytes);

/* What the sender asked for, with MAIL or in the header section, for each of the recipients: intake_commit() hands it on to them. */
struct message_wishes {
	bool has_priority; /* MT-PRIORITY was given (RFC 6710) */
	bool is_priority_lowered; /* ... and is more than this client may have */
	int32_t priority;
	int64_t deliver_by_ms; /* DELIVERBY (RFC 2852), wall clock; 0: none */
	int64_t hold_until_ms; /* FUTURERELEASE (RFC 4865), wall clock: not before; 0: at once */
	uint32_t hold_for_s; /* if it was asked for so; 0: by a date */
	bool may_hand_on_hold; /* it is looked at once whether a smart host holds it */
	unsigned flags; /* QUEUE_REQUIRETLS, QUEUE_TLS_OPTIONAL, QUEUE_BY_… */
};

struct message {
	struct loop_task task; /* its way to the dispatcher's loop */
	void *dispatcher;
	struct message *hash_next; /* the dispatcher's table */
	struct arena arena; /* envelope */
	struct queue_message envelope; /* views into the arena, head and body below */
	struct buf head, body;
	struct message_wishes wishes; /* until it is committed and taken by the dispatcher */
	char spool[64]; /* name of the spool file; "" if the body is in the row */
	struct view tls; /* version its client used, for the trace; may be empty */
	bool content_loaded; /* head and (unless spooled) body are at hand */
	struct memory_budget *budget; /* of the bytes counted below */
	size_t budget_bytes;
	size_t recipient_room; /* of envelope.recipients and their hashes while they grow */
	uint64_t *recipient_hashes; /* of their addresses */
	uint32_t pending; /* recipients not settled yet, as far as this object knows (dispatcher) */
	uint32_t users; /* deliveries that hold it (dispatcher) */
	bool *left; /* by recipient: it waits on disk while the message is active; NULL: none (dispatcher) */
	int64_t passed_due_ms; /* earliest due time of its rows on disk that nobody here has in hand; INT64_MAX: none (dispatcher) */
};

#define MESSAGE_ARENA_BYTES (48u * 1024 * 1024)
/* Recipients leave the rest to what is kept about them while they are routed. */
#define MESSAGE_ENVELOPE_BYTES (32u * 1024 * 1024)
#define MESSAGE_RECIPIENTS_MAX 20000u /* after alias expansion */

struct message *message_new(struct memory_budget *budget);
/* Does not touch the disk. NULL is fine. */
void message_free(struct message *message);
/* Copies everything the recipient's views point to. An address that is there already is left out (ERR_OK). ERR_LIMIT: too many. */
enum err message_add_recipient(struct message *message, const struct queue_recipient *recipient) MUST_CHECK;
/* Whether this address is among its recipients, as written. */
bool message_has_recipient(const struct message *message, struct view address);
/* Takes back those added behind the first `count`. */
void message_drop_recipients(struct message *message, size_t count);
/* Copies into the arena; ASSERTs on the budget: for values that were bounded before. */
struct view message_keep(struct message *message, struct view bytes);
/* Drops head and body from memory (they are on disk). */
void message_drop_content(struct message *message);
/* Counts head and body against the budget, even over its limit, so that others see it. */
void message_count_content(struct message *message);

/* The whole content as (at most) two pieces, for an unspooled message. */
uint64_t message_content_bytes(const struct message *message);

#endif
