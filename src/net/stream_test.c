#include "net/testing_streams.h"

#include "net/listener.h"
#include "net/loop_private.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define MEGA ((size_t)1 << 20)

static bool b_got_5(struct pair *pair)
{
	return pair->b.got.len >= 5;
}
static bool both_got_all(struct pair *pair)
{
	return pair->a.got.len >= pair->b.to_send && pair->b.got.len >= pair->a.to_send;
}
static bool a_sent_all(struct pair *pair)
{
	return pair->a.sent == pair->a.to_send && pair->a.stream != NULL && stream_unwritten(pair->a.stream) == 0;
}
static bool b_has_input(struct pair *pair)
{
	return pair->b.inputs > 0;
}
static bool a_closed(struct pair *pair)
{
	return pair->a.closed > 0;
}
static bool b_closed(struct pair *pair)
{
	return pair->b.closed > 0;
}
static bool a_connected(struct pair *pair)
{
	return pair->a.connected > 0;
}

static void small_words_arrive(void **state)
{
	(void)state;
	struct pair pair;
	pair_open(&pair);
	end_write(&pair.a, "hel");
	end_write(&pair.a, "lo");
	assert_int_equal(stream_unwritten(pair.a.stream), 0);
	assert_int_equal(pair.b.inputs, 0);
	pair_run(&pair, b_got_5);
	assert_got(&pair.b, "hello");
	assert_string_equal(net_address_ip(stream_peer(pair.a.stream)).text, "127.0.0.1");
	assert_int_equal(net_address_port(stream_peer(pair.a.stream)), net_address_port(stream_local(pair.b.stream)));
	assert_false(stream_is_tls(pair.a.stream));
	assert_string_equal(stream_tls_version(pair.a.stream), "");
	pair_clear(&pair);
}

static void much_goes_both_ways(void **state)
{
	(void)state;
	struct pair pair;
	pair_open(&pair);
	end_send_pattern(&pair.a, 8 * MEGA);
	end_send_pattern(&pair.b, 8 * MEGA);
	pair_run(&pair, both_got_all);
	assert_pattern(&pair.a, 8 * MEGA);
	assert_pattern(&pair.b, 8 * MEGA);
	pair_clear(&pair);
}

/* A reader that takes nothing stops the writer, not the memory; after stream_resume() all comes, in order. */
static void slow_reader_is_waited_for(void **state)
{
	(void)state;
	struct pair pair;
	pair_open(&pair);
	pair.b.take = 0;
	pair.a.to_send = 0;
	static uint8_t zeros[8 * 1024 * 1024];
	stream_write(pair.a.stream, view_of(zeros, sizeof zeros));
	pair_run(&pair, b_has_input);
	assert_true(stream_unwritten(pair.a.stream) > 0);
	assert_int_equal(pair.a.drained, 0);
	assert_int_equal(pair.b.got.len, 0);
	pair.b.take = SIZE_MAX;
	stream_resume(pair.b.stream);
	assert_int_equal(pair.b.got.len, 0);
	pair_run(&pair, a_sent_all);
	assert_true(pair.a.drained == 1);
	end_write(&pair.a, "!");
	stream_free(pair.a.stream);
	pair.a.stream = NULL;
	pair_run(&pair, b_closed);
	assert_int_equal(pair.b.closed_err, ERR_CLOSED);
	assert_int_equal(pair.b.got.len, sizeof zeros + 1);
	assert_int_equal(pair.b.got.ptr[sizeof zeros], '!');
	pair_clear(&pair);
}

static void input_is_taken_in_pieces(void **state)
{
	(void)state;
	struct pair pair;
	pair_open(&pair);
	pair.b.take = 7;
	pair.b.resume_each = true;
	end_send_pattern(&pair.a, 300000);
	pair_run(&pair, both_got_all);
	assert_pattern(&pair.b, 300000);
	assert_true(pair.b.inputs >= 300000 / 7);
	pair_clear(&pair);
}

