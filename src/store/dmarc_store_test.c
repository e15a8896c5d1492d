#include "store/dmarc_store.h"
#include "store/store_contract.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int setup(void **state)
{
	static struct contract contract;
	contract_open(&contract);
	assert_int_equal(db_exec(contract.db, "DELETE FROM dmarc_policy; DELETE FROM dmarc_result"), ERR_OK);
	*state = &contract;
	return 0;
}

static int teardown(void **state)
{
	contract_close(*state);
	return 0;
}

static struct db *db_of(void **state)
{
	return ((struct contract *)*state)->db;
}

static enum err note(struct db *db, int64_t day, const char *domain, const char *key, uint64_t messages)
{
	char details[64];
	snprintf(details, sizeof details, "details of %s", key);
	struct dmarc_store_result result = {
		.day = day,
		.domain = view_from_cstr(domain),
		.policy = VIEW("a policy"),
		.row_key = view_from_cstr(key),
		.details = view_from_cstr(details),
		.messages = messages,
	};
	return dmarc_store_note(db, &result);
}

struct seen {
	size_t count;
	char text[4096];
	uint64_t notes; /* of the last */
};

static void see_domain(void *owner, const struct dmarc_store_domain *d)
{
	struct seen *seen = owner;
	size_t used = strlen(seen->text);
	snprintf(seen->text + used, sizeof seen->text - used, "%d %.*s %.*s %u+%u;", (int)d->day, VIEW_ARG(d->domain),
		VIEW_ARG(d->policy), (unsigned)d->rows, (unsigned)d->unlisted);
	seen->count++;
	seen->notes = d->notes;
}

static bool see_row(void *owner, struct view details, uint64_t messages)
{
	struct seen *seen = owner;
	size_t used = strlen(seen->text);
	snprintf(seen->text + used, sizeof seen->text - used, "%.*s: %u;", VIEW_ARG(details), (unsigned)messages);
	return ++seen->count < 2;
}

static struct seen domains(struct db *db, int64_t after_day, const char *after, int64_t last_day, size_t limit)
{
	struct seen seen = { 0 };
	struct dmarc_store_domain from = { .day = after_day, .domain = view_from_cstr(after) };
	assert_int_equal(dmarc_store_domains(db, &from, last_day, limit, see_domain, &seen), ERR_OK);
	return seen;
}

static void test_notes_add_up(void **state)
{
	struct db *db = db_of(state);
	struct seen rows = { 0 };
	assert_int_equal(note(db, 100, "b.example", "x", 1), ERR_OK);
	assert_int_equal(note(db, 100, "b.example", "y", 5), ERR_OK);
	assert_int_equal(note(db, 100, "b.example", "x", 2), ERR_OK);
	assert_int_equal(note(db, 100, "b.example", "z", 1), ERR_OK);
	assert_int_equal(note(db, 100, "a.example", "x", 1), ERR_OK);
	assert_int_equal(note(db, 101, "b.example", "x", 1), ERR_OK);
	assert_string_equal(domains(db, 0, "", 101, 10).text,
		"100 a.example a policy 1+0;100 b.example a policy 3+0;101 b.example a policy 1+0;");
	assert_string_equal(domains(db, 100, "a.example", 100, 10).text, "100 b.example a policy 3+0;");
	assert_string_equal(domains(db, 0, "", 101, 1).text, "100 a.example a policy 1+0;");
	/* The reader ends after two. */
	assert_int_equal(dmarc_store_rows(db, 100, VIEW("b.example"), see_row, &rows), ERR_OK);
	assert_string_equal(rows.text, "details of y: 5;details of x: 3;");
}

static void test_only_what_was_read_is_removed(void **state)
{
	struct db *db = db_of(state);
	assert_int_equal(note(db, 100, "b.example", "x", 1), ERR_OK);
	struct seen seen = domains(db, 0, "", 100, 10);
	uint64_t unlisted = 7, notes = 0;
	assert_int_equal(dmarc_store_find(db, 100, VIEW("b.example"), &unlisted, &notes), ERR_OK);
	assert_int_equal(unlisted, 0);
	assert_int_equal(notes, seen.notes);
	assert_int_equal(dmarc_store_find(db, 99, VIEW("b.example"), &unlisted, &notes), ERR_NOT_FOUND);
	assert_int_equal(note(db, 100, "b.example", "x", 1), ERR_OK);
	assert_int_equal(dmarc_store_remove(db, 100, VIEW("b.example"), seen.notes), ERR_STATE);
	seen = domains(db, 0, "", 100, 10);
	assert_int_equal(seen.count, 1);
	assert_int_equal(note(db, 101, "b.example", "x", 1), ERR_OK);
	assert_int_equal(dmarc_store_remove(db, 100, VIEW("b.example"), seen.notes), ERR_OK);
	assert_string_equal(domains(db, 0, "", 200, 10).text, "101 b.example a policy 1+0;");
	assert_int_equal(contract_int(db, "SELECT COUNT(*) FROM dmarc_result"), 1);
	/* The day's own row went with its last domain. */
	assert_int_equal(contract_int(db, "SELECT COUNT(*) FROM dmarc_policy"), 2);
	uint64_t expired = 0;
	assert_int_equal(dmarc_store_expire(db, 101, &expired), ERR_OK);
	assert_int_equal(expired, 0);
	assert_int_equal(dmarc_store_expire(db, 102, &expired), ERR_OK);
	assert_int_equal(expired, 1);
	assert_int_equal(contract_int(db, "SELECT COUNT(*) FROM dmarc_policy"), 0);
	assert_int_equal(contract_int(db, "SELECT COUNT(*) FROM dmarc_result"), 0);
}

static void test_bounds(void **state)
{
	struct db *db = db_of(state);
	assert_int_equal(note(db, 100, "b.example", "x", 1), ERR_OK);
	assert_int_equal(db_exec(db, "UPDATE dmarc_policy SET result_rows = 10000 WHERE domain = 'b.example'"), ERR_OK);
	assert_int_equal(note(db, 100, "b.example", "y", 7), ERR_OK);
	assert_int_equal(note(db, 100, "b.example", "x", 1), ERR_OK); /* its row is there */
	assert_string_equal(domains(db, 0, "", 100, 10).text, "100 b.example a policy 10000+7;");
	assert_int_equal(contract_int(db, "SELECT SUM(messages) FROM dmarc_result"), 2);
	assert_int_equal(db_exec(db, "UPDATE dmarc_policy SET result_rows = 20000 WHERE domain = ''"), ERR_OK);
	assert_int_equal(note(db, 100, "c.example", "x", 1), ERR_LIMIT);
	assert_int_equal(note(db, 100, "b.example", "x", 1), ERR_OK);
	assert_int_equal(note(db, 101, "c.example", "x", 1), ERR_OK);
	assert_int_equal(domains(db, 0, "", 100, 10).count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_notes_add_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_only_what_was_read_is_removed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
