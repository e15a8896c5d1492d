/* Internet addresses with port; IPv4 and IPv6. IPv4-mapped IPv6 counts as IPv4 (it is unmapped on the way in). */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include "base/buf.h"

#include <netinet/in.h>
#include <sys/socket.h>

struct net_address {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
	socklen_t len;
};

/* "192.0.2.1", "2001:db8::1" (no brackets) and a port. ERR_SYNTAX. */
enum err net_address_parse(struct view ip, uint16_t port, struct net_address *ret) MUST_CHECK;
/* From 4 or 16 raw bytes (A, AAAA). */
enum err net_address_from_bytes(struct view raw, uint16_t port, struct net_address *ret) MUST_CHECK;
void net_address_from_sockaddr(const struct sockaddr *sa, socklen_t len, struct net_address *ret);
/* A listen specification: "*:25" (IPv4 and IPv6: two addresses), "127.0.0.1:2525", "[::1]:587", ":25" as "*:25".
 * Fills at most 2. */
enum err net_address_parse_listen(struct view spec, struct net_address ret[2], size_t *ret_count) MUST_CHECK;
/* "192.0.2.1" or "2001:db8::1"; text is NUL-terminated. */
struct net_address_text {
	char text[INET6_ADDRSTRLEN];
};
struct net_address_text net_address_ip(const struct net_address *address);
uint16_t net_address_port(const struct net_address *address);
bool net_address_is_v6(const struct net_address *address);
/* A number for the network it is in, as its owner has it at least: IPv4 /24, IPv6 /48. Below 2^56. */
uint64_t net_address_network(const struct net_address *address);
bool net_address_is_loopback(const struct net_address *address);
/* Same IP (ports ignored). */
bool net_address_same_ip(const struct net_address *a, const struct net_address *b);

/* "10.0.0.0/8", "2001:db8::/32", or a bare address. */
struct net_range {
	struct net_address base;
	unsigned prefix_bits;
};
enum err net_range_parse(struct view text, struct net_range *ret) MUST_CHECK;
bool net_range_contains(const struct net_range *range, const struct net_address *address);

#endif
