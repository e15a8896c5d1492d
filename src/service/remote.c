/* LIFE 9/10: an outgoing SMTP connection: the sender engine on a stream, one delivery after another. */
#include "service/remote_private.h"

#include "base/mem.h"

#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#define LINGER_MS 2000u
#define QUIT_MS 5000

void remote_set_reason(struct remote *remote, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(remote->reason, sizeof remote->reason, format, args);
	va_end(args);
	remote->reason_is_reply = false;
}

struct view remote_host_text(const struct remote *remote)
{
	static _Thread_local char text[320];
	if (remote->address == NULL)
		return VIEW_NONE;
	struct net_address_text ip = net_address_ip(remote->address);
	struct view host = remote->host.len > 0 && remote->host.ptr[0] != '[' ? remote->host : VIEW_NONE;
	int n = snprintf(text, sizeof text, "%.*s[%s]", VIEW_ARG(view_sub(host, 0, 255)), ip.text);
	return view_of(text, n > 0 && (size_t)n < sizeof text ? (size_t)n : 0);
}

void remote_close_session(struct remote *remote)
{
	stream_free(remote->stream);
	remote->stream = NULL;
	smtp_sender_free(remote->engine);
	remote->engine = NULL;
	remote->handshaking = remote->starttls = remote->wants_next = false;
	remote->delivered = 0;
	remote_set_proven(remote, false);
	loop_timer_set(&remote->timer, INT64_MAX);
}

/* Hands the delivery's outcomes on; the connection is free for the next one. */
void remote_settle(struct remote *remote)
{
	struct delivery *delivery = remote->delivery;
	remote->delivery = NULL;
	remote_uncount(remote);
	remote_transaction_clear(remote);
	delivery->destination = NULL;
	dispatcher_settle(delivery);
}

void remote_ready(struct remote *remote)
{
	remote->wants_next = true;
}

static void next_after_failure(struct remote *remote)
{
	remote_transaction_clear(remote);
	remote_close_session(remote);
	remote_next_address(remote);
}

/* What another server said is kept apart from what we say about it. */
static void note_reason(struct remote *remote, const struct smtp_sender_event *event)
{
	struct buf text = { 0 };
	if (event->made_here)
		remote_set_reason(remote, "%u %u.%u.%u %.*s: %.*s", event->reply.code, event->reply.class,
			event->reply.subject, event->reply.detail, VIEW_ARG(remote_host_text(remote)),
			VIEW_ARG(smtp_reply_text(&event->reply)));
	else if (smtp_reply_describe(&event->reply, &text) == ERR_OK)
		remote_set_reason(remote, "%s", buf_cstr(&text));
	remote->reason_is_reply = !event->made_here;
	buf_clear(&text);
}

static void session_failed(struct remote *remote, const struct smtp_sender_event *event)
{
	if (remote->delivery == NULL) {
		remote_end(remote); /* QUIT answered, or an idle connection ended */
		return;
	}
	note_reason(remote, event);
	if (remote_login_refused(remote, event))
		return;
	if (!event->made_here && event->stage <= SMTP_STAGE_AUTH)
		(void)remote_shape(remote, &event->reply); /* the next host is tried anyway */
	if (event->stage != SMTP_STAGE_GREETING && event->stage != SMTP_STAGE_QUIT &&
		(event->made_here || smtp_reply_is_transient(&event->reply)))
		remote_strained(remote);
	/* No TLS where it is a must: the trouble of this delivery or its domain, and not of all the host's. */
	if (event->stage == SMTP_STAGE_STARTTLS && remote->delivered == 0)
		remote_tls_not_had(remote, event);
	if (event->stage == SMTP_STAGE_GREETING && !event->made_here && event->reply.code == 521)
		remote->refusing_hosts++; /* "does not accept mail" (RFC 7504) */
	/* Stage QUIT: the transaction had not begun when the server hung up. */
	bool before_transaction = event->stage <= SMTP_STAGE_AUTH || event->stage == SMTP_STAGE_QUIT;
	if (remote->next_host_wanted || (before_transaction && remote->delivered == 0)) {
		/* The next host may do better (RFC 5321 §5.1). */
		next_after_failure(remote);
		return;
	}
	bool untried = remote->elsewhere || before_transaction || (event->made_here && event->stage <= SMTP_STAGE_RCPT);
	if (untried && remote_put_back(remote)) {
		remote_end(remote);
		return;
	}
	/* What the engine made of it is never permanent; what the server said may be, but then each recipient had its event. */
	delivery_set_all(remote->delivery, OUTCOME_DEFERRED, view_from_cstr(remote->reason),
		remote->reason_is_reply ? remote_host_text(remote) : VIEW_NONE);
	remote_settle(remote);
	remote_end(remote);
}

