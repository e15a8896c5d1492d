#include "service/signing_check.h"

#include "base/mem.h"

#define AT_ONCE 8u
#define ANSWER_ARENA_BYTES (128u * 1024)

/* One of the questions that are open at a time. */
struct slot {
	struct signing_check *check;
	struct signing_check_key *key;
	struct resolver_query *query;
};

struct signing_check {
	struct resolver *resolver;
	struct signing_check_key *keys;
	size_t count, next, open;
	struct loop_timer start; /* so that done() never comes from inside the call that asked */
	void (*done)(void *owner);
	void *owner;
	struct slot slots[AT_ONCE];
};

static void free_check(struct signing_check *check)
{
	loop_timer_clear(&check->start);
	mem_free(check);
}

static enum dkim_publication judge(const struct signing_check_key *key, const struct resolver_answer *answer)
{
	struct dns_answer parsed = { .record_count = 0 };
	struct arena arena;
	enum dkim_dns_status status = DKIM_DNS_FAILED;
	arena_init(&arena, ANSWER_ARENA_BYTES);
	if (answer->err == ERR_OK && !answer->bogus && answer->rcode == DNS_RCODE_NXDOMAIN)
		status = DKIM_DNS_NXDOMAIN;
	else if (answer->err == ERR_OK && !answer->bogus && answer->rcode == DNS_RCODE_NOERROR &&
		dns_answer_parse(answer->wire, DNS_TYPE_TXT, &arena, &parsed) == ERR_OK)
		status = DKIM_DNS_OK;
	enum dkim_publication found = dkim_record_publication(status, &parsed, key->record);
	arena_clear(&arena);
	return found;
}

static void answered(void *owner, const struct resolver_answer *answer);

static void ask_next(struct signing_check *check, struct slot *slot)
{
	if (check->next == check->count)
		return;
	slot->key = &check->keys[check->next++];
	slot->key->found = DKIM_PUBLICATION_UNKNOWN;
	check->open++;
	struct places_key share = resolver_share_named(RESOLVER_FOR_OURSELVES, VIEW_NONE);
	slot->query = resolver_ask(check->resolver, share, slot->key->name, DNS_TYPE_TXT, answered, slot);
}

static void end_if_done(struct signing_check *check)
{
	if (check->open > 0)
		return;
	void (*done)(void *owner) = check->done;
	void *owner = check->owner;
	free_check(check);
	done(owner);
}

static void answered(void *owner, const struct resolver_answer *answer)
{
	struct slot *slot = owner;
	struct signing_check *check = slot->check;
	slot->query = NULL;
	slot->key->found = judge(slot->key, answer);
	check->open--;
	ask_next(check, slot);
	end_if_done(check);
}

static void begin(void *owner)
{
	struct signing_check *check = owner;
	for (size_t i = 0; i < AT_ONCE; i++)
		ask_next(check, &check->slots[i]);
	end_if_done(check);
}

struct signing_check *signing_check_start(struct loop *loop, struct resolver *resolver, struct signing_check_key *keys,
	size_t count, void (*done)(void *owner), void *owner)
{
	struct signing_check *check = mem_alloc(sizeof *check);
	check->resolver = resolver;
	check->keys = keys;
	check->count = count;
	check->done = done;
	check->owner = owner;
	for (size_t i = 0; i < AT_ONCE; i++)
		check->slots[i].check = check;
	loop_timer_init(&check->start, loop, begin, check);
	loop_timer_set(&check->start, loop_now_ms(loop));
	return check;
}

void signing_check_cancel(struct signing_check *check)
{
	if (check == NULL)
		return;
	for (size_t i = 0; i < AT_ONCE; i++)
		resolver_cancel(check->slots[i].query);
	free_check(check);
}
