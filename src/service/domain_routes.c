#include "service/domain_routes.h"

#include "base/mem.h"
#include "crypto/random.h"
#include "service/domain_route_private.h"

#include <string.h>

/* So many domains are kept in mind; the one not asked for longest goes first. */
#define ENTRIES_MAX 20000u
#define BUCKETS 8192u
/* Questions for hosts at a time; the rest wait their turn: domains whose servers are silent must leave places with the DNS servers to others. Those that
 * could not be looked up last time have a turn of their own, or a list of dead domains that is tried for days would keep the first try of all others
 * waiting. Policies are not counted: their hosts may be silent for a minute each. */
enum turn { TURN_FIRST, TURN_AGAIN, TURNS };
static const size_t lookups_max[TURNS] = { [TURN_FIRST] = 300, [TURN_AGAIN] = 100 };
#define KEEP_MIN_MS 60000
#define KEEP_MAX_MS 3600000
#define FAILURE_FIRST_MS 30000
#define ANSWER_ARENA_BYTES (1024u * 1024)
#define NAME_MAX_BYTES 256u

struct domain_entry {
	struct list link; /* in the table's `asking`, `queued` or `known` */
	struct domain_entry *next; /* hash chain */
	struct domain_routes *routes;
	struct view domain; /* owned; lower case */
	bool is_asking; /* while one of the following is open */
	bool is_counted; /* in the table's asking_count of this turn: its hosts are not known yet */
	enum turn turn; /* when it is counted */
	struct resolver_query *query;
	struct sts_query *policy_query;
	struct domain_route *next_route; /* what is known of it so far */
	uint32_t ttl_s;
	struct list waiting;
	struct domain_route *route; /* the last one; NULL: none yet */
	uint32_t failures; /* in a row */
};

struct domain_routes {
	struct domain_routes_options options;
	struct config *config;
	struct shaping *shaping;
	struct domain_entry **buckets;
	size_t count;
	size_t asking_count[TURNS];
	struct list asking, queued[TURNS];
	struct list known; /* nobody waits for them; the one asked for last at the end */
};

static const struct domain_routes_dns real_dns = { resolver_ask, resolver_cancel };

struct domain_routes *domain_routes_new(const struct domain_routes_options *options)
{
	struct domain_routes *t = mem_alloc(sizeof *t);
	t->options = *options;
	if (t->options.dns == NULL)
		t->options.dns = &real_dns;
	t->buckets = mem_alloc_array(BUCKETS, sizeof(struct domain_entry *));
	list_init(&t->asking);
	for (size_t i = 0; i < TURNS; i++)
		list_init(&t->queued[i]);
	list_init(&t->known);
	return t;
}

static struct domain_entry **slot(const struct domain_routes *t, struct view domain)
{
	struct domain_entry **at = &t->buckets[view_hash_nocase(domain) % BUCKETS];
	while (*at != NULL && !view_eq_nocase((*at)->domain, domain))
		at = &(*at)->next;
	return at;
}

static void entry_free(struct domain_entry *e)
{
	struct domain_routes *t = e->routes;
	struct domain_entry **at = slot(t, e->domain);
	ASSERT(*at == e && list_is_empty(&e->waiting));
	*at = e->next;
	t->count--;
	if (e->query != NULL)
		t->options.dns->cancel(e->query);
	sts_cancel(e->policy_query);
	domain_route_unref(e->next_route);
	list_remove(&e->link);
	domain_route_unref(e->route);
	mem_free((void *)(uintptr_t)e->domain.ptr);
	mem_free(e);
}

static void free_all(struct list *entries)
{
	while (!list_is_empty(entries))
		entry_free(LIST_ENTRY(entries->next, struct domain_entry, link));
}

void domain_routes_free(struct domain_routes *routes)
{
	if (routes == NULL)
		return;
	free_all(&routes->asking);
	for (size_t i = 0; i < TURNS; i++)
		free_all(&routes->queued[i]);
	free_all(&routes->known);
	config_unref(routes->config);
	shaping_unref(routes->shaping);
	mem_free(routes->buckets);
	mem_free(routes);
}

void domain_routes_configure(struct domain_routes *routes, struct config *config, struct shaping *shaping)
{
	free_all(&routes->known);
	config_unref(routes->config);
	shaping_unref(routes->shaping);
	routes->config = config_ref(config);
	routes->shaping = shaping != NULL ? shaping_ref(shaping) : NULL;
}

