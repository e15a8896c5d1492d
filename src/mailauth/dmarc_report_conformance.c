/* Readers of aggregate, failure and TLS reports against reports from the field (and some broken on purpose): who they are about, how many rows and
 * messages they have. */
#include "mail/conformance.h"
#include "mail/feedback_report.h"
#include "mailauth/dmarc_report.h"
#include "mailauth/report_file.h"
#include "mailauth/tls_report.h"

#include <dirent.h>

#define SUITE "dmarc-reports-parsedmarc"

enum want { WANT_DMARC, WANT_TLS, WANT_FAILURE, WANT_ERROR };

/* Of DMARC: rows, messages, rows with DKIM aligned. Of TLS: details, successes, failures. */
static const struct test {
	const char *folder, *file;
	enum want want;
	const char *domain, *id; /* of a failure report: the source's address */
	unsigned rows, messages, more;
} tests[] = {
	{ "aggregate", "!example.com!1538204542!1538463818.xml", WANT_DMARC, "example.com", "example.com:1538463741", 1,
		1, 0 },
	{ "aggregate", "!large-example.com!1711897200!1711983600.xml", WANT_DMARC, "example.com",
		"example.com:1711897200", 2286, 2286, 0 },
	{ "aggregate", "Report domain- borschow.com Submitter- google.com Report-ID- 949348866075514174.eml",
		WANT_DMARC, "borschow.com", "949348866075514174", 1, 1, 0 },
	{ "aggregate", "addisonfoods.com!example.com!1536105600!1536191999.xml", WANT_DMARC, "example.com",
		"3ceb5548498640beaeb47327e202b0b9", 1, 1, 0 },
	{ "aggregate", "empty_reason.xml", WANT_DMARC, "example.com", "20240125141224705995", 1, 2, 1 },
	{ "aggregate", "estadocuenta1.infonacot.gob.mx!example.com!1536853302!1536939702!2940.xml.zip", WANT_DMARC,
		"example.com", "2940", 1, 1, 0 },
	{ "aggregate", "example.net!example.com!1529366400!1529452799.xml", WANT_DMARC, "example.com",
		"b043f0e264cf4ea995e93765242f6dfb", 1, 1, 0 },
	{ "aggregate", "fastmail.com!example.com!1516060800!1516147199!102675056.xml.gz", WANT_DMARC, "indemed.com",
		"102675056", 1, 1, 0 },
	{ "aggregate", "ikea.com!example.de!1538690400!1538776800.xml", WANT_DMARC, "example.de",
		"aggr_report_2018_10_05_5bc7e9b4f3e8a", 1, 1, 0 },
	{ "aggregate", "invalid_utf_8.xml", WANT_DMARC, "example.com", "example.com:1538463741", 1, 1, 0 },
	{ "aggregate", "invalid_xml.xml", WANT_DMARC, "example.com", "sonexushealth.com:1530233361", 1, 1, 0 },
	{ "aggregate", "mimecast-weird-gzip.eml", WANT_DMARC, "ab.id.au",
		"157a5fe30ec76f4bc0d8bccfc96c118a167a1280fee7c7465af5115e73082e5e", 1, 1, 1 },
	{ "aggregate", "old_draft_from_wiki.xml", WANT_DMARC, "example.com", "9391651994964116463", 1, 2, 0 },
	{ "aggregate", "protection.outlook.com!example.com!1711756800!1711843200.xml", WANT_DMARC, "example.com",
		"cfeafefe4129445e8c81018bd9177197", 1, 1, 0 },
	{ "aggregate", "rfc9990-example.net!example.com!1700000000!1700086399.xml", WANT_DMARC, "example.com",
		"dmarcbis-test-report-001", 2, 7, 1 },
	{ "aggregate", "rfc9990-sample.xml", WANT_DMARC, "example.com", "3v98abbp8ya9n3va8yr8oa3ya", 1, 123, 1 },
	{ "aggregate", "twilight.eml", WANT_DMARC, "twlnet.com", "1627703331531660819", 1, 1, 1 },
	{ "aggregate", "usssa.com!example.com!1538784000!1538870399.xml", WANT_DMARC, "example.com",
		"8953b4d4a4ee4218b6ac0e2cb2667ee1", 2, 2, 0 },
	{ "aggregate", "veeam.com!example.com!1530133200!1530219600.xml", WANT_DMARC, "example.com",
		"sonexushealth.com:1530233361", 1, 1, 0 },
	/* Its words have capitals, which the schema does not allow; what is meant is plain. */
	{ "aggregate_invalid", "report_with_upper_cased_pass.xml", WANT_DMARC, "example.com",
		"aggr_report_example.com_20191202_1638", 1, 1, 1 },
	{ "extract_report", "nice-input.xml", WANT_DMARC, "example.com", "11038226378739404135", 20, 3047, 19 },
	{ "extract_report", "nice-input.xml.gz", WANT_DMARC, "example.com", "11038226378739404135", 20, 3047, 19 },
	{ "extract_report", "nice-input.xml.zip", WANT_DMARC, "example.com", "11038226378739404135", 20, 3047, 19 },
	{ "extract_report", "changed-input.xml", WANT_DMARC, "example.com", "11038226378739404135", 20, 3047, 19 },
	{ ".", "empty.xml", WANT_ERROR, "", "", 0, 0, 0 },
	{ "failure", "DMARC Failure Report for domain.de (mail-from=sharepoint@domain.de, ip=10.10.10.10).eml",
		WANT_FAILURE, "domain.de", "10.10.10.10", 0, 0, 0 },
	{ "failure", "[Netease DMARC Failure Report] Rent Reminder.eml", WANT_FAILURE, "cardinal.com", "167.89.69.24",
		0, 0, 0 },
	{ "failure", "dmarc_ruf_report_linkedin.crlf.eml", WANT_FAILURE, "example.com", "10.10.10.10", 0, 0, 0 },
	{ "failure", "dmarc_ruf_report_linkedin.eml", WANT_FAILURE, "example.com", "10.10.10.10", 0, 0, 0 },
	/* Prose by a filter of Exim's, without the part that RFC 5965 demands: nothing to read with certainty. */
	{ "failure", "exim_plain_text_only_no_arf_part.eml", WANT_ERROR, "", "", 0, 0, 0 },
	{ "smtp_tls", "google.com_smtp_tls_report.eml", WANT_TLS, "cardinalhealth.ca",
		"2024-09-03T00:00:00Z_cardinalhealth.ca", 0, 48, 0 },
	{ "smtp_tls", "mail.ru.json", WANT_TLS, "example.com", "b28254de-7b2e-be36-bb5c-4c3b92da8b25@mail.ru", 2, 0,
		1 },
	{ "smtp_tls", "rfc8460.json", WANT_TLS, "company-y.example", "5065427c-23d3-47ca-b6e0-946ea0e8c4be", 3, 5326,
		303 },
	{ "smtp_tls", "smtp_tls.json", WANT_TLS, "example.com", "2024-01-09T00:00:00Z_example.com", 2, 0, 3 },
};

