/*
 * Reading feedback reports, "ARF": complaints about a message (RFC 5965, RFC 6650) and failed authentication (RFC 6591, RFC 9991). Pure, tolerant,
 * bounded.
 */
#ifndef MAIL_FEEDBACK_REPORT_H
#define MAIL_FEEDBACK_REPORT_H

#include "base/buf.h"

#define FEEDBACK_RECIPIENTS_MAX 50u

struct feedback_report {
	struct view type; /* "abuse", "fraud", "virus", "not-spam", "other", "auth-failure", in lower case */
	struct view user_agent, version;
	struct view mail_from; /* Original-Mail-From, without angle brackets; empty for the null reverse-path, too */
	struct view envelope_id; /* Original-Envelope-Id */
	size_t recipient_count;
	struct view recipients[FEEDBACK_RECIPIENTS_MAX]; /* Original-Rcpt-To, without angle brackets */
	struct view reported_domain; /* the first Reported-Domain */
	struct view reporting_mta; /* without its type */
	struct view source_ip; /* as text, without brackets or "IPv6:" */
	int64_t arrival_ms; /* Arrival-Date or Received-Date, Unix time; 0: absent or malformed */
	uint64_t incidents; /* 1 if absent */
	struct view authentication_results; /* the first */
	/* Of auth-failure. Words in lower case. */
	struct view failure; /* Auth-Failure: "dmarc", "dkim", "adsp", "bodyhash", "revoked", "signature", "spf" */
	struct view delivery_result; /* "delivered", "spam", "policy", "reject", "other" */
	struct view identity_alignment; /* "dkim", "spf", "dkim, spf", "none": what failed */
	struct view dkim_domain, dkim_identity, dkim_selector, spf_dns;
	/* Of the message it is about: */
	struct view message; /* it or its header section, as transferred; points into the report */
	struct view message_id; /* with angle brackets */
	struct view header_from; /* the first author's address */
	struct buf text; /* owns what the views point to, but `message` */
};

/* `ret` is zeroed or was used before. ERR_NOT_FOUND: the message has no feedback-report part with a Feedback-Type. ERR_LIMIT: the part is larger
 * than 256 KiB. */
enum err feedback_report_parse(struct view message, struct feedback_report *ret) MUST_CHECK;
void feedback_report_clear(struct feedback_report *report); /* NULL is fine */

#endif
