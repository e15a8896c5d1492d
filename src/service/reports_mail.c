/* The messages that bring reports, and their way into the queue. */
#include "service/reports_private.h"
#include "service/reports_lookup.h"

#include "base/clock.h"
#include "base/mem.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "mail/received.h"
#include "mail/report_compose.h"
#include "queue/id.h"
#include "service/dispatcher.h"
#include "service/signing.h"

#include <string.h>

#define HEAD_MAX_BYTES (64u * 1024)
#define MAIL_MAX_BYTES (16u * 1024 * 1024)

void reports_set_period(struct reports_task *task)
{
	int64_t now_s = clock_wall_ms() / 1000;
	task->begin_s = task->day * REPORTS_DAY_S;
	task->end_s = task->begin_s + REPORTS_DAY_S - 1;
	if (task->end_s > now_s)
		task->end_s = now_s; /* the day is not over, and somebody wants to see what there is */
}

void reports_make_id(struct reports_task *task)
{
	struct buf text = { 0 };
	uint8_t hash[HASH_BYTES] = { 0 };
	if (buf_append_format(&text, "%s %d %.*s %lld %lld %llu", task->config->hostname, (int)task->kind,
		    VIEW_ARG(task->domain), (long long)task->day, (long long)task->end_s,
		    (unsigned long long)task->notes) == ERR_OK)
		hash_once(buf_view(&text), hash);
	for (size_t i = 0; i < sizeof task->id - 1; i++)
		task->id[i] = "0123456789abcdef"[hash[i / 2] >> (i % 2 == 0 ? 4 : 0) & 15];
	buf_clear(&text);
}

static enum err compose(struct reports_task *task, const struct reports_mail *mail, size_t count, const struct view *to,
	struct buf *out)
{
	const struct config *config = task->config;
	struct buf subject = { 0 }, text = { 0 }, id = { 0 };
	const struct report_compose_field fields[] = {
		{ "TLS-Report-Domain", task->domain }, /* RFC 8460 §5.3 */
		{ "TLS-Report-Submitter", view_from_cstr(config->hostname) },
	};
	enum err err = buf_append_format(&subject, "Report Domain: %.*s Submitter: %s Report-ID: <%s>",
		VIEW_ARG(task->domain), config->hostname, task->id);
	if (err == ERR_OK)
		err = buf_append_format(&id, "<%s@%s>", task->id, config->hostname);
	if (err == ERR_OK)
		err = buf_append_format(&text,
			"This is a %s of %s for %.*s.\n\nThe file that comes with it is meant for programs.\n"
			"If you don't want such reports, take the address out of the domain's record in DNS.\n",
			mail->what, config->hostname, VIEW_ARG(task->domain));
	struct report_compose report = {
		.from = view_from_cstr(config->reports.from),
		.to = to,
		.to_count = count,
		.subject = buf_view(&subject),
		.fields = fields,
		.field_count = task->kind == REPORTS_TLS ? 2 : 0,
		.text = buf_view(&text),
		.report_type = mail->report_type,
		.file_name = mail->file_name,
		.file_type = mail->file_type,
		.file = buf_view(&task->file),
		.message_id = buf_view(&id),
		.wall_ms = clock_wall_ms(),
	};
	random_bytes(report.random, sizeof report.random);
	if (err == ERR_OK)
		err = report_compose(&report, out);
	buf_clear(&subject);
	buf_clear(&text);
	buf_clear(&id);
	return err;
}

/* An unsigned one is better than none. */
static enum err put_in_front(struct reports_task *task, struct message *m)
{
	const struct queue_message *q = &m->envelope;
	struct server *server = task->reports->background->server;
	struct queue_id_text id = queue_id_format(q->id);
	struct received_trace trace = {
		.by = view_from_cstr(task->config->hostname),
		.is_esmtp = true,
		.id = view_from_cstr(id.text),
		.wall_ms = q->received_at_ms,
	};
	if (signing_sign_message(server, task->config, buf_view(&m->body), &m->head) != ERR_OK)
		LOG(LOG_LEVEL_ERROR, "signing-failed", LOG_TEXT("domain", task->domain),
			LOG_CSTR("reason", err_detail()));
	return received_format(&trace, &m->head);
}

