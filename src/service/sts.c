#include "service/sts_private.h"

#include "base/clock.h"
#include "base/mem.h"

#include <string.h>

#define BUCKETS 4096u
#define ENTRIES_MAX 5000u
#define RETRY_FETCH_MS (5 * 60 * 1000)
#define REFRESH_S (24u * 60 * 60)
#define DAY_MS (24LL * 60 * 60 * 1000)
#define FIRST_REFRESH_MS (2 * 60 * 1000)
#define RECORD_ARENA_BYTES (256u * 1024)
#define NAME_MAX_BYTES 253u

struct sts_query {
	struct list link;
	void (*found)(void *owner, struct sts_policy *policy, enum sts_problem problem, const char *detail);
	void *owner;
};

/* Policies */

struct sts_policy *sts_policy_new(struct view id, struct view text, int64_t fetched_ms)
{
	struct sts_policy *policy = mem_alloc(sizeof *policy);
	policy->references = 1;
	policy->fetched_ms = fetched_ms;
	snprintf(policy->id, sizeof policy->id, "%.*s", VIEW_ARG(id));
	if (text.len <= MTA_STS_POLICY_MAX_BYTES && buf_append(&policy->text, text) == ERR_OK &&
		mta_sts_policy_parse(buf_view(&policy->text), &policy->policy) == ERR_OK)
		return policy;
	sts_policy_unref(policy);
	return NULL;
}

struct sts_policy *sts_policy_ref(struct sts_policy *policy)
{
	policy->references++;
	return policy;
}

void sts_policy_unref(struct sts_policy *policy)
{
	if (policy == NULL || --policy->references > 0)
		return;
	buf_clear(&policy->text);
	mem_free(policy);
}

uint64_t sts_policy_age_s(const struct sts_policy *policy, int64_t now_wall_ms)
{
	/* A clock that was set back makes it no older. */
	return now_wall_ms > policy->fetched_ms ? (uint64_t)(now_wall_ms - policy->fetched_ms) / 1000 : 0;
}

bool sts_policy_is_valid(const struct sts_policy *policy, int64_t now_wall_ms)
{
	return policy != NULL && sts_policy_age_s(policy, now_wall_ms) <= policy->policy.max_age_s;
}

/* After a day, or half of its time if that is sooner: an attacker who blocks the policy host must do so for long. */
static bool is_due(const struct sts_policy *policy, int64_t now_wall_ms)
{
	uint32_t half_s = policy->policy.max_age_s / 2;
	return sts_policy_age_s(policy, now_wall_ms) >= (half_s < REFRESH_S ? half_s : REFRESH_S);
}

/* Entries */

static struct sts_entry **slot(struct sts *sts, struct view domain)
{
	struct sts_entry **at = &sts->buckets[view_hash_nocase(domain) % BUCKETS];
	while (*at != NULL && !view_eq_nocase(view_from_cstr((*at)->domain), domain))
		at = &(*at)->next;
	return at;
}

static bool is_idle(const struct sts_entry *entry)
{
	return list_is_empty(&entry->queries) && entry->txt == NULL && entry->load == NULL && entry->fetch == NULL;
}

static void free_queries(struct list *queries)
{
	struct list *link;
	while ((link = list_take_first(queries)) != NULL)
		mem_free(LIST_ENTRY(link, struct sts_query, link));
}

static void free_entry(struct sts_entry *entry)
{
	struct sts *sts = entry->sts;
	*slot(sts, view_from_cstr(entry->domain)) = entry->next;
	list_remove(&entry->link);
	sts->entry_count--;
	resolver_cancel(entry->txt);
	sts_load_cancel(entry->load);
	sts_fetch_cancel(entry->fetch);
	free_queries(&entry->queries);
	sts_policy_unref(entry->policy);
	mem_free(entry->domain);
	mem_free(entry);
}

static void make_room(struct sts *sts)
{
	struct list *next;
	for (struct list *l = sts->entries.next; l != &sts->entries && sts->entry_count >= ENTRIES_MAX; l = next) {
		struct sts_entry *entry = LIST_ENTRY(l, struct sts_entry, link);
		next = l->next;
		if (is_idle(entry))
			free_entry(entry);
	}
}

