#include "cli/smtp_session.h"

#include "base/clock.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "net/stream.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define PIECE_BYTES (64u * 1024)
/* Body bytes under way to the kernel: enough to keep it busy. */
#define UNWRITTEN_MAX_BYTES (512u * 1024)
#define HANDSHAKE_TIMEOUT_MS 30000u
#define PROGRESS_FROM_BYTES (4u * 1024 * 1024)

struct run {
	const struct smtp_session *session;
	struct smtp_session_outcome *outcome;
	struct loop *loop;
	struct stream *stream;
	struct smtp_sender *sender; /* NULL until connected, and TLS is on where it comes first */
	struct loop_timer timer;
	struct buf line; /* of the server, for -v */
	size_t next_address;
	size_t sent_bytes;
	unsigned shown_percent;
	bool in_transaction;
	bool stopped;
};

static void try_next_address(struct run *run);

static void stop(struct run *run)
{
	run->stopped = true;
	loop_stop(run->loop);
}

static void stop_with_problem(struct run *run, const char *problem)
{
	if (!run->outcome->finished)
		snprintf(run->outcome->problem, sizeof run->outcome->problem, "%s", problem);
	stop(run);
}

static void show_line(struct run *run)
{
	struct buf shown = { 0 };
	if (buf_append_escaped(&shown, buf_view(&run->line), 1000) == ERR_OK)
		fprintf(stderr, "<- %s\n", buf_cstr(&shown));
	buf_clear(&shown);
	buf_reset(&run->line);
}

static void show_input(struct run *run, struct view in)
{
	for (size_t i = 0; i < in.len; i++) {
		bool line_over = in.ptr[i] == '\n';
		/* A line longer than the buffer's bound is shown in pieces. */
		if (line_over || (in.ptr[i] != '\r' && buf_append_byte(&run->line, in.ptr[i]) != ERR_OK))
			show_line(run);
	}
}

static void show_progress(struct run *run)
{
	size_t total = run->session->content.len;
	unsigned percent = total > 0 ? (unsigned)((double)run->sent_bytes * 100.0 / (double)total) : 100;
	if (!run->session->progress || total < PROGRESS_FROM_BYTES || percent == run->shown_percent)
		return;
	run->shown_percent = percent;
	fprintf(stderr, "\rsending: %3u %%%s", percent, percent == 100 ? "\n" : "");
}

static void flush_output(struct run *run)
{
	struct view out = smtp_sender_output(run->sender);
	stream_write(run->stream, out);
	smtp_sender_sent(run->sender, out.len);
}

static void give_body(struct run *run)
{
	while (smtp_sender_wants_body(run->sender) && stream_unwritten(run->stream) < UNWRITTEN_MAX_BYTES) {
		struct view piece = view_sub(run->session->content, run->sent_bytes, PIECE_BYTES);
		run->sent_bytes += piece.len;
		bool last = run->sent_bytes >= run->session->content.len;
		if (smtp_sender_body(run->sender, piece, last) != ERR_OK)
			smtp_sender_abort(run->sender);
		flush_output(run);
		show_progress(run);
	}
}

static void on_event(struct run *run, const struct smtp_sender_event *event)
{
	struct smtp_session_outcome *outcome = run->outcome;
	switch (event->kind) {
	case SMTP_SENDER_STARTTLS:
		flush_output(run);
		stream_start_tls(run->stream, run->session->tls, run->session->server_name, HANDSHAKE_TIMEOUT_MS);
		break;
	case SMTP_SENDER_READY:
		if (smtp_sender_begin(run->sender, &run->session->transaction) != ERR_OK)
			stop_with_problem(run, err_detail());
		run->in_transaction = true;
		break;
	case SMTP_SENDER_BODY:
		break;
	case SMTP_SENDER_RECIPIENT:
		if (event->index < outcome->reply_count)
			outcome->replies[event->index] = event->reply;
		break;
	case SMTP_SENDER_DONE:
		outcome->finished = true;
		smtp_sender_quit(run->sender);
		break;
	case SMTP_SENDER_FAILED:
		/* After the transaction this is QUIT's end, however it came. */
		if (!outcome->finished) {
			outcome->stage = event->stage;
			outcome->reply = event->reply;
		}
		stop(run);
		break;
	}
}

