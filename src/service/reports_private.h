/* For the reports*.c files. */
#ifndef SERVICE_REPORTS_PRIVATE_H
#define SERVICE_REPORTS_PRIVATE_H

#include "service/background.h"
#include "service/reports.h"

#define REPORTS_DAY_S 86400
#define REPORTS_NOTE_BUCKETS 1024u

struct reports_note;
struct reports_lookup;
struct reports_targets;
struct reports_tls_rows;

/* What was noted and is not in the store yet. */
struct reports_notes {
	pthread_mutex_t lock;
	struct reports_note *buckets[REPORTS_NOTE_BUCKETS];
	size_t count, bytes;
	uint64_t dropped; /* messages that there was no room for */
	bool is_posted; /* the writing was asked for */
	struct loop_task task;
	uint32_t writing; /* jobs under way */
};

enum reports_kind { REPORTS_DMARC, REPORTS_TLS };

/* One report under way: a day's mail of one domain. It belongs to the store while a job runs, else to the round. */
struct reports_task {
	struct store_job job; /* first */
	struct list link; /* in reports->tasks */
	struct reports *reports;
	struct config *config;
	enum reports_kind kind;
	int64_t day;
	struct view domain, policy; /* of its own memory */
	uint64_t notes; /* another number for another content */
	uint64_t unlisted; /* of DMARC */
	unsigned tries; /* of a report whose rows changed meanwhile */
	struct reports_lookup *lookup;
	struct reports_targets *targets;
	bool in_job;
	int64_t begin_s, end_s;
	char id[33]; /* of the report */
	uint64_t rows, messages; /* in it: TLS: policies, sessions */
	struct buf file; /* packed */
	struct reports_tls_rows *tls_rows; /* what is in it; NULL: nothing yet */
	struct message *mail; /* until it is the queue's */
	/* Of TLS: https destinations, one after the other. */
	size_t at;
	struct resolver_query *query;
	struct buf resolve; /* "host:port:" and its addresses, as https_options has them */
	size_t address_count;
	struct https_request *request;
	bool was_posted; /* one of them took it */
	uint8_t text[]; /* domain, policy */
};

/* Reports that are due are made in rounds: first DMARC's, then TLS's, some at once. */
struct reports_round {
	bool is_open;
	bool again; /* another one was asked for meanwhile */
	int64_t again_day;
	enum reports_kind kind;
	int64_t last_day; /* days up to this one */
	int64_t after_day; /* where the reading of domains goes on */
	struct buf after_domain;
	bool at_end; /* no more domains of this kind */
	bool loading, going;
	struct list waiting; /* tasks that were read and have not begun */
	uint32_t active;
	uint64_t sent, unwanted, left;
};

struct reports {
	struct background *background;
	struct reports_notes notes;
	struct loop_timer write_timer;
	struct loop_timer round_timer;
	struct loop_task send_task;
	_Atomic int64_t send_day; /* of reports_send_now() */
	_Atomic bool send_posted;
	bool send_wanted; /* when what was noted is written */
	struct reports_round round;
	struct list tasks; /* active */
	int64_t next_round_ms; /* wall clock */
	bool stopping;
};

void reports_notes_init(struct reports *reports);
void reports_notes_clear(struct reports *reports);
/* Gives what was noted to the store, in some jobs. */
void reports_notes_write(struct reports *reports);

/* reports_time.c: when a day's reports are made, wall clock: some minutes after midnight UTC, when all that the day before showed is written, and
 * within `jitter_ms` behind that; another time each day and on each server, the same after a restart. */
int64_t reports_time_of_day(const char *hostname, int64_t jitter_ms, int64_t day);
/* When the next round is due; `planned_ms` 0: none was planned, since the server has just begun. */
int64_t reports_time_next(const char *hostname, int64_t jitter_ms, int64_t planned_ms, int64_t now_ms);

/* reports_round.c */
void reports_round_init(struct reports *reports);
/* Looks whether a round is due; sets the timer. */
void reports_round_check(void *reports);
/* Reports about days up to this one, now. */
void reports_round_start(struct reports *reports, int64_t last_day);
void reports_round_stop(struct reports *reports);

enum reports_end { REPORTS_SENT, REPORTS_UNWANTED, REPORTS_LEFT /* for a later round */ };
/* The task is over; frees it. */
void reports_task_end(struct reports_task *task, enum reports_end end);
/* Runs on a store thread, then back on the loop unless everything stops meanwhile. */
void reports_task_job(struct reports_task *task, bool writes, enum err (*run)(struct store_job *job, struct db *db),
	void (*done)(struct store_job *job));
/* The task of a job that came back; NULL: everything stops, and it is gone. */
struct reports_task *reports_task_of(struct store_job *job);
/* Its age in days makes it the last try. */
bool reports_task_is_last_try(const struct reports_task *task);

/* reports_dmarc.c, reports_tls.c: begin a task. */
void reports_dmarc_begin(struct reports_task *task);
void reports_tls_begin(struct reports_task *task);
/* Ends what it waits for. */
void reports_tls_cancel(struct reports_task *task);

/* In a store job: makes the file. */
enum err reports_dmarc_build(struct reports_task *task, struct db *db) MUST_CHECK;
/* reports_tls_build.c, in store jobs: reads what is to be told and makes the file of it; takes what was told off the store, or everything if nobody
 * was. */
enum err reports_tls_build(struct reports_task *task, struct db *db) MUST_CHECK;
enum err reports_tls_rows_remove(struct reports_task *task, struct db *db) MUST_CHECK;
void reports_tls_rows_free(struct reports_tls_rows *rows); /* NULL is fine */

/* reports_mail.c: makes task->mail, with task->file, to those targets that are addresses and whose limits allow it; NULL if there are none, or on
 * failure, which is logged: then nobody was told. */
struct reports_mail {
	struct view subject_domain;
	struct view report_type; /* "tlsrpt" or empty */
	struct view file_name, file_type;
	const char *what; /* "DMARC aggregate report" */
};
enum err reports_mail_make(struct reports_task *task, const struct reports_mail *mail) MUST_CHECK;
/* In a write job: puts it into the queue. */
enum err reports_mail_put(struct reports_task *task, struct db *db) MUST_CHECK;
/* After the commit: hands it to the dispatcher. */
void reports_mail_sent(struct reports_task *task);
/* "mail.here.example", and who we are, for a report. */
struct view reports_organization(const struct config *config);
struct view reports_from(const struct config *config, struct buf *memory);
/* The task's day, as far as it went. */
void reports_set_period(struct reports_task *task);
/* A report's id: the same for the same content. */
void reports_make_id(struct reports_task *task);

#endif
