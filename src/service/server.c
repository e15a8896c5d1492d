/* Start, reload and stop of the whole server, on the main thread. */
#include "service/server.h"

#include "base/clock.h"
#include "base/mem.h"
#include "crypto/random.h"
#include "net/listener.h"
#include "net/privilege.h"
#include "policy/limits.h"
#include "policy/throttle.h"
#include "service/address_key.h"
#include "service/background.h"
#include "service/control.h"
#include "service/dispatcher.h"
#include "service/local_socket.h"
#include "service/receive.h"
#include "service/service_notify.h"
#include "service/signing.h"
#include "service/shaping_file.h"
#include "service/streams.h"
#include "store/queue_store.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#define BACKLOG 1024
#define WORKERS 8u
#define PASSWORD_WORKERS 2u
#define WORKER_QUEUE 4096u
#define PASSWORD_QUEUE 64u
#define THROTTLED_CLIENTS 8192u
#define STOP_POLL_MS 10
#define LARGE_BLOCK_BYTES (256 * 1024)

struct running {
	struct server server;
	const char *config_path;
	size_t socket_count, socket_room;
	struct bound_socket *sockets;
	int control_fd;
	struct control *control;
	/* While it stops. */
	struct loop_timer stop_timer;
	int64_t stop_deadline_ms;
	bool forced;
};

static int complain(int code)
{
	log_flush();
	fprintf(stderr, "postrider: %s\n", err_detail());
	return code;
}

static int code_for(enum err err)
{
	switch (err) {
	case ERR_PERMISSION:
		return EX_NOPERM;
	case ERR_BUSY:
		return EX_TEMPFAIL;
	case ERR_VERSION:
	case ERR_TLS:
	case ERR_CONFIG:
		return EX_CONFIG;
	default:
		return EX_OSERR;
	}
}

static struct config *load_config(const char *path)
{
	struct buf errors = { 0 };
	struct config *config = config_load(path, &errors);
	if (config == NULL)
		fprintf(stderr, "%s", buf_cstr(&errors));
	buf_clear(&errors);
	return config;
}

static struct shaping *load_shaping(const struct config *config)
{
	struct buf errors = { 0 };
	struct shaping *shaping = shaping_load(config->delivery.shaping, &errors);
	if (shaping == NULL)
		fprintf(stderr, "%s", buf_cstr(&errors));
	buf_clear(&errors);
	return shaping;
}

/* NULL is fine only if the configuration names no certificate. */
static bool load_tls(const struct config *config, struct tls_context **ret)
{
	*ret = NULL;
	if (config->tls_certificate == NULL)
		return true;
	struct tls_server_options options = {
		.certificate_file = config->tls_certificate,
		.key_file = config->tls_key,
		.minimum_version = config->tls_minimum,
	};
	*ret = tls_context_new_server(&options);
	return *ret != NULL;
}

static void keep_socket(struct running *r, struct bound_socket bound)
{
	if (r->socket_count == r->socket_room) {
		r->socket_room = r->socket_room * 2 + 8;
		r->sockets = mem_resize(r->sockets, r->socket_room * sizeof *r->sockets);
	}
	r->sockets[r->socket_count++] = bound;
}

static bool bind_listeners(struct running *r, const struct config *config)
{
	for (int kind = 0; kind < LISTENER_KINDS; kind++) {
		const struct config_listener *listener = &config->listeners[kind];
		for (size_t i = 0; listener->enabled && i < listener->address_count; i++) {
			int fd = listener_bind(&listener->addresses[i], BACKLOG);
			if (fd < 0)
				return false;
			keep_socket(r, (struct bound_socket){ .fd = fd, .kind = (enum listener_kind)kind });
		}
	}
	return true;
}

/* Inside the data folder, once it is ours. */
static bool bind_local_sockets(struct running *r, const struct config *config)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/control.sock", config->data);
	r->control_fd = local_socket_bind(path, 0600);
	if (r->control_fd < 0)
		return false;
	int fd = local_socket_bind(config->socket, 0666);
	if (fd < 0)
		return false;
	keep_socket(r, (struct bound_socket){ .fd = fd, .kind = LISTENER_SUBMISSION, .is_local = true });
	return true;
}

