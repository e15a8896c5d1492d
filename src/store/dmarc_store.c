#include "store/dmarc_store.h"

/* One statement with day and domain, and up to two numbers behind them. */
static enum err run(
	struct db *db, const char *sql, int64_t day, struct view domain, const int64_t *number, uint64_t *ret_changed)
{
	struct db_statement *s = db_prepare(db, sql);
	if (s == NULL)
		return ERR_IO;
	db_bind_int(s, 1, day);
	db_bind_text(s, 2, domain);
	if (number != NULL)
		db_bind_int(s, 3, *number);
	return db_run(s, ret_changed);
}

struct counts {
	bool is_there;
	int64_t rows, notes;
};

static enum err read_counts(struct db *db, int64_t day, struct view domain, struct counts *ret)
{
	struct db_statement *s = db_prepare(
		db, "SELECT result_rows, notes FROM dmarc_policy WHERE day = $1 AND domain = $2");
	if (s == NULL)
		return ERR_IO;
	db_bind_int(s, 1, day);
	db_bind_text(s, 2, domain);
	*ret = (struct counts){ 0 };
	enum err err = db_step(s, &ret->is_there);
	if (err != ERR_OK || !ret->is_there)
		return err;
	ret->rows = db_column_int(s, 0);
	ret->notes = db_column_int(s, 1);
	db_reset(s);
	return ERR_OK;
}

static enum err put_policy(struct db *db, int64_t day, int64_t at_ms, struct view domain, struct view policy)
{
	struct db_statement *s = db_prepare(db,
		"INSERT INTO dmarc_policy (day, domain, policy, result_rows, unlisted, notes) VALUES ($1, $2, $3, 0, "
		"0, $4) ON CONFLICT (day, domain) DO UPDATE SET policy = excluded.policy, notes = dmarc_policy.notes + "
		"1");
	if (s == NULL)
		return ERR_IO;
	db_bind_int(s, 1, day);
	db_bind_text(s, 2, domain);
	db_bind_text(s, 3, policy);
	db_bind_int(s, 4, at_ms);
	return db_run(s, NULL);
}

/* The day's domains are counted in the row of the empty domain. */
static enum err add_domain(struct db *db, int64_t day)
{
	struct counts domains;
	const int64_t one = 1;
	enum err err = read_counts(db, day, VIEW_NONE, &domains);
	if (err == ERR_OK && domains.rows >= DMARC_STORE_DOMAINS_MAX)
		return err_set(ERR_LIMIT, "mail of more than %d domains was noted today", DMARC_STORE_DOMAINS_MAX);
	if (err == ERR_OK && !domains.is_there)
		err = put_policy(db, day, 0, VIEW_NONE, VIEW_NONE);
	if (err == ERR_OK)
		err = run(db, "UPDATE dmarc_policy SET result_rows = result_rows + $3 WHERE day = $1 AND domain = $2",
			day, VIEW_NONE, &one, NULL);
	return err;
}

static enum err count_up(struct db *db, const struct dmarc_store_result *result, bool *ret_found)
{
	struct db_statement *s = db_prepare(
		db, "UPDATE dmarc_result SET messages = messages + $4 WHERE day = $1 AND domain = $2 AND row_key = $3");
	if (s == NULL)
		return ERR_IO;
	db_bind_int(s, 1, result->day);
	db_bind_text(s, 2, result->domain);
	db_bind_text(s, 3, result->row_key);
	db_bind_int(s, 4, (int64_t)result->messages);
	uint64_t changed = 0;
	enum err err = db_run(s, &changed);
	*ret_found = changed > 0;
	return err;
}

static enum err add_row(struct db *db, const struct dmarc_store_result *result)
{
	struct db_statement *s = db_prepare(
		db, "INSERT INTO dmarc_result (day, domain, row_key, details, messages) VALUES ($1, $2, $3, $4, $5)");
	if (s == NULL)
		return ERR_IO;
	db_bind_int(s, 1, result->day);
	db_bind_text(s, 2, result->domain);
	db_bind_text(s, 3, result->row_key);
	db_bind_text(s, 4, result->details);
	db_bind_int(s, 5, (int64_t)result->messages);
	enum err err = db_run(s, NULL);
	const int64_t one = 1;
	if (err == ERR_OK)
		err = run(db, "UPDATE dmarc_policy SET result_rows = result_rows + $3 WHERE day = $1 AND domain = $2",
			result->day, result->domain, &one, NULL);
	return err;
}

enum err dmarc_store_note(struct db *db, const struct dmarc_store_result *result)
{
	struct counts counts;
	bool found = false;
	enum err err = read_counts(db, result->day, result->domain, &counts);
	if (err == ERR_OK && !counts.is_there)
		err = add_domain(db, result->day);
	if (err == ERR_OK)
		err = put_policy(db, result->day, result->at_ms, result->domain, result->policy);
	if (err == ERR_OK)
		err = count_up(db, result, &found);
	if (err != ERR_OK || found)
		return err;
	if (counts.rows < DMARC_STORE_ROWS_MAX)
		return add_row(db, result);
	const int64_t messages = (int64_t)result->messages;
	return run(db, "UPDATE dmarc_policy SET unlisted = unlisted + $3 WHERE day = $1 AND domain = $2", result->day,
		result->domain, &messages, NULL);
}

