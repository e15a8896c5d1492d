/* LIFE 9/10: an outgoing SMTP connection: the sender engine on a stream, one delivery after another. */
#include "service/remote_private.h"

#include "base/mem.h"

#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#define ARENA_BYTES (1024u * 1024)
#define TLS_HANDSHAKE_MS 60000u
#define LINGER_MS 2000u
#define QUIT_MS 5000
#define BLOCK_FIRST_MS 30000

/* While one connection of a destination works, another that fails does not make it a dead one. */
static void set_proven(struct remote *remote, bool proven)
{
	if (proven == remote->proven)
		return;
	remote->proven = proven;
	remote->destination->proven += proven ? 1 : (uint32_t)-1;
}

static void remote_free(struct remote *remote)
{
	struct dispatcher *d = remote->dispatcher;
	remote_transaction_clear(remote);
	resolver_cancel(remote->query);
	loop_timer_clear(&remote->timer);
	loop_timer_clear(&remote->idle_timer);
	stream_free(remote->stream);
	smtp_sender_free(remote->engine);
	set_proven(remote, false);
	destination_idle_remove(d->destinations, remote->destination, &remote->idle_link);
	list_remove(&remote->link);
	destination_closed(d->destinations, remote->destination);
	destination_release(d->destinations, remote->destination);
	d->connections--;
	arena_clear(&remote->arena);
	config_unref(remote->config);
	mem_free(remote);
	if (d->stopping) {
		dispatcher_job_started(d); /* lets a stopping dispatcher see that this was the last one */
		dispatcher_job_ended(d);
	} else {
		dispatcher_pump_soon(d);
	}
}

/* Frees now, or when the handler that runs has returned. */
static void end(struct remote *remote)
{
	remote->done = true;
	if (!remote->busy)
		remote_free(remote);
}

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

static void close_session(struct remote *remote)
{
	stream_free(remote->stream);
	remote->stream = NULL;
	smtp_sender_free(remote->engine);
	remote->engine = NULL;
	remote->handshaking = remote->starttls = remote->wants_next = false;
	remote->delivered = 0;
	set_proven(remote, false);
	loop_timer_set(&remote->timer, INT64_MAX);
}

/* Hands the delivery's outcomes on; the connection is free for the next one. */
void remote_settle(struct remote *remote)
{
	struct delivery *delivery = remote->delivery;
	remote->delivery = NULL;
	remote_transaction_clear(remote);
	delivery->destination = NULL;
	dispatcher_settle(delivery);
}

/* The others that wait for the same destination would only wait for the same failure. */
static void settle_waiting(struct remote *remote, enum outcome_kind outcome, struct view reply)
{
	struct dispatcher *d = remote->dispatcher;
	struct list *link;
	while ((link = destination_take(d->destinations, remote->destination)) != NULL) {
		struct delivery *delivery = LIST_ENTRY(link, struct delivery, link);
		delivery_set_all(delivery, outcome, reply, VIEW_NONE);
		delivery->destination = NULL;
		dispatcher_settle(delivery);
	}
}

/* A dead destination is looked at again soon, but not sooner than one of its recipients would be tried again anyway. */
static int64_t block_first_ms(const struct remote *remote)
{
	int64_t retry_ms = remote->config->queue.retry_first_ms;
	return retry_ms < BLOCK_FIRST_MS ? retry_ms : BLOCK_FIRST_MS;
}

void remote_give_up(struct remote *remote)
{
	struct dispatcher *d = remote->dispatcher;
	struct destination *destination = remote->destination;
	if (remote->reason[0] == '\0')
		remote_set_reason(remote, "451 4.4.1 No mail host could be reached");
	if (remote->refusing_hosts > 0 && remote->refusing_hosts == remote->connects && remote->smarthost == NULL) {
		remote_fail(remote, remote->reason);
		return;
	}
	/* Many servers take only so many connections from one client: the delivery goes to those that work, or still try. The window closes behind
	 * this one, so a dead host is not tried for each of its messages; the last connection decides for all. */
	if (remote->delivery != NULL && destination->connections > 1 && !d->stopping) {
		struct delivery *delivery = remote->delivery;
		remote->delivery = NULL;
		remote_transaction_clear(remote);
		destination_refused_more(d->destinations, destination);
		destination_add_first(d->destinations, destination, &delivery->link);
		end(remote);
		return;
	}
	if (remote->delivery != NULL) {
		delivery_set_all(remote->delivery, OUTCOME_DEFERRED, view_from_cstr(remote->reason),
			remote->reason_is_reply ? remote_host_text(remote) : VIEW_NONE);
		remote_settle(remote);
	}
	/* Others may have a connection that works: then only this attempt failed. Those that still try don't count, or a dead host with a long
	 * queue would be tried for each of its messages. */
	if (destination->proven == 0) {
		snprintf(destination->reason, sizeof destination->reason, "%s", remote->reason);
		/* Connections that fail side by side are one failure. */
		if (destination->blocked_until_ms == 0)
			destination_failed(d->destinations, destination, loop_now_ms(d->loop), block_first_ms(remote),
				remote->config->queue.retry_max_ms);
		if (destination->blocked_until_ms < d->unblock_timer.due_ms)
			loop_timer_set(&d->unblock_timer, destination->blocked_until_ms);
		settle_waiting(remote, OUTCOME_DEFERRED, view_from_cstr(remote->reason));
	}
	end(remote);
}