struct sts_entry *sts_entry_get(struct sts *sts, struct view domain)
{
	struct sts_entry *entry = *slot(sts, domain);
	if (entry != NULL) {
		list_remove(&entry->link);
		list_append(&sts->entries, &entry->link);
		return entry;
	}
	make_room(sts);
	entry = mem_alloc(sizeof *entry);
	entry->sts = sts;
	entry->domain = view_to_cstr(domain);
	for (char *c = entry->domain; *c != '\0'; c++)
		*c = (char)ascii_lower((uint8_t)*c);
	entry->failed_ms = STS_NEVER;
	list_init(&entry->queries);
	*slot(sts, domain) = entry;
	list_append(&sts->entries, &entry->link);
	sts->entry_count++;
	return entry;
}

/* Answers */

/* Those who wait are told; they may ask again, or cancel each other. */
static void answer(struct sts_entry *entry, enum sts_problem problem, const char *detail)
{
	struct list asked, *link;
	int64_t now_ms = clock_wall_ms();
	struct sts_policy *policy = sts_policy_is_valid(entry->policy, now_ms) ? sts_policy_ref(entry->policy) : NULL;
	char text[sizeof entry->detail];
	snprintf(text, sizeof text, "%s", detail);
	list_init(&asked);
	while ((link = list_take_first(&entry->queries)) != NULL)
		list_append(&asked, link);
	if (policy != NULL && !list_is_empty(&asked) && now_ms - entry->used_ms > DAY_MS)
		sts_keep_used(entry);
	while ((link = list_take_first(&asked)) != NULL) {
		struct sts_query *query = LIST_ENTRY(link, struct sts_query, link);
		query->found(query->owner, policy, problem, text);
		mem_free(query);
	}
	sts_policy_unref(policy);
}

void sts_entry_decide(struct sts_entry *entry)
{
	int64_t now_ms = loop_now_ms(entry->sts->options.loop), now_wall_ms = clock_wall_ms();
	if (entry->txt != NULL || entry->load != NULL)
		return;
	/* Without a record a policy from before stays in force for its time (RFC 8461 §5.1). */
	if (entry->record != STS_RECORD_FOUND) {
		answer(entry, STS_FINE, "");
		return;
	}
	bool valid = sts_policy_is_valid(entry->policy, now_wall_ms);
	bool same = valid && strcmp(entry->policy->id, entry->id) == 0;
	bool wanted = !same || is_due(entry->policy, now_wall_ms);
	bool failed_lately = entry->failed_ms != STS_NEVER && now_ms - entry->failed_ms < RETRY_FETCH_MS;
	if (wanted && !failed_lately && entry->fetch == NULL)
		sts_fetch_start(entry);
	if (same)
		answer(entry, STS_FINE, ""); /* what is fetched anew is for those who come later */
	else if (entry->fetch == NULL)
		answer(entry, entry->problem, entry->detail);
}

void sts_entry_fetched(struct sts_entry *entry, struct sts_policy *policy)
{
	LOG(LOG_LEVEL_INFO, "sts-fetched", LOG_CSTR("domain", entry->domain),
		LOG_TEXT("mode", mta_sts_mode_name(policy->policy.mode)), LOG_CSTR("id", policy->id),
		LOG_NUM("max_age_s", policy->policy.max_age_s));
	sts_policy_unref(entry->policy);
	entry->policy = policy;
	entry->failed_ms = STS_NEVER;
	sts_keep_policy(entry);
	answer(entry, STS_FINE, "");
}

void sts_entry_failed(struct sts_entry *entry, enum sts_problem problem, const char *detail)
{
	LOG(LOG_LEVEL_INFO, "sts-failed", LOG_CSTR("domain", entry->domain), LOG_CSTR("reason", detail));
	entry->failed_ms = loop_now_ms(entry->sts->options.loop);
	entry->problem = problem;
	snprintf(entry->detail, sizeof entry->detail, "%s", detail);
	answer(entry, problem, detail);
}

/* Asking */

