/* A hash table with open addressing, linear probing and no deleted marks: a slot that becomes free is filled from behind, so the table does not
 * wear out with connections that come and go. It is never more than half full. */
#include "policy/limits.h"

#include "base/mem.h"
#include "policy/client_key.h"

struct slot {
	struct client_key key;
	uint32_t connections; /* 0 = free */
};

struct connection_limits {
	uint32_t connections_max, per_client_max, connections;
	uint64_t secret;
	size_t clients;
	size_t mask; /* slots less one; slots are a power of two */
	struct slot *slots;
};

#define SLOTS_MIN 64u

struct connection_limits *connection_limits_new(uint32_t connections_max, uint32_t per_client_max, uint64_t secret)
{
	struct connection_limits *limits = mem_alloc(sizeof *limits);
	*limits = (struct connection_limits){ .connections_max = connections_max,
		.per_client_max = per_client_max,
		.secret = secret,
		.mask = SLOTS_MIN - 1 };
	limits->slots = mem_alloc_array(SLOTS_MIN, sizeof *limits->slots);
	return limits;
}

void connection_limits_free(struct connection_limits *limits)
{
	if (limits == NULL)
		return;
	mem_free(limits->slots);
	mem_free(limits);
}

void connection_limits_change(struct connection_limits *limits, uint32_t connections_max, uint32_t per_client_max)
{
	limits->connections_max = connections_max;
	limits->per_client_max = per_client_max;
}

static size_t home(const struct connection_limits *limits, struct client_key key)
{
	return client_key_hash(key, limits->secret) & limits->mask;
}

/* The key's slot, or the free one where it would be. */
static size_t find(const struct connection_limits *limits, struct client_key key)
{
	size_t at = home(limits, key);
	while (limits->slots[at].connections > 0 && !client_key_eq(limits->slots[at].key, key))
		at = (at + 1) & limits->mask;
	return at;
}

static void resize(struct connection_limits *limits, size_t count)
{
	struct slot *old = limits->slots;
	size_t old_count = limits->mask + 1;
	limits->slots = mem_alloc_array(count, sizeof *limits->slots);
	limits->mask = count - 1;
	for (size_t i = 0; i < old_count; i++)
		if (old[i].connections > 0)
			limits->slots[find(limits, old[i].key)] = old[i];
	mem_free(old);
}

bool connection_limits_open(struct connection_limits *limits, struct view ip, struct smtp_reply *ret_refusal)
{
	if (limits->connections >= limits->connections_max) {
		*ret_refusal = smtp_reply_make(421, "4.7.0", "Too many connections to this server; try again later");
		return false;
	}
	struct client_key key = client_key_make(ip);
	struct slot *slot = &limits->slots[find(limits, key)];
	if (slot->connections >= limits->per_client_max) {
		*ret_refusal = smtp_reply_make(
			421, "4.7.0", "Too many connections from your address; close some first");
		return false;
	}
	if (slot->connections == 0) {
		if ((limits->clients + 1) * 2 > limits->mask + 1) {
			resize(limits, (limits->mask + 1) * 2);
			slot = &limits->slots[find(limits, key)];
		}
		slot->key = key;
		limits->clients++;
	}
	slot->connections++;
	limits->connections++;
	return true;
}

/* Moves later members of the run into the hole, unless that would put them before their home. */
static void close_gap(struct connection_limits *limits, size_t hole)
{
	size_t at = hole;
	for (;;) {
		at = (at + 1) & limits->mask;
		if (limits->slots[at].connections == 0)
			break;
		size_t distance_from_home = (at - home(limits, limits->slots[at].key)) & limits->mask;
		if (distance_from_home >= ((at - hole) & limits->mask)) {
			limits->slots[hole] = limits->slots[at];
			hole = at;
		}
	}
	limits->slots[hole] = (struct slot){ 0 };
}

void connection_limits_close(struct connection_limits *limits, struct view ip)
{
	size_t at = find(limits, client_key_make(ip));
	ASSERT(limits->slots[at].connections > 0 && limits->connections > 0);
	limits->connections--;
	if (--limits->slots[at].connections > 0)
		return;
	limits->clients--;
	close_gap(limits, at);
	/* After a flood, its memory goes back. */
	if (limits->mask + 1 > SLOTS_MIN && limits->clients * 8 < limits->mask + 1)
		resize(limits, (limits->mask + 1) / 2);
}

uint32_t connection_limits_count(const struct connection_limits *limits)
{
	return limits->connections;
}

uint32_t connection_limits_count_of(const struct connection_limits *limits, struct view ip)
{
	return limits->slots[find(limits, client_key_make(ip))].connections;
}
