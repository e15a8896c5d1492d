/* Reading others' TLS reports, as loosely as they are written. */
#include "mailauth/tls_report.h"

#include "mail/date.h"
#include "mail/encode.h"

#include <jansson.h>

struct reader {
	struct arena *arena;
	struct tls_report report;
	enum err err;
};

static void *allocate(struct reader *r, size_t count, size_t size)
{
	void *made = count > 0 ? arena_alloc(r->arena, count * size) : NULL;
	if (made == NULL && count > 0)
		r->err = err_set(ERR_LIMIT, "the TLS report is too large");
	return made;
}

static struct view text_of(struct reader *r, const json_t *value, bool lower)
{
	if (!json_is_string(value))
		return VIEW_NONE;
	struct view text = view_of(json_string_value(value), json_string_length(value)), kept = VIEW_NONE;
	struct buf clean = { 0 };
	enum err err = text_clean(view_trim(view_sub(text, 0, TLS_REPORT_TEXT_MAX_BYTES)), &clean);
	for (size_t i = 0; lower && i < clean.len; i++)
		clean.ptr[i] = ascii_lower(clean.ptr[i]);
	if (err == ERR_OK)
		err = arena_dup(r->arena, view_trim(buf_view(&clean)), &kept);
	buf_clear(&clean);
	if (err != ERR_OK)
		r->err = err_set(ERR_LIMIT, "the TLS report is too large");
	return kept;
}

static struct view member(struct reader *r, const json_t *object, const char *key, bool lower)
{
	return text_of(r, json_object_get(object, key), lower);
}

/* Some write numbers as text. */
static uint64_t count_of(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	uint64_t number = 0;
	if (json_is_integer(value) && json_integer_value(value) > 0)
		number = (uint64_t)json_integer_value(value);
	else if (json_is_string(value) &&
		view_parse_u64(view_of(json_string_value(value), json_string_length(value)), INT64_MAX / 1000000,
			&number) != ERR_OK)
		number = 0;
	return number < INT64_MAX / 1000000 ? number : INT64_MAX / 1000000;
}

static int64_t time_of(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	int64_t at_ms = 0;
	if (!json_is_string(value) ||
		date_parse_rfc3339(view_of(json_string_value(value), json_string_length(value)), &at_ms) != ERR_OK)
		return 0;
	return at_ms / 1000;
}

/* A list of texts, or (as in the RFC's own example) one text. */
static const struct view *texts(struct reader *r, const json_t *value, size_t *ret_count)
{
	size_t count = json_is_string(value) ? 1 : json_array_size(value);
	if (count > TLS_REPORT_LINES_MAX) {
		count = TLS_REPORT_LINES_MAX;
		r->report.is_truncated = true;
	}
	struct view *list = allocate(r, count, sizeof *list);
	if (list == NULL)
		return NULL;
	for (size_t i = 0; i < count; i++)
		list[i] = text_of(r, json_is_string(value) ? value : json_array_get(value, i), false);
	*ret_count = count;
	return list;
}

static void read_failure(struct reader *r, const json_t *json, struct tls_report_failure *ret)
{
	*ret = (struct tls_report_failure){
		.result_type = member(r, json, "result-type", true),
		.sending_ip = member(r, json, "sending-mta-ip", true),
		.receiving_ip = member(r, json, "receiving-ip", true),
		.receiving_host = member(r, json, "receiving-mx-hostname", true),
		.receiving_helo = member(r, json, "receiving-mx-helo", false),
		.reason = member(r, json, "failure-reason-code", false),
		.additional = member(r, json, "additional-information", false),
		.sessions = count_of(json, "failed-session-count"),
	};
}

static void read_policy(struct reader *r, const json_t *json, struct tls_report_policy *ret)
{
	const json_t *policy = json_object_get(json, "policy"), *summary = json_object_get(json, "summary"),
		     *details = json_object_get(json, "failure-details");
	size_t count = json_array_size(details);
	*ret = (struct tls_report_policy){
		.type = member(r, policy, "policy-type", true),
		.domain = member(r, policy, "policy-domain", true),
		.successes = count_of(summary, "total-successful-session-count"),
		.failures = count_of(summary, "total-failure-session-count"),
	};
	ret->lines = texts(r, json_object_get(policy, "policy-string"), &ret->line_count);
	ret->mx_hosts = texts(r, json_object_get(policy, "mx-host"), &ret->mx_host_count);
	while (ret->domain.len > 0 && ret->domain.ptr[ret->domain.len - 1] == '.')
		ret->domain = view_trim(view_sub(ret->domain, 0, ret->domain.len - 1));
	if (count > TLS_REPORT_FAILURES_MAX) {
		count = TLS_REPORT_FAILURES_MAX;
		r->report.is_truncated = true;
	}
	struct tls_report_failure *failures = allocate(r, count, sizeof *failures);
	for (size_t i = 0; failures != NULL && i < count && r->err == ERR_OK; i++)
		read_failure(r, json_array_get(details, i), &failures[i]);
	ret->details = failures;
	ret->failure_count = failures != NULL ? count : 0;
}

static void read_policies(struct reader *r, const json_t *list)
{
	size_t count = json_array_size(list);
	if (count > TLS_REPORT_POLICIES_MAX) {
		count = TLS_REPORT_POLICIES_MAX;
		r->report.is_truncated = true;
	}
	struct tls_report_policy *policies = allocate(r, count, sizeof *policies);
	for (size_t i = 0; policies != NULL && i < count && r->err == ERR_OK; i++) {
		struct tls_report_policy *policy = &policies[r->report.policy_count];
		read_policy(r, json_array_get(list, i), policy);
		if (policy->domain.len > 0)
			r->report.policy_count++;
	}
	r->report.policies = policies;
}

enum err tls_report_read(struct view text, struct arena *arena, struct tls_report *ret)
{
	struct reader r = { .arena = arena };
	json_error_t error;
	if (text.len > TLS_REPORT_MAX_BYTES)
		return err_set(ERR_LIMIT, "the TLS report is larger than %d bytes", TLS_REPORT_MAX_BYTES);
	if (view_starts_with(text, VIEW("\xef\xbb\xbf")))
		text = view_from(text, 3);
	json_t *json = json_loadb(text.len > 0 ? (const char *)text.ptr : "", text.len, 0, &error);
	if (!json_is_object(json)) {
		bool is_json = json != NULL;
		json_decref(json);
		return is_json ? err_set(ERR_SYNTAX, "the TLS report is no JSON object")
			       : err_set(ERR_SYNTAX, "the TLS report is no valid JSON: line %d", error.line);
	}
	const json_t *range = json_object_get(json, "date-range");
	r.report.organization = member(&r, json, "organization-name", false);
	r.report.contact = member(&r, json, "contact-info", false);
	r.report.report_id = member(&r, json, "report-id", false);
	r.report.begin_s = time_of(range, "start-datetime");
	r.report.end_s = time_of(range, "end-datetime");
	read_policies(&r, json_object_get(json, "policies"));
	json_decref(json);
	if (r.err == ERR_OK && r.report.policy_count == 0)
		return err_set(ERR_SYNTAX, "the TLS report has no policy with a domain");
	if (r.err == ERR_OK)
		*ret = r.report;
	return r.err;
}
