/*
 * Signatures over a SHA-256 digest, as DKIM and its kin make them: RSASSA-PKCS1-v1_5 (RFC 8017 §8.2) and Ed25519, which signs the
 * digest's 32 bytes (RFC 8463 §3). Any number of threads may use one private key; a public key and its duplicates are for one thread.
 */
#ifndef CRYPTO_SIGNATURE_H
#define CRYPTO_SIGNATURE_H

#include "base/buf.h"
#include "crypto/hash.h"

#define SIGNATURE_RSA_MIN_BITS 512u /* read at all; whoever decides asks for more (RFC 8301 §3.2: 1024) */
#define SIGNATURE_RSA_MAX_BITS 8192u
#define SIGNATURE_RSA_MIN_NEW_BITS 2048u
#define SIGNATURE_MAX_BYTES (SIGNATURE_RSA_MAX_BITS / 8)
#define SIGNATURE_ED25519_KEY_BYTES 32u
#define SIGNATURE_ED25519_BYTES 64u

enum signature_kind { SIGNATURE_RSA, SIGNATURE_ED25519 };

struct signature_private; /* a key pair */
struct signature_public;

/* A new key; `rsa_bits` (SIGNATURE_RSA_MIN_NEW_BITS–SIGNATURE_RSA_MAX_BITS) is not looked at for Ed25519. RSA takes some 100 ms and
 * more: not on a loop. ERR_LIMIT for other sizes. */
enum err signature_generate(enum signature_kind kind, unsigned rsa_bits, struct signature_private **ret) MUST_CHECK;
/* A PEM text without a passphrase: PKCS#8, or PKCS#1 ("RSA PRIVATE KEY"). ERR_SYNTAX, ERR_UNSUPPORTED for other kinds, sizes, and
 * for one that needs a passphrase. */
enum err signature_private_read_pem(struct view pem, struct signature_private **ret) MUST_CHECK;
/* Ed25519's 32 secret bytes. ERR_SYNTAX for another length. */
enum err signature_private_read_raw(struct view seed, struct signature_private **ret) MUST_CHECK;
/* PKCS#8 PEM, not encrypted: whoever keeps the text keeps the secret. */
enum err signature_private_write_pem(const struct signature_private *key, struct buf *out) MUST_CHECK;
enum signature_kind signature_private_kind(const struct signature_private *key);
unsigned signature_private_bits(const struct signature_private *key); /* 256 for Ed25519 */
/* The public half in the form that DNS publishes: RSA as DER SubjectPublicKeyInfo, Ed25519 as its 32 bytes. */
enum err signature_private_public(const struct signature_private *key, struct buf *out) MUST_CHECK;
/* Wipes it. NULL is fine. */
void signature_private_free(struct signature_private *key);

/* RSA from DER, strictly: SubjectPublicKeyInfo (RFC 5280 §4.1.2.7) or RSAPublicKey (RFC 8017 A.1.1), nothing behind it. ERR_SYNTAX;
 * ERR_UNSUPPORTED for another algorithm, another size, or an exponent above 32 bits (which only makes verifying slow). */
enum err signature_public_read_der(struct view der, struct signature_public **ret) MUST_CHECK;
/* Ed25519 from its 32 bytes. ERR_SYNTAX for another length. */
enum err signature_public_read_raw(struct view bytes, struct signature_public **ret) MUST_CHECK;
enum signature_kind signature_public_kind(const struct signature_public *key);
unsigned signature_public_bits(const struct signature_public *key); /* 256 for Ed25519 */
/* What the first verification with it costs, in units of about a microsecond: for whoever has a budget. An estimate from the key's form alone, so the same
 * everywhere: RSA grows with the square of its size and with the length of its exponent, which strangers choose. */
#define SIGNATURE_WORK_RSA_2048 26u /* with the exponent that all have, 65537 */
#define SIGNATURE_WORK_ED25519 96u
unsigned signature_public_work(const struct signature_public *key);
/* The same key once more, to be freed on its own. */
struct signature_public *signature_public_dup(struct signature_public *key);
/* True if they are the same key, whatever form they came in. */
bool signature_public_equal(const struct signature_public *a, const struct signature_public *b);
/* NULL is fine. */
void signature_public_free(struct signature_public *key);

/* Appends the signature of the digest. */
enum err signature_sign(
	const struct signature_private *key, const uint8_t digest[HASH_BYTES], struct buf *out) MUST_CHECK;
/* True if the signature is that key's for that digest. */
bool signature_matches(struct signature_public *key, const uint8_t digest[HASH_BYTES], struct view signature);

#endif
