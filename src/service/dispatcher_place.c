/* Where a delivery waits: at the destination of its domain's hosts, at a smart host, at the mailboxes; or why it does not wait at all. */
#include "service/dispatcher_private.h"

#include "base/clock.h"
#include "service/streams.h"

#define LOCAL_JOBS 16u

void delivery_defer_until(struct delivery *delivery, struct view reason, int64_t until_ms)
{
	int64_t wait_ms = until_ms - loop_now_ms(delivery->dispatcher->loop);
	delivery_set_all(delivery, OUTCOME_DEFERRED, reason, VIEW_NONE);
	delivery->destination = NULL;
	for (size_t i = 0; i < delivery->count; i++)
		delivery->recipients[i].due_at_ms = clock_wall_ms() + (wait_ms > 0 ? wait_ms : 0);
	dispatcher_settle(delivery);
}

static struct limiter *limiter_named(struct dispatcher *d, const char *kind, struct view name, const char *at,
	struct view stream, const struct limiter_limits *limits)
{
	struct buf text = { 0 };
	enum err err = buf_append_format(&text, "%s%.*s%s%.*s", kind, VIEW_ARG(name), at, VIEW_ARG(stream));
	ASSERT(err == ERR_OK);
	struct limiter *limiter = limiter_get(d->limiters, buf_view(&text), limits);
	buf_clear(&text);
	return limiter;
}

static struct limiter_limits limits_of_site(const struct shaping_site *site)
{
	struct limiter_limits limits = { 0 };
	if (site == NULL)
		return limits;
	limits.connections = site->connections;
	for (size_t i = 0; i < site->rate_count && i < LIMITER_RATES_MAX; i++)
		limits.rates[limits.rate_count++] = (struct limiter_rate){ site->rates[i].count,
			site->rates[i].per_ms };
	return limits;
}

/* The site as a whole, where rules limit it; the site for this stream, which trouble slows down without the others; the stream as a whole, of which
 * mail without one is one more. */
static void set_limiters(const struct delivery *delivery, struct destination *destination)
{
	struct dispatcher *d = delivery->dispatcher;
	const struct domain_route *route = delivery->route;
	const struct config_stream *stream = config_stream_named(d->config, delivery->way.stream);
	struct limiter *limiters[DESTINATION_LIMITERS_MAX];
	size_t count = 0;
	if (destination->settings == d->settings_count)
		return;
	destination->settings = d->settings_count;
	if (route != NULL) {
		struct limiter_limits limits = limits_of_site(route->shaping_site);
		if (route->shaping_site != NULL)
			limiters[count++] = limiter_named(d, "site/", route->site, "", VIEW_NONE, &limits);
		if (stream != NULL && stream->connections_per_destination > 0)
			limits.connections = stream->connections_per_destination;
		limiters[count++] = limiter_named(d, "site/", route->site, "@", delivery->way.stream, &limits);
	}
	if (d->config->stream_count > 0)
		limiters[count++] = streams_limiter(d->limiters, d->config, stream);
	destination_set_limiters(d->destinations, destination, count, limiters);
}

static void place_at(struct delivery *delivery, struct view key, uint32_t limit)
{
	struct dispatcher *d = delivery->dispatcher;
	int64_t now_ms = loop_now_ms(d->loop);
	struct destination *destination = destination_get(d->destinations, key, limit);
	const struct limiter *suspended;
	delivery->destination = destination;
	destination->is_local = delivery->way.kind == DELIVERY_MAILBOX;
	if (!destination->is_local)
		set_limiters(delivery, destination);
	if (destination->blocked_until_ms > now_ms) {
		delivery->untried = true;
		delivery_defer_until(delivery, view_from_cstr(destination->reason), destination->blocked_until_ms);
	} else if ((suspended = destination_suspended(destination, now_ms)) != NULL) {
		delivery_defer_shaped(delivery, suspended);
		(void)destination_release(d->destinations, destination);
	} else if (destination->waiting_count > dispatcher_room(d)) {
		delivery_leave(delivery);
	} else {
		destination_add(d->destinations, destination, &delivery->link, delivery->way.priority);
		dispatcher_pump_soon(d);
	}
}

/* Another stream's mail to the same hosts is another destination: neither's trouble is the other's. */
static void place_at_named(struct delivery *delivery, const char *kind, struct view name, uint32_t limit)
{
	struct buf key = { 0 };
	struct view stream = delivery->way.stream;
	enum err err = buf_append_format(
		&key, "%s%.*s%s%.*s", kind, VIEW_ARG(name), stream.len > 0 ? "@" : "", VIEW_ARG(stream));
	ASSERT(err == ERR_OK);
	place_at(delivery, buf_view(&key), limit);
	buf_clear(&key);
}

