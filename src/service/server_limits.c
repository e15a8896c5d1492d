/* The server's shared values, each behind its lock: settings, limits per client address, queue ids. */
#include "service/server_private.h"

#include "base/clock.h"
#include "policy/limits.h"
#include "policy/throttle.h"
#include "queue/id.h"

struct config *server_config(struct server *server)
{
	pthread_mutex_lock(&server->settings_lock);
	struct config *config = config_ref(server->config);
	pthread_mutex_unlock(&server->settings_lock);
	return config;
}

struct tls_context *server_tls(struct server *server)
{
	pthread_mutex_lock(&server->settings_lock);
	struct tls_context *tls = server->tls != NULL ? tls_context_ref(server->tls) : NULL;
	pthread_mutex_unlock(&server->settings_lock);
	return tls;
}

static struct view ip_bytes(const struct net_address *address)
{
	return net_address_is_v6(address) ? view_of(&address->v6.sin6_addr, 16) : view_of(&address->v4.sin_addr, 4);
}

bool server_connection_open(struct server *server, const struct net_address *peer, const struct config_limits *limits,
	struct smtp_reply *ret_reply)
{
	pthread_mutex_lock(&server->limits_lock);
	connection_limits_change(server->connections, limits->connections, limits->connections_per_address);
	bool ok = connection_limits_open(server->connections, ip_bytes(peer), ret_reply);
	pthread_mutex_unlock(&server->limits_lock);
	return ok;
}

void server_connection_closed(struct server *server, const struct net_address *peer)
{
	pthread_mutex_lock(&server->limits_lock);
	connection_limits_close(server->connections, ip_bytes(peer));
	pthread_mutex_unlock(&server->limits_lock);
}

bool server_login_allowed(struct server *server, const struct net_address *peer)
{
	pthread_mutex_lock(&server->limits_lock);
	int64_t blocked_ms = login_throttle_blocked_ms(server->logins, ip_bytes(peer), clock_monotonic_ms());
	pthread_mutex_unlock(&server->limits_lock);
	return blocked_ms <= 0;
}

void server_login_failed(struct server *server, const struct net_address *peer)
{
	pthread_mutex_lock(&server->limits_lock);
	login_throttle_failed(server->logins, ip_bytes(peer), clock_monotonic_ms());
	pthread_mutex_unlock(&server->limits_lock);
}

uint64_t server_next_message_id(struct server *server)
{
	uint64_t last = atomic_load_explicit(&server->last_message_id, memory_order_relaxed), next;
	int64_t now_ms = clock_wall_ms();
	do {
		next = queue_id_next(last, now_ms);
	} while (!atomic_compare_exchange_weak_explicit(
		&server->last_message_id, &last, next, memory_order_relaxed, memory_order_relaxed));
	return next;
}
