/* Inside of crypto/signature.h. */
#ifndef CRYPTO_SIGNATURE_PRIVATE_H
#define CRYPTO_SIGNATURE_PRIVATE_H

#include "crypto/openssl_private.h"
#include "crypto/signature.h"

struct signature_private {
	EVP_PKEY *pkey;
	enum signature_kind kind;
	unsigned bits;
};

/* Takes the key over. */
struct signature_private *signature_private_of(EVP_PKEY *pkey);

/* An RSA public key taken apart: RFC 5280 §4.1.2.7 and RFC 8017 A.1.1, without OpenSSL. */
struct rsa_numbers {
	struct view modulus, exponent; /* big-endian, without leading zeros; never empty */
};

/* ERR_SYNTAX, ERR_UNSUPPORTED for a SubjectPublicKeyInfo of another algorithm. */
enum err rsa_numbers_parse(struct view der, struct rsa_numbers *ret) MUST_CHECK;

#endif
