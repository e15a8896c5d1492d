/*
 * TLS on a stream. OpenSSL never touches the socket: a BIO hands it the bytes of the last read, and takes what it has
 * to say into the loop's output buffer, which then leaves with one send(). So there is one system call in each
 * direction, no rule about repeated writes to obey, and no buffer in an idle connection.
 */
#include "net/stream_private.h"

#include "base/mem.h"

#include <string.h>

#define WRITE_CHUNK_BYTES 65536u
/* An output buffer that grew beyond this for once is not kept. */
#define OUTPUT_KEEP_BYTES 262144u

/* Alerts and key updates that a peer makes us send without reading them; an honest one causes some dozen bytes. */
#define CHATTER_MAX_BYTES 65536u

/* The BIO */

static int bio_read(BIO *bio, char *into, int max)
{
	struct stream *stream = BIO_get_data(bio);
	struct view *raw = &stream->tls->raw;
	BIO_clear_retry_flags(bio);
	if (raw->len == 0 || max <= 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	struct view part = view_sub(*raw, 0, (size_t)max);
	memcpy(into, part.ptr, part.len);
	*raw = view_from(*raw, part.len);
	return (int)part.len;
}

static int bio_write(BIO *bio, const char *from, int len)
{
	struct stream *stream = BIO_get_data(bio);
	BIO_clear_retry_flags(bio);
	if (len <= 0 || buf_append(&stream->loop->tls_output, view_of(from, (size_t)len)) != ERR_OK)
		return -1;
	return len;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
	(void)bio;
	(void)number;
	(void)pointer;
	return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static BIO_METHOD *method;

/* Made once for all threads, and never freed: it belongs to the program. */
static void make_method(void)
{
	method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");
	ASSERT(method != NULL && BIO_meth_set_read(method, bio_read) == 1 &&
		BIO_meth_set_write(method, bio_write) == 1 && BIO_meth_set_ctrl(method, bio_ctrl) == 1);
}

static BIO *new_bio(struct stream *stream)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, make_method);
	BIO *bio = BIO_new(method);
	ASSERT(bio != NULL);
	BIO_set_data(bio, stream);
	BIO_set_init(bio, 1);
	return bio;
}

/* What OpenSSL had to say goes out; after each call of OpenSSL. */
static void flush(struct stream *stream)
{
	struct buf *output = &stream->loop->tls_output;
	stream_send(stream, buf_view(output));
	if (output->cap > OUTPUT_KEEP_BYTES)
		buf_clear(output);
	else
		buf_reset(output);
}

/* Starting */

void stream_start_tls_with(struct stream *stream, struct tls_context *context, const struct stream_tls_options *options)
{
	ASSERT(stream->tls == NULL && (stream->phase == STREAM_OPEN || stream->phase == STREAM_OVER));
	if (stream->phase == STREAM_OVER)
		return;
	struct stream_tls *tls = mem_alloc(sizeof *tls);
	stream->tls = tls;
	tls->context = tls_context_ref(context);
	tls->ssl = SSL_new(tls_context_ssl(context));
	ASSERT(tls->ssl != NULL && SSL_set_app_data(tls->ssl, stream) == 1);
	BIO *bio = new_bio(stream);
	SSL_set_bio(tls->ssl, bio, bio);
	if (tls_context_is_client(context))
		SSL_set_connect_state(tls->ssl);
	else
		SSL_set_accept_state(tls->ssl);
	/* Whatever came in clear is gone with this: a command injected before the handshake never counts (RFC 3207
	 * §4.2). */
	buf_clear(&stream->kept);
	stream->kept_at = 0;
	stream->paused = false;
	stream->resume_wanted = false;
	stream->phase = STREAM_TLS_PENDING;
	stream->timeout_ms = options->timeout_ms;
	loop_timer_set(&stream->timer, loop_now_ms(stream->loop) + options->timeout_ms);
	stream_turn_soon(stream);
	if (tls_context_is_client(context))
		(void)stream_tls_expect(stream, options);
}

