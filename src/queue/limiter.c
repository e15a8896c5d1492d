#include "queue/limiter.h"

#include "base/mem.h"

#include <string.h>

#define BUCKETS_FIRST 64u
/* Less than any message, more than what adding up fractions can lose. */
#define EPSILON 1e-9

struct limiter_table {
	struct limiter **chains;
	size_t chain_count; /* a power of two */
	size_t count;
};

/* What a bucket holds at most, and what flows into it per millisecond: `burst` at once and no more than the rest within one period, so that no
 * window of that length ever sees more than `count`. */
struct flow {
	double capacity;
	double per_ms;
};

struct limiter_table *limiter_table_new(void)
{
	struct limiter_table *table = mem_alloc(sizeof *table);
	table->chain_count = BUCKETS_FIRST;
	table->chains = mem_alloc_array(table->chain_count, sizeof(struct limiter *));
	return table;
}

static void limiter_free(struct limiter *limiter)
{
	mem_free((void *)(uintptr_t)limiter->name.ptr);
	mem_free(limiter);
}

void limiter_table_free(struct limiter_table *table)
{
	if (table == NULL)
		return;
	for (size_t i = 0; i < table->chain_count; i++) {
		struct limiter *next;
		for (struct limiter *l = table->chains[i]; l != NULL; l = next) {
			next = l->next;
			limiter_free(l);
		}
	}
	mem_free(table->chains);
	mem_free(table);
}

static struct limiter **chain_of(struct limiter_table *table, struct view name)
{
	return &table->chains[view_hash_nocase(name) & (table->chain_count - 1)];
}

static void grow(struct limiter_table *table)
{
	size_t old_count = table->chain_count;
	struct limiter **old = table->chains;
	table->chain_count = old_count * 2;
	table->chains = mem_alloc_array(table->chain_count, sizeof(struct limiter *));
	for (size_t i = 0; i < old_count; i++) {
		struct limiter *next;
		for (struct limiter *l = old[i]; l != NULL; l = next) {
			next = l->next;
			struct limiter **chain = chain_of(table, l->name);
			l->next = *chain;
			*chain = l;
		}
	}
	mem_free(old);
}

struct limiter *limiter_find(struct limiter_table *table, struct view name)
{
	struct limiter *l = *chain_of(table, name);
	while (l != NULL && !view_eq_nocase(l->name, name))
		l = l->next;
	return l;
}

static bool is_rate(const struct limiter_rate *rate)
{
	return rate->count > 0 && rate->per_ms > 0;
}

static void set_limits(struct limiter *limiter, const struct limiter_limits *limits)
{
	ASSERT(limits->rate_count <= LIMITER_RATES_MAX);
	for (size_t i = 0; i < limits->rate_count; i++)
		/* What was counted under the old rate still counts: setting limits anew must not give away a burst. */
		if (i >= limiter->limits.rate_count || !is_rate(&limiter->limits.rates[i]))
			limiter->buckets[i] = (struct limiter_bucket){ .at_ms = INT64_MIN };
	limiter->limits = *limits;
}

struct limiter *limiter_get(struct limiter_table *table, struct view name, const struct limiter_limits *limits)
{
	struct limiter *l = limiter_find(table, name);
	if (l == NULL) {
		if (table->count >= table->chain_count)
			grow(table);
		l = mem_alloc(sizeof *l);
		uint8_t *copy = mem_alloc(name.len);
		if (name.len > 0)
			memcpy(copy, name.ptr, name.len);
		l->name = view_of(copy, name.len);
		struct limiter **chain = chain_of(table, name);
		l->next = *chain;
		*chain = l;
		table->count++;
	}
	set_limits(l, limits);
	return l;
}

void limiter_each(struct limiter_table *table, void (*each)(void *owner, struct limiter *limiter), void *owner)
{
	for (size_t i = 0; i < table->chain_count; i++)
		for (struct limiter *l = table->chains[i]; l != NULL; l = l->next)
			each(owner, l);
}

/* What ran out is forgotten. */
static void expire(struct limiter *limiter, int64_t now_ms)
{
	if (limiter->suspended_until_ms != 0 && limiter->suspended_until_ms <= now_ms)
		limiter->suspended_until_ms = 0;
	if (limiter->slow_percent != 0 && limiter->slow_until_ms <= now_ms) {
		limiter->slow_percent = 0;
		limiter->slow_until_ms = 0;
		limiter->slow_connections = 0;
	}
	if (limiter->suspended_until_ms == 0 && limiter->slow_percent == 0)
		limiter->reason[0] = '\0';
}

