/* SHA-256, fed in pieces: what signatures of mail are made over (RFC 6376 §3.3; SHA-1 is not here, RFC 8301 §3.1 ended its use). */
#ifndef CRYPTO_HASH_H
#define CRYPTO_HASH_H

#include "base/view.h"

#define HASH_BYTES 32u

struct hash;

struct hash *hash_new(void);
/* Another one that was fed the same. */
struct hash *hash_dup(const struct hash *hash);
/* NULL is fine. */
void hash_free(struct hash *hash);

void hash_feed(struct hash *hash, struct view bytes);
/* The digest of all that was fed so far; more may follow. */
void hash_peek(const struct hash *hash, uint8_t ret[HASH_BYTES]);
/* The digest; the hash is then as new. */
void hash_finish(struct hash *hash, uint8_t ret[HASH_BYTES]);

/* In one go. */
void hash_once(struct view bytes, uint8_t ret[HASH_BYTES]);

/* SHA-512 in one go, for TLSA records (RFC 6698 §2.1.3). */
#define HASH_SHA512_BYTES 64u
void hash_sha512_once(struct view bytes, uint8_t ret[HASH_SHA512_BYTES]);

#endif
