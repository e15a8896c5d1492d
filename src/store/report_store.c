#include "store/report_store.h"

#define DAY_MS 86400000
#define EXPIRE_AT_ONCE 50

static int64_t number(uint64_t n)
{
	return n < REPORT_STORE_COUNT_MAX ? (int64_t)n : REPORT_STORE_COUNT_MAX;
}

/* How many came within 24 hours; `sql` counts those since $1. */
static enum err check_flood(struct db *db, const char *sql, int64_t now_ms)
{
	struct db_statement *s = db_prepare(db, sql);
	if (s == NULL)
		return ERR_IO;
	db_bind_int(s, 1, now_ms - DAY_MS);
	bool row;
	enum err err = db_step(s, &row);
	if (err != ERR_OK)
		return err;
	int64_t count = row ? db_column_int(s, 0) : 0;
	db_reset(s);
	return count < REPORT_STORE_DAY_MAX
		? ERR_OK
		: err_set(ERR_LIMIT, "more than %d reports came within a day", REPORT_STORE_DAY_MAX);
}

/* Runs an INSERT … RETURNING id; *ret_id is 0 when there was a row like it. */
static enum err insert(struct db_statement *s, int64_t *ret_id)
{
	bool row;
	enum err err = db_step(s, &row);
	if (err != ERR_OK)
		return err;
	*ret_id = row ? db_column_int(s, 0) : 0;
	if (row)
		db_reset(s);
	return ERR_OK;
}

static enum err put_row(struct db *db, int64_t report, size_t index, const struct report_row *row)
{
	struct db_statement *s = db_prepare(db,
		"INSERT INTO dmarc_report_row (report, idx, source_ip, messages, disposition, dkim_aligned, "
		"spf_aligned, "
		"header_from, envelope_from, dkim_domain) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)");
	if (s == NULL)
		return ERR_IO;
	db_bind_int(s, 1, report);
	db_bind_int(s, 2, (int64_t)index);
	db_bind_text(s, 3, row->source_ip);
	db_bind_int(s, 4, number(row->messages));
	db_bind_text(s, 5, row->disposition);
	db_bind_int(s, 6, row->dkim_aligned);
	db_bind_int(s, 7, row->spf_aligned);
	db_bind_text(s, 8, row->header_from);
	db_bind_text(s, 9, row->envelope_from);
	db_bind_text(s, 10, row->dkim_domain);
	return db_run(s, NULL);
}

static enum err put_rows(struct db *db, int64_t report, size_t count, const struct report_row *rows)
{
	struct report_row others = { .disposition = VIEW("none") };
	enum err err = ERR_OK;
	for (size_t i = 0; i < count && err == ERR_OK; i++)
		if (i < REPORT_STORE_ROWS_MAX)
			err = put_row(db, report, i, &rows[i]);
		else
			others.messages += rows[i].messages;
	if (err == ERR_OK && count > REPORT_STORE_ROWS_MAX)
		err = put_row(db, report, REPORT_STORE_ROWS_MAX, &others);
	return err;
}

enum err report_store_put_dmarc(struct db *db, const struct report_dmarc *report, bool *ret_is_new)
{
	int64_t id = 0;
	enum err err = check_flood(db, "SELECT COUNT(*) FROM dmarc_report WHERE received_ms > $1", report->received_ms);
	if (err != ERR_OK)
		return err;
	struct db_statement *s = db_prepare(db,
		"INSERT INTO dmarc_report (domain, organization, report_id, begin_s, end_s, policy, received_ms) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING RETURNING id");
	if (s == NULL)
		return ERR_IO;
	db_bind_text(s, 1, report->domain);
	db_bind_text(s, 2, report->organization);
	db_bind_text(s, 3, report->report_id);
	db_bind_int(s, 4, report->begin_s);
	db_bind_int(s, 5, report->end_s);
	db_bind_text(s, 6, report->policy);
	db_bind_int(s, 7, report->received_ms);
	err = insert(s, &id);
	if (err == ERR_OK && id != 0)
		err = put_rows(db, id, report->row_count, report->rows);
	if (err == ERR_OK)
		*ret_is_new = id != 0;
	return err;
}

enum err report_store_put_failure(struct db *db, const struct report_failure *f)
{
	enum err err = check_flood(db, "SELECT COUNT(*) FROM dmarc_failure WHERE received_ms > $1", f->received_ms);
	if (err != ERR_OK)
		return err;
	struct db_statement *s = db_prepare(db,
		"INSERT INTO dmarc_failure (domain, reporter, received_ms, arrival_ms, source_ip, mail_from, "
		"header_from, "
		"failure, delivery_result, message_id, incidents) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, "
		"$11)");
	if (s == NULL)
		return ERR_IO;
	db_bind_text(s, 1, f->domain);
	db_bind_text(s, 2, f->reporter);
	db_bind_int(s, 3, f->received_ms);
	db_bind_int(s, 4, f->arrival_ms);
	db_bind_text(s, 5, f->source_ip);
	db_bind_text(s, 6, f->mail_from);
	db_bind_text(s, 7, f->header_from);
	db_bind_text(s, 8, f->failure);
	db_bind_text(s, 9, f->delivery_result);
	db_bind_text(s, 10, f->message_id);
	db_bind_int(s, 11, number(f->incidents));
	return db_run(s, NULL);
}

