#include "crypto/openssl_private.h"

#include "base/err.h"

#include <stdatomic.h>
#include <stddef.h>

const EVP_MD *crypto_sha256(void)
{
	static _Atomic(EVP_MD *) kept;
	EVP_MD *md = atomic_load_explicit(&kept, memory_order_acquire);
	if (md != NULL)
		return md;
	md = EVP_MD_fetch(NULL, "SHA256", NULL);
	ASSERT(md != NULL);
	EVP_MD *other = NULL;
	/* Two threads may come here at once; the later one's is not needed. */
	if (!atomic_compare_exchange_strong_explicit(&kept, &other, md, memory_order_acq_rel, memory_order_acquire)) {
		EVP_MD_free(md);
		md = other;
	}
	return md;
}
