#include "service/smtp_in_private.h"

#include "base/clock.h"
#include "base/mem.h"
#include "net/listener.h"
#include "service/authenticate.h"
#include "store/spool.h"

#include <pwd.h>
#include <sys/socket.h>
#include <unistd.h>

#define TLS_HANDSHAKE_MS 60000u
#define LINGER_MS 5000u
/* FUTURERELEASE (RFC 4865): messages of those who submit are held for at most so long. */
#define HOLD_MAX_S (30u * 86400)
/* A client that does not read its replies is not read from any more. */
#define UNWRITTEN_MAX_BYTES (256u * 1024)

static void (*const handlers[])(struct smtp_in *session, const struct smtp_event *event) = {
	[SMTP_EVENT_CONNECT] = smtp_in_on_connect,
	[SMTP_EVENT_HELO] = smtp_in_on_helo,
	[SMTP_EVENT_STARTTLS] = smtp_in_on_starttls,
	[SMTP_EVENT_AUTH] = smtp_in_on_auth,
	[SMTP_EVENT_MAIL] = smtp_in_on_mail,
	[SMTP_EVENT_RCPT] = smtp_in_on_rcpt,
	[SMTP_EVENT_DATA] = smtp_in_on_data,
	[SMTP_EVENT_BODY] = smtp_in_on_body,
	[SMTP_EVENT_MESSAGE] = smtp_in_on_message,
	[SMTP_EVENT_ABORT] = smtp_in_on_abort,
	[SMTP_EVENT_CLOSE] = smtp_in_on_close,
};

static void session_free(struct smtp_in *session)
{
	smtp_in_lookup_cancel(session);
	smtp_in_login_cancel(session);
	smtp_in_transaction_clear(session);
	iprev_free(session->iprev);
	loop_timer_clear(&session->timer);
	stream_free(session->stream);
	smtp_receiver_free(session->engine);
	if (session->point->is_local)
		server_local_connection_closed(session->server, session->uid);
	else
		server_connection_closed(session->server, &session->peer);
	config_unref(session->config);
	buf_clear(&session->account);
	list_remove(&session->link);
	atomic_fetch_sub(&session->server->sessions, 1);
	mem_free(session);
}

static void write_output(struct smtp_in *session)
{
	struct view out = smtp_receiver_output(session->engine);
	if (out.len > 0 && session->stream != NULL) {
		stream_write(session->stream, out);
		smtp_receiver_sent(session->engine, out.len);
	}
}

static void pull_events(struct smtp_in *session)
{
	struct smtp_event event;
	while (!session->dead && smtp_receiver_next(session->engine, &event)) {
		if (event.token != 0)
			session->question = event.token;
		handlers[event.kind](session, &event);
	}
}

/* After anything that moved the engine: events, output, the next deadline; then the session may go. */
static void go_on(struct smtp_in *session)
{
	session->busy = true;
	pull_events(session);
	session->busy = false;
	if (!session->dead)
		write_output(session);
	if (session->dead)
		session_free(session);
	else
		loop_timer_set(&session->timer, smtp_receiver_deadline(session->engine));
}

void smtp_in_answer(struct smtp_in *session, const struct smtp_reply *reply)
{
	ASSERT(session->question != 0);
	uint64_t token = session->question;
	session->question = 0;
	/* The time a question took is ours, not the client's. */
	smtp_receiver_tick(session->engine, loop_now_ms(session->receiver->loop));
	enum err err = smtp_receiver_answer(session->engine, token, reply);
	ASSERT(err == ERR_OK);
	if (session->busy)
		return; /* answered at once: the loop in pull_events() goes on */
	stream_resume(session->stream);
	go_on(session);
}

void smtp_in_transaction_clear(struct smtp_in *session)
{
	intake_abandon(session->intake);
	session->intake = NULL;
	intake_body_free(session->body);
	session->body = NULL;
	authenticate_free(session->authenticate);
	session->authenticate = NULL;
	smtp_in_content_clear(session);
	/* Between the end of the data and the commit the file is nobody else's. */
	if (session->message != NULL && session->message->spool[0] != '\0')
		spool_remove(store_folder(session->server->store), session->message->spool);
	message_free(session->message);
	session->message = NULL;
}

void smtp_in_on_starttls(struct smtp_in *session, const struct smtp_event *event)
{
	(void)event;
	struct tls_context *tls = server_tls(session->server);
	write_output(session);
	if (tls != NULL)
		stream_start_tls(session->stream, tls, NULL, TLS_HANDSHAKE_MS);
	else
		session->dead = true; /* taken away by a reload since EHLO */
	tls_context_unref(tls);
}

