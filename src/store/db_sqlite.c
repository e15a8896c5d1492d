/*
 * db.h over SQLite: write-ahead log, one connection per thread.
 *
 * What a failed commit leaves behind, and why nothing answered "stored" can be lost by it
 * ---------------------------------------------------------------------------------------
 * A commit appends its pages to the log, the last one marked as the commit, and syncs the log; only then does SQLite move the shared
 * end-of-log mark. When writing or syncing fails, the mark stays, and the next transaction writes over the remains. The remains may be
 * a whole transaction (the sync failed, not the writing), and after a failed sync the kernel may show them in its page cache as clean
 * although they never reached the disk. Two things follow:
 *   1. The log must not be read again from its file while the remains are in it: recovery would take them for committed, the next
 *      transactions would be appended behind them and synced, yet the disk has a hole in front of those; a power cut then loses
 *      transactions that were answered "stored". So the connection is NOT reopened after a failed sync (a reopened one might be the first,
 *      and recover). Instead, the next db_begin() first commits an empty change (`seal`): it lies over the remains' first page, and since
 *      each page's checksum continues the one before, what stands behind it is unreadable from then on, on disk too once the seal is synced.
 *      Until a seal succeeds, no transaction begins. It is also the cheap question whether the disk takes writes again.
 *   2. If the process dies before a seal, the next start does recover from the file and may find the remains: a message that was
 *      answered 4xx is there after all (delivered twice at worst, when its sender repeats it). The same hole threatens, so store_open()
 *      moves the whole log into the database file with fresh writes, syncs that, and empties the log before anything is appended.
 * A failed sync of the database file during a checkpoint is harmless: the log keeps every page until a later checkpoint has written all of
 * them anew and synced them.
 */
#include "store/db_private.h"

#include "base/buf.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PARAMETERS_MAX 32
#define BUSY_TIMEOUT_MS 10000
/* Measured with bench/store_bench.c. Small pages: a group of few messages writes half as much as with 16 KiB (which take a third less CPU
 * for bodies of 64 KiB), and a message's envelope is on another page than its body, so that looking through the queue reads little. */
#define PAGE_BYTES 4096
#define CACHE_WRITE_KIB 65536
#define CACHE_READ_KIB 8192
/* The commit that fills the log moves it into the file: 16 MiB at once keep that pause at some ten milliseconds. */
#define LOG_PAGES 4000
#define LOG_KEEP_BYTES (64 * 1024 * 1024)

struct db_statement {
	struct db *db;
	const char *sql;
	sqlite3_stmt *handle;
	enum err bind_err;
	bool stepped; /* needs a reset */
	/* SQLite numbers "$1" by its place in the text, not by its digit. */
	uint8_t parameters[PARAMETERS_MAX + 1];
};

struct db {
	sqlite3 *handle;
	char *path;
	bool read_only;
	bool in_transaction;
	enum err storage_err; /* what the medium refused since db_begin(), or ERR_OK */
	bool seal_due;
	/* Prepared statements by the address of their text, open addressing. */
	struct db_statement **statements;
	size_t statement_count, statement_cap;
};

static enum err err_from_sqlite(const struct db *db, int code)
{
	switch (code & 0xff) {
	case SQLITE_FULL:
		return ERR_NO_SPACE;
	case SQLITE_CONSTRAINT:
		return code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY ||
				code == SQLITE_CONSTRAINT_ROWID
			? ERR_EXISTS
			: ERR_STATE;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return ERR_BUSY;
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return ERR_PERMISSION;
	case SQLITE_TOOBIG:
		return ERR_LIMIT;
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN: {
		int system = db->handle != NULL ? sqlite3_system_errno(db->handle) : 0;
		enum err err = system != 0 ? err_from_errno(system) : ERR_IO;
		/* A quota or file size limit shows as an I/O error; other errnos are only trusted when opening. */
		return (code & 0xff) == SQLITE_CANTOPEN || err == ERR_NO_SPACE ? err : ERR_IO;
	}
	default:
		return ERR_IO;
	}
}

