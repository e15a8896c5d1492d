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

/* A parameter of a statement. */
struct value {
	struct view text;
	int64_t number;
	bool is_number;
};
#define TEXT(view)                                                                                                     \
	{                                                                                                              \
		.text = (view)                                                                                         \
	}
#define NUMBER(n)                                                                                                      \
	{                                                                                                              \
		.number = (n), .is_number = true                                                                       \
	}
#define VALUES(array) sizeof(array) / sizeof(array)[0], array

static struct db_statement *prepare(struct db *db, const char *sql, size_t count, const struct value *values)
{
	struct db_statement *s = db_prepare(db, sql);
	for (size_t i = 0; s != NULL && i < count; i++)
		if (values[i].is_number)
			db_bind_int(s, (int)i + 1, values[i].number);
		else
			db_bind_text(s, (int)i + 1, values[i].text);
	return s;
}

static enum err run(struct db *db, const char *sql, size_t count, const struct value *values)
{
	struct db_statement *s = prepare(db, sql, count, values);
	return s != NULL ? db_run(s, NULL) : ERR_IO;
}

/* Runs an INSERT … RETURNING id; *ret_id is 0 when there was a row like it. */
static enum err insert(struct db *db, const char *sql, size_t count, const struct value *values, int64_t *ret_id)
{
	struct db_statement *s = prepare(db, sql, count, values);
	bool row;
	enum err err = s != NULL ? db_step(s, &row) : ERR_IO;
	if (err != ERR_OK)
		return err;
	*ret_id = row ? db_column_int(s, 0) : 0;
	if (row)
		db_reset(s);
	return ERR_OK;
}

static enum err put_row(struct db *db, int64_t report, size_t index, const struct report_row *row)
{
	const struct value values[] = { NUMBER(report), NUMBER((int64_t)index), TEXT(row->source_ip),
		NUMBER(number(row->messages)), TEXT(row->disposition), NUMBER(row->dkim_aligned),
		NUMBER(row->spf_aligned), TEXT(row->header_from), TEXT(row->envelope_from), TEXT(row->dkim_domain) };
	return run(db,
		"INSERT INTO dmarc_report_row (report, idx, source_ip, messages, disposition, dkim_aligned, "
		"spf_aligned, header_from, envelope_from, dkim_domain) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, "
		"$10)",
		VALUES(values));
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
	const struct value values[] = { TEXT(report->domain), TEXT(report->organization), TEXT(report->report_id),
		NUMBER(report->begin_s), NUMBER(report->end_s), TEXT(report->policy), NUMBER(report->received_ms) };
	enum err err = check_flood(db, "SELECT COUNT(*) FROM dmarc_report WHERE received_ms > $1", report->received_ms);
	if (err == ERR_OK)
		err = insert(db,
			"INSERT INTO dmarc_report (domain, organization, report_id, begin_s, end_s, policy, "
			"received_ms) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING RETURNING id",
			VALUES(values), &id);
	if (err == ERR_OK && id != 0)
		err = put_rows(db, id, report->row_count, report->rows);
	if (err == ERR_OK)
		*ret_is_new = id != 0;
	return err;
}

enum err report_store_put_failure(struct db *db, const struct report_failure *f)
{
	const struct value values[] = { TEXT(f->domain), TEXT(f->reporter), NUMBER(f->received_ms),
		NUMBER(f->arrival_ms), TEXT(f->source_ip), TEXT(f->mail_from), TEXT(f->header_from), TEXT(f->failure),
		TEXT(f->delivery_result), TEXT(f->message_id), NUMBER(number(f->incidents)) };
	enum err err = check_flood(db, "SELECT COUNT(*) FROM dmarc_failure WHERE received_ms > $1", f->received_ms);
	return err == ERR_OK ? run(db,
				       "INSERT INTO dmarc_failure (domain, reporter, received_ms, arrival_ms, "
				       "source_ip, mail_from, header_from, failure, delivery_result, message_id, "
				       "incidents) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
				       VALUES(values))
			     : err;
}

static enum err put_tls_row(struct db *db, int64_t report, size_t index, const struct report_tls_row *row)
{
	const struct value values[] = { NUMBER(report), NUMBER((int64_t)index), TEXT(row->result), TEXT(row->host),
		TEXT(row->sending_ip), TEXT(row->receiving_ip), TEXT(row->reason), NUMBER(number(row->sessions)) };
	return run(db,
		"INSERT INTO tls_report_row (report, idx, result, host, sending_ip, receiving_ip, reason, sessions) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
		VALUES(values));
}

enum err report_store_put_tls(struct db *db, const struct report_tls *report, bool *ret_is_new)
{
	int64_t id = 0;
	const struct value values[] = { TEXT(report->domain), TEXT(report->organization), TEXT(report->report_id),
		NUMBER(report->begin_s), NUMBER(report->end_s), TEXT(report->policy_type),
		NUMBER(number(report->successes)), NUMBER(number(report->failures)), NUMBER(report->received_ms) };
	enum err err = check_flood(db, "SELECT COUNT(*) FROM tls_report WHERE received_ms > $1", report->received_ms);
	if (err == ERR_OK)
		err = insert(db,
			"INSERT INTO tls_report (domain, organization, report_id, begin_s, end_s, policy_type, "
			"successes, failures, received_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO "
			"NOTHING RETURNING id",
			VALUES(values), &id);
	for (size_t i = 0; id != 0 && i < report->row_count && i < REPORT_STORE_ROWS_MAX && err == ERR_OK; i++)
		err = put_tls_row(db, id, i, &report->rows[i]);
	if (err == ERR_OK)
		*ret_is_new = id != 0;
	return err;
}

enum err report_store_expire(struct db *db, int64_t before_ms, uint64_t *ret_removed)
{
	/* Rows go before the reports that they are found by. */
	static const struct {
		const char *sql;
		bool counts;
	} statements[] = {
		{ "DELETE FROM dmarc_report_row WHERE report IN (SELECT id FROM dmarc_report WHERE received_ms < $1 "
		  "ORDER BY received_ms, id LIMIT $2)",
			false },
		{ "DELETE FROM dmarc_report WHERE id IN (SELECT id FROM dmarc_report WHERE received_ms < $1 ORDER BY "
		  "received_ms, id LIMIT $2)",
			true },
		{ "DELETE FROM tls_report_row WHERE report IN (SELECT id FROM tls_report WHERE received_ms < $1 "
		  "ORDER BY received_ms, id LIMIT $2)",
			false },
		{ "DELETE FROM tls_report WHERE id IN (SELECT id FROM tls_report WHERE received_ms < $1 ORDER BY "
		  "received_ms, id LIMIT $2)",
			true },
		{ "DELETE FROM dmarc_failure WHERE id IN (SELECT id FROM dmarc_failure WHERE received_ms < $1 ORDER BY "
		  "id LIMIT $2)",
			true },
	};
	const struct value values[] = { NUMBER(before_ms), NUMBER(EXPIRE_AT_ONCE) };
	uint64_t removed = 0;
	for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
		struct db_statement *s = prepare(db, statements[i].sql, VALUES(values));
		uint64_t changed = 0;
		enum err err = s != NULL ? db_run(s, &changed) : ERR_IO;
		if (err != ERR_OK)
			return err;
		removed += statements[i].counts ? changed : 0;
	}
	*ret_removed = removed;
	return ERR_OK;
}
