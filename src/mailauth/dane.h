/*
 * DANE for SMTP (RFC 7672, with RFC 6698 and RFC 7671): which names to ask for TLSA records, what an answer demands of the connection, and
 * whether a server's certificates match. Pure: the DNS, DNSSEC and TLS are somebody else's.
 *
 *   count = dane_base_domains(&host, domains);
 *   for each: look up "_25._tcp." + domain; demand = dane_demand(status, &answer); go on only while it is DANE_NOTHING
 *   DANE_VERIFY: TLS with SNI = that domain (§8.1); then dane_match(), and for DANE_MATCH_ANCHOR_HINT also chain, dates and dane_names().
 */
#ifndef MAILAUTH_DANE_H
#define MAILAUTH_DANE_H

#include "dns/message.h"

/* A host to deliver to, as the DNS has it. Names are as in dns/message.h. */
struct dane_host {
	struct view name; /* as the MX record, or whoever named the host, wrote it */
	struct view expanded; /* behind all CNAMEs; empty (or the same) if there are none */
	/* The MX records were secure, or there was no need of any. */
	bool mx_is_secure;
	bool address_is_secure; /* A and AAAA with all CNAMEs before them */
	bool first_cname_is_secure; /* with CNAMEs: the CNAME record of `name` itself is secure, wherever it leads */
};
/* The TLSA base domains, to be asked in this order until one has secure records (RFC 7672 §2.2.2, §2.2.3). 0–2; none: DANE does not apply to this
 * host. Where the MX records are insecure DANE is left alone, as it may be (§2.2.1): whoever forged them would name a host of his own. */
size_t dane_base_domains(const struct dane_host *host, struct view ret[2]);

/* How the DNS answered. */
enum dane_status {
	DANE_STATUS_SECURE, /* validated: records, or the proof that there are none */
	DANE_STATUS_INSECURE, /* the zone is not signed */
	DANE_STATUS_FAILED, /* bogus, SERVFAIL, time-out, not to be parsed */
};
enum dane_demand {
	DANE_NOTHING, /* no DANE by this answer */
	DANE_ENCRYPT, /* TLS is mandatory, but cannot be verified: no record is usable (§2.2) */
	DANE_VERIFY, /* TLS is mandatory, and a record must match */
	DANE_DEFER, /* nothing may go to this host now: an attacker may be hiding its records (§2.1.2, §2.2) */
};
/* `answer` counts only when secure; an rcode other than NOERROR and NXDOMAIN is a failure. */
enum dane_demand dane_demand(enum dane_status status, const struct dns_answer *answer);

enum { DANE_USAGE_TA = 2, DANE_USAGE_EE = 3 };
/* Usages 2 and 3 (0 and 1 mean nothing in SMTP, RFC 7672 §3.1.3), selectors 0 and 1, matching 0 (data is one DER element), 1 and 2 (data is of
 * the hash's length). */
bool dane_is_usable(const struct dns_record *record);

/* Names of which a certificate under usage 2 must have one (RFC 7672 §3.2.2). Usage 3 checks neither names nor dates (§3.1.1). */
struct dane_names {
	size_t count;
	struct view names[3];
};
/* `next_hop` and its CNAME expansion are the domain whose MX records were asked for; both empty where there were none, or insecure ones. */
struct dane_names dane_names(struct view base_domain, struct view next_hop, struct view expanded_next_hop);

#define DANE_CHAIN_MAX 16u /* certificates behind these are not looked at */
struct dane_certificate {
	struct view der; /* whole */
	struct view spki; /* its SubjectPublicKeyInfo, in DER */
};
enum dane_match_kind {
	DANE_MATCH_NONE,
	DANE_MATCH_EE, /* a usage 3 record has the server's certificate or key: the server is verified */
	/* A usage 2 record has a certificate, or the key of one, above the server's. Not a verdict: signatures from there down to the server's
	 * certificate, dates and names are still to be checked. Nor is DANE_MATCH_NONE one while dane_needs_chain() holds. */
	DANE_MATCH_ANCHOR_HINT,
};
struct dane_match {
	enum dane_match_kind kind;
	size_t record; /* index in the answer */
	size_t depth; /* index in the chain; 0 is the server's */
};
/* The chain as the server sent it, its own certificate first. Usage 3 goes first; then the lowest certificate that matches. Of each usage and selector's
 * hashes only the strongest kind counts (RFC 7671 §9). */
struct dane_match dane_match(const struct dns_answer *answer, const struct dane_certificate *chain, size_t count);
/* A usable usage 2 record with the whole certificate or key (matching 0) may be an anchor that the server does not send (RFC 7671 §5.2), which only
 * building the chain can tell. */
bool dane_needs_chain(const struct dns_answer *answer);

#endif