static bool same(const struct test *test, struct view domain, struct view id, unsigned long long rows,
	unsigned long long messages, unsigned long long more)
{
	bool good = view_eq(domain, view_from_cstr(test->domain)) && view_eq(id, view_from_cstr(test->id)) &&
		rows == test->rows && messages == test->messages && more == test->more;
	if (!good)
		printf("%s: got %.*s %.*s, %llu rows, %llu, %llu\n", test->file, VIEW_ARG(domain), VIEW_ARG(id), rows,
			messages, more);
	return good;
}

static bool check_dmarc(const struct test *test, struct view xml)
{
	struct arena arena;
	struct dmarc_report report;
	arena_init(&arena, DMARC_REPORT_ARENA_BYTES);
	bool good = dmarc_report_read(xml, &arena, &report) == ERR_OK;
	if (!good)
		printf("%s: %s\n", test->file, err_detail());
	unsigned long long messages = 0, aligned = 0;
	for (size_t i = 0; good && i < report.row_count; i++) {
		messages += report.rows[i].messages;
		aligned += report.rows[i].dkim_aligned;
		good = report.rows[i].header_from.len > 0 && report.rows[i].disposition.len > 0;
	}
	good = good && same(test, report.policy.domain, report.report_id, report.row_count, messages, aligned) &&
		report.begin_s > 0 && report.end_s >= report.begin_s;
	arena_clear(&arena);
	return good;
}

