/* What others report about our domains, and the reports that we owe others. */
#include "service/admin_private.h"

#include "mail/date.h"
#include "store/dmarc_store.h"
#include "store/report_store.h"
#include "store/tls_result_store.h"

#include <stdio.h>

#define DAY_MS 86400000
#define DAYS_DEFAULT 30
#define DAYS_MAX 400
#define SOURCES_MAX 500u
#define REPORTERS_MAX 200u
#define FAILURES_MAX 200u
#define WAITING_MAX 1000u

static void set_count(json_t *object, const char *key, uint64_t count)
{
	admin_set(object, key, json_integer((json_int_t)count));
}

/* The domain, and the time since which reports count, by the arguments. */
static enum err begin(struct admin_call *call, struct buf *domain, int64_t *ret_since_ms)
{
	json_int_t days = json_integer_value(json_object_get(call->arguments, "days"));
	if (days == 0)
		days = DAYS_DEFAULT;
	if (days > DAYS_MAX)
		return err_set(ERR_SYNTAX, "reports are kept for %d days", DAYS_MAX);
	enum err err = admin_normalise_domain(admin_text(call, "domain"), domain);
	if (err != ERR_OK)
		return err;
	*ret_since_ms = call->context->now_ms - days * DAY_MS;
	admin_set(call->result, "domain", admin_json_text(buf_view(domain)));
	admin_set(call->result, "days", json_integer(days));
	return ERR_OK;
}

static void add_source(void *owner, const struct report_source *source)
{
	json_t *made = json_object();
	admin_set(made, "ip", admin_json_text(source->source_ip));
	set_count(made, "messages", source->messages);
	set_count(made, "aligned", source->aligned);
	set_count(made, "dkim_aligned", source->dkim_aligned);
	set_count(made, "spf_aligned", source->spf_aligned);
	set_count(made, "quarantined", source->quarantined);
	set_count(made, "rejected", source->rejected);
	admin_set(made, "header_from", admin_json_text(source->header_from));
	admin_set(made, "envelope_from", admin_json_text(source->envelope_from));
	admin_set(made, "dkim_domain", admin_json_text(source->dkim_domain));
	admin_append(owner, made);
}

static void add_reporter(void *owner, const struct report_reporter *reporter)
{
	json_t *made = json_object();
	admin_set(made, "organization", admin_json_text(reporter->organization));
	set_count(made, "reports", reporter->reports);
	set_count(made, "messages", reporter->messages);
	admin_set(made, "policy", admin_json_text(reporter->policy));
	admin_set(made, "last_s", json_integer(reporter->last_s));
	admin_append(owner, made);
}

static enum err dmarc_report(struct admin_call *call)
{
	struct buf domain = { 0 };
	int64_t since_ms = 0;
	uint64_t messages = 0, aligned = 0, source_count = 0;
	json_t *sources = json_array(), *reporters = json_array();
	admin_set(call->result, "sources", sources);
	admin_set(call->result, "reporters", reporters);
	enum err err = begin(call, &domain, &since_ms);
	if (err == ERR_OK)
		err = report_store_totals(
			call->db, buf_view(&domain), since_ms / 1000, &messages, &aligned, &source_count);
	if (err == ERR_OK)
		err = report_store_sources(
			call->db, buf_view(&domain), since_ms / 1000, SOURCES_MAX, add_source, sources);
	if (err == ERR_OK)
		err = report_store_reporters(
			call->db, buf_view(&domain), since_ms / 1000, REPORTERS_MAX, add_reporter, reporters);
	set_count(call->result, "messages", messages);
	set_count(call->result, "aligned", aligned);
	set_count(call->result, "source_count", source_count);
	buf_clear(&domain);
	return err;
}

static void add_failure(void *owner, const struct report_failure *failure)
{
	json_t *made = json_object();
	admin_set(made, "reporter", admin_json_text(failure->reporter));
	admin_set(made, "received_ms", json_integer(failure->received_ms));
	if (failure->arrival_ms != 0)
		admin_set(made, "arrival_ms", json_integer(failure->arrival_ms));
	admin_set(made, "ip", admin_json_text(failure->source_ip));
	admin_set(made, "mail_from", admin_json_text(failure->mail_from));
	admin_set(made, "header_from", admin_json_text(failure->header_from));
	admin_set(made, "failure", admin_json_text(failure->failure));
	admin_set(made, "delivery_result", admin_json_text(failure->delivery_result));
	admin_set(made, "message_id", admin_json_text(failure->message_id));
	set_count(made, "incidents", failure->incidents);
	admin_append(owner, made);
}

static enum err dmarc_failures(struct admin_call *call)
{
	struct buf domain = { 0 };
	int64_t since_ms = 0;
	json_t *failures = json_array();
	admin_set(call->result, "failures", failures);
	enum err err = begin(call, &domain, &since_ms);
	if (err == ERR_OK)
		err = report_store_failures(call->db, buf_view(&domain), since_ms, FAILURES_MAX, add_failure, failures);
	buf_clear(&domain);
	return err;
}

