#include "crypto/signature_private.h"

/* The text goes through OpenSSL's BIOs in memory; no file is touched. */

#define PEM_MAX_BYTES (64u * 1024)

/* Without this OpenSSL would ask for a passphrase at the terminal. */
static int refuse_passphrase(char *out, int size, int is_writing, void *asked)
{
	(void)out, (void)size, (void)is_writing;
	*(bool *)asked = true;
	return -1;
}

static bool is_usable(EVP_PKEY *pkey)
{
	int kind = EVP_PKEY_get_base_id(pkey), bits = EVP_PKEY_get_bits(pkey);
	return kind == EVP_PKEY_ED25519 ||
		(kind == EVP_PKEY_RSA && bits >= (int)SIGNATURE_RSA_MIN_BITS && bits <= (int)SIGNATURE_RSA_MAX_BITS);
}

enum err signature_private_read_pem(struct view pem, struct signature_private **ret)
{
	if (pem.len == 0 || pem.len > PEM_MAX_BYTES)
		return err_set(ERR_SYNTAX, "no PEM text of a private key");
	bool asked = false;
	BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
	ASSERT(bio != NULL);
	EVP_PKEY *pkey = PEM_read_bio_PrivateKey(bio, NULL, refuse_passphrase, &asked);
	BIO_free(bio);
	ERR_clear_error();
	if (pkey == NULL)
		return asked ? err_set(ERR_UNSUPPORTED, "the private key wants a passphrase")
			     : err_set(ERR_SYNTAX, "no PEM text of a private key");
	if (!is_usable(pkey)) {
		EVP_PKEY_free(pkey);
		return err_set(ERR_UNSUPPORTED, "the private key is neither RSA of %u to %u bits nor Ed25519",
			SIGNATURE_RSA_MIN_BITS, SIGNATURE_RSA_MAX_BITS);
	}
	*ret = signature_private_of(pkey);
	return ERR_OK;
}

enum err signature_private_write_pem(const struct signature_private *key, struct buf *out)
{
	BIO *bio = BIO_new(BIO_s_mem());
	ASSERT(bio != NULL);
	enum err err = ERR_OK;
	char *text;
	/* PKCS#8, which is the one form that has room for Ed25519. */
	if (PEM_write_bio_PKCS8PrivateKey(bio, key->pkey, NULL, NULL, 0, NULL, NULL) != 1) {
		ERR_clear_error();
		err = err_set(ERR_UNSUPPORTED, "OpenSSL does not give the private key");
	} else {
		long len = BIO_get_mem_data(bio, &text);
		err = buf_append(out, view_of(text, (size_t)len));
	}
	/* It wipes what it held (BUF_MEM_free()). */
	BIO_free(bio);
	return err;
}
