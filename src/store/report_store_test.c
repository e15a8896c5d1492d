#include "store/report_store.h"
#include "store/store_contract.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int setup(void **state)
{
	static struct contract contract;
	contract_open(&contract);
	assert_int_equal(db_exec(contract.db,
				 "DELETE FROM dmarc_report; DELETE FROM dmarc_report_row; DELETE FROM dmarc_failure; "
				 "DELETE FROM tls_report; DELETE FROM tls_report_row"),
		ERR_OK);
	*state = &contract;
	return 0;
}

static int teardown(void **state)
{
	contract_close(*state);
	return 0;
}

static struct db *db_of(void **state)
{
	return ((struct contract *)*state)->db;
}

static struct report_dmarc sample(const char *organization, const char *id)
{
	static const struct report_row rows[] = {
		{ .source_ip = { (const uint8_t *)"192.0.2.1", 9 },
			.messages = 10,
			.disposition = { (const uint8_t *)"none", 4 },
			.dkim_aligned = true,
			.header_from = { (const uint8_t *)"a.example", 9 },
			.dkim_domain = { (const uint8_t *)"a.example", 9 } },
		{ .source_ip = { (const uint8_t *)"192.0.2.1", 9 },
			.messages = 5,
			.disposition = { (const uint8_t *)"none", 4 },
			.spf_aligned = true,
			.header_from = { (const uint8_t *)"a.example", 9 } },
		{ .source_ip = { (const uint8_t *)"198.51.100.9", 12 },
			.messages = 40,
			.disposition = { (const uint8_t *)"reject", 6 },
			.header_from = { (const uint8_t *)"a.example", 9 },
			.envelope_from = { (const uint8_t *)"bad.example", 11 } },
	};
	return (struct report_dmarc){
		.domain = VIEW("a.example"),
		.organization = view_from_cstr(organization),
		.report_id = view_from_cstr(id),
		.begin_s = 1000,
		.end_s = 2000,
		.policy = VIEW("p=reject"),
		.received_ms = 5000,
		.row_count = 3,
		.rows = rows,
	};
}

struct seen {
	char text[4096];
};

static void see_source(void *owner, const struct report_source *s)
{
	struct seen *seen = owner;
	size_t used = strlen(seen->text);
	snprintf(seen->text + used, sizeof seen->text - used, "%.*s %u aligned %u (%u, %u) rejected %u %.*s %.*s;",
		VIEW_ARG(s->source_ip), (unsigned)s->messages, (unsigned)s->aligned, (unsigned)s->dkim_aligned,
		(unsigned)s->spf_aligned, (unsigned)s->rejected, VIEW_ARG(s->envelope_from), VIEW_ARG(s->dkim_domain));
}

static void see_reporter(void *owner, const struct report_reporter *r)
{
	struct seen *seen = owner;
	size_t used = strlen(seen->text);
	snprintf(seen->text + used, sizeof seen->text - used, "%.*s %u %u;", VIEW_ARG(r->organization),
		(unsigned)r->reports, (unsigned)r->messages);
}

static void test_sums(void **state)
{
	struct db *db = db_of(state);
	struct report_dmarc one = sample("Org", "1"), two = sample("Org", "2"), other = sample("Other", "1");
	bool is_new = false;
	struct seen seen = { 0 };
	assert_int_equal(report_store_put_dmarc(db, &one, &is_new), ERR_OK);
	assert_true(is_new);
	assert_int_equal(report_store_put_dmarc(db, &two, &is_new), ERR_OK);
	assert_int_equal(report_store_put_dmarc(db, &other, &is_new), ERR_OK);
	assert_true(is_new);
	/* The same once more. */
	assert_int_equal(report_store_put_dmarc(db, &two, &is_new), ERR_OK);
	assert_false(is_new);
	assert_int_equal(report_store_sources(db, VIEW("a.example"), 2000, 10, see_source, &seen), ERR_OK);
	assert_string_equal(seen.text,
		"198.51.100.9 120 aligned 0 (0, 0) rejected 120 bad.example ;"
		"192.0.2.1 45 aligned 45 (30, 15) rejected 0  a.example;");
	uint64_t messages = 0, aligned = 0, sources = 0;
	assert_int_equal(report_store_totals(db, VIEW("a.example"), 2000, &messages, &aligned, &sources), ERR_OK);
	assert_int_equal(messages, 165);
	assert_int_equal(aligned, 45);
	assert_int_equal(sources, 2);
	assert_int_equal(report_store_totals(db, VIEW("b.example"), 2000, &messages, &aligned, &sources), ERR_OK);
	assert_int_equal(messages + aligned + sources, 0);
	seen.text[0] = '\0';
	assert_int_equal(report_store_sources(db, VIEW("a.example"), 2001, 10, see_source, &seen), ERR_OK);
	assert_string_equal(seen.text, "");
	assert_int_equal(report_store_reporters(db, VIEW("a.example"), 0, 10, see_reporter, &seen), ERR_OK);
	assert_string_equal(seen.text, "Org 2 110;Other 1 55;");
}

