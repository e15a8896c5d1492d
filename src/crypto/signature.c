#include "crypto/signature.h"

#include "base/mem.h"
#include "crypto/openssl_private.h"
#include "crypto/signature_private.h"

struct signature_public {
	EVP_PKEY *pkey;
	enum signature_kind kind;
	unsigned bits;
	unsigned work;
	unsigned holders;
	/* Ready to verify with; made for the first signature, since making it costs OpenSSL a fifth of an RSA verification. */
	EVP_PKEY_CTX *rsa;
	EVP_MD_CTX *ed25519;
};

/* OpenSSL's queue of errors belongs to the thread, and TLS on that thread reads it: whatever fails here leaves it empty. */
static enum err failed(enum err err, const char *what)
{
	ERR_clear_error();
	return err_set(err, "%s", what);
}

static enum signature_kind kind_of(EVP_PKEY *pkey)
{
	return EVP_PKEY_get_base_id(pkey) == EVP_PKEY_RSA ? SIGNATURE_RSA : SIGNATURE_ED25519;
}

/* OpenSSL counts Ed25519's bits as 253 or 256, as one likes. */
static unsigned bits_of(EVP_PKEY *pkey)
{
	return kind_of(pkey) == SIGNATURE_RSA ? (unsigned)EVP_PKEY_get_bits(pkey) : 256;
}

struct signature_private *signature_private_of(EVP_PKEY *pkey)
{
	struct signature_private *key = mem_alloc(sizeof *key);
	*key = (struct signature_private){ pkey, kind_of(pkey), bits_of(pkey) };
	return key;
}

static struct signature_public *public_of(EVP_PKEY *pkey, unsigned work)
{
	struct signature_public *key = mem_alloc(sizeof *key);
	*key = (struct signature_public){
		.pkey = pkey, .kind = kind_of(pkey), .bits = bits_of(pkey), .work = work, .holders = 1
	};
	return key;
}

enum signature_kind signature_private_kind(const struct signature_private *key)
{
	return key->kind;
}

unsigned signature_private_bits(const struct signature_private *key)
{
	return key->bits;
}

void signature_private_free(struct signature_private *key)
{
	if (key != NULL)
		EVP_PKEY_free(key->pkey);
	mem_free(key);
}

enum signature_kind signature_public_kind(const struct signature_public *key)
{
	return key->kind;
}

unsigned signature_public_bits(const struct signature_public *key)
{
	return key->bits;
}

unsigned signature_public_work(const struct signature_public *key)
{
	return key->work;
}

struct signature_public *signature_public_dup(struct signature_public *key)
{
	key->holders++;
	return key;
}

bool signature_public_equal(const struct signature_public *a, const struct signature_public *b)
{
	bool equal = EVP_PKEY_eq(a->pkey, b->pkey) == 1;
	ERR_clear_error();
	return equal;
}

void signature_public_free(struct signature_public *key)
{
	if (key == NULL || --key->holders > 0)
		return;
	EVP_PKEY_CTX_free(key->rsa);
	EVP_MD_CTX_free(key->ed25519);
	EVP_PKEY_free(key->pkey);
	mem_free(key);
}

enum err signature_generate(enum signature_kind kind, unsigned rsa_bits, struct signature_private **ret)
{
	EVP_PKEY *pkey;
	if (kind == SIGNATURE_RSA) {
		if (rsa_bits < SIGNATURE_RSA_MIN_NEW_BITS || rsa_bits > SIGNATURE_RSA_MAX_BITS)
			return err_set(ERR_LIMIT, "an RSA key of %u bits: must be %u to %u", rsa_bits,
				SIGNATURE_RSA_MIN_NEW_BITS, SIGNATURE_RSA_MAX_BITS);
		pkey = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)rsa_bits);
	} else {
		pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	}
	if (pkey == NULL)
		return failed(ERR_IO, "OpenSSL could not make a key");
	*ret = signature_private_of(pkey);
	return ERR_OK;
}