void domain_routes_each_site(
	struct domain_routes *routes, void (*each)(void *owner, struct view domain, struct view site), void *owner)
{
	for (size_t i = 0; i < BUCKETS; i++)
		for (const struct domain_entry *e = routes->buckets[i]; e != NULL; e = e->next)
			if (e->route != NULL && e->route->site.len > 0)
				each(owner, e->domain, e->route->site);
}

size_t domain_routes_count(const struct domain_routes *routes)
{
	return routes->count;
}

static struct domain_entry *entry_get(struct domain_routes *t, struct view domain)
{
	struct domain_entry **at = slot(t, domain);
	if (*at != NULL)
		return *at;
	if (t->count >= ENTRIES_MAX && !list_is_empty(&t->known)) {
		entry_free(LIST_ENTRY(t->known.next, struct domain_entry, link));
		at = slot(t, domain); /* it may have been the last of this chain */
	}
	struct domain_entry *e = mem_alloc(sizeof *e);
	uint8_t *copy = mem_alloc(domain.len);
	for (size_t i = 0; i < domain.len; i++)
		copy[i] = ascii_lower(domain.ptr[i]);
	e->domain = view_of(copy, domain.len);
	e->routes = t;
	list_init(&e->waiting);
	list_init(&e->link);
	*at = e;
	t->count++;
	return e;
}

/* A domain that can't be looked up is asked about again soon, but not sooner than its recipients would be tried again anyway. */
static int64_t failure_ms(const struct domain_entry *e)
{
	const struct config_queue *queue = &e->routes->config->queue;
	int64_t first_ms = queue->retry_first_ms < FAILURE_FIRST_MS ? queue->retry_first_ms : FAILURE_FIRST_MS;
	uint32_t doublings = e->failures < 16 ? e->failures : 16;
	int64_t wait_ms = first_ms << doublings;
	return wait_ms < queue->retry_max_ms ? wait_ms : queue->retry_max_ms;
}

static int64_t keep_ms(uint32_t ttl_s)
{
	int64_t ms = (int64_t)ttl_s * 1000;
	return ms < KEEP_MIN_MS ? KEEP_MIN_MS : ms > KEEP_MAX_MS ? KEEP_MAX_MS : ms;
}

static void go_on(struct domain_routes *t);

static void leave_count(struct domain_entry *e)
{
	if (e->is_counted)
		e->routes->asking_count[e->turn]--;
	e->is_counted = false;
}

/* Takes the route over, and tells all who wait. The entry may be gone when they have been told. */
static void know(struct domain_entry *e, struct domain_route *route, uint32_t ttl_s)
{
	struct domain_routes *t = e->routes;
	bool failed = route->hosts.result == MX_TEMPORARY;
	route->expires_ms = loop_now_ms(t->options.loop) + (failed ? failure_ms(e) : keep_ms(ttl_s));
	e->failures = failed ? e->failures + 1 : 0;
	domain_route_unref(e->route);
	e->route = route;
	leave_count(e);
	e->is_asking = false;
	list_remove(&e->link);
	list_append(&t->known, &e->link);
	struct list waiting, *waiter;
	list_init(&waiting);
	while ((waiter = list_take_first(&e->waiting)) != NULL)
		list_append(&waiting, waiter);
	domain_route_ref(route);
	while ((waiter = list_take_first(&waiting)) != NULL)
		t->options.found(t->options.owner, waiter, route);
	domain_route_unref(route);
}

static const char *final_reply(enum mx_result result)
{
	switch (result) {
	case MX_NO_DOMAIN:
		return "550 5.1.2 The domain does not exist";
	case MX_NULL:
		return "556 5.1.10 The domain accepts no mail (null MX)";
	case MX_LOOP:
		return "554 5.4.6 Mail for the domain loops back to this server, which does not know it";
	case MX_HOSTS:
	case MX_TEMPORARY:
	default:
		return NULL;
	}
}

/* For the reason of a deferral: who reads it must see whether to look at his own resolver or at the other's domain. */
static const char *why_unknown(const struct resolver_answer *answer)
{
	if (answer->bogus)
		return answer->why_bogus != NULL ? answer->why_bogus : "its DNSSEC signatures are wrong";
	if (answer->err == ERR_TIMEOUT)
		return "the DNS servers do not answer";
	if (answer->err == ERR_OK && answer->rcode == DNS_RCODE_SERVFAIL)
		return "the DNS servers get no answer (SERVFAIL)";
	return answer->err == ERR_SYNTAX ? "it is no name" : "the DNS servers' answer makes no sense";
}

