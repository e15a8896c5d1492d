#include "store/db_private.h"
#include "store/store_contract.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct contract contract;
static struct db *db;

static void must(enum err err)
{
	if (err != ERR_OK)
		fail_msg("%s: %s", err_name(err), err_detail());
}

static int setup(void **state)
{
	(void)state;
	contract_open(&contract);
	db = contract.db;
	must(db_exec(db,
		"DROP TABLE IF EXISTS sample; CREATE TABLE sample (id INTEGER NOT NULL PRIMARY KEY, word TEXT, number "
		"BIGINT CHECK (number <> 13))"));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	must(db_exec(db, "DROP TABLE sample"));
	contract_close(&contract);
	return 0;
}

/* The digits say which parameter it is, not the place in the text. */
static const char insert[] = "INSERT INTO sample (number, word, id) VALUES ($3, $2, $1)";

static enum err put(int64_t id, struct view word, int64_t number)
{
	struct db_statement *s = db_prepare(db, insert);
	assert_non_null(s);
	db_bind_int(s, 1, id);
	db_bind_text(s, 2, word);
	db_bind_int(s, 3, number);
	uint64_t changed = 0;
	enum err err = db_run(s, &changed);
	if (err == ERR_OK)
		assert_int_equal(changed, 1);
	return err;
}

static void values_come_back(void **state)
{
	(void)state;
	must(put(1, VIEW("one"), INT64_MIN));
	must(put(2, VIEW_NONE, INT64_MAX));
	struct db_statement *s = db_prepare(db, insert);
	db_bind_int(s, 1, 3);
	db_bind_null(s, 2);
	db_bind_null(s, 3);
	must(db_run(s, NULL));
	s = db_prepare(db, "SELECT word, number, word IS NULL FROM sample ORDER BY id");
	bool row = false;
	must(db_step(s, &row));
	assert_true(row && view_eq(db_column_view(s, 0), VIEW("one")) && db_column_int(s, 1) == INT64_MIN);
	must(db_step(s, &row));
	/* The empty view is the empty text, not NULL. */
	assert_true(
		row && db_column_view(s, 0).len == 0 && db_column_int(s, 1) == INT64_MAX && db_column_int(s, 2) == 0);
	must(db_step(s, &row));
	assert_true(row && db_column_view(s, 0).len == 0 && db_column_int(s, 1) == 0 && db_column_int(s, 2) == 1);
	must(db_step(s, &row));
	assert_false(row);
	assert_ptr_equal(db_prepare(db, insert), db_prepare(db, insert)); /* one statement per text */
}

static void failures_have_names(void **state)
{
	(void)state;
	must(put(1, VIEW("one"), 1));
	assert_int_equal(put(1, VIEW("again"), 2), ERR_EXISTS);
	assert_null(db_prepare(db, "SELECT word FROM nowhere"));
	if (strstr(err_detail(), "nowhere") == NULL)
		fail_msg("%s", err_detail());
	assert_int_equal(put(3, VIEW("three"), 13), ERR_STATE);
	must(put(2, VIEW("two"), 2)); /* a failed statement is usable again */
	assert_false(db_storage_failed(db));
}

static void transactions(void **state)
{
	(void)state;
	must(db_begin(db));
	must(put(1, VIEW("one"), 1));
	db_rollback(db);
	db_rollback(db); /* none is fine */
	assert_int_equal(contract_int(db, "SELECT COUNT(*) FROM sample"), 0);
	must(db_begin(db));
	must(put(1, VIEW("one"), 1));
	assert_int_equal(put(1, VIEW("one"), 1), ERR_EXISTS); /* the transaction goes on */
	must(put(2, VIEW("two"), 1));
	must(db_commit(db));
	assert_int_equal(contract_int(db, "SELECT COUNT(*) FROM sample"), 2);
}

/* SQLite's own: several connections, read-only ones, and what is no database. */
static void connections(void **state)
{
	(void)state;
	if (contract.folder[0] == '\0')
		skip();
	struct db *reader = NULL, *none = NULL;
	must(db_open(contract.url, true, DB_SYNC_FULL, &reader));
	must(db_begin(db));
	must(put(1, VIEW("one"), 1));
	assert_int_equal(contract_int(reader, "SELECT COUNT(*) FROM sample"), 0);
	must(db_commit(db));
	assert_int_equal(contract_int(reader, "SELECT COUNT(*) FROM sample"), 1);
	assert_int_equal(db_exec(reader, "DELETE FROM sample"), ERR_PERMISSION);
	must(db_empty_log(db));
	db_close(reader);
	db_close(NULL);
	assert_int_equal(db_open("mysql://localhost/mail", false, DB_SYNC_FULL, &none), ERR_UNSUPPORTED);
	assert_int_equal(db_open("sqlite:", false, DB_SYNC_FULL, &none), ERR_CONFIG);
	assert_int_equal(db_open("sqlite:/nonexistent/x.db", false, DB_SYNC_FULL, &none), ERR_NOT_FOUND);
	assert_int_equal(db_open("sqlite:/nonexistent/x.db", true, DB_SYNC_FULL, &none), ERR_NOT_FOUND);
	assert_int_equal(db_open("sqlite:/", false, DB_SYNC_FULL, &none), ERR_IO);
	assert_null(none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(values_come_back, setup, teardown),
		cmocka_unit_test_setup_teardown(failures_have_names, setup, teardown),
		cmocka_unit_test_setup_teardown(transactions, setup, teardown),
		cmocka_unit_test_setup_teardown(connections, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
