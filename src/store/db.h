/*
 * A thin layer over the SQL engine: open by URL, prepare, bind, step, transaction. One struct db belongs to one thread.
 * SQL is written so that SQLite and PostgreSQL both take it: $1 parameters, RETURNING, ON CONFLICT.
 */
#ifndef STORE_DB_H
#define STORE_DB_H

#include "base/view.h"

struct db;
struct db_statement;

enum db_sync { DB_SYNC_FULL, DB_SYNC_RELAXED /* a power cut may lose the last moments; never corrupts */ };

/* "sqlite:/path/file.db". ERR_* with a sentence. */
enum err db_open(const char *url, bool read_only, enum db_sync sync, struct db **ret) MUST_CHECK;
void db_close(struct db *db); /* NULL is fine */
/* A further reading connection to where this one reads, for another thread. ERR_UNSUPPORTED: that is memory. */
enum err db_open_another(const struct db *db, struct db **ret) MUST_CHECK;

enum err db_begin(struct db *db) MUST_CHECK; /* a writing transaction */
enum err db_commit(
	struct db *db) MUST_CHECK; /* ERR_NO_SPACE, ERR_IO: nothing was kept, the transaction is rolled back */
void db_rollback(struct db *db);
enum err db_exec(struct db *db, const char *sql) MUST_CHECK; /* several statements, no parameters: migrations */

/* Prepared once per SQL text and db, then reused; `sql` must be a string constant. NULL with err_detail(). */
struct db_statement *db_prepare(struct db *db, const char *sql) MUST_CHECK;
/* Parameters count from 1. Views must stay valid until db_reset(). */
void db_bind_int(struct db_statement *statement, int index, int64_t value);
void db_bind_text(struct db_statement *statement, int index, struct view text);
void db_bind_blob(struct db_statement *statement, int index, struct view bytes);
void db_bind_null(struct db_statement *statement, int index);
/* *ret_row: a row is there. When it is false, or on failure, the statement has been reset. */
enum err db_step(struct db_statement *statement, bool *ret_row) MUST_CHECK;
/* Runs to the end, for INSERT/UPDATE/DELETE; *ret_changed may be NULL. */
enum err db_run(struct db_statement *statement, uint64_t *ret_changed) MUST_CHECK;
void db_reset(struct db_statement *statement);
/* Columns count from 0; views are borrowed until the next step or reset. NULL reads as 0 or the empty view. */
int64_t db_column_int(struct db_statement *statement, int index);
struct view db_column_view(struct db_statement *statement, int index);

#endif
