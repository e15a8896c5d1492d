#include "service/dispatcher_private.h"

#include "base/clock.h"
#include "base/mem.h"
#include "service/smarthosts.h"
#include "service/streams.h"
#include "service/tls_results.h"

#include <signal.h>
#include <string.h>

#define BUCKETS 16384u

static struct message **bucket(struct dispatcher *d, uint64_t id)
{
	/* Ids of one burst differ in their low bits. */
	return &d->buckets[(id ^ (id >> 12)) % d->bucket_count];
}

struct message *dispatcher_find(struct dispatcher *dispatcher, uint64_t message_id)
{
	struct message *m = *bucket(dispatcher, message_id);
	while (m != NULL && m->envelope.id != message_id)
		m = m->hash_next;
	return m;
}

static void check_stopped(struct dispatcher *d)
{
	/* What the last connections showed is written first. */
	if (d->stopping && d->jobs == 0 && list_is_empty(&d->remotes) && !tls_results_flush(d->tls_results))
		loop_stop(d->loop);
}

void dispatcher_job_started(struct dispatcher *dispatcher)
{
	dispatcher->jobs++;
}

void dispatcher_job_ended(struct dispatcher *dispatcher)
{
	ASSERT(dispatcher->jobs > 0);
	dispatcher->jobs--;
	check_stopped(dispatcher);
}

void dispatcher_message_done(struct dispatcher *dispatcher, struct message *message, size_t count)
{
	ASSERT(message->pending >= count && dispatcher->active_recipients >= count);
	message->pending -= (uint32_t)count;
	dispatcher->active_recipients -= count;
	if (message->pending > 0 || message->users > 0)
		return;
	struct message **at = bucket(dispatcher, message->envelope.id);
	while (*at != message)
		at = &(*at)->hash_next;
	*at = message->hash_next;
	dispatcher->active_messages--;
	dispatcher_note_finished(dispatcher, message->envelope.id);
	/* Rows of it were passed over while it was active. */
	if (message->passed_due_ms != INT64_MAX)
		dispatcher_note_due(dispatcher, message->passed_due_ms);
	message_free(message);
	if (dispatcher_may_load(dispatcher))
		dispatcher_pump_soon(dispatcher);
}

/* Its rows are on disk: forget it, and see to it that they are read later. */
static void leave_on_disk(struct dispatcher *d, struct message *message)
{
	int64_t due_ms = message->envelope.recipients[0].due_at_ms;
	message_free(message);
	dispatcher_note_due(d, due_ms);
}

void dispatcher_adopt(struct dispatcher *dispatcher, struct message *message)
{
	size_t count = message->envelope.recipient_count;
	struct message **at = bucket(dispatcher, message->envelope.id);
	message->hash_next = *at;
	*at = message;
	dispatcher->active_messages++;
	dispatcher->active_recipients += count;
	message->pending = (uint32_t)count;
	struct queue_recipient **all = mem_alloc_array(count, sizeof(struct queue_recipient *));
	for (size_t i = 0; i < count; i++)
		all[i] = &message->envelope.recipients[i];
	dispatcher_route(dispatcher, message, count, all);
	mem_free(all);
}

void dispatcher_adopt_left(
	struct dispatcher *dispatcher, struct message *message, size_t count, struct queue_recipient *const *recipients)
{
	message->pending += (uint32_t)count;
	dispatcher->active_recipients += count;
	for (size_t i = 0; i < count; i++)
		message->left[recipients[i] - message->envelope.recipients] = false;
	dispatcher_route(dispatcher, message, count, recipients);
}

static void take(struct loop_task *task)
{
	struct message *message = LIST_ENTRY(task, struct message, task);
	struct dispatcher *d = message->dispatcher;
	size_t count = message->envelope.recipient_count;
	if (dispatcher_find(d, message->envelope.id) != NULL) {
		message_free(message); /* a reader of the queue was faster */
		return;
	}
	/* A quarter more for those that need not wait behind what fills the memory: one slow destination must not delay all others. */
	uint64_t limit = d->config->queue.active_recipients, after = d->active_recipients + count;
	/* One that is held until later (RFC 4865) is read back when its time comes. */
	bool is_held = message->wishes.hold_until_ms != 0 && !message->wishes.may_hand_on_hold;
	if (d->stopping || is_held || (d->active_recipients > 0 && after > limit + limit / 4)) {
		leave_on_disk(d, message);
		return;
	}
	struct memory_budget *budget = &d->server->body_memory;
	if (message->content_loaded && atomic_load(&budget->used_bytes) > budget->limit_bytes / 2)
		message_drop_content(message);
	dispatcher_adopt(d, message);
}

void dispatcher_take(struct dispatcher *dispatcher, struct message *message)
{
	atomic_fetch_add_explicit(
		&dispatcher->server->totals.accepted, message->envelope.recipient_count, memory_order_relaxed);
	message->dispatcher = dispatcher;
	message->task.run = take;
	list_init(&message->task.link);
	loop_post(dispatcher->loop, &message->task);
}

