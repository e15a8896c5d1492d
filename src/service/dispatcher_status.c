#include "service/dispatcher_status.h"

#include "base/clock.h"
#include "service/dispatcher_private.h"
#include "store/site_map.h"

static bool is_before(const struct dispatcher_status_line *a, const struct dispatcher_status_line *b)
{
	return a->waiting != b->waiting ? a->waiting > b->waiting : a->connections > b->connections;
}

static void insert(struct dispatcher_status *status, const struct dispatcher_status_line *line)
{
	size_t n = status->top_count;
	if (n == DISPATCHER_STATUS_TOP && !is_before(line, &status->top[n - 1]))
		return;
	size_t at = n < DISPATCHER_STATUS_TOP ? status->top_count++ : n - 1;
	for (; at > 0 && is_before(line, &status->top[at - 1]); at--)
		status->top[at] = status->top[at - 1];
	status->top[at] = *line;
}

static void look_at(void *owner, struct destination *destination)
{
	struct dispatcher_status *status = owner;
	struct dispatcher_status_line line = {
		.waiting = destination->waiting_count + destination->awaited,
		.connections = destination->connections,
		.connections_max = destination->window,
	};
	status->destinations++;
	snprintf(line.name, sizeof line.name, "%.*s", VIEW_ARG(destination->key));
	const struct limiter *suspended = destination_suspended(destination, status->at_ms);
	if (destination->blocked_until_ms > status->at_ms) {
		line.blocked_ms = destination->blocked_until_ms - status->at_ms;
		snprintf(line.reason, sizeof line.reason, "%s", destination->reason);
	} else if (suspended != NULL) {
		line.blocked_ms = suspended->suspended_until_ms - status->at_ms;
		snprintf(line.reason, sizeof line.reason, "%s", suspended->reason);
	}
	insert(status, &line);
}

static void answer(struct loop_task *task)
{
	struct dispatcher_status *status = LIST_ENTRY(task, struct dispatcher_status, task);
	status->done(status);
}

static void look(struct loop_task *task)
{
	struct dispatcher_status *status = LIST_ENTRY(task, struct dispatcher_status, task);
	struct dispatcher *d = status->dispatcher;
	status->at_ms = loop_now_ms(d->loop);
	status->active_messages = d->active_messages;
	status->active_recipients = d->active_recipients;
	status->connections = d->connections;
	destination_each(d->destinations, look_at, status);
	status->task.run = answer;
	loop_post(status->loop, &status->task);
}

void dispatcher_ask_status(struct dispatcher *dispatcher, struct loop *loop, struct dispatcher_status *status,
	void (*done)(struct dispatcher_status *status))
{
	*status = (struct dispatcher_status){
		.dispatcher = dispatcher, .loop = loop, .done = done, .owner = status->owner
	};
	list_init(&status->task.link);
	status->task.run = look;
	loop_post(dispatcher->loop, &status->task);
}

static void add_site(void *owner, struct view domain, struct view site)
{
	site_map_add(owner, domain, site);
}

static void answer_sites(struct loop_task *task)
{
	struct dispatcher_sites *sites = LIST_ENTRY(task, struct dispatcher_sites, task);
	sites->done(sites);
}

static void gather_sites(struct loop_task *task)
{
	struct dispatcher_sites *sites = LIST_ENTRY(task, struct dispatcher_sites, task);
	sites->map = site_map_new();
	domain_routes_each_site(sites->dispatcher->routes, add_site, sites->map);
	sites->task.run = answer_sites;
	loop_post(sites->loop, &sites->task);
}

void dispatcher_ask_sites(struct dispatcher *dispatcher, struct loop *loop, struct dispatcher_sites *sites,
	void (*done)(struct dispatcher_sites *sites))
{
	*sites = (struct dispatcher_sites){
		.dispatcher = dispatcher, .loop = loop, .done = done, .owner = sites->owner
	};
	list_init(&sites->task.link);
	sites->task.run = gather_sites;
	loop_post(dispatcher->loop, &sites->task);
}