static enum err become_user(const struct config *config)
{
	const char *user = privilege_is_root() ? config->user : NULL;
	enum err err = privilege_make_folder(config->data, user);
	if (err == ERR_OK)
		err = privilege_make_folder(config->mail_folder, user);
	/* Others may pass through to the sendmail socket; what is inside is closed to them. */
	if (err == ERR_OK && chmod(config->data, 0711) != 0)
		err = err_set(ERR_PERMISSION, "cannot set the mode of %s: it belongs to another user", config->data);
	if (err == ERR_OK && user != NULL)
		err = privilege_drop(user);
	return err;
}

static enum err open_store(struct server *s)
{
	struct store_options options = { .folder = s->config->data };
	enum err err = store_open(&options, &s->store);
	uint64_t last_id = 0;
	if (err == ERR_OK)
		err = domains_load(s->domains, store_db(s->store));
	if (err == ERR_OK)
		err = signing_load(s->signing, store_db(s->store));
	if (err == ERR_OK)
		err = queue_store_last_id(store_db(s->store), &last_id);
	if (err == ERR_OK)
		err = address_key_load(s->config->data, s->address_key);
	if (err == ERR_OK)
		err = streams_load(s->streams, store_db(s->store), clock_wall_ms());
	if (err == ERR_OK)
		err = store_start(s->store);
	atomic_store(&s->last_message_id, last_id);
	return err;
}

static unsigned receive_threads(const struct config *config)
{
	if (config->receive_threads > 0)
		return config->receive_threads;
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	return cores > 3 ? (unsigned)(cores / 2) : 1;
}

static enum err start_threads(struct running *r)
{
	struct server *s = &r->server;
	unsigned count = receive_threads(s->config);
	s->workers = worker_pool_new(WORKERS, WORKER_QUEUE);
	s->password_workers = worker_pool_new(PASSWORD_WORKERS, PASSWORD_QUEUE);
	s->dispatcher = s->workers != NULL && s->password_workers != NULL ? dispatcher_new(s) : NULL;
	s->background = s->dispatcher != NULL ? background_new(s) : NULL;
	if (s->background == NULL)
		return ERR_IO;
	s->receivers = mem_alloc_array(count, sizeof *s->receivers);
	for (; s->receive_count < count; s->receive_count++) {
		enum err err = receive_init(
			&s->receivers[s->receive_count], s, (unsigned)s->receive_count, r->socket_count, r->sockets);
		if (err != ERR_OK)
			return err;
	}
	enum err err = dispatcher_start(s->dispatcher);
	if (err == ERR_OK)
		err = background_start(s->background);
	for (size_t i = 0; i < count && err == ERR_OK; i++)
		err = receive_start(&s->receivers[i]);
	if (err == ERR_OK)
		r->control = control_start(s, r->control_fd);
	return err;
}

/* SIGHUP: the new file is in force as a whole, or not at all. Addresses, data folder, user and thread counts stay until a restart. */
static void reload(struct running *r)
{
	struct server *s = &r->server;
	struct buf errors = { 0 };
	struct config *config = config_load(r->config_path, &errors);
	struct shaping *shaping = config != NULL ? shaping_load(config->delivery.shaping, &errors) : NULL;
	struct tls_context *tls = NULL;
	if (shaping == NULL || !load_tls(config, &tls)) {
		LOG(LOG_LEVEL_ERROR, "reload-failed",
			LOG_TEXT("reason", shaping == NULL ? buf_view(&errors) : view_from_cstr(err_detail())),
			LOG_CSTR("result", "the old configuration stays in force"));
		shaping_unref(shaping);
		config_unref(config);
		buf_clear(&errors);
		return;
	}
	buf_clear(&errors);
	pthread_mutex_lock(&s->settings_lock);
	struct config *old_config = s->config;
	struct tls_context *old_tls = s->tls;
	struct shaping *old_shaping = s->shaping;
	s->config = config;
	s->shaping = shaping;
	s->tls = tls;
	pthread_mutex_unlock(&s->settings_lock);
	config_unref(old_config);
	tls_context_unref(old_tls);
	shaping_unref(old_shaping);
	s->body_memory.limit_bytes = (size_t)config->limits.body_memory_bytes;
	log_setup(config->log.target, config->log.format, config->log.level);
	dispatcher_reload_config(s->dispatcher);
	LOG(LOG_LEVEL_INFO, "reloaded", LOG_CSTR("config", r->config_path));
}

