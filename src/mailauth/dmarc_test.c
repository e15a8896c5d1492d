#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mailauth/dmarc.h"

#include <string.h>

/* Records */

static const char *word(enum dmarc_policy policy)
{
	return (const char *)dmarc_policy_name(policy).ptr;
}

static void test_record(void **state)
{
	static const struct {
		const char *name, *text;
		const char *p, *sp, *np; /* p NULL: no DMARC record */
		/* "d": adkim=s, "s": aspf=s, "t": testing, "y" and "n": psd, "u": not usable, "f": faulty */
		const char *flags;
	} cases[] = {
		{ "plain", "v=DMARC1; p=reject", "reject", "reject", "reject", "" },
		{ "as first published, no blank", "v=DMARC1;p=none;", "none", "none", "none", "" },
		{ "sp stands in for np", "v=DMARC1; p=reject; sp=quarantine", "reject", "quarantine", "quarantine",
			"" },
		{ "np alone", "v=DMARC1; p=none; np=reject", "none", "none", "reject", "" },
		{ "tags in any order", "v=DMARC1; np=none; sp=quarantine; p=reject", "reject", "quarantine", "none",
			"" },
		{ "everything old",
			"v=DMARC1; p=quarantine; pct=20; rf=afrf; ri=86400; fo=1; rua=mailto:a@b.example!10m",
			"quarantine", "quarantine", "quarantine", "" },
		{ "modes", "v=DMARC1; p=none; adkim=s; aspf=S; t=Y; psd=n", "none", "none", "none", "dstn" },
		{ "public suffix", "v=DMARC1; p=none; psd=y", "none", "none", "none", "y" },
		{ "nonsense counts as the default", "v=DMARC1; p=reject; adkim=strict; aspf=; t=yes; psd=maybe; fo=x",
			"reject", "reject", "reject", "" },
		{ "unknown tags and parts without =", "v=DMARC1; x=1; junk; ;; p=reject; =; p", "reject", "reject",
			"reject", "" },
		{ "capitals", "V=DMARC1; P=Quarantine; Sp=REJECT", "quarantine", "reject", "reject", "" },
		{ "blanks", " v\t= DMARC1 ;\tp = reject ; sp= none ", "reject", "none", "none", "" },
		{ "a tag twice: the first", "v=DMARC1; p=reject; p=none", "reject", "reject", "reject", "" },
		{ "no policy, but reports", "v=DMARC1; rua=mailto:a@b.example", "none", "none", "none", "f" },
		{ "no policy", "v=DMARC1", "none", "none", "none", "uf" },
		{ "unknown policy", "v=DMARC1; p=discard", "none", "none", "none", "uf" },
		{ "unknown policy, but reports", "v=DMARC1; p=rejected; rua=mailto:a@b.example", "none", "none", "none",
			"f" },
		{ "unknown sp spoils p", "v=DMARC1; p=reject; sp=quarantin; rua=mailto:a@b.example", "none", "none",
			"none", "f" },
		{ "unknown np", "v=DMARC1; p=reject; np=x", "none", "none", "none", "uf" },
		{ "reports that can't be sent", "v=DMARC1; rua=a@b.example", "none", "none", "none", "uf" },
		{ "a blank in a policy", "v=DMARC1; p=re ject", "none", "none", "none", "uf" },
		{ "version with another case", "v=dmarc1; p=reject", NULL, NULL, NULL, NULL },
		{ "later version", "v=DMARC2; p=reject", NULL, NULL, NULL, NULL },
		{ "version not in front", "p=reject; v=DMARC1", NULL, NULL, NULL, NULL },
		{ "version with more", "v=DMARC1 p=reject", NULL, NULL, NULL, NULL },
		{ "empty part in front", "; v=DMARC1; p=reject", NULL, NULL, NULL, NULL },
		{ "quotes", "\"v=DMARC1; p=reject\"", NULL, NULL, NULL, NULL },
		{ "empty", "", NULL, NULL, NULL, NULL },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct dmarc_record record = { .rua = VIEW("untouched") };
		struct view text = view_from_cstr(cases[i].text);
		bool is_record = dmarc_record_parse(text, &record);
		print_message("%s\n", cases[i].name);
		assert_int_equal(is_record, cases[i].p != NULL);
		assert_int_equal(dmarc_record_is_dmarc(text), is_record);
		assert_true(is_record || view_eq(record.rua, VIEW("untouched")));
		if (!is_record)
			continue;
		const char *flags = cases[i].flags;
		assert_string_equal(word(record.policy), cases[i].p);
		assert_string_equal(word(record.subdomain_policy), cases[i].sp);
		assert_string_equal(word(record.nonexistent_policy), cases[i].np);
		assert_int_equal(record.dkim_is_strict, strchr(flags, 'd') != NULL);
		assert_int_equal(record.spf_is_strict, strchr(flags, 's') != NULL);
		assert_int_equal(record.is_testing, strchr(flags, 't') != NULL);
		assert_int_equal(record.psd == DMARC_PSD_YES, strchr(flags, 'y') != NULL);
		assert_int_equal(record.psd == DMARC_PSD_NO, strchr(flags, 'n') != NULL);
		assert_int_equal(!record.is_usable, strchr(flags, 'u') != NULL);
		assert_int_equal(record.fault != NULL, strchr(flags, 'f') != NULL);
	}
	(void)state;
}