static void forget(void *owner, struct destination *destination)
{
	struct dispatcher *d = owner;
	struct list *link;
	while ((link = destination_take(d->destinations, destination)) != NULL)
		delivery_drop(LIST_ENTRY(link, struct delivery, link));
}

void dispatcher_forget_waiting(struct dispatcher *dispatcher)
{
	struct list *link;
	destination_each(dispatcher->destinations, forget, dispatcher);
	while ((link = domain_routes_take_waiting(dispatcher->routes)) != NULL) {
		struct delivery *delivery = LIST_ENTRY(link, struct delivery, link);
		delivery_stop_awaiting(delivery);
		delivery_drop(delivery);
	}
}

void dispatcher_read_queue_again(struct dispatcher *dispatcher)
{
	struct dispatcher *d = dispatcher;
	dispatcher_forget_waiting(d);
	destination_forget_left(d->destinations);
	/* "Retry now" means now, also where the last tries found nobody. */
	destination_forget_failures(d->destinations);
	domain_routes_retry(d->routes);
	dispatcher_note_due(d, 0);
}

static void reload_queue(struct loop_task *task)
{
	struct dispatcher *d = LIST_ENTRY(task, struct dispatcher, reload_task);
	atomic_store(&d->reload_posted, false);
	if (!d->stopping)
		dispatcher_reload_suspensions(d);
}

void dispatcher_reload_queue(struct dispatcher *dispatcher)
{
	if (!atomic_exchange(&dispatcher->reload_posted, true))
		loop_post(dispatcher->loop, &dispatcher->reload_task);
}

static enum err apply_config(struct dispatcher *d, struct config *config)
{
	struct tls_context *may = tls_context_new_client(TLS_VERIFY_NONE, config->delivery.ca_file);
	struct tls_context *verify = tls_context_new_client(TLS_VERIFY_REQUIRED, config->delivery.ca_file);
	if (may == NULL || verify == NULL) {
		tls_context_unref(may);
		tls_context_unref(verify);
		return ERR_TLS;
	}
	d->settings_count++;
	tls_context_unref(d->tls_may);
	tls_context_unref(d->tls_verify);
	config_unref(d->config);
	d->tls_may = may;
	d->tls_verify = verify;
	d->config = config_ref(config);
	if (d->sts != NULL)
		sts_configure(d->sts, config->delivery.https_port, config->delivery.ca_file);
	return ERR_OK;
}

static void configure_routes(struct dispatcher *d)
{
	struct shaping *shaping = server_shaping(d->server);
	domain_routes_configure(d->routes, d->config, shaping);
	shaping_unref(shaping);
}

/* What waits is placed anew: its hosts, limits, stream and smart host may be others now. */
static void apply_to_waiting(struct dispatcher *d)
{
	dispatcher_forget_waiting(d);
	destination_forget_left(d->destinations);
	egress_waits_forget(d->egress_waits);
	configure_routes(d);
	dispatcher_note_due(d, 0);
}

static void reload_config(struct loop_task *task)
{
	struct dispatcher *d = LIST_ENTRY(task, struct dispatcher, config_task);
	atomic_store(&d->config_posted, false);
	struct config *config = server_config(d->server);
	if (apply_config(d, config) != ERR_OK)
		LOG(LOG_LEVEL_ERROR, "reload-failed", LOG_CSTR("reason", err_detail()));
	else
		apply_to_waiting(d);
	config_unref(config);
}

void dispatcher_reload_config(struct dispatcher *dispatcher)
{
	if (!atomic_exchange(&dispatcher->config_posted, true))
		loop_post(dispatcher->loop, &dispatcher->config_task);
}

static void stop_now(void *owner)
{
	struct dispatcher *d = owner;
	d->forced = true;
	remote_drop_all(d);
	dispatcher_settle_drop(d);
	check_stopped(d);
}

static void begin_stop(struct loop_task *task)
{
	struct dispatcher *d = LIST_ENTRY(task, struct dispatcher, stop_task);
	d->stopping = true;
	loop_timer_clear(&d->load_timer);
	dispatcher_pump_stop(d);
	dispatcher_forget_waiting(d);
	destination_forget_left(d->destinations);
	remote_quit_idle(d);
	streams_stop(d->server->streams);
	check_stopped(d);
}

static void *run(void *arg)
{
	struct dispatcher *d = arg;
	loop_run(d->loop);
	return NULL;
}

