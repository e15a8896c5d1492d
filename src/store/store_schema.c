#include "store/store_schema.h"

#include "store/schema_queue.h"
#include "store/schema_dkim.h"
#include "store/schema_tls.h"
#include "store/schema_dmarc.h"
#include "store/schema_bounce.h"
#include "store/schema_egress.h"

/*
 * The SQL is what SQLite and PostgreSQL both take; what they call differently is a parameter of the macro:
 *   BYTES      the type of binary columns (BLOB, BYTEA)
 *   KEY        a 64-bit key that is the row's own number (INTEGER is SQLite's rowid itself, BIGINT would be an index beside it)
 *   SERIAL     a key the database numbers by itself
 *   CLUSTERED  rows are stored in their primary key's own tree
 * A migration that was released is never edited; a change is a new one with the next number.
 */

/*
 * message: one row per message, written once. The columns that are read for each delivery stand before the content, which SQLite then leaves
 *   on its overflow pages. Ids grow, so new rows go to the tree's right end.
 * recipient: a row per recipient that is not settled yet; message_bytes repeats the message's size so that a summary need not read contents. node and
 *   lease_until_ms are for several nodes on one store.
 * recipient_due: only what can become due, in the order in which it is loaded.
 * The *_key columns are the text in lower case (ASCII): what look-ups compare. No foreign keys: the store's functions keep rows together, and the
 * message path pays for no checks.
 */
#define MAIN_1(BYTES, KEY, SERIAL, CLUSTERED)                                                                          \
	"CREATE TABLE message ("                                                                                       \
	" id " KEY " NOT NULL PRIMARY KEY,"                                                                            \
	" received_at_ms BIGINT NOT NULL,"                                                                             \
	" size_bytes BIGINT NOT NULL,"                                                                                 \
	" ret INTEGER NOT NULL,"                                                                                       \
	" body_type INTEGER NOT NULL,"                                                                                 \
	" smtputf8 INTEGER NOT NULL,"                                                                                  \
	" reverse_path TEXT NOT NULL,"                                                                                 \
	" envid TEXT NOT NULL,"                                                                                        \
	" account TEXT NOT NULL,"                                                                                      \
	" client TEXT NOT NULL,"                                                                                       \
	" source TEXT NOT NULL,"                                                                                       \
	" spool TEXT NOT NULL,"                                                                                        \
	" head " BYTES " NOT NULL,"                                                                                    \
	" body " BYTES " NOT NULL);"                                                                                   \
	"CREATE TABLE recipient ("                                                                                     \
	" message_id BIGINT NOT NULL,"                                                                                 \
	" idx INTEGER NOT NULL,"                                                                                       \
	" state INTEGER NOT NULL,"                                                                                     \
	" due_at_ms BIGINT NOT NULL,"                                                                                  \
	" attempts INTEGER NOT NULL,"                                                                                  \
	" last_attempt_ms BIGINT NOT NULL,"                                                                            \
	" warned INTEGER NOT NULL,"                                                                                    \
	" notify INTEGER NOT NULL,"                                                                                    \
	" message_bytes BIGINT NOT NULL,"                                                                              \
	" address TEXT NOT NULL,"                                                                                      \
	" orcpt TEXT NOT NULL,"                                                                                        \
	" original TEXT NOT NULL,"                                                                                     \
	" last_reply TEXT NOT NULL,"                                                                                   \
	" last_host TEXT NOT NULL,"                                                                                    \
	" node INTEGER NOT NULL DEFAULT 0,"                                                                            \
	" lease_until_ms BIGINT NOT NULL DEFAULT 0,"                                                                   \
	" PRIMARY KEY (message_id, idx))" CLUSTERED ";"                                                                \
	"CREATE INDEX recipient_due ON recipient (due_at_ms, message_id, idx) WHERE state = 0;"                        \
	"CREATE TABLE domain (name TEXT NOT NULL PRIMARY KEY)" CLUSTERED ";"                                           \
	"CREATE TABLE account ("                                                                                       \
	" id " SERIAL ","                                                                                              \
	" domain TEXT NOT NULL,"                                                                                       \
	" local_key TEXT NOT NULL,"                                                                                    \
	" local TEXT NOT NULL,"                                                                                        \
	" address TEXT NOT NULL,"                                                                                      \
	" password_hash TEXT NOT NULL,"                                                                                \
	" UNIQUE (domain, local_key));"                                                                                \
	"CREATE TABLE alias ("                                                                                         \
	" domain TEXT NOT NULL,"                                                                                       \
	" local_key TEXT NOT NULL,"                                                                                    \
	" target_key TEXT NOT NULL,"                                                                                   \
	" address TEXT NOT NULL,"                                                                                      \
	" target TEXT NOT NULL,"                                                                                       \
	" PRIMARY KEY (domain, local_key, target_key))" CLUSTERED ";"

