/* Trace fields (RFC 5321 §4.4): Received, and Return-Path for final delivery. Pure. */
#ifndef MAIL_RECEIVED_H
#define MAIL_RECEIVED_H

#include "base/buf.h"

struct received_trace {
	struct view helo; /* as the client said it; anything may be in it */
	struct view client_name; /* name of its address in DNS, confirmed forwards; empty if there is none */
	struct view
		client_address; /* "192.0.2.1" or "2001:db8::1", no brackets; empty: not from the network, no "from" clause */
	struct view by; /* our host name */
	struct view note; /* a word of ours behind "by", in parentheses, such as "from user 1000"; may be empty */
	bool is_esmtp; /* EHLO was used */
	bool is_lmtp;
	bool is_tls;
	bool is_authenticated;
	bool is_smtputf8; /* this transaction used it */
	struct view tls_version, tls_cipher; /* "TLSv1.3", "TLS_AES_256_GCM_SHA384"; may be empty */
	struct view id; /* queue id */
	bool has_priority; /* the client asked for one; this is what the message got (RFC 6710 §4.1) */
	int32_t priority;
	struct view
		recipient; /* "local@domain" if the transaction has exactly one, else empty: others must not learn of Bcc recipients */
	int64_t wall_ms;
	int zone_minutes;
};

/* The "with" keyword: SMTP, ESMTP, ESMTPA, ESMTPS, ESMTPSA (RFC 3848), the same of LMTP, and UTF8… (RFC 6531 §4.3). */
struct view received_protocol(const struct received_trace *trace);

/* Appends the whole field with its CRLF, in lines under 78 bytes unless one word alone is longer. Bytes of the peer that could end the field or
 * a comment become "?". ERR_LIMIT from the buffer or for a time out of range. */
enum err received_format(const struct received_trace *trace, struct buf *out) MUST_CHECK;

/* How many hosts have handled the message: the number of Received fields, for the loop check (RFC 5321 §6.3). */
size_t received_count(struct view headers);

/* Appends "Return-Path: <reverse-path>" with CRLF; empty is the null path. ERR_SYNTAX if the path has control characters. */
enum err return_path_format(struct view reverse_path, struct buf *out) MUST_CHECK;

#endif
