/*
 * From the DNS answer about a domain's MX records to the hosts to try, in order (RFC 5321 §5.1). Pure: the answer and the random
 * number are passed in.
 */
#ifndef ROUTE_MX_H
#define ROUTE_MX_H

#include "dns/message.h"

#define MX_HOSTS_MAX 20u

enum mx_result {
	MX_HOSTS, /* names[0 … count) */
	MX_TEMPORARY, /* no usable answer now: 451 4.4.3 */
	MX_NO_DOMAIN, /* the domain does not exist: 550 5.1.2 */
	MX_NULL, /* it takes no mail, RFC 7505: 556 5.1.10 */
	MX_LOOP, /* DNS sends its mail to us, who don't have it: 554 5.4.6 */
};

struct mx_hosts {
	enum mx_result result;
	bool is_implicit; /* the domain has no MX records and is its own host */
	size_t count; /* 0 unless MX_HOSTS */
	struct view names[MX_HOSTS_MAX]; /* borrowed from the answer, or the domain: no longer than they live */
	uint16_t preferences[MX_HOSTS_MAX];
};

/* `answer` is to the question for `domain`'s MX records; NULL: there was none (time-out, resolver out of reach, DNSSEC validation failed).
 * `own_names` are this server's host names.
 * - Hosts come by preference, equal ones shuffled by `random`; a host named twice counts where it is best; at most MX_HOSTS_MAX.
 * - No MX record, but the domain exists: the domain is the host, or the name that its CNAME leads to.
 * - A root name (null MX) beside real hosts is a mistake (RFC 7505 §3) and left out.
 * - One of our own names among the hosts: it and all hosts of the same or a higher preference value are left out (RFC 5321 §5.1); when
 *   none is left, MX_LOOP. */
void mx_order(const struct dns_answer *answer, struct view domain, size_t own_count, const struct view *own_names,
	uint64_t random, struct mx_hosts *ret);
/* Hosts of equal preference in another order. */
void mx_shuffle(struct mx_hosts *hosts, uint64_t random);

#endif