enum err signature_private_read_raw(struct view seed, struct signature_private **ret)
{
	if (seed.len != SIGNATURE_ED25519_KEY_BYTES)
		return err_set(ERR_SYNTAX, "an Ed25519 key has %u bytes", SIGNATURE_ED25519_KEY_BYTES);
	EVP_PKEY *pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed.ptr, seed.len);
	if (pkey == NULL)
		return failed(ERR_SYNTAX, "OpenSSL does not take the Ed25519 key");
	*ret = signature_private_of(pkey);
	return ERR_OK;
}

static enum err append_raw_public(EVP_PKEY *pkey, struct buf *out)
{
	uint8_t bytes[SIGNATURE_ED25519_KEY_BYTES];
	size_t len = sizeof bytes;
	if (EVP_PKEY_get_raw_public_key(pkey, bytes, &len) != 1)
		return failed(ERR_UNSUPPORTED, "OpenSSL does not give the public key");
	return buf_append(out, view_of(bytes, len));
}

enum err signature_private_public(const struct signature_private *key, struct buf *out)
{
	if (key->kind == SIGNATURE_ED25519)
		return append_raw_public(key->pkey, out);
	unsigned char *der = NULL;
	int len = i2d_PUBKEY(key->pkey, &der);
	if (len <= 0)
		return failed(ERR_UNSUPPORTED, "OpenSSL does not give the public key");
	enum err err = buf_append(out, view_of(der, (size_t)len));
	OPENSSL_free(der);
	return err;
}

enum err signature_public_read_raw(struct view bytes, struct signature_public **ret)
{
	if (bytes.len != SIGNATURE_ED25519_KEY_BYTES)
		return err_set(ERR_SYNTAX, "an Ed25519 key has %u bytes", SIGNATURE_ED25519_KEY_BYTES);
	EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, bytes.ptr, bytes.len);
	if (pkey == NULL)
		return failed(ERR_SYNTAX, "OpenSSL does not take the Ed25519 key");
	*ret = public_of(pkey, SIGNATURE_WORK_ED25519);
	return ERR_OK;
}

/* PKCS1-v1_5 with SHA-256 on a context that was initialised for signing or verifying. */
static bool choose_pkcs1(EVP_PKEY_CTX *ctx)
{
	return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
		EVP_PKEY_CTX_set_signature_md(ctx, crypto_sha256()) == 1;
}

static bool sign_rsa(EVP_PKEY *pkey, const uint8_t *digest, uint8_t *out, size_t *len)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey, NULL);
	bool done = ctx != NULL && EVP_PKEY_sign_init(ctx) == 1 && choose_pkcs1(ctx) &&
		EVP_PKEY_sign(ctx, out, len, digest, HASH_BYTES) == 1;
	EVP_PKEY_CTX_free(ctx);
	return done;
}

static bool sign_ed25519(EVP_PKEY *pkey, const uint8_t *digest, uint8_t *out, size_t *len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool done = ctx != NULL && EVP_DigestSignInit(ctx, NULL, NULL, NULL, pkey) == 1 &&
		EVP_DigestSign(ctx, out, len, digest, HASH_BYTES) == 1;
	EVP_MD_CTX_free(ctx);
	return done;
}

enum err signature_sign(const struct signature_private *key, const uint8_t digest[HASH_BYTES], struct buf *out)
{
	uint8_t signature[SIGNATURE_MAX_BYTES];
	size_t len = sizeof signature;
	bool done = key->kind == SIGNATURE_RSA ? sign_rsa(key->pkey, digest, signature, &len)
					       : sign_ed25519(key->pkey, digest, signature, &len);
	if (!done)
		return failed(ERR_UNSUPPORTED, "OpenSSL could not sign");
	return buf_append(out, view_of(signature, len));
}

static bool matches_rsa(struct signature_public *key, const uint8_t *digest, struct view signature)
{
	if (key->rsa == NULL) {
		EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key->pkey, NULL);
		if (ctx == NULL || EVP_PKEY_verify_init(ctx) != 1 || !choose_pkcs1(ctx)) {
			EVP_PKEY_CTX_free(ctx);
			return false;
		}
		key->rsa = ctx;
	}
	return EVP_PKEY_verify(key->rsa, signature.ptr, signature.len, digest, HASH_BYTES) == 1;
}

