#include "service/bounce_intake.h"

#include "base/clock.h"
#include "base/mem.h"
#include "mail/bounce_class.h"
#include "mail/dsn_parse.h"
#include "mail/feedback_report.h"
#include "queue/bounce_address.h"
#include "queue/id.h"
#include "store/bounce_store.h"
#include "store/event_store.h"

#include <string.h>
#include <unistd.h>

#define CONTENT_MAX_BYTES (1024u * 1024)
#define TEXT_MAX_BYTES 500u
/* The trace is written a moment later than what it tells: a server that answers at once is faster. */
#define TRACE_TRIES 3u
#define TRACE_WAIT_MS 1500
#define TRACE_LATE_MS 60000

enum finding {
	FINDING_NOTHING, /* it is no report that we understand */
	FINDING_DELAYED,
	FINDING_FAILED,
	FINDING_COMPLAINT,
	FINDING_OTHER, /* delivered, relayed, expanded: nothing went wrong */
};

struct bounce_intake {
	struct store_job job; /* first */
	struct worker_job again;
	struct loop_timer wait;
	unsigned tries;
	struct dispatcher *dispatcher;
	uint64_t message_id;
	uint32_t index;
	enum finding finding;
	bool is_hard;
	char class[32];
	struct buf address; /* whose copy it was; empty: the trace does not know any more */
	struct buf text;
};

struct bounce_intake *bounce_intake_new(const struct delivery *delivery)
{
	const struct queue_recipient *r = delivery->recipients[0].recipient;
	const struct server *server = delivery->dispatcher->server;
	struct view given = r->original.len > 0 ? r->original : r->address;
	struct view local = view_sub(given, 0, view_find_last(given, '@'));
	struct bounce_token token;
	if (!bounce_address_parse(local, &token) ||
		bounce_address_check(view_of(server->address_key, sizeof server->address_key), &token, clock_wall_ms(),
			INT64_MAX) != ERR_OK)
		return NULL; /* how old it may be was looked at when it was accepted */
	struct bounce_intake *intake = mem_alloc(sizeof *intake);
	intake->dispatcher = delivery->dispatcher;
	intake->message_id = token.message_id;
	intake->index = token.index;
	return intake;
}

static void keep_text(struct bounce_intake *intake, struct view text)
{
	if (buf_append(&intake->text, view_sub(text, 0, TEXT_MAX_BYTES)) != ERR_OK)
		buf_reset(&intake->text);
}

static void keep_class(struct bounce_intake *intake, struct view class)
{
	class = view_sub(class, 0, sizeof intake->class - 1);
	if (class.len > 0)
		memcpy(intake->class, class.ptr, class.len);
}

static void read_dsn(struct bounce_intake *intake, const struct dsn_report *report)
{
	/* The copy had one recipient; a server that forwarded it may name several. The worst one counts. */
	static const enum finding by_action[] = {
		[DSN_FAILED] = FINDING_FAILED,
		[DSN_DELAYED] = FINDING_DELAYED,
	};
	const struct dsn_report_recipient *chosen = NULL;
	for (size_t i = 0; i < report->recipient_count; i++) {
		const struct dsn_report_recipient *r = &report->recipients[i];
		enum finding finding = r->has_action && (size_t)r->action < sizeof by_action / sizeof by_action[0] &&
				by_action[r->action] != FINDING_NOTHING
			? by_action[r->action]
			: FINDING_OTHER;
		if (chosen == NULL || finding == FINDING_FAILED) {
			chosen = r;
			intake->finding = finding;
		}
	}
	if (chosen == NULL || intake->finding == FINDING_OTHER)
		return;
	struct bounce_reply reply = bounce_reply_from(chosen->diagnostic);
	if (reply.class == 0) {
		struct bounce_reply status = bounce_reply_from(chosen->status);
		reply.class = status.class;
		reply.subject = status.subject;
		reply.detail = status.detail;
	}
	struct bounce_verdict verdict = bounce_classify(&reply);
	intake->is_hard = intake->finding == FINDING_FAILED && verdict.is_hard;
	keep_class(intake, bounce_class_name(verdict.class));
	keep_text(intake, chosen->diagnostic.len > 0 ? chosen->diagnostic : chosen->status);
}

