/*
 * What counts as one client: an IPv4 address, or an IPv6 /64 network (one customer's line has at least that much, so counting single IPv6 addresses
 * would count nothing). Tables keyed by it hash with a secret, because peers choose their addresses.
 */
#ifndef POLICY_CLIENT_KEY_H
#define POLICY_CLIENT_KEY_H

#include "base/view.h"

struct client_key {
	uint64_t network; /* the upper half of the address; 0 for IPv4 */
	uint64_t host; /* of IPv4, with 0xffff above it as in ::ffff:192.0.2.1; 0 for IPv6 */
};

/* From 4 or 16 raw bytes; IPv4-mapped IPv6 counts as IPv4. */
struct client_key client_key_make(struct view ip);
static inline bool client_key_eq(struct client_key a, struct client_key b)
{
	return a.network == b.network && a.host == b.host;
}
uint64_t client_key_hash(struct client_key key, uint64_t secret);

#endif