static enum err put_tls_row(struct db *db, int64_t report, size_t index, const struct report_tls_row *row)
{
	struct db_statement *s = db_prepare(db,
		"INSERT INTO tls_report_row (report, idx, result, host, sending_ip, receiving_ip, reason, sessions) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8)");
	if (s == NULL)
		return ERR_IO;
	db_bind_int(s, 1, report);
	db_bind_int(s, 2, (int64_t)index);
	db_bind_text(s, 3, row->result);
	db_bind_text(s, 4, row->host);
	db_bind_text(s, 5, row->sending_ip);
	db_bind_text(s, 6, row->receiving_ip);
	db_bind_text(s, 7, row->reason);
	db_bind_int(s, 8, number(row->sessions));
	return db_run(s, NULL);
}

enum err report_store_put_tls(struct db *db, const struct report_tls *report, bool *ret_is_new)
{
	int64_t id = 0;
	enum err err = check_flood(db, "SELECT COUNT(*) FROM tls_report WHERE received_ms > $1", report->received_ms);
	if (err != ERR_OK)
		return err;
	struct db_statement *s = db_prepare(db,
		"INSERT INTO tls_report (domain, organization, report_id, begin_s, end_s, policy_type, successes, "
		"failures, received_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING RETURNING "
		"id");
	if (s == NULL)
		return ERR_IO;
	db_bind_text(s, 1, report->domain);
	db_bind_text(s, 2, report->organization);
	db_bind_text(s, 3, report->report_id);
	db_bind_int(s, 4, report->begin_s);
	db_bind_int(s, 5, report->end_s);
	db_bind_text(s, 6, report->policy_type);
	db_bind_int(s, 7, number(report->successes));
	db_bind_int(s, 8, number(report->failures));
	db_bind_int(s, 9, report->received_ms);
	err = insert(s, &id);
	for (size_t i = 0; id != 0 && i < report->row_count && i < REPORT_STORE_ROWS_MAX && err == ERR_OK; i++)
		err = put_tls_row(db, id, i, &report->rows[i]);
	if (err == ERR_OK)
		*ret_is_new = id != 0;
	return err;
}

static enum err expire_some(
	struct db *db, const char *rows_sql, const char *reports_sql, int64_t before_ms, uint64_t *removed)
{
	const char *const statements[] = { rows_sql, reports_sql };
	uint64_t changed = 0;
	for (size_t i = 0; i < 2; i++) {
		if (statements[i] == NULL)
			continue;
		struct db_statement *s = db_prepare(db, statements[i]);
		if (s == NULL)
			return ERR_IO;
		db_bind_int(s, 1, before_ms);
		db_bind_int(s, 2, EXPIRE_AT_ONCE);
		enum err err = db_run(s, &changed);
		if (err != ERR_OK)
			return err;
	}
	*removed += changed;
	return ERR_OK;
}

enum err report_store_expire(struct db *db, int64_t before_ms, uint64_t *ret_removed)
{
	uint64_t removed = 0;
	enum err err = expire_some(db,
		"DELETE FROM dmarc_report_row WHERE report IN (SELECT id FROM dmarc_report WHERE received_ms < $1 "
		"ORDER BY received_ms, id LIMIT $2)",
		"DELETE FROM dmarc_report WHERE id IN (SELECT id FROM dmarc_report WHERE received_ms < $1 ORDER BY "
		"received_ms, id LIMIT $2)",
		before_ms, &removed);
	if (err == ERR_OK)
		err = expire_some(db,
			"DELETE FROM tls_report_row WHERE report IN (SELECT id FROM tls_report WHERE received_ms < $1 "
			"ORDER BY received_ms, id LIMIT $2)",
			"DELETE FROM tls_report WHERE id IN (SELECT id FROM tls_report WHERE received_ms < $1 ORDER BY "
			"received_ms, id LIMIT $2)",
			before_ms, &removed);
	if (err == ERR_OK)
		err = expire_some(db, NULL,
			"DELETE FROM dmarc_failure WHERE id IN (SELECT id FROM dmarc_failure WHERE received_ms < $1 "
			"ORDER BY id LIMIT $2)",
			before_ms, &removed);
	if (err == ERR_OK)
		*ret_removed = removed;
	return err;
}
