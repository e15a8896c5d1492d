#include "crypto/hash.h"

#include "base/mem.h"
#include "crypto/openssl_private.h"

struct hash {
	EVP_MD_CTX *ctx;
};

/* OpenSSL fails at these only when it has no memory or no SHA-256 at all: nothing a peer could cause. */
static struct hash *new_hash(void)
{
	struct hash *hash = mem_alloc(sizeof *hash);
	hash->ctx = EVP_MD_CTX_new();
	ASSERT(hash->ctx != NULL);
	return hash;
}

struct hash *hash_new(void)
{
	struct hash *hash = new_hash();
	ASSERT(EVP_DigestInit_ex2(hash->ctx, crypto_sha256(), NULL) == 1);
	return hash;
}

struct hash *hash_dup(const struct hash *hash)
{
	struct hash *copy = new_hash();
	ASSERT(EVP_MD_CTX_copy_ex(copy->ctx, hash->ctx) == 1);
	return copy;
}

void hash_free(struct hash *hash)
{
	if (hash == NULL)
		return;
	EVP_MD_CTX_free(hash->ctx);
	mem_free(hash);
}

void hash_feed(struct hash *hash, struct view bytes)
{
	if (bytes.len > 0)
		ASSERT(EVP_DigestUpdate(hash->ctx, bytes.ptr, bytes.len) == 1);
}

void hash_finish(struct hash *hash, uint8_t ret[HASH_BYTES])
{
	ASSERT(EVP_DigestFinal_ex(hash->ctx, ret, NULL) == 1);
	ASSERT(EVP_DigestInit_ex2(hash->ctx, NULL, NULL) == 1);
}

void hash_peek(const struct hash *hash, uint8_t ret[HASH_BYTES])
{
	struct hash *copy = hash_dup(hash);
	ASSERT(EVP_DigestFinal_ex(copy->ctx, ret, NULL) == 1);
	hash_free(copy);
}

void hash_once(struct view bytes, uint8_t ret[HASH_BYTES])
{
	ASSERT(EVP_Digest(bytes.len > 0 ? (const void *)bytes.ptr : "", bytes.len, ret, NULL, crypto_sha256(), NULL) ==
		1);
}

void hash_sha512_once(struct view bytes, uint8_t ret[HASH_SHA512_BYTES])
{
	/* Used once or twice a connection at most, so the search that crypto_sha256() avoids does not matter here. */
	ASSERT(EVP_Digest(bytes.len > 0 ? (const void *)bytes.ptr : "", bytes.len, ret, NULL, EVP_sha512(), NULL) == 1);
}