void remote_fail(struct remote *remote, const char *reply)
{
	if (remote->delivery != NULL) {
		delivery_set_all(remote->delivery, OUTCOME_FAILED, view_from_cstr(reply), VIEW_NONE);
		remote_settle(remote);
	}
	settle_waiting(remote, OUTCOME_FAILED, view_from_cstr(reply));
	end(remote);
}

static void trace_routed(const struct remote *remote, const struct delivery *delivery)
{
	for (size_t i = 0; i < delivery->count; i++)
		TRACE(remote->dispatcher->server->store, LOG_LEVEL_DEBUG, delivery->message->envelope.id, "routed",
			LOG_TEXT("to", delivery->recipients[i].recipient->address),
			LOG_TEXT("via", remote->destination->key));
}

/* Ours, and the server's (RFC 9422 MAILMAX). */
static uint32_t messages_max(const struct remote *remote)
{
	uint32_t ours = remote->config->delivery.messages_per_connection;
	uint32_t theirs = smtp_sender_limit_transactions(remote->engine);
	return theirs > 0 && theirs < ours ? theirs : ours;
}

static void go_idle(struct remote *remote)
{
	struct dispatcher *d = remote->dispatcher;
	if (d->stopping || remote->delivered >= messages_max(remote)) {
		remote->quitting = true;
		smtp_sender_quit(remote->engine);
		return;
	}
	destination_idle_add(d->destinations, remote->destination, &remote->idle_link);
	loop_timer_set(&remote->idle_timer, loop_now_ms(d->loop) + remote->config->delivery.idle_ms);
}

void remote_ready(struct remote *remote)
{
	remote->wants_next = true;
}

static void take_next(struct remote *remote)
{
	struct dispatcher *d = remote->dispatcher;
	set_proven(remote, true);
	if (remote->delivered > 0)
		destination_succeeded(d->destinations, remote->destination);
	else
		destination_connected(d->destinations, remote->destination);
	remote->destination->reason[0] = '\0';
	bool may_take = !d->stopping && remote->delivered < messages_max(remote);
	if (remote->delivery == NULL && may_take) {
		struct list *link = destination_take(d->destinations, remote->destination);
		if (link != NULL) {
			remote->delivery = LIST_ENTRY(link, struct delivery, link);
			trace_routed(remote, remote->delivery);
		}
	}
	if (remote->delivery != NULL)
		remote_begin(remote);
	else
		go_idle(remote);
}

/* A reused connection that the other side had closed meanwhile is no attempt: the delivery goes back, once. */
static bool put_back(struct remote *remote)
{
	struct delivery *delivery = remote->delivery;
	if (remote->delivered == 0 || delivery->connection_lost || remote->dispatcher->stopping)
		return false;
	delivery->connection_lost = true;
	remote->delivery = NULL;
	remote_transaction_clear(remote);
	destination_add_first(remote->dispatcher->destinations, remote->destination, &delivery->link);
	return true;
}

static bool may_go_without_tls(const struct remote *remote)
{
	return remote->smarthost == NULL && remote->config->delivery.tls == CONFIG_TLS_MAY && !remote->without_tls;
}

static void next_after_failure(struct remote *remote)
{
	remote_transaction_clear(remote);
	close_session(remote);
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
		end(remote); /* QUIT answered, or an idle connection ended */
		return;
	}
	note_reason(remote, event);
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
	if (untried && put_back(remote)) {
		end(remote);
		return;
	}
	/* What the engine made of it is never permanent; what the server said may be, but then each recipient had its event. */
	delivery_set_all(remote->delivery, OUTCOME_DEFERRED, view_from_cstr(remote->reason),
		remote->reason_is_reply ? remote_host_text(remote) : VIEW_NONE);
	remote_settle(remote);
	end(remote);
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

