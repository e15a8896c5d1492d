#include "service/report_intake_private.h"

#include "store/report_store.h"
#include "store/store_contract.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NOW_MS 1700000000000

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

static bool is_ours(void *owner, struct view domain)
{
	(void)owner;
	return view_eq_nocase(domain, VIEW("a.example")) || view_eq_nocase(domain, VIEW("sub.a.example"));
}

/* Reads the message and keeps what it tells; how many reports were new. */
static unsigned take(struct db *db, const char *message, enum report_intake_kind kind)
{
	struct report_intake *intake = NULL;
	unsigned is_new = 0;
	assert_int_equal(report_intake_read(view_from_cstr(message), NOW_MS, is_ours, NULL, &intake), ERR_OK);
	assert_int_equal(report_intake_kind(intake), kind);
	assert_int_equal(report_intake_put(intake, db, &is_new), ERR_OK);
	report_intake_free(intake);
	return is_new;
}

struct seen {
	char text[2048];
};

static void see_tls(void *owner, const struct report_tls *t)
{
	struct seen *seen = owner;
	size_t used = strlen(seen->text);
	snprintf(seen->text + used, sizeof seen->text - used, "%.*s %u/%u;", VIEW_ARG(t->policy_type),
		(unsigned)t->successes, (unsigned)t->failures);
}

static void see_tls_row(void *owner, const struct report_tls_row *r)
{
	struct seen *seen = owner;
	size_t used = strlen(seen->text);
	snprintf(seen->text + used, sizeof seen->text - used, "%.*s %.*s %u;", VIEW_ARG(r->result), VIEW_ARG(r->host),
		(unsigned)r->sessions);
}

#define POLICY(type, domain, successes, failures, details)                                                             \
	"{\"policy\":{\"policy-type\":\"" type "\",\"policy-string\":[\"" #successes "\"],\"policy-domain\":\"" domain \
	"\"},\"summary\":{\"total-successful-session-count\":" #successes                                              \
	",\"total-failure-session-count\":" #failures "},\"failure-details\":[" details "]}"
#define FAILURE(result, host, sessions)                                                                                \
	"{\"result-type\":\"" result "\",\"receiving-mx-hostname\":\"" host "\",\"failed-session-count\":" #sessions "}"

/* A policy that changed during the day, and the TLSA records of several hosts, are several policies of one type (RFC 8460 §4.4): all count. */
static void policies_of_one_type_add_up(void **state)
{
	struct db *db = db_of(state);
	static const char message[] =
		"From: d@org.example\r\nSubject: Report\r\nContent-Type: application/tlsrpt+json\r\n\r\n"
		"{\"organization-name\":\"Org\",\"date-range\":{\"start-datetime\":\"2023-11-14T00:00:00Z\","
		"\"end-datetime\":\"2023-11-14T23:59:59Z\"},\"report-id\":\"1\",\"policies\":[" POLICY(
			"tlsa", "a.example", 10, 2, FAILURE("tlsa-invalid", "mx1.a.example", 2)) "," POLICY("sts",
			"a.example", 4, 0, "") "," POLICY("tlsa", "A.example", 20, 3,
			FAILURE("tlsa-invalid", "mx2.a.example", 1) "," FAILURE(
				"certificate-expired", "mx2.a.example", 2)) "," POLICY("tlsa", "sub.a.example", 7, 0,
			"") "," POLICY("tlsa", "foreign.example", 1000, 0, "") "]}\r\n";
	struct seen seen = { "" };
	assert_int_equal(take(db, message, REPORT_INTAKE_TLS), 3);
	assert_int_equal(report_store_tls(db, VIEW("a.example"), 0, 10, see_tls, &seen), ERR_OK);
	assert_int_equal(report_store_tls_failures(db, VIEW("a.example"), 0, 10, see_tls_row, &seen), ERR_OK);
	assert_string_equal(seen.text,
		"sts 4/0;tlsa 30/5;certificate-expired mx2.a.example 2;tlsa-invalid mx1.a.example 2;"
		"tlsa-invalid mx2.a.example 1;");
	memset(&seen, 0, sizeof seen);
	assert_int_equal(report_store_tls(db, VIEW("sub.a.example"), 0, 10, see_tls, &seen), ERR_OK);
	assert_int_equal(report_store_tls(db, VIEW("foreign.example"), 0, 10, see_tls, &seen), ERR_OK);
	assert_string_equal(seen.text, "tlsa 7/0;");
	/* The same report once more. */
	assert_int_equal(take(db, message, REPORT_INTAKE_TLS), 0);
}

static void see_failure(void *owner, const struct report_failure *f)
{
	struct seen *seen = owner;
	size_t used = strlen(seen->text);
	snprintf(seen->text + used, sizeof seen->text - used, "%.*s %.*s;", VIEW_ARG(f->header_from),
		VIEW_ARG(f->source_ip));
}

/* Without Reported-Domain the author's domain counts, however it is written. */
static void domain_of_the_author(void **state)
{
	struct db *db = db_of(state);
	static const char message[] =
		"From: d@org.example\r\nContent-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n"
		"--b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: auth-failure\r\nVersion: 1\r\n"
		"Auth-Failure: dmarc\r\nSource-IP: 192.0.2.1\r\n\r\n--b\r\nContent-Type: text/rfc822-headers\r\n\r\n"
		"From: Boss@A.Example\r\n\r\n--b--\r\n";
	struct seen seen = { "" };
	assert_int_equal(take(db, message, REPORT_INTAKE_FAILURE), 1);
	assert_int_equal(report_store_failures(db, VIEW("a.example"), 0, 10, see_failure, &seen), ERR_OK);
	assert_string_equal(seen.text, "Boss@A.Example 192.0.2.1;");
}

static void not_ours(void **state)
{
	(void)state;
	struct report_intake *intake = NULL;
	static const char message[] =
		"From: d@org.example\r\nContent-Type: text/xml\r\n\r\n<feedback><policy_published><domain>"
		"foreign.example</domain><p>none</p></policy_published></feedback>\r\n";
	assert_int_equal(report_intake_read(view_from_cstr(message), NOW_MS, is_ours, NULL, &intake), ERR_REFUSED);
	assert_int_equal(
		report_intake_read(VIEW("From: d@org.example\r\n\r\nHello\r\n"), NOW_MS, is_ours, NULL, &intake),
		ERR_NOT_FOUND);
	assert_null(intake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(policies_of_one_type_add_up, setup, teardown),
		cmocka_unit_test_setup_teardown(domain_of_the_author, setup, teardown),
		cmocka_unit_test_setup_teardown(not_ours, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
