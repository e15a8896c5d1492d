/*
 * Content in another form, for a server that does not take it as it is: 8-bit or binary content as 7-bit text (RFC 6152 §3, RFC 3030 §3), and lines over 998
 * bytes as quoted-printable or base64 (RFC 5321 §4.5.3.1.6). It is worked out on a worker thread, from a copy.
 *
 * Long lines alone are no reason to break a signature: a signed message goes as it is, as most servers take it. docs/decisions/0015.
 */
#include "service/remote_private.h"

#include "base/mem.h"
#include "mail/downgrade.h"
#include "mail/header.h"
#include "mail/scan.h"

#include <string.h>

struct remote_convert {
	struct worker_job work; /* first */
	struct remote *remote; /* NULL: gone */
	struct dispatcher *dispatcher;
	struct buf whole, converted;
	size_t budget_bytes; /* taken for both from the server's memory for bodies */
	enum err err;
	char detail[200];
};

static bool has_long_line(struct view text)
{
	while (text.len > MAIL_LINE_MAX_BYTES) {
		size_t len = view_find(text, '\n');
		if (len > MAIL_LINE_MAX_BYTES + 1) /* its CR */
			return true;
		text = view_from(text, len + 1);
	}
	return false;
}

static bool is_signed(const struct message *m)
{
	struct header_field field;
	struct view name = VIEW("DKIM-Signature"), body = buf_view(&m->body);
	struct view header = view_sub(body, 0, header_section_length(body));
	return header_find(buf_view(&m->head), name, &field) || header_find(header, name, &field);
}

bool remote_convert_long_lines(const struct message *message)
{
	/* A spooled one would have to be read for it. */
	if (message->spool[0] != '\0' || !has_long_line(buf_view(&message->body)))
		return false;
	return !is_signed(message);
}

static void free_job(struct remote_convert *job)
{
	memory_budget_give(&job->dispatcher->server->body_memory, job->budget_bytes);
	buf_clear(&job->whole);
	buf_clear(&job->converted);
	mem_free(job);
}

static void convert(struct worker_job *work)
{
	struct remote_convert *job = (struct remote_convert *)(void *)work;
	job->err = downgrade_to_7bit(buf_view(&job->whole), &job->converted);
	if (job->err != ERR_OK)
		snprintf(job->detail, sizeof job->detail, "%s", err_detail());
	buf_clear(&job->whole);
}

static void converted(struct worker_job *work)
{
	struct remote_convert *job = (struct remote_convert *)(void *)work;
	struct dispatcher *d = job->dispatcher;
	struct remote *remote = job->remote;
	if (remote != NULL) {
		remote->converting = NULL;
		remote->converted = job->converted;
		remote->converted_budget_bytes = job->budget_bytes;
		job->converted = (struct buf){ 0 };
		job->budget_bytes = 0;
		remote_converted(remote, job->err, job->detail);
	}
	free_job(job);
	dispatcher_job_ended(d);
}

enum err remote_convert_start(struct remote *remote)
{
	struct dispatcher *d = remote->dispatcher;
	const struct message *m = remote->delivery->message;
	size_t bytes = m->head.len + m->body.len;
	/* A part of it must never pass for the whole. */
	if (bytes != m->envelope.size_bytes)
		return err_set(ERR_UNSUPPORTED, "it has more than %u MiB", REMOTE_CONVERT_MAX_BYTES / 1024 / 1024);
	/* One copy to convert from, one to send; where they don't fit now, they may later. */
	if (!memory_budget_take(&d->server->body_memory, bytes * 2))
		return err_set(ERR_BUSY, "there is too little memory for it now");
	struct remote_convert *job = mem_alloc(sizeof *job);
	job->dispatcher = d;
	job->remote = remote;
	job->budget_bytes = bytes * 2;
	job->work.work = convert;
	job->work.done = converted;
	buf_init(&job->whole, REMOTE_CONVERT_MAX_BYTES);
	buf_init(&job->converted, REMOTE_CONVERT_MAX_BYTES);
	enum err err = buf_append(&job->whole, buf_view(&m->head));
	if (err == ERR_OK)
		err = buf_append(&job->whole, buf_view(&m->body));
	if (err == ERR_OK && worker_pool_run(d->server->workers, d->loop, &job->work) != ERR_OK)
		err = err_set(ERR_BUSY, "too much other work waits");
	if (err != ERR_OK) {
		free_job(job);
		return err;
	}
	remote->converting = job;
	dispatcher_job_started(d);
	return ERR_OK;
}

void remote_convert_cancel(struct remote *remote)
{
	if (remote->converting != NULL)
		remote->converting->remote = NULL; /* converted() frees it */
	remote->converting = NULL;
}
