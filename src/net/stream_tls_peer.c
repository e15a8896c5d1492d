/* The client's view of the server: what is expected of its certificate before the handshake, and what it was like after. */
#include "net/stream_private.h"

#include "base/clock.h"
#include "base/mem.h"

#include <string.h>

/* Names are DNS names, never the subject's common name (RFC 9525 §2). */
#define HOST_FLAGS (X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT)
/* Of TLSA records (RFC 7218 §2.1). */
#define USAGE_TA 2
#define USAGE_EE 3

static bool is_ip(const char *name)
{
	struct net_address address;
	return net_address_parse(view_from_cstr(name), 0, &address) == ERR_OK;
}

/* Names the peer for SNI and for verification; an IP address is only verified (RFC 6066 §3: no literal addresses). */
static bool set_server_name(SSL *ssl, const char *name)
{
	if (is_ip(name))
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
	SSL_set_hostflags(ssl, HOST_FLAGS);
	/* SSL_set_tlsext_host_name() without its cast that clang refuses; the name is copied. */
	void *copied = (void *)(uintptr_t)name;
	return SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, copied) == 1 &&
		SSL_set1_host(ssl, name) == 1;
}

/* Records that OpenSSL can't use are passed over; when none is left, none will match. */
static bool set_tlsa(SSL *ssl, const struct stream_tls_options *options)
{
	if (SSL_dane_enable(ssl, options->server_name) != 1)
		return false;
	/* RFC 7672 §3.1.1: under usage 3 neither names nor dates count. */
	(void)SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
	for (size_t i = 0; i < options->name_count; i++)
		if (SSL_add1_host(ssl, options->names[i]) != 1)
			return false;
	for (size_t i = 0; i < options->tlsa_count; i++) {
		const struct tls_tlsa *record = &options->tlsa[i];
		if (SSL_dane_tlsa_add(ssl, record->usage, record->selector, record->matching, record->data.ptr,
			    record->data.len) < 0)
			return false;
	}
	ERR_clear_error();
	return true;
}

static void try_to_resume(struct stream_tls *tls)
{
	struct tls_sessions *sessions = tls_context_sessions(tls->context);
	SSL_SESSION *session = tls_sessions_get(
		sessions, buf_view(&tls->session_key), &tls->facts, &tls->facts_since_ms);
	if (session == NULL)
		return;
	(void)SSL_set_session(tls->ssl, session);
	SSL_SESSION_free(session);
}

bool stream_tls_expect(struct stream *stream, const struct stream_tls_options *options)
{
	struct stream_tls *tls = stream->tls;
	const char *name = options->server_name;
	tls->has_tlsa = options->tlsa_count > 0;
	tls->keep_verified_only = options->keep_verified_only;
	if (options->strong)
		tls_demand_strength(tls->ssl);
	if (name == NULL && (tls->has_tlsa || tls_context_requires_verification(tls->context))) {
		stream_fail(stream, ERR_TLS, "the certificate of %s cannot be verified without a name to look for",
			stream_peer_text(stream));
		return false;
	}
	if (name != NULL && (!set_server_name(tls->ssl, name) || (tls->has_tlsa && !set_tlsa(tls->ssl, options)))) {
		ERR_clear_error();
		stream_fail(stream, ERR_TLS, "\"%.100s\" is no name for a TLS server", name);
		return false;
	}
	tls->server_name = name != NULL ? mem_dup_cstr(name) : NULL;
	const char *pkix_name = options->pkix_name != NULL ? options->pkix_name : name;
	tls->pkix_name = pkix_name != NULL ? mem_dup_cstr(pkix_name) : NULL;
	if (options->session_key.len > 0 && buf_append(&tls->session_key, options->session_key) == ERR_OK)
		try_to_resume(tls);
	return true;
}

/* After the handshake */

static enum tls_pkix classify(long result)
{
	switch (result) {
	case X509_V_OK:
		return TLS_PKIX_VERIFIED;
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return TLS_PKIX_EXPIRED;
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return TLS_PKIX_OTHER_NAME;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_CERT_UNTRUSTED:
	case X509_V_ERR_CERT_REJECTED:
	case X509_V_ERR_CERT_REVOKED:
	case X509_V_ERR_INVALID_CA:
	case X509_V_ERR_DANE_NO_MATCH:
		return TLS_PKIX_NOT_TRUSTED;
	default:
		return TLS_PKIX_FAILED;
	}
}

