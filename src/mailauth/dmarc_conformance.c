/* The engine against vectors for RFC 9989: each case is a zone, an author, and what SPF and DKIM say. A name that its
 * zone lacks does not exist. */
#include "mailauth/dmarc.h"
#include "base/mem.h"
#include "mail/conformance.h"

#include <jansson.h>

enum { RECORDS_MAX = 16 };

static const struct {
	const char *id, *reason;
} disputed[] = {
	{ "two-records-at-author-no-inherit",
		"RFC 9989 §4.10 step 2 discards all of several records, and §4.10.1 walks on when no valid one was "
		"found; the suite itself "
		"marks its own reading, that discovery stops there, as disputed" },
};

static void must(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "%s\n", what);
		abort();
	}
}

static struct view text_of(const json_t *string)
{
	return string != NULL ? view_of(json_string_value(string), json_string_length(string)) : VIEW_NONE;
}

/* A text, or its strings, which are joined. */
static struct view put_text(const json_t *value, struct buf *out)
{
	size_t begin = out->len, i;
	const json_t *piece;
	if (json_is_string(value))
		must(buf_append(out, text_of(value)) == ERR_OK, "a record is too long");
	json_array_foreach(value, i, piece) must(buf_append(out, text_of(piece)) == ERR_OK, "a record is too long");
	return view_from(buf_view(out), begin);
}

/* True if the zone has the name, or one below it. */
static bool exists(json_t *zone, const char *name)
{
	const char *key;
	json_t *value;
	struct view wanted = view_from_cstr(name);
	json_object_foreach(zone, key, value)
	{
		struct view found = view_from_cstr(key);
		if (view_eq(found, wanted) ||
			(found.len > wanted.len && view_ends_with_nocase(found, wanted) &&
				found.ptr[found.len - wanted.len - 1] == '.'))
			return true;
	}
	return false;
}

static void answer(struct dmarc_check *check, json_t *zone, const struct dmarc_need *need)
{
	struct dns_record records[RECORDS_MAX] = { 0 };
	struct dns_answer answer = { .records = records };
	struct buf text = { 0 };
	char *name = view_to_cstr(need->name);
	const json_t *texts = json_object_get(json_object_get(zone, name), "TXT"), *one;
	size_t i;
	/* *text never moves. */
	must(buf_reserve(&text, 65536) == ERR_OK, "no memory");
	json_array_foreach(texts, i, one)
	{
		must(need->type == DNS_TYPE_TXT && i < RECORDS_MAX, "a question for something else, or many records");
		records[answer.record_count++] = (struct dns_record){ .type = DNS_TYPE_TXT,
			.data = put_text(one, &text) };
	}
	enum dmarc_dns_status status = exists(zone, name) ? DMARC_DNS_OK : DMARC_DNS_NXDOMAIN;
	must(dmarc_check_answer(check, need->token, status, &answer) == ERR_OK, "the answer is not taken");
	mem_free(name);
	buf_clear(&text);
}

static struct dmarc_identifier identifier(const json_t *value)
{
	bool passed = view_eq(text_of(json_object_get(value, "result")), VIEW("pass"));
	return (struct dmarc_identifier){ text_of(json_object_get(value, "domain")),
		passed ? DMARC_PASSED : DMARC_NOT_PASSED };
}

static bool same_text(const json_t *expect, const char *key, struct view got)
{
	const json_t *wanted = json_object_get(expect, key);
	if (wanted == NULL || view_eq(text_of(wanted), got))
		return true;
	printf("  %s: got %.*s, want %s\n", key, VIEW_ARG(got), json_string_value(wanted));
	return false;
}

static bool same_flag(const json_t *expect, const char *key, bool got)
{
	const json_t *wanted = json_object_get(expect, key);
	if (wanted == NULL || json_is_true(wanted) == got)
		return true;
	printf("  %s: got %d\n", key, got);
	return false;
}

/* With *queries the names asked for, a line each. */
static bool same_queries(const json_t *expect, struct view queries)
{
	const json_t *wanted = json_object_get(expect, "queries"), *one;
	struct view line;
	size_t i;
	bool good = true;
	if (wanted == NULL)
		return true;
	json_array_foreach(wanted, i, one)
		good = good && view_split(&queries, '\n', &line) && view_eq(line, text_of(one));
	if (!good || queries.len > 0)
		printf("  queries differ\n");
	return good && queries.len == 0;
}

