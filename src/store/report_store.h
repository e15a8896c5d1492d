/*
 * What others report about our domains: DMARC's aggregate reports (RFC 9990), failure reports (RFC 9991) and TLS reports (RFC 8460), for as long as they
 * are kept. Synchronous calls on a struct db, used inside store jobs.
 */
#ifndef STORE_REPORT_STORE_H
#define STORE_REPORT_STORE_H

#include "store/db.h"

#define REPORT_STORE_ROWS_MAX 10000u /* of one report; what is beyond is summed up in one more row without an address */
#define REPORT_STORE_COUNT_MAX                                                                                         \
	1000000000u /* messages or sessions of one row: whatever is claimed, 400 days of reports can be summed up */
#define REPORT_STORE_DAY_MAX 2000 /* reports of each kind within 24 hours: whoever floods us does not fill the disk */

struct report_row {
	struct view source_ip;
	uint64_t messages;
	struct view disposition;
	bool dkim_aligned, spf_aligned;
	struct view header_from, envelope_from;
	struct view dkim_domain; /* of a signature that passed, else of any; may be empty */
};
struct report_dmarc {
	struct view domain, organization, report_id;
	int64_t begin_s, end_s;
	struct view policy; /* "p=reject sp=none" */
	int64_t received_ms;
	size_t row_count;
	const struct report_row *rows;
};
/* *ret_is_new: false if it is there already (same domain, organization and id), and nothing happened. ERR_LIMIT: too many came lately. */
enum err report_store_put_dmarc(struct db *db, const struct report_dmarc *report, bool *ret_is_new) MUST_CHECK;

struct report_failure {
	struct view domain, reporter;
	int64_t received_ms, arrival_ms; /* ours; when the message came to the reporter, 0: not told */
	struct view source_ip, mail_from, header_from, failure, delivery_result, message_id;
	uint64_t incidents;
};
enum err report_store_put_failure(struct db *db, const struct report_failure *failure) MUST_CHECK;

struct report_tls_row {
	struct view result, host, sending_ip, receiving_ip, reason;
	uint64_t sessions;
};
struct report_tls {
	struct view domain, organization, report_id, policy_type;
	int64_t begin_s, end_s;
	uint64_t successes, failures;
	int64_t received_ms;
	size_t row_count;
	const struct report_tls_row *rows;
};
enum err report_store_put_tls(struct db *db, const struct report_tls *report, bool *ret_is_new) MUST_CHECK;

/* Sums over the reports about a domain that end at `since_s` or later. */
struct report_source {
	struct view source_ip;
	uint64_t messages, aligned, dkim_aligned, spf_aligned, quarantined, rejected;
	struct view header_from, envelope_from, dkim_domain; /* one of them */
};
enum err report_store_totals(struct db *db, struct view domain, int64_t since_s, uint64_t *ret_messages,
	uint64_t *ret_aligned, uint64_t *ret_sources) MUST_CHECK;
/* Most messages first. Views are borrowed during the call. */
enum err report_store_sources(struct db *db, struct view domain, int64_t since_s, size_t limit,
	void (*each)(void *owner, const struct report_source *source), void *owner) MUST_CHECK;
struct report_reporter {
	struct view organization;
	uint64_t reports, messages;
	struct view policy; /* of one of them */
	int64_t last_s; /* end of the newest */
};
enum err report_store_reporters(struct db *db, struct view domain, int64_t since_s, size_t limit,
	void (*each)(void *owner, const struct report_reporter *reporter), void *owner) MUST_CHECK;
/* Newest first. */
enum err report_store_failures(struct db *db, struct view domain, int64_t since_ms, size_t limit,
	void (*each)(void *owner, const struct report_failure *failure), void *owner) MUST_CHECK;
/* Per organization and policy type; then what failed, most sessions first. */
enum err report_store_tls(struct db *db, struct view domain, int64_t since_s, size_t limit,
	void (*each)(void *owner, const struct report_tls *sum), void *owner) MUST_CHECK;
enum err report_store_tls_failures(struct db *db, struct view domain, int64_t since_s, size_t limit,
	void (*each)(void *owner, const struct report_tls_row *row), void *owner) MUST_CHECK;

/* Removes what came before, some at a time; *ret_removed: reports, 0 when none is left. */
enum err report_store_expire(struct db *db, int64_t before_ms, uint64_t *ret_removed) MUST_CHECK;

#endif