static struct flow flow_of(const struct limiter_rate *rate, uint32_t percent)
{
	double count = (double)rate->count * percent / 100;
	double burst = (double)(uint32_t)(count / 10);
	if (burst < 1)
		burst = 1;
	double flow = count > burst ? count - burst + 1 : count;
	return (struct flow){ burst, flow / rate->per_ms };
}

static void add_tokens(struct limiter_bucket *bucket, struct flow flow, int64_t until_ms)
{
	if (until_ms <= bucket->at_ms)
		return;
	bucket->tokens += (double)(until_ms - bucket->at_ms) * flow.per_ms;
	if (bucket->tokens > flow.capacity)
		bucket->tokens = flow.capacity;
	bucket->at_ms = until_ms;
}

/* Brings a bucket up to now: at the slow pace until that ends, then at the full one. To be called before expire(). */
static void fill(struct limiter *limiter, size_t i, int64_t now_ms)
{
	struct limiter_bucket *bucket = &limiter->buckets[i];
	struct flow full = flow_of(&limiter->limits.rates[i], 100);
	if (bucket->at_ms == INT64_MIN) {
		bucket->tokens = full.capacity;
		bucket->at_ms = now_ms;
	}
	if (limiter->slow_percent != 0) {
		struct flow slow = flow_of(&limiter->limits.rates[i], limiter->slow_percent);
		if (bucket->tokens > slow.capacity)
			bucket->tokens = slow.capacity;
		add_tokens(bucket, slow, now_ms < limiter->slow_until_ms ? now_ms : limiter->slow_until_ms);
	}
	add_tokens(bucket, full, now_ms);
	if (bucket->tokens > full.capacity)
		bucket->tokens = full.capacity;
}

static void fill_all(struct limiter *limiter, int64_t now_ms)
{
	for (size_t i = 0; i < limiter->limits.rate_count; i++)
		if (is_rate(&limiter->limits.rates[i]))
			fill(limiter, i, now_ms);
	expire(limiter, now_ms);
}

static int64_t add_wait(int64_t now_ms, double wait_ms)
{
	/* Rounded up: who comes at the time named is not sent away again. */
	int64_t wait = (int64_t)wait_ms;
	return now_ms + wait + ((double)wait < wait_ms || wait == 0 ? 1 : 0);
}

/* When the bucket holds one token; `now_ms` if it does. */
static int64_t ready_at(const struct limiter *limiter, size_t i, int64_t now_ms)
{
	double missing = 1 - EPSILON - limiter->buckets[i].tokens;
	if (missing <= 0)
		return now_ms;
	struct flow full = flow_of(&limiter->limits.rates[i], 100);
	if (limiter->slow_percent == 0)
		return add_wait(now_ms, missing / full.per_ms);
	struct flow slow = flow_of(&limiter->limits.rates[i], limiter->slow_percent);
	double slow_wait_ms = missing / slow.per_ms;
	double slow_left_ms = (double)(limiter->slow_until_ms - now_ms);
	if (slow_wait_ms <= slow_left_ms)
		return add_wait(now_ms, slow_wait_ms);
	missing -= slow_left_ms * slow.per_ms;
	return add_wait(limiter->slow_until_ms, missing / full.per_ms);
}

static bool buckets_are_full(struct limiter *limiter)
{
	for (size_t i = 0; i < limiter->limits.rate_count; i++) {
		const struct limiter_rate *rate = &limiter->limits.rates[i];
		if (is_rate(rate) && limiter->buckets[i].tokens < flow_of(rate, 100).capacity - EPSILON)
			return false;
	}
	return true;
}

void limiter_table_tidy(struct limiter_table *table, int64_t now_ms)
{
	for (size_t i = 0; i < table->chain_count; i++) {
		struct limiter **at = &table->chains[i];
		while (*at != NULL) {
			struct limiter *l = *at;
			fill_all(l, now_ms);
			bool is_idle = l->users == 0 && l->connections == 0 && l->suspended_until_ms == 0 &&
				l->slow_percent == 0 && buckets_are_full(l);
			if (!is_idle) {
				at = &l->next;
				continue;
			}
			*at = l->next;
			limiter_free(l);
			table->count--;
		}
	}
}

