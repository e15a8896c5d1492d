#include "policy/client_key.h"

static uint64_t big_endian(const uint8_t *bytes, size_t count)
{
	uint64_t n = 0;
	for (size_t i = 0; i < count; i++)
		n = n << 8 | bytes[i];
	return n;
}

struct client_key client_key_make(struct view ip)
{
	static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
	ASSERT(ip.len == 4 || ip.len == 16);
	if (ip.len == 16 && !view_starts_with(ip, view_of(mapped, sizeof mapped)))
		return (struct client_key){ .network = big_endian(ip.ptr, 8) };
	return (struct client_key){ .host = UINT64_C(0xffff) << 32 | big_endian(ip.ptr + ip.len - 4, 4) };
}

/* The finaliser of MurmurHash3: every bit of the input reaches every bit of the output. */
static uint64_t mix(uint64_t h)
{
	h = (h ^ h >> 33) * UINT64_C(0xff51afd7ed558ccd);
	h = (h ^ h >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
	return h ^ h >> 33;
}

uint64_t client_key_hash(struct client_key key, uint64_t secret)
{
	return mix(mix(key.network ^ secret) + key.host * UINT64_C(0x9e3779b97f4a7c15) + secret);
}