static void read_content(struct bounce_intake *intake, struct view message)
{
	struct dsn_report *report = mem_alloc(sizeof *report);
	if (dsn_parse(message, report) == ERR_OK) {
		read_dsn(intake, report);
	} else {
		struct feedback_report *feedback = mem_alloc(sizeof *feedback);
		if (feedback_report_parse(message, feedback) == ERR_OK) {
			bool is_good = view_eq(feedback->type, VIEW("not-spam"));
			intake->finding = is_good ? FINDING_OTHER : FINDING_COMPLAINT;
			keep_class(intake, feedback->type);
			keep_text(intake, feedback->user_agent);
		}
		feedback_report_clear(feedback);
		mem_free(feedback);
	}
	dsn_report_clear(report);
	mem_free(report);
}

/* A value of the trace's fields (log_format_fields()): plain, or in quotes with backslashes. */
static bool field(struct view fields, const char *name, struct buf *out)
{
	struct view wanted = view_from_cstr(name);
	size_t at = 0;
	buf_reset(out);
	while (at < fields.len) {
		struct view rest = view_from(fields, at);
		bool found = view_starts_with(rest, wanted) && rest.len > wanted.len && rest.ptr[wanted.len] == '=';
		size_t i = view_find(rest, '=') + 1;
		bool quoted = i < rest.len && rest.ptr[i] == '"';
		for (i += quoted; i < rest.len && rest.ptr[i] != (quoted ? '"' : ' '); i++) {
			if (quoted && rest.ptr[i] == '\\' && i + 1 < rest.len)
				i++;
			if (found && buf_append_byte(out, rest.ptr[i]) != ERR_OK)
				return false;
		}
		if (found)
			return true;
		at += i + quoted + 1;
	}
	return false;
}

static void look_at_event(void *owner, const struct store_event *event)
{
	struct bounce_intake *intake = owner;
	struct buf number = { 0 };
	uint64_t index;
	/* What was sent to this recipient, whatever became of it. */
	if ((strcmp(event->event, "delivered") == 0 || strcmp(event->event, "deferred") == 0) &&
		field(event->fields, "recipient", &number) &&
		view_parse_u64(buf_view(&number), UINT32_MAX, &index) == ERR_OK && index == intake->index)
		(void)field(event->fields, "to", &intake->address);
	buf_clear(&number);
}

static void find_recipient(struct bounce_intake *intake)
{
	struct buf url = { 0 };
	struct db *db = NULL;
	enum err err = buf_append_format(&url, "sqlite:%s/events.db", store_folder(intake->dispatcher->server->store));
	if (err == ERR_OK)
		err = db_open(buf_cstr(&url), true, DB_SYNC_RELAXED, &db);
	if (err == ERR_OK)
		err = event_store_list(db, intake->message_id, look_at_event, intake);
	if (err != ERR_OK)
		LOG(LOG_LEVEL_WARNING, "trace-unreadable", LOG_CSTR("reason", err_detail()));
	db_close(db);
	buf_clear(&url);
}

void bounce_intake_read(struct bounce_intake *intake, struct view head, struct view body, int body_fd)
{
	struct buf whole;
	buf_init(&whole, CONTENT_MAX_BYTES + 1);
	enum err err = buf_append(&whole, view_sub(head, 0, CONTENT_MAX_BYTES));
	if (err == ERR_OK && body_fd < 0)
		err = buf_append(&whole, view_sub(body, 0, CONTENT_MAX_BYTES - whole.len));
	for (off_t at = 0; err == ERR_OK && body_fd >= 0 && whole.len < CONTENT_MAX_BYTES;) {
		uint8_t piece[16384];
		ssize_t n = pread(body_fd, piece, sizeof piece, at);
		if (n <= 0)
			break;
		at += n;
		err = buf_append(&whole, view_sub(view_of(piece, (size_t)n), 0, CONTENT_MAX_BYTES - whole.len));
	}
	if (err == ERR_OK)
		read_content(intake, buf_view(&whole));
	buf_clear(&whole);
	if (intake->finding != FINDING_NOTHING && intake->finding != FINDING_OTHER)
		find_recipient(intake);
}

