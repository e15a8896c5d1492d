#include "net/stream_private.h"

#include "base/mem.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

static const struct stream_handler deaf = { 0 };

static void on_turn(struct loop_defer *defer);
static void on_timer(void *owner);

const char *stream_peer_text(const struct stream *stream)
{
	static _Thread_local char text[sizeof(struct net_address_text) + sizeof " port 65535"];
	struct net_address_text ip = net_address_ip(&stream->peer);
	if (ip.text[0] == '\0')
		return "the peer";
	snprintf(text, sizeof text, "%s port %u", ip.text, (unsigned)net_address_port(&stream->peer));
	return text;
}

static struct stream *new_stream(struct loop *loop, int fd, const struct stream_handler *handler, void *owner)
{
	struct stream *stream = mem_alloc(sizeof *stream);
	stream->loop = loop;
	stream->fd = fd;
	stream->handler = handler;
	stream->owner = owner;
	stream->turn.run = on_turn;
	list_init(&stream->leftover.link);
	loop_timer_init(&stream->timer, loop, on_timer, stream);
	/* Replies are written whole; waiting for more would only add a delay. Not for Unix sockets, which need no
	 * such thing. */
	int on = 1;
	if (fd >= 0)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return stream;
}

/* One of getpeername() and getsockname(); an address that the system can't tell stays empty. */
static void note_address(
	int fd, int (*ask)(int fd, struct sockaddr *restrict sa, socklen_t *restrict len), struct net_address *ret)
{
	struct sockaddr_storage sa = { 0 };
	socklen_t len = sizeof sa;
	if (ask(fd, (struct sockaddr *)&sa, &len) == 0)
		net_address_from_sockaddr((const struct sockaddr *)&sa, len, ret);
}

struct stream *stream_accept(struct loop *loop, int fd, const struct stream_handler *handler, void *owner)
{
	struct stream *stream = new_stream(loop, fd, handler, owner);
	stream->phase = STREAM_OPEN;
	note_address(fd, getpeername, &stream->peer);
	note_address(fd, getsockname, &stream->local);
	stream_reading_on(stream);
	return stream;
}

/* Connecting */

