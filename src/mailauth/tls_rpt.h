/* SMTP TLS reporting (RFC 8460): where a domain wants its reports. Pure; nothing is copied. */
#ifndef MAILAUTH_TLS_RPT_H
#define MAILAUTH_TLS_RPT_H

#include "base/buf.h"
#include "dns/message.h"

#define TLS_RPT_DESTINATIONS_MAX 16u

enum tls_rpt_scheme { TLS_RPT_MAILTO, TLS_RPT_HTTPS };

struct tls_rpt_destination {
	enum tls_rpt_scheme scheme;
	struct view uri; /* with its scheme, as written; borrowed from the record */
};
struct tls_rpt_record {
	size_t count; /* at least one */
	struct tls_rpt_destination destinations[TLS_RPT_DESTINATIONS_MAX];
};

/* The TXT record at "_smtp._tls.DOMAIN" (§3). URIs of other schemes are passed over. ERR_SYNTAX; ERR_UNSUPPORTED if no URI is left; ERR_LIMIT
 * for a record too long or with too many destinations. In all these cases the domain wants no reports. */
enum err tls_rpt_record_parse(struct view text, struct tls_rpt_record *ret) MUST_CHECK;
/* The same from an answer with all TXT records: ERR_NOT_FOUND if there is none, ERR_SYNTAX also if there are several. */
enum err tls_rpt_record_find(const struct dns_answer *answer, struct tls_rpt_record *ret) MUST_CHECK;

/* Appends the mailbox of a mailto URI, "local@domain", with %XX undone and without header fields ("?subject=…"). ERR_SYNTAX unless it is one
 * mailbox (it may have UTF-8). Never fails so for a destination of a record. */
enum err tls_rpt_mailbox(struct view uri, struct buf *out) MUST_CHECK;

#endif