static void test_failure_reports(void **state)
{
	static const struct {
		const char *text;
		unsigned set;
	} cases[] = {
		{ "v=DMARC1", DMARC_REPORT_IF_ALL_FAIL },
		{ "v=DMARC1; fo=0", DMARC_REPORT_IF_ALL_FAIL },
		{ "v=DMARC1; fo=1", DMARC_REPORT_IF_ANY_FAILS },
		{ "v=DMARC1; fo=D : s", DMARC_REPORT_DKIM | DMARC_REPORT_SPF },
		{ "v=DMARC1; fo=1:d:s", DMARC_REPORT_IF_ANY_FAILS | DMARC_REPORT_DKIM | DMARC_REPORT_SPF },
		{ "v=DMARC1; fo=10", DMARC_REPORT_IF_ALL_FAIL },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct dmarc_record record;
		assert_true(dmarc_record_parse(view_from_cstr(cases[i].text), &record));
		assert_int_equal(record.failure_reports, cases[i].set);
	}
	(void)state;
}

static void test_uris(void **state)
{
	static const struct {
		const char *list, *uris;
	} cases[] = {
		{ "mailto:Reports@Example.ORG", "mailto:Reports@Example.ORG|" },
		{ " mailto:a@b.example , https://r.example/x?y=%20 ", "mailto:a@b.example|https://r.example/x?y=%20|" },
		{ "mailto:a@b.example!10m,mailto:c@d.example!5,mailto:e@f.example!k",
			"mailto:a@b.example|mailto:c@d.example|" },
		{ "a@b.example,mailto:,mailto:@b,mailto:a@,:x,1x:y,,mailto:a b@c", "" },
		{ "mailto:a@b.example?subject=x,mailto:a%2cb@c.example,mailto:a%2@c,mailto:\xc3\xa4@c",
			"mailto:a@b.example?subject=x|mailto:a%2cb@c.example|" },
		{ "", "" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct view rest = view_from_cstr(cases[i].list), uri;
		struct buf found = { 0 };
		while (dmarc_uri_next(&rest, &uri))
			assert_int_equal(buf_append_format(&found, "%.*s|", VIEW_ARG(uri)), ERR_OK);
		assert_string_equal(buf_cstr(&found), cases[i].uris);
		buf_clear(&found);
	}
	(void)state;
}

/* The check */

/* A zone is lines of "domain record", for _dmarc below it; "domain !": the DNS fails there; "domain +": the domain
 * exists; "domain ?": whether it exists is not told. Identifiers: "domain", with "-" in front: failed; with "~":
 * temperror. */
static struct dmarc_identifier identifier(struct view text)
{
	enum dmarc_evidence evidence = DMARC_PASSED;
	if (text.len > 0 && (text.ptr[0] == '-' || text.ptr[0] == '~')) {
		evidence = text.ptr[0] == '-' ? DMARC_NOT_PASSED : DMARC_NOT_CHECKED;
		text = view_from(text, 1);
	}
	return (struct dmarc_identifier){ text, evidence };
}

static enum dmarc_dns_status look_up(struct view zone, const struct dmarc_need *need, struct dns_answer *answer)
{
	bool is_txt = need->type == DNS_TYPE_TXT;
	struct view name = need->name, line;
	enum dmarc_dns_status status = DMARC_DNS_NXDOMAIN;
	assert_true(!is_txt || view_starts_with(name, VIEW("_dmarc.")));
	if (is_txt)
		name = view_from(name, 7);
	while (view_split(&zone, '\n', &line)) {
		size_t space = view_find(line, ' ');
		struct view data = view_from(line, space + 1);
		if (!view_eq(view_sub(line, 0, space), name))
			continue;
		if (view_eq(data, is_txt ? VIEW("!") : VIEW("?")))
			return DMARC_DNS_FAILED;
		if (!is_txt && view_eq(data, VIEW("+")))
			status = DMARC_DNS_OK;
		if (is_txt && data.len > 1) {
			answer->records[answer->record_count++] = (struct dns_record){ .type = DNS_TYPE_TXT,
				.data = data };
			status = DMARC_DNS_OK;
		}
	}
	return status;
}

static void answer_all(struct dmarc_check *check, const char *zone)
{
	struct dmarc_need need;
	struct dmarc_verdict none;
	for (unsigned asked = 0; dmarc_check_next(check, &need); asked++) {
		struct dns_record records[8] = { 0 };
		struct dns_answer answer = { .records = records };
		assert_true(asked < DMARC_QUESTIONS_MAX);
		assert_false(dmarc_check_result(check, &none));
		assert_int_equal(dmarc_check_answer(check, need.token + 1, DMARC_DNS_OK, &answer), ERR_STATE);
		enum dmarc_dns_status status = look_up(view_from_cstr(zone), &need, &answer);
		assert_int_equal(dmarc_check_answer(check, need.token, status, &answer), ERR_OK);
	}
}

static struct dmarc_check *check_of(const char *from, const char *spf, const char *dkim, const char *zone)
{
	struct dmarc_identifier signatures[DMARC_DKIM_MAX + 8];
	struct dmarc_question question = { .from_count = 1, .from_domain = view_from_cstr(from), .dkim = signatures };
	struct view list = view_from_cstr(dkim), part;
	question.spf = identifier(view_from_cstr(spf));
	while (view_split(&list, ' ', &part))
		signatures[question.dkim_count++] = identifier(part);
	struct dmarc_check *check = dmarc_check_new(&question);
	memset(signatures, 0xa5, sizeof signatures);
	answer_all(check, zone);
	return check;
}

#define ORG "example.org v=DMARC1; p=reject; sp=quarantine; np=none\n"
static const struct {
	const char *name, *from, *spf, *dkim, *zone;
	const char *result; /* result, policy, applied, organisational domain, record's domain, questions */
} checks[] = {
	{ "nothing published", "example.org", "example.org", "example.org", "", "none none none example.org - 2" },
	{ "SPF aligns", "example.org", "example.org", "", ORG, "pass reject none example.org example.org 1" },
	{ "SPF of a subdomain aligns", "example.org", "bounce.example.org", "", ORG,
		"pass reject none example.org example.org 3" },
	{ "DKIM of the parent aligns", "news.example.org", "", "example.org", ORG "news.example.org +\n",
		"pass quarantine none example.org example.org 3" },
	{ "siblings align", "news.example.org", "", "shop.example.org", ORG,
		"pass quarantine none example.org example.org 4" },
	{ "strangers do not", "example.org", "example.net", "example.com", ORG,
		"fail reject reject example.org example.org 2" },
	{ "a name that only ends alike", "example.org", "badexample.org", "", ORG,
		"fail reject reject example.org example.org 2" },
	{ "nothing passed", "example.org", "-example.org", "-example.org", ORG,
		"fail reject reject example.org example.org 2" },
	{ "an existing subdomain", "news.example.org", "", "", ORG "news.example.org +\n",
		"fail quarantine quarantine example.org example.org 4" },
	{ "a subdomain that is not there", "news.example.org", "", "", ORG,
		"fail none none example.org example.org 4" },
	{ "who knows", "news.example.org", "", "", ORG "news.example.org ?\n",
		"temperror quarantine none example.org example.org 4" },
	{ "existence does not matter", "news.example.org", "", "", "example.org v=DMARC1; p=reject\n",
		"fail reject reject example.org example.org 3" },
	{ "strict SPF", "example.org", "a.example.org", "", "example.org v=DMARC1; p=reject; aspf=s\n",
		"fail reject reject - example.org 1" },
	{ "strict SPF, relaxed DKIM", "example.org", "a.example.org", "a.example.org",
		"example.org v=DMARC1; p=reject; aspf=s\n", "pass reject none example.org example.org 3" },
	{ "the subdomain's own record", "news.example.org", "", "example.org",
		ORG "news.example.org v=DMARC1; p=none\n", "pass none none example.org news.example.org 3" },
	{ "sp of a subdomain's record is not for it", "news.example.org", "", "",
		ORG "news.example.org v=DMARC1; p=none; sp=reject\n", "fail none none example.org news.example.org 3" },
	{ "an organisation of its own", "a.dept.example.org", "", "example.org",
		ORG "dept.example.org v=DMARC1; p=reject; psd=n\n",
		"fail reject reject dept.example.org dept.example.org 2" },
	{ "the signer has one of its own", "example.org", "", "dept.example.org",
		ORG "dept.example.org v=DMARC1; p=reject; psd=n\n", "fail reject reject example.org example.org 3" },
	{ "a record in between is passed over", "a.b.example.org", "", "",
		ORG "b.example.org v=DMARC1; p=none\na.b.example.org +\n",
		"fail quarantine quarantine example.org example.org 5" },
	{ "the public suffix's record", "bank.example", "", "",
		"example v=DMARC1; p=reject; sp=quarantine; psd=y\nbank.example +\n",
		"fail quarantine quarantine bank.example example 2" },
	{ "tenants of a public suffix don't align", "a.bank.example", "", "b.bank.example",
		"bank.example v=DMARC1; p=reject; psd=y\n", "fail reject reject a.bank.example bank.example 2" },
	{ "a public suffix as author", "bank.example", "", "a.bank.example", "bank.example v=DMARC1; p=reject; psd=y\n",
		"fail reject reject bank.example bank.example 2" },
	{ "t=y", "example.org", "", "", "example.org v=DMARC1; p=reject; t=y\n",
		"fail reject quarantine example.org example.org 2" },
	{ "t=y at the bottom", "example.org", "", "", "example.org v=DMARC1; p=none; t=y\n",
		"fail none none example.org example.org 2" },
	{ "pct is no more", "example.org", "", "", "example.org v=DMARC1; p=reject; pct=0\n",
		"fail reject reject example.org example.org 2" },
	{ "two records: none", "example.org", "", "", ORG "example.org v=DMARC1; p=none\n",
		"none none none example.org - 2" },
	{ "two records: the walk goes on", "a.example.org", "", "",
		ORG "a.example.org v=DMARC1; p=none\na.example.org v=DMARC1; p=none\na.example.org +\n",
		"fail quarantine quarantine example.org example.org 4" },
	{ "other texts beside it", "example.org", "", "", "example.org junk\n" ORG "example.org v=spf1 -all\n",
		"fail reject reject example.org example.org 2" },
	{ "a policy of no use ends it", "a.example.org", "", "", ORG "a.example.org v=DMARC1; p=x\n",
		"none none none example.org a.example.org 3" },
	{ "the DNS fails for the author", "example.org", "example.org", "", "example.org !\n",
		"temperror none none - - 1" },
	{ "the DNS fails above the author", "a.example.org", "a.example.org", "", "example.org !\n",
		"temperror none none - - 2" },
	{ "it fails above, but doesn't matter", "example.org", "example.org", "", ORG "org !\n",
		"pass reject none example.org example.org 1" },
	{ "it fails above, and something aligns all the same", "example.org", "a.example.org", "example.org",
		ORG "org !\n", "pass reject none - example.org 2" },
	{ "it fails above, and matters", "example.org", "a.example.org", "", ORG "org !\n",
		"temperror reject none - example.org 2" },
	{ "it fails above, and nothing passed", "example.org", "-example.org", "", ORG "org !\n",
		"fail reject reject - example.org 2" },
	{ "it fails for a signer", "example.org", "", "a.example.org", ORG "a.example.org !\n",
		"temperror reject none example.org example.org 3" },
	{ "it fails for one signer of two", "example.org", "", "a.example.org b.example.org", ORG "a.example.org !\n",
		"pass reject none example.org example.org 4" },
	{ "SPF could not be checked", "example.org", "~example.org", "", ORG,
		"temperror reject none example.org example.org 1" },
	{ "a stranger's SPF could not be checked", "example.org", "~example.net", "", ORG,
		"fail reject reject example.org example.org 2" },
	{ "capitals and a dot", "Example.ORG.", "EXAMPLE.org", "", ORG, "pass reject none example.org example.org 1" },
	{ "U-labels",
		"b\xc3\xbc"
		"cher.example",
		"", "xn--bcher-kva.example", "xn--bcher-kva.example v=DMARC1; p=reject\n",
		"pass reject none xn--bcher-kva.example xn--bcher-kva.example 1" },
	{ "one label", "localhost", "", "", "localhost v=DMARC1; p=reject\n",
		"fail reject reject localhost localhost 1" },
	{ "the signer is asked for once", "example.org", "", "a.example.org a.example.org A.example.org", ORG,
		"pass reject none example.org example.org 3" },
	{ "nine labels", "a.b.c.d.e.f.g.example.org", "", "", "c.d.e.f.g.example.org v=DMARC1; p=quarantine\n",
		"fail quarantine quarantine c.d.e.f.g.example.org c.d.e.f.g.example.org 8" },
	{ "below the names asked for", "a.b.c.d.e.f.g.example.org", "", "",
		"b.c.d.e.f.g.example.org v=DMARC1; p=quarantine\n", "none none none a.b.c.d.e.f.g.example.org - 8" },
	{ "not a name", "exa mple.org", "", "", ORG, "permerror none none - - 0" },
	{ "an address", "[192.0.2.1]", "", "", ORG, "permerror none none - - 0" },
	{ "an empty label", "a..example.org", "", "", ORG, "permerror none none - - 0" },
};

static const char *or_dash(struct view v, char room[256])
{
	memcpy(room, v.len > 0 ? (const char *)v.ptr : "-", v.len > 0 ? v.len : 1);
	room[v.len > 0 ? v.len : 1] = 0;
	return room;
}

static void test_checks(void **state)
{
	for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
		struct dmarc_check *check = check_of(checks[i].from, checks[i].spf, checks[i].dkim, checks[i].zone);
		struct dmarc_verdict v;
		struct buf got = { 0 };
		char org[256], where[256];
		print_message("%s\n", checks[i].name);
		assert_true(dmarc_check_result(check, &v));
		assert_int_equal(buf_append_format(&got, "%.*s %s %s %s %s %u", VIEW_ARG(dmarc_result_name(v.result)),
					 word(v.policy), word(v.applied), or_dash(v.org_domain, org),
					 or_dash(v.record_domain, where), v.questions),
			ERR_OK);
		assert_string_equal(buf_cstr(&got), checks[i].result);
		assert_non_null(v.reason);
		buf_clear(&got);
		dmarc_check_free(check);
	}
	(void)state;
}

