/* What stream_tls.c needs of a context. */
#ifndef NET_TLS_PRIVATE_H
#define NET_TLS_PRIVATE_H

#include "net/tls.h"

/* OpenSSL has a type of this name. */
#define ERR_STATE OPENSSL_ERR_STATE
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#undef ERR_STATE

SSL_CTX *tls_context_ssl(const struct tls_context *context);
bool tls_context_is_client(const struct tls_context *context);
bool tls_context_requires_verification(const struct tls_context *context);

/* tls_sessions.c: the sessions of a client's context, bounded and by key; those over an hour old count no more. Any thread. */
struct tls_sessions *tls_sessions_new(size_t max);
void tls_sessions_free(struct tls_sessions *sessions); /* NULL is fine */
/* Takes over `session`; replaces what the key has. `since_ms` (monotonic) is when the facts were found, in a full handshake. */
void tls_sessions_put(struct tls_sessions *sessions, struct view key, SSL_SESSION *session,
	const struct tls_facts *facts, int64_t since_ms);
/* NULL: there is none. The caller frees it. */
SSL_SESSION *tls_sessions_get(
	struct tls_sessions *sessions, struct view key, struct tls_facts *ret_facts, int64_t *ret_since_ms);
/* From now on TLS 1.2 and keys of today at least, though the connection's context would take less. */
void tls_demand_strength(SSL *ssl);
/* Of a client's context. */
struct tls_sessions *tls_context_sessions(const struct tls_context *context);
/* OpenSSL has a new session for a connection that wants to keep one (the stream is its app data). */
int stream_tls_new_session(SSL *ssl, SSL_SESSION *session);

/* OpenSSL's words for the oldest error in this thread's queue; empties the queue. Never NULL; borrowed and static. */
const char *tls_take_reason(void);

#endif
