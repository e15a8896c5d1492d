/*
 * The connections of a destination: one is opened for a delivery, takes the next when it is free, waits idle for more, and at last is given up or
 * ends. What is said on it is remote.c's.
 */
#include "service/remote_private.h"

#include "base/mem.h"
#include "crypto/random.h"

#define ARENA_BYTES (1024u * 1024)
#define BLOCK_FIRST_MS 30000

/* While one connection of a destination works, another that fails does not make it a dead one. */
void remote_set_proven(struct remote *remote, bool proven)
{
	if (proven == remote->proven)
		return;
	remote->proven = proven;
	remote->destination->proven += proven ? 1 : (uint32_t)-1;
}

void remote_free(struct remote *remote)
{
	struct dispatcher *d = remote->dispatcher;
	remote_transaction_clear(remote);
	resolver_cancel(remote->query);
	loop_timer_clear(&remote->timer);
	loop_timer_clear(&remote->idle_timer);
	stream_free(remote->stream);
	smtp_sender_free(remote->engine);
	remote_login_clear(remote);
	remote_set_proven(remote, false);
	destination_idle_remove(d->destinations, remote->destination, &remote->idle_link);
	list_remove(&remote->link);
	destination_closed(d->destinations, remote->destination);
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
	if (remote_login_fall_back(remote))
		return;
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
		remote_end(remote);
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
	remote_end(remote);
}

void remote_fail(struct remote *remote, const char *reply)
{
	if (remote->delivery != NULL) {
		delivery_set_all(remote->delivery, OUTCOME_FAILED, view_from_cstr(reply), VIEW_NONE);
		remote_settle(remote);
	}
	settle_waiting(remote, OUTCOME_FAILED, view_from_cstr(reply));
	remote_end(remote);
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

/* Over this connection, as far as it goes to the right host: domains with the same hosts share connections. */
static bool fits(void *owner, struct list *link)
{
	const struct remote *remote = owner;
	const struct delivery *delivery = LIST_ENTRY(link, struct delivery, link);
	if (delivery->route == NULL || remote->route == NULL)
		return delivery->route == NULL && remote->route == NULL;
	for (size_t i = 0; i < delivery->route->hosts.count; i++)
		if (view_eq_nocase(delivery->route->hosts.names[i], remote->host))
			return true;
	return false;
}

void remote_take_next(struct remote *remote)
{
	struct dispatcher *d = remote->dispatcher;
	remote_set_proven(remote, true);
	if (remote->delivered > 0)
		destination_succeeded(d->destinations, remote->destination);
	else
		destination_connected(d->destinations, remote->destination);
	remote->destination->reason[0] = '\0';
	bool may_take = !d->stopping && remote->delivered < messages_max(remote);
	if (remote->delivery == NULL && may_take) {
		struct list *link = destination_take_fitting(d->destinations, remote->destination, fits, remote);
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
bool remote_put_back(struct remote *remote)
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

static void quit_idle(void *owner)
{
	struct remote *remote = owner;
	destination_idle_remove(remote->dispatcher->destinations, remote->destination, &remote->idle_link);
	loop_timer_set(&remote->idle_timer, INT64_MAX);
	remote->quitting = true;
	smtp_sender_quit(remote->engine);
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
	loop_timer_init(&remote->timer, dispatcher->loop, remote_on_deadline, remote);
	loop_timer_init(&remote->idle_timer, dispatcher->loop, quit_idle, remote);
	trace_routed(remote, delivery);
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
	struct dispatcher *d = remote->dispatcher;
	destination_idle_remove(d->destinations, remote->destination, &remote->idle_link);
	loop_timer_set(&remote->idle_timer, INT64_MAX);
	remote->delivery = delivery;
	trace_routed(remote, delivery);
	remote->busy = true;
	remote_begin(remote);
	remote->busy = false;
	remote_go_on(remote);
}

bool remote_reuse_for_first(struct destination *destination)
{
	struct list *first = destination_first(destination);
	for (struct list *l = destination->idle.next; l != &destination->idle; l = l->next) {
		struct remote *remote = idle_remote(l);
		if (!fits(remote, first))
			continue;
		(void)destination_take(remote->dispatcher->destinations, destination);
		reuse(remote, LIST_ENTRY(first, struct delivery, link));
		return true;
	}
	return false;
}

void remote_reuse_or_quit(struct destination *destination)
{
	for (struct list *l = destination->idle.next; l != &destination->idle; l = l->next) {
		struct remote *remote = idle_remote(l);
		struct list *link = destination_take_fitting(
			remote->dispatcher->destinations, destination, fits, remote);
		if (link == NULL)
			continue;
		reuse(remote, LIST_ENTRY(link, struct delivery, link));
		return;
	}
	quit_idle(idle_remote(destination->idle.next));
}

void remote_quit_one_idle(struct dispatcher *dispatcher)
{
	for (struct list *l = dispatcher->remotes.next; l != &dispatcher->remotes; l = l->next) {
		struct remote *remote = LIST_ENTRY(l, struct remote, link);
		if (!list_is_empty(&remote->idle_link)) {
			quit_idle(remote);
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
