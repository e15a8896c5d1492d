#include "crypto/random.h"

#include "base/err.h"
#include "crypto/sodium_private.h"

#include <sodium.h>
#include <stdatomic.h>
#include <stdbool.h>

void crypto_sodium_ready(void)
{
	static _Atomic bool ready;
	if (atomic_load_explicit(&ready, memory_order_acquire))
		return;
	/* Thread-safe and idempotent; it fails only where the system has no generator at all. */
	ASSERT(sodium_init() >= 0);
	atomic_store_explicit(&ready, true, memory_order_release);
}

void random_bytes(void *out, size_t len)
{
	crypto_sodium_ready();
	randombytes_buf(out, len);
}

uint32_t random_below(uint32_t bound)
{
	ASSERT(bound > 0);
	crypto_sodium_ready();
	return randombytes_uniform(bound);
}
