/* Parts of struct remote: what is known of the host at hand, and the connections to it that are tried. */
#ifndef SERVICE_REMOTE_CONNECT_H
#define SERVICE_REMOTE_CONNECT_H

#include "dns/message.h"
#include "net/resolver.h"
#include "net/stream.h"
#include "service/remote_tls.h"

enum { REMOTE_A, REMOTE_AAAA, REMOTE_FAMILIES };

/* The DNS about one host. All texts are in the connection's arena. */
struct remote_lookup {
	struct resolver_query *addresses[REMOTE_FAMILIES];
	struct loop_timer timer; /* what the slower one may take longer */
	bool is_known[REMOTE_FAMILIES], is_secure[REMOTE_FAMILIES];
	bool is_bogus; /* one of them at least */
	struct dns_answer answers[REMOTE_FAMILIES];
	struct resolver_query *query; /* for TLSA records, or whether the first CNAME is secure */
	size_t base_count, next_base;
	struct view bases[2]; /* TLSA base domains */
};

/* Up to two at once: happy eyeballs (RFC 8305). */
struct remote_attempt {
	struct remote *remote;
	struct stream *stream; /* NULL: none */
	const struct net_address *address;
};

struct remote_tls {
	/* The host. */
	bool dane_asked;
	enum dane_demand dane;
	char dane_problem[120];
	struct view base; /* the TLSA base domain with DANE_VERIFY, DANE_ENCRYPT */
	size_t tlsa_count;
	struct tls_tlsa tlsa[REMOTE_TLSA_MAX];
	struct buf tlsa_text; /* the records, a line each */
	/* The connection. */
	bool is_on;
	struct tls_facts facts;
	char failure[200]; /* why the handshake failed, for the session in clear that follows */
	/* What was said about it. */
	uint64_t reported_domain; /* hash of the one whose session was counted last; 0: none */
	bool refused_alone; /* what was refused was one delivery's wish, and no policy of its domain */
	uint32_t final_refusals; /* hosts that will not do tomorrow either */
};

#endif
