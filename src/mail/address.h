/*
 * Mail addresses as RFC 5321 §4.1.2 writes them in envelopes (Mailbox, Path), with RFC 6531 UTF-8 where allowed. Pure.
 * Header-field address lists (RFC 5322 §3.4) are in mail/address_list.h.
 */
#ifndef MAIL_ADDRESS_H
#define MAIL_ADDRESS_H

#include "base/buf.h"

#define ADDRESS_LOCAL_MAX_BYTES 64u /* RFC 5321 §4.5.3.1.1 */
#define ADDRESS_DOMAIN_MAX_BYTES 255u /* RFC 5321 §4.5.3.1.2 */
#define ADDRESS_PATH_MAX_BYTES 256u /* RFC 5321 §4.5.3.1.3, with the angle brackets */

enum address_flags {
	ADDRESS_ALLOW_UTF8 = 1, /* RFC 6531 §3.3 */
	ADDRESS_ALLOW_NO_DOMAIN = 2, /* "postmaster" alone */
	ADDRESS_ALLOW_NULL = 4, /* "<>" */
};

struct address {
	struct view local; /* as written, with its quotes if it is a quoted string; "" for the null path */
	struct view domain; /* as written; an address literal with its brackets; "" if there is none */
	bool local_is_quoted;
	bool domain_is_literal;
	bool has_utf8;
};

/* "local@domain". ERR_SYNTAX with a sentence in err_detail(), ERR_LIMIT when a length limit is passed. */
enum err address_parse(struct view text, unsigned flags, struct address *ret) MUST_CHECK;

/* A Path at the front of `text`: "<@relay,@relay:local@domain>" (the source route is checked and dropped, RFC 5321 §4.1.1.3 and
 * Appendix F.2), "<>" when allowed. Tolerates a missing pair of angle brackets (many devices) when `text` up to the first space is a
 * Mailbox. *ret_used = bytes taken, without the space behind. */
enum err address_parse_path(struct view text, unsigned flags, struct address *ret, size_t *ret_used) MUST_CHECK;

/* Appends the canonical form: quotes only where the local part needs them (RFC 5321 §4.1.2: "Joe"@x is Joe@x), backslashes only where needed,
 * the domain as written. Nothing for the null path. */
enum err address_format(const struct address *address, struct buf *out) MUST_CHECK;

/* The local part's value: quotes and backslashes removed. For looking up mailboxes. */
enum err address_local_value(const struct address *address, struct buf *out) MUST_CHECK;

/* RFC 5321 Domain: LDH labels (and U-labels with ADDRESS_ALLOW_UTF8), 1–63 bytes each, 255 in all; no trailing dot. */
bool address_domain_is_valid(struct view domain, unsigned flags);
/* "[192.0.2.1]", "[IPv6:2001:db8::1]" (RFC 5321 §4.1.3). */
bool address_literal_is_valid(struct view domain);

#endif