void stream_start_tls(struct stream *stream, struct tls_context *context, const char *server_name, uint32_t timeout_ms)
{
	stream_start_tls_with(
		stream, context, &(struct stream_tls_options){ .server_name = server_name, .timeout_ms = timeout_ms });
}

static void handshake_failed(struct stream *stream)
{
	long verify = SSL_get_verify_result(stream->tls->ssl);
	bool untrusted = verify != X509_V_OK && ERR_GET_REASON(ERR_peek_error()) == SSL_R_CERTIFICATE_VERIFY_FAILED;
	const char *reason = tls_take_reason();
	stream_fail(stream, ERR_TLS, "the TLS handshake with %s failed: %s%s%s", stream_peer_text(stream), reason,
		untrusted ? ": " : "", untrusted ? X509_verify_cert_error_string(verify) : "");
}

static enum stream_flow handshake_done(struct stream *stream)
{
	struct stream_tls *tls = stream->tls;
	tls->on = true;
	stream->phase = STREAM_OPEN;
	loop_timer_clear(&stream->timer);
	if (tls_context_is_client(tls->context))
		stream_tls_look_at_peer(stream);
	struct view held = buf_view(&tls->held);
	if (held.len > 0)
		stream_tls_write(stream, held);
	buf_clear(&tls->held);
	if (stream->handler->tls_done != NULL) {
		stream_enter(stream);
		stream->handler->tls_done(stream->owner, ERR_OK);
		if (!stream_leave(stream))
			return STREAM_GONE;
	}
	if (stream->phase != STREAM_OPEN)
		return STREAM_STOP;
	/* TLS 1.3 clients send their first words together with the end of the handshake. */
	return stream_tls_input(stream, tls->raw);
}

enum stream_flow stream_tls_handshake(struct stream *stream, struct view raw)
{
	struct stream_tls *tls = stream->tls;
	tls->raw = raw;
	ERR_clear_error();
	int result = SSL_do_handshake(tls->ssl);
	int why = result == 1 ? SSL_ERROR_NONE : SSL_get_error(tls->ssl, result);
	if (why != SSL_ERROR_NONE && why != SSL_ERROR_WANT_READ) {
		/* Before the failure closes the way out: the alert that tells the peer. */
		flush(stream);
		handshake_failed(stream);
		return STREAM_STOP;
	}
	flush(stream);
	if (stream->failure_err != ERR_OK)
		return STREAM_STOP;
	return why == SSL_ERROR_NONE ? handshake_done(stream) : STREAM_MORE;
}

/* Input */

/* Decrypts what there is, up to one buffer full. Why it stopped is OpenSSL's word for it; SSL_ERROR_NONE: the buffer
 * is full. */
static size_t decrypt(struct stream *stream, int *ret_why)
{
	struct loop *loop = stream->loop;
	if (loop->plain_buffer == NULL)
		loop->plain_buffer = mem_alloc(LOOP_READ_BYTES);
	size_t len = 0;
	int why = SSL_ERROR_NONE;
	ERR_clear_error();
	while (len < LOOP_READ_BYTES && why == SSL_ERROR_NONE) {
		size_t n = 0;
		int result = SSL_read_ex(stream->tls->ssl, loop->plain_buffer + len, LOOP_READ_BYTES - len, &n);
		if (result == 1)
			len += n;
		else
			why = SSL_get_error(stream->tls->ssl, result);
	}
	*ret_why = why;
	return len;
}

static void input_ended(struct stream *stream, int why)
{
	stream->input_over = true;
	if (why == SSL_ERROR_ZERO_RETURN)
		stream_fail(stream, ERR_CLOSED, "%s closed the connection", stream_peer_text(stream));
	else
		stream_fail(stream, ERR_TLS, "the TLS connection to %s broke: %s", stream_peer_text(stream),
			tls_take_reason());
}