static enum err fill(struct reports_task *task, const struct reports_mail *mail, size_t count, const struct view *to,
	struct message *m)
{
	struct queue_message *q = &m->envelope;
	buf_init(&m->body, MAIL_MAX_BYTES);
	buf_init(&m->head, HEAD_MAX_BYTES);
	enum err err = compose(task, mail, count, to, &m->body);
	q->id = server_next_message_id(task->reports->background->server);
	q->received_at_ms = clock_wall_ms();
	/* Failures of delivery go to the address that the report comes from, never back into a report. */
	q->reverse_path = view_from_cstr(task->config->reports.from);
	q->reverse_path = message_keep(m, q->reverse_path);
	q->body_type = SMTP_BODY_7BIT;
	q->source = VIEW("report");
	for (size_t i = 0; i < count && err == ERR_OK; i++) {
		struct queue_recipient recipient = {
			.address = to[i],
			.notify = SMTP_NOTIFY_NEVER,
			/* RFC 8460 §3: about broken TLS one has to be told even if TLS is broken. */
			.flags = QUEUE_NO_SRS | (task->kind == REPORTS_TLS ? QUEUE_TLS_OPTIONAL : 0),
		};
		q->smtputf8 |= !view_is_ascii(to[i]);
		err = message_add_recipient(m, &recipient);
	}
	return err == ERR_OK ? put_in_front(task, m) : err;
}

/* Those of the targets that take mail of this size. */
static size_t choose(const struct reports_task *task, struct view to[REPORTS_TARGETS_MAX])
{
	size_t count = 0;
	/* As base64, with its lines and the rest of the message. */
	uint64_t bytes = (uint64_t)task->file.len * 4 / 3 * 78 / 76 + 4096;
	for (size_t i = 0; i < task->targets->count; i++) {
		const struct reports_target *target = &task->targets->list[i];
		if (target->address[0] == '\0')
			continue;
		if (target->max_bytes == 0 || bytes <= target->max_bytes)
			to[count++] = view_from_cstr(target->address);
		else
			LOG(LOG_LEVEL_INFO, "report-too-large", LOG_TEXT("domain", task->domain),
				LOG_CSTR("to", target->address), LOG_NUM("bytes", bytes),
				LOG_NUM("limit", target->max_bytes));
	}
	return count;
}

enum err reports_mail_make(struct reports_task *task, const struct reports_mail *mail)
{
	struct view to[REPORTS_TARGETS_MAX];
	message_free(task->mail);
	task->mail = NULL;
	size_t count = task->targets != NULL ? choose(task, to) : 0;
	if (count == 0)
		return ERR_OK;
	struct message *m = message_new(&task->reports->background->server->body_memory);
	enum err err = fill(task, mail, count, to, m);
	if (err != ERR_OK) {
		LOG(LOG_LEVEL_ERROR, "report-failed", LOG_TEXT("domain", task->domain),
			LOG_CSTR("reason", err_name(err)));
		message_free(m);
		return err;
	}
	struct queue_message *q = &m->envelope;
	q->head = buf_view(&m->head);
	q->body = buf_view(&m->body);
	q->size_bytes = m->head.len + m->body.len;
	m->content_loaded = true;
	message_count_content(m);
	task->mail = m;
	return ERR_OK;
}

enum err reports_mail_put(struct reports_task *task, struct db *db)
{
	struct queue_message *q = &task->mail->envelope;
	int64_t due_at_ms = clock_wall_ms() + DISPATCHER_HANDOVER_MS;
	for (size_t i = 0; i < q->recipient_count; i++)
		q->recipients[i].due_at_ms = due_at_ms;
	return queue_store_put(db, q);
}

void reports_mail_sent(struct reports_task *task)
{
	struct server *server = task->reports->background->server;
	struct message *m = task->mail;
	const struct queue_message *q = &m->envelope;
	TRACE(server->store, LOG_LEVEL_INFO, q->id, "accepted", LOG_CSTR("listener", "report"),
		LOG_TEXT("from", q->reverse_path), LOG_TEXT("about", task->domain), LOG_CSTR("report", task->id),
		LOG_NUM("rows", task->rows), LOG_NUM("size", q->size_bytes), LOG_NUM("recipients", q->recipient_count));
	task->mail = NULL;
	dispatcher_take(server->dispatcher, m);
}
