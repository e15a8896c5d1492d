#include "service/reports_lookup.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "mail/address.h"
#include "mailauth/dmarc.h"

#include <stdio.h>
#include <string.h>

#define NAME_MAX_BYTES 253u
#define ANSWER_BYTES (256u * 1024)

struct reports_lookup {
	struct resolver *resolver;
	struct resolver_query *query;
	struct loop_timer start_timer; /* nothing is answered from inside the call that asks */
	void (*done)(void *owner, const struct reports_targets *targets);
	void *owner;
	char domain[NAME_MAX_BYTES + 1];
	struct reports_targets wanted, allowed;
	size_t at; /* in `wanted` */
	/* Organisational domains, RFC 9989 §4.10: a walk finds each. "": not known. */
	struct dmarc_check *walk;
	char home[NAME_MAX_BYTES + 1]; /* of the domain */
	bool has_home;
	char host[NAME_MAX_BYTES + 1], org[NAME_MAX_BYTES + 1]; /* of the destination that was looked at last */
};

static void free_lookup(struct reports_lookup *lookup)
{
	loop_timer_clear(&lookup->start_timer);
	dmarc_check_free(lookup->walk);
	mem_free(lookup);
}

void reports_lookup_cancel(struct reports_lookup *lookup)
{
	if (lookup == NULL)
		return;
	resolver_cancel(lookup->query);
	free_lookup(lookup);
}

static void finish(struct reports_lookup *lookup)
{
	lookup->done(lookup->owner, &lookup->allowed);
	free_lookup(lookup);
}

static bool copy(struct view text, char *ret, size_t room)
{
	if (text.len == 0 || text.len >= room)
		return false;
	memcpy(ret, text.ptr, text.len);
	ret[text.len] = '\0';
	return true;
}

static struct view host_of(const char *address)
{
	struct view text = view_from_cstr(address);
	return view_from(text, view_find_last(text, '@') + 1);
}

static void ask(struct reports_lookup *lookup, const char *name, uint16_t type,
	void (*answered)(void *owner, const struct resolver_answer *answer))
{
	struct places_key share = resolver_share_named(RESOLVER_FOR_REPORTS, view_from_cstr(lookup->domain));
	lookup->query = resolver_ask(lookup->resolver, share, name, type, answered, lookup);
}

/* Parses an answer; false if the DNS gave none that counts. */
static bool parse(const struct resolver_answer *answer, uint16_t type, struct arena *arena, enum dmarc_dns_status *ret,
	struct dns_answer *ret_answer)
{
	*ret = DMARC_DNS_FAILED;
	if (answer->err != ERR_OK || answer->bogus)
		return false;
	if (answer->rcode == DNS_RCODE_NXDOMAIN) {
		*ret = DMARC_DNS_NXDOMAIN;
		return true;
	}
	if (answer->rcode != DNS_RCODE_NOERROR || dns_answer_parse(answer->wire, type, arena, ret_answer) != ERR_OK)
		return false;
	*ret = DMARC_DNS_OK;
	return true;
}

/* Targets */

/* An address of a mailbox at a named host: whoever writes a record may not choose a machine by its number. */
static bool take_mailbox(struct view uri, unsigned flags, struct reports_target *ret)
{
	struct buf mailbox = { 0 };
	bool taken = view_starts_with_nocase(uri, VIEW("mailto:")) && tls_rpt_mailbox(uri, &mailbox) == ERR_OK &&
		copy(buf_view(&mailbox), ret->address, sizeof ret->address) &&
		host_of(ret->address).len <= NAME_MAX_BYTES && address_domain_is_valid(host_of(ret->address), flags);
	buf_clear(&mailbox);
	return taken;
}

/* Each once, however often it is named. */
static void allow(struct reports_lookup *lookup, const struct reports_target *target)
{
	struct reports_targets *allowed = &lookup->allowed;
	for (size_t i = 0; i < allowed->count; i++)
		if (view_eq_nocase(view_from_cstr(allowed->list[i].address), view_from_cstr(target->address)) &&
			strcmp(allowed->list[i].url, target->url) == 0)
			return;
	if (allowed->count < REPORTS_TARGETS_MAX)
		allowed->list[allowed->count++] = *target;
}

/* DMARC: one destination after the other. */

static void next_target(struct reports_lookup *lookup);

