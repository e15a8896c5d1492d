#include "net/resolver.h"

/* A purpose's groups are apart from the others', as the upper bits say; an IPv6 network's from an IPv4 network's. */
#define PURPOSE_SHIFT 56
#define IS_V6 (UINT64_C(1) << 48)
#define V4_NETWORK_BYTES 3u
#define V6_NETWORK_BYTES 6u

static uint64_t big_endian(const uint8_t *bytes, size_t count)
{
	uint64_t n = 0;
	for (size_t i = 0; i < count; i++)
		n = n << 8 | bytes[i];
	return n;
}

static struct places_key key(enum resolver_purpose purpose, uint64_t group, uint64_t member)
{
	uint64_t mask = (UINT64_C(1) << PURPOSE_SHIFT) - 1;
	return (struct places_key){ (uint64_t)purpose << PURPOSE_SHIFT | (group & mask), member };
}

struct places_key resolver_share_client(const struct net_address *client, uint64_t session)
{
	uint64_t network = net_address_is_v6(client)
		? IS_V6 | big_endian((const uint8_t *)&client->v6.sin6_addr, V6_NETWORK_BYTES)
		: big_endian((const uint8_t *)&client->v4.sin_addr, V4_NETWORK_BYTES);
	return key(RESOLVER_FOR_CLIENTS, network, session);
}

struct places_key resolver_share_named(enum resolver_purpose purpose, struct view name)
{
	/* Who finds another name with the same number shares with that one's owner, no more. */
	return key(purpose, view_hash_nocase(name), 0);
}
