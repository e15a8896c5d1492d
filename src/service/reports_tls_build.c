/* What a TLS report tells: rows of the store, read on a store thread, as policies with their failures, as JSON. */
#include "service/reports_private.h"

#include "base/clock.h"
#include "base/mem.h"
#include "mailauth/pack.h"
#include "mailauth/tls_report.h"
#include "store/tls_result_store.h"

#include <string.h>

#define ROWS_MAX 20000u /* of one domain and day at once */
#define ROWS_MAX_BYTES (32u * 1024 * 1024) /* their texts */
#define JSON_MAX_BYTES (32u * 1024 * 1024)
#define FILE_MAX_BYTES (8u * 1024 * 1024)

struct reports_tls_rows {
	struct arena texts;
	bool is_full; /* what is not read yet is for another report */
	size_t count, room;
	struct tls_result *list;
};

void reports_tls_rows_free(struct reports_tls_rows *rows)
{
	if (rows == NULL)
		return;
	arena_clear(&rows->texts);
	mem_free(rows->list);
	mem_free(rows);
}

enum err reports_tls_rows_remove(struct reports_task *task, struct db *db)
{
	const struct reports_tls_rows *rows = task->tls_rows;
	return rows != NULL ? tls_result_store_take(db, rows->count, rows->list)
			    : tls_result_store_remove(db, (int32_t)task->day, task->domain);
}

/* Texts that follow each other are often the same. */
static bool keep_text(struct reports_tls_rows *rows, struct view *text, struct view last)
{
	if (view_eq(*text, last)) {
		*text = last;
		return true;
	}
	return arena_dup(&rows->texts, *text, text) == ERR_OK;
}

static void keep_row(void *owner, const struct tls_result *result)
{
	struct reports_task *task = owner;
	struct reports_tls_rows *rows = task->tls_rows;
	static const struct tls_result none;
	const struct tls_result *last = rows->count > 0 ? &rows->list[rows->count - 1] : &none;
	struct tls_result row = *result;
	row.domain = task->domain;
	if (rows->is_full || !keep_text(rows, &row.policy_type, last->policy_type) ||
		!keep_text(rows, &row.policy, last->policy) || !keep_text(rows, &row.host, last->host) ||
		!keep_text(rows, &row.result, last->result) || !keep_text(rows, &row.reason, last->reason) ||
		!keep_text(rows, &row.sending_ip, last->sending_ip) ||
		!keep_text(rows, &row.receiving_ip, last->receiving_ip)) {
		rows->is_full = true;
		return;
	}
	if (rows->count == rows->room) {
		rows->room = rows->room * 2 + 16;
		rows->list = mem_resize(rows->list, rows->room * sizeof *rows->list);
	}
	rows->list[rows->count++] = row;
}

/* Rows of one policy follow each other. */
struct policies {
	size_t count;
	struct tls_report_policy *list;
	struct tls_report_failure *failures; /* of all */
	struct view *lines; /* the lines of all, and those with "mx:" told again without it (§4.4) */
};

static size_t line_room(struct view text)
{
	size_t lines = 1;
	for (size_t i = 0; i < text.len && lines < TLS_REPORT_LINES_MAX; i++)
		lines += text.ptr[i] == '\n';
	return lines;
}

static void set_lines(struct tls_report_policy *policy, struct view text, struct view **lines)
{
	size_t room = line_room(text);
	struct view *all = *lines, *hosts = all + room, line;
	bool is_sts = view_eq(policy->type, VIEW("sts"));
	policy->lines = all;
	policy->mx_hosts = hosts;
	while (policy->line_count < room && view_split(&text, '\n', &line)) {
		line = view_trim(line);
		if (line.len == 0)
			continue;
		all[policy->line_count++] = line;
		if (is_sts && view_starts_with_nocase(line, VIEW("mx:")))
			hosts[policy->mx_host_count++] = view_trim(view_from(line, 3));
	}
	*lines = hosts + room;
}

