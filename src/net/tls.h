/* TLS contexts over OpenSSL 3: reference-counted, so that a reload can replace one while connections still use the
 * old. */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "base/view.h"

struct tls_context;

enum tls_verify {
	TLS_VERIFY_NONE, /* opportunistic: encrypt, remember in stream_tls_peer_verified() whether it would verify */
	TLS_VERIFY_REQUIRED, /* chain and name must verify, else the handshake fails */
};

struct tls_server_options {
	const char *certificate_file; /* PEM, chain */
	const char *key_file; /* PEM */
	const char *minimum_version; /* "1.2" (default when NULL), "1.3"; "1.0" for old devices */
};
/* NULL with err_detail() naming the file and what is wrong with it. */
struct tls_context *tls_context_new_server(const struct tls_server_options *options);

struct tls_client_options {
	enum tls_verify verify;
	const char *ca_file; /* NULL: the system's store */
	const char *certificate_file,
		*key_file; /* PEM; shown to servers that ask for a client certificate. NULL: none */
	size_t sessions_max; /* remembered for resumption, see stream_start_tls_with(); 0: 1,000 */
};
struct tls_context *tls_context_new_client_with(const struct tls_client_options *options);
/* The same with these two options. */
struct tls_context *tls_context_new_client(enum tls_verify verify, const char *ca_file);

/* A TLSA record with usage 2 or 3 (RFC 7672 §3.1): `data` as in the DNS. */
struct tls_tlsa {
	uint8_t usage, selector, matching;
	struct view data;
};

/* How the server's certificate does by PKIX: chain, dates and name. The failure is the first one found. */
enum tls_pkix {
	TLS_PKIX_NONE, /* there is no certificate */
	TLS_PKIX_VERIFIED,
	TLS_PKIX_EXPIRED, /* or not valid yet */
	TLS_PKIX_OTHER_NAME,
	TLS_PKIX_NOT_TRUSTED, /* self-signed, or no known authority */
	TLS_PKIX_FAILED, /* for other reasons */
};
enum tls_dane {
	TLS_DANE_NONE, /* no record was given */
	TLS_DANE_MISMATCH,
	TLS_DANE_EE, /* usage 3 */
	TLS_DANE_TA, /* usage 2: chain, dates, and one of the names */
};
/* What is known of the server after the handshake. */
struct tls_facts {
	enum tls_pkix pkix;
	const char *pkix_reason; /* "certificate has expired"; "" when verified. Static, as is the other */
	enum tls_dane dane;
	const char *dane_reason; /* of a mismatch */
	enum tls_pkix
		dane_failure; /* the same as a kind; TLS_PKIX_VERIFIED: it matched. Meaningless with TLS_DANE_NONE */
	bool dane_needs_names; /* usage 2 matched, but only by one of the further names */
	bool resumed; /* an earlier session was resumed: the rest is what was found then */
};

struct tls_context *tls_context_ref(struct tls_context *context);
void tls_context_unref(struct tls_context *context); /* NULL is fine */

#endif