static void read_record(struct sts_entry *entry, const struct resolver_answer *answer)
{
	struct arena arena;
	struct dns_answer parsed;
	struct view id;
	entry->record = STS_RECORD_UNKNOWN;
	if (answer->err != ERR_OK || answer->bogus)
		return;
	arena_init(&arena, RECORD_ARENA_BYTES);
	if (dns_answer_parse(answer->wire, DNS_TYPE_TXT, &arena, &parsed) == ERR_OK &&
		(parsed.rcode == DNS_RCODE_NOERROR || parsed.rcode == DNS_RCODE_NXDOMAIN)) {
		bool found = mta_sts_record_find(&parsed, &id) == ERR_OK;
		entry->record = found ? STS_RECORD_FOUND : STS_RECORD_NONE;
		if (found)
			snprintf(entry->id, sizeof entry->id, "%.*s", VIEW_ARG(id));
	}
	arena_clear(&arena);
}

static void record_answered(void *owner, const struct resolver_answer *answer)
{
	struct sts_entry *entry = owner;
	entry->txt = NULL;
	read_record(entry, answer);
	sts_entry_decide(entry);
}

void sts_entry_check(struct sts_entry *entry)
{
	char name[NAME_MAX_BYTES + sizeof "_mta-sts."];
	if (entry->txt != NULL || entry->load != NULL)
		return;
	snprintf(name, sizeof name, "_mta-sts.%s", entry->domain);
	struct places_key share = resolver_share_named(RESOLVER_FOR_ROUTES, view_from_cstr(entry->domain));
	entry->txt = resolver_ask(entry->sts->options.resolver, share, name, DNS_TYPE_TXT, record_answered, entry);
	if (!entry->loaded)
		sts_load_start(entry);
}

struct sts_query *sts_find(struct sts *sts, struct view domain,
	void (*found)(void *owner, struct sts_policy *policy, enum sts_problem problem, const char *detail),
	void *owner)
{
	struct sts_query *query = mem_alloc(sizeof *query);
	query->found = found;
	query->owner = owner;
	/* What can't be a name is asked for all the same, and found to have no record. */
	struct sts_entry *entry = sts_entry_get(sts, view_sub(domain, 0, NAME_MAX_BYTES));
	list_append(&entry->queries, &query->link);
	/* While a new policy is on its way there is nothing more to find out. */
	if (entry->fetch == NULL || sts_policy_is_valid(entry->policy, clock_wall_ms()))
		sts_entry_check(entry);
	return query;
}

void sts_cancel(struct sts_query *query)
{
	/* Inside its own found() it is off the list, and goes after it. */
	if (query == NULL || list_is_empty(&query->link))
		return;
	list_remove(&query->link);
	mem_free(query);
}

struct sts *sts_new(const struct sts_options *options)
{
	struct sts *sts = mem_alloc(sizeof *sts);
	sts->options = *options;
	sts->options.ca_file = options->ca_file != NULL ? mem_dup_cstr(options->ca_file) : NULL;
	list_init(&sts->entries);
	sts_fetch_init(sts);
	list_init(&sts->jobs);
	sts->buckets = mem_alloc_array(BUCKETS, sizeof(struct sts_entry *));
	loop_timer_init(&sts->timer, options->loop, sts_keep_refresh, sts);
	loop_timer_set(&sts->timer, clock_monotonic_ms() + FIRST_REFRESH_MS);
	return sts;
}

void sts_configure(struct sts *sts, uint16_t port, const char *ca_file)
{
	mem_free((void *)(uintptr_t)sts->options.ca_file);
	sts->options.ca_file = ca_file != NULL ? mem_dup_cstr(ca_file) : NULL;
	sts->options.port = port;
}

void sts_free(struct sts *sts)
{
	if (sts == NULL)
		return;
	while (!list_is_empty(&sts->entries))
		free_entry(LIST_ENTRY(sts->entries.next, struct sts_entry, link));
	sts_keep_forget_jobs(sts);
	sts_fetch_stop(sts);
	loop_timer_clear(&sts->timer);
	mem_free((void *)(uintptr_t)sts->options.ca_file);
	mem_free(sts->buckets);
	mem_free(sts);
}
