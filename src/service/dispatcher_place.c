/* Where a delivery waits: at the destination of its domain's hosts, at a smart host, at the mailboxes; or why it does not wait at all. */
#include "service/dispatcher_private.h"

#include "base/clock.h"

#define LOCAL_JOBS 16u
#define SHORT_QUEUE_MAX 100u /* deliveries that wait for one destination */

/* Until it is looked at again the recipients stay on disk: no try, unless it is their first. */
static void defer_until(struct delivery *delivery, struct view reason, int64_t until_ms)
{
	int64_t wait_ms = until_ms - loop_now_ms(delivery->dispatcher->loop);
	delivery_set_all(delivery, OUTCOME_DEFERRED, reason, VIEW_NONE);
	delivery->destination = NULL;
	for (size_t i = 0; i < delivery->count; i++)
		delivery->recipients[i].due_at_ms = clock_wall_ms() + (wait_ms > 0 ? wait_ms : 0);
	dispatcher_settle(delivery);
}

static size_t short_queue(const struct dispatcher *d)
{
	size_t part = d->config->queue.active_recipients / 8;
	return part < SHORT_QUEUE_MAX ? part : SHORT_QUEUE_MAX;
}

static void place_at(struct delivery *delivery, struct view key, uint32_t limit)
{
	struct dispatcher *d = delivery->dispatcher;
	struct destination *destination = destination_get(d->destinations, key, limit);
	delivery->destination = destination;
	if (delivery->way.kind == DELIVERY_MAILBOX)
		destination->is_local = true;
	if (destination->blocked_until_ms > loop_now_ms(d->loop)) {
		delivery->untried = true;
		defer_until(delivery, view_from_cstr(destination->reason), destination->blocked_until_ms);
	} else if (delivery->message->only_where_short && destination->waiting_count >= short_queue(d)) {
		delivery_drop(delivery);
	} else {
		destination_add(d->destinations, destination, &delivery->link);
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

static void place_at_smarthost(struct delivery *delivery)
{
	struct dispatcher *d = delivery->dispatcher;
	const struct config_smarthost *smarthost = config_smarthost_named(d->config, delivery->way.smarthost);
	if (smarthost != NULL)
		place_at_named(delivery, "smarthost/", view_from_cstr(smarthost->name), smarthost->concurrency);
	else
		defer_until(delivery, VIEW("451 4.3.5 The smart host is not in the configuration"), 0);
}

static void place_by_route(struct delivery *delivery, struct domain_route *route)
{
	struct dispatcher *d = delivery->dispatcher;
	delivery->route = domain_route_ref(route);
	if (route->hosts.result == MX_HOSTS) {
		place_at_named(delivery, "", route->destination, d->config->delivery.concurrency_per_destination);
	} else if (route->hosts.result == MX_TEMPORARY) {
		defer_until(delivery, view_from_cstr(route->problem), route->expires_ms);
	} else {
		delivery_set_all(delivery, OUTCOME_FAILED, view_from_cstr(route->problem), VIEW_NONE);
		dispatcher_settle(delivery);
	}
}

void dispatcher_route_found(void *dispatcher, struct list *waiter, struct domain_route *route)
{
	(void)dispatcher;
	place_by_route(LIST_ENTRY(waiter, struct delivery, link), route);
}

void dispatcher_place(struct delivery *delivery)
{
	struct dispatcher *d = delivery->dispatcher;
	if (delivery->way.kind == DELIVERY_MAILBOX) {
		place_at(delivery, VIEW("mailboxes"), LOCAL_JOBS);
		return;
	}
	if (delivery->way.smarthost.len > 0) {
		place_at_smarthost(delivery);
		return;
	}
	struct domain_route *route = domain_routes_find(d->routes, delivery->way.domain, &delivery->link);
	if (route == NULL)
		return;
	delivery->untried = route->hosts.result == MX_TEMPORARY; /* its look-up failed before this came */
	place_by_route(delivery, route);
}
