#include "cli/certificate.h"

#include "crypto/hash.h"

#include "base/mem.h"

/* OpenSSL has a type of this name. */
#define ERR_STATE OPENSSL_ERR_STATE
#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#undef ERR_STATE

#include <time.h>

#define VALID_DAYS 3650

static enum err failed(const char *what)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());
	enum err err = err_set(ERR_TLS, "cannot %s: %s", what, reason != NULL ? reason : "no reason given");
	ERR_clear_error();
	return err;
}

static bool add_extension(X509 *certificate, int nid, const char *value)
{
	X509V3_CTX context;
	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	bool added = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
	X509_EXTENSION_free(extension);
	return added;
}

/* RFC 5280 §4.1.2.2: positive, at most 20 bytes, not guessable. */
static bool set_serial(X509 *certificate)
{
	uint8_t bytes[16];
	if (RAND_bytes(bytes, sizeof bytes) != 1)
		return false;
	bytes[0] &= 0x7f;
	BIGNUM *number = BN_bin2bn(bytes, sizeof bytes, NULL);
	bool set = number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
	BN_free(number);
	return set;
}

static bool fill(X509 *certificate, EVP_PKEY *key, const char *hostname, int64_t now_s)
{
	struct buf name = { 0 };
	X509_NAME *subject = X509_get_subject_name(certificate);
	time_t now = (time_t)now_s;
	/* The common name holds at most 64 bytes (RFC 5280 upper bounds); the name that counts is in the extension. */
	struct view common = view_sub(view_from_cstr(hostname), 0, 64);
	bool filled = buf_append_format(&name, "DNS:%s", hostname) == ERR_OK && X509_set_version(certificate, 2) == 1 &&
		set_serial(certificate) &&
		/* A clock that is a little behind elsewhere does not make it invalid. */
		X509_time_adj_ex(X509_getm_notBefore(certificate), 0, -3600, &now) != NULL &&
		X509_time_adj_ex(X509_getm_notAfter(certificate), VALID_DAYS, 0, &now) != NULL &&
		X509_set_pubkey(certificate, key) == 1 &&
		X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, common.ptr, (int)common.len, -1, 0) == 1 &&
		X509_set_issuer_name(certificate, subject) == 1 &&
		add_extension(certificate, NID_subject_alt_name, buf_cstr(&name)) &&
		add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
		add_extension(certificate, NID_key_usage, "critical,digitalSignature,keyCertSign") &&
		add_extension(certificate, NID_ext_key_usage, "serverAuth,clientAuth") &&
		add_extension(certificate, NID_subject_key_identifier, "hash") &&
		X509_sign(certificate, key, EVP_sha256()) > 0;
	buf_clear(&name);
	return filled;
}

static enum err take_text(BIO *bio, struct buf *out)
{
	char *text;
	long len = BIO_get_mem_data(bio, &text);
	return len > 0 ? buf_append(out, view_of(text, (size_t)len)) : ERR_IO;
}

enum err certificate_make_self_signed(
	const char *hostname, int64_t now_s, struct buf *ret_certificate, struct buf *ret_key)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();
	BIO *certificate_text = BIO_new(BIO_s_mem());
	BIO *key_text = BIO_new(BIO_s_mem());
	enum err err;
	if (key == NULL || certificate == NULL || certificate_text == NULL || key_text == NULL ||
		!fill(certificate, key, hostname, now_s) || PEM_write_bio_X509(certificate_text, certificate) != 1 ||
		PEM_write_bio_PKCS8PrivateKey(key_text, key, NULL, NULL, 0, NULL, NULL) != 1) {
		err = failed("make a certificate");
	} else {
		err = take_text(certificate_text, ret_certificate);
		if (err == ERR_OK)
			err = take_text(key_text, ret_key);
	}
	BIO_free(certificate_text);
	BIO_free(key_text);
	X509_free(certificate);
	EVP_PKEY_free(key);
	return err;
}

static int64_t unix_time(const ASN1_TIME *time)
{
	struct tm broken;
	return ASN1_TIME_to_tm(time, &broken) == 1 ? (int64_t)timegm(&broken) : 0;
}

/* The first certificate of a PEM file; NULL with err_detail(). */
static X509 *read_first(const char *path)
{
	BIO *file = BIO_new_file(path, "r");
	X509 *certificate = file != NULL ? PEM_read_bio_X509(file, NULL, NULL, NULL) : NULL;
	BIO_free(file);
	if (certificate == NULL) {
		struct buf what = { 0 };
		if (buf_append_format(&what, "read the certificate %s", path) == ERR_OK)
			(void)failed(buf_cstr(&what));
		buf_clear(&what);
	}
	return certificate;
}

enum err certificate_read(const char *path, const char *hostname, struct certificate_facts *ret)
{
	X509 *certificate = read_first(path);
	if (certificate == NULL)
		return ERR_TLS;
	*ret = (struct certificate_facts){
		.not_before_s = unix_time(X509_get0_notBefore(certificate)),
		.not_after_s = unix_time(X509_get0_notAfter(certificate)),
		.self_signed = X509_self_signed(certificate, 0) == 1,
		.names_host = X509_check_host(certificate, hostname, 0, 0, NULL) == 1,
	};
	X509_free(certificate);
	return ERR_OK;
}

enum err certificate_key_hash(const char *path, struct buf *out)
{
	X509 *certificate = read_first(path);
	if (certificate == NULL)
		return ERR_TLS;
	uint8_t *der = NULL, hash[HASH_BYTES];
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
	enum err err = len > 0 ? ERR_OK : failed("read the certificate's key");
	if (err == ERR_OK)
		hash_once(view_of(der, (size_t)len), hash);
	for (size_t i = 0; i < sizeof hash && err == ERR_OK; i++)
		err = buf_append_format(out, "%02x", hash[i]);
	OPENSSL_free(der);
	X509_free(certificate);
	return err;
}
