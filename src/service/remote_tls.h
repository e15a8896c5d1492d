/*
 * Transport security of outgoing mail: what a delivery demands of a host (configuration, DANE, MTA-STS, REQUIRETLS), what a connection has, and
 * whether the one satisfies the other. Judged for each delivery, also on a connection that another opened: domains share hosts, not policies.
 * The judge is pure; the rest belongs to struct remote.
 */
#ifndef SERVICE_REMOTE_TLS_H
#define SERVICE_REMOTE_TLS_H

#include "config/config.h"
#include "mailauth/dane.h"
#include "mailauth/mta_sts.h"
#include "net/tls.h"
#include "service/sts.h"

#define REMOTE_TLSA_MAX 16u /* of one host; the rest is not looked at */

/* What a delivery demands. */
struct remote_tls_need {
	struct view domain; /* of its recipients */
	enum config_tls_policy policy; /* the operator's, for the domain */
	bool has_dane; /* TLSA records count: its MX records are secure, and nothing says to leave them alone */
	const struct mta_sts_policy *sts; /* NULL: none that counts */
	uint64_t sts_age_s;
	bool requiretls; /* RFC 8689 */
	bool hosts_are_unproven; /* DNS named the mail hosts, and DNSSEC does not vouch for it */
};

enum remote_tls_stage {
	REMOTE_TLS_BEFORE, /* the host is known, and not yet connected to */
	REMOTE_TLS_CLEAR, /* connected; the server offers no STARTTLS, or refused it, or it was not wanted */
	REMOTE_TLS_FAILED, /* the handshake */
	REMOTE_TLS_ON, /* what EHLO offers inside is not known yet */
	REMOTE_TLS_READY, /* it is */
};
/* What a connection has. */
struct remote_tls_state {
	enum remote_tls_stage stage;
	struct view host; /* as in the MX record */
	bool dane_asked; /* else nothing is known of TLSA records */
	enum dane_demand dane;
	const char *dane_problem; /* with DANE_DEFER; with DANE_NOTHING: why no records count, "" if there are none */
	struct view dane_domain; /* whose name counts as the host's, too, under usage 2 (RFC 7672 §3.2.2) */
	const struct tls_facts *facts; /* from ON on */
	const char *
		failure; /* FAILED: the handshake's sentence; CLEAR: what became of STARTTLS; NULL or "": it is not offered */
	bool offers_requiretls; /* READY */
};

struct remote_tls_verdict {
	bool allowed; /* this delivery over this connection (BEFORE: it may be tried) */
	bool is_final; /* not allowed, and waiting will not mend it */
	const char
		*result; /* result type of RFC 8460 §4.3; NULL: nothing failed. Also where it is allowed all the same */
	char reason[240]; /* not allowed: "451 4.7.5 mx.example.net: …" */
};
void remote_tls_judge(
	const struct remote_tls_need *need, const struct remote_tls_state *state, struct remote_tls_verdict *ret);
/* Result type of RFC 8460 §4.3.2.2 for a policy that could not be had; NULL: it could. */
const char *remote_tls_sts_result(enum sts_problem problem);
/* Nothing of it may go in clear to a host with these TLSA records. */
bool remote_tls_is_demanded(const struct remote_tls_need *need, enum dane_demand dane);
/* The certificate decides: a session for which it did not verify is of no use to resume. */
bool remote_tls_is_verified(const struct remote_tls_need *need, enum dane_demand dane);

#endif
