/* What the reports of others come to. */
#include "store/report_store.h"

static struct db_statement *prepare(struct db *db, const char *sql, struct view domain, int64_t since, size_t limit)
{
	struct db_statement *s = db_prepare(db, sql);
	if (s == NULL)
		return NULL;
	db_bind_text(s, 1, domain);
	db_bind_int(s, 2, since);
	db_bind_int(s, 3, limit < INT64_MAX ? (int64_t)limit : INT64_MAX);
	return s;
}

/* The next row of a query (NULL: it could not be asked); false with *ret_err at its end. */
static bool next_row(struct db_statement *s, enum err *ret_err)
{
	bool row = false;
	*ret_err = s != NULL ? db_step(s, &row) : ERR_IO;
	return *ret_err == ERR_OK && row;
}

static uint64_t count(struct db_statement *s, int index)
{
	int64_t n = db_column_int(s, index);
	return n > 0 ? (uint64_t)n : 0;
}

enum err report_store_totals(struct db *db, struct view domain, int64_t since_s, uint64_t *ret_messages,
	uint64_t *ret_aligned, uint64_t *ret_sources)
{
	struct db_statement *s = prepare(db,
		"SELECT CAST(COALESCE(SUM(r.messages), 0) AS BIGINT), CAST(COALESCE(SUM(CASE WHEN r.dkim_aligned = 1 "
		"OR "
		"r.spf_aligned = 1 THEN r.messages ELSE 0 END), 0) AS BIGINT), COUNT(DISTINCT r.source_ip)"
		" FROM dmarc_report p JOIN dmarc_report_row r ON r.report = p.id WHERE p.domain = $1 AND p.end_s >= $2"
		" LIMIT $3",
		domain, since_s, 1);
	if (s == NULL)
		return ERR_IO;
	bool row;
	enum err err = db_step(s, &row);
	if (err != ERR_OK)
		return err;
	ASSERT(row); /* sums have one, even of nothing */
	*ret_messages = count(s, 0);
	*ret_aligned = count(s, 1);
	*ret_sources = count(s, 2);
	db_reset(s);
	return ERR_OK;
}

enum err report_store_sources(struct db *db, struct view domain, int64_t since_s, size_t limit,
	void (*each)(void *owner, const struct report_source *source), void *owner)
{
	struct db_statement *s = prepare(db,
		"SELECT r.source_ip, CAST(SUM(r.messages) AS BIGINT) AS total,"
		" CAST(SUM(CASE WHEN r.dkim_aligned = 1 OR r.spf_aligned = 1 THEN r.messages ELSE 0 END) AS BIGINT),"
		" CAST(SUM(CASE WHEN r.dkim_aligned = 1 THEN r.messages ELSE 0 END) AS BIGINT),"
		" CAST(SUM(CASE WHEN r.spf_aligned = 1 THEN r.messages ELSE 0 END) AS BIGINT),"
		" CAST(SUM(CASE WHEN r.disposition = 'quarantine' THEN r.messages ELSE 0 END) AS BIGINT),"
		" CAST(SUM(CASE WHEN r.disposition = 'reject' THEN r.messages ELSE 0 END) AS BIGINT),"
		" MAX(r.header_from), MAX(r.envelope_from), MAX(r.dkim_domain)"
		" FROM dmarc_report p JOIN dmarc_report_row r ON r.report = p.id"
		" WHERE p.domain = $1 AND p.end_s >= $2 GROUP BY r.source_ip ORDER BY total DESC, r.source_ip LIMIT $3",
		domain, since_s, limit);
	enum err err;
	while (next_row(s, &err)) {
		struct report_source source = {
			.source_ip = db_column_view(s, 0),
			.messages = count(s, 1),
			.aligned = count(s, 2),
			.dkim_aligned = count(s, 3),
			.spf_aligned = count(s, 4),
			.quarantined = count(s, 5),
			.rejected = count(s, 6),
			.header_from = db_column_view(s, 7),
			.envelope_from = db_column_view(s, 8),
			.dkim_domain = db_column_view(s, 9),
		};
		each(owner, &source);
	}
	return err;
}

