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
/* OpenSSL's words for the oldest error in this thread's queue; empties the queue. Never NULL; borrowed and static. */
const char *tls_take_reason(void);

#endif