/* Both answers are there, or the one that matters. */
static void know_if_complete(struct domain_entry *e)
{
	struct domain_routes *t = e->routes;
	struct domain_route *route = e->next_route;
	if (e->query != NULL)
		return;
	if (route->hosts.result != MX_HOSTS) {
		sts_cancel(e->policy_query); /* nothing is sent there, whatever it says */
		e->policy_query = NULL;
	}
	if (e->policy_query != NULL) {
		leave_count(e);
		go_on(t);
		return;
	}
	e->next_route = NULL;
	know(e, route, e->ttl_s);
	go_on(t);
}

/* A policy that can't be had is none (RFC 8461 §5.1); what was the matter is told where TLS is reported. */
static void policy_found(void *owner, struct sts_policy *policy, enum sts_problem problem, const char *detail)
{
	struct domain_entry *e = owner;
	(void)detail;
	e->policy_query = NULL;
	e->next_route->sts_problem = problem;
	e->next_route->sts = policy != NULL ? sts_policy_ref(policy) : NULL;
	know_if_complete(e);
}

static void mx_answered(void *owner, const struct resolver_answer *answer)
{
	struct domain_entry *e = owner;
	struct domain_routes *t = e->routes;
	e->query = NULL;
	struct arena arena; /* an answer may be large, a route is kept: its hosts are copied */
	arena_init(&arena, ANSWER_ARENA_BYTES);
	struct dns_answer parsed = { 0 };
	struct mx_hosts found;
	bool ok = answer->err == ERR_OK && !answer->bogus &&
		dns_answer_parse(answer->wire, DNS_TYPE_MX, &arena, &parsed) == ERR_OK;
	struct domain_route *route = e->next_route;
	struct view own[2] = { view_from_cstr(t->config->hostname), view_from_cstr(t->config->delivery.ehlo_name) };
	mx_order(ok ? &parsed : NULL, route->domain, 2, own, random_below(UINT32_MAX), &found);
	route->mx_is_secure = ok && answer->secure;
	if (found.result == MX_HOSTS) {
		domain_route_set_hosts(route, &found, t->shaping);
	} else if (final_reply(found.result) != NULL) {
		domain_route_set_problem(route, found.result, final_reply(found.result));
	} else {
		char problem[400];
		snprintf(problem, sizeof problem, "451 4.4.3 The domain's mail hosts can't be looked up: %s",
			why_unknown(answer));
		domain_route_set_problem(route, MX_TEMPORARY, problem);
	}
	arena_clear(&arena);
	e->ttl_s = parsed.ttl_s;
	know_if_complete(e);
}

static void ask(struct domain_entry *e, enum turn turn)
{
	struct domain_routes *t = e->routes;
	char name[NAME_MAX_BYTES];
	snprintf(name, sizeof name, "%.*s", VIEW_ARG(e->domain));
	list_remove(&e->link);
	list_append(&t->asking, &e->link);
	e->is_asking = e->is_counted = true;
	e->turn = turn;
	t->asking_count[turn]++;
	e->next_route = domain_route_new(e->domain);
	if (t->options.sts != NULL && t->config->delivery.mta_sts)
		e->policy_query = sts_find(t->options.sts, e->domain, policy_found, e);
	e->query = t->options.dns->ask(t->options.resolver, resolver_share_named(RESOLVER_FOR_ROUTES, e->domain), name,
		DNS_TYPE_MX, mx_answered, e);
}

static void go_on_in(struct domain_routes *t, enum turn turn)
{
	while (t->asking_count[turn] < lookups_max[turn] && !list_is_empty(&t->queued[turn])) {
		struct domain_entry *e = LIST_ENTRY(t->queued[turn].next, struct domain_entry, link);
		if (!list_is_empty(&e->waiting)) {
			ask(e, turn);
		} else {
			/* Who waited has gone. */
			list_remove(&e->link);
			list_append(&t->known, &e->link);
		}
	}
}

static void go_on(struct domain_routes *t)
{
	go_on_in(t, TURN_FIRST);
	go_on_in(t, TURN_AGAIN);
}

