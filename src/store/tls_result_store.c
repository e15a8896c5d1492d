#include "store/tls_result_store.h"

/* The texts of a row's key, behind its day, as $2 to $9. */
static void bind_key(struct db_statement *s, const struct tls_result *result)
{
	const struct view texts[] = { result->domain, result->policy_type, result->policy, result->host, result->result,
		result->reason, result->sending_ip, result->receiving_ip };
	db_bind_int(s, 1, result->day);
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		db_bind_text(s, (int)i + 2, texts[i]);
}

static int64_t limit_of(size_t limit)
{
	return limit < INT64_MAX ? (int64_t)limit : INT64_MAX;
}

enum err tls_result_store_add(struct db *db, const struct tls_result *result)
{
	struct db_statement *s = db_prepare(db,
		"INSERT INTO tls_result (day, domain, policy_type, policy, host, result, reason, sending_ip, "
		"receiving_ip,"
		" sessions) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
		" ON CONFLICT (day, domain, policy_type, policy, host, result, reason, sending_ip, receiving_ip)"
		" DO UPDATE SET sessions = tls_result.sessions + excluded.sessions");
	if (s == NULL)
		return ERR_IO;
	bind_key(s, result);
	db_bind_int(s, 10, (int64_t)(result->sessions < INT32_MAX ? result->sessions : INT32_MAX));
	return db_run(s, NULL);
}

enum err tls_result_store_domains(struct db *db, int32_t before_day, int32_t after_day, struct view after_domain,
	size_t limit, void (*each)(void *owner, int32_t day, struct view domain), void *owner)
{
	struct db_statement *s = db_prepare(db,
		"SELECT DISTINCT day, domain FROM tls_result WHERE day < $1 AND (day, domain) > ($2, $3)"
		" ORDER BY day, domain LIMIT $4");
	if (s == NULL)
		return ERR_IO;
	db_bind_int(s, 1, before_day);
	db_bind_int(s, 2, after_day);
	db_bind_text(s, 3, after_domain);
	db_bind_int(s, 4, limit_of(limit));
	bool row;
	enum err err;
	while ((err = db_step(s, &row)) == ERR_OK && row)
		each(owner, (int32_t)db_column_int(s, 0), db_column_view(s, 1));
	return err;
}

enum err tls_result_store_list(struct db *db, int32_t day, struct view domain, size_t limit,
	void (*each)(void *owner, const struct tls_result *result), void *owner)
{
	struct db_statement *s = db_prepare(db,
		"SELECT policy_type, policy, host, result, reason, sending_ip, receiving_ip, sessions FROM tls_result"
		" WHERE day = $1 AND domain = $2"
		" ORDER BY policy_type, policy, host, result, reason, sending_ip, receiving_ip LIMIT $3");
	if (s == NULL)
		return ERR_IO;
	db_bind_int(s, 1, day);
	db_bind_text(s, 2, domain);
	db_bind_int(s, 3, limit_of(limit));
	bool row;
	enum err err;
	while ((err = db_step(s, &row)) == ERR_OK && row) {
		struct tls_result result = {
			.day = day,
			.domain = domain,
			.policy_type = db_column_view(s, 0),
			.policy = db_column_view(s, 1),
			.host = db_column_view(s, 2),
			.result = db_column_view(s, 3),
			.reason = db_column_view(s, 4),
			.sending_ip = db_column_view(s, 5),
			.receiving_ip = db_column_view(s, 6),
			.sessions = (uint64_t)db_column_int(s, 7),
		};
		each(owner, &result);
	}
	return err;
}

/* Runs a statement with day and domain. */
static enum err run(struct db *db, const char *sql, int32_t day, struct view domain)
{
	struct db_statement *s = db_prepare(db, sql);
	if (s == NULL)
		return ERR_IO;
	db_bind_int(s, 1, day);
	db_bind_text(s, 2, domain);
	return db_run(s, NULL);
}

/* Sessions only ever grow: the same sum over as many rows is the same rows. */
static enum err is_unchanged(struct db *db, size_t count, const struct tls_result *results, bool *ret)
{
	uint64_t sessions = 0;
	for (size_t i = 0; i < count; i++)
		sessions += results[i].sessions;
	struct db_statement *s = db_prepare(db,
		"SELECT COUNT(*), CAST(COALESCE(SUM(sessions), 0) AS BIGINT) FROM tls_result WHERE day = $1 AND "
		"domain = $2");
	if (s == NULL)
		return ERR_IO;
	db_bind_int(s, 1, results[0].day);
	db_bind_text(s, 2, results[0].domain);
	bool row;
	enum err err = db_step(s, &row);
	if (err != ERR_OK)
		return err;
	*ret = row && db_column_int(s, 0) == limit_of(count) && (uint64_t)db_column_int(s, 1) == sessions;
	if (row)
		db_reset(s);
	return ERR_OK;
}

static enum err take_one(struct db *db, const struct tls_result *result)
{
	struct db_statement *s = db_prepare(db,
		"UPDATE tls_result SET sessions = sessions - $10 WHERE day = $1 AND domain = $2 AND policy_type = $3"
		" AND policy = $4 AND host = $5 AND result = $6 AND reason = $7 AND sending_ip = $8 AND receiving_ip = "
		"$9");
	if (s == NULL)
		return ERR_IO;
	bind_key(s, result);
	db_bind_int(s, 10, (int64_t)result->sessions);
	return db_run(s, NULL);
}

enum err tls_result_store_take(struct db *db, size_t count, const struct tls_result *results)
{
	bool unchanged;
	if (count == 0)
		return ERR_OK;
	enum err err = is_unchanged(db, count, results, &unchanged);
	if (err == ERR_OK && unchanged)
		return tls_result_store_remove(db, results[0].day, results[0].domain);
	for (size_t i = 0; i < count && err == ERR_OK; i++)
		err = take_one(db, &results[i]);
	return err == ERR_OK ? run(db, "DELETE FROM tls_result WHERE day = $1 AND domain = $2 AND sessions <= 0",
				       results[0].day, results[0].domain)
			     : err;
}

enum err tls_result_store_remove(struct db *db, int32_t day, struct view domain)
{
	return run(db, "DELETE FROM tls_result WHERE day = $1 AND domain = $2", day, domain);
}

enum err tls_result_store_tidy(struct db *db, int32_t before_day)
{
	struct db_statement *s = db_prepare(db, "DELETE FROM tls_result WHERE day < $1");
	if (s == NULL)
		return ERR_IO;
	db_bind_int(s, 1, before_day);
	return db_run(s, NULL);
}
