#include "store/sts_store.h"

enum err sts_store_put(struct db *db, struct view domain, const struct sts_stored *stored)
{
	struct db_statement *s = db_prepare(db,
		"INSERT INTO sts_policy (domain, id, policy, fetched_ms, expires_ms, used_ms)"
		" VALUES ($1, $2, $3, $4, $5, $6)"
		" ON CONFLICT (domain) DO UPDATE SET id = excluded.id, policy = excluded.policy,"
		" fetched_ms = excluded.fetched_ms, expires_ms = excluded.expires_ms, used_ms = excluded.used_ms");
	if (s == NULL)
		return ERR_IO;
	db_bind_text(s, 1, domain);
	db_bind_text(s, 2, stored->id);
	db_bind_text(s, 3, stored->policy);
	db_bind_int(s, 4, stored->fetched_ms);
	db_bind_int(s, 5, stored->expires_ms);
	db_bind_int(s, 6, stored->used_ms);
	return db_run(s, NULL);
}

enum err sts_store_get(struct db *db, struct view domain, struct arena *arena, struct sts_stored *ret)
{
	struct db_statement *s = db_prepare(
		db, "SELECT id, policy, fetched_ms, expires_ms, used_ms FROM sts_policy WHERE domain = $1");
	if (s == NULL)
		return ERR_IO;
	db_bind_text(s, 1, domain);
	bool row;
	enum err err = db_step(s, &row);
	if (err != ERR_OK)
		return err;
	if (!row)
		return ERR_NOT_FOUND;
	struct sts_stored found = {
		.fetched_ms = db_column_int(s, 2),
		.expires_ms = db_column_int(s, 3),
		.used_ms = db_column_int(s, 4),
	};
	err = arena_dup(arena, db_column_view(s, 0), &found.id);
	if (err == ERR_OK)
		err = arena_dup(arena, db_column_view(s, 1), &found.policy);
	db_reset(s);
	if (err == ERR_OK)
		*ret = found;
	return err;
}

enum err sts_store_mark_used(struct db *db, struct view domain, int64_t used_ms)
{
	struct db_statement *s = db_prepare(db, "UPDATE sts_policy SET used_ms = $1 WHERE domain = $2");
	if (s == NULL)
		return ERR_IO;
	db_bind_int(s, 1, used_ms);
	db_bind_text(s, 2, domain);
	return db_run(s, NULL);
}

enum err sts_store_list_stale(struct db *db, int64_t now_ms, int64_t fetched_before_ms, int64_t used_after_ms,
	size_t limit, void (*each)(void *owner, struct view domain), void *owner)
{
	struct db_statement *s = db_prepare(db,
		"SELECT domain FROM sts_policy WHERE used_ms > $1 AND expires_ms > $2"
		" AND (fetched_ms < $3 OR expires_ms - $2 < $2 - fetched_ms) ORDER BY expires_ms LIMIT $4");
	if (s == NULL)
		return ERR_IO;
	db_bind_int(s, 1, used_after_ms);
	db_bind_int(s, 2, now_ms);
	db_bind_int(s, 3, fetched_before_ms);
	db_bind_int(s, 4, limit < INT64_MAX ? (int64_t)limit : INT64_MAX);
	bool row;
	enum err err;
	while ((err = db_step(s, &row)) == ERR_OK && row)
		each(owner, db_column_view(s, 0));
	return err;
}

enum err sts_store_tidy(struct db *db, int64_t now_ms)
{
	struct db_statement *s = db_prepare(db, "DELETE FROM sts_policy WHERE expires_ms <= $1");
	if (s == NULL)
		return ERR_IO;
	db_bind_int(s, 1, now_ms);
	return db_run(s, NULL);
}
