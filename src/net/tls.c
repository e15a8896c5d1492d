#include "net/tls_private.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

struct tls_context {
	SSL_CTX *ssl;
	atomic_uint references;
	bool is_client;
	enum tls_verify verify;
	struct tls_sessions *sessions; /* client */
};

/* Forward secrecy and authenticated encryption first; what follows is for peers that have neither, and is better than
 * clear text. */
#define CIPHERS                                                                                                        \
	"ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:HIGH:!aNULL:!eNULL:!PSK:!SRP:!DSS:!ARIA:!CAMELLIA:"       \
	"!AESCCM:!3DES"
/* The same for peers of another age: short keys and SHA-1 are allowed, too. */
#define CIPHERS_OLD CIPHERS ":@SECLEVEL=0"

/* Debian's default: keys of 112 bits at least, no SHA-1. */
#define SECURITY_LEVEL 2
#define SESSIONS_MAX 1000u

const char *tls_take_reason(void)
{
	unsigned long code = ERR_peek_error();
	const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
	ERR_clear_error();
	return reason != NULL ? reason : "no reason given";
}

static struct tls_context *new_context(bool is_client, enum tls_verify verify)
{
	struct tls_context *context = mem_alloc(sizeof *context);
	context->ssl = SSL_CTX_new(is_client ? TLS_client_method() : TLS_server_method());
	ASSERT(context->ssl != NULL);
	atomic_init(&context->references, 1);
	context->is_client = is_client;
	context->verify = verify;
	/* An idle connection gives its record buffers back. */
	SSL_CTX_set_mode(context->ssl, SSL_MODE_RELEASE_BUFFERS);
	/* Renegotiation is a way to make us calculate, and to splice sessions; TLS 1.3 dropped it (RFC 8446 §4.1.2). */
	SSL_CTX_set_options(context->ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	/* Resumption is by tickets, which cost us no memory. */
	SSL_CTX_set_session_cache_mode(context->ssl, SSL_SESS_CACHE_OFF);
	return context;
}

static bool set_strength(struct tls_context *context, int minimum)
{
	return SSL_CTX_set_min_proto_version(context->ssl, minimum) == 1 &&
		SSL_CTX_set_cipher_list(context->ssl, minimum < TLS1_2_VERSION ? CIPHERS_OLD : CIPHERS) == 1;
}

void tls_demand_strength(SSL *ssl)
{
	ASSERT(SSL_set_min_proto_version(ssl, TLS1_2_VERSION) == 1 && SSL_set_cipher_list(ssl, CIPHERS) == 1);
	SSL_set_security_level(ssl, SECURITY_LEVEL);
}

/* OpenSSL's sentences for a file that can't be opened help nobody: the system's do. */
static bool is_readable(const char *what, const char *path)
{
	char byte;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t n = fd >= 0 ? read(fd, &byte, 1) : -1;
	int error = errno;
	if (fd >= 0)
		close(fd);
	if (n < 0)
		err_set(err_from_errno(error), "cannot read the %s %s: %s", what, path, strerror(error));
	else if (n == 0)
		err_set(ERR_CONFIG, "the %s %s is empty", what, path);
	return n > 0;
}

/* A key with a passphrase would make OpenSSL ask on the terminal, where a server hangs. */
static int no_passphrase(char *buffer, int size, int writing, void *asked)
{
	(void)buffer;
	(void)size;
	(void)writing;
	*(bool *)asked = true;
	return -1;
}

static bool load_key(SSL_CTX *ssl, const char *certificate_file, const char *path)
{
	if (!is_readable("TLS key file", path))
		return false;
	bool passphrase_asked = false;
	SSL_CTX_set_default_passwd_cb(ssl, no_passphrase);
	SSL_CTX_set_default_passwd_cb_userdata(ssl, &passphrase_asked);
	int ok = SSL_CTX_use_PrivateKey_file(ssl, path, SSL_FILETYPE_PEM);
	SSL_CTX_set_default_passwd_cb_userdata(ssl, NULL);
	unsigned long code = ERR_peek_error();
	int reason = ERR_GET_REASON(code);
	bool mismatch = ERR_GET_LIB(code) == ERR_LIB_X509 &&
		(reason == X509_R_KEY_VALUES_MISMATCH || reason == X509_R_KEY_TYPE_MISMATCH);
	if (ok == 1 && SSL_CTX_check_private_key(ssl) == 1)
		return true;
	if (passphrase_asked)
		err_set(ERR_CONFIG,
			"the TLS key file %s is protected by a passphrase; remove it: openssl pkey -in OLD -out NEW",
			path);
	else if (mismatch || ok == 1)
		err_set(ERR_CONFIG, "the TLS key in %s does not belong to the certificate in %s", path,
			certificate_file);
	else
		err_set(ERR_CONFIG, "the TLS key file %s holds no private key in PEM form (%s)", path,
			tls_take_reason());
	ERR_clear_error();
	return false;
}

static bool load_certificate(SSL_CTX *ssl, const char *who, const char *path, const char *key_path)
{
	if (path == NULL || key_path == NULL) {
		err_set(ERR_CONFIG, "a TLS %s needs a certificate file and a key file", who);
		return false;
	}
	if (!is_readable("TLS certificate file", path))
		return false;
	if (SSL_CTX_use_certificate_chain_file(ssl, path) != 1) {
		err_set(ERR_CONFIG, "the TLS certificate file %s holds no certificate in PEM form (%s)", path,
			tls_take_reason());
		return false;
	}
	return load_key(ssl, path, key_path);
}

static bool parse_version(const char *text, int *ret)
{
	static const struct {
		const char *text;
		int version;
	} versions[] = {
		{ "1.0", TLS1_VERSION },
		{ "1.1", TLS1_1_VERSION },
		{ "1.2", TLS1_2_VERSION },
		{ "1.3", TLS1_3_VERSION },
	};
	for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++)
		if (strcmp(text, versions[i].text) == 0) {
			*ret = versions[i].version;
			return true;
		}
	err_set(ERR_CONFIG, "the lowest TLS version is \"1.0\", \"1.1\", \"1.2\" or \"1.3\", not \"%s\"", text);
	return false;
}

