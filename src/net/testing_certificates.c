#include "net/testing_certificates.h"

#include "net/testing.h"
#include "net/tls_private.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <unistd.h>

static char folder[64];
static const char *const names[] = { "ca.pem", "cert.pem", "key.pem", "rsa.pem", "rsa-key.pem", "other-ca.pem",
	"locked-key.pem", "empty.pem", "text.pem", "expired.pem", "chain.pem", "self.pem", "policy.pem" };

const char *certificate_path(const char *name)
{
	static char paths[4][128];
	static unsigned turn;
	char *path = paths[turn++ % 4];
	snprintf(path, sizeof paths[0], "%s/%s", folder, name);
	return path;
}

static void write_text(const char *name, const char *text)
{
	FILE *file = fopen(certificate_path(name), "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void write_key(const char *name, EVP_PKEY *key, const char *passphrase)
{
	FILE *file = fopen(certificate_path(name), "w");
	assert_non_null(file);
	assert_int_equal(PEM_write_PKCS8PrivateKey(file, key, passphrase != NULL ? EVP_aes_128_cbc() : NULL, NULL, 0,
				 NULL, passphrase != NULL ? (void *)(uintptr_t)passphrase : NULL),
		1);
	assert_int_equal(fclose(file), 0);
}

static void append_certificate(const char *name, X509 *certificate)
{
	FILE *file = fopen(certificate_path(name), "a");
	assert_non_null(file);
	assert_int_equal(PEM_write_X509(file, certificate), 1);
	assert_int_equal(fclose(file), 0);
}

static void write_certificate(const char *name, X509 *certificate)
{
	write_text(name, "");
	append_certificate(name, certificate);
}

static void add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	assert_non_null(extension);
	assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

static X509 *make_certificate(
	const char *name, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key, const char *alt_names)
{
	static long serial = 1;
	X509 *certificate = X509_new();
	assert_non_null(certificate);
	X509_set_version(certificate, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
	X509_set_pubkey(certificate, key);
	X509_NAME *subject = X509_get_subject_name(certificate);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	if (issuer == NULL)
		issuer = certificate;
	X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
	add_extension(certificate, issuer, NID_basic_constraints, alt_names == NULL ? "critical,CA:TRUE" : "CA:FALSE");
	if (alt_names != NULL)
		add_extension(certificate, issuer, NID_subject_alt_name, alt_names);
	assert_true(X509_sign(certificate, issuer_key, EVP_sha256()) > 0);
	return certificate;
}

void certificates_make(void)
{
	static const char alt_names[] = "DNS:mail.example.test,IP:127.0.0.1";
	snprintf(folder, sizeof folder, "/tmp/postrider-test-XXXXXX");
	assert_non_null(mkdtemp(folder));
	EVP_PKEY *ca_key = EVP_EC_gen("P-256");
	EVP_PKEY *key = EVP_EC_gen("P-256");
	EVP_PKEY *rsa_key = EVP_RSA_gen(2048);
	X509 *ca = make_certificate("a test authority", ca_key, NULL, ca_key, NULL);
	X509 *other_ca = make_certificate("another test authority", key, NULL, key, NULL);
	X509 *certificate = make_certificate("mail.example.test", key, ca, ca_key, alt_names);
	X509 *rsa = make_certificate("mail.example.test", rsa_key, ca, ca_key, alt_names);
	/* Out of date by an hour; signed by itself, for another name. */
	X509 *expired = make_certificate("mail.example.test", key, ca, ca_key, alt_names);
	X509_gmtime_adj(X509_getm_notBefore(expired), -7200);
	X509_gmtime_adj(X509_getm_notAfter(expired), -3600);
	assert_true(X509_sign(expired, ca_key, EVP_sha256()) > 0);
	X509 *self = make_certificate("mail.example.test", key, NULL, key, "DNS:elsewhere.example.test");
	write_certificate("expired.pem", expired);
	write_certificate("self.pem", self);
	write_certificate("chain.pem", certificate);
	append_certificate("chain.pem", ca);
	X509 *policy = make_certificate("policy hosts", key, ca, ca_key,
		"DNS:mta-sts.one.test,DNS:mta-sts.two.test,DNS:mta-sts.three.test,DNS:mta-sts.four.test");
	write_certificate("policy.pem", policy);
	X509_free(policy);
	X509_free(expired);
	X509_free(self);
	write_certificate("ca.pem", ca);
	write_certificate("other-ca.pem", other_ca);
	write_certificate("cert.pem", certificate);
	write_certificate("rsa.pem", rsa);
	write_key("key.pem", key, NULL);
	write_key("rsa-key.pem", rsa_key, NULL);
	write_key("locked-key.pem", key, "secret");
	write_text("empty.pem", "");
	write_text("text.pem", "This is not PEM.\n");
	X509_free(ca);
	X509_free(other_ca);
	X509_free(certificate);
	X509_free(rsa);
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(key);
	EVP_PKEY_free(rsa_key);
}

void certificates_remove(void)
{
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		unlink(certificate_path(names[i]));
	rmdir(folder);
}