void smtp_in_on_abort(struct smtp_in *session, const struct smtp_event *event)
{
	(void)event;
	smtp_in_transaction_clear(session);
}

void smtp_in_on_close(struct smtp_in *session, const struct smtp_event *event)
{
	LOG(LOG_LEVEL_DEBUG, "disconnected", LOG_TEXT("client", smtp_in_client(session)),
		LOG_TEXT("reason", event->text), LOG_NUM("messages", session->messages));
	write_output(session);
	stream_close_after_write(session->stream, LINGER_MS);
	session->stream = NULL;
	session->dead = true;
}

static size_t on_input(void *owner, struct view in)
{
	struct smtp_in *session = owner;
	size_t used = 0;
	smtp_receiver_tick(session->engine, loop_now_ms(session->receiver->loop));
	session->busy = true;
	while (used < in.len && !session->dead) {
		if (session->body != NULL && intake_body_is_full(session->body))
			break;
		if (stream_unwritten(session->stream) > UNWRITTEN_MAX_BYTES)
			break;
		size_t n = 0;
		/* LIFE 2/10: bytes become SMTP events. */
		enum err err = smtp_receiver_feed(session->engine, view_from(in, used), &n);
		used += n;
		pull_events(session);
		if (err != ERR_OK || n == 0)
			break;
	}
	session->busy = false;
	go_on(session);
	return used;
}

static void on_drained(void *owner)
{
	struct smtp_in *session = owner;
	stream_resume(session->stream);
}

static void on_tls_done(void *owner, enum err err)
{
	struct smtp_in *session = owner;
	if (err != ERR_OK) {
		LOG(LOG_LEVEL_INFO, "tls-failed", LOG_TEXT("client", smtp_in_client(session)),
			LOG_CSTR("reason", err_detail()));
		session->dead = true;
	} else if (session->point->kind != LISTENER_SUBMISSIONS) {
		smtp_receiver_tls_started(session->engine, loop_now_ms(session->receiver->loop));
	}
	go_on(session);
}

static void on_closed(void *owner, enum err err)
{
	struct smtp_in *session = owner;
	LOG(LOG_LEVEL_DEBUG, "disconnected", LOG_TEXT("client", smtp_in_client(session)),
		LOG_CSTR("reason", err_name(err)), LOG_NUM("messages", session->messages));
	session_free(session);
}

static void on_deadline(void *owner)
{
	struct smtp_in *session = owner;
	smtp_receiver_tick(session->engine, loop_now_ms(session->receiver->loop));
	go_on(session);
}

static const struct stream_handler stream_handler = {
	.input = on_input,
	.drained = on_drained,
	.tls_done = on_tls_done,
	.closed = on_closed,
};

static bool is_trusted(const struct config_listener *listener, const struct net_address *peer)
{
	for (size_t i = 0; i < listener->relay_from_count; i++)
		if (net_range_contains(&listener->relay_from[i], peer))
			return true;
	return false;
}

/* The kernel vouches for the user at the other end of the Unix socket. */
static uint32_t local_uid(int fd)
{
	struct ucred peer = { .uid = UINT32_MAX };
	socklen_t len = sizeof peer;
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 ? peer.uid : UINT32_MAX;
}

static void name_local_user(struct smtp_in *session)
{
	char memory[1024];
	struct passwd entry, *found = NULL;
	enum err err;
	if (getpwuid_r(session->uid, &entry, memory, sizeof memory, &found) == 0 && found != NULL)
		err = buf_append_format(&session->account, "local:%s", found->pw_name);
	else
		err = buf_append_format(&session->account, "local:%u", (unsigned)session->uid);
	ASSERT(err == ERR_OK);
}

static void set_options(const struct smtp_in *session, struct smtp_receiver_options *o, bool has_tls)
{
	const struct config *config = session->config;
	const struct config_limits *limits = &config->limits;
	enum listener_kind kind = session->point->kind;
	smtp_receiver_options_init(o);
	o->hostname = view_from_cstr(config->hostname);
	o->submission = kind != LISTENER_MX && !session->trusted;
	o->tls_active = kind == LISTENER_SUBMISSIONS && !session->point->is_local;
	o->starttls = has_tls && !session->point->is_local && !o->tls_active;
	o->auth = kind != LISTENER_MX && !session->point->is_local && has_tls;
	o->normalise_line_ends = session->trusted && config->listeners[kind].normalise_line_ends;
	o->smtputf8 = o->chunking = o->dsn = true;
	if (kind != LISTENER_MX || session->trusted)
		o->hold_max_s = HOLD_MAX_S;
	o->wall_offset_ms = clock_wall_ms() - loop_now_ms(session->receiver->loop);
	o->message_size_max_bytes = limits->message_size_bytes;
	o->recipients_max = limits->recipients_per_message;
	/* What bounds strangers would only get in the way of the operator's own shop or newsletter. */
	o->commands_max = session->trusted ? 0 : limits->commands_per_session;
	o->errors_max = limits->errors_per_session;
	o->transactions_max = session->trusted ? 0 : limits->messages_per_session;
	o->auth_failures_max = limits->auth_failures_per_session;
	o->command_timeout_ms = limits->idle_timeout_ms;
	o->data_timeout_ms = limits->data_timeout_ms;
	o->data_total_ms = limits->message_timeout_ms;
}