/* event: message ids grow with time, so new rows go to the right end and old ones are pruned from the left; number keeps the order of one message's
 * events. */
#define EVENTS_1(CLUSTERED)                                                                                            \
	"CREATE TABLE event ("                                                                                         \
	" message_id BIGINT NOT NULL,"                                                                                 \
	" number BIGINT NOT NULL,"                                                                                     \
	" at_ms BIGINT NOT NULL,"                                                                                      \
	" event TEXT NOT NULL,"                                                                                        \
	" fields TEXT NOT NULL,"                                                                                       \
	" PRIMARY KEY (message_id, number))" CLUSTERED ";"

static const char *const sqlite_main[] = {
	MAIN_1("BLOB", "INTEGER", "INTEGER PRIMARY KEY", " WITHOUT ROWID"),
	MAIN_2("BLOB", "INTEGER", "INTEGER PRIMARY KEY", " WITHOUT ROWID"),
	MAIN_3("BLOB", "INTEGER", "INTEGER PRIMARY KEY", " WITHOUT ROWID"),
	MAIN_4("BLOB", "INTEGER", "INTEGER PRIMARY KEY", " WITHOUT ROWID"),
	MAIN_5("BLOB", "INTEGER", "INTEGER PRIMARY KEY", " WITHOUT ROWID"),
	MAIN_6("BLOB", "INTEGER", "INTEGER PRIMARY KEY", " WITHOUT ROWID"),
	MAIN_7("BLOB", "INTEGER", "INTEGER PRIMARY KEY", " WITHOUT ROWID"),
	MAIN_8("BLOB", "INTEGER", "INTEGER PRIMARY KEY", " WITHOUT ROWID"),
};
static const char *const sqlite_events[] = {
	EVENTS_1(" WITHOUT ROWID"),
};

static const struct {
	const char *const *migrations;
	int64_t newest;
} schemas[] = {
	[STORE_SCHEMA_MAIN] = { sqlite_main, sizeof sqlite_main / sizeof sqlite_main[0] },
	[STORE_SCHEMA_EVENTS] = { sqlite_events, sizeof sqlite_events / sizeof sqlite_events[0] },
};

static enum err read_version(struct db *db, int64_t *ret)
{
	struct db_statement *statement = db_prepare(db, "SELECT MAX(version) FROM schema_version");
	if (statement == NULL)
		return ERR_IO;
	bool row;
	enum err err = db_step(statement, &row);
	if (err != ERR_OK)
		return err;
	*ret = row ? db_column_int(statement, 0) : 0;
	db_reset(statement);
	return ERR_OK;
}

static enum err write_version(struct db *db, int64_t version)
{
	struct db_statement *statement = db_prepare(db, "INSERT INTO schema_version (version) VALUES ($1)");
	if (statement == NULL)
		return ERR_IO;
	db_bind_int(statement, 1, version);
	return db_run(statement, NULL);
}

static enum err refuse_newer(const char *name, int64_t found, int64_t known)
{
	return err_set(ERR_VERSION,
		"%s was written by a newer postrider (schema %lld, this one knows %lld): install that version or newer",
		name, (long long)found, (long long)known);
}

static enum err migrate_in_transaction(struct db *db, enum store_schema schema, const char *name)
{
	int64_t version = 0, newest = schemas[schema].newest;
	enum err err = db_exec(db, "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL PRIMARY KEY)");
	if (err == ERR_OK)
		err = read_version(db, &version);
	if (err == ERR_OK && version > newest)
		return refuse_newer(name, version, newest);
	for (; err == ERR_OK && version < newest; version++) {
		err = db_exec(db, schemas[schema].migrations[version]);
		if (err == ERR_OK)
			err = write_version(db, version + 1);
	}
	return err;
}

enum err store_schema_migrate(struct db *db, enum store_schema schema, const char *name)
{
	enum err err = db_begin(db);
	if (err != ERR_OK)
		return err;
	err = migrate_in_transaction(db, schema, name);
	if (err != ERR_OK) {
		db_rollback(db);
		return err;
	}
	return db_commit(db);
}