/* Stores the sentence, and remembers when it was the medium that failed. */
static enum err fail(struct db *db, int code, const char *doing)
{
	int primary = code & 0xff;
	enum err err = err_from_sqlite(db, code);
	if (primary == SQLITE_IOERR || primary == SQLITE_FULL || primary == SQLITE_CORRUPT ||
		primary == SQLITE_NOTADB) {
		db->storage_err = err;
		db->seal_due = true;
	}
	int system = db->handle != NULL ? sqlite3_system_errno(db->handle) : 0;
	char system_text[64] = "";
	if (system != 0 && (primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN))
		snprintf(system_text, sizeof system_text, " (%s)", strerrordesc_np(system));
	/* The message of a constraint or syntax error names columns; for the rest the code's text is the clearer one. */
	const char *text = primary == SQLITE_ERROR || primary == SQLITE_CONSTRAINT ? sqlite3_errmsg(db->handle)
										   : sqlite3_errstr(code);
	return err_set(err, "cannot %s %s: %s%s", doing, db->path, text, system_text);
}

static void configure_library(void)
{
	/* Each connection is used by one thread only: no mutexes, and no counting of memory under a global one. Refused, and not needed,
	 * when somebody (a test's file system) started the library before. */
	sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

/* SQLite would create it with the umask's rights, and takes the log's rights and owner from it. An existing file is not opened: closing
 * it would drop the locks of this process's other connections (POSIX). */
static enum err create_file(const char *path)
{
	if (strcmp(path, ":memory:") == 0)
		return ERR_OK; /* SQLite's name for no file at all: tests and fuzzing */
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 && errno == EEXIST)
		return ERR_OK;
	if (fd < 0)
		return err_set(err_from_errno(errno), "cannot create %s: %s", path, strerrordesc_np(errno));
	close(fd);
	return ERR_OK;
}

static enum err configure(struct db *db, enum db_sync sync)
{
	char sql[512];
	sqlite3_busy_timeout(db->handle, BUSY_TIMEOUT_MS);
	sqlite3_extended_result_codes(db->handle, 1);
	if (db->read_only)
		snprintf(sql, sizeof sql, "PRAGMA cache_size=-%d; PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF;",
			CACHE_READ_KIB);
	else
		snprintf(sql, sizeof sql,
			"PRAGMA page_size=%d; PRAGMA journal_mode=WAL; PRAGMA synchronous=%s; PRAGMA cache_size=-%d;"
			"PRAGMA wal_autocheckpoint=%d; PRAGMA journal_size_limit=%d; PRAGMA temp_store=MEMORY;"
			"PRAGMA secure_delete=OFF; PRAGMA foreign_keys=OFF; PRAGMA trusted_schema=OFF;",
			PAGE_BYTES, sync == DB_SYNC_FULL ? "FULL" : "NORMAL", CACHE_WRITE_KIB, LOG_PAGES,
			LOG_KEEP_BYTES);
	return db_exec(db, sql);
}

enum err db_open(const char *url, bool read_only, enum db_sync sync, struct db **ret)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct view text = view_from_cstr(url);
	if (!view_starts_with(text, VIEW("sqlite:")))
		return err_set(ERR_UNSUPPORTED, "cannot open %s: only sqlite:PATH is known", url);
	struct view path = view_from(text, 7);
	if (path.len == 0)
		return err_set(ERR_CONFIG, "cannot open %s: there is no path", url);
	pthread_once(&once, configure_library);
	struct db *db = mem_alloc(sizeof *db);
	db->path = view_to_cstr(path);
	db->read_only = read_only;
	enum err err = read_only ? ERR_OK : create_file(db->path);
	if (err == ERR_OK) {
		int flags = SQLITE_OPEN_NOMUTEX | (read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE);
		errno = 0; /* SQLite hands on whatever is there, also when no call failed */
		int code = sqlite3_open_v2(db->path, &db->handle, flags, NULL);
		if (code != SQLITE_OK)
			err = fail(db, code, "open");
	}
	if (err == ERR_OK)
		err = configure(db, sync);
	if (err != ERR_OK) {
		db_close(db);
		return err;
	}
	*ret = db;
	return ERR_OK;
}

enum err db_open_another(const struct db *db, struct db **ret)
{
	if (strcmp(db->path, ":memory:") == 0)
		return err_set(ERR_UNSUPPORTED, "a database in memory has one connection");
	struct buf url = { 0 };
	enum err err = buf_append_format(&url, "sqlite:%s", db->path);
	if (err == ERR_OK)
		err = db_open(buf_cstr(&url), true, DB_SYNC_FULL, ret);
	buf_clear(&url);
	return err;
}

