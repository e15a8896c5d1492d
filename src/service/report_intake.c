#include "service/report_intake.h"

#include "base/clock.h"
#include "base/mem.h"
#include "mailauth/report_file.h"
#include "service/background.h"
#include "service/report_intake_private.h"
#include "store/spool.h"

#include <unistd.h>

#define MESSAGE_MAX_BYTES (24u * 1024 * 1024)
#define WAITING_MAX_BYTES (64u * 1024 * 1024)

bool report_intake_is_mailbox(const struct config *config, struct view mailbox, const struct queue_recipient *recipient)
{
	if (config->reports.mailbox == NULL)
		return false;
	struct view wanted = view_from_cstr(config->reports.mailbox);
	/* It may be an alias. */
	return view_eq_nocase(mailbox, wanted) || view_eq_nocase(recipient->address, wanted) ||
		view_eq_nocase(recipient->original, wanted);
}

static enum err read_spool(struct server *server, const char *name, struct buf *out)
{
	int fd;
	uint64_t size;
	enum err err = spool_open(store_folder(server->store), name, &fd, &size);
	if (err != ERR_OK)
		return err;
	while (err == ERR_OK && out->len < size) {
		size_t more = size - out->len < 65536 ? (size_t)(size - out->len) : 65536;
		err = buf_reserve(out, more);
		if (err != ERR_OK)
			break;
		ssize_t n = read(fd, out->ptr + out->len, more);
		if (n <= 0)
			err = err_set(ERR_IO, "the spool file is shorter than it was");
		else
			out->len += (size_t)n;
	}
	close(fd);
	return err;
}

/* One message on its way to the background thread, then to the store. */
struct job {
	struct store_job job; /* first */
	struct loop_task task;
	struct server *server;
	struct report_intake *read;
	struct buf message;
	unsigned is_new;
};

static bool is_ours(void *owner, struct view domain)
{
	struct server *server = owner;
	/* Ours, or below one of ours. */
	while (domain.len > 0) {
		if (domains_contain(server->domains, domain))
			return true;
		domain = view_from(domain, view_find(domain, '.') + 1);
	}
	return false;
}

static void job_free(struct job *job)
{
	atomic_fetch_sub(&job->server->background->report_bytes, job->message.len);
	report_intake_free(job->read);
	buf_clear(&job->message);
	mem_free(job);
}

static enum err write_report(struct store_job *store_job, struct db *db)
{
	struct job *job = (struct job *)(void *)store_job;
	return report_intake_put(job->read, db, &job->is_new);
}

static const char *kind_name(enum report_intake_kind kind)
{
	static const char *const names[] = { "none", "dmarc", "failure", "tls" };
	return names[kind];
}

static void report_written(struct store_job *store_job)
{
	struct job *job = (struct job *)(void *)store_job;
	struct background *background = job->server->background;
	if (store_job->err != ERR_OK)
		LOG(LOG_LEVEL_WARNING, "report-not-kept", LOG_TEXT("domain", report_intake_domain(job->read)),
			LOG_CSTR("reason", store_job->detail));
	else
		LOG(LOG_LEVEL_INFO, "report-received", LOG_CSTR("kind", kind_name(report_intake_kind(job->read))),
			LOG_TEXT("domain", report_intake_domain(job->read)),
			LOG_TEXT("organization", report_intake_organization(job->read)),
			LOG_CSTR("new", job->is_new > 0 ? "yes" : "no"));
	job_free(job);
	background_job_ended(background);
}

static void read_report(struct loop_task *task)
{
	struct job *job = LIST_ENTRY(task, struct job, task);
	struct background *background = job->server->background;
	enum err err = ERR_CANCELLED;
	if (!background->stopping)
		err = report_intake_read(buf_view(&job->message), clock_wall_ms(), is_ours, job->server, &job->read);
	if (err == ERR_OK) {
		job->job.run = write_report;
		job->job.done = report_written;
		background_job_started(background);
		store_write(job->server->store, background->loop, &job->job);
		return;
	}
	if (err != ERR_NOT_FOUND && err != ERR_CANCELLED)
		LOG(LOG_LEVEL_INFO, "report-not-read", LOG_CSTR("reason", err_detail()));
	job_free(job);
}

void report_intake_delivered(struct server *server, const struct config *config, struct view mailbox,
	const struct queue_recipient *recipient, const struct message *message)
{
	struct background *background = server->background;
	if (background == NULL || background->stopping || !report_intake_is_mailbox(config, mailbox, recipient))
		return;
	struct job *job = mem_alloc(sizeof *job);
	job->server = server;
	job->task.run = read_report;
	buf_init(&job->message, MESSAGE_MAX_BYTES);
	enum err err = message->spool[0] != '\0' ? read_spool(server, message->spool, &job->message)
						 : buf_append(&job->message, buf_view(&message->body));
	size_t before = atomic_fetch_add(&background->report_bytes, job->message.len);
	if (err == ERR_OK && before + job->message.len > WAITING_MAX_BYTES)
		err = err_set(ERR_LIMIT, "too many reports wait to be read");
	else if (err == ERR_LIMIT)
		err = err_set(err, "it is larger than %u bytes", MESSAGE_MAX_BYTES);
	if (err == ERR_OK) {
		loop_post(background->loop, &job->task);
		return;
	}
	LOG(LOG_LEVEL_WARNING, "report-not-read", LOG_CSTR("reason", err_detail()));
	job_free(job);
}
