/* How the verifier uses dkim_keys.h. */
#ifndef MAILAUTH_DKIM_KEYS_PRIVATE_H
#define MAILAUTH_DKIM_KEYS_PRIVATE_H

#include "mailauth/dkim_private.h"

/* As dkim_key_parse(), for a record that may be known already. `keys` may be NULL. */
const char *dkim_keys_parse(struct dkim_keys *keys, struct view text, struct dkim_key *ret);

#endif
