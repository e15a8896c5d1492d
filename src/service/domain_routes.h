/*
 * The table of routes: where the mail for each recipient domain goes, looked up once for all who ask, and kept. Who asks for a domain that is
 * not known yet waits in its list. A domain whose look-up failed is left alone for a while, doubling with each further failure. Lives on the
 * dispatcher's loop.
 */
#ifndef SERVICE_DOMAIN_ROUTES_H
#define SERVICE_DOMAIN_ROUTES_H

#include "base/list.h"
#include "config/config.h"
#include "net/resolver.h"
#include "service/domain_route.h"

struct domain_routes;

/* How DNS is asked: resolver_ask() and resolver_cancel(), but for tests. */
struct domain_routes_dns {
	struct resolver_query *(*ask)(struct resolver *resolver, struct places_key share, const char *name,
		uint16_t type, void (*answered)(void *owner, const struct resolver_answer *answer), void *owner);
	void (*cancel)(struct resolver_query *query);
};
struct domain_routes_options {
	struct loop *loop;
	struct resolver *resolver;
	struct sts *sts; /* NULL: policies are not looked for */
	const struct domain_routes_dns *dns; /* NULL: the resolver's */
	/* The route of a domain that `waiter` waits for is known. Called from the loop, once for each. */
	void (*found)(void *owner, struct list *waiter, struct domain_route *route);
	void *owner;
};

struct domain_routes *domain_routes_new(const struct domain_routes_options *options);
/* Cancels what is being looked up; nobody may wait any more. Before the resolver is freed. NULL is fine. */
void domain_routes_free(struct domain_routes *routes);
/* Before the first question, and when settings change: what is known is forgotten; what is being looked up is judged by the new ones. */
void domain_routes_configure(struct domain_routes *routes, struct config *config, struct shaping *shaping);

/* The route if it is known, borrowed until the next call (ref it to keep it). With MX_TEMPORARY: a look-up failed a while ago, and the next is not made
 * before expires_ms. NULL: it is not known yet, and `waiter` waits for found(); to stop waiting, list_remove() it. `domain`: A-labels or an address literal, in any case. */
struct domain_route *domain_routes_find(struct domain_routes *routes, struct view domain, struct list *waiter);
/* Whether its last look-up failed: then the next has a turn of its own. */
bool domain_routes_has_failed(const struct domain_routes *routes, struct view domain);
/* Anybody who waits, taken off his list; NULL: nobody does. */
struct list *domain_routes_take_waiting(struct domain_routes *routes);
/* Failed look-ups are forgotten: the next question is asked at once. */
void domain_routes_retry(struct domain_routes *routes);
/* Calls each() for every domain whose site is known. */
void domain_routes_each_site(
	struct domain_routes *routes, void (*each)(void *owner, struct view domain, struct view site), void *owner);
size_t domain_routes_count(const struct domain_routes *routes);

#endif
