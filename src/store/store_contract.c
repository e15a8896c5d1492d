#include "store/store_contract.h"

#include "store/store_schema.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

void contract_make_folder(char ret[64])
{
	const char *base = getenv("TMPDIR");
	snprintf(ret, 64, "%.40s/postrider-XXXXXX", base != NULL && strlen(base) <= 40 ? base : "/tmp");
	assert_non_null(mkdtemp(ret));
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *ftw)
{
	(void)stat;
	(void)type;
	(void)ftw;
	return remove(path);
}

void contract_remove_folder(const char *folder)
{
	assert_int_equal(nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static void must(enum err err)
{
	if (err != ERR_OK)
		fail_msg("%s: %s", err_name(err), err_detail());
}

void contract_open(struct contract *ret)
{
	*ret = (struct contract){ .db = NULL };
	const char *url = getenv("POSTRIDER_TEST_DB");
	if (url != NULL) {
		snprintf(ret->url, sizeof ret->url, "%s", url);
	} else {
		contract_make_folder(ret->folder);
		snprintf(ret->url, sizeof ret->url, "sqlite:%s/test.db", ret->folder);
	}
	must(db_open(ret->url, false, DB_SYNC_FULL, &ret->db));
	must(store_schema_migrate(ret->db, STORE_SCHEMA_MAIN, ret->url));
	must(db_exec(ret->db,
		"DELETE FROM recipient; DELETE FROM message; DELETE FROM alias; DELETE FROM account; DELETE FROM "
		"domain"));
}

void contract_close(struct contract *contract)
{
	db_close(contract->db);
	if (contract->folder[0] != '\0')
		contract_remove_folder(contract->folder);
}

int64_t contract_int(struct db *db, const char *sql)
{
	struct db_statement *s = db_prepare(db, sql);
	if (s == NULL)
		fail_msg("%s: %s", sql, err_detail());
	bool row = false;
	must(db_step(s, &row));
	int64_t value = row ? db_column_int(s, 0) : 0;
	db_reset(s);
	return value;
}
