/* The server's shared values, each behind its lock: settings, limits per client address, queue ids. */
#include "service/server_private.h"

#include "base/clock.h"
#include "policy/limits.h"
#include "policy/throttle.h"
#include "queue/id.h"
#include "queue/shaping.h"

#include <sys/resource.h>

/* Databases, listeners, resolver, spool files and mailboxes under way on the workers. */
#define OWN_DESCRIPTORS 384u

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

struct shaping *server_shaping(struct server *server)
{
	pthread_mutex_lock(&server->settings_lock);
	struct shaping *shaping = server->shaping != NULL ? shaping_ref(server->shaping) : NULL;
	pthread_mutex_unlock(&server->settings_lock);
	return shaping;
}

static struct view ip_bytes(const struct net_address *address)
{
	return net_address_is_v6(address) ? view_of(&address->v6.sin6_addr, 16) : view_of(&address->v4.sin_addr, 4);
}

/* Connections must never take the descriptors that the queue, mailboxes and deliveries need, or strangers could stop the whole server with mere
 * TCP. What is left is shared out, so that local users can't starve the network, nor it them. */
static uint32_t affordable(const struct config *config)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur > UINT32_MAX)
		return UINT32_MAX;
	uint32_t all = (uint32_t)limit.rlim_cur;
	uint64_t ours = (uint64_t)OWN_DESCRIPTORS + config->delivery.connections;
	return ours < all / 2 ? all - (uint32_t)ours : all / 2;
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

uint32_t server_connections_max(const struct config *config)
{
	return smaller(config->limits.connections, affordable(config) / 4 * 3);
}

bool server_local_connection_open(
	struct server *server, uint32_t uid, const struct config *config, struct smtp_reply *ret_reply)
{
	uint32_t most = smaller(config->limits.connections, affordable(config) / 4);
	pthread_mutex_lock(&server->limits_lock);
	/* A busy web server is one user: half of the places are his, and half stay for the others. */
	connection_limits_change(server->local_connections, most, most / 2 > 0 ? most / 2 : 1);
	bool ok = connection_limits_open(server->local_connections, view_of(&uid, sizeof uid), ret_reply);
	pthread_mutex_unlock(&server->limits_lock);
	if (!ok)
		*ret_reply = smtp_reply_make(421, "4.7.0", "Too many connections of local users; try again later");
	return ok;
}

void server_local_connection_closed(struct server *server, uint32_t uid)
{
	pthread_mutex_lock(&server->limits_lock);
	connection_limits_close(server->local_connections, view_of(&uid, sizeof uid));
	pthread_mutex_unlock(&server->limits_lock);
}

bool server_connection_open(struct server *server, const struct net_address *peer, const struct config *config,
	struct smtp_reply *ret_reply)
{
	pthread_mutex_lock(&server->limits_lock);
	connection_limits_change(
		server->connections, server_connections_max(config), config->limits.connections_per_address);
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