static void start_tls(struct remote *remote)
{
	struct dispatcher *d = remote->dispatcher;
	bool verify = remote->smarthost != NULL ? remote->smarthost->verify
						: remote->config->delivery.tls == CONFIG_TLS_VERIFY;
	char name[256];
	/* An address literal is known to TLS without its brackets. */
	bool is_literal = remote->host.len > 0 && remote->host.ptr[0] == '[';
	struct net_address_text ip = net_address_ip(remote->address);
	struct view host = is_literal ? view_from_cstr(ip.text) : remote->host;
	snprintf(name, sizeof name, "%.*s", VIEW_ARG(view_sub(host, 0, 255)));
	remote->handshaking = true;
	stream_start_tls(remote->stream, verify ? d->tls_verify : d->tls_may, name, TLS_HANDSHAKE_MS);
}

void remote_write_output(struct remote *remote)
{
	struct view out = smtp_sender_output(remote->engine);
	if (out.len > 0 && remote->stream != NULL) {
		stream_write(remote->stream, out);
		smtp_sender_sent(remote->engine, out.len);
	}
}

static void handle(struct remote *remote, const struct smtp_sender_event *event)
{
	switch (event->kind) {
	case SMTP_SENDER_STARTTLS:
		remote_write_output(remote);
		remote->starttls = true;
		start_tls(remote);
		break;
	case SMTP_SENDER_READY:
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
	take_next(remote);
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
	if (remote->loading != NULL)
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
		end(remote);
		return;
	}
	connection_over(remote, err == ERR_CLOSED ? "the other server closed the connection" : err_detail());
}

static void on_tls_done(void *owner, enum err err)
{
	struct remote *remote = owner;
	remote->handshaking = false;
	if (err == ERR_OK && !remote->starttls) {
		remote_go_on(remote); /* implicit TLS: the engine waits for the greeting */
		return;
	}
	if (err == ERR_OK) {
		smtp_sender_tls_started(remote->engine, loop_now_ms(remote->dispatcher->loop));
		remote_go_on(remote);
		return;
	}
	remote_set_reason(
		remote, "454 4.7.5 TLS with %.*s failed: %s", VIEW_ARG(remote_host_text(remote)), err_detail());
	LOG(LOG_LEVEL_INFO, "tls-failed", LOG_TEXT("host", remote_host_text(remote)), LOG_CSTR("reason", err_detail()));
	close_session(remote);
	if (may_go_without_tls(remote)) {
		/* Opportunistic TLS (RFC 7435): what can't be encrypted is sent in clear rather than not at all. */
		remote->without_tls = true;
		remote_connect(remote);
	} else {
		remote_next_address(remote);
	}
}

static enum smtp_sender_tls tls_wanted(const struct remote *remote)
{
	if (remote->smarthost != NULL)
		return remote->smarthost->tls == CONFIG_SMARTHOST_STARTTLS ? SMTP_TLS_REQUIRED : SMTP_TLS_NEVER;
	if (remote->without_tls || remote->config->delivery.tls == CONFIG_TLS_NONE)
		return SMTP_TLS_NEVER;
	return remote->config->delivery.tls == CONFIG_TLS_MAY ? SMTP_TLS_IF_OFFERED : SMTP_TLS_REQUIRED;
}

static void make_engine(struct remote *remote)
{
	const struct config_smarthost *smarthost = remote->smarthost;
	struct smtp_sender_options options;
	smtp_sender_options_init(&options);
	options.ehlo_name = view_from_cstr(remote->config->delivery.ehlo_name);
	options.tls = tls_wanted(remote);
	options.tls_active = smarthost != NULL && smarthost->tls == CONFIG_SMARTHOST_IMPLICIT;
	if (smarthost != NULL && smarthost->login != NULL) {
		options.has_login = true;
		options.user = view_from_cstr(smarthost->login);
		options.password = view_from_cstr(smarthost->password);
		options.login_without_tls = smarthost->tls == CONFIG_SMARTHOST_CLEAR;
	}
	remote->engine = smtp_sender_new(&options, loop_now_ms(remote->dispatcher->loop));
}

static void on_connected(void *owner, enum err err)
{
	struct remote *remote = owner;
	if (err != ERR_OK) {
		remote_set_reason(remote, "451 4.4.1 %.*s can't be reached: %s", VIEW_ARG(remote_host_text(remote)),
			err_detail());
		next_after_failure(remote);
		return;
	}
	make_engine(remote);
	if (remote->smarthost != NULL && remote->smarthost->tls == CONFIG_SMARTHOST_IMPLICIT)
		start_tls(remote);
	remote_go_on(remote);
}