static bool begins_policy(const struct reports_tls_rows *rows, size_t index)
{
	const struct tls_result *row = &rows->list[index];
	return index == 0 || !view_eq(row[-1].policy_type, row->policy_type) || !view_eq(row[-1].policy, row->policy);
}

static void make_policies(const struct reports_tls_rows *rows, struct policies *ret)
{
	size_t count = 0, line_count = 0;
	for (size_t i = 0; i < rows->count; i++) {
		if (!begins_policy(rows, i))
			continue;
		count++;
		line_count += 2 * line_room(rows->list[i].policy);
	}
	struct policies made = {
		.list = mem_alloc_array(count + 1, sizeof *made.list),
		.failures = mem_alloc_array(rows->count + 1, sizeof *made.failures),
		.lines = mem_alloc_array(line_count + 1, sizeof *made.lines),
	};
	struct tls_report_failure *failure = made.failures;
	struct view *lines = made.lines;
	struct tls_report_policy *policy = NULL;
	for (size_t i = 0; i < rows->count; i++) {
		const struct tls_result *row = &rows->list[i];
		if (begins_policy(rows, i)) {
			policy = &made.list[made.count++];
			*policy = (struct tls_report_policy){
				.type = row->policy_type, .domain = row->domain, .details = failure
			};
			set_lines(policy, row->policy, &lines);
		}
		if (row->result.len == 0) {
			policy->successes += row->sessions;
			continue;
		}
		policy->failures += row->sessions;
		policy->failure_count++;
		*failure++ = (struct tls_report_failure){
			.result_type = row->result,
			.sending_ip = row->sending_ip,
			.receiving_ip = row->receiving_ip,
			.receiving_host = row->host,
			.reason = row->reason,
			.sessions = row->sessions,
		};
	}
	*ret = made;
}

/* What the report is about, as a number: another one of the same day is another report. */
static uint64_t content_hash(const struct reports_tls_rows *rows)
{
	uint64_t sum = rows->count;
	for (size_t i = 0; i < rows->count; i++) {
		const struct tls_result *row = &rows->list[i];
		const struct view texts[] = { row->policy, row->host, row->result, row->reason, row->receiving_ip };
		for (size_t j = 0; j < sizeof texts / sizeof texts[0]; j++)
			sum = sum * 31 + view_hash(texts[j]);
		sum = sum * 31 + row->sessions;
	}
	return sum;
}

static enum err write_report(struct reports_task *task, const struct policies *policies)
{
	struct buf json;
	buf_init(&json, JSON_MAX_BYTES);
	struct tls_report report = {
		.organization = view_from_cstr(task->config->reports.organization),
		.contact = view_from_cstr(task->config->reports.from),
		.report_id = view_from_cstr(task->id),
		.begin_s = task->begin_s,
		.end_s = task->end_s,
		.policy_count = policies->count,
		.policies = policies->list,
	};
	enum err err = tls_report_write(&report, &json);
	if (err == ERR_OK)
		err = pack_gzip(buf_view(&json), &task->file);
	buf_clear(&json);
	return err;
}

enum err reports_tls_build(struct reports_task *task, struct db *db)
{
	reports_tls_rows_free(task->tls_rows);
	struct reports_tls_rows *rows = mem_alloc(sizeof *rows);
	task->tls_rows = rows;
	arena_init(&rows->texts, ROWS_MAX_BYTES);
	reports_set_period(task);
	buf_clear(&task->file);
	buf_init(&task->file, FILE_MAX_BYTES);
	enum err err = tls_result_store_list(db, (int32_t)task->day, task->domain, ROWS_MAX, keep_row, task);
	if (err != ERR_OK)
		return err;
	struct policies policies;
	make_policies(rows, &policies);
	task->rows = policies.count;
	task->messages = 0;
	for (size_t i = 0; i < policies.count; i++)
		task->messages += policies.list[i].successes + policies.list[i].failures;
	task->notes = content_hash(rows);
	reports_make_id(task);
	err = write_report(task, &policies);
	mem_free(policies.list);
	mem_free(policies.failures);
	mem_free(policies.lines);
	return err;
}
