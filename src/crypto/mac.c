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

void mac_from_password(struct view password, struct view salt, uint32_t iterations, uint8_t ret[MAC_BYTES])
{
	static const uint8_t empty[1];
	ASSERT(iterations >= 1 && iterations <= INT32_MAX && password.len <= INT32_MAX && salt.len <= INT32_MAX);
	int made = PKCS5_PBKDF2_HMAC(password.len > 0 ? (const char *)password.ptr : (const char *)empty,
		(int)password.len, salt.len > 0 ? salt.ptr : empty, (int)salt.len, (int)iterations, crypto_sha256(),
		MAC_BYTES, ret);
	ASSERT(made == 1);
}

bool mac_equal(struct view a, struct view b)
{
	return a.len == b.len && (a.len == 0 || CRYPTO_memcmp(a.ptr, b.ptr, a.len) == 0);
}