static bool start_connecting(struct stream *stream, const struct net_address *source)
{
	if (stream->fd < 0)
		return false;
	if (source != NULL) {
		/* The port is chosen at connect(), so that connections to different peers may share one. Where that
		 * is not known, bind() chooses. */
		int on = 1;
		(void)setsockopt(stream->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
		if (bind(stream->fd, &source->any, source->len) != 0)
			return false;
	}
	return connect(stream->fd, &stream->peer.any, stream->peer.len) == 0 || errno == EINPROGRESS;
}

static void connect_failed(struct stream *stream, int error)
{
	stream_fail(
		stream, err_from_errno(error), "cannot connect to %s: %s", stream_peer_text(stream), strerror(error));
}

struct stream *stream_connect(struct loop *loop, const struct net_address *to, const struct net_address *source,
	uint32_t timeout_ms, const struct stream_handler *handler, void *owner)
{
	int fd = socket(to->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int error = errno;
	struct stream *stream = new_stream(loop, fd, handler, owner);
	stream->phase = STREAM_CONNECTING;
	stream->peer = *to;
	stream->timeout_ms = timeout_ms;
	if (fd < 0) {
		connect_failed(stream, error);
	} else if (!start_connecting(stream, source)) {
		connect_failed(stream, errno);
	} else {
		loop_timer_set(&stream->timer, loop_now_ms(loop) + timeout_ms);
		stream_writing_on(stream);
	}
	return stream;
}

void stream_connect_ready(struct stream *stream)
{
	int error = 0;
	socklen_t len = sizeof error;
	if (getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		error = errno;
	if (stream->failure_err != ERR_OK || error != 0) {
		stream_writing_off(stream);
		if (error != 0)
			connect_failed(stream, error);
		return;
	}
	loop_timer_clear(&stream->timer);
	note_address(stream->fd, getsockname, &stream->local);
	stream->phase = STREAM_OPEN;
	/* What was written meanwhile goes next; the event is there already. */
	if (stream->out.len == 0)
		stream_writing_off(stream);
	stream_reading_on(stream);
	if (stream->handler->connected == NULL)
		return;
	stream_enter(stream);
	stream->handler->connected(stream->owner, ERR_OK);
	(void)stream_leave(stream);
}

/* Failing */

void stream_turn_soon(struct stream *stream)
{
	loop_defer(stream->loop, &stream->turn);
}

void stream_fail(struct stream *stream, enum err err, const char *format, ...)
{
	if (stream->failure_err != ERR_OK)
		return;
	char text[256];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	stream->failure = mem_dup_cstr(text);
	stream->failure_err = err == ERR_OK || err == ERR_AGAIN ? ERR_IO : err;
	stream_turn_soon(stream);
}

/* The one call that tells the owner; the phase says which. */
static void report_failure(struct stream *stream)
{
	/* A peer that refuses often says why and closes; our next write then fails before its words were read. */
	if (stream->phase == STREAM_OPEN && !stream->input_over && !stream->paused) {
		stream->input_over = true;
		if (stream_read_available(stream) == STREAM_GONE)
			return;
	}
	if (stream->phase == STREAM_CLOSING || stream->phase == STREAM_LINGERING) {
		stream_free(stream);
		return;
	}
	if (stream->phase == STREAM_OVER)
		return;
	const struct stream_handler *handler = stream->handler;
	void (*report)(void *owner, enum err err) = stream->phase == STREAM_CONNECTING ? handler->connected
		: stream->phase == STREAM_OPEN                                         ? handler->closed
										       : handler->tls_done;
	stream->phase = STREAM_OVER;
	stream_reading_off(stream);
	stream_writing_off(stream);
	loop_timer_clear(&stream->timer);
	if (report == NULL)
		return;
	err_set(stream->failure_err, "%s", stream->failure);
	stream_enter(stream);
	report(stream->owner, stream->failure_err);
	(void)stream_leave(stream);
}

static void on_timer(void *owner)
{
	struct stream *stream = owner;
	unsigned seconds = stream->timeout_ms / 1000 + (stream->timeout_ms % 1000 != 0);
	if (stream->phase == STREAM_CONNECTING)
		stream_fail(stream, ERR_TIMEOUT, "cannot connect to %s: no answer within %u s",
			stream_peer_text(stream), seconds);
	else if (stream->phase == STREAM_CLOSING || stream->phase == STREAM_LINGERING)
		stream_free(stream);
	else
		stream_fail(stream, ERR_TIMEOUT, "the TLS handshake with %s was not finished within %u s",
			stream_peer_text(stream), seconds);
}

/* The turn: what must not happen inside a stream_*() call */

static void resume(struct stream *stream)
{
	stream->resume_wanted = false;
	if (!stream->paused || stream->phase != STREAM_OPEN)
		return;
	enum stream_flow flow = stream_deliver_kept(stream);
	if (flow == STREAM_MORE && stream->tls != NULL)
		flow = stream_tls_input_kept(stream);
	if (flow == STREAM_MORE && stream->phase == STREAM_OPEN)
		stream_reading_on(stream);
}

static void on_turn(struct loop_defer *defer)
{
	struct stream *stream = LIST_ENTRY(defer, struct stream, turn);
	if (stream->failure_err != ERR_OK) {
		report_failure(stream);
	} else if (stream->phase == STREAM_TLS_PENDING && stream->out.len == 0) {
		stream->phase = STREAM_TLS_HANDSHAKE;
		stream_reading_on(stream);
		(void)stream_tls_handshake(stream, VIEW_NONE);
	} else if (stream->resume_wanted) {
		resume(stream);
	}
}

void stream_resume(struct stream *stream)
{
	/* Inside input() it is not known yet whether something will be left. */
	if (!stream->paused && !stream->busy)
		return;
	stream->resume_wanted = true;
	stream_turn_soon(stream);
}

/* Closing */

static void finish_closing(struct stream *stream)
{
	/* close() with unread input would send a reset, which may overtake our last reply and destroy it unread (RFC
	 * 9293 §3.6.1). So only our direction is closed, until the peer has seen that and closes, too. */
	if (shutdown(stream->fd, SHUT_WR) != 0) {
		stream_fail(stream, err_from_errno(errno), "cannot close the connection: %s", strerror(errno));
		return;
	}
	stream->phase = STREAM_LINGERING;
	stream_reading_on(stream);
}

void stream_written(struct stream *stream)
{
	if (stream->phase == STREAM_TLS_PENDING) {
		stream_turn_soon(stream);
	} else if (stream->phase == STREAM_CLOSING) {
		finish_closing(stream);
	} else if (stream->phase == STREAM_OPEN && stream->handler->drained != NULL) {
		stream_enter(stream);
		stream->handler->drained(stream->owner);
		(void)stream_leave(stream);
	}
}

static void drop_leftover(struct loop_leftover *leftover)
{
	stream_free(LIST_ENTRY(leftover, struct stream, leftover));
}

void stream_close_after_write(struct stream *stream, uint32_t linger_ms)
{
	if (stream->failure_err != ERR_OK || stream->phase == STREAM_CONNECTING || stream->phase == STREAM_OVER) {
		stream_free(stream);
		return;
	}
	stream_tls_goodbye(stream);
	stream->phase = STREAM_CLOSING;
	stream->handler = &deaf;
	stream->owner = NULL;
	stream->paused = false;
	buf_clear(&stream->kept);
	stream->leftover.drop = drop_leftover;
	list_append(&stream->loop->leftovers, &stream->leftover.link);
	loop_timer_set(&stream->timer, loop_now_ms(stream->loop) + linger_ms);
	if (stream->out.len == 0)
		finish_closing(stream);
}

void stream_set_handler(struct stream *stream, const struct stream_handler *handler, void *owner)
{
	stream->handler = handler;
	stream->owner = owner;
}

void stream_free(struct stream *stream)
{
	if (stream == NULL)
		return;
	ASSERT(!stream->dead);
	if (stream->phase == STREAM_OPEN && stream->failure_err == ERR_OK)
		stream_tls_goodbye(stream);
	loop_defer_cancel(&stream->turn);
	loop_timer_clear(&stream->timer);
	stream_writing_off(stream);
	if (stream->read_event != NULL)
		event_free(stream->read_event);
	if (stream->fd >= 0)
		close(stream->fd);
	stream_tls_free(stream);
	buf_clear(&stream->out);
	buf_clear(&stream->kept);
	mem_free(stream->failure);
	list_remove(&stream->leftover.link);
	stream->dead = true;
	/* Inside one of its handlers the memory is still looked at: stream_leave() frees it. */
	if (!stream->busy)
		mem_free(stream);
}

const struct net_address *stream_peer(const struct stream *stream)
{
	return &stream->peer;
}

const struct net_address *stream_local(const struct stream *stream)
{
	return &stream->local;
}