/* "10m" and the like behind the "!" of RFC 7489 §6.2. */
static uint64_t size_behind(struct view uri, struct view list)
{
	const uint8_t *end = list.ptr + list.len;
	struct view text = view_of(uri.ptr + uri.len, (size_t)(end - (uri.ptr + uri.len)));
	text = view_trim(view_sub(text, 0, view_find(text, ',')));
	uint64_t number = 0, unit = 1;
	if (text.len < 2 || text.ptr[0] != '!')
		return 0;
	switch (ascii_lower(text.ptr[text.len - 1])) {
	case 'k':
		unit = 1024;
		break;
	case 'm':
		unit = 1024 * 1024;
		break;
	case 'g':
		unit = 1024u * 1024 * 1024;
		break;
	case 't':
		unit = 1024ull * 1024 * 1024 * 1024;
		break;
	default:
		break;
	}
	text = view_sub(text, 1, text.len - (unit > 1 ? 2 : 1));
	/* One that can't be told in 64 bits is none. */
	return view_parse_u64(text, UINT64_MAX / unit, &number) == ERR_OK ? number * unit : 0;
}

/* The mailboxes of a list of URIs. */
static void read_list(struct view rua, struct reports_targets *ret)
{
	struct view rest = rua, uri;
	*ret = (struct reports_targets){ 0 };
	while (ret->count < REPORTS_TARGETS_MAX && dmarc_uri_next(&rest, &uri)) {
		struct reports_target *target = &ret->list[ret->count];
		*target = (struct reports_target){ .max_bytes = size_behind(uri, rua) };
		if (take_mailbox(uri, 0, target))
			ret->count++;
	}
}

/* What the destination's own record says (RFC 9990 §4 steps 6–9): it agrees, and may want another address at the same host. */
static void take_agreement(struct reports_lookup *lookup, const struct dns_answer *answer)
{
	const struct reports_target *target = &lookup->wanted.list[lookup->at];
	struct view host = host_of(target->address);
	struct reports_targets instead = { 0 };
	bool agrees = false;
	for (size_t i = 0; i < answer->record_count; i++) {
		struct dmarc_record record;
		if (!dmarc_record_parse(answer->records[i].data, &record))
			continue;
		agrees = true;
		if (record.rua.len > 0 && instead.count == 0)
			read_list(record.rua, &instead);
	}
	for (size_t i = 0; i < instead.count; i++)
		/* To somebody else again: neither the one nor the other. */
		if (!view_eq_nocase(host_of(instead.list[i].address), host))
			agrees = false;
	if (!agrees)
		LOG(LOG_LEVEL_INFO, "report-not-wanted", LOG_CSTR("domain", lookup->domain),
			LOG_CSTR("to", target->address),
			LOG_CSTR("reason", "the destination does not publish that it takes this domain's reports"));
	for (size_t i = 0; agrees && i < instead.count; i++)
		allow(lookup, &instead.list[i]);
	if (agrees && instead.count == 0)
		allow(lookup, target);
}

static void on_agreement(void *owner, const struct resolver_answer *answer)
{
	struct reports_lookup *lookup = owner;
	struct arena arena;
	struct dns_answer parsed = { 0 };
	enum dmarc_dns_status status;
	lookup->query = NULL;
	arena_init(&arena, ANSWER_BYTES);
	if (parse(answer, DNS_TYPE_TXT, &arena, &status, &parsed))
		take_agreement(lookup, &parsed);
	else
		lookup->allowed.is_unsettled = true;
	arena_clear(&arena);
	lookup->at++;
	next_target(lookup);
}

static void ask_agreement(struct reports_lookup *lookup)
{
	struct view host = host_of(lookup->wanted.list[lookup->at].address);
	char name[2 * NAME_MAX_BYTES + 32];
	snprintf(name, sizeof name, "%s._report._dmarc.%.*s", lookup->domain, VIEW_ARG(host));
	if (strlen(name) <= NAME_MAX_BYTES) {
		ask(lookup, name, DNS_TYPE_TXT, on_agreement);
		return;
	}
	lookup->at++;
	next_target(lookup);
}

static void walk_on(struct reports_lookup *lookup);

static void on_walk_answer(void *owner, const struct resolver_answer *answer)
{
	struct reports_lookup *lookup = owner;
	struct arena arena;
	struct dns_answer parsed = { 0 };
	struct dmarc_need need;
	enum dmarc_dns_status status;
	lookup->query = NULL;
	arena_init(&arena, ANSWER_BYTES);
	bool is_open = dmarc_check_next(lookup->walk, &need);
	ASSERT(is_open);
	(void)parse(answer, need.type, &arena, &status, &parsed);
	enum err err = dmarc_check_answer(lookup->walk, need.token, status, &parsed);
	ASSERT(err == ERR_OK);
	arena_clear(&arena);
	walk_on(lookup);
}

/* The walk is over: it was the domain's own, or the destination's. */
static void end_walk(struct reports_lookup *lookup)
{
	struct dmarc_verdict verdict;
	bool is_there = dmarc_check_result(lookup->walk, &verdict);
	ASSERT(is_there);
	char *where = lookup->has_home ? lookup->org : lookup->home;
	if (!copy(verdict.org_domain, where, sizeof lookup->org))
		where[0] = '\0';
	if (!lookup->has_home)
		lookup->has_home = true;
	else
		(void)copy(host_of(lookup->wanted.list[lookup->at].address), lookup->host, sizeof lookup->host);
	dmarc_check_free(lookup->walk);
	lookup->walk = NULL;
	next_target(lookup);
}