void db_close(struct db *db)
{
	if (db == NULL)
		return;
	for (size_t i = 0; i < db->statement_cap; i++) {
		if (db->statements[i] == NULL)
			continue;
		sqlite3_finalize(db->statements[i]->handle);
		mem_free(db->statements[i]);
	}
	mem_free(db->statements);
	int code = sqlite3_close(db->handle);
	ASSERT(code == SQLITE_OK);
	mem_free(db->path);
	mem_free(db);
}

bool db_storage_failed(const struct db *db)
{
	return db->storage_err != ERR_OK;
}

/* The statement's slot, or the empty one where it belongs. */
static struct db_statement **find_slot(struct db *db, const char *sql)
{
	size_t mask = db->statement_cap - 1;
	size_t at = (size_t)((uintptr_t)sql * 0x9e3779b97f4a7c15u >> 40) & mask;
	while (db->statements[at] != NULL && db->statements[at]->sql != sql)
		at = (at + 1) & mask;
	return &db->statements[at];
}

static void grow_cache(struct db *db)
{
	struct db_statement **old = db->statements;
	size_t old_cap = db->statement_cap;
	db->statement_cap = old_cap > 0 ? old_cap * 2 : 64;
	db->statements = mem_alloc_array(db->statement_cap, sizeof(struct db_statement *));
	for (size_t i = 0; i < old_cap; i++)
		if (old[i] != NULL)
			*find_slot(db, old[i]->sql) = old[i];
	mem_free(old);
}

struct db_statement *db_prepare(struct db *db, const char *sql)
{
	if (db->statement_count * 2 >= db->statement_cap)
		grow_cache(db);
	struct db_statement **slot = find_slot(db, sql);
	if (*slot != NULL) {
		ASSERT(!(*slot)->stepped); /* still in use by somebody: it would be pulled from under him */
		return *slot;
	}
	struct db_statement *statement = mem_alloc(sizeof *statement);
	statement->db = db;
	statement->sql = sql;
	int code = sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement->handle, NULL);
	if (code != SQLITE_OK) {
		(void)fail(db, code, "use");
		mem_free(statement);
		return NULL;
	}
	int count = sqlite3_bind_parameter_count(statement->handle);
	ASSERT(count <= PARAMETERS_MAX);
	for (int i = 1; i <= count; i++) {
		char name[8];
		snprintf(name, sizeof name, "$%d", i);
		statement->parameters[i] = (uint8_t)sqlite3_bind_parameter_index(statement->handle, name);
	}
	*slot = statement;
	db->statement_count++;
	return statement;
}

static int parameter(const struct db_statement *statement, int index)
{
	ASSERT(index >= 1 && index <= PARAMETERS_MAX && statement->parameters[index] > 0);
	return statement->parameters[index];
}

/* Binding fails only for values beyond SQLite's own limit (a gigabyte) or without memory: told by the step that follows. */
static void bound(struct db_statement *statement, int code)
{
	if (code != SQLITE_OK)
		statement->bind_err = fail(statement->db, code, "hand a value to");
}

void db_bind_int(struct db_statement *statement, int index, int64_t value)
{
	bound(statement, sqlite3_bind_int64(statement->handle, parameter(statement, index), value));
}

void db_bind_text(struct db_statement *statement, int index, struct view text)
{
	/* A NULL pointer would bind NULL instead of the empty text. */
	const char *ptr = text.len > 0 ? (const char *)text.ptr : "";
	bound(statement,
		sqlite3_bind_text64(
			statement->handle, parameter(statement, index), ptr, text.len, SQLITE_STATIC, SQLITE_UTF8));
}

void db_bind_blob(struct db_statement *statement, int index, struct view bytes)
{
	const void *ptr = bytes.len > 0 ? (const void *)bytes.ptr : "";
	bound(statement,
		sqlite3_bind_blob64(statement->handle, parameter(statement, index), ptr, bytes.len, SQLITE_STATIC));
}

void db_bind_null(struct db_statement *statement, int index)
{
	bound(statement, sqlite3_bind_null(statement->handle, parameter(statement, index)));
}

void db_reset(struct db_statement *statement)
{
	sqlite3_reset(statement->handle);
	statement->stepped = false;
	statement->bind_err = ERR_OK;
}

