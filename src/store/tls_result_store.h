/*
 * What sessions with other servers showed of TLS, for the reports of RFC 8460: counted per day, policy domain, policy, host and result. Synchronous
 * calls on a struct db.
 */
#ifndef STORE_TLS_RESULT_STORE_H
#define STORE_TLS_RESULT_STORE_H

#include "base/buf.h"
#include "store/db.h"

struct tls_result {
	int32_t day; /* since 1970-01-01 UTC */
	struct view domain; /* policy domain (§4.4): the recipients' domain; for TLSA the MX host's name is in `host` */
	struct view policy_type; /* "tlsa", "sts", "no-policy-found" */
	struct view policy; /* its lines ("policy-string"), joined by LF; may be empty */
	struct view host; /* receiving MX host's name; empty: none was reached */
	struct view result; /* result type of §4.3; empty: a success */
	struct view reason; /* further words about a failure; may be empty */
	struct view sending_ip, receiving_ip; /* of failures; may be empty */
	uint64_t sessions;
};

/* A success's text for `result`. */
#define TLS_RESULT_SUCCESS VIEW_NONE

/* Adds `sessions` to the row of that key. */
enum err tls_result_store_add(struct db *db, const struct tls_result *result) MUST_CHECK;
/* Each day and policy domain that has results of days before `before_day`, by day and domain, after (`after_day`, `after_domain`); at most `limit`. */
enum err tls_result_store_domains(struct db *db, int32_t before_day, int32_t after_day, struct view after_domain,
	size_t limit, void (*each)(void *owner, int32_t day, struct view domain), void *owner) MUST_CHECK;
/* The results of one day and domain: those of one policy (type and text) follow each other. Views are borrowed during the call. At most `limit`. */
enum err tls_result_store_list(struct db *db, int32_t day, struct view domain, size_t limit,
	void (*each)(void *owner, const struct tls_result *result), void *owner) MUST_CHECK;
/* These (of one day and domain, as they were listed) are reported: takes their sessions off. What was counted since then stays for another report. */
enum err tls_result_store_take(struct db *db, size_t count, const struct tls_result *results) MUST_CHECK;
/* Nobody wants to know. */
enum err tls_result_store_remove(struct db *db, int32_t day, struct view domain) MUST_CHECK;
/* All of earlier days: what could not be reported in time. */
enum err tls_result_store_tidy(struct db *db, int32_t before_day) MUST_CHECK;

#endif
