#include "net/resolver_private.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "dns/message.h"
#include "net/loop_private.h"

#include <stdatomic.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unbound-event.h>
#include <unistd.h>

#define DEFAULT_TIMEOUT_MS 20000u
/* libunbound takes any number, and each costs it a socket and 11 KiB or more, also when nobody waits for the answer any more: strangers must not choose
 * how many. A sixteenth of the process's descriptors at most, for there are several resolvers. */
#define DEFAULT_ASKED_MAX 1024u
#define ASKED_MIN 64u
#define DESCRIPTORS_EACH 16u
#define DEFAULT_TRUST_ANCHOR "/usr/share/dns/root.key"
#define CLASS_IN 1
#define RCODE_SERVFAIL 2
/* Text of the longest name, all bytes escaped. */
#define NAME_MAX_BYTES 1020u
/* The servers may not be there yet, or be of another kind tomorrow. */
#define PROBE_AGAIN_SOON_MS 30000
#define PROBE_AGAIN_LATER_MS 3600000

enum validation {
	VALIDATION_FIXED, /* on with the operator's trust anchor, or off without any */
	VALIDATION_PROBED, /* nothing is asked before the first probe is over */
	VALIDATION_ON,
	VALIDATION_OFF, /* the servers do not let us; probed again */
};

struct resolver {
	struct loop *loop;
	struct ub_ctx *unbound;
	struct ub_ctx *lenient; /* without validation; NULL where the trust anchor is the operator's own */
	enum validation validation;
	struct loop_timer probe_timer;
	uint32_t timeout_ms;
	struct list queries;
	struct list asked;
	struct places *places;
	struct loop_defer turn; /* a place is free, and somebody waits */
};

/* What waits for a place with the servers, and then is libunbound's. That outlives a cancelled query, so that nothing depends on when libunbound lets
 * go; and he whose question it was has a place less until then. */
struct asked {
	struct list link;
	struct place place;
	struct resolver *resolver;
	struct resolver_query *query; /* NULL: cancelled */
	char *name;
};

struct resolver_query {
	struct list link;
	struct resolver *resolver;
	struct asked
		*asked; /* waits for its turn, or is with libunbound; NULL: answered or failed, `delivery` follows */
	void (*answered)(void *owner, const struct resolver_answer *answer);
	void *owner;
	struct loop_timer timer;
	struct loop_defer delivery;
	struct resolver_answer answer;
	struct buf wire;
	struct buf why_bogus;
	uint16_t type;
	bool delivering;
};

/* Ends of a query */

static void forget(struct asked *asked)
{
	struct resolver *resolver = asked->resolver;
	if (asked->query != NULL)
		asked->query->asked = NULL;
	list_remove(&asked->link);
	places_leave(resolver->places, &asked->place);
	mem_free(asked->name);
	mem_free(asked);
	if (places_waiting(resolver->places) > 0)
		loop_defer(resolver->loop, &resolver->turn);
}

/* Nobody wants the answer any more. */
static void give_up(struct resolver_query *query)
{
	struct asked *asked = query->asked;
	query->asked = NULL;
	if (asked == NULL)
		return;
	asked->query = NULL;
	if (places_is_waiting(&asked->place))
		forget(asked);
}

