#include "service/receive.h"

#include "base/mem.h"
#include "mailauth/dkim_keys.h"
#include "net/listener.h"
#include "net/resolver.h"
#include "service/https_in.h"

#include <stdio.h>

#define DKIM_KEYS 512u

static void *run(void *arg)
{
	struct receive_loop *receiver = arg;
	loop_run(receiver->loop);
	return NULL;
}

static void stop_accepting(struct receive_loop *receiver)
{
	for (size_t i = 0; i < receiver->point_count; i++) {
		listener_stop(receiver->points[i].listener);
		receiver->points[i].listener = NULL;
	}
}

static void shutdown_now(struct loop_task *task)
{
	struct receive_loop *receiver = LIST_ENTRY(task, struct receive_loop, stop_task);
	stop_accepting(receiver);
	smtp_in_shutdown_all(receiver);
	https_in_close_all(receiver);
}

static void force_now(struct loop_task *task)
{
	smtp_in_close_all(LIST_ENTRY(task, struct receive_loop, force_task));
}

struct resolver *receive_resolver(struct receive_loop *receiver)
{
	if (receiver->resolver != NULL)
		return receiver->resolver;
	struct config *config = server_config(receiver->server);
	struct resolver_options options = {
		.server_count = config->dns.server_count,
		.servers = config->dns.servers,
		.trust_anchor_file = config->dns.trust_anchor_file,
		.timeout_ms = config->dns.timeout_ms,
	};
	receiver->resolver = resolver_new(receiver->loop, &options);
	if (receiver->dkim_keys == NULL)
		receiver->dkim_keys = dkim_keys_new(DKIM_KEYS);
	config_unref(config);
	return receiver->resolver;
}

enum err receive_init(struct receive_loop *receiver, struct server *server, unsigned number, size_t socket_count,
	const struct bound_socket *sockets)
{
	char name[32];
	snprintf(name, sizeof name, "receive-%u", number);
	*receiver = (struct receive_loop){ .server = server };
	list_init(&receiver->sessions);
	list_init(&receiver->https_sessions);
	receiver->stop_task.run = shutdown_now;
	receiver->force_task.run = force_now;
	receiver->loop = loop_new(name);
	if (receiver->loop == NULL)
		return ERR_IO;
	/* What is wrong with the DNS settings is told at start, not when mail comes in. */
	if (server->config->authentication.enabled && receive_resolver(receiver) == NULL)
		return ERR_CONFIG;
	receiver->point_count = socket_count;
	receiver->points = mem_alloc_array(socket_count, sizeof *receiver->points);
	for (size_t i = 0; i < socket_count; i++)
		receiver->points[i] = (struct listen_point){ .receiver = receiver,
			.kind = sockets[i].kind,
			.is_local = sockets[i].is_local,
			.fd = sockets[i].fd };
	return ERR_OK;
}

enum err receive_start(struct receive_loop *receiver)
{
	for (size_t i = 0; i < receiver->point_count; i++) {
		struct listen_point *point = &receiver->points[i];
		point->listener = listener_start(receiver->loop, point->fd,
			point->kind == LISTENER_HTTPS ? https_in_accept : smtp_in_accept, point);
		if (point->listener == NULL)
			return ERR_IO;
	}
	if (pthread_create(&receiver->thread, NULL, run, receiver) != 0)
		return err_set(ERR_IO, "cannot start a receive thread: the system's limit on threads is reached");
	receiver->started = true;
	return ERR_OK;
}

void receive_shutdown(struct receive_loop *receiver)
{
	loop_post(receiver->loop, &receiver->stop_task);
}

void receive_force(struct receive_loop *receiver)
{
	loop_post(receiver->loop, &receiver->force_task);
}

void receive_join(struct receive_loop *receiver)
{
	if (!receiver->started)
		return;
	loop_stop(receiver->loop);
	pthread_join(receiver->thread, NULL);
	receiver->started = false;
}

void receive_clear(struct receive_loop *receiver)
{
	if (receiver->loop == NULL)
		return;
	stop_accepting(receiver);
	smtp_in_close_all(receiver);
	https_in_close_all(receiver);
	resolver_free(receiver->resolver);
	dkim_keys_free(receiver->dkim_keys);
	loop_free(receiver->loop);
	mem_free(receiver->points);
	*receiver = (struct receive_loop){ 0 };
}