void remote_lost_before_begin(struct remote *remote, const char *reason)
{
	struct smtp_sender_event event = {
		.kind = SMTP_SENDER_FAILED,
		.stage = SMTP_STAGE_QUIT,
		.reply = smtp_reply_make(451, "4.4.2", "%s", reason),
		.made_here = true,
	};
	session_failed(remote, &event);
}

void remote_write_output(struct remote *remote)
{
	struct view out = smtp_sender_output(remote->engine);
	if (out.len > 0 && remote->stream != NULL) {
		stream_write(remote->stream, out);
		smtp_sender_sent(remote->engine, out.len);
	}
}

/* An answer to MAIL, or to what follows it. */
static bool shows_that_it_was_seen(const struct smtp_sender_event *event)
{
	switch (event->kind) {
	case SMTP_SENDER_BODY:
		return true;
	case SMTP_SENDER_RECIPIENT:
		return !event->made_here;
	case SMTP_SENDER_FAILED:
		return event->stage < SMTP_STAGE_QUIT &&
			(event->stage > SMTP_STAGE_MAIL || (event->stage == SMTP_STAGE_MAIL && !event->made_here));
	default:
		return false;
	}
}

static void handle(struct remote *remote, const struct smtp_sender_event *event)
{
	if (shows_that_it_was_seen(event))
		remote_message_seen(remote);
	switch (event->kind) {
	case SMTP_SENDER_STARTTLS:
		remote_write_output(remote);
		remote->starttls = true;
		remote_tls_start(remote);
		break;
	case SMTP_SENDER_READY:
		if (!remote_tls_is_fine(remote)) {
			remote_tls_leave(remote);
			next_after_failure(remote);
			break;
		}
		remote_login_ready(remote);
		remote_ready(remote);
		break;
	case SMTP_SENDER_BODY:
		remote_feed_body(remote);
		break;
	case SMTP_SENDER_RECIPIENT:
		remote_recipient_done(remote, event);
		break;
	case SMTP_SENDER_DONE:
		if (remote->next_host_wanted) {
			next_after_failure(remote);
			break;
		}
		remote->delivered++;
		remote_settle(remote);
		remote_ready(remote);
		break;
	case SMTP_SENDER_FAILED:
		session_failed(remote, event);
		break;
	default:
		ASSERT(false);
	}
}

static bool is_alive(const struct remote *remote)
{
	return !remote->done && remote->engine != NULL;
}

/* A round of output; then the engine is told the time, from which its time-outs count. */
static void move_engine(struct remote *remote)
{
	if (!is_alive(remote))
		return;
	remote_write_output(remote);
	smtp_sender_tick(remote->engine, loop_now_ms(remote->dispatcher->loop));
	/* Writing made room for more of the message: what the kernel took at once is followed by no drained(). */
	if (remote_can_feed_body(remote))
		remote_feed_body(remote);
}

static bool pull_events(struct remote *remote)
{
	struct smtp_sender_event event;
	bool any = false;
	while (is_alive(remote) && smtp_sender_next(remote->engine, &event)) {
		any = true;
		handle(remote, &event);
	}
	return any;
}

static bool take_next_if_wanted(struct remote *remote)
{
	if (!is_alive(remote) || !remote->wants_next)
		return false;
	remote->wants_next = false;
	remote_take_next(remote);
	return true;
}