enum stream_flow stream_tls_input(struct stream *stream, struct view raw)
{
	struct stream_tls *tls = stream->tls;
	tls->raw = raw;
	for (;;) {
		int why;
		size_t len = decrypt(stream, &why);
		tls->chatter_bytes += stream->loop->tls_output.len;
		flush(stream);
		if (tls->chatter_bytes > CHATTER_MAX_BYTES)
			stream_fail(stream, ERR_LIMIT, "%s makes us send TLS alerts and nothing else",
				stream_peer_text(stream));
		enum stream_flow flow = len == 0 ? STREAM_MORE
						 : stream_deliver(stream, view_of(stream->loop->plain_buffer, len));
		if (flow == STREAM_GONE)
			return flow;
		if (flow == STREAM_STOP) {
			/* The loop's buffer is others' soon. OpenSSL itself keeps what it began to decrypt. */
			if (stream->paused)
				ASSERT(buf_append(&tls->raw_kept, tls->raw) == ERR_OK);
			tls->raw = VIEW_NONE;
			return flow;
		}
		if (why == SSL_ERROR_WANT_READ)
			return STREAM_MORE;
		if (why != SSL_ERROR_NONE) {
			input_ended(stream, why);
			return STREAM_STOP;
		}
	}
}

enum stream_flow stream_tls_input_kept(struct stream *stream)
{
	/* Out of the stream first, as what is left of it is appended there again. */
	struct buf raw = stream->tls->raw_kept;
	stream->tls->raw_kept = (struct buf){ 0 };
	enum stream_flow flow = stream_tls_input(stream, buf_view(&raw));
	buf_clear(&raw);
	return flow;
}

/* Output */

void stream_tls_write(struct stream *stream, struct view bytes)
{
	struct stream_tls *tls = stream->tls;
	if (!tls->on) {
		if (buf_append(&tls->held, bytes) != ERR_OK)
			stream_fail(stream, ERR_LIMIT, "too much was written during the TLS handshake");
		return;
	}
	while (bytes.len > 0 && stream->failure_err == ERR_OK) {
		struct view chunk = view_sub(bytes, 0, WRITE_CHUNK_BYTES);
		size_t written = 0;
		ERR_clear_error();
		if (SSL_write_ex(tls->ssl, chunk.ptr, chunk.len, &written) != 1) {
			flush(stream);
			stream_fail(stream, ERR_TLS, "the TLS connection to %s broke: %s", stream_peer_text(stream),
				tls_take_reason());
			return;
		}
		flush(stream);
		bytes = view_from(bytes, written);
	}
}

void stream_tls_goodbye(struct stream *stream)
{
	if (stream->tls == NULL || !stream->tls->on)
		return;
	ERR_clear_error();
	/* Its result tells whether the peer's close_notify was seen, which nobody waits for. */
	(void)SSL_shutdown(stream->tls->ssl);
	ERR_clear_error();
	flush(stream);
}

void stream_tls_free(struct stream *stream)
{
	struct stream_tls *tls = stream->tls;
	if (tls == NULL)
		return;
	SSL_free(tls->ssl);
	tls_context_unref(tls->context);
	buf_clear(&tls->raw_kept);
	buf_clear(&tls->held);
	buf_clear(&tls->session_key);
	mem_free(tls->server_name);
	mem_free(tls->pkix_name);
	mem_free(tls);
	stream->tls = NULL;
}

/* Questions */

bool stream_is_tls(const struct stream *stream)
{
	return stream->tls != NULL && stream->tls->on;
}

const char *stream_tls_version(const struct stream *stream)
{
	return stream_is_tls(stream) ? SSL_get_version(stream->tls->ssl) : "";
}

const char *stream_tls_cipher(const struct stream *stream)
{
	return stream_is_tls(stream) ? SSL_get_cipher_name(stream->tls->ssl) : "";
}

bool stream_tls_peer_verified(const struct stream *stream)
{
	return stream_tls_facts(stream).pkix == TLS_PKIX_VERIFIED;
}

struct tls_facts stream_tls_facts(const struct stream *stream)
{
	static const struct tls_facts nothing = { .pkix_reason = "there is no certificate", .dane_reason = "" };
	return stream_is_tls(stream) && stream->tls->has_facts ? stream->tls->facts : nothing;
}
