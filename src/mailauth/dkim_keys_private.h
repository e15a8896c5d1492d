/* How the verifier uses dkim_keys.h. */
#ifndef MAILAUTH_DKIM_KEYS_PRIVATE_H
#define MAILAUTH_DKIM_KEYS_PRIVATE_H

#include "crypto/signature.h"
#include "mailauth/dkim_keys.h"

/* A key of one's own (signature_public_free()) for that p= as the record writes it, or NULL. */
struct signature_public *dkim_keys_find(struct dkim_keys *keys, enum signature_kind kind, struct view p);
void dkim_keys_add(struct dkim_keys *keys, enum signature_kind kind, struct view p, const struct signature_public *key);

#endif
