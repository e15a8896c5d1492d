/* What the parts of the running server share. Everything here is immutable after start, thread-safe by itself, or belongs to the
 * thread named beside it. */
#ifndef SERVICE_SERVER_PRIVATE_H
#define SERVICE_SERVER_PRIVATE_H

#include "config/config.h"
#include "net/loop.h"
#include "net/tls.h"
#include "net/worker.h"
#include "service/domains.h"
#include "smtp/reply.h"
#include "service/message.h"
#include "service/trace.h"
#include "store/store.h"

#include <pthread.h>

struct background;
struct connection_limits;
struct dispatcher;
struct login_throttle;
struct receive_loop;
struct signing;
struct shaping;
struct streams;

struct server {
	pthread_mutex_t settings_lock; /* over config, tls and shaping: replaced by a reload */
	struct config *config;
	struct tls_context *tls; /* of the listeners; NULL: none */
	struct shaping *shaping; /* rules for the sites that we send to */

	struct store *store;
	struct worker_pool *workers; /* bodies, mailboxes */
	struct worker_pool *password_workers;
	struct domains *domains;
	uint8_t address_key[32]; /* service/address_key.h */
	struct signing *signing; /* DKIM's keys */
	struct streams *streams; /* deliver thread, once it runs */
	struct memory_budget body_memory;
	_Atomic uint64_t last_message_id;

	struct server_totals {
		_Atomic uint64_t accepted; /* recipients of messages that came in, and of our own DSNs */
		_Atomic uint64_t delivered, failed, deferred; /* recipients, by what came of a try */
	} totals; /* since start */

	pthread_mutex_t limits_lock; /* over the three below */
	struct connection_limits *connections; /* by client address */
	struct connection_limits *local_connections; /* by user of this machine */
	struct login_throttle *logins;

	_Atomic uint32_t sessions; /* open on the receive loops and the control socket */
	_Atomic uint32_t jobs; /* store and worker jobs of those, under way: waited for at the end */

	struct loop *main_loop; /* main thread */
	size_t receive_count;
	struct receive_loop *receivers; /* each its own thread */
	struct dispatcher *dispatcher; /* deliver thread */
	struct background *background; /* background thread */
	_Atomic bool stopping;
};

static inline void server_job_started(struct server *server)
{
	atomic_fetch_add_explicit(&server->jobs, 1, memory_order_relaxed);
}
static inline void server_job_ended(struct server *server)
{
	atomic_fetch_sub_explicit(&server->jobs, 1, memory_order_release);
}

/* The settings in force, referenced: the caller unrefs. Any thread. */
struct config *server_config(struct server *server);
struct tls_context *server_tls(struct server *server);
struct shaping *server_shaping(struct server *server); /* NULL: none (tests) */
/* Counts a connection against the limits; false: *ret_reply says why not (421 …) and nothing was counted. Any thread. */
bool server_connection_open(struct server *server, const struct net_address *peer, const struct config *config,
	struct smtp_reply *ret_reply);
void server_connection_closed(struct server *server, const struct net_address *peer);
/* The same for a user of this machine at the local socket. */
bool server_local_connection_open(
	struct server *server, uint32_t uid, const struct config *config, struct smtp_reply *ret_reply);
void server_local_connection_closed(struct server *server, uint32_t uid);
/* Client connections that the process's limit on open files allows: fewer than limits.connections asks for, if that is low. */
uint32_t server_connections_max(const struct config *config);
/* May this address try to log in now (too many failures lately)? Any thread. */
bool server_login_allowed(struct server *server, const struct net_address *peer);
void server_login_failed(struct server *server, const struct net_address *peer);
/* A fresh queue id. Any thread. */
uint64_t server_next_message_id(struct server *server);

#endif