static const struct stream_handler stream_handler = {
	.connected = on_connected,
	.input = on_input,
	.drained = on_drained,
	.tls_done = on_tls_done,
	.closed = on_closed,
};

void remote_connect(struct remote *remote)
{
	const struct config_delivery *c = &remote->config->delivery;
	remote->connects++;
	const struct net_address *source = net_address_is_v6(remote->address) ? &c->source_v6 : &c->source_v4;
	remote->stream = stream_connect(remote->dispatcher->loop, remote->address, source->len > 0 ? source : NULL,
		c->connect_timeout_ms, &stream_handler, remote);
}

static void on_deadline(void *owner)
{
	struct remote *remote = owner;
	if (remote->quitting)
		end(remote); /* a server that does not answer QUIT must not hold the place of a connection */
	else
		remote_go_on(remote);
}

static void on_idle(void *owner)
{
	struct remote *remote = owner;
	destination_idle_remove(remote->dispatcher->destinations, remote->destination, &remote->idle_link);
	loop_timer_set(&remote->idle_timer, INT64_MAX);
	remote->quitting = true;
	smtp_sender_quit(remote->engine);
	remote_go_on(remote);
}

void remote_open(struct dispatcher *dispatcher, struct delivery *delivery)
{
	struct remote *remote = mem_alloc(sizeof *remote);
	remote->dispatcher = dispatcher;
	remote->destination = delivery->destination;
	remote->config = config_ref(dispatcher->config);
	remote->delivery = delivery;
	remote->spool_fd = -1;
	list_init(&remote->idle_link);
	list_append(&dispatcher->remotes, &remote->link);
	dispatcher->connections++;
	arena_init(&remote->arena, ARENA_BYTES);
	loop_timer_init(&remote->timer, dispatcher->loop, on_deadline, remote);
	loop_timer_init(&remote->idle_timer, dispatcher->loop, on_idle, remote);
	struct view key = remote->destination->key;
	struct view name = view_from(key, view_find(key, '/') + 1);
	enum err err = arena_dup(&remote->arena, name, &remote->domain);
	ASSERT(err == ERR_OK);
	if (view_starts_with(key, VIEW("smarthost/")))
		for (size_t i = 0; i < remote->config->smarthost_count; i++)
			if (view_eq_nocase(view_from_cstr(remote->config->smarthosts[i].name), name))
				remote->smarthost = &remote->config->smarthosts[i];
	trace_routed(remote, delivery);
	if (remote->smarthost == NULL && !view_starts_with(key, VIEW("mx/"))) {
		remote_set_reason(remote, "451 4.3.5 The smart host is not in the configuration any more");
		remote_give_up(remote);
		return;
	}
	remote_find_hosts(remote);
}

void remote_reuse(struct remote *remote, struct delivery *delivery)
{
	loop_timer_set(&remote->idle_timer, INT64_MAX);
	remote->delivery = delivery;
	trace_routed(remote, delivery);
	remote->busy = true;
	remote_begin(remote);
	remote->busy = false;
	remote_go_on(remote);
}

struct remote *remote_from_idle_link(struct list *link)
{
	return LIST_ENTRY(link, struct remote, idle_link);
}

void remote_quit_one_idle(struct dispatcher *dispatcher)
{
	for (struct list *l = dispatcher->remotes.next; l != &dispatcher->remotes; l = l->next) {
		struct remote *remote = LIST_ENTRY(l, struct remote, link);
		if (!list_is_empty(&remote->idle_link)) {
			on_idle(remote);
			return;
		}
	}
}

void remote_quit_idle(struct dispatcher *dispatcher)
{
	struct list *next;
	for (struct list *l = dispatcher->remotes.next; l != &dispatcher->remotes; l = next) {
		next = l->next;
		struct remote *remote = LIST_ENTRY(l, struct remote, link);
		if (remote->delivery == NULL && !remote->quitting && remote->engine != NULL)
			on_idle(remote);
	}
}

void remote_drop_all(struct dispatcher *dispatcher)
{
	while (!list_is_empty(&dispatcher->remotes)) {
		struct remote *remote = LIST_ENTRY(dispatcher->remotes.next, struct remote, link);
		if (remote->delivery != NULL) {
			struct delivery *delivery = remote->delivery;
			remote->delivery = NULL;
			remote_transaction_clear(remote);
			delivery_drop(delivery);
		}
		remote_free(remote);
	}
}
