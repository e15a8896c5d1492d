#include "net/resolver.h"

#include "base/buf.h"
#include "base/mem.h"
#include "net/loop_private.h"

#include <string.h>
#include <unbound-event.h>
#include <unbound.h>
#include <unistd.h>

#define DEFAULT_TIMEOUT_MS 20000u
#define DEFAULT_TRUST_ANCHOR "/usr/share/dns/root.key"
#define CLASS_IN 1
#define RCODE_SERVFAIL 2
/* Text of the longest name, all bytes escaped. */
#define NAME_MAX_BYTES 1020u

struct resolver {
	struct loop *loop;
	struct ub_ctx *unbound;
	uint32_t timeout_ms;
	struct list queries;
	struct list asked;
};

/* What libunbound holds. It outlives a cancelled query, so that nothing depends on when libunbound lets go. */
struct asked {
	struct list link;
	struct resolver_query *query; /* NULL: cancelled */
};

struct resolver_query {
	struct list link;
	struct resolver *resolver;
	struct asked *asked; /* NULL: answered or failed, `delivery` follows */
	void (*answered)(void *owner, const struct resolver_answer *answer);
	void *owner;
	struct loop_timer timer;
	struct loop_defer delivery;
	struct resolver_answer answer;
	struct buf wire;
	struct buf why_bogus;
	bool delivering;
};

/* Setting up */

static const struct {
	const char *name, *value;
} settings[] = {
	{ "module-config:", "validator iterator" },
	/* A resolver on this machine is the best kind. */
	{ "do-not-query-localhost:", "no" },
	/* Whoever configured the servers knows what they are asked about: private reverse zones, too. */
	{ "unblock-lan-zones:", "yes" },
	/* libunbound's 16 sockets would be a queue for a server that asks for hundreds of domains. */
	{ "outgoing-range:", "256" },
	{ "num-queries-per-thread:", "2048" },
	/* RFC 9715: larger answers come over TCP instead of as fragments. */
	{ "edns-buffer-size:", "1232" },
	/* A resolver that was restarted is noticed soon. */
	{ "infra-host-ttl:", "60" },
	{ "infra-keep-probing:", "yes" },
};

static bool unbound_failed(int code, const char *what, const char *about)
{
	if (code == 0)
		return false;
	err_set(ERR_CONFIG, "cannot %s %s: %s", what, about, ub_strerror(code));
	return true;
}

static bool set_servers(struct ub_ctx *unbound, const struct resolver_options *options)
{
	if (options->server_count == 0)
		return !unbound_failed(
			ub_ctx_resolvconf(unbound, NULL), "take the DNS servers from", "/etc/resolv.conf");
	for (size_t i = 0; i < options->server_count; i++)
		if (unbound_failed(
			    ub_ctx_set_fwd(unbound, options->servers[i]), "use the DNS server", options->servers[i]))
			return false;
	return true;
}

static bool set_trust_anchor(struct ub_ctx *unbound, const char *path)
{
	if (path == NULL) {
		path = DEFAULT_TRUST_ANCHOR;
		if (access(path, R_OK) != 0)
			return true;
	} else if (access(path, R_OK) != 0) {
		/* libunbound would only notice with the first question, and then fail all of them. */
		err_set(ERR_CONFIG, "cannot read the DNSSEC trust anchor %s", path);
		return false;
	}
	return !unbound_failed(ub_ctx_add_ta_file(unbound, path), "use the DNSSEC trust anchor", path);
}

static bool configure(struct ub_ctx *unbound, const struct resolver_options *options)
{
	/* Its messages would go to stderr, past the log. */
	ub_ctx_debugout(unbound, NULL);
	for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
		if (unbound_failed(ub_ctx_set_option(unbound, settings[i].name, settings[i].value), "set libunbound's",
			    settings[i].name))
			return false;
	if (!set_servers(unbound, options) || !set_trust_anchor(unbound, options->trust_anchor_file))
		return false;
	/* libunbound answers for the reserved .test itself; laboratories, and our tests, have real zones there (RFC
	 * 6761 §6.2). This also ends the configuration: what is wrong with it is said now, not with the first
	 * question. */
	return !unbound_failed(ub_ctx_zone_remove(unbound, "test."), "start the resolver with the trust anchor",
		options->trust_anchor_file != NULL ? options->trust_anchor_file : DEFAULT_TRUST_ANCHOR);
}

struct resolver *resolver_new(struct loop *loop, const struct resolver_options *options)
{
	struct ub_ctx *unbound = ub_ctx_create_event(loop->base);
	if (unbound == NULL) {
		err_set(ERR_IO, "cannot start libunbound on the event loop %s", loop->name);
		return NULL;
	}
	if (!configure(unbound, options)) {
		ub_ctx_delete(unbound);
		return NULL;
	}
	struct resolver *resolver = mem_alloc(sizeof *resolver);
	resolver->loop = loop;
	resolver->unbound = unbound;
	resolver->timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : DEFAULT_TIMEOUT_MS;
	list_init(&resolver->queries);
	list_init(&resolver->asked);
	return resolver;
}

/* Ends of a query */

static void free_query(struct resolver_query *query)
{
	loop_timer_clear(&query->timer);
	loop_defer_cancel(&query->delivery);
	list_remove(&query->link);
	if (query->asked != NULL)
		query->asked->query = NULL;
	buf_clear(&query->wire);
	buf_clear(&query->why_bogus);
	mem_free(query);
}