/* By PKIX, whatever OpenSSL checked in the handshake: that was the TLSA records, or another name. */
static long verify_again(struct stream_tls *tls, X509 *certificate)
{
	long result = X509_V_ERR_UNSPECIFIED;
	SSL_CTX *ssl = tls_context_ssl(tls->context);
	X509_STORE_CTX *check = X509_STORE_CTX_new();
	if (check != NULL &&
		X509_STORE_CTX_init(
			check, SSL_CTX_get_cert_store(ssl), certificate, SSL_get_peer_cert_chain(tls->ssl)) == 1 &&
		X509_STORE_CTX_set_default(check, "ssl_server") == 1) {
		X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(check);
		bool ok = true;
		X509_VERIFY_PARAM_set_auth_level(param, SSL_get_security_level(tls->ssl));
		X509_VERIFY_PARAM_set_hostflags(param, HOST_FLAGS);
		if (tls->pkix_name != NULL)
			ok = is_ip(tls->pkix_name) ? X509_VERIFY_PARAM_set1_ip_asc(param, tls->pkix_name) == 1
						   : X509_VERIFY_PARAM_set1_host(param, tls->pkix_name, 0) == 1;
		if (ok)
			result = X509_verify_cert(check) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(check);
	}
	X509_STORE_CTX_free(check);
	ERR_clear_error();
	return result;
}

static void look_at_dane(struct stream_tls *tls, X509 *certificate)
{
	struct tls_facts *facts = &tls->facts;
	uint8_t usage = 0;
	long result = SSL_get_verify_result(tls->ssl);
	bool matched = certificate != NULL && result == X509_V_OK &&
		SSL_get0_dane_authority(tls->ssl, NULL, NULL) >= 0 &&
		SSL_get0_dane_tlsa(tls->ssl, &usage, NULL, NULL, NULL, NULL) >= 0;
	facts->dane_reason = "";
	facts->dane = TLS_DANE_MISMATCH;
	facts->dane_failure = TLS_PKIX_VERIFIED;
	if (matched && usage == USAGE_EE) {
		facts->dane = TLS_DANE_EE;
	} else if (matched && usage == USAGE_TA) {
		facts->dane = TLS_DANE_TA;
		facts->dane_needs_names = X509_check_host(certificate, tls->server_name, 0, HOST_FLAGS, NULL) != 1;
	} else {
		facts->dane_failure = result != X509_V_OK ? classify(result) : TLS_PKIX_NOT_TRUSTED;
		facts->dane_reason = result != X509_V_OK ? X509_verify_cert_error_string(result)
							 : "no matching DANE TLSA records";
	}
	ERR_clear_error();
}

void stream_tls_look_at_peer(struct stream *stream)
{
	struct stream_tls *tls = stream->tls;
	if (tls->has_facts)
		return;
	tls->has_facts = true;
	if (SSL_session_reused(tls->ssl) == 1 && tls->session_key.len > 0) {
		tls->facts.resumed = true;
		return;
	}
	tls->facts = (struct tls_facts){ .pkix_reason = "there is no certificate", .dane_reason = "" };
	tls->facts_since_ms = clock_monotonic_ms();
	X509 *certificate = SSL_get0_peer_certificate(tls->ssl);
	bool checked = !tls->has_tlsa && (tls->pkix_name == NULL || strcmp(tls->pkix_name, tls->server_name) == 0);
	if (certificate != NULL) {
		long result = checked ? SSL_get_verify_result(tls->ssl) : verify_again(tls, certificate);
		tls->facts.pkix = classify(result);
		tls->facts.pkix_reason = result == X509_V_OK ? "" : X509_verify_cert_error_string(result);
	}
	if (tls->has_tlsa)
		look_at_dane(tls, certificate);
}

int stream_tls_new_session(SSL *ssl, SSL_SESSION *session)
{
	struct stream *stream = SSL_get_app_data(ssl);
	struct stream_tls *tls = stream != NULL ? stream->tls : NULL;
	if (tls == NULL || tls->session_key.len == 0)
		return 0;
	/* With TLS 1.2 this is still inside the handshake, but the certificate was there before. */
	stream_tls_look_at_peer(stream);
	bool verified = tls->has_tlsa ? tls->facts.dane >= TLS_DANE_EE : tls->facts.pkix == TLS_PKIX_VERIFIED;
	if (!verified && (tls->has_tlsa || tls->keep_verified_only))
		return 0;
	/* A copy: OpenSSL marks its own as not to be resumed when the connection ends in a way it does not like. */
	SSL_SESSION *copy = SSL_SESSION_dup(session);
	if (copy != NULL)
		tls_sessions_put(tls_context_sessions(tls->context), buf_view(&tls->session_key), copy, &tls->facts,
			tls->facts_since_ms);
	return 0;
}
