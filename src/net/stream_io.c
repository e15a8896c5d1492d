#include "net/stream_private.h"

#include "base/mem.h"

#include <errno.h>
#include <string.h>

/* After so many full buffers of one stream the others have their turn. */
#define READS_PER_TURN 4

bool stream_leave(struct stream *stream)
{
	stream->busy = false;
	if (!stream->dead)
		return true;
	mem_free(stream);
	return false;
}

/* Input */

/* The event stays armed while input is paused: most pauses are over before the peer sends again, and cost nothing. */
static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct stream *stream = arg;
	loop_awake(stream->loop);
	bool wanted = stream->phase == STREAM_OPEN || stream->phase == STREAM_TLS_HANDSHAKE ||
		stream->phase == STREAM_LINGERING;
	if (!wanted || stream->paused || stream->failure_err != ERR_OK) {
		stream_reading_off(stream);
		return;
	}
	(void)stream_read_available(stream);
}

void stream_reading_on(struct stream *stream)
{
	if (stream->reading)
		return;
	if (stream->read_event == NULL) {
		stream->read_event = event_new(
			stream->loop->base, stream->fd, EV_READ | EV_PERSIST, on_readable, stream);
		ASSERT(stream->read_event != NULL);
	}
	ASSERT(event_add(stream->read_event, NULL) == 0);
	stream->reading = true;
}

void stream_reading_off(struct stream *stream)
{
	if (!stream->reading)
		return;
	event_del(stream->read_event);
	stream->reading = false;
}

/* Calls input(). After stream_start_tls() in it clear input is not passed on, and after stream_close_after_write()
 * nobody wants any: then the phase is another, and what was not used is dropped. */
static enum stream_flow offer(struct stream *stream, struct view in, size_t *ret_used)
{
	stream_enter(stream);
	size_t used = stream->handler->input != NULL ? stream->handler->input(stream->owner, in) : in.len;
	ASSERT(used <= in.len);
	if (!stream_leave(stream))
		return STREAM_GONE;
	if (stream->phase != STREAM_OPEN)
		return STREAM_STOP;
	*ret_used = used;
	return STREAM_MORE;
}

enum stream_flow stream_deliver(struct stream *stream, struct view in)
{
	size_t used = 0;
	enum stream_flow flow = offer(stream, in, &used);
	if (flow != STREAM_MORE || used == in.len)
		return flow;
	stream->paused = true;
	/* At most one read's worth: far below the bound of a buffer. */
	ASSERT(buf_append(&stream->kept, view_from(in, used)) == ERR_OK);
	return STREAM_STOP;
}

enum stream_flow stream_deliver_kept(struct stream *stream)
{
	/* Taken out of the stream first: the handler may drop what is kept while it looks at it. */
	struct buf kept = stream->kept;
	size_t at = stream->kept_at;
	stream->kept = (struct buf){ 0 };
	stream->kept_at = 0;
	stream->paused = false;
	struct view in = view_from(buf_view(&kept), at);
	size_t used = 0;
	enum stream_flow flow = in.len == 0 ? STREAM_MORE : offer(stream, in, &used);
	if (flow == STREAM_MORE && used < in.len) {
		/* Only the mark moves: a peer's many small commands must not cost a copy of the rest for each. */
		stream->kept = kept;
		stream->kept_at = at + used;
		stream->paused = true;
		return STREAM_STOP;
	}
	buf_clear(&kept);
	return flow;
}

static enum stream_flow take(struct stream *stream, struct view bytes)
{
	switch ((enum stream_phase)stream->phase) {
	case STREAM_LINGERING:
		return STREAM_MORE;
	case STREAM_TLS_HANDSHAKE:
		return stream_tls_handshake(stream, bytes);
	case STREAM_OPEN:
		return stream->tls != NULL ? stream_tls_input(stream, bytes) : stream_deliver(stream, bytes);
	default:
		return STREAM_STOP;
	}
}

