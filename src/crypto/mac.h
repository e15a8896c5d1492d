/* HMAC with SHA-256 (RFC 2104): proof that we wrote something ourselves. */
#ifndef CRYPTO_MAC_H
#define CRYPTO_MAC_H

#include "base/view.h"

#define MAC_BYTES 32u

void mac_once(struct view key, struct view bytes, uint8_t ret[MAC_BYTES]);
/* PBKDF2 over it (RFC 8018 §5.2), one block: a key from a password, slow in proportion to `iterations` (at least 1). */
void mac_from_password(struct view password, struct view salt, uint32_t iterations, uint8_t ret[MAC_BYTES]);
/* Compares without telling by its time where the first difference is. */
bool mac_equal(struct view a, struct view b);

#endif
