#include "store/egress_store.h"
#include "store/store_contract.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct contract contract;

static int setup(void **state)
{
	(void)state;
	contract_open(&contract);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	contract_close(&contract);
	return 0;
}

static void must(enum err err)
{
	if (err != ERR_OK)
		fail_msg("%s: %s", err_name(err), err_detail());
}

static void note(void *owner, struct view egress, int64_t day, uint64_t messages)
{
	must(buf_append_format(
		owner, "%.*s %lld %llu\n", VIEW_ARG(egress), (long long)day, (unsigned long long)messages));
}

static void expect(int64_t from_day, const char *rows)
{
	struct buf found = { 0 };
	must(egress_store_load(contract.db, from_day, note, &found));
	assert_string_equal(buf_cstr(&found), rows);
	buf_clear(&found);
}

static void counts_are_kept(void **state)
{
	(void)state;
	expect(0, "");
	must(egress_store_set(contract.db, VIEW("ip2"), 20513, 7));
	must(egress_store_set(contract.db, VIEW("ip1"), 20513, 50));
	must(egress_store_set(contract.db, VIEW("ip1"), 20514, 1));
	must(egress_store_set(contract.db, VIEW("ip1"), 20512, 3000000000u));
	expect(0, "ip1 20512 3000000000\nip1 20513 50\nip2 20513 7\nip1 20514 1\n");
	/* Written again: the same row, whatever was there. */
	must(egress_store_set(contract.db, VIEW("ip1"), 20513, 51));
	expect(20513, "ip1 20513 51\nip2 20513 7\nip1 20514 1\n");
	must(egress_store_prune(contract.db, 20513));
	expect(0, "ip1 20513 51\nip2 20513 7\nip1 20514 1\n");
	must(egress_store_prune(contract.db, 30000));
	expect(0, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(counts_are_kept, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