static void needless_resume_does_nothing(void **state)
{
	(void)state;
	struct pair pair;
	pair_open(&pair);
	stream_resume(pair.b.stream);
	pair.b.resume_each = true;
	end_write(&pair.a, "hello");
	pair_run(&pair, b_got_5);
	stream_resume(pair.b.stream);
	end_write(&pair.a, "");
	stream_free(pair.a.stream);
	pair.a.stream = NULL;
	pair_run(&pair, b_closed);
	assert_int_equal(pair.b.inputs, 1);
	pair_clear(&pair);
}

static void no_handlers_are_needed(void **state)
{
	(void)state;
	static const struct stream_handler none = { 0 };
	struct pair pair;
	int fds[2];
	pair_init(&pair);
	testing_tcp_pair(fds);
	pair.a.stream = stream_accept(pair.loop, fds[0], &testing_handler, &pair.a);
	pair.b.stream = stream_accept(pair.loop, fds[1], &none, NULL);
	end_send_pattern(&pair.a, 4 * MEGA);
	pair_run(&pair, a_sent_all);
	stream_close_after_write(pair.b.stream, 60000);
	pair.b.stream = NULL;
	pair_run(&pair, a_closed);
	pair_clear(&pair);
}

/* The owner may free the stream from every handler. (That nothing is touched afterwards is for the address sanitizer
 * to see.) */

static bool b_is_gone(struct pair *pair)
{
	return pair->b.stream == NULL;
}
static bool a_is_gone(struct pair *pair)
{
	return pair->a.stream == NULL;
}

static void freeing_inside_input(void **state)
{
	(void)state;
	struct pair pair;
	pair_open(&pair);
	pair.b.free_in_input = true;
	end_send_pattern(&pair.a, MEGA);
	pair_run(&pair, b_is_gone);
	pair_run(&pair, a_closed);
	assert_int_equal(pair.b.inputs, 1);
	assert_int_equal(pair.b.closed, 0);
	pair_clear(&pair);
}

static void freeing_inside_input_of_kept(void **state)
{
	(void)state;
	struct pair pair;
	pair_open(&pair);
	pair.b.take = 2;
	end_write(&pair.a, "hello");
	pair_run(&pair, b_has_input);
	pair.b.free_in_input = true;
	stream_resume(pair.b.stream);
	pair_run(&pair, b_is_gone);
	assert_got(&pair.b, "hell");
	pair_clear(&pair);
}

static void freeing_inside_drained_and_closed(void **state)
{
	(void)state;
	struct pair pair;
	pair_open(&pair);
	pair.a.free_in_drained = true;
	pair.b.free_in_closed = true;
	static uint8_t zeros[8 * 1024 * 1024];
	stream_write(pair.a.stream, view_of(zeros, sizeof zeros));
	assert_true(stream_unwritten(pair.a.stream) > 0);
	pair_run(&pair, a_is_gone);
	pair_run(&pair, b_is_gone);
	assert_int_equal(pair.b.closed, 1);
	assert_int_equal(pair.b.got.len, sizeof zeros);
	pair_clear(&pair);
}

static void free_the_other_end(struct end *end)
{
	struct pair *pair = end->pair;
	stream_free(pair->a.stream);
	pair->a.stream = NULL;
}

static void freeing_another_stream_that_is_ready(void **state)
{
	(void)state;
	struct pair pair;
	pair_open(&pair);
	/* Both are readable in the same round; the first one frees the other. */
	pair.a.on_input = pair.b.on_input = NULL;
	pair.b.on_input = free_the_other_end;
	end_write(&pair.a, "hello");
	end_write(&pair.b, "hello");
	pair_run(&pair, a_is_gone);
	pair_run(&pair, b_closed);
	pair_clear(&pair);
}

/* Closing */

static void last_words_survive_unread_input(void **state)
{
	(void)state;
	struct pair pair;
	pair_open(&pair);
	/* a never reads what b sent: a plain close() would reset, and b lose a's reply. */
	pair.a.take = 0;
	pair.b.take = 0;
	end_send_pattern(&pair.b, MEGA);
	end_write(&pair.a, "bye");
	pair_run(&pair, b_has_input);
	stream_close_after_write(pair.a.stream, 60000);
	pair.a.stream = NULL;
	pair.b.take = SIZE_MAX;
	stream_resume(pair.b.stream);
	pair_run(&pair, b_closed);
	assert_got(&pair.b, "bye");
	assert_int_equal(pair.b.closed_err, ERR_CLOSED);
	assert_int_equal(pair.a.closed, 0);
	pair_clear(&pair);
}

