/*
 * One TCP connection on a loop, plain or TLS, non-blocking. Reading goes through the loop's one shared buffer: an
 * idle stream owns no buffers. Handler functions are called only from the loop, never from inside a stream_*() call,
 * and never after stream_free().
 */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include "net/address.h"
#include "net/loop.h"
#include "net/tls.h"

struct stream;

/* A function that is not needed may be NULL; without input() all input is thrown away. */
struct stream_handler {
	/* Outgoing connection: established (ERR_OK) or failed (then only stream_free() is left to do). */
	void (*connected)(void *owner, enum err err);
	/* Bytes arrived; returns how many were used. What was not used is kept (at most one read's worth), reading
	 * stops, and input() is called again with the rest after stream_resume(). */
	size_t (*input)(void *owner, struct view in);
	/* Everything written has been handed to the kernel; called only when stream_unwritten() had been above 0 (the
	 * kernel did not take it at once). */
	void (*drained)(void *owner);
	/* End of a TLS handshake started with stream_start_tls(); after a failure only stream_free() is left to do
	 * (no closed()). */
	void (*tls_done)(void *owner, enum err err);
	/* The peer closed (ERR_CLOSED) or the connection broke (err_detail()): only stream_free() is left to do.
	 * Called once at most; not noticed while input is kept, unless a write fails. */
	void (*closed)(void *owner, enum err err);
};

/* Takes over an accepted, non-blocking socket. Reading starts at once. */
struct stream *stream_accept(struct loop *loop, int fd, const struct stream_handler *handler, void *owner);
/* Starts connecting, from `source` if not NULL (port 0). connected() follows, within timeout_ms. */
struct stream *stream_connect(struct loop *loop, const struct net_address *to, const struct net_address *source,
	uint32_t timeout_ms, const struct stream_handler *handler, void *owner);
/* Another owner from now on, also inside a handler call. */
void stream_set_handler(struct stream *stream, const struct stream_handler *handler, void *owner);
/* Closes at once (TLS: sends close_notify without waiting). Safe inside any handler call. NULL is fine. */
void stream_free(struct stream *stream);

/* Writes; what the kernel does not take now is kept and written when it can. */
void stream_write(struct stream *stream, struct view bytes);
/* Bytes kept because the peer reads slowly. Owners stop producing above a limit and go on at drained(). */
size_t stream_unwritten(const struct stream *stream);
/* Free the stream once everything is written (or after linger_ms): a polite last reply. The owner hears nothing more
 * from it and must forget the pointer. */
void stream_close_after_write(struct stream *stream, uint32_t linger_ms);
/* Offer the kept input again, from the loop. */
void stream_resume(struct stream *stream);

/* Starts the handshake once everything written so far has left. `server_name` (client side) is for SNI and, if the
 * context verifies, for the name check. tls_done() follows, within timeout_ms. Input that arrived in clear is NOT
 * passed on after this call. What is written before tls_done() is held back and goes encrypted. A stream starts TLS
 * once. */
void stream_start_tls(struct stream *stream, struct tls_context *context, const char *server_name, uint32_t timeout_ms);
/* The client's side with more wishes; all is copied. */
struct stream_tls_options {
	const char *server_name; /* for SNI and the name check; under DANE the TLSA base domain (RFC 7672 §8.1) */
	const char *pkix_name; /* name for PKIX, where it is another (server_name is behind a CNAME); NULL: the same */
	/* Records to match. Then PKIX does not decide whether the handshake succeeds: a context that insists insists on these. */
	size_t tlsa_count;
	const struct tls_tlsa *tlsa;
	size_t name_count; /* further names of which the certificate may have one under usage 2 */
	const char *const *names;
	/* Sessions of this key may be resumed, and new ones are kept under it. It must tell apart all for which facts that were found for one must not
	 * count for another: host, address, records. Empty: no resumption. */
	struct view session_key;
	bool strong; /* TLS 1.2 and keys of today at least, though the context would take less */
	bool keep_verified_only; /* a session whose certificate did not verify is not kept */
	uint32_t timeout_ms;
};
void stream_start_tls_with(
	struct stream *stream, struct tls_context *context, const struct stream_tls_options *options);
/* Client side, after tls_done(): what the handshake showed. */
struct tls_facts stream_tls_facts(const struct stream *stream);
bool stream_is_tls(const struct stream *stream);
/* "TLSv1.3", "TLS_AES_256_GCM_SHA384"; "" without TLS. Borrowed. */
const char *stream_tls_version(const struct stream *stream);
const char *stream_tls_cipher(const struct stream *stream);
/* Client side: did the peer's certificate verify (chain and name)? Meaningful with a context that does not insist. */
bool stream_tls_peer_verified(const struct stream *stream);

const struct net_address *stream_peer(const struct stream *stream);
const struct net_address *stream_local(const struct stream *stream);

#endif