void resolver_cancel(struct resolver_query *query)
{
	/* Inside its own answered() it is on the way out already. */
	if (query != NULL && !query->delivering)
		free_query(query);
}

void resolver_free(struct resolver *resolver)
{
	if (resolver == NULL)
		return;
	while (!list_is_empty(&resolver->queries))
		free_query(LIST_ENTRY(resolver->queries.next, struct resolver_query, link));
	ub_ctx_delete(resolver->unbound);
	struct list *link;
	while ((link = list_take_first(&resolver->asked)) != NULL)
		mem_free(LIST_ENTRY(link, struct asked, link));
	mem_free(resolver);
}

static void deliver(struct loop_defer *delivery)
{
	struct resolver_query *query = LIST_ENTRY(delivery, struct resolver_query, delivery);
	/* Off the resolver's list: answered() may free the resolver. */
	list_remove(&query->link);
	query->delivering = true;
	query->answer.wire = buf_view(&query->wire);
	query->answer.why_bogus = query->why_bogus.len > 0 ? buf_cstr(&query->why_bogus) : NULL;
	query->answered(query->owner, &query->answer);
	free_query(query);
}

static void on_timeout(void *owner)
{
	struct resolver_query *query = owner;
	/* Its answer is on the way to the owner already. */
	if (query->asked == NULL)
		return;
	query->asked->query = NULL;
	query->asked = NULL;
	query->answer.err = err_set(
		ERR_TIMEOUT, "the DNS servers did not answer within %u s", (query->resolver->timeout_ms + 999) / 1000);
	deliver(&query->delivery);
}

/* libunbound's answer. It may come from inside ub_resolve_event(), and libunbound must not be called or freed from
 * here: so it is copied, and delivered from the loop. */
static void on_answer(
	void *arg, int rcode, void *packet, int packet_len, int security, char *why_bogus, int rate_limited)
{
	(void)rate_limited;
	struct asked *asked = arg;
	struct resolver_query *query = asked->query;
	list_remove(&asked->link);
	mem_free(asked);
	if (query == NULL)
		return;
	query->asked = NULL;
	struct resolver_answer *answer = &query->answer;
	answer->secure = security == 2;
	answer->bogus = security == 1;
	/* libunbound hands out bogus records with NOERROR; who overlooks the mark must not find them. */
	if (answer->bogus)
		rcode = RCODE_SERVFAIL;
	/* With a code of its own, there is no message for us (mostly SERVFAIL: no server gave a usable answer). */
	answer->rcode = (unsigned)rcode;
	if (rcode == 0 && packet != NULL && packet_len >= 12 &&
		buf_append(&query->wire, view_of(packet, (size_t)packet_len)) == ERR_OK)
		answer->rcode = query->wire.ptr[3] & 15u;
	else if (rcode == 0)
		answer->err = ERR_IO;
	if (why_bogus != NULL && buf_append_cstr(&query->why_bogus, why_bogus) != ERR_OK)
		buf_clear(&query->why_bogus);
	loop_defer(query->resolver->loop, &query->delivery);
}

/* Asking */

static bool is_askable(const char *name)
{
	struct view rest = view_from_cstr(name);
	struct view label;
	if (rest.len > NAME_MAX_BYTES)
		return false;
	/* An empty label inside would make libunbound ask for less than was meant. */
	if (rest.len > 0 && rest.ptr[rest.len - 1] == '.')
		return false;
	while (view_split(&rest, '.', &label))
		if (label.len == 0)
			return false;
	return true;
}

static void ask_unbound(struct resolver_query *query, const char *name, uint16_t type)
{
	struct resolver *resolver = query->resolver;
	struct asked *asked = mem_alloc(sizeof *asked);
	asked->query = query;
	query->asked = asked;
	list_append(&resolver->asked, &asked->link);
	/* "." is the root for libunbound. */
	int code = ub_resolve_event(
		resolver->unbound, name[0] != '\0' ? name : ".", type, CLASS_IN, asked, on_answer, NULL);
	if (code == 0)
		return;
	/* Not accepted, so never answered. */
	list_remove(&asked->link);
	mem_free(asked);
	query->asked = NULL;
	query->answer.err = code == UB_SYNTAX ? ERR_SYNTAX : ERR_IO;
	loop_defer(resolver->loop, &query->delivery);
}

struct resolver_query *resolver_ask(struct resolver *resolver, const char *name, uint16_t type,
	void (*answered)(void *owner, const struct resolver_answer *answer), void *owner)
{
	struct resolver_query *query = mem_alloc(sizeof *query);
	query->resolver = resolver;
	query->answered = answered;
	query->owner = owner;
	query->delivery.run = deliver;
	list_append(&resolver->queries, &query->link);
	loop_timer_init(&query->timer, resolver->loop, on_timeout, query);
	if (!is_askable(name)) {
		query->answer.err = ERR_SYNTAX;
		loop_defer(resolver->loop, &query->delivery);
		return query;
	}
	loop_timer_set(&query->timer, loop_now_ms(resolver->loop) + resolver->timeout_ms);
	ask_unbound(query, name, type);
	return query;
}
