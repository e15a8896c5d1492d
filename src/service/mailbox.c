/* LIFE 9/10: delivery to a mailbox here: the content is made available, a worker writes it, the outcome is settled. */
#include "service/dispatcher_private.h"

#include "base/mem.h"
#include "mail/received.h"
#include "queue/id.h"
#include "service/bounce_intake.h"
#include "service/maildir.h"
#include "service/report_intake.h"
#include "store/spool.h"

#include <unistd.h>

struct mailbox_job {
	struct worker_job work; /* first */
	struct delivery *delivery;
	struct config *config; /* of its own: a reload may replace the dispatcher's meanwhile */
	struct buf front;
	struct buf path;
	struct queue_id_text id;
	struct bounce_intake *bounce; /* it came back to a signed address; NULL: it did not */
	enum err err;
	char detail[300];
};

static bool is_quarantined(const struct delivery *delivery)
{
	return (delivery->recipients[0].recipient->flags & QUEUE_QUARANTINE) != 0;
}

static void write_mail(struct worker_job *work)
{
	struct mailbox_job *job = (struct mailbox_job *)(void *)work;
	const struct delivery *delivery = job->delivery;
	const struct message *m = delivery->message;
	struct maildir_message out = {
		.folder = buf_cstr(&job->path),
		.hostname = job->config->hostname,
		.id = job->id.text,
		.index = delivery->recipients[0].recipient->index,
		.received_at_ms = queue_recipient_since_ms(
			m->envelope.received_at_ms, delivery->recipients[0].recipient),
		.keep_line_ends = m->envelope.body_type == SMTP_BODY_BINARYMIME,
		.front = buf_view(&job->front),
		.body_fd = -1,
	};
	if (is_quarantined(delivery))
		out.subfolder = job->config->authentication.quarantine_folder;
	uint64_t size = 0;
	/* What a report may have read of a spooled body belongs to the other thread. */
	if (m->spool[0] == '\0')
		out.body = buf_view(&m->body);
	else
		job->err = spool_open(store_folder(delivery->dispatcher->server->store), m->spool, &out.body_fd, &size);
	if (job->err == ERR_OK)
		job->err = maildir_deliver(&out);
	if (job->err == ERR_OK && job->bounce != NULL)
		bounce_intake_read(job->bounce, buf_view(&job->front), out.body, out.body_fd);
	/* What others forge in our partners' names would be counted as theirs. */
	if (job->err == ERR_OK && !is_quarantined(delivery))
		report_intake_delivered(delivery->dispatcher->server, job->config, delivery->recipients[0].mailbox,
			delivery->recipients[0].recipient, m);
	if (out.body_fd >= 0)
		close(out.body_fd);
	if (job->err != ERR_OK)
		snprintf(job->detail, sizeof job->detail, "%s", err_detail());
}

static void finish(struct delivery *delivery, enum err err, const char *detail)
{
	struct dispatcher *d = delivery->dispatcher;
	struct destination *destination = delivery->destination;
	if (err == ERR_OK) {
		delivery_set_all(delivery, OUTCOME_DELIVERED,
			is_quarantined(delivery) ? VIEW("250 2.0.0 Delivered to the mailbox's folder for junk")
						 : VIEW("250 2.0.0 Delivered to the mailbox"),
			VIEW_NONE);
	} else {
		struct buf reply = { 0 };
		/* Whatever keeps a mailbox from being written is the operator's to mend: never a bounce before its time. */
		if (buf_append_format(&reply, "%s %s", err == ERR_NO_SPACE ? "452 4.3.1" : "451 4.3.0", detail) ==
			ERR_OK)
			delivery_set_all(delivery, OUTCOME_DEFERRED, buf_view(&reply), VIEW_NONE);
		buf_clear(&reply);
	}
	destination_closed(d->destinations, destination);
	destination_succeeded(
		d->destinations, destination, loop_now_ms(d->loop)); /* the disk may take one more at once */
	dispatcher_settle(delivery);
	dispatcher_pump_soon(d);
	dispatcher_job_ended(d);
}

static void job_free(struct mailbox_job *job)
{
	bounce_intake_finish(job->bounce, false);
	config_unref(job->config);
	buf_clear(&job->front);
	buf_clear(&job->path);
	mem_free(job);
}

static void mail_written(struct worker_job *work)
{
	struct mailbox_job *job = (struct mailbox_job *)(void *)work;
	bounce_intake_finish(job->bounce, job->err == ERR_OK);
	job->bounce = NULL;
	finish(job->delivery, job->err, job->detail);
	job_free(job);
}

static void content_ready(void *owner, enum err err, const char *detail)
{
	struct delivery *delivery = owner;
	struct dispatcher *d = delivery->dispatcher;
	if (err != ERR_OK) {
		finish(delivery, err, detail);
		return;
	}
	const struct queue_message *q = &delivery->message->envelope;
	struct mailbox_job *job = mem_alloc(sizeof *job);
	job->delivery = delivery;
	job->config = config_ref(d->config);
	job->id = queue_id_format(q->id);
	job->bounce = bounce_intake_new(delivery);
	job->work.work = write_mail;
	job->work.done = mail_written;
	/* Final delivery: the reverse-path goes into the message (RFC 5321 §4.4). */
	err = return_path_format(q->reverse_path, &job->front);
	if (err == ERR_OK)
		err = buf_append(&job->front, buf_view(&delivery->message->head));
	if (err == ERR_OK)
		err = maildir_path(d->config->mail_folder, delivery->recipients[0].mailbox, &job->path);
	if (err == ERR_OK)
		err = worker_pool_run(d->server->workers, d->loop, &job->work);
	if (err != ERR_OK) {
		finish(delivery, err, err_detail());
		job_free(job);
	}
}

void mailbox_deliver(struct delivery *delivery)
{
	TRACE(delivery->dispatcher->server->store, LOG_LEVEL_DEBUG, delivery->message->envelope.id, "routed",
		LOG_TEXT("to", delivery->recipients[0].recipient->address), LOG_CSTR("via", "mailbox"),
		LOG_TEXT("mailbox", delivery->recipients[0].mailbox));
	dispatcher_job_started(delivery->dispatcher);
	(void)content_load(delivery->dispatcher, delivery->message, 0, content_ready, delivery);
}
