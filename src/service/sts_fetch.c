/*
 * A policy over HTTPS (RFC 8461 §3.3): the addresses of the policy host from our own resolver, then one GET without redirects. Anybody can have
 * domains without number, and policy hosts that take a minute each. So connections are shared out among the networks that the hosts are in, and
 * there among addresses: who has policies for thousands of domains at one place is quick to hand them out. Mail waits for its domain's turn: if it
 * went without the policy (§3.3 lets it, once the fetch has failed), slow hosts could take everybody's policies away.
 */
#include "service/sts_private.h"

#include "base/clock.h"
#include "base/mem.h"
#include "crypto/random.h"
#include "net/address.h"

#include <string.h>

#define FETCHES_MAX 128u
/* §3.3: "a suggested timeout is one minute". */
#define TIMEOUT_MS 60000u
/* While others wait for a connection. */
#define PATIENCE_MS 10000
#define ADDRESSES_MAX 8u
#define ANSWER_ARENA_BYTES (64u * 1024)

struct sts_fetch {
	struct list link; /* in sts->fetching, once it has its place */
	struct sts_entry *entry;
	struct place place;
	uint16_t port; /* settings may change while it waits */
	int64_t started_ms;
	struct resolver_query *queries[2]; /* A, AAAA */
	char id[MTA_STS_ID_MAX_BYTES + 1]; /* for which it was started */
	size_t address_count;
	struct places_key share; /* by the first of them, which is connected to */
	struct buf resolve; /* for curl: "host:port:address,address" */
	struct https_request *request;
};

static void start_next(struct sts *sts);

static void free_fetch(struct sts_fetch *fetch)
{
	struct sts *sts = fetch->entry->sts;
	fetch->entry->fetch = NULL;
	list_remove(&fetch->link);
	for (size_t i = 0; i < 2; i++)
		resolver_cancel(fetch->queries[i]);
	https_cancel(fetch->request);
	buf_clear(&fetch->resolve);
	places_leave(sts->fetch_places, &fetch->place);
	mem_free(fetch);
}

void sts_fetch_cancel(struct sts_fetch *fetch)
{
	if (fetch != NULL)
		free_fetch(fetch);
}

/* The entry may be gone when those who waited were told: so the others' turn comes first. */
static void failed(struct sts_fetch *fetch, enum sts_problem problem, const char *what, const char *why)
{
	struct sts_entry *entry = fetch->entry;
	char detail[sizeof entry->detail];
	snprintf(detail, sizeof detail, "mta-sts.%.100s: %s%s", entry->domain, what, why);
	free_fetch(fetch);
	start_next(entry->sts);
	sts_entry_failed(entry, problem, detail);
}

/* "text/plain", with parameters or without (§3.2). */
static bool is_plain_text(struct view type)
{
	return view_eq_nocase(view_trim(view_sub(type, 0, view_find(type, ';'))), VIEW("text/plain"));
}

static void answered(void *owner, const struct https_answer *answer)
{
	struct sts_fetch *fetch = owner;
	struct sts_entry *entry = fetch->entry;
	char status[80];
	fetch->request = NULL;
	if (answer->err != ERR_OK) {
		enum sts_problem problem = answer->err == ERR_TLS ? STS_WEBPKI_INVALID
			: answer->err == ERR_LIMIT                ? STS_POLICY_INVALID
								  : STS_FETCH_ERROR;
		failed(fetch, problem, "", answer->detail);
		return;
	}
	/* Redirects are not followed (§3.3), and every other status means that there is no policy to be had. */
	if (answer->status != 200) {
		snprintf(status, sizeof status, "the server answered with status %ld", answer->status);
		failed(fetch, STS_FETCH_ERROR, status, "");
		return;
	}
	if (!is_plain_text(answer->content_type)) {
		failed(fetch, STS_POLICY_INVALID, "the policy is not text/plain", "");
		return;
	}
	struct sts_policy *policy = sts_policy_new(view_from_cstr(fetch->id), answer->body, clock_wall_ms());
	if (policy == NULL) {
		failed(fetch, STS_POLICY_INVALID, "the policy can't be read", "");
		return;
	}
	free_fetch(fetch);
	start_next(entry->sts);
	sts_entry_fetched(entry, policy);
}

static void get(struct sts_fetch *fetch)
{
	struct sts *sts = fetch->entry->sts;
	fetch->started_ms = loop_now_ms(sts->options.loop);
	list_append(&sts->fetching, &fetch->link);
	char url[400], port[8] = "";
	if (fetch->port != 443)
		snprintf(port, sizeof port, ":%u", (unsigned)fetch->port);
	snprintf(url, sizeof url, "https://mta-sts.%s%s/.well-known/mta-sts.txt", fetch->entry->domain, port);
	struct https_options options = {
		.url = url,
		.ca_file = sts->options.ca_file,
		.resolve = buf_cstr(&fetch->resolve),
		.body_max_bytes = MTA_STS_POLICY_MAX_BYTES,
		.timeout_ms = TIMEOUT_MS,
	};
	fetch->request = https_start(sts->options.https, &options, answered, fetch);
}