static void see_failure(void *owner, const struct report_failure *f)
{
	struct seen *seen = owner;
	size_t used = strlen(seen->text);
	snprintf(seen->text + used, sizeof seen->text - used, "%.*s %.*s %d;", VIEW_ARG(f->reporter),
		VIEW_ARG(f->source_ip), (int)f->incidents);
}

static void see_tls(void *owner, const struct report_tls *t)
{
	struct seen *seen = owner;
	size_t used = strlen(seen->text);
	snprintf(seen->text + used, sizeof seen->text - used, "%.*s %.*s %u/%u;", VIEW_ARG(t->organization),
		VIEW_ARG(t->policy_type), (unsigned)t->successes, (unsigned)t->failures);
}

static void see_tls_row(void *owner, const struct report_tls_row *r)
{
	struct seen *seen = owner;
	size_t used = strlen(seen->text);
	snprintf(seen->text + used, sizeof seen->text - used, "%.*s %.*s %u;", VIEW_ARG(r->result), VIEW_ARG(r->host),
		(unsigned)r->sessions);
}

static void test_failures_and_tls(void **state)
{
	struct db *db = db_of(state);
	struct seen seen = { 0 };
	struct report_failure failure = { .domain = VIEW("a.example"),
		.reporter = VIEW("Org"),
		.received_ms = 5000,
		.source_ip = VIEW("192.0.2.1"),
		.incidents = 2 };
	assert_int_equal(report_store_put_failure(db, &failure), ERR_OK);
	failure.received_ms = 6000;
	failure.source_ip = VIEW("192.0.2.2");
	assert_int_equal(report_store_put_failure(db, &failure), ERR_OK);
	assert_int_equal(report_store_failures(db, VIEW("a.example"), 5000, 10, see_failure, &seen), ERR_OK);
	assert_string_equal(seen.text, "Org 192.0.2.2 2;Org 192.0.2.1 2;");
	const struct report_tls_row rows[] = {
		{ .result = VIEW("starttls-not-supported"), .host = VIEW("mx"), .sessions = 3 },
		{ .result = VIEW("certificate-expired"), .host = VIEW("mx"), .sessions = 4 }
	};
	struct report_tls tls = { .domain = VIEW("a.example"),
		.organization = VIEW("Org"),
		.report_id = VIEW("1"),
		.policy_type = VIEW("sts"),
		.begin_s = 1000,
		.end_s = 2000,
		.successes = 100,
		.failures = 7,
		.received_ms = 5000,
		.row_count = 2,
		.rows = rows };
	bool is_new = false;
	assert_int_equal(report_store_put_tls(db, &tls, &is_new), ERR_OK);
	assert_true(is_new);
	assert_int_equal(report_store_put_tls(db, &tls, &is_new), ERR_OK);
	assert_false(is_new);
	tls.policy_type = VIEW("tlsa");
	assert_int_equal(report_store_put_tls(db, &tls, &is_new), ERR_OK);
	assert_true(is_new);
	seen.text[0] = '\0';
	assert_int_equal(report_store_tls(db, VIEW("a.example"), 0, 10, see_tls, &seen), ERR_OK);
	assert_int_equal(report_store_tls_failures(db, VIEW("a.example"), 0, 10, see_tls_row, &seen), ERR_OK);
	assert_string_equal(
		seen.text, "Org sts 100/7;Org tlsa 100/7;certificate-expired mx 8;starttls-not-supported mx 6;");
	uint64_t removed = 0;
	assert_int_equal(report_store_expire(db, 5000, &removed), ERR_OK);
	assert_int_equal(removed, 0);
	assert_int_equal(report_store_expire(db, 5001, &removed), ERR_OK);
	assert_int_equal(removed, 3);
	assert_int_equal(contract_int(db, "SELECT COUNT(*) FROM tls_report_row"), 0);
	assert_int_equal(contract_int(db, "SELECT COUNT(*) FROM dmarc_failure"), 1);
}

