/* libsodium wants to be started once before its first use; every function of this room calls this first. */
#ifndef CRYPTO_SODIUM_PRIVATE_H
#define CRYPTO_SODIUM_PRIVATE_H

void crypto_sodium_ready(void);

#endif