static bool same_rua(const json_t *expect, struct view list)
{
	const json_t *wanted = json_object_get(expect, "rua"), *one;
	struct view uri;
	size_t i;
	bool good = true;
	if (wanted == NULL)
		return true;
	json_array_foreach(wanted, i, one) good = good && dmarc_uri_next(&list, &uri) && view_eq(uri, text_of(one));
	good = good && !dmarc_uri_next(&list, &uri);
	if (!good)
		printf("  rua differs\n");
	return good;
}

static bool compare(const json_t *expect, const struct dmarc_verdict *verdict, struct view queries)
{
	static const char *const known[] = { "result", "policy", "applied_policy", "org_domain", "queries", "rua",
		"spf_aligned", "dkim_aligned", "disputed" };
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)(uintptr_t)expect, key, value)
	{
		bool is_known = false;
		for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
			is_known |= view_eq(view_from_cstr(key), view_from_cstr(known[i]));
		must(is_known, "the suite expects something that this program does not know");
	}
	bool good = same_text(expect, "result", dmarc_result_name(verdict->result));
	good = same_text(expect, "policy", dmarc_policy_name(verdict->policy)) && good;
	good = same_text(expect, "applied_policy", dmarc_policy_name(verdict->applied)) && good;
	good = same_text(expect, "org_domain", verdict->org_domain) && good;
	good = same_flag(expect, "spf_aligned", verdict->spf_aligned) && good;
	good = same_flag(expect, "dkim_aligned", verdict->dkim_aligned) && good;
	return same_queries(expect, queries) && same_rua(expect, verdict->record.rua) && good;
}

static bool run_case(const json_t *test)
{
	struct dmarc_identifier dkim[DMARC_DKIM_MAX];
	const json_t *spf = json_object_get(test, "spf"), *signatures = json_object_get(test, "dkim");
	struct view from = text_of(json_object_get(test, "from"));
	struct dmarc_question question = { .from_count = 1, .dkim = dkim, .dkim_count = json_array_size(signatures) };
	struct buf queries = { 0 };
	struct dmarc_verdict verdict;
	struct dmarc_need need;
	must(json_array_size(spf) <= 1 && question.dkim_count <= DMARC_DKIM_MAX, "a case has too much");
	if (json_array_size(spf) == 1)
		question.spf = identifier(json_array_get(spf, 0));
	for (size_t i = 0; i < question.dkim_count; i++)
		dkim[i] = identifier(json_array_get(signatures, i));
	question.from_domain = view_from(from, view_find_last(from, '@') + 1);
	struct dmarc_check *check = dmarc_check_new(&question);
	while (dmarc_check_next(check, &need)) {
		if (need.type == DNS_TYPE_TXT)
			must(buf_append_format(&queries, "%.*s\n", VIEW_ARG(need.name)) == ERR_OK,
				"too many questions");
		answer(check, json_object_get(test, "zone"), &need);
	}
	must(dmarc_check_result(check, &verdict), "there is no result");
	bool good = compare(json_object_get(test, "expect"), &verdict, buf_view(&queries));
	dmarc_check_free(check);
	buf_clear(&queries);
	return good;
}

static const char *dispute_about(const char *id)
{
	for (size_t i = 0; i < sizeof disputed / sizeof disputed[0]; i++)
		if (view_eq(view_from_cstr(id), view_from_cstr(disputed[i].id)))
			return disputed[i].reason;
	return NULL;
}

int main(void)
{
	struct buf text = { 0 };
	unsigned passed = 0, failed = 0;
	size_t i;
	json_t *test;
	read_suite(__FILE__, "dmarc-rfc9989-vectors/cases.json", &text);
	json_t *cases = json_loadb((const char *)text.ptr, text.len, 0, NULL);
	must(json_is_array(cases) && json_array_size(cases) > 0, "the suite can't be read");
	json_array_foreach(cases, i, test)
	{
		const char *id = json_string_value(json_object_get(test, "id"));
		const char *dispute = dispute_about(id);
		if (run_case(test)) {
			passed++;
			continue;
		}
		printf("%s %s%s%s\n", dispute != NULL ? "DISPUTED" : "FAILED", id, dispute != NULL ? ": " : "",
			dispute != NULL ? dispute : "");
		failed += dispute == NULL;
	}
	printf("CONFORMANCE dmarc-rfc9989-vectors %u/%zu\n", passed, json_array_size(cases));
	json_decref(cases);
	buf_clear(&text);
	return failed == 0 ? 0 : 1;
}
