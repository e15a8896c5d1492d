/* What only the store's own files need of a database connection. */
#ifndef STORE_DB_PRIVATE_H
#define STORE_DB_PRIVATE_H

#include "store/db.h"

/* True when, since the last db_begin(), the medium refused something (disk full, I/O error): no use in trying the next job at once. */
bool db_storage_failed(const struct db *db);

enum db_checkpoint {
	DB_CHECKPOINT_PASSIVE, /* as much as goes without making anybody wait */
	DB_CHECKPOINT_WHOLE, /* everything, waiting for readers; the log is empty afterwards */
};
/* Moves what is in the write-ahead log into the database file, and syncs that. *ret_left = pages that are still only in the log (may be NULL).
 * ERR_BUSY: WHOLE could not get readers or another writer out of the way. A store without a log has nothing to do. */
enum err db_checkpoint(struct db *db, enum db_checkpoint how, uint64_t *ret_left) MUST_CHECK;
/* The log's length in pages after the last commit of this connection. Only with db_log_by_hand(). */
uint64_t db_log_pages(const struct db *db);
/* Commits don't checkpoint any more by themselves: whoever owns the connection sees to it. */
void db_log_by_hand(struct db *db);

#endif