static bool is_good_literal(struct view domain)
{
	struct net_address address;
	struct view text = view_sub(domain, 1, domain.len - 2);
	if (domain.len < 3 || domain.ptr[domain.len - 1] != ']')
		return false;
	if (view_starts_with_nocase(text, VIEW("IPv6:")))
		text = view_from(text, 5);
	return net_address_parse(text, 25, &address) == ERR_OK;
}

/* A domain whose route needs no question: an address literal, or no name at all. NULL: it does need one. */
static struct domain_route *without_dns(struct domain_entry *e)
{
	struct view domain = e->domain;
	bool is_literal = domain.len > 0 && domain.ptr[0] == '[';
	if (!is_literal && domain.len > 0 && domain.len < NAME_MAX_BYTES && view_is_ascii(domain))
		return NULL;
	struct domain_route *route = domain_route_new(e->domain);
	if (!is_literal) {
		domain_route_set_problem(route, MX_NO_DOMAIN, "550 5.1.2 The domain is no name that can be looked up");
	} else if (!is_good_literal(domain)) {
		domain_route_set_problem(
			route, MX_NO_DOMAIN, "550 5.1.2 The address literal is not one that can be reached");
	} else {
		struct mx_hosts host = { .result = MX_HOSTS, .is_implicit = true, .count = 1 };
		host.names[0] = domain;
		domain_route_set_hosts(route, &host, e->routes->shaping);
	}
	return route;
}

struct domain_route *domain_routes_find(struct domain_routes *routes, struct view domain, struct list *waiter)
{
	struct domain_routes *t = routes;
	struct domain_entry *e = entry_get(t, view_sub(domain, 0, NAME_MAX_BYTES));
	bool is_open = !list_is_empty(&e->waiting) || e->is_asking;
	if (!is_open && e->route != NULL && e->route->expires_ms > loop_now_ms(t->options.loop)) {
		list_remove(&e->link);
		list_append(&t->known, &e->link);
		return e->route;
	}
	struct domain_route *at_once = is_open ? NULL : without_dns(e);
	if (at_once != NULL) {
		know(e, at_once, 0);
		return at_once;
	}
	list_append(&e->waiting, waiter);
	if (!is_open) {
		list_remove(&e->link);
		list_append(&t->queued[e->failures == 0 ? TURN_FIRST : TURN_AGAIN], &e->link);
		go_on(t);
	}
	return NULL;
}

bool domain_routes_has_failed(const struct domain_routes *routes, struct view domain)
{
	const struct domain_entry *e = *slot(routes, view_sub(domain, 0, NAME_MAX_BYTES));
	return e != NULL && e->failures > 0;
}

/* Those whose turn has not come, and that nobody waits for any more, are never looked at again: there may be thousands. */
static struct list *take_queued(struct domain_routes *t, enum turn turn)
{
	while (!list_is_empty(&t->queued[turn])) {
		struct domain_entry *e = LIST_ENTRY(t->queued[turn].next, struct domain_entry, link);
		struct list *waiter = list_take_first(&e->waiting);
		if (waiter != NULL)
			return waiter;
		list_remove(&e->link);
		list_append(&t->known, &e->link);
	}
	return NULL;
}

struct list *domain_routes_take_waiting(struct domain_routes *routes)
{
	for (enum turn turn = TURN_FIRST; turn < TURNS; turn++) {
		struct list *waiter = take_queued(routes, turn);
		if (waiter != NULL)
			return waiter;
	}
	for (struct list *l = routes->asking.next; l != &routes->asking; l = l->next) {
		struct domain_entry *e = LIST_ENTRY(l, struct domain_entry, link);
		struct list *waiter = list_take_first(&e->waiting);
		if (waiter == NULL)
			continue;
		if (list_is_empty(&e->waiting)) {
			list_remove(&e->link); /* behind those that still have some */
			list_append(&routes->asking, &e->link);
		}
		return waiter;
	}
	return NULL;
}

void domain_routes_retry(struct domain_routes *routes)
{
	for (struct list *l = routes->known.next; l != &routes->known; l = l->next) {
		struct domain_entry *e = LIST_ENTRY(l, struct domain_entry, link);
		e->failures = 0;
		if (e->route != NULL && e->route->hosts.result == MX_TEMPORARY)
			e->route->expires_ms = 0;
	}
}
