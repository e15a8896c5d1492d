/* DMARC's aggregate reports (RFC 9990): who wants them, the rows of the store as XML, and the message in the same transaction that removes them. */
#include "service/reports_private.h"
#include "service/reports_lookup.h"

#include "base/mem.h"
#include "mailauth/dmarc_report.h"
#include "mailauth/pack.h"
#include "store/dmarc_store.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define XML_MAX_BYTES (48u * 1024 * 1024)
#define FILE_MAX_BYTES (8u * 1024 * 1024)
#define SIGNATURES_MAX 100u
#define TRIES_MAX 5u

static struct view text_of(const json_t *value)
{
	return view_of(json_string_value(value), json_string_length(value));
}

static struct view member(const json_t *object, const char *key)
{
	return text_of(json_object_get(object, key));
}

/* A row as reports_note.c wrote it. */
static enum err add_row(const json_t *json, uint64_t messages, struct buf *out)
{
	struct dmarc_report_auth dkim[SIGNATURES_MAX] = { 0 };
	const json_t *signatures = json_object_get(json, "signatures"), *spf_json = json_object_get(json, "spf_result"),
		     *reason_json = json_object_get(json, "reason");
	size_t count = 0;
	for (; count < SIGNATURES_MAX && count < json_array_size(signatures); count++) {
		const json_t *one = json_array_get(signatures, count);
		dkim[count] = (struct dmarc_report_auth){ .domain = text_of(json_array_get(one, 0)),
			.selector = text_of(json_array_get(one, 1)),
			.result = text_of(json_array_get(one, 2)) };
	}
	struct dmarc_report_auth spf = { .domain = text_of(json_array_get(spf_json, 0)),
		.scope = VIEW("mfrom"), /* the only one there is, RFC 9990 §3.1.1.11 */
		.result = text_of(json_array_get(spf_json, 1)) };
	struct dmarc_report_reason reason = { text_of(json_array_get(reason_json, 0)),
		text_of(json_array_get(reason_json, 1)) };
	struct dmarc_report_row row = {
		.source_ip = member(json, "ip"),
		.messages = messages,
		.disposition = member(json, "disposition"),
		.dkim_aligned = json_is_true(json_object_get(json, "dkim")),
		.spf_aligned = json_is_true(json_object_get(json, "spf")),
		.reason_count = reason.type.len > 0 ? 1 : 0,
		.reasons = &reason,
		.header_from = member(json, "from"),
		.envelope_from = spf.domain,
		.dkim_count = count,
		.dkim = dkim,
		.spf_count = 1,
		.spf = &spf,
	};
	return dmarc_report_add(&row, out);
}

struct writer {
	struct reports_task *task;
	struct buf
		xml; /* the rows; what stands above them tells how many messages found no room, and is put there at last */
	uint64_t omitted; /* messages */
};

static bool write_row(void *owner, struct view details, uint64_t messages)
{
	struct writer *w = owner;
	json_t *json = json_loadb((const char *)details.ptr, details.len, 0, NULL);
	size_t before = w->xml.len;
	/* Room for the end is kept. */
	enum err err = json == NULL || w->xml.len > XML_MAX_BYTES - 65536 ? ERR_LIMIT
									  : add_row(json, messages, &w->xml);
	json_decref(json);
	if (err != ERR_OK) {
		w->xml.len = before;
		w->omitted += messages;
		return true;
	}
	w->task->rows++;
	w->task->messages += messages;
	return true;
}

static enum err write_head(
	const struct reports_task *task, const struct dmarc_record *record, struct view error, struct buf *out)
{
	const struct config *config = task->config;
	char fo[8] = "";
	for (unsigned i = 0; i < 4; i++)
		if ((record->failure_reports >> i & 1) != 0)
			snprintf(fo + strlen(fo), sizeof fo - strlen(fo), "%s%c", fo[0] != '\0' ? ":" : "", "01ds"[i]);
	struct dmarc_report report = {
		.organization = view_from_cstr(config->reports.organization),
		.email = view_from_cstr(config->reports.from),
		.report_id = view_from_cstr(task->id),
		.generator = VIEW("Postrider " POSTRIDER_VERSION),
		.error = error,
		.begin_s = task->begin_s,
		.end_s = task->end_s,
		.policy = {
			.domain = task->domain,
			.discovery_method = VIEW("treewalk"),
			.p = dmarc_policy_name(record->policy),
			.sp = dmarc_policy_name(record->subdomain_policy),
			.np = dmarc_policy_name(record->nonexistent_policy),
			.fo = view_from_cstr(fo),
			.adkim = record->dkim_is_strict ? VIEW("s") : VIEW("r"),
			.aspf = record->spf_is_strict ? VIEW("s") : VIEW("r"),
			.testing = record->is_testing ? VIEW("y") : VIEW("n"),
		},
	};
	return dmarc_report_begin(&report, out);
}

static enum err put_head_in_front(struct writer *w, const struct dmarc_record *record)
{
	struct buf error = { 0 }, head = { 0 };
	uint64_t missing = w->task->unlisted + w->omitted;
	enum err err = missing == 0 ? ERR_OK
				    : buf_append_format(&error, "%llu messages of further kinds are not listed",
					      (unsigned long long)missing);
	if (err == ERR_OK)
		err = write_head(w->task, record, buf_view(&error), &head);
	if (err == ERR_OK)
		err = buf_reserve(&w->xml, head.len);
	if (err == ERR_OK) {
		if (w->xml.len > 0)
			memmove(w->xml.ptr + head.len, w->xml.ptr, w->xml.len);
		memcpy(w->xml.ptr, head.ptr, head.len);
		w->xml.len += head.len;
	}
	buf_clear(&error);
	buf_clear(&head);
	return err;
}