struct tls_context *tls_context_new_server(const struct tls_server_options *options)
{
	static const unsigned char session_context[] = "postrider";
	int minimum;
	if (!parse_version(options->minimum_version != NULL ? options->minimum_version : "1.2", &minimum))
		return NULL;
	ERR_clear_error();
	struct tls_context *context = new_context(false, TLS_VERIFY_NONE);
	SSL_CTX_set_options(context->ssl, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_dh_auto(context->ssl, 1);
	/* Mail clients open one connection, not a browser's handful: one ticket is enough. */
	SSL_CTX_set_num_tickets(context->ssl, 1);
	SSL_CTX_set_session_id_context(context->ssl, session_context, sizeof session_context - 1);
	ASSERT(set_strength(context, minimum));
	if (!load_certificate(context->ssl, "server", options->certificate_file, options->key_file)) {
		tls_context_unref(context);
		return NULL;
	}
	return context;
}

static bool load_authorities(SSL_CTX *ssl, const char *path)
{
	if (path == NULL) {
		if (SSL_CTX_set_default_verify_paths(ssl) == 1)
			return true;
		err_set(ERR_CONFIG, "cannot load the system's certificate authorities (%s)", tls_take_reason());
		return false;
	}
	if (!is_readable("file of certificate authorities", path))
		return false;
	if (SSL_CTX_load_verify_file(ssl, path) == 1)
		return true;
	err_set(ERR_CONFIG, "the file of certificate authorities %s holds no certificate in PEM form (%s)", path,
		tls_take_reason());
	return false;
}

static void keep_sessions(struct tls_context *context, size_t max)
{
	context->sessions = tls_sessions_new(max > 0 ? max : SESSIONS_MAX);
	/* OpenSSL's own cache knows neither for which host nor under which policy a session was made. */
	SSL_CTX_set_session_cache_mode(context->ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(context->ssl, stream_tls_new_session);
}

struct tls_context *tls_context_new_client_with(const struct tls_client_options *options)
{
	ERR_clear_error();
	struct tls_context *context = new_context(true, options->verify);
	bool required = options->verify == TLS_VERIFY_REQUIRED;
	/* Who does not insist would fall back to clear text when the handshake fails: then any encryption is the better
	 * one (RFC 7435 §3). */
	ASSERT(set_strength(context, required ? TLS1_2_VERSION : TLS1_VERSION));
	SSL_CTX_set_verify(context->ssl, required ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	ASSERT(SSL_CTX_dane_enable(context->ssl) == 1);
	keep_sessions(context, options->sessions_max);
	bool has_certificate = options->certificate_file != NULL || options->key_file != NULL;
	if (!load_authorities(context->ssl, options->ca_file) ||
		(has_certificate &&
			!load_certificate(
				context->ssl, "client's certificate", options->certificate_file, options->key_file))) {
		tls_context_unref(context);
		return NULL;
	}
	return context;
}

struct tls_context *tls_context_new_client(enum tls_verify verify, const char *ca_file)
{
	return tls_context_new_client_with(&(struct tls_client_options){ .verify = verify, .ca_file = ca_file });
}

struct tls_context *tls_context_ref(struct tls_context *context)
{
	atomic_fetch_add(&context->references, 1);
	return context;
}

void tls_context_unref(struct tls_context *context)
{
	if (context == NULL || atomic_fetch_sub(&context->references, 1) > 1)
		return;
	SSL_CTX_free(context->ssl);
	tls_sessions_free(context->sessions);
	mem_free(context);
}

struct tls_sessions *tls_context_sessions(const struct tls_context *context)
{
	return context->sessions;
}

SSL_CTX *tls_context_ssl(const struct tls_context *context)
{
	return context->ssl;
}

bool tls_context_is_client(const struct tls_context *context)
{
	return context->is_client;
}

bool tls_context_requires_verification(const struct tls_context *context)
{
	return context->verify == TLS_VERIFY_REQUIRED;
}
