/*
 * The connections of a destination: one is opened for a delivery, takes the next when it is free, waits idle for more, and at last ends. What is said
 * on it is remote.c's.
 */
#include "service/remote_private.h"

#include "base/clock.h"
#include "base/mem.h"
#include "crypto/random.h"
#include "service/streams.h"

#include <string.h>

#define ARENA_BYTES (1024u * 1024)

/* While one connection of a destination works, another that fails does not make it a dead one. */
void remote_set_proven(struct remote *remote, bool proven)
{
	if (proven == remote->proven)
		return;
	remote->proven = proven;
	remote->destination->proven += proven ? 1 : (uint32_t)-1;
}

/* A place at its address may be free, or a message: who waits for one is asked. */
static void egress_may_have_room(struct remote *remote)
{
	struct dispatcher *d = remote->dispatcher;
	if (remote->egress_limiter != NULL && egress_waits_may_ask(d->egress_waits, remote->egress_limiter) &&
		!d->stopping)
		dispatcher_pump_soon(d);
}

/* It waits for no delivery any more; it may not have. */
static void leave_idle(struct remote *remote)
{
	struct dispatcher *d = remote->dispatcher;
	bool was_idle = !list_is_empty(&remote->idle_link);
	destination_idle_remove(d->destinations, remote->destination, &remote->idle_link);
	list_remove(&remote->all_idle_link);
	loop_timer_set(&remote->idle_timer, INT64_MAX);
	/* That may be what it waited for. */
	if (was_idle && egress_waits_has(remote->destination)) {
		destination_let_go(d->destinations, remote->destination);
		if (!d->stopping)
			dispatcher_pump_soon(d);
	}
}

