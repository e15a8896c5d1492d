/*
 * DNS questions with DNSSEC validation on a loop, through libunbound's event API: one resolver per loop that asks.
 * Answers are raw wire messages for dns/message.h.
 */
#ifndef NET_RESOLVER_H
#define NET_RESOLVER_H

#include "base/places.h"
#include "net/address.h"
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
	/* Questions that are with the servers at one time; the others wait for their turn, within their time. 0: 1024, or fewer where the process may
	 * have few descriptors: each of them needs a socket. */
	uint32_t asked_max;
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
/*
 * Whose question it is: those that wait for silent servers must not be in the way of the others. What is with the servers is shared out among
 * groups, and a group's share among its members, as base/places.h says.
 */
enum resolver_purpose {
	RESOLVER_FOR_CLIENTS, /* who connected to us, and sends mail: use resolver_share_client() */
	RESOLVER_FOR_ROUTES, /* the hosts of a domain that mail goes to, and whether it has a policy */
	RESOLVER_FOR_HOSTS, /* addresses and TLSA records of a destination's hosts */
	RESOLVER_FOR_POLICIES, /* the host of a domain's policy */
	RESOLVER_FOR_REPORTS, /* where reports about a domain go */
	RESOLVER_FOR_OURSELVES, /* our own records, and what an operator wants to know */
};
/* A group per network (IPv4 /24, IPv6 /48), since addresses within one cost their owner nothing; in it, a member per session, numbered by the caller. */
struct places_key resolver_share_client(const struct net_address *client, uint64_t session);
/* A group per name (in any case; or VIEW_NONE), for each purpose. */
struct places_key resolver_share_named(enum resolver_purpose purpose, struct view name);

/* `name` without trailing dot, A-labels; type as in dns/message.h. answered() is called once, later, from the loop,
 * unless the query is cancelled first; the handle is no more once it was called. */
struct resolver_query *resolver_ask(struct resolver *resolver, struct places_key share, const char *name, uint16_t type,
	void (*answered)(void *owner, const struct resolver_answer *answer), void *owner);
/* NULL is fine. */
void resolver_cancel(struct resolver_query *query);

#endif
