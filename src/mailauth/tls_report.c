/* Writing TLS reports. */
#include "mailauth/tls_report.h"

#include "mail/date.h"
#include "mail/encode.h"

#include <jansson.h>

static json_t *json_text(struct view text)
{
	struct buf clean = { 0 };
	json_t *made = NULL;
	if (text_clean(view_sub(text, 0, TLS_REPORT_TEXT_MAX_BYTES), &clean) == ERR_OK)
		made = json_stringn_nocheck(clean.len > 0 ? (const char *)clean.ptr : "", clean.len);
	buf_clear(&clean);
	return made;
}

/* Members that could not be made fail the whole: `object` is then missing something, and *ok false. */
static void set(json_t *object, const char *key, json_t *value, bool *ok)
{
	if (json_object_set_new_nocheck(object, key, value) != 0)
		*ok = false;
}

static void set_text(json_t *object, const char *key, struct view text, bool *ok)
{
	if (text.len > 0)
		set(object, key, json_text(text), ok);
}

static void set_time(json_t *object, const char *key, int64_t unix_s, bool *ok)
{
	struct buf text = { 0 };
	if (unix_s > INT64_MAX / 1000 || unix_s < 0 || date_format_rfc3339(unix_s * 1000, &text) != ERR_OK)
		*ok = false;
	else
		set(object, key, json_string(buf_cstr(&text)), ok);
	buf_clear(&text);
}

static json_t *failure_json(const struct tls_report_failure *failure, bool *ok)
{
	json_t *made = json_object();
	set(made, "result-type", json_text(failure->result_type), ok);
	set_text(made, "sending-mta-ip", failure->sending_ip, ok);
	set_text(made, "receiving-mx-hostname", failure->receiving_host, ok);
	set_text(made, "receiving-mx-helo", failure->receiving_helo, ok);
	set_text(made, "receiving-ip", failure->receiving_ip, ok);
	set(made, "failed-session-count", json_integer((json_int_t)failure->sessions), ok);
	set_text(made, "additional-information", failure->additional, ok);
	set_text(made, "failure-reason-code", failure->reason, ok);
	return made;
}

static json_t *texts_json(const struct view *texts, size_t count, bool *ok)
{
	json_t *list = json_array();
	for (size_t i = 0; i < count; i++)
		if (json_array_append_new(list, json_text(texts[i])) != 0)
			*ok = false;
	return list;
}

static json_t *policy_json(const struct tls_report_policy *policy, bool *ok)
{
	json_t *made = json_object(), *what = json_object(), *summary = json_object(), *details = json_array();
	set(what, "policy-type", json_text(policy->type), ok);
	if (policy->line_count > 0)
		set(what, "policy-string", texts_json(policy->lines, policy->line_count, ok), ok);
	set(what, "policy-domain", json_text(policy->domain), ok);
	if (policy->mx_host_count > 0)
		set(what, "mx-host", texts_json(policy->mx_hosts, policy->mx_host_count, ok), ok);
	set(summary, "total-successful-session-count", json_integer((json_int_t)policy->successes), ok);
	set(summary, "total-failure-session-count", json_integer((json_int_t)policy->failures), ok);
	for (size_t i = 0; i < policy->failure_count; i++)
		if (json_array_append_new(details, failure_json(&policy->details[i], ok)) != 0)
			*ok = false;
	set(made, "policy", what, ok);
	set(made, "summary", summary, ok);
	if (policy->failure_count > 0)
		set(made, "failure-details", details, ok);
	else
		json_decref(details);
	return made;
}

static int append(const char *text, size_t len, void *out)
{
	return buf_append(out, view_of(text, len)) == ERR_OK ? 0 : -1;
}

enum err tls_report_write(const struct tls_report *report, struct buf *out)
{
	bool ok = true;
	size_t before = out->len;
	json_t *made = json_object(), *range = json_object(), *policies = json_array();
	set(made, "organization-name", json_text(report->organization), &ok);
	set_time(range, "start-datetime", report->begin_s, &ok);
	set_time(range, "end-datetime", report->end_s, &ok);
	set(made, "date-range", range, &ok);
	set(made, "contact-info", json_text(report->contact), &ok);
	set(made, "report-id", json_text(report->report_id), &ok);
	for (size_t i = 0; i < report->policy_count; i++)
		if (json_array_append_new(policies, policy_json(&report->policies[i], &ok)) != 0)
			ok = false;
	set(made, "policies", policies, &ok);
	if (ok && json_dump_callback(made, append, out, JSON_INDENT(1)) != 0)
		ok = false;
	json_decref(made);
	if (ok)
		return ERR_OK;
	out->len = before;
	return err_set(ERR_LIMIT, "the TLS report is too large");
}

/* Letters, digits, dots and hyphens. */
static enum err put_name(struct view text, struct buf *out)
{
	enum err err = ERR_OK;
	for (size_t i = 0; i < text.len && i < 255 && err == ERR_OK; i++) {
		uint8_t c = text.ptr[i];
		err = buf_append_byte(out, ascii_is_alnum(c) || c == '.' || c == '-' || c == '_' ? c : '-');
	}
	return err;
}

enum err tls_report_file_name(
	const struct tls_report *report, struct view sender, struct view policy_domain, struct view id, struct buf *out)
{
	enum err err = put_name(sender, out);
	if (err == ERR_OK)
		err = buf_append_byte(out, '!');
	if (err == ERR_OK)
		err = put_name(policy_domain, out);
	if (err == ERR_OK)
		err = buf_append_format(out, "!%lld!%lld", (long long)report->begin_s, (long long)report->end_s);
	if (err == ERR_OK && id.len > 0)
		err = buf_append_byte(out, '!');
	if (err == ERR_OK)
		err = put_name(id, out);
	return err == ERR_OK ? buf_append_cstr(out, ".json.gz") : err;
}
