/* What only the store's own files need of a database connection. */
#ifndef STORE_DB_PRIVATE_H
#define STORE_DB_PRIVATE_H

#include "store/db.h"

/* True when, since the last db_begin(), the medium refused something (disk full, I/O error): no use in trying the next job at once. */
bool db_storage_failed(const struct db *db);

/* Moves everything from the write-ahead log into the database file, syncs that, and empties the log, waiting for readers for a while. ERR_BUSY: a
 * reader or another writer did not get out of the way. */
enum err db_empty_log(struct db *db) MUST_CHECK;

#endif