void remote_go_on(struct remote *remote)
{
	if (remote->busy)
		return; /* the caller further up goes on */
	remote->busy = true;
	do
		move_engine(remote);
	while (pull_events(remote) || take_next_if_wanted(remote));
	remote->busy = false;
	if (remote->done) {
		if (remote->engine != NULL && remote->stream != NULL && remote->quitting) {
			stream_close_after_write(remote->stream, LINGER_MS);
			remote->stream = NULL;
		}
		remote_free(remote);
		return;
	}
	if (remote->engine == NULL)
		return;
	int64_t deadline_ms = remote->handshaking ? INT64_MAX : smtp_sender_deadline(remote->engine);
	int64_t quit_ms = loop_now_ms(remote->dispatcher->loop) + QUIT_MS;
	loop_timer_set(&remote->timer, remote->quitting && quit_ms < deadline_ms ? quit_ms : deadline_ms);
}

static size_t on_input(void *owner, struct view in)
{
	struct remote *remote = owner;
	size_t used = 0;
	remote->busy = true;
	while (used < in.len && is_alive(remote)) {
		size_t n = 0;
		enum err err = smtp_sender_feed(remote->engine, view_from(in, used), &n);
		used += n;
		(void)pull_events(remote);
		if (err != ERR_OK || n == 0)
			break;
	}
	remote->busy = false;
	remote_go_on(remote);
	return used;
}

static void on_drained(void *owner)
{
	struct remote *remote = owner;
	remote->step_ms = loop_now_ms(remote->dispatcher->loop);
	remote->busy = true;
	if (remote->engine != NULL && remote->delivery != NULL)
		remote_feed_body(remote);
	remote->busy = false;
	remote_go_on(remote);
}

static void connection_over(struct remote *remote, const char *reason)
{
	smtp_sender_closed(remote->engine, reason);
	/* Before a transaction the engine has nothing to report; the delivery that waits for its content still wants another host. */
	if (remote->loading != NULL || remote->converting != NULL)
		remote_lost_before_begin(remote, reason);
	else
		remote_go_on(remote);
}

static void on_closed(void *owner, enum err err)
{
	struct remote *remote = owner;
	stream_free(remote->stream);
	remote->stream = NULL;
	if (remote->delivery == NULL) {
		remote_end(remote);
		return;
	}
	connection_over(remote, err == ERR_CLOSED ? "the other server closed the connection" : err_detail());
}

static void on_tls_done(void *owner, enum err err)
{
	struct remote *remote = owner;
	remote->handshaking = false;
	if (err != ERR_OK) {
		bool again = remote_tls_failed(remote, err_detail());
		remote_close_session(remote);
		remote->without_tls = again;
		if (again)
			remote_connect(remote);
		else
			remote_next_address(remote);
		return;
	}
	if (!remote_tls_started(remote)) {
		next_after_failure(remote);
		return;
	}
	/* With implicit TLS the engine waits for the greeting. */
	if (remote->starttls)
		smtp_sender_tls_started(remote->engine, loop_now_ms(remote->dispatcher->loop));
	remote_go_on(remote);
}

static void make_engine(struct remote *remote)
{
	const struct config_smarthost *smarthost = remote->smarthost;
	struct smtp_sender_options options;
	smtp_sender_options_init(&options);
	options.ehlo_name = view_from_cstr(remote->egress != NULL && remote->egress->ehlo_name != NULL
			? remote->egress->ehlo_name
			: remote->config->delivery.ehlo_name);
	options.tls = remote_tls_mode(remote);
	options.tls_active = smarthost != NULL && config_smarthost_is_implicit(smarthost->tls);
	remote_login_options(remote, &options);
	remote->engine = smtp_sender_new(&options, loop_now_ms(remote->dispatcher->loop));
}

static const struct stream_handler stream_handler = {
	.input = on_input,
	.drained = on_drained,
	.tls_done = on_tls_done,
	.closed = on_closed,
};

void remote_connected(struct remote *remote)
{
	remote->tls.is_on = false;
	if (!remote->without_tls)
		remote->tls.reported_domain = 0;
	stream_set_handler(remote->stream, &stream_handler, remote);
	remote->connected_ms = remote->step_ms = loop_now_ms(remote->dispatcher->loop);
	make_engine(remote);
	if (remote->smarthost != NULL && config_smarthost_is_implicit(remote->smarthost->tls))
		remote_tls_start(remote);
	remote_go_on(remote);
}

void remote_on_deadline(void *owner)
{
	struct remote *remote = owner;
	if (remote->quitting)
		remote_end(remote); /* a server that does not answer QUIT must not hold the place of a connection */
	else
		remote_go_on(remote);
}