static void refuse(int fd, const struct smtp_reply *reply)
{
	struct buf out = { 0 };
	if (smtp_reply_format(reply, &out) == ERR_OK && send(fd, out.ptr, out.len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		LOG(LOG_LEVEL_DEBUG, "refusal-unsent", LOG_NUM("code", reply->code));
	buf_clear(&out);
	close(fd);
}

void smtp_in_accept(void *owner, int fd, const struct net_address *peer)
{
	const struct listen_point *point = owner;
	struct receive_loop *receiver = point->receiver;
	struct config *config = server_config(receiver->server);
	bool trusted = point->is_local || is_trusted(&config->listeners[point->kind], peer);
	struct smtp_reply reply;
	uint32_t uid = point->is_local ? local_uid(fd) : 0;
	bool counted = point->is_local ? server_local_connection_open(receiver->server, uid, config, &reply)
				       : server_connection_open(receiver->server, peer, config, &reply);
	if (!counted) {
		char user[32];
		snprintf(user, sizeof user, "local:%u", (unsigned)uid);
		LOG(LOG_LEVEL_INFO, "refused", LOG_CSTR("client", point->is_local ? user : net_address_ip(peer).text),
			LOG_TEXT("reason", smtp_reply_text(&reply)));
		refuse(fd, &reply);
		config_unref(config);
		return;
	}
	struct smtp_in *session = mem_alloc(sizeof *session);
	session->receiver = receiver;
	session->server = receiver->server;
	session->config = config;
	session->point = point;
	session->peer = *peer;
	session->number = ++receiver->session_count;
	session->uid = uid;
	session->trusted = trusted;
	buf_init(&session->account, 1024);
	list_init(&session->taps);
	list_append(&receiver->sessions, &session->link);
	atomic_fetch_add(&receiver->server->sessions, 1);
	if (point->is_local)
		name_local_user(session);
	loop_timer_init(&session->timer, receiver->loop, on_deadline, session);
	struct tls_context *tls = server_tls(receiver->server);
	struct smtp_receiver_options options;
	set_options(session, &options, tls != NULL);
	session->engine = smtp_receiver_new(&options, loop_now_ms(receiver->loop));
	session->stream = stream_accept(receiver->loop, fd, &stream_handler, session);
	/* Behind TLS from the first byte nothing is said before the handshake is done. */
	if (!options.tls_active)
		go_on(session);
	else if (tls != NULL)
		stream_start_tls(session->stream, tls, NULL, TLS_HANDSHAKE_MS);
	else
		session_free(session); /* a reload took the certificate away; the socket stays until a restart */
	tls_context_unref(tls);
}

void smtp_in_shutdown_all(struct receive_loop *receiver)
{
	struct list *next;
	for (struct list *l = receiver->sessions.next; l != &receiver->sessions; l = next) {
		next = l->next;
		struct smtp_in *session = LIST_ENTRY(l, struct smtp_in, link);
		smtp_receiver_shutdown(session->engine, "The server is stopping, please try again in a minute");
		go_on(session);
	}
}

void smtp_in_close_all(struct receive_loop *receiver)
{
	while (!list_is_empty(&receiver->sessions))
		session_free(LIST_ENTRY(receiver->sessions.next, struct smtp_in, link));
}

bool smtp_in_is_submission(const struct smtp_in *session)
{
	return session->trusted || session->point->is_local || session->point->kind != LISTENER_MX;
}

struct view smtp_in_client(const struct smtp_in *session)
{
	if (session->point->is_local)
		return buf_view(&session->account);
	static _Thread_local struct net_address_text text;
	text = net_address_ip(&session->peer);
	return view_from_cstr(text.text);
}

const char *smtp_in_kind_name(const struct smtp_in *session)
{
	static const char *const names[] = {
		[LISTENER_MX] = "mx",
		[LISTENER_SUBMISSION] = "submission",
		[LISTENER_SUBMISSIONS] = "submissions",
	};
	return session->point->is_local ? "local" : names[session->point->kind];
}