static bool check_tls(const struct test *test, struct view json)
{
	struct arena arena;
	struct tls_report report;
	arena_init(&arena, TLS_REPORT_ARENA_BYTES);
	bool good = tls_report_read(json, &arena, &report) == ERR_OK;
	if (!good)
		printf("%s: %s\n", test->file, err_detail());
	const struct tls_report_policy *policy = good ? &report.policies[0] : NULL;
	good = good &&
		same(test, policy->domain, report.report_id, policy->failure_count, policy->successes,
			policy->failures) &&
		report.begin_s > 0 && report.end_s > report.begin_s;
	arena_clear(&arena);
	return good;
}

static bool check_failure(const struct test *test, struct view message)
{
	static struct feedback_report report;
	bool good = feedback_report_parse(message, &report) == ERR_OK;
	if (!good)
		printf("%s: %s\n", test->file, err_detail());
	good = good && same(test, report.reported_domain, report.source_ip, 0, 0, 0) &&
		view_eq(report.type, VIEW("auth-failure")) && report.arrival_ms > 0;
	feedback_report_clear(&report);
	return good;
}

static bool run_test(const struct test *test)
{
	static struct feedback_report none;
	struct buf name = { 0 }, file = { 0 }, text = { .max_bytes = REPORT_FILE_MAX_BYTES };
	if (buf_append_format(&name, "%s/%s/%s", SUITE, test->folder, test->file) != ERR_OK)
		abort();
	read_suite(__FILE__, buf_cstr(&name), &file);
	enum report_file_kind kind = REPORT_FILE_TLS;
	bool is_mail = view_ends_with_nocase(buf_view(&name), VIEW(".eml"));
	enum err err = is_mail ? report_file_find(buf_view(&file), &text, &kind)
			       : report_file_open(buf_view(&file), &text, &kind);
	bool good = false;
	switch (test->want) {
	case WANT_ERROR:
		good = err != ERR_OK && feedback_report_parse(buf_view(&file), &none) != ERR_OK;
		break;
	case WANT_FAILURE:
		good = check_failure(test, buf_view(&file));
		break;
	case WANT_DMARC:
		good = err == ERR_OK && kind == REPORT_FILE_DMARC && check_dmarc(test, buf_view(&text));
		break;
	case WANT_TLS:
		good = err == ERR_OK && kind == REPORT_FILE_TLS && check_tls(test, buf_view(&text));
		break;
	}
	if (!good)
		printf("%s failed%s%s\n", buf_cstr(&name), err != ERR_OK ? ": " : "",
			err != ERR_OK ? err_detail() : "");
	buf_clear(&name);
	buf_clear(&file);
	buf_clear(&text);
	return good;
}

/* A file that was added to the suite must not go unseen. */
static size_t count_files(const char *folder)
{
	struct buf path = { 0 };
	size_t count = 0;
	suites_folder(__FILE__, &path);
	if (buf_append_format(&path, "/%s/%s", SUITE, folder) != ERR_OK)
		abort();
	DIR *dir = opendir(buf_cstr(&path));
	for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;)
		count += entry->d_name[0] != '.';
	if (dir != NULL)
		closedir(dir);
	buf_clear(&path);
	return count;
}

int main(void)
{
	static const char *const folders[] = { "aggregate", "aggregate_invalid", "extract_report", "failure",
		"smtp_tls" };
	size_t total = sizeof tests / sizeof tests[0], passed = 0, files = 1;
	for (size_t i = 0; i < total; i++)
		passed += run_test(&tests[i]);
	for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
		files += count_files(folders[i]);
	printf("CONFORMANCE %s %zu/%zu\n", SUITE, passed, total);
	if (files != total)
		printf("the suite has %zu files, of which %zu are known\n", files, total);
	return passed == total && files == total ? 0 : 1;
}
