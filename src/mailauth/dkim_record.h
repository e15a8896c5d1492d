/* The key records of DKIM, as DNS publishes them: RFC 6376 §3.6.1, RFC 8463 §4. Pure. */
#ifndef MAILAUTH_DKIM_RECORD_H
#define MAILAUTH_DKIM_RECORD_H

#include "base/buf.h"
#include "crypto/signature.h"
#include "mailauth/dkim.h"

#define DKIM_RECORD_MAX_BYTES 4096u /* a longer one is not looked at */

/* "mail._domainkey.example.org": where the key is published. ERR_SYNTAX unless both are names in A-labels. */
enum err dkim_record_name(struct view selector, struct view domain, struct buf *out) MUST_CHECK;

enum {
	DKIM_RECORD_TESTING = 1, /* t=y */
	DKIM_RECORD_STRICT = 2, /* t=s: i= must have the very domain of d= */
};
/* The record's text: "v=DKIM1; k=rsa; h=sha256; p=…"; with a NULL key, that of a revoked one. */
enum err dkim_record_format(const struct signature_private *key, unsigned flags, struct buf *out) MUST_CHECK;
/* The same text as a zone file has it: quoted strings of at most 255 bytes with blanks between. For any TXT record. */
enum err dkim_record_quote(struct view text, struct buf *out) MUST_CHECK;

/* What a published record says. */
struct dkim_record {
	bool is_revoked, is_testing, is_strict;
	enum signature_kind kind;
	unsigned bits;
};
/* ERR_SYNTAX with the reason in err_detail() if it is no key record for mail that a verifier would use. */
enum err dkim_record_parse(struct view text, struct dkim_record *ret) MUST_CHECK;
/* True if it publishes the public half of that key. */
bool dkim_record_matches(struct view text, const struct signature_private *key);

/* What DNS has at a key's name, compared with the record that should be there. */
enum dkim_publication {
	DKIM_PUBLISHED, /* this key, and nothing that a verifier could take for another */
	DKIM_UNPUBLISHED, /* nothing */
	DKIM_PUBLISHED_OTHER, /* another key, a revoked one, or what is no key record for mail */
	DKIM_PUBLISHED_SEVERAL, /* it, and other TXT records: which one is taken is left to chance (RFC 6376 §3.6.2.2) */
	DKIM_PUBLICATION_UNKNOWN, /* DNS did not answer */
};
enum { DKIM_PUBLICATION_COUNT = DKIM_PUBLICATION_UNKNOWN + 1 };
/* `record` is dkim_record_format()'s text. The answer is not looked at unless the status is DKIM_DNS_OK. */
enum dkim_publication dkim_record_publication(
	enum dkim_dns_status status, const struct dns_answer *answer, struct view record);
/* A sentence about it. */
const char *dkim_publication_text(enum dkim_publication publication);

#endif
