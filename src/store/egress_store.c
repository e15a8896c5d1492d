#include "store/egress_store.h"

enum err egress_store_set(struct db *db, struct view egress, int64_t day, uint64_t messages)
{
	struct db_statement *s = db_prepare(db,
		"INSERT INTO egress_day (egress, day, messages) VALUES ($1, $2, $3) ON CONFLICT (egress, day) DO "
		"UPDATE "
		"SET messages = excluded.messages");
	if (s == NULL)
		return ERR_IO;
	db_bind_text(s, 1, egress);
	db_bind_int(s, 2, day);
	db_bind_int(s, 3, messages < INT64_MAX ? (int64_t)messages : INT64_MAX);
	return db_run(s, NULL);
}

enum err egress_store_load(struct db *db, int64_t from_day,
	void (*row)(void *owner, struct view egress, int64_t day, uint64_t messages), void *owner)
{
	struct db_statement *s = db_prepare(
		db, "SELECT egress, day, messages FROM egress_day WHERE day >= $1 ORDER BY day, egress");
	if (s == NULL)
		return ERR_IO;
	db_bind_int(s, 1, from_day);
	bool more;
	enum err err;
	while ((err = db_step(s, &more)) == ERR_OK && more)
		row(owner, db_column_view(s, 0), db_column_int(s, 1), (uint64_t)db_column_int(s, 2));
	return err;
}

enum err egress_store_prune(struct db *db, int64_t before_day)
{
	struct db_statement *s = db_prepare(db, "DELETE FROM egress_day WHERE day < $1");
	if (s == NULL)
		return ERR_IO;
	db_bind_int(s, 1, before_day);
	return db_run(s, NULL);
}