static void test_author_count(void **state)
{
	static const size_t counts[] = { 0, 2, 1000 };
	for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
		struct dmarc_question question = { .from_count = counts[i], .from_domain = VIEW("example.org") };
		struct dmarc_check *check = dmarc_check_new(&question);
		struct dmarc_verdict verdict;
		struct dmarc_need need;
		assert_false(dmarc_check_next(check, &need));
		assert_true(dmarc_check_result(check, &verdict));
		assert_int_equal(verdict.result, DMARC_PERMERROR);
		dmarc_check_free(check);
	}
	dmarc_check_free(NULL);
	(void)state;
}

static void test_alignments(void **state)
{
	struct dmarc_check *check = check_of("news.example.org", "mail.example.org",
		"-news.example.org shop.example.org example.net [x]", "example.org v=DMARC1; p=reject; adkim=s\n");
	static const struct {
		const char *domain, *org;
		bool is_aligned, is_strict;
	} wanted[] = {
		{ "mail.example.org", "example.org", true, false },
		{ "news.example.org", "", true, true },
		{ "shop.example.org", "", false, true },
		{ "example.net", "", false, true },
		{ "", "", false, true },
	};
	struct dmarc_alignment got;
	for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
		assert_true(i == 0 ? dmarc_check_spf(check, &got) : dmarc_check_dkim(check, i - 1, &got));
		assert_true(view_eq(got.domain, view_from_cstr(wanted[i].domain)));
		assert_true(view_eq(got.org_domain, view_from_cstr(wanted[i].org)));
		assert_int_equal(got.is_aligned, wanted[i].is_aligned);
		assert_int_equal(got.is_strict, wanted[i].is_strict);
	}
	assert_false(dmarc_check_dkim(check, 4, &got));
	struct dmarc_verdict verdict;
	assert_true(dmarc_check_result(check, &verdict));
	assert_true(verdict.spf_aligned && !verdict.dkim_aligned);
	assert_int_equal(verdict.source, DMARC_SOURCE_ORGANIZATION);
	dmarc_check_free(check);
	(void)state;
}

