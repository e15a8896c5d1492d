#include "net/testing_streams.h"

#include "net/loop_private.h"
#include "net/testing_certificates.h"
#include "net/tls_private.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define MEGA ((size_t)1 << 20)
#define TIMEOUT_MS 60000u

/* Everywhere: a is the client, b the server. */
static struct tls_context *server, *server_1_2_only, *trusting, *insisting, *insisting_on_others;

static int make(void **state)
{
	(void)state;
	certificates_make();
	struct tls_server_options options = { certificate_path("cert.pem"), certificate_path("key.pem"), NULL };
	server = tls_context_new_server(&options);
	server_1_2_only = tls_context_new_server(&options);
	assert_int_equal(SSL_CTX_set_max_proto_version(tls_context_ssl(server_1_2_only), TLS1_2_VERSION), 1);
	trusting = tls_context_new_client(TLS_VERIFY_NONE, certificate_path("ca.pem"));
	insisting = tls_context_new_client(TLS_VERIFY_REQUIRED, certificate_path("ca.pem"));
	insisting_on_others = tls_context_new_client(TLS_VERIFY_REQUIRED, certificate_path("other-ca.pem"));
	return 0;
}

static int remove_all(void **state)
{
	(void)state;
	tls_context_unref(server);
	tls_context_unref(server_1_2_only);
	tls_context_unref(trusting);
	tls_context_unref(insisting);
	tls_context_unref(insisting_on_others);
	certificates_remove();
	return 0;
}

static bool both_done(struct pair *pair)
{
	return pair->a.tls_done > 0 && pair->b.tls_done > 0;
}
static bool b_done(struct pair *pair)
{
	return pair->b.tls_done > 0;
}
static bool a_closed(struct pair *pair)
{
	return pair->a.closed > 0;
}
static bool b_closed(struct pair *pair)
{
	return pair->b.closed > 0;
}
static bool b_has_input(struct pair *pair)
{
	return pair->b.inputs > 0;
}
static bool both_got_all(struct pair *pair)
{
	return pair->a.got.len >= pair->b.to_send && pair->b.got.len >= pair->a.to_send;
}
static bool b_got_5(struct pair *pair)
{
	return pair->b.got.len >= 5;
}
static bool both_got_5(struct pair *pair)
{
	return pair->a.got.len >= 5 && pair->b.got.len >= 5;
}

static void start_tls(struct end *end, struct tls_context *context, const char *name)
{
	end->pair->inside_call = true;
	stream_start_tls(end->stream, context, name, TIMEOUT_MS);
	end->pair->inside_call = false;
}

static void open_tls(struct pair *pair, struct tls_context *server_context)
{
	pair_open(pair);
	start_tls(&pair->a, trusting, "mail.example.test");
	start_tls(&pair->b, server_context, NULL);
	pair_run(pair, both_done);
	assert_int_equal(pair->a.tls_err, ERR_OK);
	assert_int_equal(pair->b.tls_err, ERR_OK);
}

