/*
 * The queue on disk: messages and their recipients (see docs/queue-states.md for every legal state). Synchronous calls on a
 * struct db, used inside store jobs. A message row never changes after it was put; everything that changes is in recipient rows.
 * A recipient that is settled (delivered, failed, removed) has no row; a message without recipients has no row.
 */
#ifndef STORE_QUEUE_STORE_H
#define STORE_QUEUE_STORE_H

#include "base/arena.h"
#include "base/buf.h"
#include "store/db.h"

enum queue_recipient_state {
	QUEUE_READY = 0, /* to be tried at due_at_ms */
	QUEUE_HELD = 1, /* by an operator: never due until released */
};

enum { /* queue_recipient.flags */
	QUEUE_REQUIRETLS = 1, /* RFC 8689: only to servers that keep the promise */
	QUEUE_TLS_OPTIONAL =
		2, /* "TLS-Required: No" (RFC 8689 §3): TLS policies of the receiving side are not to hold it up */
	QUEUE_BY_RETURN =
		4, /* DELIVERBY (RFC 2852) mode R: returned when the time is up; else mode N: its sender is told */
	QUEUE_BY_TRACE = 8,
	QUEUE_QUARANTINE = 16, /* to the Junk folder of its mailbox */
	QUEUE_NO_SRS = 32, /* the reverse-path is not rewritten (it is ours) */
	QUEUE_RETURN =
		64, /* an operator gave it up: not tried any more, it fails with last_reply, and its sender is told */
	QUEUE_FUTURE =
		128, /* FUTURERELEASE: delivered at hold_until_ms; before that it may be handed on to who holds it as long. */
};

struct queue_recipient {
	uint32_t index; /* within the message, from 0 */
	struct view address; /* canonical; where it goes (after alias expansion) */
	struct view orcpt; /* "rfc822;…" or empty: as the sender gave it */
	struct view original; /* the RCPT address before alias expansion; empty if the same */
	unsigned notify; /* SMTP_NOTIFY_* bits, 0 = not given */
	enum queue_recipient_state state;
	uint32_t attempts;
	int64_t due_at_ms; /* wall clock */
	bool warned; /* the delay DSN was sent */
	struct view last_reply; /* "451 4.7.1 try later", or what went wrong here; empty before the first try */
	struct view last_host; /* "mx.example.net[192.0.2.1]" */
	int64_t last_attempt_ms; /* 0: none */
	struct view stream; /* name of the stream section it belongs to; empty: none */
	struct view smarthost; /* an operator sent it there; empty: as configured */
	int32_t priority; /* MT-PRIORITY (RFC 6710): -9 … 9 */
	int64_t deliver_by_ms; /* DELIVERBY, wall clock; 0: none */
	unsigned flags; /* QUEUE_REQUIRETLS … */
	int64_t hold_until_ms; /* FUTURERELEASE (RFC 4865): not before that, wall clock; 0: not asked for */
	uint32_t hold_for_s; /* as it was asked for, if so; 0: by a date */
};
/* Whether it still waits for its release. */
static inline bool queue_recipient_waits(const struct queue_recipient *recipient, int64_t now_ms)
{
	return (recipient->flags & QUEUE_FUTURE) != 0 && recipient->hold_until_ms > now_ms;
}
/* From when its time in the queue counts: what is held for long would expire at its first failure. */
static inline int64_t queue_recipient_since_ms(int64_t received_at_ms, const struct queue_recipient *recipient)
{
	return recipient->hold_until_ms > received_at_ms ? recipient->hold_until_ms : received_at_ms;
}

struct queue_message {
	uint64_t id; /* queue/id.h makes and prints it */
	int64_t received_at_ms;
	struct view reverse_path; /* "" = null */
	struct view envid;
	unsigned ret; /* enum smtp_ret */
	unsigned body_type; /* enum smtp_body_type, what the content really is */
	bool smtputf8;
	struct view account; /* who submitted it; empty for mail from outside and for our own DSNs */
	struct view client; /* "192.0.2.1" */
	struct view source; /* listener kind, "dsn", "sendmail" */
	uint64_t size_bytes; /* head + body */
	struct view head; /* fields put in front at reception (Received …), complete lines */
	struct view body; /* the content, if it is kept in the row */
	struct view spool; /* else the name of its spool file (store/spool.h) */
	size_t recipient_count;
	struct queue_recipient *recipients;
};

enum err queue_store_put(struct db *db, const struct queue_message *message) MUST_CHECK;

/* What became of one recipient in one attempt. */
enum queue_outcome_kind {
	QUEUE_SETTLED, /* delivered or failed for good (a DSN, if due, is in the same job) or removed: the row goes */
	QUEUE_DEFERRED, /* attempts, due_at_ms, warned, last_* are written */
};
struct queue_outcome {
	uint32_t index;
	enum queue_outcome_kind kind;
	uint32_t attempts;
	int64_t due_at_ms;
	bool warned;
	struct view last_reply, last_host;
	int64_t last_attempt_ms;
};
/* Applies outcomes; when the last recipient is settled the message row goes too, and then its spool file's name (if it has one) is
 * copied to ret_spool (≥ 64 bytes, "" if none) for the caller to unlink AFTER the commit. Outcomes for rows that are gone (removed by an operator) are ignored;
 * a deferral does not release a row that an operator held meanwhile. */
enum err queue_store_settle(struct db *db, uint64_t message_id, size_t count, const struct queue_outcome *outcomes,
	char ret_spool[64]) MUST_CHECK;

/* The site that mail for a domain goes to (struct domain_route), written with its deferral: how operators name what is on disk. Both are kept in
 * lower case; nothing is written when it is known already, but for once a day. */