static void much_is_written_before_closing(void **state)
{
	(void)state;
	struct pair pair;
	pair_open(&pair);
	static uint8_t zeros[8 * 1024 * 1024];
	stream_write(pair.a.stream, view_of(zeros, sizeof zeros));
	stream_close_after_write(pair.a.stream, 60000);
	pair.a.stream = NULL;
	pair_run(&pair, b_closed);
	assert_int_equal(pair.b.got.len, sizeof zeros);
	assert_int_equal(pair.a.drained, 0);
	pair_clear(&pair);
}

struct poll {
	struct loop_timer timer;
	struct loop *loop;
};

static void poll_leftovers(void *owner)
{
	struct poll *poll = owner;
	if (list_is_empty(&poll->loop->leftovers))
		loop_stop(poll->loop);
	else
		loop_timer_set(&poll->timer, loop_now_ms(poll->loop) + 2);
}

static void lingering_ends(void **state)
{
	(void)state;
	struct pair pair;
	pair_open(&pair);
	pair.b.take = 0; /* b neither reads nor closes */
	static uint8_t zeros[8 * 1024 * 1024];
	stream_write(pair.a.stream, view_of(zeros, sizeof zeros));
	stream_close_after_write(pair.a.stream, 20);
	pair.a.stream = NULL;
	struct poll poll = { .loop = pair.loop };
	loop_timer_init(&poll.timer, pair.loop, poll_leftovers, &poll);
	poll_leftovers(&poll);
	loop_run(pair.loop);
	assert_true(list_is_empty(&pair.loop->leftovers));
	loop_timer_clear(&poll.timer);
	pair_clear(&pair);
}

static void loop_takes_lingering_streams_along(void **state)
{
	(void)state;
	struct pair pair;
	pair_open(&pair);
	stream_close_after_write(pair.a.stream, 60000);
	stream_close_after_write(pair.b.stream, 60000);
	pair.a.stream = pair.b.stream = NULL;
	assert_false(list_is_empty(&pair.loop->leftovers));
	pair_clear(&pair);
}

static void last_words_are_heard_though_our_write_fails(void **state)
{
	(void)state;
	struct pair pair;
	pair_open(&pair);
	end_write(&pair.a, "unread");
	/* b has unread input, so its close() sends a reset behind the reply. */
	end_write(&pair.b, "421 go away");
	stream_free(pair.b.stream);
	pair.b.stream = NULL;
	end_write(&pair.a, "more");
	end_write(&pair.a, "and more");
	pair_run(&pair, a_closed);
	assert_got(&pair.a, "421 go away");
	assert_string_not_equal(pair.a.detail, "");
	/* Nothing happens to it any more. */
	end_write(&pair.a, "into the void");
	stream_resume(pair.a.stream);
	stream_close_after_write(pair.a.stream, 1000);
	pair.a.stream = NULL;
	assert_true(list_is_empty(&pair.loop->leftovers));
	pair_clear(&pair);
}

/* Connecting */

static int listen_somewhere(const char *ip, int backlog, struct net_address *ret)
{
	assert_int_equal(net_address_parse(view_from_cstr(ip), 0, ret), ERR_OK);
	int fd = listener_bind(ret, backlog);
	assert_true(fd >= 0);
	struct sockaddr_storage sa = { 0 };
	socklen_t len = sizeof sa;
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	net_address_from_sockaddr((struct sockaddr *)&sa, len, ret);
	return fd;
}

static void accept_b(void *owner, int fd, const struct net_address *peer)
{
	struct pair *pair = owner;
	assert_string_equal(net_address_ip(peer).text, "127.0.0.3");
	pair->b.stream = stream_accept(pair->loop, fd, &testing_handler, &pair->b);
}

