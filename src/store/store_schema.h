/* Numbered migrations: what brings a database of any earlier version to this program's. Private to the store's folder. */
#ifndef STORE_STORE_SCHEMA_H
#define STORE_STORE_SCHEMA_H

#include "store/db.h"

enum store_schema { STORE_SCHEMA_MAIN /* queue and directory */, STORE_SCHEMA_EVENTS };

/* Runs the migrations that are missing, all in one transaction. `name` stands for the database in sentences. ERR_VERSION: "… was written by a newer
 * postrider (schema 7, this one knows 3): install that version or newer". */
enum err store_schema_migrate(struct db *db, enum store_schema schema, const char *name) MUST_CHECK;

#endif
