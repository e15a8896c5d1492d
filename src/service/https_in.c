#include "service/https_in.h"

#include "base/clock.h"
#include "base/mem.h"
#include "http/response.h"
#include "mailauth/mta_sts.h"
#include "net/stream.h"
#include "service/autoconfig.h"

#include <unistd.h>

/* For everything: the handshake, the request, the answer. */
#define SESSION_MS 30000
#define LINGER_MS 2000u
#define POLICY_PATH "/.well-known/mta-sts.txt"

struct https_in {
	struct list link; /* in receiver->https_sessions */
	struct receive_loop *receiver;
	struct net_address peer;
	struct stream *stream;
	struct loop_timer timer;
	struct buf in;
	size_t seen; /* bytes of it that were looked at */
};

static void session_free(struct https_in *session)
{
	struct server *server = session->receiver->server;
	loop_timer_clear(&session->timer);
	list_remove(&session->link);
	stream_free(session->stream);
	buf_clear(&session->in);
	server_connection_closed(server, &session->peer);
	mem_free(session);
	atomic_fetch_sub(&server->sessions, 1);
}

/* Answers */

static enum err write_policy(const struct config *config, struct buf *out)
{
	struct mta_sts_policy *policy = mem_alloc(sizeof *policy);
	int64_t max_age_s = config->mta_sts.max_age_ms / 1000;
	policy->mode = config->mta_sts.mode == CONFIG_STS_ENFORCE ? MTA_STS_ENFORCE : MTA_STS_TESTING;
	policy->max_age_s = (uint32_t)(max_age_s < MTA_STS_MAX_AGE_MAX_S ? max_age_s : MTA_STS_MAX_AGE_MAX_S);
	for (size_t i = 0; i < config->mta_sts.mx_count && i < MTA_STS_MX_MAX; i++)
		policy->mx[policy->mx_count++] = view_from_cstr(config->mta_sts.mx[i]);
	enum err err = mta_sts_policy_format(policy, out);
	mem_free(policy);
	return err;
}

/* "mta-sts.example.com", where example.com is ours. */
static bool is_policy_host(struct domains *domains, struct view host)
{
	static const struct view prefix = { (const uint8_t *)"mta-sts.", 8 };
	if (host.len > 0 && host.ptr[host.len - 1] == '.')
		host.len--;
	return view_starts_with_nocase(host, prefix) && domains_contain(domains, view_from(host, prefix.len));
}

/* ERR_NOT_FOUND: there is no such file. */
static enum err find_file(const struct config *config, struct domains *domains, const struct http_request *request,
	struct view *ret_type, struct buf *out)
{
	struct view domain;
	if (config->mta_sts.mode != CONFIG_STS_OFF && view_eq(request->path, VIEW(POLICY_PATH)) &&
		is_policy_host(domains, request->host)) {
		/* §3.2: text/plain. */
		*ret_type = VIEW("text/plain");
		return write_policy(config, out);
	}
	if (autoconfig_is_asked(request->host, request->path, &domain) && domains_contain(domains, domain)) {
		*ret_type = VIEW(AUTOCONFIG_TYPE);
		return autoconfig_format(config, domain, out);
	}
	return ERR_NOT_FOUND;
}

enum err https_in_answer(const struct config *config, struct domains *domains, const struct http_request *request,
	int64_t now_wall_ms, struct buf *out)
{
	struct http_response response = { .status = 404, .now_ms = now_wall_ms };
	struct buf file = { 0 };
	enum err err = ERR_NOT_FOUND;
	bool is_head = view_eq(request->method, VIEW("HEAD"));
	response.without_body = is_head;
	if (!is_head && !view_eq(request->method, VIEW("GET")))
		response.status = 405;
	else
		err = find_file(config, domains, request, &response.content_type, &file);
	if (err == ERR_OK) {
		response.status = 200;
		response.body = buf_view(&file);
	}
	if (err == ERR_OK || err == ERR_NOT_FOUND)
		err = http_response_format(&response, out);
	buf_clear(&file);
	return err;
}