static void certificates_are_judged(void **state)
{
	(void)state;
	const struct {
		const char *name;
		struct tls_context *server, *client;
		const char *server_name;
		enum err err;
		bool verified;
		const char *version, *sentence;
	} cases[] = {
		{ "insisting, right name", server, insisting, "mail.example.test", ERR_OK, true, "TLSv1.3", "" },
		{ "insisting, TLS 1.2", server_1_2_only, insisting, "mail.example.test", ERR_OK, true, "TLSv1.2", "" },
		{ "insisting, right address", server, insisting, "127.0.0.1", ERR_OK, true, "TLSv1.3", "" },
		{ "insisting, other address", server, insisting, "127.0.0.2", ERR_TLS, false, "",
			"IP address mismatch" },
		{ "insisting, other name", server, insisting, "mail.example.org", ERR_TLS, false, "",
			"failed: certificate verify failed: hostname mismatch" },
		{ "insisting, unknown authority", server, insisting_on_others, "mail.example.test", ERR_TLS, false, "",
			"failed: certificate verify failed: unable to get local issuer certificate" },
		{ "insisting, no name", server, insisting, NULL, ERR_TLS, false, "", "without a name" },
		{ "insisting, impossible name", server, insisting,
			"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
			"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
			"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
			ERR_TLS, false, "", "is no name for a TLS server" },
		{ "trusting, right name", server, trusting, "mail.example.test", ERR_OK, true, "TLSv1.3", "" },
		{ "trusting, other name", server, trusting, "mail.example.org", ERR_OK, false, "TLSv1.3", "" },
		{ "trusting, no name", server, trusting, NULL, ERR_OK, true, "TLSv1.3", "" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		print_message("  %s\n", cases[i].name);
		struct pair pair;
		pair_open(&pair);
		start_tls(&pair.b, cases[i].server, NULL);
		start_tls(&pair.a, cases[i].client, cases[i].server_name);
		if (cases[i].server_name == NULL && cases[i].err != ERR_OK)
			pair.a.free_in_tls_done = true; /* no alert is sent before the handshake */
		if (cases[i].server_name != NULL && strlen(cases[i].server_name) > 255)
			pair.a.free_in_tls_done = true;
		pair_run(&pair, both_done);
		assert_int_equal(pair.a.tls_err, cases[i].err);
		if (cases[i].err != ERR_OK) {
			if (strstr(pair.a.detail, cases[i].sentence) == NULL)
				fail_msg("said: %s", pair.a.detail);
			/* With TLS 1.3 the server may be done before the alert arrives. */
			if (pair.b.tls_err == ERR_OK)
				pair_run(&pair, b_closed);
			assert_int_equal(pair.a.closed, 0);
			pair_clear(&pair);
			continue;
		}
		assert_int_equal(pair.b.tls_err, ERR_OK);
		assert_true(stream_is_tls(pair.a.stream));
		assert_int_equal(stream_tls_peer_verified(pair.a.stream), cases[i].verified);
		assert_false(stream_tls_peer_verified(pair.b.stream));
		assert_string_equal(stream_tls_version(pair.a.stream), cases[i].version);
		assert_string_equal(stream_tls_cipher(pair.a.stream), stream_tls_cipher(pair.b.stream));
		assert_string_not_equal(stream_tls_cipher(pair.a.stream), "");
		end_write(&pair.a, "hello");
		end_write(&pair.b, "there");
		pair_run(&pair, both_got_5);
		assert_got(&pair.b, "hello");
		assert_got(&pair.a, "there");
		pair_clear(&pair);
	}
}

static void much_goes_both_ways(void **state)
{
	(void)state;
	struct tls_context *contexts[] = { server, server_1_2_only };
	for (size_t i = 0; i < 2; i++) {
		struct pair pair;
		open_tls(&pair, contexts[i]);
		end_send_pattern(&pair.a, 8 * MEGA);
		end_send_pattern(&pair.b, 8 * MEGA);
		pair_run(&pair, both_got_all);
		assert_pattern(&pair.a, 8 * MEGA);
		assert_pattern(&pair.b, 8 * MEGA);
		pair_clear(&pair);
	}
}

static void slow_reader_is_waited_for(void **state)
{
	(void)state;
	struct pair pair;
	open_tls(&pair, server);
	pair.b.take = 0;
	static uint8_t zeros[8 * 1024 * 1024];
	stream_write(pair.a.stream, view_of(zeros, sizeof zeros));
	assert_true(stream_unwritten(pair.a.stream) > 0);
	pair_run(&pair, b_has_input);
	assert_int_equal(pair.b.got.len, 0);
	pair.b.take = SIZE_MAX;
	stream_resume(pair.b.stream);
	stream_close_after_write(pair.a.stream, TIMEOUT_MS);
	pair.a.stream = NULL;
	pair_run(&pair, b_closed);
	assert_int_equal(pair.b.closed_err, ERR_CLOSED);
	assert_int_equal(pair.b.got.len, sizeof zeros);
	pair_clear(&pair);
}

static void input_is_taken_in_pieces(void **state)
{
	(void)state;
	struct pair pair;
	open_tls(&pair, server);
	pair.b.take = 7;
	pair.b.resume_each = true;
	end_send_pattern(&pair.a, 300000);
	pair_run(&pair, both_got_all);
	assert_pattern(&pair.b, 300000);
	pair_clear(&pair);
}

/* STARTTLS in the middle of a session. */

static void server_starts(struct end *end)
{
	if (end->tls_done == 0 && !stream_is_tls(end->stream)) {
		stream_write(end->stream, VIEW("220 go ahead\r\n"));
		stream_start_tls(end->stream, server, NULL, TIMEOUT_MS);
		end->take = SIZE_MAX;
	}
}

static void client_starts(struct end *end)
{
	if (end->tls_done == 0)
		stream_start_tls(end->stream, insisting, "mail.example.test", TIMEOUT_MS);
}

static void clear_input_behind_starttls_is_dropped(void **state)
{
	(void)state;
	struct pair pair;
	pair_open(&pair);
	pair.b.take = strlen("STARTTLS\r\n");
	pair.b.on_input = server_starts;
	pair.a.on_input = client_starts;
	end_write(&pair.a, "STARTTLS\r\nMAIL FROM:<injected@example.test>\r\n");
	pair_run(&pair, both_done);
	assert_int_equal(pair.a.tls_err, ERR_OK);
	assert_int_equal(pair.b.tls_err, ERR_OK);
	assert_got(&pair.a, "220 go ahead\r\n");
	end_write(&pair.a, "QUIT\r\n");
	stream_close_after_write(pair.a.stream, TIMEOUT_MS);
	pair.a.stream = NULL;
	pair_run(&pair, b_closed);
	assert_got(&pair.b, "STARTTLS\r\nQUIT\r\n");
	pair_clear(&pair);
}

static void kept_clear_input_is_dropped(void **state)
{
	(void)state;
	struct pair pair;
	pair_open(&pair);
	pair.b.take = 0;
	end_write(&pair.a, "injected");
	pair_run(&pair, b_has_input);
	pair.b.take = SIZE_MAX;
	stream_resume(pair.b.stream);
	start_tls(&pair.b, server, NULL);
	start_tls(&pair.a, trusting, NULL);
	pair_run(&pair, both_done);
	end_write(&pair.a, "hello");
	pair_run(&pair, b_got_5);
	assert_got(&pair.b, "hello");
	pair_clear(&pair);
}

static bool a_got_8_mega(struct pair *pair)
{
	return pair->a.got.len >= 8 * MEGA;
}

/* What was written in clear leaves in clear, before the handshake, however slowly the peer reads. */
static void clear_output_leaves_first(void **state)
{
	(void)state;
	struct pair pair;
	pair_open(&pair);
	static uint8_t zeros[8 * 1024 * 1024];
	stream_write(pair.b.stream, view_of(zeros, sizeof zeros));
	assert_true(stream_unwritten(pair.b.stream) > 0);
	start_tls(&pair.b, server, NULL);
	end_write(&pair.b, "later");
	pair_run(&pair, a_got_8_mega);
	assert_int_equal(pair.a.got.len, sizeof zeros);
	buf_reset(&pair.a.got);
	start_tls(&pair.a, trusting, NULL);
	pair_run(&pair, both_done);
	end_write(&pair.a, "hello");
	pair_run(&pair, both_got_5);
	assert_got(&pair.a, "later");
	pair_clear(&pair);
}

/* Failures */

static void clear_text_instead_of_a_handshake(void **state)
{
	(void)state;
	struct pair pair;
	pair_open(&pair);
	start_tls(&pair.b, server, NULL);
	end_write(&pair.a, "EHLO client.example.test\r\n");
	pair_run(&pair, b_done);
	assert_int_equal(pair.b.tls_err, ERR_TLS);
	assert_non_null(strstr(pair.b.detail, "the TLS handshake with 127.0.0.1 port "));
	assert_false(stream_is_tls(pair.b.stream));
	stream_free(pair.b.stream);
	pair.b.stream = NULL;
	pair_run(&pair, a_closed);
	assert_int_equal(pair.b.closed, 0);
	pair_clear(&pair);
}

static void silence_instead_of_a_handshake(void **state)
{
	(void)state;
	struct pair pair;
	pair_open(&pair);
	pair.b.free_in_tls_done = true;
	stream_start_tls(pair.b.stream, server, NULL, 20);
	pair_run(&pair, b_done);
	assert_int_equal(pair.b.tls_err, ERR_TIMEOUT);
	assert_non_null(strstr(pair.b.detail, "was not finished within 1 s"));
	pair_clear(&pair);
}

static void farewell_instead_of_a_handshake(void **state)
{
	(void)state;
	struct pair pair;
	pair_open(&pair);
	start_tls(&pair.b, server, NULL);
	stream_free(pair.a.stream);
	pair.a.stream = NULL;
	pair_run(&pair, b_done);
	assert_int_equal(pair.b.tls_err, ERR_CLOSED);
	assert_int_equal(pair.b.closed, 0);
	pair_clear(&pair);
}

static void no_common_version(void **state)
{
	(void)state;
	struct pair pair;
	struct tls_context *modern = tls_context_new_server(
		&(struct tls_server_options){ certificate_path("cert.pem"), certificate_path("key.pem"), "1.3" });
	struct tls_context *old = tls_context_new_client(TLS_VERIFY_NONE, certificate_path("ca.pem"));
	assert_int_equal(SSL_CTX_set_max_proto_version(tls_context_ssl(old), TLS1_2_VERSION), 1);
	pair_open(&pair);
	start_tls(&pair.b, modern, NULL);
	start_tls(&pair.a, old, NULL);
	tls_context_unref(modern); /* the streams hold them */
	tls_context_unref(old);
	pair_run(&pair, both_done);
	assert_int_equal(pair.a.tls_err, ERR_TLS);
	assert_int_equal(pair.b.tls_err, ERR_TLS);
	assert_non_null(strstr(pair.b.detail, "unsupported protocol"));
	assert_non_null(strstr(pair.a.detail, "alert protocol version"));
	pair_clear(&pair);
}

static void broken_records_end_it(void **state)
{
	(void)state;
	struct pair pair;
	pair_init(&pair);
	int fds[2];
	testing_tcp_pair(fds);
	int raw = dup(fds[0]);
	pair.a.stream = stream_accept(pair.loop, fds[0], &testing_handler, &pair.a);
	pair.b.stream = stream_accept(pair.loop, fds[1], &testing_handler, &pair.b);
	start_tls(&pair.a, trusting, NULL);
	start_tls(&pair.b, server, NULL);
	pair_run(&pair, both_done);
	end_write(&pair.a, "hello");
	assert_int_equal(write(raw, "\x17\x03\x03\x00\x20not what was agreed upon, surely", 37), 37);
	pair_run(&pair, b_closed);
	assert_got(&pair.b, "hello");
	assert_int_equal(pair.b.closed_err, ERR_TLS);
	assert_non_null(strstr(pair.b.detail, "bad record mac"));
	close(raw);
	pair_clear(&pair);
}

/* The end without close_notify is an end, too: mail protocols have their own (RFC 8446 §6.1 is about truncation). */
static void bare_end_is_closed(void **state)
{
	(void)state;
	struct pair pair;
	pair_init(&pair);
	int fds[2];
	testing_tcp_pair(fds);
	int raw = dup(fds[0]);
	pair.a.stream = stream_accept(pair.loop, fds[0], &testing_handler, &pair.a);
	pair.b.stream = stream_accept(pair.loop, fds[1], &testing_handler, &pair.b);
	start_tls(&pair.a, trusting, NULL);
	start_tls(&pair.b, server, NULL);
	pair_run(&pair, both_done);
	assert_int_equal(shutdown(raw, SHUT_WR), 0);
	pair_run(&pair, b_closed);
	assert_int_equal(pair.b.closed_err, ERR_CLOSED);
	close(raw);
	pair_clear(&pair);
}

/* Freeing */

static bool b_is_gone(struct pair *pair)
{
	return pair->b.stream == NULL;
}

static void freeing_inside_handlers(void **state)
{
	(void)state;
	for (int where = 0; where < 3; where++) {
		struct pair pair;
		pair_open(&pair);
		pair.b.free_in_tls_done = where == 0;
		pair.b.free_in_input = where == 1;
		pair.b.free_in_closed = where == 2;
		start_tls(&pair.b, server, NULL);
		start_tls(&pair.a, trusting, NULL);
		end_write(&pair.a, "hello");
		if (where == 2) {
			pair_run(&pair, both_done);
			stream_close_after_write(pair.a.stream, TIMEOUT_MS);
			pair.a.stream = NULL;
		}
		pair_run(&pair, b_is_gone);
		assert_int_equal(pair.b.got.len, where == 0 ? 0 : 5);
		if (where < 2)
			pair_run(&pair, a_closed);
		pair_clear(&pair);
	}
}

static void freeing_during_the_handshake(void **state)
{
	(void)state;
	struct pair pair;
	pair_open(&pair);
	start_tls(&pair.a, trusting, NULL);
	start_tls(&pair.b, server, NULL);
	stream_free(pair.b.stream);
	pair.b.stream = NULL;
	stream_close_after_write(pair.a.stream, 10);
	pair.a.stream = NULL;
	pair_clear(&pair);
}

/* A wire that carries one byte at a time: the handshake and the data do the same as at once. */

struct wire {
	int from, to;
	struct event *event;
};

static void carry_one(evutil_socket_t fd, short what, void *arg)
{
	(void)what;
	struct wire *wire = arg;
	uint8_t byte;
	if (recv(fd, &byte, 1, 0) == 1)
		assert_int_equal(send(wire->to, &byte, 1, MSG_NOSIGNAL), 1);
	else
		event_del(wire->event);
}

static void byte_by_byte(void **state)
{
	(void)state;
	struct pair pair;
	int left[2], right[2];
	pair_init(&pair);
	testing_tcp_pair(left);
	testing_tcp_pair(right);
	struct wire wires[2] = { { left[1], right[0], NULL }, { right[0], left[1], NULL } };
	for (size_t i = 0; i < 2; i++) {
		wires[i].event = event_new(pair.loop->base, wires[i].from, EV_READ | EV_PERSIST, carry_one, &wires[i]);
		event_add(wires[i].event, NULL);
	}
	int on = 1;
	assert_int_equal(setsockopt(left[1], IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, sizeof on), 0);
	assert_int_equal(setsockopt(right[0], IPPROTO_TCP, 1, &on, sizeof on), 0);
	pair.a.stream = stream_accept(pair.loop, left[0], &testing_handler, &pair.a);
	pair.b.stream = stream_accept(pair.loop, right[1], &testing_handler, &pair.b);
	start_tls(&pair.a, insisting, "mail.example.test");
	start_tls(&pair.b, server, NULL);
	end_send_pattern(&pair.a, 3000);
	end_send_pattern(&pair.b, 3000);
	pair_run(&pair, both_got_all);
	assert_pattern(&pair.a, 3000);
	assert_pattern(&pair.b, 3000);
	for (size_t i = 0; i < 2; i++) {
		event_free(wires[i].event);
		close(wires[i].from);
	}
	pair_clear(&pair);
}

/* A client that asks for renegotiation is told no, and goes on. */

struct renegotiation {
	int fd;
	const char *result;
};

static void *renegotiating_client(void *arg)
{
	struct renegotiation *client = arg;
	int fd = client->fd;
	char reply[8];
	assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
	SSL *ssl = SSL_new(tls_context_ssl(trusting));
	SSL_set_fd(ssl, fd);
	SSL_clear_options(ssl, SSL_OP_NO_RENEGOTIATION);
	SSL_set_max_proto_version(ssl, TLS1_2_VERSION);
	bool ok = SSL_connect(ssl) == 1 && SSL_renegotiate(ssl) == 1;
	/* Our refusal is a warning alert, which OpenSSL's client takes as the end of it. */
	bool renegotiated = ok && SSL_do_handshake(ssl) == 1 && SSL_write(ssl, "hello", 5) == 5 &&
		SSL_read(ssl, reply, sizeof reply) > 0;
	SSL_free(ssl);
	close(fd);
	client->result = !ok ? "no connection" : renegotiated ? "renegotiated" : "refused";
	return NULL;
}

static void renegotiation_is_refused(void **state)
{
	(void)state;
	struct pair pair;
	int fds[2];
	pthread_t thread;
	pair_init(&pair);
	testing_tcp_pair(fds);
	struct renegotiation client = { .fd = fds[0] };
	pair.b.stream = stream_accept(pair.loop, fds[1], &testing_handler, &pair.b);
	start_tls(&pair.b, server, NULL);
	assert_int_equal(pthread_create(&thread, NULL, renegotiating_client, &client), 0);
	pair_run(&pair, b_closed);
	pthread_join(thread, NULL);
	assert_int_equal(pair.b.tls_err, ERR_OK);
	assert_string_equal(client.result, "refused");
	pair_clear(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(certificates_are_judged),
		cmocka_unit_test(much_goes_both_ways),
		cmocka_unit_test(slow_reader_is_waited_for),
		cmocka_unit_test(input_is_taken_in_pieces),
		cmocka_unit_test(clear_input_behind_starttls_is_dropped),
		cmocka_unit_test(kept_clear_input_is_dropped),
		cmocka_unit_test(clear_output_leaves_first),
		cmocka_unit_test(clear_text_instead_of_a_handshake),
		cmocka_unit_test(silence_instead_of_a_handshake),
		cmocka_unit_test(farewell_instead_of_a_handshake),
		cmocka_unit_test(no_common_version),
		cmocka_unit_test(broken_records_end_it),
		cmocka_unit_test(bare_end_is_closed),
		cmocka_unit_test(freeing_inside_handlers),
		cmocka_unit_test(freeing_during_the_handshake),
		cmocka_unit_test(byte_by_byte),
		cmocka_unit_test(renegotiation_is_refused),
	};
	return cmocka_run_group_tests(tests, make, remove_all);
}