static void add_address(struct sts_fetch *fetch, struct view raw)
{
	struct net_address address;
	if (fetch->address_count >= ADDRESSES_MAX || net_address_from_bytes(raw, 0, &address) != ERR_OK)
		return;
	if (fetch->address_count == 0)
		fetch->share = (struct places_key){ net_address_network(&address), view_hash(raw) };
	struct net_address_text ip = net_address_ip(&address);
	const char *before = fetch->address_count > 0 ? "," : "";
	enum err err = net_address_is_v6(&address) ? buf_append_format(&fetch->resolve, "%s[%s]", before, ip.text)
						   : buf_append_format(&fetch->resolve, "%s%s", before, ip.text);
	if (err == ERR_OK)
		fetch->address_count++;
}

static void take_addresses(struct sts_fetch *fetch, const struct resolver_answer *answer, uint16_t type)
{
	struct arena arena;
	struct dns_answer parsed;
	arena_init(&arena, ANSWER_ARENA_BYTES);
	if (answer->err == ERR_OK && !answer->bogus && dns_answer_parse(answer->wire, type, &arena, &parsed) == ERR_OK)
		for (size_t i = 0; i < parsed.record_count; i++)
			add_address(fetch, parsed.records[i].data);
	arena_clear(&arena);
}

static void want_place(struct sts_fetch *fetch)
{
	struct sts *sts = fetch->entry->sts;
	places_want(sts->fetch_places, &fetch->place, fetch->share);
	start_next(sts);
}

static void address_answered(struct sts_fetch *fetch, size_t which, const struct resolver_answer *answer)
{
	fetch->queries[which] = NULL;
	take_addresses(fetch, answer, which == 0 ? DNS_TYPE_A : DNS_TYPE_AAAA);
	if (fetch->queries[0] != NULL || fetch->queries[1] != NULL)
		return;
	if (fetch->address_count == 0)
		failed(fetch, STS_FETCH_ERROR, "the policy host has no address", "");
	else
		want_place(fetch);
}

static void a_answered(void *owner, const struct resolver_answer *answer)
{
	address_answered(owner, 0, answer);
}

static void aaaa_answered(void *owner, const struct resolver_answer *answer)
{
	address_answered(owner, 1, answer);
}

static void start_next(struct sts *sts)
{
	struct place *place;
	while ((place = places_next(sts->fetch_places)) != NULL)
		get(LIST_ENTRY(place, struct sts_fetch, place));
	int64_t due_ms = INT64_MAX;
	if (places_waiting(sts->fetch_places) > 0 && !list_is_empty(&sts->fetching))
		due_ms = LIST_ENTRY(sts->fetching.next, struct sts_fetch, link)->started_ms + PATIENCE_MS;
	loop_timer_set(&sts->patience_timer, due_ms);
}

/* One at a time: those who are told may go on from here. */
static void end_slowest(void *owner)
{
	struct sts *sts = owner;
	if (places_waiting(sts->fetch_places) == 0 || list_is_empty(&sts->fetching))
		return;
	struct sts_fetch *slowest = LIST_ENTRY(sts->fetching.next, struct sts_fetch, link);
	if (slowest->started_ms + PATIENCE_MS <= loop_now_ms(sts->options.loop))
		failed(slowest, STS_FETCH_ERROR, "the server is slow, while others wait", "");
	else
		start_next(sts);
}

void sts_fetch_init(struct sts *sts)
{
	uint64_t secret;
	random_bytes(&secret, sizeof secret);
	sts->fetch_places = places_new(FETCHES_MAX, secret);
	list_init(&sts->fetching);
	loop_timer_init(&sts->patience_timer, sts->options.loop, end_slowest, sts);
}

void sts_fetch_stop(struct sts *sts)
{
	loop_timer_clear(&sts->patience_timer);
	places_free(sts->fetch_places);
}

void sts_fetch_start(struct sts_entry *entry)
{
	struct sts *sts = entry->sts;
	struct sts_fetch *fetch = mem_alloc(sizeof *fetch);
	char name[320];
	fetch->entry = entry;
	fetch->port = sts->options.port;
	entry->fetch = fetch;
	list_init(&fetch->link);
	memcpy(fetch->id, entry->id, sizeof fetch->id);
	snprintf(name, sizeof name, "mta-sts.%s", entry->domain);
	enum err err = buf_append_format(&fetch->resolve, "%s:%u:", name, (unsigned)fetch->port);
	ASSERT(err == ERR_OK);
	struct places_key share = resolver_share_named(RESOLVER_FOR_POLICIES, view_from_cstr(entry->domain));
	fetch->queries[0] = resolver_ask(sts->options.resolver, share, name, DNS_TYPE_A, a_answered, fetch);
	fetch->queries[1] = resolver_ask(sts->options.resolver, share, name, DNS_TYPE_AAAA, aaaa_answered, fetch);
}
