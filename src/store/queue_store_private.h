/* What the files of the queue's store share. */
#ifndef STORE_QUEUE_STORE_PRIVATE_H
#define STORE_QUEUE_STORE_PRIVATE_H

#include "store/queue_store.h"

/* Removes the message if it has no recipients any more; ret_spool is its spool file's name then, else untouched. */
enum err queue_store_delete_settled(struct db *db, uint64_t message_id, char ret_spool[64]) MUST_CHECK;

/* The columns of a recipient and its message's envelope, in the order in which queue_store_read_*() expect them. */
#define QUEUE_STORE_RECIPIENT_COLUMNS                                                                                  \
	"r.message_id, r.idx, r.state, r.due_at_ms, r.attempts, r.last_attempt_ms, r.warned, r.notify, r.address, "    \
	"r.orcpt, r.original, r.last_reply, r.last_host, r.stream, r.smarthost, r.priority, r.deliver_by_ms, "         \
	"r.flags, "                                                                                                    \
	"r.hold_until_ms, r.hold_for_s"
#define QUEUE_STORE_ENVELOPE_COLUMNS                                                                                   \
	"m.received_at_ms, m.size_bytes, m.ret, m.body_type, m.smtputf8, m.reverse_path, m.envid, m.account, "         \
	"m.client, m.source, m.spool"
#define QUEUE_STORE_ENVELOPE_AT 20 /* when both are read in one statement */

/* Views are borrowed from the statement; `at` is the first of the envelope's columns. */
struct queue_recipient queue_store_read_recipient(struct db_statement *statement);
struct queue_message queue_store_read_envelope(struct db_statement *statement, uint64_t id, int at);

/* Days since 1970, UTC. */
int64_t queue_store_site_day(int64_t now_ms);

/* A look through the queue with a filter (queue_store_scan.c). */
struct queue_scan_site;
struct queue_scan {
	struct db *db;
	const struct queue_filter *filter;
	struct db_statement *envelope; /* on the row of message.id; NULL: none read */
	struct queue_message message;
	struct queue_scan_site *sites; /* what is known about domains */
};
void queue_scan_init(struct queue_scan *scan, struct db *db, const struct queue_filter *filter);
/* Ends what it reads; it can go on later. */
void queue_scan_pause(struct queue_scan *scan);
void queue_scan_clear(struct queue_scan *scan);
/* scan->message is that message's envelope. */
enum err queue_scan_envelope(struct queue_scan *scan, uint64_t id) MUST_CHECK;
enum err queue_scan_matches(
	struct queue_scan *scan, uint64_t id, const struct queue_recipient *recipient, bool *ret) MUST_CHECK;
struct view queue_scan_domain(struct view address);
/* The recipients behind a position in order of message id and index (of one message if the filter names it), with what filters look at. */
struct db_statement *queue_scan_keys(
	struct db *db, const struct queue_filter *filter, uint64_t after_id, int64_t after_index, size_t limit);
struct queue_recipient queue_scan_read_key(struct db_statement *statement, uint64_t *ret_id, uint64_t *ret_bytes);
/* Binds such a position to $1 to $4 of "(message_id, idx) > ($1, $2) AND message_id <= $3 … LIMIT $4". */
void queue_scan_bind(struct db_statement *statement, const struct queue_filter *filter, uint64_t after_id,
	int64_t after_index, size_t limit);

/* What queue_store_load_due() asks, so that a test can look at its plan. */
extern const char queue_store_select_due[];

#endif
