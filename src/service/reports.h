/*
 * Reports about mail that are sent to those who ask for them: DMARC's aggregate reports (RFC 9990) about mail that came in, and TLS reports (RFC
 * 8460) about mail that went out. What they are made of is noted by any thread and written in batches; a crash may lose the last seconds of it.
 * Reports are made on the background thread, once a day, and are messages in our own queue like all others.
 */
#ifndef SERVICE_REPORTS_H
#define SERVICE_REPORTS_H

#include "mailauth/dmarc.h"
#include "store/queue_store.h"
#include "service/server_private.h"

struct background;
struct reports;

/* What one incoming message showed. Everything is copied; texts may be outside bytes. */
struct dmarc_note_signature {
	struct view domain, selector; /* d=, s= */
	struct view result; /* dkim_result_name() */
	bool is_aligned; /* passed, and aligned */
};
struct dmarc_note {
	int64_t at_ms; /* wall clock */
	struct view client; /* "192.0.2.1" */
	size_t recipient_count;
	const struct queue_recipient *recipients; /* mail to reports.mailbox is not reported on */
	const struct dmarc_verdict *verdict;
	/* What was done in fact, whatever DMARC says: "none", "quarantine", "reject". */
	enum dmarc_policy disposition;
	/* Why that is not what verdict->policy asks for, RFC 9990's words: "local_policy", "trusted_forwarder", "mailing_list", "other"; NULL: no
	 * reason to tell (t=y is told anyway). */
	const char *override_type;
	struct view override_comment;
	struct view spf_domain; /* the one that was checked; empty: none was */
	struct view spf_result; /* spf_result_name() */
	size_t signature_count;
	const struct dmarc_note_signature *signatures; /* in any order; the first hundred that tell most are kept */
};

/* Counts the message for the report to its policy domain, if that wants reports and we send them. Any thread; cheap. */
void dmarc_result_note(struct server *server, const struct dmarc_note *note);

/* On the background thread. */
struct reports *reports_new(struct background *background);
/* Reports of past days leave from now on when they are due. */
void reports_start(struct reports *reports);
/* Makes no new ones, and writes what was noted; the background's jobs tell when that is done. */
void reports_stop(struct reports *reports);
void reports_free(struct reports *reports); /* NULL is fine */

/* All reports about days up to this one (days since 1970, UTC; today's too, as far as it went) are made now. Any thread. */
void reports_send_now(struct server *server, int64_t last_day);

#endif
