/*
 * MTA-STS (RFC 8461): a domain says over HTTPS which MX hosts it has and that they do TLS with certificates that count. Here is what needs no
 * I/O: reading record and policy, matching hosts, deciding. Fetching and keeping policies is somebody else's. DANE comes first: where it applies
 * to a host, its verdict stands whatever a policy says (RFC 8461 §2).
 */
#ifndef MAILAUTH_MTA_STS_H
#define MAILAUTH_MTA_STS_H

#include "base/buf.h"
#include "dns/message.h"

enum {
	MTA_STS_ID_MAX_BYTES = 32,
	MTA_STS_POLICY_MAX_BYTES = 64 * 1024, /* §3.3 suggests this much */
	MTA_STS_MX_MAX = 256,
	MTA_STS_MAX_AGE_MAX_S = 31557600, /* §3.2: about a year */
};

/* The id of the TXT record at "_mta-sts.DOMAIN" (§3.1), borrowed from the text. ERR_SYNTAX, ERR_LIMIT: the domain has no policy. */
enum err mta_sts_record_parse(struct view text, struct view *ret_id) MUST_CHECK;
/* The same from an answer with all TXT records: ERR_NOT_FOUND if there is none, ERR_SYNTAX also if there are several. A policy that
 * is kept from before stays in force then (§5.1). */
enum err mta_sts_record_find(const struct dns_answer *answer, struct view *ret_id) MUST_CHECK;

enum mta_sts_mode { MTA_STS_NONE, MTA_STS_TESTING, MTA_STS_ENFORCE };
/* "none", "testing", "enforce". */
struct view mta_sts_mode_name(enum mta_sts_mode mode);

struct mta_sts_policy {
	enum mta_sts_mode mode;
	uint32_t max_age_s; /* at most MTA_STS_MAX_AGE_MAX_S; more in the file counts as this */
	size_t mx_count; /* at least one, except in mode none */
	struct view mx[MTA_STS_MX_MAX]; /* "mx.example.com", "*.example.com"; borrowed from the text */
};
/* A policy file (§3.2). Lines end with LF or CRLF; unknown keys are passed over, and so is a key's second occurrence (except mx). Empty lines,
 * which the grammar has not, do no harm. ERR_SYNTAX; ERR_LIMIT for too many bytes or patterns. */
enum err mta_sts_policy_parse(struct view text, struct mta_sts_policy *ret) MUST_CHECK;
/* Appends the policy as a file. */
enum err mta_sts_policy_format(const struct mta_sts_policy *policy, struct buf *out) MUST_CHECK;

/* Does the pattern cover the host (§4.1)? "*" stands for exactly one label, the leftmost. The host as in the MX record: A-labels, no trailing dot. */
bool mta_sts_mx_matches(struct view pattern, struct view host);
/* Does any pattern of the policy? */
bool mta_sts_policy_has(const struct mta_sts_policy *policy, struct view host);

/* How TLS went with the host. Certificates are judged by PKIX with the MX host's name (§4.2). */
enum mta_sts_tls {
	MTA_STS_TLS_NOT_YET, /* before connecting */
	MTA_STS_TLS_VERIFIED,
	MTA_STS_TLS_NOT_OFFERED, /* no STARTTLS, or the server refused it */
	MTA_STS_TLS_FAILED, /* the handshake, for other reasons than the following */
	MTA_STS_TLS_EXPIRED,
	MTA_STS_TLS_OTHER_NAME, /* the certificate is another host's */
	MTA_STS_TLS_NOT_TRUSTED,
};
enum mta_sts_verdict {
	MTA_STS_ALLOWED,
	MTA_STS_REFUSED, /* nothing for this domain may go to this host; other MX hosts may do, else try again later (§5) */
	MTA_STS_REPORTED, /* allowed, but it would be refused under enforce: for the TLS report */
};
struct mta_sts_decision {
	enum mta_sts_verdict verdict;
	/* The policy is in force: TLS is wanted with the certificate verified. In mode testing a failure is only reported. */
	bool verifies;
	const char *failure; /* result type of RFC 8460 §4.3; NULL for MTA_STS_ALLOWED */
};
/* For one recipient domain and one of its MX hosts: ask before connecting, to spare hosts that are refused anyway, and again when TLS is known.
 * A session that serves several domains is judged once for each. `policy` NULL: there is none. `age_s`: since it was fetched; over max_age_s
 * it is as if there were none. */
struct mta_sts_decision mta_sts_decide(
	const struct mta_sts_policy *policy, uint64_t age_s, struct view host, enum mta_sts_tls tls);

#endif
