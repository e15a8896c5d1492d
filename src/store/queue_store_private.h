/* What the files of the queue's store share. */
#ifndef STORE_QUEUE_STORE_PRIVATE_H
#define STORE_QUEUE_STORE_PRIVATE_H

#include "store/queue_store.h"

/* Removes the message if it has no recipients any more; ret_spool is its spool file's name then, else untouched. */
enum err queue_store_delete_settled(struct db *db, uint64_t message_id, char ret_spool[64]) MUST_CHECK;

/* The columns of a recipient and its message's envelope, in the order in which queue_store_read_*() expect them. */
#define QUEUE_STORE_RECIPIENT_COLUMNS                                                                                  \
	"r.message_id, r.idx, r.state, r.due_at_ms, r.attempts, r.last_attempt_ms, r.warned, r.notify, r.address, "    \
	"r.orcpt, r.original, r.last_reply, r.last_host, r.stream, r.smarthost, r.priority, r.deliver_by_ms, r.flags"
#define QUEUE_STORE_ENVELOPE_COLUMNS                                                                                   \
	"m.received_at_ms, m.size_bytes, m.ret, m.body_type, m.smtputf8, m.reverse_path, m.envid, m.account, "         \
	"m.client, m.source, m.spool"
#define QUEUE_STORE_ENVELOPE_AT 18 /* when both are read in one statement */

/* Views are borrowed from the statement; `at` is the first of the envelope's columns. */
struct queue_recipient queue_store_read_recipient(struct db_statement *statement);
struct queue_message queue_store_read_envelope(struct db_statement *statement, uint64_t id, int at);
/* What queue_store_load_due() asks, so that a test can look at its plan. */
extern const char queue_store_select_due[];

#endif
