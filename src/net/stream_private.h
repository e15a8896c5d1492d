/*
 * The inside of a stream, shared by stream.c (life and death), stream_io.c (bytes in and out) and stream_tls.c.
 *
 * Handlers run only from the event callbacks and from the turn that loop_defer() asks for. A handler may free the
 * stream: every call is bracketed by stream_enter() and stream_leave(), and after a false (or STREAM_GONE) nothing of
 * the stream is touched.
 */
#ifndef NET_STREAM_PRIVATE_H
#define NET_STREAM_PRIVATE_H

#include "base/buf.h"
#include "net/loop_private.h"
#include "net/stream.h"
#include "net/tls_private.h"

enum stream_phase {
	STREAM_CONNECTING, /* waits for the peer's SYN-ACK */
	STREAM_OPEN, /* clear or TLS: stream_is_tls() */
	STREAM_TLS_PENDING, /* stream_start_tls() was called; clear output is still leaving */
	STREAM_TLS_HANDSHAKE,
	STREAM_CLOSING, /* without owner: output is leaving */
	STREAM_LINGERING, /* without owner: output is closed, input is thrown away until the peer closes, too */
	STREAM_OVER, /* the failure was reported; waits for stream_free() */
};

/* What became of a stream while its owner was called. */
enum stream_flow {
	STREAM_GONE, /* freed */
	STREAM_STOP, /* takes no more now: paused, or in another phase */
	STREAM_MORE,
};

struct stream_tls {
	SSL *ssl;
	struct tls_context *context;
	struct view raw; /* encrypted bytes that OpenSSL may take now; points into the loop's buffer or into raw_kept */
	struct buf raw_kept; /* those not taken because input() stopped */
	struct buf held; /* written by the owner before the handshake was over */
	struct tls_facts facts; /* client: valid once has_facts */
	int64_t facts_since_ms;
	bool has_facts, has_tlsa, keep_verified_only;
	char *server_name, *pkix_name; /* NULL: none */
	struct buf session_key;
	size_t chatter_bytes; /* what OpenSSL said by itself since the handshake */
	bool on;
};

struct stream {
	struct loop *loop;
	const struct stream_handler *handler;
	void *owner;
	struct event *read_event;
	struct event *write_event; /* only while the kernel takes no more */
	struct loop_timer timer; /* connecting, handshake, lingering */
	struct loop_defer turn;
	struct loop_leftover leftover; /* in loop->leftovers when there is no owner any more */
	struct stream_tls *tls;
	struct buf out; /* as it goes over the wire; [out_at, len) is still to be sent */
	size_t out_at;
	struct buf kept; /* input that the owner did not take; [kept_at, len) */
	size_t kept_at;
	char *failure; /* the sentence, until it is reported */
	enum err failure_err; /* ERR_OK: none */
	uint32_t timeout_ms;
	int fd;
	uint8_t phase; /* enum stream_phase */
	bool reading; /* read_event is added */
	bool paused; /* input() left something */
	bool resume_wanted;
	bool input_over; /* the peer closed or reading failed: there are no last words to look for */
	bool busy; /* a handler is running */
	bool dead; /* freed by that handler; only the memory is left */
	struct net_address peer, local;
};

static inline void stream_enter(struct stream *stream)
{
	stream->busy = true;
}
/* False if the handler freed the stream. */
bool stream_leave(struct stream *stream);

/* stream.c: records the first failure; it is reported from the loop. */
void stream_fail(struct stream *stream, enum err err, const char *format, ...) PRINTF_LIKE(3, 4);
void stream_turn_soon(struct stream *stream);
/* All output is with the kernel (called from the loop only). */
void stream_written(struct stream *stream);
void stream_connect_ready(struct stream *stream);
/* "192.0.2.1 port 25", for sentences. Borrowed until the next call on this thread. */
const char *stream_peer_text(const struct stream *stream);

/* stream_io.c */
void stream_reading_on(struct stream *stream);
void stream_reading_off(struct stream *stream);
void stream_writing_on(struct stream *stream);
void stream_writing_off(struct stream *stream);
/* Reads what is there, for a bounded number of times, and does with it what the phase says. */
enum stream_flow stream_read_available(struct stream *stream);
/* To the kernel; what it does not take is kept. */
void stream_send(struct stream *stream, struct view bytes);
/* To the owner. What it does not use is kept, and the stream paused (STREAM_STOP). */
enum stream_flow stream_deliver(struct stream *stream, struct view in);
/* The kept input again; as stream_deliver(). */
enum stream_flow stream_deliver_kept(struct stream *stream);

/* stream_tls.c */
enum stream_flow stream_tls_handshake(struct stream *stream, struct view raw);
enum stream_flow stream_tls_input(struct stream *stream, struct view raw);
/* What was kept encrypted, once the owner took all that was decrypted before. */
enum stream_flow stream_tls_input_kept(struct stream *stream);
void stream_tls_write(struct stream *stream, struct view bytes);
/* Puts a close_notify behind the output. */
void stream_tls_goodbye(struct stream *stream);
void stream_tls_free(struct stream *stream);

/* stream_tls_peer.c: names, TLSA records and the session to resume, before the handshake. False: a failure was recorded. */
bool stream_tls_expect(struct stream *stream, const struct stream_tls_options *options);
/* Looks at the server's certificate, once. */
void stream_tls_look_at_peer(struct stream *stream);

#endif
