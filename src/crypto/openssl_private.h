/* What this room's files share of OpenSSL. */
#ifndef CRYPTO_OPENSSL_PRIVATE_H
#define CRYPTO_OPENSSL_PRIVATE_H

/* OpenSSL has a type of this name. */
#define ERR_STATE OPENSSL_ERR_STATE
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#undef ERR_STATE

/* SHA-256, looked up once: EVP_sha256() makes OpenSSL search its providers at every use, which costs more than a small hash. */
const EVP_MD *crypto_sha256(void);

#endif