static bool matches_ed25519(struct signature_public *key, const uint8_t *digest, struct view signature)
{
	if (key->ed25519 == NULL) {
		EVP_MD_CTX *ctx = EVP_MD_CTX_new();
		if (ctx == NULL || EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key->pkey) != 1) {
			EVP_MD_CTX_free(ctx);
			return false;
		}
		key->ed25519 = ctx;
	}
	return EVP_DigestVerify(key->ed25519, signature.ptr, signature.len, digest, HASH_BYTES) == 1;
}

bool signature_matches(struct signature_public *key, const uint8_t digest[HASH_BYTES], struct view signature)
{
	if (signature.len == 0)
		return false;
	bool matches = key->kind == SIGNATURE_RSA ? matches_rsa(key, digest, signature)
						  : matches_ed25519(key, digest, signature);
	if (!matches)
		ERR_clear_error();
	return matches;
}

/* OpenSSL's parameters hold numbers in the byte order of the machine. */
static OSSL_PARAM number_parameter(const char *name, struct view big_endian, uint8_t *space)
{
	for (size_t i = 0; i < big_endian.len; i++)
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
		space[i] = big_endian.ptr[big_endian.len - 1 - i];
#else
		space[i] = big_endian.ptr[i];
#endif
	return OSSL_PARAM_construct_BN(name, space, big_endian.len);
}

#define RSA_EXPONENT_MAX_BYTES 4u

static unsigned bit_length(struct view big_endian)
{
	return (unsigned)big_endian.len * 8 - ((unsigned)__builtin_clz(big_endian.ptr[0]) - 24);
}

#define RSA_WORK_BEFORE 10u /* that a new key needs before anything can be computed with it */

/* A squaring for each bit of the exponent, each of so many multiplications of words as the square of the modulus has. */
static unsigned rsa_work(const struct rsa_numbers *rsa)
{
	const unsigned usual = SIGNATURE_WORK_RSA_2048 - RSA_WORK_BEFORE;
	uint64_t bits = bit_length(rsa->modulus), squarings = bit_length(rsa->exponent);
	return RSA_WORK_BEFORE + (unsigned)(bits * bits * squarings * usual / (2048u * 2048u * 17u));
}

enum err signature_public_read_der(struct view der, struct signature_public **ret)
{
	struct rsa_numbers rsa;
	enum err err = rsa_numbers_parse(der, &rsa);
	if (err != ERR_OK)
		return err;
	if (rsa.modulus.len < SIGNATURE_RSA_MIN_BITS / 8 || rsa.modulus.len > SIGNATURE_RSA_MAX_BITS / 8)
		return err_set(ERR_UNSUPPORTED, "the RSA key has %zu bytes", rsa.modulus.len);
	/* Everybody's is 65537 or less. The work grows with it, and a stranger chooses it. */
	if (rsa.exponent.len > RSA_EXPONENT_MAX_BYTES)
		return err_set(ERR_UNSUPPORTED, "the RSA key's exponent has %zu bytes", rsa.exponent.len);
	if (rsa.modulus.ptr[rsa.modulus.len - 1] % 2 == 0 || rsa.exponent.ptr[rsa.exponent.len - 1] % 2 == 0 ||
		(rsa.exponent.len == 1 && rsa.exponent.ptr[0] < 3))
		return err_set(ERR_SYNTAX, "the numbers of the RSA key can't be");
	uint8_t modulus[SIGNATURE_RSA_MAX_BITS / 8], exponent[RSA_EXPONENT_MAX_BYTES];
	OSSL_PARAM parameters[] = { number_parameter(OSSL_PKEY_PARAM_RSA_N, rsa.modulus, modulus),
		number_parameter(OSSL_PKEY_PARAM_RSA_E, rsa.exponent, exponent), OSSL_PARAM_construct_end() };
	EVP_PKEY *pkey = NULL;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	bool done = ctx != NULL && EVP_PKEY_fromdata_init(ctx) == 1 &&
		EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, parameters) == 1;
	EVP_PKEY_CTX_free(ctx);
	if (!done)
		return failed(ERR_SYNTAX, "OpenSSL does not take the RSA key");
	*ret = public_of(pkey, rsa_work(&rsa));
	return ERR_OK;
}
