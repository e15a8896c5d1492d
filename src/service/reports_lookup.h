/*
 * Where a domain's reports may go, asked of the DNS: which of the addresses in its DMARC record's rua= may be written to (those of other
 * organisations have to agree, RFC 9990 §4), and what its TLSRPT record says (RFC 8460 §3).
 */
#ifndef SERVICE_REPORTS_LOOKUP_H
#define SERVICE_REPORTS_LOOKUP_H

#include "base/buf.h"
#include "mailauth/tls_rpt.h"
#include "net/resolver.h"

#define REPORTS_TARGETS_MAX 8u /* URIs of one domain that are looked at */
#define REPORTS_ADDRESS_BYTES 256u
#define REPORTS_URL_BYTES 1024u

struct reports_target {
	char address[REPORTS_ADDRESS_BYTES]; /* of a mailbox; "" if it is a URL */
	char url[REPORTS_URL_BYTES]; /* https:// */
	uint64_t max_bytes; /* of a message, as RFC 7489's records say ("!10m"); 0: any */
};
struct reports_targets {
	size_t count;
	struct reports_target list[REPORTS_TARGETS_MAX];
	bool is_unsettled; /* the DNS gave no answer about one of them: worth another try later */
};

struct reports_lookup;
/* `rua` is a DMARC record's list. done() is called once, later, from the loop, unless it is cancelled first; the lookup is no more then. All is copied. */
struct reports_lookup *reports_lookup_dmarc(struct loop *loop, struct resolver *resolver, struct view domain,
	struct view rua, void (*done)(void *owner, const struct reports_targets *targets), void *owner);
struct reports_lookup *reports_lookup_tls(struct loop *loop, struct resolver *resolver, struct view domain,
	void (*done)(void *owner, const struct reports_targets *targets), void *owner);
void reports_lookup_cancel(struct reports_lookup *lookup); /* NULL is fine */

#endif
