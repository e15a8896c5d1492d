#include "store/bounce_store.h"

#include "store/store_contract.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct contract contract;
static struct db *db;
static struct buf listed;

static int setup(void **state)
{
	(void)state;
	contract_open(&contract);
	db = contract.db;
	assert_int_equal(db_exec(db, "DELETE FROM bounce"), ERR_OK);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	buf_clear(&listed);
	contract_close(&contract);
	return 0;
}

static void note(enum bounce_kind kind, const char *address, const char *text, int64_t at_ms)
{
	assert_int_equal(
		bounce_store_note(db, kind, view_from_cstr(address), VIEW("bad-mailbox"), view_from_cstr(text), at_ms),
		ERR_OK);
}

static void show(void *owner, const struct bounce_record *r)
{
	(void)owner;
	assert_int_equal(buf_append_format(&listed, "%.*s %u %u %u %.*s %.*s %lld\n", VIEW_ARG(r->address),
				 (unsigned)r->hard, (unsigned)r->soft, (unsigned)r->complaints, VIEW_ARG(r->last_class),
				 VIEW_ARG(r->last_text), (long long)r->last_ms),
		ERR_OK);
}

static void assert_list(bool only_hard, const char *after, size_t limit, const char *wanted)
{
	buf_reset(&listed);
	assert_int_equal(bounce_store_list(db, only_hard, view_from_cstr(after), limit, show, NULL), ERR_OK);
	assert_string_equal(buf_cstr(&listed), wanted);
}

static void test_counts(void **state)
{
	(void)state;
	note(BOUNCE_HARD, "Joe@example.com", "550 no", 10);
	note(BOUNCE_SOFT, "joe@EXAMPLE.com", "550 full", 20);
	note(BOUNCE_SOFT, "ann@example.com", "451 later", 30);
	note(BOUNCE_COMPLAINT, "joe@example.com", "abuse", 40);
	assert_list(false, "", 10,
		"ann@example.com 0 1 0 bad-mailbox 451 later 30\nJoe@example.com 1 1 1 bad-mailbox abuse 40\n");
	assert_list(true, "", 10, "Joe@example.com 1 1 1 bad-mailbox abuse 40\n");
	assert_list(false, "ANN@example.com", 10, "Joe@example.com 1 1 1 bad-mailbox abuse 40\n");
	assert_list(false, "", 1, "ann@example.com 0 1 0 bad-mailbox 451 later 30\n");
	buf_reset(&listed);
	assert_int_equal(bounce_store_find(db, VIEW("JOE@example.com"), show, NULL), ERR_OK);
	assert_string_equal(buf_cstr(&listed), "Joe@example.com 1 1 1 bad-mailbox abuse 40\n");
	assert_int_equal(bounce_store_find(db, VIEW("joe@example.org"), show, NULL), ERR_NOT_FOUND);
	uint64_t removed = 9;
	assert_int_equal(bounce_store_forget(db, VIEW("joe@Example.com"), &removed), ERR_OK);
	assert_int_equal(removed, 1);
	assert_int_equal(bounce_store_expire(db, 30, &removed), ERR_OK);
	assert_int_equal(removed, 0);
	assert_int_equal(bounce_store_expire(db, 31, &removed), ERR_OK);
	assert_int_equal(removed, 1);
	assert_list(false, "", 10, "");
}

/* What other servers write may be any bytes. */
static void test_outside_text(void **state)
{
	(void)state;
	char large[600];
	memset(large, 'x', sizeof large);
	/* A letter of two bytes across the cut. */
	memcpy(large + 499, "\xc3\xb6", 2);
	large[599] = '\0';
	note(BOUNCE_HARD, "a@example.com", large, 1);
	note(BOUNCE_HARD, "b@example.com", "\xff\xfe", 1);
	assert_int_equal(
		contract_int(db, "SELECT length(last_text) FROM bounce WHERE address_key = 'a@example.com'"), 499);
	buf_reset(&listed);
	assert_int_equal(bounce_store_find(db, VIEW("b@example.com"), show, NULL), ERR_OK);
	assert_string_equal(buf_cstr(&listed), "b@example.com 1 0 0 bad-mailbox (not in UTF-8) 1\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_outside_text, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
