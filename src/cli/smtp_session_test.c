/* Sessions against our own receiver engine, run by a thread on the other end of a socket pair. */
#include "cli/smtp_session.h"
#include "cli/testing.h"

#include "base/clock.h"
#include "base/mem.h"

#include <pthread.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

struct server {
	int fd;
	struct smtp_reply connect, final; /* what it answers */
	const char *refused; /* a recipient that it refuses with 550 5.1.1 */
	bool hang_up; /* instead of the answer to DATA */
	struct buf body;
	bool over;
};

/* The answer to a question; code 0: hang up. */
static struct smtp_reply answer(struct server *server, const struct smtp_event *event)
{
	switch (event->kind) {
	case SMTP_EVENT_CONNECT:
		return server->connect;
	case SMTP_EVENT_RCPT:
		if (view_eq(event->address, view_from_cstr(server->refused)))
			return smtp_reply_make(550, "5.1.1", "no such user");
		return smtp_reply_make(250, "2.1.5", "ok");
	case SMTP_EVENT_DATA:
		return server->hang_up ? (struct smtp_reply){ 0 } : smtp_reply_make(354, NULL, "go on");
	case SMTP_EVENT_MESSAGE:
		return server->final;
	default:
		return smtp_reply_make(250, "2.0.0", "ok");
	}
}

/* False when the session is over. */
static bool serve_events(struct server *server, struct smtp_receiver *receiver)
{
	struct smtp_event event;
	while (smtp_receiver_next(receiver, &event)) {
		if (event.kind == SMTP_EVENT_BODY && buf_append(&server->body, event.body) != ERR_OK)
			return false;
		if (event.kind == SMTP_EVENT_CLOSE)
			server->over = true;
		if (event.token == 0)
			continue;
		struct smtp_reply reply = answer(server, &event);
		if (reply.code == 0 || smtp_receiver_answer(receiver, event.token, &reply) != ERR_OK)
			return false;
	}
	struct view out = smtp_receiver_output(receiver);
	while (out.len > 0) {
		ssize_t n = send(server->fd, out.ptr, out.len, MSG_NOSIGNAL);
		if (n <= 0)
			return false;
		smtp_receiver_sent(receiver, (size_t)n);
		out = smtp_receiver_output(receiver);
	}
	return !server->over;
}

static void *serve(void *owner)
{
	struct server *server = owner;
	struct smtp_receiver_options options;
	smtp_receiver_options_init(&options);
	options.hostname = VIEW("server.example");
	options.smtputf8 = options.chunking = options.dsn = true;
	options.message_size_max_bytes = 16u * 1024 * 1024;
	struct smtp_receiver *receiver = smtp_receiver_new(&options, clock_monotonic_ms());
	uint8_t bytes[65536];
	bool on = serve_events(server, receiver);
	while (on) {
		ssize_t n = read(server->fd, bytes, sizeof bytes);
		struct view in = view_of(bytes, n > 0 ? (size_t)n : 0);
		on = n > 0;
		while (on && in.len > 0) {
			size_t used = 0;
			on = smtp_receiver_feed(receiver, in, &used) == ERR_OK && serve_events(server, receiver);
			in = view_from(in, used);
		}
	}
	smtp_receiver_free(receiver);
	close(server->fd);
	return NULL;
}

static const struct smtp_sender_recipient recipients[] = {
	{ .address = { (const uint8_t *)"a@x.example", 11 } },
	{ .address = { (const uint8_t *)"b@x.example", 11 } },
};

static void run(struct server *server, struct view content, struct smtp_session_outcome *ret)
{
	int ends[2];
	pthread_t thread;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	server->fd = ends[1];
	assert_int_equal(pthread_create(&thread, NULL, serve, server), 0);
	struct smtp_session session = {
		.fd = ends[0],
		.content = content,
		.transaction = {
			.reverse_path = VIEW("me@y.example"),
			.recipient_count = COUNT_OF(recipients),
			.recipients = recipients,
			.size_bytes = content.len,
		},
	};
	smtp_sender_options_init(&session.sender);
	session.sender.ehlo_name = VIEW("client.example");
	session.sender.tls = SMTP_TLS_NEVER;
	assert_err("session", smtp_session_run(&session, ret), ERR_OK);
	pthread_join(thread, NULL);
}

static struct server plain_server(void)
{
	return (struct server){ .connect = smtp_reply_make(220, NULL, "hello"),
		.final = smtp_reply_make(250, "2.0.0", "queued as X") };
}