static enum err answer_request(struct https_in *session, struct view head, struct buf *out)
{
	struct http_request request;
	enum err err = http_request_parse(head, &request);
	if (err != ERR_OK)
		return http_response_format(&(struct http_response){ .status = err == ERR_VERSION ? 505
							    : err == ERR_LIMIT                    ? 431
												  : 400,
						    .now_ms = clock_wall_ms() },
			out);
	struct config *config = server_config(session->receiver->server);
	err = https_in_answer(config, session->receiver->server->domains, &request, clock_wall_ms(), out);
	LOG(LOG_LEVEL_DEBUG, "https", LOG_CSTR("client", net_address_ip(&session->peer).text),
		LOG_TEXT("host", view_sub(request.host, 0, 255)), LOG_TEXT("path", view_sub(request.path, 0, 255)));
	config_unref(config);
	return err;
}

/* The one answer of a session; then it ends. */
static void say(struct https_in *session, struct buf *out)
{
	stream_write(session->stream, buf_view(out));
	buf_clear(out);
	stream_close_after_write(session->stream, LINGER_MS);
	session->stream = NULL;
	session_free(session);
}

static size_t on_input(void *owner, struct view in)
{
	struct https_in *session = owner;
	struct buf out = { 0 };
	size_t end = 0, len = in.len;
	enum err err = buf_append(&session->in, view_sub(in, 0, HTTP_HEAD_MAX_BYTES - session->in.len));
	if (err == ERR_OK)
		err = http_head_find(buf_view(&session->in), session->seen, &end);
	session->seen = session->in.len;
	if (err == ERR_OK && end == 0)
		return len;
	if (err == ERR_LIMIT)
		err = http_response_format(&(struct http_response){ .status = 431, .now_ms = clock_wall_ms() }, &out);
	else if (err == ERR_OK)
		err = answer_request(session, view_sub(buf_view(&session->in), 0, end), &out);
	if (err == ERR_OK) {
		say(session, &out);
	} else {
		buf_clear(&out);
		session_free(session);
	}
	return len;
}

static void on_tls_done(void *owner, enum err err)
{
	if (err != ERR_OK)
		session_free(owner);
}

static void on_closed(void *owner, enum err err)
{
	(void)err;
	session_free(owner);
}

static void on_time_up(void *owner)
{
	session_free(owner);
}

static const struct stream_handler stream_handler = {
	.input = on_input,
	.tls_done = on_tls_done,
	.closed = on_closed,
};

void https_in_accept(void *owner, int fd, const struct net_address *peer)
{
	const struct listen_point *point = owner;
	struct receive_loop *receiver = point->receiver;
	struct config *config = server_config(receiver->server);
	struct tls_context *tls = server_tls(receiver->server);
	struct smtp_reply reply;
	/* A reload may have taken the certificate away; the socket stays until a restart. */
	bool counted = tls != NULL && server_connection_open(receiver->server, peer, config, &reply);
	config_unref(config);
	if (!counted) {
		close(fd);
		tls_context_unref(tls);
		return;
	}
	struct https_in *session = mem_alloc(sizeof *session);
	session->receiver = receiver;
	session->peer = *peer;
	list_append(&receiver->https_sessions, &session->link);
	atomic_fetch_add(&receiver->server->sessions, 1);
	loop_timer_init(&session->timer, receiver->loop, on_time_up, session);
	loop_timer_set(&session->timer, loop_now_ms(receiver->loop) + SESSION_MS);
	session->stream = stream_accept(receiver->loop, fd, &stream_handler, session);
	stream_start_tls(session->stream, tls, NULL, SESSION_MS);
	tls_context_unref(tls);
}

void https_in_close_all(struct receive_loop *receiver)
{
	while (!list_is_empty(&receiver->https_sessions))
		session_free(LIST_ENTRY(receiver->https_sessions.next, struct https_in, link));
}