static void connects_from_a_chosen_address(void **state)
{
	(void)state;
	struct pair pair;
	struct net_address to, from;
	pair_init(&pair);
	int fd = listen_somewhere("127.0.0.1", 5, &to);
	assert_int_equal(net_address_parse(VIEW("127.0.0.3"), 0, &from), ERR_OK);
	struct listener *listener = listener_start(pair.loop, fd, accept_b, &pair);
	pair.inside_call = true;
	pair.a.stream = stream_connect(pair.loop, &to, &from, 10000, &testing_handler, &pair.a);
	pair.inside_call = false;
	end_write(&pair.a, "hello"); /* kept until there is a connection */
	assert_int_equal(stream_unwritten(pair.a.stream), 5);
	pair_run(&pair, b_got_5);
	assert_int_equal(pair.a.connected, 1);
	assert_int_equal(pair.a.connected_err, ERR_OK);
	assert_string_equal(net_address_ip(stream_local(pair.a.stream)).text, "127.0.0.3");
	listener_stop(listener);
	close(fd);
	pair_clear(&pair);
}

static void refused_connections_are_reported(void **state)
{
	(void)state;
	for (int free_inside = 0; free_inside < 2; free_inside++) {
		struct pair pair;
		struct net_address to;
		pair_init(&pair);
		close(listen_somewhere("127.0.0.1", 5, &to));
		pair.a.free_in_connected = free_inside == 1;
		pair.inside_call = true;
		pair.a.stream = stream_connect(pair.loop, &to, NULL, 10000, &testing_handler, &pair.a);
		pair.inside_call = false;
		assert_int_equal(pair.a.connected, 0);
		pair_run(&pair, a_connected);
		assert_int_equal(pair.a.connected_err, ERR_REFUSED);
		assert_non_null(strstr(pair.a.detail, "cannot connect to 127.0.0.1 port "));
		assert_non_null(strstr(pair.a.detail, "refused"));
		pair_clear(&pair);
	}
}

static void impossible_source_is_reported(void **state)
{
	(void)state;
	struct pair pair;
	struct net_address to, from;
	pair_init(&pair);
	int fd = listen_somewhere("127.0.0.1", 5, &to);
	assert_int_equal(net_address_parse(VIEW("192.0.2.1"), 0, &from), ERR_OK);
	pair.a.stream = stream_connect(pair.loop, &to, &from, 10000, &testing_handler, &pair.a);
	pair_run(&pair, a_connected);
	assert_int_not_equal(pair.a.connected_err, ERR_OK);
	close(fd);
	pair_clear(&pair);
}

static void connecting_ends_in_time(void **state)
{
	(void)state;
	struct pair pair;
	struct net_address to;
	pair_init(&pair);
	/* Nobody accepts: when the queue is full the kernel lets further attempts hang. */
	int fd = listen_somewhere("127.0.0.1", 0, &to);
	int fillers[4];
	for (size_t i = 0; i < 4; i++) {
		fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		assert_true(connect(fillers[i], &to.any, to.len) == 0 || errno == EINPROGRESS);
	}
	pair.a.stream = stream_connect(pair.loop, &to, NULL, 50, &testing_handler, &pair.a);
	pair_run(&pair, a_connected);
	assert_int_equal(pair.a.connected_err, ERR_TIMEOUT);
	assert_non_null(strstr(pair.a.detail, "no answer within 1 s"));
	for (size_t i = 0; i < 4; i++)
		close(fillers[i]);
	close(fd);
	pair_clear(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_words_arrive),
		cmocka_unit_test(much_goes_both_ways),
		cmocka_unit_test(slow_reader_is_waited_for),
		cmocka_unit_test(input_is_taken_in_pieces),
		cmocka_unit_test(needless_resume_does_nothing),
		cmocka_unit_test(no_handlers_are_needed),
		cmocka_unit_test(freeing_inside_input),
		cmocka_unit_test(freeing_inside_input_of_kept),
		cmocka_unit_test(freeing_inside_drained_and_closed),
		cmocka_unit_test(freeing_another_stream_that_is_ready),
		cmocka_unit_test(last_words_survive_unread_input),
		cmocka_unit_test(much_is_written_before_closing),
		cmocka_unit_test(lingering_ends),
		cmocka_unit_test(loop_takes_lingering_streams_along),
		cmocka_unit_test(last_words_are_heard_though_our_write_fails),
		cmocka_unit_test(connects_from_a_chosen_address),
		cmocka_unit_test(refused_connections_are_reported),
		cmocka_unit_test(impossible_source_is_reported),
		cmocka_unit_test(connecting_ends_in_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