enum err queue_store_note_site(struct db *db, struct view domain, struct view site, int64_t now_ms) MUST_CHECK;

/* The site that a domain belongs to: what is known in memory (NULL: nothing), as noted, or itself; appended. */
struct site_map;
enum err queue_store_find_site(
	struct db *db, const struct site_map *known, struct view domain, struct buf *out) MUST_CHECK;

/* One recipient becomes others (an alias took its mailbox's place): its row goes and theirs, at least one, come. They take over its state, stream,
 * smart host, priority, deliver_by_ms, flags and hold; their indexes follow the message's last and are at least `first_index`. What stands in
 * `recipients` for all these is not looked at, and of `message` only id and size_bytes are. Nothing happens when the row is gone. */
enum err queue_store_replace(struct db *db, const struct queue_message *message, uint32_t index, uint32_t first_index,
	size_t count, const struct queue_recipient *recipients) MUST_CHECK;

/* Recipients due at or before `until_ms`, in order (due_at_ms, message_id, index), strictly after `after`; at most `limit` rows. Each comes with its
 * message's envelope (no head, body). Rows of one message that follow each other are grouped into one queue_message; all memory from
 * the arena. *ret_next = the last position read. */
struct queue_position {
	int64_t due_at_ms;
	uint64_t message_id;
	uint32_t index;
};
enum err queue_store_load_due(struct db *db, struct queue_position after, int64_t until_ms, size_t limit,
	struct arena *arena, struct queue_message **ret_messages, size_t *ret_count, size_t *ret_rows,
	struct queue_position *ret_next) MUST_CHECK;
/* The earliest due time among ready recipients; INT64_MAX if there are none. */
enum err queue_store_next_due(struct db *db, int64_t *ret_due_at_ms) MUST_CHECK;
/* head, body and spool of a message; ERR_NOT_FOUND. Heap copies in bufs (bounded by what was accepted). */
enum err queue_store_load_content(
	struct db *db, uint64_t message_id, struct buf *ret_head, struct buf *ret_body, char ret_spool[64]) MUST_CHECK;
/* Envelope and recipients of one message; ERR_NOT_FOUND. */
enum err queue_store_load(
	struct db *db, uint64_t message_id, struct arena *arena, struct queue_message *ret) MUST_CHECK;

/* For operators. A zero filter matches everything; texts are compared without regard to case (ASCII). */
struct queue_filter {
	uint64_t message_id; /* 0: any */
	struct view recipient_domain; /* empty: any */
	struct view sender; /* empty: any; "<>": the null path */
	struct view
		site; /* empty: any; as `sites` has it, else as noted, or the domain itself where nothing is; nothing that an operator sent to a smart host */
	const struct site_map *sites; /* what a running server knows besides, borrowed; NULL: nothing */
	struct view stream; /* empty: any */
	bool only_held, only_deferred;
	bool only_suspended; /* deferred because of a suspension (store/suspension_store.h) */
	struct view suspended_by; /* of this one: "site google"; empty: any */
};
/* Calls row() for each matching recipient in order of message id, from `after_id` (exclusive), at most `limit` messages. Reads what lies between
 * them, too: where few match, much of the queue. */
enum err queue_store_list(struct db *db, const struct queue_filter *filter, uint64_t after_id, size_t limit,
	void (*row)(void *owner, const struct queue_message *message, const struct queue_recipient *recipient),
	void *owner) MUST_CHECK;

/* A bite of the queue: looks at about `rows` recipients behind the message `after_id`, and gives the ids of those messages that have a matching
 * one, ascending, at most `room`. */
struct queue_found {
	size_t count; /* ids */
	uint64_t looked_at; /* recipients */
	uint64_t next_id; /* go on behind this one; 0: the end was reached */
};
enum err queue_store_find(struct db *db, const struct queue_filter *filter, uint64_t after_id, size_t rows, size_t room,
	uint64_t *ret_ids, struct queue_found *ret) MUST_CHECK;

enum queue_action {
	QUEUE_RETRY, /* due now, and released (QUEUE_FUTURE) */
	QUEUE_TRY, /* due now; QUEUE_FUTURE stands */
	QUEUE_HOLD,
	QUEUE_RELEASE, /* due now; QUEUE_FUTURE stands */
	QUEUE_REMOVE,
	QUEUE_BOUNCE, /* due now, held or not, flagged QUEUE_RETURN, with the reply it is to fail with */
	QUEUE_REBIND, /* another stream and/or smart host; due now unless held */
};
struct queue_change {
	enum queue_action action;
	int64_t now_ms;
	struct view reply; /* BOUNCE: "554 5.0.0 …" */
	bool set_stream, set_smarthost; /* REBIND: which of the two; empty: none */
	struct view stream, smarthost;
};
/* *ret_changed = recipients. REMOVE also removes messages left without recipients; spool names of those are given to gone(). */
enum err queue_store_change(struct db *db, const struct queue_change *change, const struct queue_filter *filter,
	void (*gone)(void *owner, const char *spool), void *owner, uint64_t *ret_changed) MUST_CHECK;
/* The same, for actions that need no more than a time. */
enum err queue_store_act(struct db *db, enum queue_action action, const struct queue_filter *filter, int64_t now_ms,
	void (*gone)(void *owner, const char *spool), void *owner, uint64_t *ret_changed) MUST_CHECK;
/* Largest message id in the store (0: none), so that new ids go on from there. */
enum err queue_store_last_id(struct db *db, uint64_t *ret_id) MUST_CHECK;

#endif
