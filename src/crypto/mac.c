#include "crypto/mac.h"

#include "crypto/openssl_private.h"

#include <openssl/crypto.h>
#include <openssl/hmac.h>

void mac_once(struct view key, struct view bytes, uint8_t ret[MAC_BYTES])
{
	unsigned len = 0;
	static const uint8_t empty[1];
	ASSERT(key.len <= 1024);
	const unsigned char *made = HMAC(crypto_sha256(), key.len > 0 ? key.ptr : empty, (int)key.len,
		bytes.len > 0 ? bytes.ptr : empty, bytes.len, ret, &len);
	ASSERT(made != NULL && len == MAC_BYTES);
}

bool mac_equal(struct view a, struct view b)
{
	return a.len == b.len && (a.len == 0 || CRYPTO_memcmp(a.ptr, b.ptr, a.len) == 0);
}
