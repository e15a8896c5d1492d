/* A set-associative table: a client lives in one of the WAYS entries of its set, so that neither looking up nor making room
 * ever takes more than WAYS steps. */
#include "policy/throttle.h"

#include "base/mem.h"
#include "policy/client_key.h"

#define WAYS 8u

struct entry {
	struct client_key key;
	uint32_t failures; /* since window_start_ms; 0 = free */
	int64_t window_start_ms;
	int64_t blocked_until_ms; /* past: not blocked */
	int64_t last_ms;
};

struct login_throttle {
	struct login_throttle_limits limits;
	uint64_t secret;
	size_t set_mask; /* sets less one; a power of two */
	struct entry *entries;
};

struct login_throttle *login_throttle_new(const struct login_throttle_limits *limits, size_t clients, uint64_t secret)
{
	struct login_throttle *throttle = mem_alloc(sizeof *throttle);
	size_t sets = 1;
	while (sets * WAYS < clients)
		sets *= 2;
	*throttle = (struct login_throttle){ .limits = *limits, .secret = secret, .set_mask = sets - 1 };
	throttle->entries = mem_alloc_array(sets * WAYS, sizeof *throttle->entries);
	return throttle;
}

void login_throttle_free(struct login_throttle *throttle)
{
	if (throttle == NULL)
		return;
	mem_free(throttle->entries);
	mem_free(throttle);
}

static struct entry *set_of(const struct login_throttle *throttle, struct client_key key)
{
	return throttle->entries + (client_key_hash(key, throttle->secret) & throttle->set_mask) * WAYS;
}

static struct entry *find(const struct login_throttle *throttle, struct client_key key)
{
	struct entry *set = set_of(throttle, key);
	for (size_t i = 0; i < WAYS; i++)
		if (set[i].failures > 0 && client_key_eq(set[i].key, key))
			return &set[i];
	return NULL;
}

/* True when `a` should make room rather than `b`. */
static bool goes_first(const struct entry *a, const struct entry *b, int64_t now_ms)
{
	bool a_blocked = a->blocked_until_ms > now_ms, b_blocked = b->blocked_until_ms > now_ms;
	if (a_blocked != b_blocked)
		return b_blocked;
	return a->last_ms < b->last_ms;
}

static struct entry *make_room(struct login_throttle *throttle, struct client_key key, int64_t now_ms)
{
	struct entry *set = set_of(throttle, key), *victim = &set[0];
	for (size_t i = 0; i < WAYS; i++) {
		if (set[i].failures == 0) {
			victim = &set[i];
			break;
		}
		if (goes_first(&set[i], victim, now_ms))
			victim = &set[i];
	}
	*victim = (struct entry){ .key = key, .window_start_ms = now_ms };
	return victim;
}

void login_throttle_failed(struct login_throttle *throttle, struct view ip, int64_t now_ms)
{
	if (throttle->limits.failures_max == 0)
		return;
	struct client_key key = client_key_make(ip);
	struct entry *entry = find(throttle, key);
	if (entry == NULL)
		entry = make_room(throttle, key, now_ms);
	else if (now_ms - entry->window_start_ms >= throttle->limits.window_ms) {
		entry->failures = 0;
		entry->window_start_ms = now_ms;
	}
	entry->last_ms = now_ms;
	entry->failures++;
	if (entry->failures >= throttle->limits.failures_max) {
		entry->blocked_until_ms = now_ms + throttle->limits.block_ms;
		/* Counting starts anew with the block. One failure keeps the entry in use. */
		entry->failures = 1;
		entry->window_start_ms = now_ms;
	}
}

int64_t login_throttle_blocked_ms(const struct login_throttle *throttle, struct view ip, int64_t now_ms)
{
	const struct entry *entry = find(throttle, client_key_make(ip));
	return entry != NULL && entry->blocked_until_ms > now_ms ? entry->blocked_until_ms - now_ms : 0;
}

bool login_throttle_allows(const struct login_throttle *throttle, struct view ip, int64_t now_ms, bool at_connect,
	struct smtp_reply *ret_refusal)
{
	int64_t left_ms = login_throttle_blocked_ms(throttle, ip, now_ms);
	if (left_ms == 0)
		return true;
	int64_t minutes = left_ms / 60000 + 1;
	*ret_refusal = smtp_reply_make(at_connect ? 421 : 454, "4.7.0",
		"Too many failed logins from your address; try again in %lld minute%s", (long long)minutes,
		minutes == 1 ? "" : "s");
	return false;
}