static uint32_t share(uint32_t count, uint32_t percent)
{
	uint32_t n = (uint32_t)((uint64_t)count * percent / 100);
	return n > 0 ? n : 1;
}

bool limiter_may_connect(struct limiter *limiter, int64_t now_ms, int64_t *ret_again_ms)
{
	fill_all(limiter, now_ms);
	if (limiter->suspended_until_ms != 0) {
		*ret_again_ms = limiter->suspended_until_ms;
		return false;
	}
	uint32_t most = limiter->limits.connections;
	if (most != 0 && limiter->connections >= most) {
		*ret_again_ms = INT64_MAX;
		return false;
	}
	if (limiter->slow_percent == 0)
		return true;
	uint32_t slow_most = most != 0 ? share(most, limiter->slow_percent) : limiter->slow_connections;
	if (limiter->connections < slow_most)
		return true;
	*ret_again_ms = limiter->slow_until_ms;
	return false;
}

void limiter_connected(struct limiter *limiter)
{
	limiter->connections++;
}

void limiter_disconnected(struct limiter *limiter)
{
	ASSERT(limiter->connections > 0);
	limiter->connections--;
}

bool limiter_may_send(struct limiter *limiter, int64_t now_ms, int64_t *ret_again_ms)
{
	fill_all(limiter, now_ms);
	int64_t again_ms = limiter->suspended_until_ms > now_ms ? limiter->suspended_until_ms : now_ms;
	for (size_t i = 0; i < limiter->limits.rate_count; i++) {
		if (!is_rate(&limiter->limits.rates[i]))
			continue;
		int64_t ready_ms = ready_at(limiter, i, now_ms);
		if (ready_ms > again_ms)
			again_ms = ready_ms;
	}
	if (again_ms == now_ms)
		return true;
	*ret_again_ms = again_ms;
	return false;
}

void limiter_sent(struct limiter *limiter, int64_t now_ms)
{
	fill_all(limiter, now_ms);
	/* Below zero when somebody sent without asking: the next ones wait for it. */
	for (size_t i = 0; i < limiter->limits.rate_count; i++)
		if (is_rate(&limiter->limits.rates[i]))
			limiter->buckets[i].tokens -= 1;
}

void limiter_unsent(struct limiter *limiter, int64_t now_ms)
{
	fill_all(limiter, now_ms);
	uint32_t percent = limiter->slow_percent != 0 ? limiter->slow_percent : 100;
	for (size_t i = 0; i < limiter->limits.rate_count; i++) {
		if (!is_rate(&limiter->limits.rates[i]))
			continue;
		/* More than would be there if it had never been taken would let a window see too many. */
		double capacity = flow_of(&limiter->limits.rates[i], percent).capacity;
		double tokens = limiter->buckets[i].tokens + 1;
		limiter->buckets[i].tokens = tokens < capacity ? tokens : capacity;
	}
}

static void set_reason(struct limiter *limiter, struct view reason)
{
	size_t n = reason.len < sizeof limiter->reason - 1 ? reason.len : sizeof limiter->reason - 1;
	if (n > 0)
		memcpy(limiter->reason, reason.ptr, n);
	limiter->reason[n] = '\0';
}

void limiter_slow(struct limiter *limiter, uint32_t percent, int64_t until_ms, struct view reason)
{
	ASSERT(percent >= 1 && percent <= 100);
	if (limiter->slow_percent == 0)
		limiter->slow_connections = share(limiter->connections, percent);
	if (limiter->slow_percent == 0 || percent < limiter->slow_percent)
		limiter->slow_percent = percent;
	if (until_ms > limiter->slow_until_ms)
		limiter->slow_until_ms = until_ms;
	set_reason(limiter, reason);
}

void limiter_suspend(struct limiter *limiter, int64_t until_ms, struct view reason)
{
	if (until_ms > limiter->suspended_until_ms)
		limiter->suspended_until_ms = until_ms;
	set_reason(limiter, reason);
}

void limiter_resume(struct limiter *limiter)
{
	limiter->suspended_until_ms = 0;
	limiter->slow_percent = 0;
	limiter->slow_until_ms = 0;
	limiter->slow_connections = 0;
	limiter->reason[0] = '\0';
}