enum err dmarc_store_domains(struct db *db, const struct dmarc_store_domain *after, int64_t last_day, size_t limit,
	void (*found)(void *owner, const struct dmarc_store_domain *domain), void *owner)
{
	struct db_statement *s = db_prepare(db,
		"SELECT day, domain, policy, result_rows, unlisted, notes FROM dmarc_policy WHERE (day, domain) > ($1, "
		"$2) AND day <= $3 AND domain <> '' ORDER BY day, domain LIMIT $4");
	if (s == NULL)
		return ERR_IO;
	db_bind_int(s, 1, after->day);
	db_bind_text(s, 2, after->domain);
	db_bind_int(s, 3, last_day);
	db_bind_int(s, 4, (int64_t)limit);
	bool more;
	enum err err;
	while ((err = db_step(s, &more)) == ERR_OK && more) {
		struct dmarc_store_domain domain = {
			.day = db_column_int(s, 0),
			.domain = db_column_view(s, 1),
			.policy = db_column_view(s, 2),
			.rows = (uint64_t)db_column_int(s, 3),
			.unlisted = (uint64_t)db_column_int(s, 4),
			.notes = (uint64_t)db_column_int(s, 5),
		};
		found(owner, &domain);
	}
	return err;
}

enum err dmarc_store_find(struct db *db, int64_t day, struct view domain, uint64_t *ret_unlisted, uint64_t *ret_notes)
{
	struct db_statement *s = db_prepare(
		db, "SELECT unlisted, notes FROM dmarc_policy WHERE day = $1 AND domain = $2");
	if (s == NULL)
		return ERR_IO;
	db_bind_int(s, 1, day);
	db_bind_text(s, 2, domain);
	bool is_there;
	enum err err = db_step(s, &is_there);
	if (err != ERR_OK)
		return err;
	if (!is_there)
		return err_set(ERR_NOT_FOUND, "nothing is noted of %.*s", VIEW_ARG(domain));
	*ret_unlisted = (uint64_t)db_column_int(s, 0);
	*ret_notes = (uint64_t)db_column_int(s, 1);
	db_reset(s);
	return ERR_OK;
}

enum err dmarc_store_rows(struct db *db, int64_t day, struct view domain,
	bool (*row)(void *owner, struct view details, uint64_t messages), void *owner)
{
	struct db_statement *s = db_prepare(db,
		"SELECT details, messages FROM dmarc_result WHERE day = $1 AND domain = $2 ORDER BY messages DESC, "
		"row_key");
	if (s == NULL)
		return ERR_IO;
	db_bind_int(s, 1, day);
	db_bind_text(s, 2, domain);
	bool more;
	enum err err;
	while ((err = db_step(s, &more)) == ERR_OK && more) {
		if (row(owner, db_column_view(s, 0), (uint64_t)db_column_int(s, 1)))
			continue;
		db_reset(s);
		break;
	}
	return err;
}

enum err dmarc_store_remove(struct db *db, int64_t day, struct view domain, uint64_t notes)
{
	const int64_t as_read = (int64_t)notes, minus_one = -1;
	uint64_t removed = 0;
	enum err err = run(db, "DELETE FROM dmarc_policy WHERE day = $1 AND domain = $2 AND notes = $3", day, domain,
		&as_read, &removed);
	if (err == ERR_OK && removed == 0)
		return err_set(ERR_STATE, "more mail of %.*s was noted meanwhile", VIEW_ARG(domain));
	if (err == ERR_OK)
		err = run(db, "DELETE FROM dmarc_result WHERE day = $1 AND domain = $2", day, domain, NULL, NULL);
	if (err == ERR_OK)
		err = run(db, "UPDATE dmarc_policy SET result_rows = result_rows + $3 WHERE day = $1 AND domain = $2",
			day, VIEW_NONE, &minus_one, NULL);
	if (err == ERR_OK)
		err = run(db, "DELETE FROM dmarc_policy WHERE day = $1 AND domain = $2 AND result_rows <= 0", day,
			VIEW_NONE, NULL, NULL);
	return err;
}

enum err dmarc_store_expire(struct db *db, int64_t before_day, uint64_t *ret_domains)
{
	uint64_t removed = 0;
	enum err err = run(
		db, "DELETE FROM dmarc_policy WHERE day < $1 AND domain <> $2", before_day, VIEW_NONE, NULL, &removed);
	if (err == ERR_OK)
		err = run(db, "DELETE FROM dmarc_policy WHERE day < $1 AND domain = $2", before_day, VIEW_NONE, NULL,
			NULL);
	struct db_statement *s = err == ERR_OK ? db_prepare(db, "DELETE FROM dmarc_result WHERE day < $1") : NULL;
	if (err == ERR_OK && s == NULL)
		return ERR_IO;
	if (err != ERR_OK)
		return err;
	db_bind_int(s, 1, before_day);
	err = db_run(s, NULL);
	if (err == ERR_OK && ret_domains != NULL)
		*ret_domains = removed;
	return err;
}
