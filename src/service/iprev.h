/*
 * The client's name in DNS, if its address agrees (RFC 8601 §2.7.3): once for a session, on its loop. At most IPREV_NAMES_MAX names are looked at,
 * one after the other.
 */
#ifndef SERVICE_IPREV_H
#define SERVICE_IPREV_H

#include "mailauth/auth_results.h"
#include "net/address.h"
#include "net/resolver.h"

#define IPREV_NAMES_MAX 5u

struct iprev;

/* finished() is called once, later. */
struct iprev *iprev_new(struct resolver *resolver, struct places_key share, const struct net_address *client,
	void (*finished)(void *owner), void *owner);
/* NULL is fine. */
void iprev_free(struct iprev *iprev);
bool iprev_is_done(const struct iprev *iprev);
/* While it is not done: AUTH_IPREV_TEMPERROR. */
enum auth_iprev iprev_result(const struct iprev *iprev);
/* Lower-case host name, without trailing dot; empty unless it is a pass. */
struct view iprev_name(const struct iprev *iprev);

/* The 4 or 16 bytes of an address. */
static inline struct view iprev_address_bytes(const struct net_address *address)
{
	if (net_address_is_v6(address))
		return view_of(&address->v6.sin6_addr, sizeof address->v6.sin6_addr);
	return view_of(&address->v4.sin_addr, sizeof address->v4.sin_addr);
}

#endif
