/*
 * DNS questions with DNSSEC validation on a loop, through libunbound's event API: one resolver per loop that asks.
 * Answers are raw wire messages for dns/message.h.
 */
#ifndef NET_RESOLVER_H
#define NET_RESOLVER_H

#include "net/loop.h"

struct resolver;
struct resolver_query;

struct resolver_options {
	size_t server_count; /* forwarders; 0: those of /etc/resolv.conf */
	const char *const *servers; /* "127.0.0.1", "127.0.0.1@5353", "2001:db8::53" */
	/* Answers are validated with it, come what may. NULL: with Debian's /usr/share/dns/root.key if it is there and if the servers' answers can be
	 * validated at all; where they can't (many forwarders take the signatures out), a warning is logged once and they are taken as they are. */
	const char *trust_anchor_file;
	const char *default_trust_anchor_file; /* instead of Debian's; NULL: Debian's */
	uint32_t timeout_ms; /* per question, all attempts: 20,000 when 0 */
	uint32_t
		asked_max; /* questions that are with the servers at one time: 8192 when 0. The others wait for their turn, within their time */
};
struct resolver_answer {
	enum err err; /* ERR_OK: an answer of some rcode; ERR_TIMEOUT, ERR_IO: none; ERR_SYNTAX: not a name */
	unsigned rcode; /* 0 NOERROR, 2 SERVFAIL, 3 NXDOMAIN … */
	bool secure; /* DNSSEC-validated */
	bool bogus; /* validation failed: treat as a temporary failure (rcode is SERVFAIL, and wire empty) */
	const char *why_bogus; /* the validator's sentence; NULL if there is none. Borrowed during the call */
	/* The whole message, borrowed during the call; empty if there is none worth having (then rcode is SERVFAIL). */
	struct view wire;
};

/* NULL with err_detail(). */
struct resolver *resolver_new(struct loop *loop, const struct resolver_options *options);
/* Cancels what is open. NULL is fine. Before loop_free(). */
void resolver_free(struct resolver *resolver);
/* `name` without trailing dot, A-labels; type as in dns/message.h. answered() is called once, later, from the loop,
 * unless the query is cancelled first; the handle is no more once it was called. */
struct resolver_query *resolver_ask(struct resolver *resolver, const char *name, uint16_t type,
	void (*answered)(void *owner, const struct resolver_answer *answer), void *owner);
/* NULL is fine. */
void resolver_cancel(struct resolver_query *query);

#endif
