#include "net/resolver.h"

/* A purpose's groups are apart from the others', as the upper bits say. */
#define PURPOSE_SHIFT 56

static struct places_key key(enum resolver_purpose purpose, uint64_t group, uint64_t member)
{
	uint64_t mask = (UINT64_C(1) << PURPOSE_SHIFT) - 1;
	return (struct places_key){ (uint64_t)purpose << PURPOSE_SHIFT | (group & mask), member };
}

struct places_key resolver_share_client(const struct net_address *client, uint64_t session)
{
	return key(RESOLVER_FOR_CLIENTS, net_address_network(client), session);
}

struct places_key resolver_share_named(enum resolver_purpose purpose, struct view name)
{
	/* Who finds another name with the same number shares with that one's owner, no more. */
	return key(purpose, view_hash_nocase(name), 0);
}