/* Sessions end first, then what they had asked for; then the main loop may end. */
static void watch_stop(void *owner)
{
	struct running *r = owner;
	struct server *s = &r->server;
	int64_t now_ms = clock_monotonic_ms();
	if (atomic_load(&s->sessions) == 0 && atomic_load_explicit(&s->jobs, memory_order_acquire) == 0) {
		loop_stop(s->main_loop);
		return;
	}
	if (now_ms >= r->stop_deadline_ms && !r->forced) {
		r->forced = true;
		for (size_t i = 0; i < s->receive_count; i++)
			receive_force(&s->receivers[i]);
	}
	loop_timer_set(&r->stop_timer, now_ms + STOP_POLL_MS);
}

static void begin_stop(struct running *r)
{
	struct server *s = &r->server;
	if (atomic_exchange(&s->stopping, true))
		return;
	LOG(LOG_LEVEL_INFO, "stopping", LOG_NUM("sessions", atomic_load(&s->sessions)));
	service_notify("STOPPING=1");
	control_stop(r->control);
	r->control = NULL;
	for (size_t i = 0; i < s->receive_count; i++)
		receive_shutdown(&s->receivers[i]);
	r->stop_deadline_ms = clock_monotonic_ms() + s->config->stop_timeout_ms / 2;
	loop_timer_set(&r->stop_timer, clock_monotonic_ms() + 1);
}

static void on_signal(void *owner, int signal_number)
{
	if (signal_number == SIGHUP)
		reload(owner);
	else
		begin_stop(owner);
}

static void stop_everything(struct running *r)
{
	struct server *s = &r->server;
	for (size_t i = 0; i < s->receive_count; i++)
		receive_join(&s->receivers[i]);
	background_stop(s->background);
	if (s->dispatcher != NULL)
		dispatcher_stop(s->dispatcher, s->config->stop_timeout_ms / 2);
	worker_pool_free(s->workers);
	worker_pool_free(s->password_workers);
	for (size_t i = 0; i < s->receive_count; i++)
		receive_clear(&s->receivers[i]);
	mem_free(s->receivers);
	dispatcher_free(s->dispatcher);
	background_free(s->background);
	if (s->store != NULL)
		store_close(s->store);
	if (s->main_loop != NULL) {
		loop_timer_clear(&r->stop_timer);
		loop_free(s->main_loop);
	}
}

static void running_clear(struct running *r)
{
	struct server *s = &r->server;
	for (size_t i = 0; i < r->socket_count; i++)
		close(r->sockets[i].fd);
	mem_free(r->sockets);
	if (r->control_fd >= 0)
		close(r->control_fd);
	streams_free(s->streams);
	domains_free(s->domains);
	signing_free(s->signing);
	connection_limits_free(s->connections);
	connection_limits_free(s->local_connections);
	login_throttle_free(s->logins);
	tls_context_unref(s->tls);
	shaping_unref(s->shaping);
	config_unref(s->config);
	pthread_mutex_destroy(&s->settings_lock);
	pthread_mutex_destroy(&s->limits_lock);
}