static void input_failed(struct stream *stream, ssize_t n, int error)
{
	stream->input_over = true;
	const char *peer = stream_peer_text(stream);
	const char *during = stream->phase == STREAM_TLS_HANDSHAKE ? " during the TLS handshake" : "";
	if (n == 0)
		stream_fail(stream, ERR_CLOSED, "%s closed the connection%s", peer, during);
	else
		stream_fail(stream, err_from_errno(error), "the connection to %s broke%s: %s", peer, during,
			strerror(error));
}

enum stream_flow stream_read_available(struct stream *stream)
{
	for (int i = 0; i < READS_PER_TURN; i++) {
		ssize_t n = recv(stream->fd, stream->loop->read_buffer, LOOP_READ_BYTES, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return STREAM_MORE;
		if (n <= 0) {
			input_failed(stream, n, errno);
			return STREAM_STOP;
		}
		enum stream_flow flow = take(stream, view_of(stream->loop->read_buffer, (size_t)n));
		/* A short read has emptied the socket; asking again would only be told so. */
		if (flow != STREAM_MORE || (size_t)n < LOOP_READ_BYTES)
			return flow;
	}
	return STREAM_MORE;
}

/* Output */

/* How much the kernel took; 0 when it takes none now; false after an error. */
static bool send_some(struct stream *stream, struct view bytes, size_t *ret_sent)
{
	ssize_t n;
	do
		n = send(stream->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
		stream_fail(stream, err_from_errno(errno), "the connection to %s broke: %s", stream_peer_text(stream),
			strerror(errno));
		return false;
	}
	*ret_sent = n > 0 ? (size_t)n : 0;
	return true;
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct stream *stream = arg;
	loop_awake(stream->loop);
	if (stream->phase == STREAM_CONNECTING) {
		stream_connect_ready(stream);
		return;
	}
	size_t sent;
	if (stream->failure_err != ERR_OK ||
		!send_some(stream, view_from(buf_view(&stream->out), stream->out_at), &sent)) {
		stream_writing_off(stream);
		return;
	}
	stream->out_at += sent;
	if (stream->out_at < stream->out.len)
		return;
	buf_clear(&stream->out);
	stream->out_at = 0;
	stream_writing_off(stream);
	stream_written(stream);
}

void stream_writing_on(struct stream *stream)
{
	if (stream->write_event != NULL)
		return;
	stream->write_event = event_new(stream->loop->base, stream->fd, EV_WRITE | EV_PERSIST, on_writable, stream);
	ASSERT(stream->write_event != NULL && event_add(stream->write_event, NULL) == 0);
}

void stream_writing_off(struct stream *stream)
{
	if (stream->write_event == NULL)
		return;
	event_free(stream->write_event);
	stream->write_event = NULL;
}

/* What has left makes room once it is the larger part, so that each byte moves at most once. */
static void compact(struct stream *stream)
{
	if (stream->out_at <= stream->out.len / 2)
		return;
	buf_consume(&stream->out, stream->out_at);
	stream->out_at = 0;
}

void stream_send(struct stream *stream, struct view bytes)
{
	if (stream->failure_err != ERR_OK || bytes.len == 0)
		return;
	size_t sent = 0;
	if (stream->out.len == 0 && stream->phase != STREAM_CONNECTING && !send_some(stream, bytes, &sent))
		return;
	bytes = view_from(bytes, sent);
	if (bytes.len == 0)
		return;
	compact(stream);
	if (buf_append(&stream->out, bytes) != ERR_OK) {
		stream_fail(stream, ERR_LIMIT, "%s reads too slowly: %zu bytes wait for it", stream_peer_text(stream),
			stream->out.len);
		return;
	}
	stream_writing_on(stream);
}

void stream_write(struct stream *stream, struct view bytes)
{
	if (stream->failure_err != ERR_OK || bytes.len == 0)
		return;
	if (stream->phase > STREAM_TLS_HANDSHAKE)
		return;
	if (stream->tls != NULL)
		stream_tls_write(stream, bytes);
	else
		stream_send(stream, bytes);
}

size_t stream_unwritten(const struct stream *stream)
{
	return stream->out.len - stream->out_at + (stream->tls != NULL ? stream->tls->held.len : 0);
}
