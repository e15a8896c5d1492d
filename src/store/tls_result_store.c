#include "store/tls_result_store.h"

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
	db_bind_int(s, 1, result->day);
	const struct view texts[] = { result->domain, result->policy_type, result->policy, result->host, result->result,
		result->reason, result->sending_ip, result->receiving_ip };
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		db_bind_text(s, (int)i + 2, texts[i]);
	db_bind_int(s, 10, (int64_t)(result->sessions < INT32_MAX ? result->sessions : INT32_MAX));
	return db_run(s, NULL);
}

static int64_t limit_of(size_t limit)
{
	return limit < INT64_MAX ? (int64_t)limit : INT64_MAX;
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

enum err tls_result_store_remove(struct db *db, int32_t day, struct view domain)
{
	struct db_statement *s = db_prepare(db, "DELETE FROM tls_result WHERE day = $1 AND domain = $2");
	if (s == NULL)
		return ERR_IO;
	db_bind_int(s, 1, day);
	db_bind_text(s, 2, domain);
	return db_run(s, NULL);
}

enum err tls_result_store_tidy(struct db *db, int32_t before_day)
{
	struct db_statement *s = db_prepare(db, "DELETE FROM tls_result WHERE day < $1");
	if (s == NULL)
		return ERR_IO;
	db_bind_int(s, 1, before_day);
	return db_run(s, NULL);
}