static void test_accepted(void **state)
{
	(void)state;
	struct server server = plain_server();
	struct smtp_session_outcome outcome;
	struct view content = VIEW("Subject: x\r\n\r\n.\r\n..\r\nhello\r\n");
	run(&server, content, &outcome);
	assert_true(outcome.finished);
	assert_int_equal(outcome.reply_count, 2);
	assert_int_equal(outcome.replies[0].code, 250);
	assert_int_equal(outcome.replies[1].code, 250);
	assert_text("reply", smtp_reply_text(&outcome.replies[0]), "queued as X");
	assert_true(view_eq(buf_view(&server.body), content));
	assert_int_equal(smtp_session_report(&outcome, &(struct smtp_sender_transaction){ 0 }), EX_OK);
	smtp_session_outcome_clear(&outcome);
	buf_clear(&server.body);
}

/* More than any buffer on the way holds, through both directions' back-pressure. */
static void test_large(void **state)
{
	(void)state;
	struct server server = plain_server();
	struct smtp_session_outcome outcome;
	struct buf content = { 0 };
	for (int i = 0; i < 100000; i++)
		assert_int_equal(
			buf_append_format(&content, ".%d a line of some length, not always the same\r\n", i), ERR_OK);
	run(&server, buf_view(&content), &outcome);
	assert_true(outcome.finished);
	assert_int_equal(outcome.replies[0].code, 250);
	assert_true(view_eq(buf_view(&server.body), buf_view(&content)));
	smtp_session_outcome_clear(&outcome);
	buf_clear(&server.body);
	buf_clear(&content);
}

static void test_one_refused(void **state)
{
	(void)state;
	struct server server = plain_server();
	struct smtp_session_outcome outcome;
	server.refused = "b@x.example";
	run(&server, VIEW("Subject: x\r\n\r\nhello\r\n"), &outcome);
	assert_true(outcome.finished);
	assert_int_equal(outcome.replies[0].code, 250);
	assert_int_equal(outcome.replies[1].code, 550);
	const struct smtp_sender_transaction transaction = { .recipient_count = 2, .recipients = recipients };
	assert_int_equal(smtp_session_report(&outcome, &transaction), EX_NOUSER);
	smtp_session_outcome_clear(&outcome);
	buf_clear(&server.body);
}

static void test_refused(void **state)
{
	static const struct {
		const char *name;
		uint16_t connect, final;
		const char *enhanced;
		bool hang_up;
		int code;
	} cases[] = {
		{ "sent away at once", 554, 250, "5.7.1", false, EX_NOPERM },
		{ "too busy", 421, 250, "4.3.2", false, EX_TEMPFAIL },
		{ "disk full", 220, 452, "4.3.1", false, EX_TEMPFAIL },
		{ "too large", 220, 552, "5.3.4", false, EX_DATAERR },
		{ "refused by policy", 220, 550, "5.7.1", false, EX_NOPERM },
		{ "refused", 220, 554, "5.5.0", false, EX_UNAVAILABLE },
		{ "hangs up", 220, 250, "2.0.0", true, EX_TEMPFAIL },
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct server server = {
			.connect = smtp_reply_make(
				cases[i].connect, cases[i].connect == 220 ? NULL : cases[i].enhanced, "c"),
			.final = smtp_reply_make(
				cases[i].final, cases[i].connect == 220 ? cases[i].enhanced : NULL, "f"),
			.hang_up = cases[i].hang_up,
		};
		struct smtp_session_outcome outcome;
		run(&server, VIEW("Subject: x\r\n\r\nhello\r\n"), &outcome);
		const struct smtp_sender_transaction transaction = { .recipient_count = 2, .recipients = recipients };
		int code = smtp_session_report(&outcome, &transaction);
		if (code != cases[i].code)
			fail_msg("%s: exit code %d, want %d", cases[i].name, code, cases[i].code);
		smtp_session_outcome_clear(&outcome);
		buf_clear(&server.body);
	}
}

/* Nobody listens: a sentence, and "try later". */
static void test_no_server(void **state)
{
	(void)state;
	struct net_address nowhere;
	struct smtp_session_outcome outcome;
	assert_err("address", net_address_parse(VIEW("127.0.0.1"), 1, &nowhere), ERR_OK);
	struct smtp_session session = {
		.fd = -1, .addresses = &nowhere, .address_count = 1, .connect_timeout_ms = 5000
	};
	smtp_sender_options_init(&session.sender);
	session.sender.ehlo_name = VIEW("client.example");
	session.transaction.recipient_count = 2;
	session.transaction.recipients = recipients;
	assert_err("session", smtp_session_run(&session, &outcome), ERR_OK);
	assert_false(outcome.finished);
	assert_has("problem", view_from_cstr(outcome.problem), "127.0.0.1 port 1");
	assert_int_equal(smtp_session_report(&outcome, &session.transaction), EX_TEMPFAIL);
	smtp_session_outcome_clear(&outcome);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_one_refused),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_no_server),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