static void test_bounds(void **state)
{
	struct db *db = db_of(state);
	static struct report_row rows[REPORT_STORE_ROWS_MAX + 3];
	for (size_t i = 0; i < REPORT_STORE_ROWS_MAX + 3; i++)
		rows[i].messages = 2;
	struct report_dmarc big = sample("Org", "big");
	bool is_new = false;
	big.rows = rows;
	big.row_count = REPORT_STORE_ROWS_MAX + 3;
	assert_int_equal(db_begin(db), ERR_OK);
	assert_int_equal(report_store_put_dmarc(db, &big, &is_new), ERR_OK);
	for (int i = 1; i < REPORT_STORE_DAY_MAX; i++) {
		char id[16];
		snprintf(id, sizeof id, "r%d", i);
		struct report_dmarc small = sample("Org", id);
		small.row_count = 0;
		assert_int_equal(report_store_put_dmarc(db, &small, &is_new), ERR_OK);
	}
	assert_int_equal(db_commit(db), ERR_OK);
	assert_int_equal(contract_int(db, "SELECT COUNT(*) FROM dmarc_report_row"), REPORT_STORE_ROWS_MAX + 1);
	assert_int_equal(
		contract_int(db, "SELECT SUM(messages) FROM dmarc_report_row"), 2 * (REPORT_STORE_ROWS_MAX + 3));
	struct report_dmarc more = sample("Org", "more");
	assert_int_equal(report_store_put_dmarc(db, &more, &is_new), ERR_LIMIT);
	more.received_ms += 86400000 + 1;
	assert_int_equal(report_store_put_dmarc(db, &more, &is_new), ERR_OK);
}

/* Whatever others claim, sums of it can be told: the engines fail where a sum does not fit 64 bits. */
static void test_hostile_counts(void **state)
{
	struct db *db = db_of(state);
	struct report_row row = { .source_ip = VIEW("192.0.2.1"), .messages = UINT64_MAX, .disposition = VIEW("none") };
	const struct report_tls_row tls_row = { .result = VIEW("other"), .sessions = UINT64_MAX };
	struct seen seen = { 0 };
	for (int i = 0; i < 20; i++) {
		char id[16];
		bool is_new = false;
		snprintf(id, sizeof id, "r%d", i);
		struct report_dmarc report = sample("Org", id);
		report.rows = &row;
		report.row_count = 1;
		assert_int_equal(report_store_put_dmarc(db, &report, &is_new), ERR_OK);
		struct report_tls tls = { .domain = VIEW("a.example"),
			.organization = VIEW("Org"),
			.report_id = view_from_cstr(id),
			.policy_type = VIEW("sts"),
			.end_s = 2000,
			.successes = UINT64_MAX,
			.failures = UINT64_MAX,
			.row_count = 1,
			.rows = &tls_row };
		assert_int_equal(report_store_put_tls(db, &tls, &is_new), ERR_OK);
	}
	uint64_t messages = 0, aligned = 0, sources = 0;
	assert_int_equal(report_store_totals(db, VIEW("a.example"), 0, &messages, &aligned, &sources), ERR_OK);
	assert_int_equal(messages, 20 * (uint64_t)REPORT_STORE_COUNT_MAX);
	assert_int_equal(report_store_sources(db, VIEW("a.example"), 0, 10, see_source, &seen), ERR_OK);
	assert_int_equal(report_store_reporters(db, VIEW("a.example"), 0, 10, see_reporter, &seen), ERR_OK);
	assert_int_equal(report_store_tls(db, VIEW("a.example"), 0, 10, see_tls, &seen), ERR_OK);
	assert_int_equal(report_store_tls_failures(db, VIEW("a.example"), 0, 10, see_tls_row, &seen), ERR_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_sums, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failures_and_tls, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_counts, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
