/*
 * Where the mail for a recipient domain goes: its MX hosts, whether DNSSEC vouches for them, its MTA-STS policy, and the site it belongs to.
 * Looked up once for all messages to the domain and kept while the DNS allows (at least a minute, at most an hour). Lives on the
 * dispatcher's loop. Reference-counted: a delivery and a connection keep the one they began with.
 */
#ifndef SERVICE_DOMAIN_ROUTE_H
#define SERVICE_DOMAIN_ROUTE_H

#include "base/arena.h"
#include "queue/shaping.h"
#include "route/mx.h"
#include "service/sts.h"

struct domain_route {
	uint32_t references; /* private */
	struct view domain; /* A-labels, lower case; or an address literal "[192.0.2.1]" */
	struct mx_hosts
		hosts; /* .result says whether there are any; names in the order to be tried, owned by the route */
	bool mx_is_secure; /* the MX records, or the proof that there are none, were validated by DNSSEC */
	const char *
		problem; /* without hosts: the reply for those who wait, "451 4.4.3 …", "550 5.1.2 …"; owned by the route */
	struct sts_policy *sts; /* referenced; NULL: none in force */
	enum sts_problem sts_problem; /* what came of the look-up, for TLS reports */
	/* Its hosts can be reached, but not as the domain demands (TLS): nobody tries before this time; monotonic. 0: not so. */
	int64_t refused_until_ms;
	char refused_reason[240]; /* "451 4.7.5 …" */
	struct view
		destination; /* "mx/a.example.net,b.example.net": the same for all domains with the same hosts; bounded, owned */
	struct view site; /* name of the shaping rules' site ("google"), else the text behind "mx/" */
	const struct shaping_site *shaping_site; /* NULL: no rules name it; lives as long as the route's shaping */
	struct shaping *shaping; /* referenced; NULL: no rules */
	int64_t expires_ms; /* monotonic */
	struct arena arena; /* private */
};

struct domain_route *domain_route_ref(struct domain_route *route);
void domain_route_unref(struct domain_route *route); /* NULL is fine */

#endif