/* However many sign, questions are bounded: each signer here has a walk of eight names, and the zone knows only where
 * they meet. */
static void test_many_signers(void **state)
{
	struct buf dkim = { 0 };
	for (unsigned i = 0; i < DMARC_DKIM_MAX + 8; i++)
		assert_int_equal(
			buf_append_format(&dkim, "%sa.b.c.d.e.f.s%u.example.org", i > 0 ? " " : "", i), ERR_OK);
	struct dmarc_check *check = check_of(
		"example.org", "", buf_cstr(&dkim), "example.org v=DMARC1; p=reject; psd=y\n");
	struct dmarc_verdict verdict;
	assert_true(dmarc_check_result(check, &verdict));
	assert_int_equal(verdict.result, DMARC_FAIL);
	assert_true(verdict.questions > DMARC_WALK_QUESTIONS_MAX && verdict.questions <= DMARC_QUESTIONS_MAX);
	dmarc_check_free(check);
	buf_clear(&dkim);
	(void)state;
}

static void test_give_up(void **state)
{
	struct dmarc_question question = { .from_count = 1, .from_domain = VIEW("example.org") };
	struct dmarc_check *check = dmarc_check_new(&question);
	struct dmarc_verdict verdict;
	struct dmarc_need need;
	assert_true(dmarc_check_next(check, &need));
	dmarc_check_give_up(check);
	assert_false(dmarc_check_next(check, &need));
	assert_true(dmarc_check_result(check, &verdict));
	assert_int_equal(verdict.result, DMARC_TEMPERROR);
	dmarc_check_give_up(check);
	assert_int_equal(dmarc_check_answer(check, 1, DMARC_DNS_OK, NULL), ERR_STATE);
	dmarc_check_free(check);
	(void)state;
}

