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
/* ca_file NULL: the system's store. */
struct tls_context *tls_context_new_client(enum tls_verify verify, const char *ca_file);
struct tls_context *tls_context_ref(struct tls_context *context);
void tls_context_unref(struct tls_context *context); /* NULL is fine */

#endif