static void add_tls(void *owner, const struct report_tls *sum)
{
	json_t *made = json_object();
	admin_set(made, "organization", admin_json_text(sum->organization));
	admin_set(made, "policy_type", admin_json_text(sum->policy_type));
	set_count(made, "successes", sum->successes);
	set_count(made, "failures", sum->failures);
	admin_set(made, "last_s", json_integer(sum->end_s));
	admin_append(owner, made);
}

static void add_tls_failure(void *owner, const struct report_tls_row *row)
{
	json_t *made = json_object();
	admin_set(made, "result", admin_json_text(row->result));
	admin_set(made, "host", admin_json_text(row->host));
	admin_set(made, "receiving_ip", admin_json_text(row->receiving_ip));
	admin_set(made, "sending_ip", admin_json_text(row->sending_ip));
	admin_set(made, "reason", admin_json_text(row->reason));
	set_count(made, "sessions", row->sessions);
	admin_append(owner, made);
}

static enum err reports_tls(struct admin_call *call)
{
	struct buf domain = { 0 };
	int64_t since_ms = 0;
	json_t *reporters = json_array(), *failures = json_array();
	admin_set(call->result, "reporters", reporters);
	admin_set(call->result, "failures", failures);
	enum err err = begin(call, &domain, &since_ms);
	if (err == ERR_OK)
		err = report_store_tls(call->db, buf_view(&domain), since_ms / 1000, REPORTERS_MAX, add_tls, reporters);
	if (err == ERR_OK)
		err = report_store_tls_failures(
			call->db, buf_view(&domain), since_ms / 1000, FAILURES_MAX, add_tls_failure, failures);
	buf_clear(&domain);
	return err;
}

/* Ours to others */

/* "2026-11-23" */
static json_t *json_day(int64_t day)
{
	struct buf text = { 0 };
	json_t *made = date_format_rfc3339(day * DAY_MS, &text) == ERR_OK
		? json_stringn((const char *)text.ptr, text.len < 10 ? text.len : 10)
		: json_string("");
	buf_clear(&text);
	return made;
}

static void add_waiting(json_t *list, const char *kind, int64_t day, struct view domain)
{
	json_t *made = json_object();
	admin_set(made, "kind", json_string(kind));
	admin_set(made, "day", json_day(day));
	admin_set(made, "domain", admin_json_text(domain));
	admin_append(list, made);
}

static void add_waiting_dmarc(void *owner, const struct dmarc_store_domain *found)
{
	add_waiting(owner, "dmarc", found->day, found->domain);
}

static void add_waiting_tls(void *owner, int32_t day, struct view domain)
{
	add_waiting(owner, "tls", day, domain);
}

static enum err reports_list(struct admin_call *call)
{
	json_t *list = json_array();
	admin_set(call->result, "waiting", list);
	struct dmarc_store_domain first = { 0 };
	int64_t today = call->context->now_ms / DAY_MS;
	enum err err = dmarc_store_domains(call->db, &first, today, WAITING_MAX, add_waiting_dmarc, list);
	if (err == ERR_OK)
		err = tls_result_store_domains(
			call->db, (int32_t)today + 1, 0, VIEW_NONE, WAITING_MAX, add_waiting_tls, list);
	return err;
}

static enum err reports_send(struct admin_call *call)
{
	struct view given = admin_text(call, "day");
	int64_t today = call->context->now_ms / DAY_MS, at_ms = (today - 1) * DAY_MS;
	struct buf text = { 0 };
	enum err err = ERR_OK;
	if (!call->context->is_running)
		return err_set(ERR_STATE, "reports are made by the server, which does not run: postrider serve");
	if (given.len > 0) {
		err = buf_append_format(&text, "%.*sT00:00:00Z", VIEW_ARG(given));
		if (err == ERR_OK)
			err = date_parse_rfc3339(buf_view(&text), &at_ms);
		buf_clear(&text);
		if (err != ERR_OK)
			return err_set(ERR_SYNTAX, "a day looks like 2026-11-23");
		if (at_ms / DAY_MS > today)
			return err_set(ERR_SYNTAX, "that day has not begun yet (days begin at midnight UTC)");
	}
	call->effects->reports_wanted = true;
	call->effects->reports_day = at_ms / DAY_MS;
	admin_set(call->result, "day", json_day(at_ms / DAY_MS));
	return ERR_OK;
}

const struct admin_command admin_report_commands[] = {
	{ "dmarc.report", ADMIN_SCANS, dmarc_report,
		{ { "domain", ADMIN_TEXT, true }, { "days", ADMIN_COUNT, false } } },
	{ "dmarc.failures", ADMIN_SCANS, dmarc_failures,
		{ { "domain", ADMIN_TEXT, true }, { "days", ADMIN_COUNT, false } } },
	{ "reports.tls", ADMIN_SCANS, reports_tls, { { "domain", ADMIN_TEXT, true }, { "days", ADMIN_COUNT, false } } },
	{ "reports.list", ADMIN_SCANS, reports_list, { { 0 } } },
	{ "reports.send", ADMIN_READS, reports_send, { { "day", ADMIN_TEXT, false } } },
};
const size_t admin_report_command_count = sizeof admin_report_commands / sizeof admin_report_commands[0];