static void test_long_names_and_records(void **state)
{
	char record[DMARC_RECORD_MAX_BYTES + 100], zone[DMARC_RECORD_MAX_BYTES + 200], name[251];
	struct dmarc_verdict verdict;
	memset(record, 'x', sizeof record - 1);
	record[sizeof record - 1] = 0;
	memcpy(record, "v=DMARC1; p=reject; x=", 22);
	for (unsigned is_long = 0; is_long < 2; is_long++) {
		record[is_long ? DMARC_RECORD_MAX_BYTES + 1 : DMARC_RECORD_MAX_BYTES] = 0;
		snprintf(zone, sizeof zone, "example.org %s\n", record);
		record[DMARC_RECORD_MAX_BYTES] = 'x';
		struct dmarc_check *check = check_of("example.org", "", "", zone);
		assert_true(dmarc_check_result(check, &verdict));
		assert_int_equal(verdict.result, is_long ? DMARC_NONE : DMARC_FAIL);
		dmarc_check_free(check);
	}
	/* 250 bytes are a name, but not with "_dmarc." before it: its four parents are asked. */
	memset(name, 'a', sizeof name - 1);
	name[sizeof name - 1] = 0;
	for (size_t i = 60; i < sizeof name; i += 50)
		name[i] = '.';
	struct dmarc_check *check = check_of(name, "", "", "");
	assert_true(dmarc_check_result(check, &verdict));
	assert_int_equal(verdict.result, DMARC_NONE);
	assert_int_equal(verdict.questions, 4);
	dmarc_check_free(check);
	(void)state;
}

