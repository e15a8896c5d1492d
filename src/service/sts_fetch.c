/* A policy over HTTPS (RFC 8461 §3.3): the addresses of the policy host from our own resolver, then one GET without redirects. */
#include "service/sts_private.h"

#include "base/clock.h"
#include "base/mem.h"
#include "net/address.h"

#include <string.h>

#define FETCHES_MAX 64u
/* §3.3: "a suggested timeout is one minute". */
#define TIMEOUT_MS 60000u
#define ADDRESSES_MAX 8u
#define ANSWER_ARENA_BYTES (64u * 1024)

struct sts_fetch {
	struct list link; /* in sts->fetches, until its turn */
	struct sts_entry *entry;
	bool started;
	struct resolver_query *queries[2]; /* A, AAAA */
	char id[MTA_STS_ID_MAX_BYTES + 1]; /* for which it was started */
	size_t address_count;
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
	if (fetch->started)
		sts->fetching--;
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
	char url[400], port[8] = "";
	if (sts->options.port != 443)
		snprintf(port, sizeof port, ":%u", (unsigned)sts->options.port);
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

static void address_answered(struct sts_fetch *fetch, size_t which, const struct resolver_answer *answer)
{
	fetch->queries[which] = NULL;
	take_addresses(fetch, answer, which == 0 ? DNS_TYPE_A : DNS_TYPE_AAAA);
	if (fetch->queries[0] != NULL || fetch->queries[1] != NULL)
		return;
	if (fetch->address_count == 0)
		failed(fetch, STS_FETCH_ERROR, "the policy host has no address", "");
	else
		get(fetch);
}

static void a_answered(void *owner, const struct resolver_answer *answer)
{
	address_answered(owner, 0, answer);
}

static void aaaa_answered(void *owner, const struct resolver_answer *answer)
{
	address_answered(owner, 1, answer);
}

static void start(struct sts_fetch *fetch)
{
	struct sts *sts = fetch->entry->sts;
	char name[320];
	list_remove(&fetch->link);
	fetch->started = true;
	sts->fetching++;
	snprintf(name, sizeof name, "mta-sts.%s", fetch->entry->domain);
	enum err err = buf_append_format(&fetch->resolve, "%s:%u:", name, (unsigned)sts->options.port);
	ASSERT(err == ERR_OK);
	struct places_key share = resolver_share_named(RESOLVER_FOR_POLICIES, view_from_cstr(fetch->entry->domain));
	fetch->queries[0] = resolver_ask(sts->options.resolver, share, name, DNS_TYPE_A, a_answered, fetch);
	fetch->queries[1] = resolver_ask(sts->options.resolver, share, name, DNS_TYPE_AAAA, aaaa_answered, fetch);
}

static void start_next(struct sts *sts)
{
	while (sts->fetching < FETCHES_MAX && !list_is_empty(&sts->fetches))
		start(LIST_ENTRY(sts->fetches.next, struct sts_fetch, link));
}

void sts_fetch_start(struct sts_entry *entry)
{
	struct sts_fetch *fetch = mem_alloc(sizeof *fetch);
	fetch->entry = entry;
	entry->fetch = fetch;
	memcpy(fetch->id, entry->id, sizeof fetch->id);
	list_append(&entry->sts->fetches, &fetch->link);
	start_next(entry->sts);
}