void remote_free(struct remote *remote)
{
	struct dispatcher *d = remote->dispatcher;
	remote_uncount(remote);
	remote_transaction_clear(remote);
	remote_hosts_stop(remote);
	buf_clear(&remote->tls.tlsa_text);
	leave_idle(remote);
	loop_timer_clear(&remote->timer);
	loop_timer_clear(&remote->idle_timer);
	stream_free(remote->stream);
	smtp_sender_free(remote->engine);
	remote_login_clear(remote);
	remote_set_proven(remote, false);
	list_remove(&remote->link);
	destination_closed(d->destinations, remote->destination);
	if (remote->egress_limiter != NULL)
		limiter_disconnected(remote->egress_limiter);
	egress_may_have_room(remote);
	destination_release(d->destinations, remote->destination);
	d->connections--;
	arena_clear(&remote->arena);
	domain_route_unref(remote->route);
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
void remote_end(struct remote *remote)
{
	remote->done = true;
	if (!remote->busy)
		remote_free(remote);
}

void remote_put_first(struct remote *remote)
{
	struct delivery *delivery = remote->delivery;
	remote->delivery = NULL;
	remote_uncount(remote);
	remote_transaction_clear(remote);
	destination_add_first(
		remote->dispatcher->destinations, remote->destination, &delivery->link, delivery->way.priority);
}

static void trace_routed(const struct remote *remote, const struct delivery *delivery)
{
	for (size_t i = 0; i < delivery->count; i++)
		TRACE(remote->dispatcher->server->store, LOG_LEVEL_DEBUG, delivery->message->envelope.id, "routed",
			LOG_TEXT("to", delivery->recipients[i].recipient->address),
			LOG_TEXT("via", remote->destination->key));
}

/* The site's or ours, and the server's (RFC 9422 MAILMAX). */
static uint32_t messages_max(const struct remote *remote)
{
	const struct shaping_site *site = remote->route != NULL ? remote->route->shaping_site : NULL;
	uint32_t ours = site != NULL && site->messages_per_connection > 0
		? site->messages_per_connection
		: remote->config->delivery.messages_per_connection;
	uint32_t theirs = smtp_sender_limit_transactions(remote->engine);
	return theirs > 0 && theirs < ours ? theirs : ours;
}

/* It may carry one more message after this one: not too many went over it, it is not too old, and goes where today's configuration says, as it says. */
static bool may_go_on(const struct remote *remote)
{
	struct dispatcher *d = remote->dispatcher;
	uint32_t age_ms = remote->config->delivery.connection_age_ms;
	return !d->stopping && !remote->is_unwanted && remote->config == d->config &&
		remote->delivered < messages_max(remote) &&
		(age_ms == 0 || loop_now_ms(d->loop) - remote->connected_ms < age_ms) &&
		destination_suspended(remote->destination, loop_now_ms(d->loop)) == NULL;
}

static void quit(struct remote *remote)
{
	remote->quitting = true;
	smtp_sender_quit(remote->engine);
}

static void go_idle(struct remote *remote)
{
	struct dispatcher *d = remote->dispatcher;
	if (!may_go_on(remote)) {
		quit(remote);
		return;
	}
	destination_idle_add(d->destinations, remote->destination, &remote->idle_link);
	list_append(&d->idle_remotes, &remote->all_idle_link);
	loop_timer_set(&remote->idle_timer, loop_now_ms(d->loop) + remote->config->delivery.idle_ms);
	/* What its destination waits for may be this one now; others may have it closed for them. */
	if (egress_waits_has(remote->destination))
		destination_let_go(d->destinations, remote->destination);
	egress_may_have_room(remote);
	if (remote->destination->waiting_count > 0 || destination_next_wake_ms(d->destinations) <= loop_now_ms(d->loop))
		dispatcher_pump_soon(d);
}

/* Before this connection was had: the host was no good, for mail of this domain. */
static bool was_tried_in_vain(const struct remote *remote, struct view host, const struct domain_route *route)
{
	/* What one domain demands, or one message wants, says nothing of the hosts to others. */
	bool is_known_of_all = !remote->refused_by_policy && !remote->tls.refused_alone;
	for (size_t i = 0; i + 1 < remote->next_host; i++)
		if (view_eq_nocase(remote->hosts[i], host))
			return is_known_of_all || remote->route == route;
	return false;
}

/* RFC 5321 §5.1: the hosts of a domain are tried in their order. Domains with the same hosts may have them in another one. */
static bool is_the_turn_of(const struct remote *remote, const struct domain_route *route)
{
	const struct mx_hosts *hosts = &route->hosts;
	size_t at = 0;
	while (at < hosts->count && !view_eq_nocase(hosts->names[at], remote->host))
		at++;
	for (size_t i = 0; i < at && at < hosts->count; i++)
		if (hosts->preferences[i] < hosts->preferences[at] &&
			!was_tried_in_vain(remote, hosts->names[i], route))
			return false;
	return at < hosts->count;
}

static uint32_t preference_of(const struct domain_route *route, struct view host)
{
	const struct mx_hosts *hosts = &route->hosts;
	for (size_t i = 0; i < hosts->count; i++)
		if (view_eq_nocase(hosts->names[i], host))
			return hosts->preferences[i];
	return UINT32_MAX;
}

/* The hosts that are left are in the order of another domain: where this one's is another, it goes to none of them from here. */
static void leave_hosts_of(struct remote *remote, const struct domain_route *route)
{
	for (size_t i = remote->next_host; i > 0 && i < remote->host_count; i++)
		if (preference_of(route, remote->hosts[i]) < preference_of(route, remote->hosts[i - 1]))
			remote->host_count = remote->next_host;
}

/* Over this connection, as far as it goes to the right host: domains with the same hosts share connections. */
static bool goes_to(void *owner, struct list *link)
{
	const struct remote *remote = owner;
	const struct delivery *delivery = LIST_ENTRY(link, struct delivery, link);
	if (!remote_tls_allows(remote, delivery))
		return false;
	if (delivery->route == NULL || remote->route == NULL)
		return delivery->route == NULL && remote->route == NULL;
	return is_the_turn_of(remote, delivery->route);
}

/* The rates of its address say no, or others have waited for longer. *ret_again_ms: when they say yes. */
static bool is_short_of_messages(const struct remote *remote, int64_t *ret_again_ms)
{
	struct dispatcher *d = remote->dispatcher;
	struct limiter *limiter = remote->egress_limiter;
	*ret_again_ms = loop_now_ms(d->loop);
	return limiter != NULL &&
		(!limiter_may_send(limiter, loop_now_ms(d->loop), ret_again_ms) ||
			egress_waits_is_behind_at(d->egress_waits, remote->destination, limiter));
}

/* As far as its address goes: rates, and the ceiling of a new one. */
static bool egress_may_send(const struct remote *remote)
{
	int64_t again_ms;
	return !is_short_of_messages(remote, &again_ms) &&
		streams_may_send(remote->dispatcher->server->streams, remote->egress, clock_wall_ms());
}

/* Counted when it is given to a connection, so that no more are given to others than may be sent. */
static void count_message(struct remote *remote)
{
	int64_t now_ms = loop_now_ms(remote->dispatcher->loop);
	if (remote->is_counted)
		return;
	remote->is_counted = true;
	destination_sent(remote->destination, now_ms);
	if (remote->egress_limiter == NULL)
		return;
	limiter_sent(remote->egress_limiter, now_ms);
	egress_waits_took(remote->dispatcher->egress_waits, remote->destination, remote->egress_limiter);
}

static void count_for_today(struct remote *remote)
{
	if (remote->is_counted_today)
		return;
	remote->is_counted_today = true;
	remote->counted_day = streams_sent(remote->dispatcher->server->streams, remote->egress, clock_wall_ms());
}

void remote_message_seen(struct remote *remote)
{
	remote->is_counted = remote->is_counted_today = false;
}

void remote_uncount(struct remote *remote)
{
	struct dispatcher *d = remote->dispatcher;
	int64_t now_ms = loop_now_ms(d->loop);
	if (remote->is_counted_today)
		streams_unsent(d->server->streams, remote->egress, remote->counted_day);
	if (remote->is_counted) {
		destination_unsent(d->destinations, remote->destination, now_ms);
		if (remote->egress_limiter != NULL)
			limiter_unsent(remote->egress_limiter, now_ms);
		egress_may_have_room(remote);
		if (!d->stopping)
			dispatcher_pump_soon(d);
	}
	remote->is_counted = remote->is_counted_today = false;
}

static void assign(struct remote *remote, struct delivery *delivery)
{
	remote->delivery = delivery;
	if (delivery->route != NULL && remote->route != NULL && delivery->route != remote->route)
		leave_hosts_of(remote, delivery->route);
	count_message(remote);
	trace_routed(remote, delivery);
}

static void begin(struct remote *remote)
{
	struct dispatcher *d = remote->dispatcher;
	/* All of its recipients have the same time. */
	if (delivery_time_is_up(remote->delivery->recipients[0].recipient, clock_wall_ms())) {
		delivery_fail_for_time(remote->delivery);
		remote_settle(remote);
		remote_ready(remote);
		return;
	}
	remote->step_ms = loop_now_ms(d->loop);
	/* With the next host, after one that has seen it: again. */
	count_message(remote);
	count_for_today(remote);
	remote_tls_used(remote);
	remote_begin(remote);
}

static void note_success(struct remote *remote)
{
	struct dispatcher *d = remote->dispatcher;
	remote_set_proven(remote, true);
	if (remote->delivered > 0)
		destination_succeeded(d->destinations, remote->destination, loop_now_ms(d->loop));
	else
		destination_connected(d->destinations, remote->destination);
	remote->destination->reason[0] = '\0';
}

static void assign_next(struct remote *remote)
{
	struct dispatcher *d = remote->dispatcher;
	struct destination *destination = remote->destination;
	if (!may_go_on(remote) || destination->waiting_count == 0)
		return;
	if (!destination_may_send(d->destinations, destination, loop_now_ms(d->loop))) {
		dispatcher_pump_soon(d); /* it sets the timer for when this one is let go */
		return;
	}
	if (!egress_may_send(remote))
		return;
	struct list *link = destination_take_fitting(d->destinations, destination, goes_to, remote);
	if (link != NULL)
		assign(remote, LIST_ENTRY(link, struct delivery, link));
}

void remote_take_next(struct remote *remote)
{
	struct dispatcher *d = remote->dispatcher;
	note_success(remote);
	if (remote->delivery == NULL) {
		remote_uncount(remote); /* it may have been dropped unsent */
		assign_next(remote);
	}
	if (remote->delivery == NULL) {
		go_idle(remote);
	} else if (streams_may_send(d->server->streams, remote->egress, clock_wall_ms())) {
		begin(remote);
	} else {
		/* Others sent the last of today's messages while this one connected. */
		remote_put_first(remote);
		quit(remote);
	}
}

/* A reused connection that the other side had closed meanwhile is no attempt: the delivery goes back, once. */
bool remote_put_back(struct remote *remote)
{
	struct delivery *delivery = remote->delivery;
	if (remote->delivered == 0 || delivery->connection_lost || remote->dispatcher->stopping)
		return false;
	delivery->connection_lost = true;
	remote_put_first(remote);
	return true;
}

static void quit_idle(void *owner)
{
	struct remote *remote = owner;
	leave_idle(remote);
	quit(remote);
	remote_go_on(remote);
}

/* Hosts of equal preference share the load: their order is another for each connection (RFC 5321 §5.1). */
static void use_hosts(struct remote *remote)
{
	struct mx_hosts hosts = remote->route->hosts;
	mx_shuffle(&hosts, random_below(UINT32_MAX));
	for (size_t i = 0; i < hosts.count; i++)
		remote->hosts[i] = hosts.names[i];
	remote->host_count = hosts.count;
}

void remote_open(struct dispatcher *dispatcher, struct delivery *delivery, const struct streams_pick *pick)
{
	struct remote *remote = mem_alloc(sizeof *remote);
	remote->dispatcher = dispatcher;
	remote->destination = delivery->destination;
	remote->config = config_ref(dispatcher->config);
	remote->egress = pick->egress;
	remote->egress_limiter = pick->limiter;
	if (pick->limiter != NULL)
		limiter_connected(pick->limiter);
	remote->step_ms = loop_now_ms(dispatcher->loop);
	remote->spool_fd = -1;
	list_init(&remote->idle_link);
	list_init(&remote->all_idle_link);
	list_append(&dispatcher->remotes, &remote->link);
	dispatcher->connections++;
	arena_init(&remote->arena, ARENA_BYTES);
	loop_timer_init(&remote->timer, dispatcher->loop, remote_on_deadline, remote);
	loop_timer_init(&remote->idle_timer, dispatcher->loop, quit_idle, remote);
	assign(remote, delivery);
	if (delivery->route != NULL) {
		remote->route = domain_route_ref(delivery->route);
		use_hosts(remote);
		remote->no_address_is_final = true;
		remote_next_address(remote);
	} else if (!remote_login_open(remote, delivery->way.smarthost)) {
		remote_set_reason(remote, "451 4.3.5 The smart host is not in the configuration any more");
		remote_give_up(remote);
	}
}

static struct remote *idle_remote(struct list *link)
{
	return LIST_ENTRY(link, struct remote, idle_link);
}

/* The idle connection takes the delivery, which waits nowhere any more. */
static void reuse(struct remote *remote, struct delivery *delivery)
{
	leave_idle(remote);
	assign(remote, delivery);
	remote->busy = true;
	begin(remote);
	remote->busy = false;
	remote_go_on(remote);
}

/* An idle one may be too old by now. */
static bool may_reuse(const struct remote *remote)
{
	return may_go_on(remote) && egress_may_send(remote);
}

bool remote_reuse_for_first(struct destination *destination)
{
	struct list *first = destination_first(destination);
	for (struct list *l = destination->idle.next; l != &destination->idle; l = l->next) {
		struct remote *remote = idle_remote(l);
		if (!goes_to(remote, first) || !may_reuse(remote))
			continue;
		(void)destination_take(remote->dispatcher->destinations, destination);
		reuse(remote, LIST_ENTRY(first, struct delivery, link));
		return true;
	}
	return false;
}

bool remote_reuse(struct destination *destination)
{
	for (struct list *l = destination->idle.next; l != &destination->idle; l = l->next) {
		struct remote *remote = idle_remote(l);
		struct list *link = !may_reuse(remote)
			? NULL
			: destination_take_fitting(remote->dispatcher->destinations, destination, goes_to, remote);
		if (link == NULL)
			continue;
		reuse(remote, LIST_ENTRY(link, struct delivery, link));
		return true;
	}
	return false;
}

struct limiter *remote_idle_short_of(const struct destination *destination)
{
	struct limiter *found = NULL;
	int64_t first_ms = INT64_MAX;
	for (struct list *l = destination->idle.next; l != &destination->idle; l = l->next) {
		struct remote *remote = idle_remote(l);
		const struct streams *streams = remote->dispatcher->server->streams;
		int64_t again_ms;
		if (is_short_of_messages(remote, &again_ms) && again_ms < first_ms && may_go_on(remote) &&
			streams_may_send(streams, remote->egress, clock_wall_ms()) &&
			destination_has_fitting(destination, goes_to, remote)) {
			found = remote->egress_limiter;
			first_ms = again_ms;
		}
	}
	return found;
}

void remote_quit_idle_of(struct destination *destination)
{
	quit_idle(idle_remote(destination->idle.next));
}

static bool is_any(const void *about, const struct remote *remote)
{
	(void)about;
	(void)remote;
	return true;
}

static bool is_under(const void *limiter, const struct remote *remote)
{
	return destination_is_under(remote->destination, limiter);
}

static bool is_at(const void *address, const struct remote *remote)
{
	return remote->egress_limiter == address;
}

static void quit_one(
	struct dispatcher *d, bool (*is_it)(const void *about, const struct remote *remote), const void *about)
{
	for (struct list *l = d->idle_remotes.next; l != &d->idle_remotes; l = l->next) {
		struct remote *remote = LIST_ENTRY(l, struct remote, all_idle_link);
		if (!is_it(about, remote))
			continue;
		quit_idle(remote);
		return;
	}
}

void remote_quit_one_idle(struct dispatcher *dispatcher)
{
	quit_one(dispatcher, is_any, NULL);
}

void remote_quit_idle_under(struct dispatcher *dispatcher, const struct limiter *limiter)
{
	if (limiter != NULL)
		quit_one(dispatcher, is_under, limiter);
}

void remote_quit_idle_at(struct dispatcher *dispatcher, const struct limiter *address)
{
	quit_one(dispatcher, is_at, address);
}

void remote_quit_idle(struct dispatcher *dispatcher)
{
	struct list *next;
	for (struct list *l = dispatcher->remotes.next; l != &dispatcher->remotes; l = next) {
		next = l->next;
		struct remote *remote = LIST_ENTRY(l, struct remote, link);
		if (remote->delivery == NULL && !remote->quitting && remote->engine != NULL)
			quit_idle(remote);
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