static void free_query(struct resolver_query *query)
{
	loop_timer_clear(&query->timer);
	loop_defer_cancel(&query->delivery);
	list_remove(&query->link);
	give_up(query);
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
	loop_timer_clear(&resolver->probe_timer);
	ub_ctx_delete(resolver->unbound);
	ub_ctx_delete(resolver->lenient);
	while (!list_is_empty(&resolver->asked))
		forget(LIST_ENTRY(resolver->asked.next, struct asked, link));
	loop_defer_cancel(&resolver->turn);
	places_free(resolver->places);
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
	give_up(query);
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
	forget(asked);
	if (query == NULL)
		return;
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

static struct asked *new_asked(struct resolver_query *query, const char *name)
{
	struct asked *asked = mem_alloc(sizeof *asked);
	asked->resolver = query->resolver;
	asked->query = query;
	asked->name = mem_dup_cstr(name);
	query->asked = asked;
	list_append(&query->resolver->asked, &asked->link);
	return asked;
}

static void ask_unbound(struct asked *asked, struct ub_ctx *unbound)
{
	struct resolver_query *query = asked->query;
	/* "." is the root for libunbound. */
	int code = ub_resolve_event(
		unbound, asked->name[0] != '\0' ? asked->name : ".", query->type, CLASS_IN, asked, on_answer, NULL);
	if (code == 0)
		return;
	/* Not accepted, so never answered. */
	forget(asked);
	query->answer.err = code == UB_SYNTAX ? ERR_SYNTAX : ERR_IO;
	loop_defer(query->resolver->loop, &query->delivery);
}

static struct ub_ctx *unbound_in_force(const struct resolver *resolver)
{
	return resolver->validation == VALIDATION_OFF ? resolver->lenient : resolver->unbound;
}

static struct resolver_query *new_query(struct resolver *resolver, uint16_t type, uint32_t timeout_ms,
	void (*answered)(void *owner, const struct resolver_answer *answer), void *owner)
{
	struct resolver_query *query = mem_alloc(sizeof *query);
	query->resolver = resolver;
	query->type = type;
	query->answered = answered;
	query->owner = owner;
	query->delivery.run = deliver;
	list_append(&resolver->queries, &query->link);
	loop_timer_init(&query->timer, resolver->loop, on_timeout, query);
	loop_timer_set(&query->timer, loop_now_ms(resolver->loop) + timeout_ms);
	return query;
}

static void ask_waiting(struct resolver *resolver)
{
	struct place *place;
	/* While it is not known whether answers can be validated, all wait. */
	while (resolver->validation != VALIDATION_PROBED && (place = places_next(resolver->places)) != NULL)
		ask_unbound(LIST_ENTRY(place, struct asked, place), unbound_in_force(resolver));
}

static void take_turn(struct loop_defer *turn)
{
	ask_waiting(LIST_ENTRY(turn, struct resolver, turn));
}

struct resolver_query *resolver_ask(struct resolver *resolver, struct places_key share, const char *name, uint16_t type,
	void (*answered)(void *owner, const struct resolver_answer *answer), void *owner)
{
	struct resolver_query *query = new_query(resolver, type, resolver->timeout_ms, answered, owner);
	if (is_askable(name)) {
		places_want(resolver->places, &new_asked(query, name)->place, share);
		ask_waiting(resolver);
	} else {
		query->answer.err = ERR_SYNTAX;
		loop_defer(resolver->loop, &query->delivery);
	}
	return query;
}

/*
 * Whether the servers let us validate. Many forwarders take signatures out of their answers; to a validator every signed domain is then bogus,
 * and its mail would wait until it is returned. Who gave us a trust anchor wants exactly that; who gave none wants mail. So with Debian's root
 * key by default, the first question of all is one that every resolver answers, and that is signed: the root's name servers.
 */

static void say_it_is_off(const char *why)
{
	/* Each loop that asks has a resolver of its own; the operator has one problem. */
	static atomic_flag said = ATOMIC_FLAG_INIT;
	if (atomic_flag_test_and_set(&said))
		return;
	LOG(LOG_LEVEL_WARNING, "dnssec-off", LOG_CSTR("reason", why),
		LOG_CSTR("result", "answers of the DNS servers are taken as they are, without DNSSEC validation"),
		LOG_CSTR("hint",
			"run a validating resolver on this machine (package unbound) and name it in dns.servers, or "
			"use DNS servers "
			"that pass DNSSEC signatures on; with dns.trust_anchor set, validation stays on whatever "
			"happens"));
}

static void on_probed(void *owner, const struct resolver_answer *answer)
{
	struct resolver *resolver = owner;
	enum validation before = resolver->validation;
	resolver->validation = answer->secure ? VALIDATION_ON : VALIDATION_OFF;
	if (!answer->secure) {
		say_it_is_off(answer->why_bogus != NULL ? answer->why_bogus
							: "the DNS servers do not tell the root's name servers");
		int64_t again_ms = answer->bogus ? PROBE_AGAIN_LATER_MS : PROBE_AGAIN_SOON_MS;
		loop_timer_set(&resolver->probe_timer, loop_now_ms(resolver->loop) + again_ms);
	} else if (before == VALIDATION_OFF) {
		LOG(LOG_LEVEL_INFO, "dnssec-on", LOG_CSTR("result", "answers of the DNS servers are validated now"));
	}
	ask_waiting(resolver);
}

static void probe(void *owner)
{
	struct resolver *resolver = owner;
	/* Those who wait for it still have time for their own answer. */
	struct resolver_query *query = new_query(resolver, DNS_TYPE_NS, resolver->timeout_ms / 3, on_probed, resolver);
	/* It takes nobody's place. */
	ask_unbound(new_asked(query, ""), resolver->unbound);
}

static uint32_t affordable(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur / DESCRIPTORS_EACH >= DEFAULT_ASKED_MAX)
		return DEFAULT_ASKED_MAX;
	uint32_t count = (uint32_t)limit.rlim_cur / DESCRIPTORS_EACH;
	return count > ASKED_MIN ? count : ASKED_MIN;
}

static struct places *new_places(uint32_t count)
{
	uint64_t secret = 0;
	/* It only can fail before the system's generator is ready. */
	ssize_t n = getrandom(&secret, sizeof secret, 0);
	ASSERT(n == (ssize_t)sizeof secret);
	return places_new(count, secret);
}

struct resolver *resolver_new(struct loop *loop, const struct resolver_options *options)
{
	const char *by_default = options->default_trust_anchor_file != NULL ? options->default_trust_anchor_file
									    : DEFAULT_TRUST_ANCHOR;
	bool is_default = options->trust_anchor_file == NULL && access(by_default, R_OK) == 0;
	uint32_t asked_max = options->asked_max > 0 ? options->asked_max : affordable();
	struct ub_ctx *unbound = resolver_unbound_new(
		loop, options, is_default ? by_default : options->trust_anchor_file, asked_max);
	struct ub_ctx *lenient = unbound != NULL && is_default ? resolver_unbound_new(loop, options, NULL, asked_max)
							       : NULL;
	if (unbound == NULL || (is_default && lenient == NULL)) {
		ub_ctx_delete(unbound);
		return NULL;
	}
	struct resolver *resolver = mem_alloc(sizeof *resolver);
	resolver->loop = loop;
	resolver->unbound = unbound;
	resolver->lenient = lenient;
	resolver->timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : DEFAULT_TIMEOUT_MS;
	list_init(&resolver->queries);
	list_init(&resolver->asked);
	resolver->places = new_places(asked_max);
	resolver->turn.run = take_turn;
	loop_timer_init(&resolver->probe_timer, loop, probe, resolver);
	resolver->validation = is_default ? VALIDATION_PROBED : VALIDATION_FIXED;
	if (is_default)
		probe(resolver);
	return resolver;
}