static void intake_free(struct bounce_intake *intake)
{
	buf_clear(&intake->address);
	buf_clear(&intake->text);
	mem_free(intake);
}

static enum err write_note(struct store_job *job, struct db *db)
{
	struct bounce_intake *intake = (struct bounce_intake *)(void *)job;
	enum bounce_kind kind = intake->finding == FINDING_COMPLAINT ? BOUNCE_COMPLAINT
		: intake->is_hard                                    ? BOUNCE_HARD
								     : BOUNCE_SOFT;
	return bounce_store_note(db, kind, buf_view(&intake->address), view_from_cstr(intake->class),
		buf_view(&intake->text), clock_wall_ms());
}

static void note_written(struct store_job *job)
{
	struct bounce_intake *intake = (struct bounce_intake *)(void *)job;
	struct dispatcher *d = intake->dispatcher;
	if (job->err != ERR_OK)
		LOG(LOG_LEVEL_WARNING, "bounce-unrecorded", LOG_CSTR("reason", job->detail));
	intake_free(intake);
	dispatcher_job_ended(d);
}

static void record(struct bounce_intake *intake)
{
	static const char *const events[] = {
		[FINDING_NOTHING] = "returned",
		[FINDING_DELAYED] = "bounce-delayed",
		[FINDING_FAILED] = "bounced",
		[FINDING_COMPLAINT] = "complaint",
		[FINDING_OTHER] = "bounce-report",
	};
	struct dispatcher *d = intake->dispatcher;
	TRACE(d->server->store, LOG_LEVEL_INFO, intake->message_id, events[intake->finding],
		LOG_TEXT("to", buf_view(&intake->address)), LOG_CSTR("class", intake->class),
		LOG_NUM("recipient", intake->index), LOG_TEXT("reply", buf_view(&intake->text)));
	bool counts = intake->finding == FINDING_FAILED || intake->finding == FINDING_COMPLAINT;
	if (!counts || intake->address.len == 0) {
		intake_free(intake);
		dispatcher_job_ended(d);
		return;
	}
	intake->job.run = write_note;
	intake->job.done = note_written;
	store_write(d->server->store, d->loop, &intake->job);
}

static void record_or_wait(struct bounce_intake *intake);

static void look_again(struct worker_job *work)
{
	find_recipient(LIST_ENTRY(work, struct bounce_intake, again));
}

static void looked_again(struct worker_job *work)
{
	record_or_wait(LIST_ENTRY(work, struct bounce_intake, again));
}

static void waited(void *owner)
{
	struct bounce_intake *intake = owner;
	struct dispatcher *d = intake->dispatcher;
	loop_timer_clear(&intake->wait);
	intake->again.work = look_again;
	intake->again.done = looked_again;
	if (worker_pool_run(d->server->workers, d->loop, &intake->again) != ERR_OK)
		record(intake);
}

static void record_or_wait(struct bounce_intake *intake)
{
	struct dispatcher *d = intake->dispatcher;
	bool is_report = intake->finding != FINDING_NOTHING && intake->finding != FINDING_OTHER;
	bool is_young = clock_wall_ms() - (int64_t)(intake->message_id / 4096) < TRACE_LATE_MS;
	if (!is_report || intake->address.len > 0 || !is_young || ++intake->tries >= TRACE_TRIES || d->stopping) {
		record(intake);
		return;
	}
	loop_timer_init(&intake->wait, d->loop, waited, intake);
	loop_timer_set(&intake->wait, loop_now_ms(d->loop) + TRACE_WAIT_MS);
}

void bounce_intake_finish(struct bounce_intake *intake, bool delivered)
{
	if (intake == NULL)
		return;
	/* A delivery that is tried again brings it again. */
	if (!delivered) {
		intake_free(intake);
		return;
	}
	dispatcher_job_started(intake->dispatcher);
	record_or_wait(intake);
}