enum err db_step(struct db_statement *statement, bool *ret_row)
{
	struct db *db = statement->db;
	enum err refused = statement->bind_err;
	/* SQLite ends a transaction by itself on some errors. Whoever goes on regardless must not write outside of it. */
	if (refused == ERR_OK && db->in_transaction && sqlite3_get_autocommit(db->handle) != 0)
		refused = err_set(db->storage_err != ERR_OK ? db->storage_err : ERR_IO,
			"cannot write %s: the transaction was given up", db->path);
	if (refused != ERR_OK) {
		db_reset(statement);
		return refused;
	}
	statement->stepped = true;
	int code = sqlite3_step(statement->handle);
	enum err err = ERR_OK;
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		err = fail(db, code, db->read_only ? "read" : "write");
	if (code != SQLITE_ROW)
		db_reset(statement);
	if (err == ERR_OK)
		*ret_row = code == SQLITE_ROW;
	return err;
}

enum err db_run(struct db_statement *statement, uint64_t *ret_changed)
{
	bool row = true;
	while (row) {
		enum err err = db_step(statement, &row);
		if (err != ERR_OK)
			return err;
	}
	if (ret_changed != NULL)
		*ret_changed = (uint64_t)sqlite3_changes64(statement->db->handle);
	return ERR_OK;
}

int64_t db_column_int(struct db_statement *statement, int index)
{
	return sqlite3_column_int64(statement->handle, index);
}

struct view db_column_view(struct db_statement *statement, int index)
{
	/* The pointer first: asking for it may convert the value and change its length. */
	const void *ptr = sqlite3_column_blob(statement->handle, index);
	int len = sqlite3_column_bytes(statement->handle, index);
	return ptr != NULL && len > 0 ? view_of(ptr, (size_t)len) : VIEW_NONE;
}

enum err db_exec(struct db *db, const char *sql)
{
	int code = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
	return code == SQLITE_OK ? ERR_OK : fail(db, code, db->read_only ? "read" : "write");
}

static enum err run_constant(struct db *db, const char *sql)
{
	struct db_statement *statement = db_prepare(db, sql);
	return statement != NULL ? db_run(statement, NULL) : ERR_IO;
}

/* See the top of this file. The number in the database's header is nobody else's; writing it is the smallest transaction there is. */
static enum err seal(struct db *db)
{
	enum err err = db_exec(db, "PRAGMA user_version=1");
	if (err == ERR_OK)
		db->seal_due = false;
	return err;
}

/* Once at the failure itself: mostly it succeeds, and then nobody is told of a failure whose remains a crash could still bring back. */
static void seal_now(struct db *db)
{
	if (!db->seal_due)
		return;
	char *detail = mem_dup_cstr(err_detail());
	enum err storage_err = db->storage_err;
	if (seal(db) != ERR_OK)
		db->seal_due = true; /* db_begin() asks again */
	db->storage_err = storage_err;
	err_set(storage_err, "%s", detail);
	mem_free(detail);
}

enum err db_begin(struct db *db)
{
	ASSERT(!db->in_transaction);
	db->storage_err = ERR_OK;
	if (db->seal_due) {
		enum err err = seal(db);
		if (err != ERR_OK) {
			db->storage_err = err;
			return err;
		}
	}
	/* IMMEDIATE: a transaction that began by reading could be refused when it goes on to write. */
	enum err err = run_constant(db, "BEGIN IMMEDIATE");
	db->in_transaction = err == ERR_OK;
	return err;
}

enum err db_commit(struct db *db)
{
	ASSERT(db->in_transaction);
	enum err err = db->storage_err;
	if (err != ERR_OK)
		err_set(err, "cannot write %s: a part of the transaction failed", db->path);
	else
		err = run_constant(db, "COMMIT");
	db->in_transaction = false;
	if (err != ERR_OK) {
		db_rollback(db);
		seal_now(db);
	}
	return err;
}

void db_rollback(struct db *db)
{
	db->in_transaction = false;
	/* A rollback only forgets: whatever it reports, the transaction is over. */
	if (sqlite3_get_autocommit(db->handle) == 0)
		sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
}

enum err db_empty_log(struct db *db)
{
	int code = sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	return code == SQLITE_OK ? ERR_OK : fail(db, code, "move the log into");
}
