#include "service/reports_private.h"

#include "base/mem.h"
#include "mailauth/dmarc_report.h"
#include "mailauth/pack.h"
#include "mailauth/tls_report.h"
#include "store/dmarc_store.h"
#include "store/store_contract.h"
#include "store/tls_result_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define DAY 19000
#define POLICY VIEW("v=DMARC1; p=reject; rua=mailto:agg@a.example")

static struct config config = {
	.hostname = "mail.here.example",
	.reports = { .organization = "Here", .from = "postmaster@here.example" },
};

static int setup(void **state)
{
	static struct contract contract;
	contract_open(&contract);
	assert_int_equal(
		db_exec(contract.db, "DELETE FROM dmarc_policy; DELETE FROM dmarc_result; DELETE FROM tls_result"),
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

static struct reports_task new_task(enum reports_kind kind)
{
	return (struct reports_task){
		.config = &config, .kind = kind, .day = DAY, .domain = VIEW("a.example"), .policy = POLICY
	};
}

static void task_clear(struct reports_task *task)
{
	reports_tls_rows_free(task->tls_rows);
	buf_clear(&task->file);
}

static void unpack(const struct reports_task *task, struct buf *ret)
{
	buf_init(ret, 64u * 1024 * 1024);
	assert_int_equal(pack_open(buf_view(&task->file), VIEW("xml"), ret), ERR_OK);
}

static void note(struct db *db, int64_t at_ms, unsigned row, struct view details, uint64_t messages)
{
	char key[16];
	snprintf(key, sizeof key, "row%u", row);
	struct dmarc_store_result result = {
		.day = DAY,
		.at_ms = at_ms,
		.domain = VIEW("a.example"),
		.policy = POLICY,
		.row_key = view_from_cstr(key),
		.details = details,
		.messages = messages,
	};
	assert_int_equal(dmarc_store_note(db, &result), ERR_OK);
}

#define ROW                                                                                                            \
	VIEW("{\"ip\":\"192.0.2.1\",\"disposition\":\"none\",\"dkim\":true,\"spf\":false,\"from\":\"a.example\","      \
	     "\"spf_result\":[\"a.example\",\"fail\"],\"signatures\":[[\"a.example\",\"s\",\"pass\"]]}")

static void dmarc_report(void **state)
{
	struct db *db = db_of(state);
	struct reports_task task = new_task(REPORTS_DMARC), late = new_task(REPORTS_DMARC);
	struct dmarc_report report;
	struct arena arena;
	struct buf xml;
	note(db, 1000, 1, ROW, 3);
	note(db, 2000, 1, ROW, 4);
	assert_int_equal(reports_dmarc_build(&task, db), ERR_OK);
	/* Once more gives the same: the same id, and no memory is lost. */
	char id[sizeof task.id];
	memcpy(id, task.id, sizeof id);
	assert_int_equal(reports_dmarc_build(&task, db), ERR_OK);
	assert_string_equal(task.id, id);
	unpack(&task, &xml);
	arena_init(&arena, DMARC_REPORT_ARENA_BYTES);
	assert_int_equal(dmarc_report_read(buf_view(&xml), &arena, &report), ERR_OK);
	assert_int_equal(report.row_count, 1);
	assert_int_equal(report.rows[0].messages, 7);
	assert_int_equal(report.begin_s, DAY * 86400);
	assert_int_equal(report.end_s, DAY * 86400 + 86399);
	assert_int_equal(report.error.len, 0);
	assert_string_equal(id, task.id);
	assert_int_equal(dmarc_store_remove(db, DAY, VIEW("a.example"), task.notes), ERR_OK);
	/* What was noted after the day's report is another report: one with the same id would be taken for the same. */
	note(db, 3000, 1, ROW, 3);
	note(db, 4000, 1, ROW, 4);
	assert_int_equal(reports_dmarc_build(&late, db), ERR_OK);
	assert_string_not_equal(late.id, id);
	arena_clear(&arena);
	buf_clear(&xml);
	task_clear(&task);
	task_clear(&late);
}

/* Messages whose rows found no room in the file are told of as a number. */
static void dmarc_report_that_is_full(void **state)
{
	struct db *db = db_of(state);
	struct reports_task task = new_task(REPORTS_DMARC);
	struct dmarc_report report;
	struct arena arena;
	struct buf details, xml;
	buf_init(&details, 1024u * 1024);
	assert_int_equal(
		buf_append_cstr(&details, "{\"ip\":\"192.0.2.1\",\"disposition\":\"none\",\"signatures\":["), ERR_OK);
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(buf_append_format(&details, "%s[\"", i > 0 ? "," : ""), ERR_OK);
		for (unsigned j = 0; j < 1024; j++)
			assert_int_equal(buf_append_byte(&details, '&'), ERR_OK);
		assert_int_equal(buf_append_cstr(&details, "\",\"s\",\"pass\"]"), ERR_OK);
	}
	assert_int_equal(buf_append_cstr(&details, "]}"), ERR_OK);
	/* Half a megabyte each as XML. */
	for (unsigned i = 0; i < 110; i++)
		note(db, 1000, i, buf_view(&details), 10);
	assert_int_equal(reports_dmarc_build(&task, db), ERR_OK);
	assert_in_range(task.rows, 1, 109);
	assert_int_equal(task.messages, 10 * task.rows);
	unpack(&task, &xml);
	arena_init(&arena, DMARC_REPORT_ARENA_BYTES);
	assert_int_equal(dmarc_report_read(buf_view(&xml), &arena, &report), ERR_OK);
	assert_int_equal(report.row_count, task.rows);
	char want[100];
	snprintf(want, sizeof want, "%u messages of further kinds are not listed", 10 * (110 - (unsigned)task.rows));
	assert_true(view_eq(report.error, view_from_cstr(want)));
	arena_clear(&arena);
	buf_clear(&xml);
	buf_clear(&details);
	task_clear(&task);
}

static void session(struct db *db, const char *type, const char *policy, const char *host, const char *result)
{
	assert_int_equal(tls_result_store_add(db,
				 &(struct tls_result){ .day = DAY,
					 .domain = VIEW("a.example"),
					 .policy_type = view_from_cstr(type),
					 .policy = view_from_cstr(policy),
					 .host = view_from_cstr(host),
					 .result = view_from_cstr(result),
					 .sessions = 1 }),
		ERR_OK);
}

static void describe(const struct tls_report *report, char *ret, size_t room)
{
	ret[0] = '\0';
	for (size_t i = 0; i < report->policy_count; i++) {
		const struct tls_report_policy *p = &report->policies[i];
		size_t used = strlen(ret);
		snprintf(ret + used, room - used, "%.*s %u lines %u hosts %u/%u", VIEW_ARG(p->type),
			(unsigned)p->line_count, (unsigned)p->mx_host_count, (unsigned)p->successes,
			(unsigned)p->failures);
		for (size_t j = 0; j < p->failure_count; j++) {
			used = strlen(ret);
			snprintf(ret + used, room - used, " %.*s@%.*s=%u", VIEW_ARG(p->details[j].result_type),
				VIEW_ARG(p->details[j].receiving_host), (unsigned)p->details[j].sessions);
		}
		used = strlen(ret);
		snprintf(ret + used, room - used, ";");
	}
}

static void check_tls(struct reports_task *task, const char *want)
{
	struct tls_report report;
	struct arena arena;
	struct buf json;
	char text[1000];
	unpack(task, &json);
	arena_init(&arena, TLS_REPORT_ARENA_BYTES);
	assert_int_equal(tls_report_read(buf_view(&json), &arena, &report), ERR_OK);
	describe(&report, text, sizeof text);
	assert_string_equal(text, want);
	assert_true(view_eq(report.report_id, view_from_cstr(task->id)));
	arena_clear(&arena);
	buf_clear(&json);
}

/* What was counted between the reading and the end of a report is told by the next one, under another id. */
static void tls_report(void **state)
{
	struct db *db = db_of(state);
	struct reports_task task = new_task(REPORTS_TLS), late = new_task(REPORTS_TLS),
			    unwanted = new_task(REPORTS_TLS);
	session(db, "sts", "version: STSv1\nmx: mx1\nmx: mx2", "mx1", "");
	session(db, "sts", "version: STSv1\nmx: mx1\nmx: mx2", "mx1", "");
	session(db, "sts", "version: STSv1\nmx: mx1\nmx: mx2", "mx2", "certificate-expired");
	session(db, "tlsa", "3 1 1 aa", "mx1", "tlsa-invalid");
	session(db, "tlsa", "3 1 1 bb", "mx2", "");
	assert_int_equal(reports_tls_build(&task, db), ERR_OK);
	assert_int_equal(task.messages, 5);
	check_tls(&task,
		"sts 3 lines 2 hosts 2/1 certificate-expired@mx2=1;"
		"tlsa 1 lines 0 hosts 0/1 tlsa-invalid@mx1=1;tlsa 1 lines 0 hosts 1/0;");
	session(db, "tlsa", "3 1 1 bb", "mx2", "");
	assert_int_equal(reports_tls_rows_remove(&task, db), ERR_OK);
	assert_int_equal(reports_tls_build(&late, db), ERR_OK);
	check_tls(&late, "tlsa 1 lines 0 hosts 1/0;");
	assert_string_not_equal(late.id, task.id);
	/* Nobody wants to know. */
	assert_int_equal(reports_tls_rows_remove(&unwanted, db), ERR_OK);
	assert_int_equal(contract_int(db, "SELECT COUNT(*) FROM tls_result"), 0);
	task_clear(&task);
	task_clear(&late);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(dmarc_report, setup, teardown),
		cmocka_unit_test_setup_teardown(dmarc_report_that_is_full, setup, teardown),
		cmocka_unit_test_setup_teardown(tls_report, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
