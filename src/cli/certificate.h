/* Certificates from the administrator's side: made self-signed by `init`, looked at by `check`. */
#ifndef CLI_CERTIFICATE_H
#define CLI_CERTIFICATE_H

#include "base/buf.h"

/* Makes a P-256 key and a self-signed certificate for a host name, valid for 10 years from now_s (Unix time), as PEM texts. */
enum err certificate_make_self_signed(
	const char *hostname, int64_t now_s, struct buf *ret_certificate, struct buf *ret_key) MUST_CHECK;

struct certificate_facts {
	int64_t not_before_s, not_after_s; /* Unix time */
	bool self_signed;
	bool names_host;
};
/* Reads the first certificate of a PEM file. */
enum err certificate_read(const char *path, const char *hostname, struct certificate_facts *ret) MUST_CHECK;

/* The SHA-256 of the public key (its SubjectPublicKeyInfo) of a PEM file's first certificate, in hexadecimal: the data of a TLSA record
 * "3 1 1" (RFC 6698 §2.1, RFC 7671 §5.1). */
enum err certificate_key_hash(const char *path, struct buf *out) MUST_CHECK;

#endif