/* Connections: of the stream, of the site, or of any destination. */
static uint32_t connections_max(const struct delivery *delivery)
{
	const struct config *config = delivery->dispatcher->config;
	const struct config_stream *stream = config_stream_named(config, delivery->way.stream);
	const struct shaping_site *site = delivery->route->shaping_site;
	if (stream != NULL && stream->connections_per_destination > 0)
		return stream->connections_per_destination;
	return site != NULL && site->connections > 0 ? site->connections : config->delivery.concurrency_per_destination;
}

static void place_at_smarthost(struct delivery *delivery)
{
	struct dispatcher *d = delivery->dispatcher;
	const struct config_smarthost *smarthost = config_smarthost_named(d->config, delivery->way.smarthost);
	if (smarthost != NULL)
		place_at_named(delivery, "smarthost/", view_from_cstr(smarthost->name), smarthost->concurrency);
	else
		delivery_defer_until(delivery, VIEW("451 4.3.5 The smart host is not in the configuration"), 0);
}

static void place_by_hosts(struct delivery *delivery, const struct domain_route *route)
{
	if (route->refused_until_ms > loop_now_ms(delivery->dispatcher->loop)) {
		delivery->untried = true;
		delivery_defer_until(delivery, view_from_cstr(route->refused_reason), route->refused_until_ms);
		return;
	}
	place_at_named(delivery, "", route->destination, connections_max(delivery));
}

/* An operator lets all mail to the site wait, or that of this stream. */
static bool site_is_suspended(struct delivery *delivery)
{
	struct suspension wanted = { .kind = SUSPENSION_SITE, .name = delivery->route->site };
	if (delivery_is_suspended(delivery, &wanted))
		return true;
	wanted.stream = delivery->way.stream;
	return wanted.stream.len > 0 && delivery_is_suspended(delivery, &wanted);
}

static bool smarthost_is_suspended(struct delivery *delivery)
{
	struct suspension wanted = { .kind = SUSPENSION_SMARTHOST, .name = delivery->way.smarthost };
	return delivery_is_suspended(delivery, &wanted);
}

static void place_by_route(struct delivery *delivery, struct domain_route *route)
{
	delivery->route = domain_route_ref(route);
	if (site_is_suspended(delivery))
		return;
	if (route->hosts.result == MX_HOSTS) {
		place_by_hosts(delivery, route);
	} else if (route->hosts.result == MX_TEMPORARY) {
		delivery_defer_until(delivery, view_from_cstr(route->problem), route->expires_ms);
	} else {
		delivery_set_all(delivery, OUTCOME_FAILED, view_from_cstr(route->problem), VIEW_NONE);
		dispatcher_settle(delivery);
	}
}

void dispatcher_route_found(void *dispatcher, struct list *waiter, struct domain_route *route)
{
	struct delivery *delivery = LIST_ENTRY(waiter, struct delivery, link);
	delivery_stop_awaiting(delivery);
	place_by_route(delivery, route);
	/* More of those that wait on disk may be read. */
	dispatcher_pump_soon(dispatcher);
}

/*
 * Domains whose DNS is silent have no destination yet that could be full. What waits for look-ups is counted at one that nothing is ever sent to
 * (two: domains that could not be looked up last time are not in the way of those that are new), and has as much of the memory as any other:
 * what is over stays on disk. So mail to hosts that are known goes on.
 */
static void await_route(struct delivery *delivery)
{
	struct dispatcher *d = delivery->dispatcher;
	bool again = domain_routes_has_failed(d->routes, delivery->way.domain);
	struct destination *lookups = destination_get(
		d->destinations, again ? VIEW("look-ups/again") : VIEW("look-ups"), 1);
	delivery->destination = lookups;
	if (lookups->awaited > dispatcher_room(d)) {
		list_remove(&delivery->link);
		delivery_leave(delivery);
	} else {
		lookups->awaited++;
	}
}

void delivery_stop_awaiting(struct delivery *delivery)
{
	struct destination *lookups = delivery->destination;
	delivery->destination = NULL;
	ASSERT(lookups->awaited > 0);
	lookups->awaited--;
	(void)destination_release(delivery->dispatcher->destinations, lookups);
}

void dispatcher_place(struct delivery *delivery)
{
	struct dispatcher *d = delivery->dispatcher;
	if (delivery->way.kind == DELIVERY_MAILBOX) {
		place_at(delivery, VIEW("mailboxes"), LOCAL_JOBS);
		return;
	}
	if (delivery->way.smarthost.len > 0) {
		if (!smarthost_is_suspended(delivery))
			place_at_smarthost(delivery);
		return;
	}
	struct domain_route *route = domain_routes_find(d->routes, delivery->way.domain, &delivery->link);
	if (route == NULL) {
		await_route(delivery);
		return;
	}
	delivery->untried = route->hosts.result == MX_TEMPORARY; /* its look-up failed before this came */
	place_by_route(delivery, route);
}