struct dispatcher *dispatcher_new(struct server *server)
{
	struct dispatcher *d = mem_alloc(sizeof *d);
	d->server = server;
	list_init(&d->remotes);
	list_init(&d->idle_remotes);
	list_init(&d->unsettled);
	list_init(&d->unsigned_reports);
	d->bucket_count = BUCKETS;
	d->buckets = mem_alloc_array(BUCKETS, sizeof(struct message *));
	d->next_due_wall_ms = d->rewind_ms = INT64_MAX;
	d->destinations = destination_table_new();
	d->limiters = limiter_table_new();
	d->egress_waits = egress_waits_new(d->destinations);
	d->suspensions = dispatcher_suspensions_new();
	d->shaped = dispatcher_shaped_new();
	d->stop_task.run = begin_stop;
	d->reload_task.run = reload_queue;
	d->config_task.run = reload_config;
	d->loop = loop_new("deliver");
	if (d->loop == NULL) {
		dispatcher_free(d);
		return NULL;
	}
	loop_timer_init(&d->load_timer, d->loop, dispatcher_load_now, d);
	dispatcher_pump_init(d);
	loop_timer_init(&d->retry_timer, d->loop, dispatcher_settle_retry, d);
	loop_timer_init(&d->stop_timer, d->loop, stop_now, d);
	loop_timer_init(&d->sign_timer, d->loop, bounce_sign_one, d);
	struct config *config = server_config(server);
	enum err err = apply_config(d, config);
	config_unref(config);
	if (err == ERR_OK) {
		struct resolver_options options = {
			.server_count = d->config->dns.server_count,
			.servers = d->config->dns.servers,
			.trust_anchor_file = d->config->dns.trust_anchor_file,
			.timeout_ms = d->config->dns.timeout_ms,
		};
		d->resolver = resolver_new(d->loop, &options);
		d->https = https_new(d->loop);
	}
	if (d->resolver != NULL && d->https != NULL) {
		d->tls_results = tls_results_new(server, d->loop);
		d->sts = sts_new(&(struct sts_options){
			.server = server,
			.loop = d->loop,
			.resolver = d->resolver,
			.https = d->https,
			.port = d->config->delivery.https_port,
			.ca_file = d->config->delivery.ca_file,
		});
		d->routes = domain_routes_new(&(struct domain_routes_options){
			.loop = d->loop,
			.resolver = d->resolver,
			.sts = d->sts,
			.found = dispatcher_route_found,
			.owner = d,
		});
		configure_routes(d);
		streams_start(server->streams, d);
		d->smarthosts = smarthosts_new(server, d->loop, d->https);
	}
	if (d->routes == NULL) {
		dispatcher_free(d);
		return NULL;
	}
	return d;
}

enum err dispatcher_start(struct dispatcher *dispatcher)
{
	enum err err = dispatcher_begin_suspensions(dispatcher);
	if (err != ERR_OK)
		return err;
	dispatcher_load_soon(dispatcher);
	if (pthread_create(&dispatcher->thread, NULL, run, dispatcher) != 0)
		return err_set(ERR_IO, "cannot start the delivery thread: the system's limit on threads is reached");
	dispatcher->started = true;
	return ERR_OK;
}

/* The deadline is set on the loop's own thread. */
struct stop_deadline {
	struct loop_task task;
	struct dispatcher *dispatcher;
	uint32_t timeout_ms;
};

static void set_stop_deadline(struct loop_task *task)
{
	struct stop_deadline *s = LIST_ENTRY(task, struct stop_deadline, task);
	loop_timer_set(&s->dispatcher->stop_timer, loop_now_ms(s->dispatcher->loop) + s->timeout_ms);
	mem_free(s);
}

void dispatcher_stop(struct dispatcher *dispatcher, uint32_t timeout_ms)
{
	if (!dispatcher->started)
		return;
	struct stop_deadline *deadline = mem_alloc(sizeof *deadline);
	deadline->task.run = set_stop_deadline;
	deadline->dispatcher = dispatcher;
	deadline->timeout_ms = timeout_ms;
	loop_post(dispatcher->loop, &deadline->task);
	loop_post(dispatcher->loop, &dispatcher->stop_task);
	pthread_join(dispatcher->thread, NULL);
	dispatcher->started = false;
}

void dispatcher_free(struct dispatcher *dispatcher)
{
	struct dispatcher *d = dispatcher;
	if (d == NULL)
		return;
	if (d->loop != NULL) {
		d->stopping = true;
		remote_drop_all(d);
		if (d->routes != NULL)
			dispatcher_forget_waiting(d);
		domain_routes_free(d->routes);
		smarthosts_free(d->smarthosts);
		loop_timer_clear(&d->load_timer);
		dispatcher_pump_stop(d);
		loop_timer_clear(&d->retry_timer);
		loop_timer_clear(&d->stop_timer);
		loop_timer_clear(&d->sign_timer);
		sts_free(d->sts);
		tls_results_free(d->tls_results);
		https_free(d->https);
		resolver_free(d->resolver);
		loop_free(d->loop);
	}
	egress_waits_free(d->egress_waits);
	destination_table_free(d->destinations);
	dispatcher_shaped_free(d->shaped);
	limiter_table_free(d->limiters);
	tls_context_unref(d->tls_may);
	tls_context_unref(d->tls_verify);
	config_unref(d->config);
	dispatcher_suspensions_free(d->suspensions);
	mem_free(d->finished);
	mem_free(d->buckets);
	mem_free(d);
}