enum err report_store_reporters(struct db *db, struct view domain, int64_t since_s, size_t limit,
	void (*each)(void *owner, const struct report_reporter *reporter), void *owner)
{
	struct db_statement *s = prepare(db,
		"SELECT p.organization, COUNT(*), CAST(SUM((SELECT COALESCE(SUM(r.messages), 0) FROM dmarc_report_row "
		"r WHERE r.report = p.id)) AS BIGINT) AS total, MAX(p.policy), MAX(p.end_s) FROM dmarc_report p"
		" WHERE p.domain = $1 AND p.end_s >= $2 GROUP BY p.organization ORDER BY total DESC, p.organization "
		"LIMIT $3",
		domain, since_s, limit);
	enum err err;
	while (next_row(s, &err)) {
		struct report_reporter reporter = {
			.organization = db_column_view(s, 0),
			.reports = count(s, 1),
			.messages = count(s, 2),
			.policy = db_column_view(s, 3),
			.last_s = db_column_int(s, 4),
		};
		each(owner, &reporter);
	}
	return err;
}

enum err report_store_failures(struct db *db, struct view domain, int64_t since_ms, size_t limit,
	void (*each)(void *owner, const struct report_failure *failure), void *owner)
{
	struct db_statement *s = prepare(db,
		"SELECT reporter, received_ms, arrival_ms, source_ip, mail_from, header_from, failure, "
		"delivery_result, message_id, incidents FROM dmarc_failure WHERE domain = $1 AND received_ms >= $2"
		" ORDER BY received_ms DESC, id DESC LIMIT $3",
		domain, since_ms, limit);
	enum err err;
	while (next_row(s, &err)) {
		struct report_failure failure = {
			.domain = domain,
			.reporter = db_column_view(s, 0),
			.received_ms = db_column_int(s, 1),
			.arrival_ms = db_column_int(s, 2),
			.source_ip = db_column_view(s, 3),
			.mail_from = db_column_view(s, 4),
			.header_from = db_column_view(s, 5),
			.failure = db_column_view(s, 6),
			.delivery_result = db_column_view(s, 7),
			.message_id = db_column_view(s, 8),
			.incidents = count(s, 9),
		};
		each(owner, &failure);
	}
	return err;
}

enum err report_store_tls(struct db *db, struct view domain, int64_t since_s, size_t limit,
	void (*each)(void *owner, const struct report_tls *sum), void *owner)
{
	struct db_statement *s = prepare(db,
		"SELECT organization, policy_type, CAST(SUM(successes) AS BIGINT), CAST(SUM(failures) AS BIGINT),"
		" MIN(begin_s), MAX(end_s) FROM tls_report WHERE domain = $1 AND end_s >= $2"
		" GROUP BY organization, policy_type ORDER BY organization, policy_type LIMIT $3",
		domain, since_s, limit);
	enum err err;
	while (next_row(s, &err)) {
		struct report_tls sum = {
			.domain = domain,
			.organization = db_column_view(s, 0),
			.policy_type = db_column_view(s, 1),
			.successes = count(s, 2),
			.failures = count(s, 3),
			.begin_s = db_column_int(s, 4),
			.end_s = db_column_int(s, 5),
		};
		each(owner, &sum);
	}
	return err;
}

enum err report_store_tls_failures(struct db *db, struct view domain, int64_t since_s, size_t limit,
	void (*each)(void *owner, const struct report_tls_row *row), void *owner)
{
	struct db_statement *s = prepare(db,
		"SELECT r.result, r.host, r.receiving_ip, MAX(r.sending_ip), MAX(r.reason), CAST(SUM(r.sessions) AS "
		"BIGINT) AS total FROM tls_report p JOIN tls_report_row r ON r.report = p.id"
		" WHERE p.domain = $1 AND p.end_s >= $2 GROUP BY r.result, r.host, r.receiving_ip"
		" ORDER BY total DESC, r.result, r.host LIMIT $3",
		domain, since_s, limit);
	enum err err;
	while (next_row(s, &err)) {
		struct report_tls_row row = {
			.result = db_column_view(s, 0),
			.host = db_column_view(s, 1),
			.receiving_ip = db_column_view(s, 2),
			.sending_ip = db_column_view(s, 3),
			.reason = db_column_view(s, 4),
			.sessions = count(s, 5),
		};
		each(owner, &row);
	}
	return err;
}
