/* For tests: an empty database of this version. $POSTRIDER_TEST_DB names another engine's (every table in it is emptied first); else a SQLite file
 * in a new folder under $TMPDIR. */
#ifndef STORE_STORE_CONTRACT_H
#define STORE_STORE_CONTRACT_H

#include "store/db.h"

struct contract {
	struct db *db;
	char folder[64]; /* "" for another engine */
	char url[128];
};
void contract_open(struct contract *ret);
void contract_close(struct contract *contract);
/* Runs a statement that must succeed; its first column of its first row, 0 if there is none. */
int64_t contract_int(struct db *db, const char *sql);
/* A new folder for a test, and its removal with everything in it. */
void contract_make_folder(char ret[64]);
void contract_remove_folder(const char *folder);

#endif