static void test_format(void **state)
{
	static const struct {
		const char *spf, *zone, *text;
	} cases[] = {
		{ "example.org", ORG, "dmarc=pass header.from=example.org" },
		{ "", ORG,
			"dmarc=fail reason=\"neither SPF nor DKIM passed\" policy.dmarc=reject "
			"header.from=example.org" },
		{ "", "", "dmarc=none reason=\"there is no DMARC record\" header.from=example.org" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct dmarc_check *check = check_of("example.org", cases[i].spf, "", cases[i].zone);
		struct dmarc_verdict verdict;
		struct buf out = { 0 }, small = { 0 };
		buf_init(&small, 10);
		assert_true(dmarc_check_result(check, &verdict));
		assert_int_equal(dmarc_format_result(&verdict, &out), ERR_OK);
		assert_string_equal(buf_cstr(&out), cases[i].text);
		assert_int_equal(dmarc_format_result(&verdict, &small), ERR_LIMIT);
		assert_int_equal(small.len, 0);
		buf_clear(&out);
		buf_clear(&small);
		dmarc_check_free(check);
	}
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_record),
		cmocka_unit_test(test_failure_reports),
		cmocka_unit_test(test_uris),
		cmocka_unit_test(test_checks),
		cmocka_unit_test(test_author_count),
		cmocka_unit_test(test_alignments),
		cmocka_unit_test(test_many_signers),
		cmocka_unit_test(test_give_up),
		cmocka_unit_test(test_long_names_and_records),
		cmocka_unit_test(test_format),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
