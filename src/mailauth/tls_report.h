/* TLS reports (RFC 8460 §4): writing ours and reading others'. JSON by jansson. Pure. */
#ifndef MAILAUTH_TLS_REPORT_H
#define MAILAUTH_TLS_REPORT_H

#include "base/arena.h"
#include "base/buf.h"

struct tls_report_failure {
	struct view result_type; /* "starttls-not-supported" …, §4.3 */
	struct view sending_ip, receiving_ip; /* may be empty, as all below */
	struct view receiving_host; /* receiving-mx-hostname */
	struct view receiving_helo;
	struct view reason; /* failure-reason-code */
	struct view additional; /* additional-information */
	uint64_t sessions;
};
struct tls_report_policy {
	struct view type; /* "sts", "tlsa", "no-policy-found" */
	struct view domain;
	size_t line_count; /* policy-string */
	const struct view *lines;
	size_t mx_host_count; /* of an MTA-STS policy */
	const struct view *mx_hosts;
	uint64_t successes, failures; /* sessions */
	size_t failure_count;
	const struct tls_report_failure *details;
};
struct tls_report {
	struct view organization, contact, report_id;
	int64_t begin_s, end_s; /* Unix time; 0 if malformed */
	size_t policy_count;
	const struct tls_report_policy *policies;
	bool is_truncated; /* there was more than is kept */
};

/* Appends it as JSON. Texts that are not UTF-8 are made so. ERR_LIMIT from the buffer. */
enum err tls_report_write(const struct tls_report *report, struct buf *out) MUST_CHECK;

/* Appends "sender.example!policy.example!1013662812!1013749130!id.json.gz" (§5.1). */
enum err tls_report_file_name(const struct tls_report *report, struct view sender, struct view policy_domain,
	struct view id, struct buf *out) MUST_CHECK;

enum {
	TLS_REPORT_MAX_BYTES = 8 * 1024 * 1024, /* of JSON */
	TLS_REPORT_POLICIES_MAX = 200,
	TLS_REPORT_FAILURES_MAX = 2000, /* of one policy */
	TLS_REPORT_LINES_MAX = 100,
	TLS_REPORT_TEXT_MAX_BYTES = 1024,
	TLS_REPORT_ARENA_BYTES = 64 * 1024 * 1024
};
/* Reads a report; all memory from the arena, which should have a budget of TLS_REPORT_ARENA_BYTES. ERR_SYNTAX with a sentence, also if it has no
 * policy with a domain; ERR_LIMIT. Texts are trimmed and clean, domains and words in lower case. */
enum err tls_report_read(struct view json, struct arena *arena, struct tls_report *ret) MUST_CHECK;

#endif