static void prepare(struct running *r, struct config *config)
{
	struct server *s = &r->server;
	uint64_t secret = 0;
	random_bytes(&secret, sizeof secret);
	pthread_mutex_init(&s->settings_lock, NULL);
	pthread_mutex_init(&s->limits_lock, NULL);
	s->config = config;
	s->domains = domains_new();
	s->signing = signing_new();
	s->streams = streams_new(s);
	s->body_memory.limit_bytes = (size_t)config->limits.body_memory_bytes;
	s->connections = connection_limits_new(
		config->limits.connections, config->limits.connections_per_address, secret);
	/* The numbers are set at each connection: how many there may be depends on the descriptors, too. */
	s->local_connections = connection_limits_new(0, 0, secret);
	s->logins = login_throttle_new(&LOGIN_THROTTLE_DEFAULT_LIMITS, THROTTLED_CLIENTS, secret);
	r->control_fd = -1;
}

static void log_started(const struct running *r)
{
	const struct config *config = r->server.config;
	uint32_t most = server_connections_max(config);
	if (most < config->limits.connections)
		LOG(LOG_LEVEL_WARNING, "few-descriptors", LOG_NUM("connections", most),
			LOG_NUM("wanted", config->limits.connections),
			LOG_CSTR("hint",
				"raise the limit on open files (LimitNOFILE, ulimit -n), or lower limits.connections"));
	LOG(LOG_LEVEL_INFO, "started", LOG_CSTR("version", POSTRIDER_VERSION), LOG_CSTR("hostname", config->hostname),
		LOG_CSTR("data", config->data), LOG_NUM("listeners", r->socket_count),
		LOG_NUM("receive_threads", r->server.receive_count));
	log_flush();
	service_notify("READY=1");
}

static int start(struct running *r)
{
	struct server *s = &r->server;
	if (!load_tls(s->config, &s->tls))
		return complain(EX_CONFIG);
	s->shaping = load_shaping(s->config);
	if (s->shaping == NULL)
		return EX_CONFIG;
	if (!bind_listeners(r, s->config))
		return complain(EX_UNAVAILABLE);
	enum err err = become_user(s->config);
	if (err == ERR_OK)
		err = open_store(s);
	if (err != ERR_OK)
		return complain(code_for(err));
	if (!bind_local_sockets(r, s->config))
		return complain(EX_OSERR);
	s->main_loop = loop_new("main");
	if (s->main_loop == NULL)
		return complain(EX_OSERR);
	loop_timer_init(&r->stop_timer, s->main_loop, watch_stop, r);
	loop_on_signal(s->main_loop, SIGTERM, on_signal, r);
	loop_on_signal(s->main_loop, SIGINT, on_signal, r);
	loop_on_signal(s->main_loop, SIGHUP, on_signal, r);
	if (start_threads(r) != ERR_OK)
		return complain(EX_OSERR);
	return EX_OK;
}

/* Bodies of messages go back to the system when they are freed. By itself glibc would learn from the first large ones to keep what comes after
 * for good: one busy minute would be in memory until the next restart. */
static void give_memory_back(void)
{
#ifdef __GLIBC__
	(void)mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES);
#endif
}

int server_run(const char *config_path)
{
	give_memory_back();
	signal(SIGPIPE, SIG_IGN);
	struct config *config = load_config(config_path);
	if (config == NULL)
		return EX_CONFIG;
	log_setup(config->log.target, config->log.format, config->log.level);
	privilege_raise_file_limit();
	struct running *r = mem_alloc(sizeof *r);
	r->config_path = config_path;
	prepare(r, config);
	int code = start(r);
	if (code == EX_OK)
		log_started(r);
	else if (r->server.receive_count > 0)
		begin_stop(r); /* some threads run already, and what clients gave them is under way */
	if (code == EX_OK || r->server.receive_count > 0)
		loop_run(r->server.main_loop);
	atomic_store(&r->server.stopping, true);
	stop_everything(r);
	if (code == EX_OK)
		LOG(LOG_LEVEL_INFO, "stopped", LOG_CSTR("hostname", r->server.config->hostname));
	log_flush();
	running_clear(r);
	mem_free(r);
	return code;
}