/* Events, then output, then body: until nothing moves. */
static void pump(struct run *run)
{
	struct smtp_sender_event event;
	while (!run->stopped && smtp_sender_next(run->sender, &event))
		on_event(run, &event);
	flush_output(run);
	if (run->stopped)
		return;
	give_body(run);
	while (!run->stopped && smtp_sender_next(run->sender, &event))
		on_event(run, &event);
	flush_output(run);
	loop_timer_set(&run->timer, smtp_sender_deadline(run->sender));
}

static void on_timer(void *owner)
{
	struct run *run = owner;
	if (run->sender == NULL)
		return;
	smtp_sender_tick(run->sender, clock_monotonic_ms());
	pump(run);
}

static size_t on_input(void *owner, struct view in)
{
	struct run *run = owner;
	size_t taken = 0;
	if (run->session->verbose)
		show_input(run, in);
	while (!run->stopped && run->sender != NULL && taken < in.len) {
		size_t used = 0;
		smtp_sender_tick(run->sender, clock_monotonic_ms());
		if (smtp_sender_feed(run->sender, view_from(in, taken), &used) != ERR_OK)
			break;
		taken += used;
		pump(run);
		if (used == 0)
			break;
	}
	/* What the engine does not want any more (after its end, or clear text behind STARTTLS) nobody wants. */
	return in.len;
}

static void on_drained(void *owner)
{
	struct run *run = owner;
	if (run->sender != NULL && !run->stopped)
		pump(run);
}

static void begin(struct run *run)
{
	struct smtp_sender_options options = run->session->sender;
	options.tls_active = stream_is_tls(run->stream);
	run->sender = smtp_sender_new(&options, clock_monotonic_ms());
	pump(run);
}

static void on_connected(void *owner, enum err err)
{
	struct run *run = owner;
	if (err != ERR_OK) {
		snprintf(run->outcome->problem, sizeof run->outcome->problem, "%s", err_detail());
		stream_free(run->stream);
		run->stream = NULL;
		try_next_address(run);
		return;
	}
	if (run->session->verbose)
		fprintf(stderr, "== connected to %s port %u\n", net_address_ip(stream_peer(run->stream)).text,
			(unsigned)net_address_port(stream_peer(run->stream)));
	if (run->session->implicit_tls)
		stream_start_tls(run->stream, run->session->tls, run->session->server_name, HANDSHAKE_TIMEOUT_MS);
	else
		begin(run);
}

static void on_tls_done(void *owner, enum err err)
{
	struct run *run = owner;
	if (err != ERR_OK) {
		run->outcome->stage = SMTP_STAGE_STARTTLS;
		stop_with_problem(run, err_detail());
		return;
	}
	if (run->session->verbose)
		fprintf(stderr, "== %s %s, certificate %s\n", stream_tls_version(run->stream),
			stream_tls_cipher(run->stream),
			stream_tls_peer_verified(run->stream) ? "verified" : "not verified");
	if (run->sender == NULL) {
		begin(run);
		return;
	}
	smtp_sender_tls_started(run->sender, clock_monotonic_ms());
	pump(run);
}

static void on_closed(void *owner, enum err err)
{
	struct run *run = owner;
	const char *reason = err == ERR_CLOSED ? "the server closed the connection" : err_detail();
	snprintf(run->outcome->problem, sizeof run->outcome->problem, "%s", reason);
	stream_free(run->stream);
	run->stream = NULL;
	loop_timer_set(&run->timer, INT64_MAX);
	struct smtp_sender_event event;
	if (run->sender != NULL) {
		smtp_sender_closed(run->sender, reason);
		while (!run->stopped && smtp_sender_next(run->sender, &event))
			if (event.kind == SMTP_SENDER_RECIPIENT || event.kind == SMTP_SENDER_FAILED)
				on_event(run, &event);
	}
	stop(run);
}

static const struct stream_handler handler = {
	.connected = on_connected,
	.input = on_input,
	.drained = on_drained,
	.tls_done = on_tls_done,
	.closed = on_closed,
};

static void try_next_address(struct run *run)
{
	if (run->next_address >= run->session->address_count) {
		stop(run);
		return;
	}
	const struct net_address *to = &run->session->addresses[run->next_address++];
	run->stream = stream_connect(run->loop, to, NULL, run->session->connect_timeout_ms, &handler, run);
}

static void start(struct run *run)
{
	int fd = run->session->fd;
	if (fd < 0) {
		try_next_address(run);
		return;
	}
	run->stream = stream_accept(run->loop, fd, &handler, run);
	begin(run);
}

