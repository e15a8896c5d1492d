/* Two ends of a connection on one loop, for the stream tests. Each callback is counted; the loop stops when `until`
 * holds. */
#ifndef NET_TESTING_STREAMS_H
#define NET_TESTING_STREAMS_H

#include "net/testing.h"

#include "base/buf.h"
#include "net/stream.h"

struct pair;
struct end {
	struct pair *pair;
	struct stream *stream;
	const char *name;
	struct buf got;
	size_t inputs;
	/* How much of each input to take; SIZE_MAX (the default): all. */
	size_t take;
	bool resume_each; /* stream_resume() inside input(), each time */
	bool free_in_input, free_in_drained, free_in_tls_done, free_in_closed, free_in_connected;
	void (*on_input)(struct end *end); /* after the bytes were put into `got` */
	/* What to send as fast as it goes, in chunks: (byte i) = i * 131 >> 3. */
	size_t to_send, sent;
	unsigned connected, drained, tls_done, closed;
	enum err connected_err, tls_err, closed_err;
	char detail[256];
};

struct pair {
	struct loop *loop;
	struct end a, b;
	bool (*until)(struct pair *pair);
	struct loop_timer watchdog;
	bool inside_call; /* set around stream_*() calls: no handler may run */
};

extern const struct stream_handler testing_handler;

void pair_init(struct pair *pair);
/* A TCP connection over 127.0.0.1. */
void testing_tcp_pair(int fds[2]);
/* Both ends accepted on a TCP connection. */
void pair_open(struct pair *pair);
void pair_clear(struct pair *pair);
/* Runs until it holds; aborts after a minute. */
void pair_run(struct pair *pair, bool (*until)(struct pair *pair));
void end_write(struct end *end, const char *text);
/* Sends a pattern of so many bytes, waiting for drained(). */
void end_send_pattern(struct end *end, size_t bytes);
void assert_pattern(const struct end *end, size_t bytes);
void assert_got(const struct end *end, const char *text);

#endif