enum err reports_dmarc_build(struct reports_task *task, struct db *db)
{
	struct writer w = { .task = task };
	struct dmarc_record record;
	reports_set_period(task);
	task->rows = task->messages = 0;
	/* It may be the second time. */
	buf_clear(&task->file);
	buf_init(&task->file, FILE_MAX_BYTES);
	buf_init(&w.xml, XML_MAX_BYTES);
	enum err err = dmarc_record_parse(task->policy, &record) ? ERR_OK
								 : err_set(ERR_SYNTAX, "the policy is damaged");
	/* First: what is noted from here on makes the removal fail, and the report is made again. */
	if (err == ERR_OK)
		err = dmarc_store_find(db, task->day, task->domain, &task->unlisted, &task->notes);
	reports_make_id(task);
	if (err == ERR_OK)
		err = dmarc_store_rows(db, task->day, task->domain, write_row, &w);
	if (err == ERR_OK)
		err = put_head_in_front(&w, &record);
	if (err == ERR_OK)
		err = dmarc_report_end(&w.xml);
	if (err == ERR_OK)
		err = pack_gzip(buf_view(&w.xml), &task->file);
	buf_clear(&w.xml);
	return err;
}

static enum err build(struct store_job *job, struct db *db)
{
	return reports_dmarc_build((struct reports_task *)(void *)job, db);
}

/* The message comes, and what it tells goes, in one transaction: it is sent once, whatever happens between. */
static enum err commit(struct store_job *job, struct db *db)
{
	struct reports_task *task = (struct reports_task *)(void *)job;
	enum err err = dmarc_store_remove(db, task->day, task->domain, task->notes);
	if (err == ERR_OK && task->mail != NULL)
		err = reports_mail_put(task, db);
	return err;
}

static void built(struct store_job *job);

static void committed(struct store_job *job)
{
	struct reports_task *task = reports_task_of(job);
	if (task == NULL)
		return;
	if (job->err == ERR_OK) {
		bool is_sent = task->mail != NULL;
		if (is_sent)
			reports_mail_sent(task);
		reports_task_end(task, is_sent ? REPORTS_SENT : REPORTS_UNWANTED);
	} else if (job->err == ERR_STATE && ++task->tries < TRIES_MAX) {
		/* More was noted between the reading and the removing. */
		reports_task_job(task, false, build, built);
	} else {
		LOG(LOG_LEVEL_WARNING, "report-failed", LOG_TEXT("domain", task->domain),
			LOG_CSTR("reason", job->detail));
		reports_task_end(task, REPORTS_LEFT);
	}
}

static enum err make_mail(struct reports_task *task)
{
	struct buf name = { 0 };
	struct dmarc_report report = { .begin_s = task->begin_s, .end_s = task->end_s };
	report.policy.domain = task->domain;
	enum err err = dmarc_report_file_name(
		&report, view_from_cstr(task->config->hostname), view_from_cstr(task->id), &name);
	if (err == ERR_OK && task->rows > 0) {
		struct reports_mail mail = { .file_name = buf_view(&name),
			.file_type = VIEW("application/gzip"),
			.what = "DMARC aggregate report" };
		err = reports_mail_make(task, &mail);
	}
	buf_clear(&name);
	return err;
}

static void built(struct store_job *job)
{
	struct reports_task *task = reports_task_of(job);
	if (task == NULL)
		return;
	if (job->err != ERR_OK) {
		LOG(LOG_LEVEL_ERROR, "report-failed", LOG_TEXT("domain", task->domain),
			LOG_CSTR("reason", job->detail));
		reports_task_end(task, REPORTS_LEFT);
		return;
	}
	/* What nobody was told of stays for the next round. */
	if (make_mail(task) != ERR_OK && !reports_task_is_last_try(task))
		reports_task_end(task, REPORTS_LEFT);
	else
		reports_task_job(task, true, commit, committed);
}

static void targets_found(void *owner, const struct reports_targets *targets)
{
	struct reports_task *task = owner;
	task->lookup = NULL;
	if (targets->is_unsettled && !reports_task_is_last_try(task)) {
		LOG(LOG_LEVEL_INFO, "report-later", LOG_TEXT("domain", task->domain),
			LOG_CSTR("reason", "the DNS does not say yet who may get it"));
		reports_task_end(task, REPORTS_LEFT);
		return;
	}
	task->targets = mem_alloc(sizeof *task->targets);
	*task->targets = *targets;
	if (targets->count > 0)
		reports_task_job(task, false, build, built);
	else
		reports_task_job(task, true, commit, committed);
}

void reports_dmarc_begin(struct reports_task *task)
{
	struct background *background = task->reports->background;
	struct resolver *resolver = background_resolver(background);
	struct dmarc_record record;
	if (!task->config->reports.dmarc || !dmarc_record_parse(task->policy, &record)) {
		reports_task_job(task, true, commit, committed);
	} else if (resolver == NULL) {
		LOG(LOG_LEVEL_ERROR, "report-failed", LOG_TEXT("domain", task->domain),
			LOG_CSTR("reason", err_detail()));
		reports_task_end(task, REPORTS_LEFT);
	} else {
		task->lookup = reports_lookup_dmarc(
			background->loop, resolver, task->domain, record.rua, targets_found, task);
	}
}