enum err smtp_session_run(struct smtp_session *session, struct smtp_session_outcome *ret)
{
	struct run run = { .session = session, .outcome = ret };
	buf_init(&run.line, 2000);
	if (session->fd >= 0 && fcntl(session->fd, F_SETFL, O_NONBLOCK) != 0) {
		close(session->fd);
		return err_set(ERR_IO, "cannot use the server's socket");
	}
	run.loop = loop_new("send");
	if (run.loop == NULL) {
		if (session->fd >= 0)
			close(session->fd);
		return ERR_IO;
	}
	size_t count = session->transaction.recipient_count;
	*ret = (struct smtp_session_outcome){ .reply_count = count };
	ret->replies = mem_alloc_array(count > 0 ? count : 1, sizeof ret->replies[0]);
	loop_timer_init(&run.timer, run.loop, on_timer, &run);
	start(&run);
	if (!run.stopped)
		loop_run(run.loop);
	loop_timer_clear(&run.timer);
	stream_free(run.stream);
	smtp_sender_free(run.sender);
	loop_free(run.loop);
	buf_clear(&run.line);
	session->fd = -1;
	return ERR_OK;
}

void smtp_session_outcome_clear(struct smtp_session_outcome *outcome)
{
	mem_free(outcome->replies);
	*outcome = (struct smtp_session_outcome){ 0 };
}

int smtp_session_exit_code(const struct smtp_reply *reply)
{
	if (smtp_reply_is_positive(reply))
		return EX_OK;
	if (smtp_reply_is_transient(reply) || reply->code == 0)
		return EX_TEMPFAIL;
	/* RFC 3463 §3.2: x.1.y is about the address; §3.8: x.7.y about permission; §3.4, §3.7: x.3.4, x.6.y about the content. */
	if (reply->subject == 1 && (reply->detail == 1 || reply->detail == 2 || reply->detail == 3))
		return EX_NOUSER;
	if (reply->subject == 7)
		return EX_NOPERM;
	if (reply->subject == 6 || (reply->subject == 3 && reply->detail == 4) || reply->code == 552)
		return EX_DATAERR;
	return EX_UNAVAILABLE;
}

static int report_end(const struct smtp_session_outcome *outcome)
{
	static const char *const at[] = {
		[SMTP_STAGE_GREETING] = "the server's greeting",
		[SMTP_STAGE_EHLO] = "EHLO",
		[SMTP_STAGE_STARTTLS] = "TLS",
		[SMTP_STAGE_AUTH] = "the login",
		[SMTP_STAGE_MAIL] = "the sender's address",
		[SMTP_STAGE_RCPT] = "a recipient",
		[SMTP_STAGE_DATA] = "DATA",
		[SMTP_STAGE_FINAL] = "the message",
		[SMTP_STAGE_QUIT] = "QUIT",
	};
	struct buf text = { 0 };
	if (outcome->reply.code != 0 && smtp_reply_describe(&outcome->reply, &text) == ERR_OK)
		cli_error("the message was not accepted, at %s: %s", at[outcome->stage], buf_cstr(&text));
	else
		cli_error("the message was not accepted: %s", outcome->problem);
	buf_clear(&text);
	/* A wrong password is not a thing to try again (RFC 4954 §6: 535). */
	if (outcome->stage == SMTP_STAGE_AUTH && smtp_reply_is_permanent(&outcome->reply))
		return EX_NOPERM;
	return smtp_session_exit_code(&outcome->reply);
}

int smtp_session_report(const struct smtp_session_outcome *outcome, const struct smtp_sender_transaction *transaction)
{
	int code = EX_OK;
	struct buf text = { 0 };
	for (size_t i = 0; i < outcome->reply_count; i++) {
		const struct smtp_reply *reply = &outcome->replies[i];
		if (reply->code == 0 || smtp_reply_is_positive(reply))
			continue;
		buf_reset(&text);
		if (smtp_reply_describe(reply, &text) == ERR_OK)
			cli_error("%.*s: %s", VIEW_ARG(transaction->recipients[i].address), buf_cstr(&text));
		code = code == EX_OK ? smtp_session_exit_code(reply) : code;
	}
	buf_clear(&text);
	return code == EX_OK && !outcome->finished ? report_end(outcome) : code;
}
