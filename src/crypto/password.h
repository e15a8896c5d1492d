/* Password hashes: argon2id through libsodium. Slow by intent: call on a worker thread. */
#ifndef CRYPTO_PASSWORD_H
#define CRYPTO_PASSWORD_H

#include "base/buf.h"

/* "$argon2id$…" for a password of 1–1024 bytes. */
enum err password_hash(struct view password, struct buf *ret_hash) MUST_CHECK;
/* True if it matches. An empty hash never matches, yet takes as long as one that does (no probing for account names). */
bool password_matches(struct view password, struct view hash);

#endif
