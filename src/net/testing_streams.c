#include "net/testing_streams.h"

#include "net/listener.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define SEND_AHEAD_BYTES 200000u

static void check(struct pair *pair)
{
	assert_false(pair->inside_call);
	if (pair->until != NULL && pair->until(pair))
		loop_stop(pair->loop);
}

static void note(struct end *end, enum err err)
{
	snprintf(end->detail, sizeof end->detail, "%s", err != ERR_OK ? err_detail() : "");
}

static void free_stream(struct end *end)
{
	stream_free(end->stream);
	end->stream = NULL;
}

static uint8_t pattern(size_t i)
{
	return (uint8_t)(i * 131 >> 3);
}

static void pump(struct end *end)
{
	static uint8_t chunk[50000];
	while (end->stream != NULL && end->sent < end->to_send && stream_unwritten(end->stream) < SEND_AHEAD_BYTES) {
		size_t n = end->to_send - end->sent < sizeof chunk ? end->to_send - end->sent : sizeof chunk;
		for (size_t i = 0; i < n; i++)
			chunk[i] = pattern(end->sent + i);
		end->sent += n;
		end->pair->inside_call = true;
		stream_write(end->stream, view_of(chunk, n));
		end->pair->inside_call = false;
	}
}

static void on_connected(void *owner, enum err err)
{
	struct end *end = owner;
	end->connected++;
	end->connected_err = err;
	note(end, err);
	if (end->free_in_connected)
		free_stream(end);
	check(end->pair);
}

static size_t on_input(void *owner, struct view in)
{
	struct end *end = owner;
	end->inputs++;
	size_t used = in.len < end->take ? in.len : end->take;
	assert_int_equal(buf_append(&end->got, view_sub(in, 0, used)), ERR_OK);
	if (end->resume_each)
		stream_resume(end->stream);
	if (end->on_input != NULL)
		end->on_input(end);
	if (end->free_in_input)
		free_stream(end);
	check(end->pair);
	return used;
}

static void on_drained(void *owner)
{
	struct end *end = owner;
	end->drained++;
	assert_int_equal(stream_unwritten(end->stream), 0);
	pump(end);
	if (end->free_in_drained)
		free_stream(end);
	check(end->pair);
}

static void on_tls_done(void *owner, enum err err)
{
	struct end *end = owner;
	end->tls_done++;
	end->tls_err = err;
	note(end, err);
	if (end->free_in_tls_done)
		free_stream(end);
	check(end->pair);
}

static void on_closed(void *owner, enum err err)
{
	struct end *end = owner;
	end->closed++;
	assert_int_equal(end->closed, 1);
	end->closed_err = err;
	note(end, err);
	if (end->free_in_closed)
		free_stream(end);
	check(end->pair);
}

const struct stream_handler testing_handler = { on_connected, on_input, on_drained, on_tls_done, on_closed };

static void on_watchdog(void *owner)
{
	struct pair *pair = owner;
	fprintf(stderr, "hangs: a got %zu, %u closed (%s); b got %zu, %u closed (%s)\n", pair->a.got.len,
		pair->a.closed, pair->a.detail, pair->b.got.len, pair->b.closed, pair->b.detail);
	abort();
}

void pair_init(struct pair *pair)
{
	*pair = (struct pair){ .loop = loop_new("test") };
	assert_non_null(pair->loop);
	pair->a = (struct end){ .pair = pair, .name = "a", .take = SIZE_MAX };
	pair->b = (struct end){ .pair = pair, .name = "b", .take = SIZE_MAX };
	loop_timer_init(&pair->watchdog, pair->loop, on_watchdog, pair);
	loop_timer_set(&pair->watchdog, loop_now_ms(pair->loop) + 60000);
}

void testing_tcp_pair(int fds[2])
{
	struct net_address any;
	assert_int_equal(net_address_parse(VIEW("127.0.0.1"), 0, &any), ERR_OK);
	int listening = listener_bind(&any, 5);
	assert_true(listening >= 0);
	socklen_t len = sizeof any.v4;
	assert_int_equal(getsockname(listening, &any.any, &len), 0);
	fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fds[0], &any.any, any.len), 0);
	assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	/* The listening socket is non-blocking, but a finished connect() means that the connection is in its queue. */
	fds[1] = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(fds[1] >= 0);
	close(listening);
}

void pair_open(struct pair *pair)
{
	int fds[2];
	pair_init(pair);
	testing_tcp_pair(fds);
	pair->a.stream = stream_accept(pair->loop, fds[0], &testing_handler, &pair->a);
	pair->b.stream = stream_accept(pair->loop, fds[1], &testing_handler, &pair->b);
}

void pair_clear(struct pair *pair)
{
	pair->until = NULL;
	stream_free(pair->a.stream);
	stream_free(pair->b.stream);
	buf_clear(&pair->a.got);
	buf_clear(&pair->b.got);
	loop_timer_clear(&pair->watchdog);
	loop_free(pair->loop);
}

void pair_run(struct pair *pair, bool (*until)(struct pair *pair))
{
	pair->until = until;
	if (!until(pair))
		loop_run(pair->loop);
	pair->until = NULL;
}

void end_write(struct end *end, const char *text)
{
	end->pair->inside_call = true;
	stream_write(end->stream, view_from_cstr(text));
	end->pair->inside_call = false;
}

void end_send_pattern(struct end *end, size_t bytes)
{
	end->to_send = bytes;
	pump(end);
}

void assert_pattern(const struct end *end, size_t bytes)
{
	assert_int_equal(end->got.len, bytes);
	for (size_t i = 0; i < bytes; i++)
		if (end->got.ptr[i] != pattern(i))
			fail_msg("byte %zu differs", i);
}

void assert_got(const struct end *end, const char *text)
{
	assert_int_equal(end->got.len, strlen(text));
	if (end->got.len > 0)
		assert_memory_equal(end->got.ptr, text, end->got.len);
}