static void walk_on(struct reports_lookup *lookup)
{
	struct dmarc_need need;
	if (!dmarc_check_next(lookup->walk, &need)) {
		end_walk(lookup);
		return;
	}
	CLEANUP(mem_free_pointer) char *name = view_to_cstr(need.name);
	ask(lookup, name, need.type, on_walk_answer);
}

/* Nothing passed, so that the engine looks for the organisational domain. */
static void start_walk(struct reports_lookup *lookup, struct view domain)
{
	struct dmarc_question question = { .from_count = 1, .from_domain = domain };
	lookup->walk = dmarc_check_new(&question);
	walk_on(lookup);
}

static void next_target(struct reports_lookup *lookup)
{
	for (; lookup->at < lookup->wanted.count; lookup->at++) {
		const struct reports_target *target = &lookup->wanted.list[lookup->at];
		struct view host = host_of(target->address);
		if (view_eq_nocase(host, view_from_cstr(lookup->domain))) {
			allow(lookup, target);
			continue;
		}
		if (!lookup->has_home) {
			start_walk(lookup, view_from_cstr(lookup->domain));
			return;
		}
		if (!view_eq_nocase(host, view_from_cstr(lookup->host))) {
			start_walk(lookup, host);
			return;
		}
		if (lookup->home[0] == '\0' || lookup->org[0] == '\0') {
			lookup->allowed.is_unsettled = true;
			continue;
		}
		if (strcmp(lookup->home, lookup->org) != 0) {
			ask_agreement(lookup);
			return;
		}
		allow(lookup, target);
	}
	finish(lookup);
}

/* TLS */

static void on_tls_record(void *owner, const struct resolver_answer *answer)
{
	struct reports_lookup *lookup = owner;
	struct reports_targets *allowed = &lookup->allowed;
	struct arena arena;
	struct dns_answer parsed = { 0 };
	struct tls_rpt_record record = { 0 };
	enum dmarc_dns_status status;
	lookup->query = NULL;
	arena_init(&arena, ANSWER_BYTES);
	if (!parse(answer, DNS_TYPE_TXT, &arena, &status, &parsed))
		allowed->is_unsettled = true;
	else if (status == DMARC_DNS_OK && tls_rpt_record_find(&parsed, &record) != ERR_OK)
		record.count = 0;
	for (size_t i = 0; i < record.count; i++) {
		struct reports_target target = { 0 };
		struct view uri = record.destinations[i].uri;
		if (record.destinations[i].scheme == TLS_RPT_MAILTO ? take_mailbox(uri, ADDRESS_ALLOW_UTF8, &target)
								    : copy(uri, target.url, sizeof target.url))
			allow(lookup, &target);
	}
	arena_clear(&arena);
	finish(lookup);
}

static void start_dmarc(void *owner)
{
	next_target(owner);
}

static void start_tls(void *owner)
{
	struct reports_lookup *lookup = owner;
	char name[NAME_MAX_BYTES + 16];
	snprintf(name, sizeof name, "_smtp._tls.%s", lookup->domain);
	ask(lookup, name, DNS_TYPE_TXT, on_tls_record);
}

static struct reports_lookup *lookup_new(struct loop *loop, struct resolver *resolver, struct view domain,
	void (*start)(void *owner), void (*done)(void *owner, const struct reports_targets *targets), void *owner)
{
	struct reports_lookup *lookup = mem_alloc(sizeof *lookup);
	lookup->resolver = resolver;
	lookup->done = done;
	lookup->owner = owner;
	/* Domains of the store are names; one that is none has no record either. */
	if (!copy(domain, lookup->domain, sizeof lookup->domain))
		memcpy(lookup->domain, "invalid", sizeof "invalid");
	loop_timer_init(&lookup->start_timer, loop, start, lookup);
	loop_timer_set(&lookup->start_timer, clock_monotonic_ms());
	return lookup;
}

struct reports_lookup *reports_lookup_dmarc(struct loop *loop, struct resolver *resolver, struct view domain,
	struct view rua, void (*done)(void *owner, const struct reports_targets *targets), void *owner)
{
	struct reports_lookup *lookup = lookup_new(loop, resolver, domain, start_dmarc, done, owner);
	read_list(rua, &lookup->wanted);
	return lookup;
}

struct reports_lookup *reports_lookup_tls(struct loop *loop, struct resolver *resolver, struct view domain,
	void (*done)(void *owner, const struct reports_targets *targets), void *owner)
{
	return lookup_new(loop, resolver, domain, start_tls, done, owner);
}
