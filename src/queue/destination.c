#include "queue/destination_private.h"

#include "base/mem.h"

#include <string.h>

#define BUCKETS_FIRST 64u

/* A burst for one destination is carried by few connections that prove themselves first. */
#define WINDOW_FIRST 2u
/* After trouble the window stays as it is so long; as often as the trouble is there again where it was, twice as long. */
#define GROW_AGAIN_FIRST_MS 10000
#define GROW_AGAIN_DOUBLINGS_MAX 5u
#define LEFT_LOOK_AHEAD 16u
/* How many of those that wait a free connection may choose among: the work for each stays the same, however many there are. */
#define LOOK_AHEAD 32u

struct destination_table *destination_table_new(void)
{
	struct destination_table *table = mem_alloc(sizeof *table);
	table->bucket_count = BUCKETS_FIRST;
	table->buckets = mem_alloc_array(table->bucket_count, sizeof(struct destination *));
	list_init(&table->at_hand);
	list_init(&table->unserved);
	list_init(&table->runnable);
	list_init(&table->left);
	list_init(&table->blocked);
	list_init(&table->held_gates);
	table->next_unblock_ms = table->next_gate_ms = INT64_MAX;
	return table;
}

static void free_one(struct destination_table *table, struct destination *d)
{
	ASSERT(d->waiting_count == 0 && d->connections == 0);
	destination_let_go(table, d);
	destination_set_limiters(table, d, 0, NULL);
	list_remove(&d->blocked_link);
	list_remove(&d->left_link);
	list_remove(&d->runnable_link);
	table->count--;
	mem_free((void *)(uintptr_t)d->key.ptr);
	mem_free(d);
}

void destination_table_free(struct destination_table *table)
{
	if (table == NULL)
		return;
	for (size_t i = 0; i < table->bucket_count; i++) {
		struct destination *next;
		for (struct destination *d = table->buckets[i]; d != NULL; d = next) {
			next = d->next;
			free_one(table, d);
		}
	}
	mem_free(table->buckets);
	mem_free(table);
}

static struct destination **slot(struct destination_table *table, struct view key)
{
	struct destination **at = &table->buckets[view_hash_nocase(key) % table->bucket_count];
	while (*at != NULL && !view_eq_nocase((*at)->key, key))
		at = &(*at)->next;
	return at;
}

static void grow(struct destination_table *table)
{
	size_t old_count = table->bucket_count;
	struct destination **old = table->buckets;
	table->bucket_count = old_count * 2;
	table->buckets = mem_alloc_array(table->bucket_count, sizeof(struct destination *));
	for (size_t i = 0; i < old_count; i++) {
		struct destination *d = old[i];
		while (d != NULL) {
			struct destination *next = d->next;
			struct destination **bucket = &table->buckets[view_hash_nocase(d->key) % table->bucket_count];
			d->next = *bucket;
			*bucket = d;
			d = next;
		}
	}
	mem_free(old);
}

bool destination_has_room(const struct destination *d)
{
	return d->connections < d->connections_max && d->connections < d->window &&
		d->hold != DESTINATION_HELD_TO_CONNECT;
}

void destination_settle_place(struct destination_table *table, struct destination *d)
{
	bool wanted = d->waiting_count > 0 && d->blocked_until_ms == 0 && d->hold != DESTINATION_HELD_TO_SEND &&
		(destination_has_room(d) || !list_is_empty(&d->idle));
	struct list *ring = d->connections == 0 ? &table->unserved : &table->runnable;
	if (d->is_local || !list_is_empty(&d->idle))
		ring = &table->at_hand;
	if (!wanted)
		ring = NULL;
	if (ring == d->ring)
		return;
	list_remove(&d->runnable_link);
	if (ring != NULL)
		list_append(ring, &d->runnable_link);
	d->ring = ring;
}

static void set_blocked(struct destination_table *table, struct destination *d, int64_t until_ms)
{
	list_remove(&d->blocked_link);
	if (until_ms != 0)
		list_append(&table->blocked, &d->blocked_link);
	if (until_ms != 0 && until_ms < table->next_unblock_ms)
		table->next_unblock_ms = until_ms;
	d->blocked_until_ms = until_ms;
	destination_settle_place(table, d);
}

struct destination *destination_get(struct destination_table *table, struct view key, uint32_t connections_max)
{
	struct destination **at = slot(table, key);
	if (*at == NULL) {
		if (table->count >= table->bucket_count) {
			grow(table);
			at = slot(table, key);
		}
		struct destination *d = mem_alloc(sizeof *d);
		uint8_t *copy = mem_alloc(key.len);
		memcpy(copy, key.ptr, key.len);
		d->key = view_of(copy, key.len);
		list_init(&d->runnable_link);
		list_init(&d->blocked_link);
		list_init(&d->held_link);
		list_init(&d->line_link);
		list_init(&d->line_idle_link);
		list_init(&d->left_link);
		for (size_t i = 0; i < DESTINATION_PRIORITIES; i++)
			list_init(&d->waiting[i]);
		list_init(&d->idle);
		d->window = WINDOW_FIRST;
		*at = d;
		table->count++;
	}
	(*at)->connections_max = connections_max;
	destination_settle_place(table, *at);
	return *at;
}

bool destination_release(struct destination_table *table, struct destination *destination)
{
	if (destination->waiting_count > 0 || destination->awaited > 0 || destination->connections > 0 ||
		destination->blocked_until_ms != 0 || destination->left.any || destination->left.reading)
		return false;
	struct destination **at = slot(table, destination->key);
	ASSERT(*at == destination);
	*at = destination->next;
	free_one(table, destination);
	return true;
}

size_t destination_count(const struct destination_table *table)
{
	return table->count;
}

static size_t list_of(int32_t priority)
{
	int32_t most = DESTINATION_PRIORITY_MAX;
	int32_t bounded = priority < -most ? -most : priority > most ? most : priority;
	return (size_t)(bounded + most);
}

static struct list *added(struct destination_table *table, struct destination *d, int32_t priority)
{
	size_t at = list_of(priority);
	d->waiting_priorities |= UINT32_C(1) << at;
	d->waiting_count++;
	(void)table;
	return &d->waiting[at];
}

void destination_add(
	struct destination_table *table, struct destination *destination, struct list *delivery, int32_t priority)
{
	list_append(added(table, destination, priority), delivery);
	destination_settle_place(table, destination);
}

void destination_add_first(
	struct destination_table *table, struct destination *destination, struct list *delivery, int32_t priority)
{
	list_prepend(added(table, destination, priority), delivery);
	destination_settle_place(table, destination);
}

static void remove_one(struct destination_table *table, struct destination *d, size_t at, struct list *delivery)
{
	list_remove(delivery);
	if (list_is_empty(&d->waiting[at]))
		d->waiting_priorities &= ~(UINT32_C(1) << at);
	d->waiting_count--;
	destination_settle_place(table, d);
}

static struct list *find_among(const struct destination *d, size_t most,
	bool (*fits)(void *owner, struct list *delivery), void *owner, size_t *ret_at)
{
	for (size_t at = DESTINATION_PRIORITIES; at-- > 0 && most > 0;) {
		if ((d->waiting_priorities & UINT32_C(1) << at) == 0)
			continue;
		for (struct list *l = d->waiting[at].next; l != &d->waiting[at] && most > 0; l = l->next, most--) {
			if (fits != NULL && !fits(owner, l))
				continue;
			*ret_at = at;
			return l;
		}
	}
	return NULL;
}

static struct list *take_among(struct destination_table *table, struct destination *d, size_t most,
	bool (*fits)(void *owner, struct list *delivery), void *owner)
{
	size_t at = 0;
	struct list *found = find_among(d, most, fits, owner, &at);
	if (found != NULL)
		remove_one(table, d, at, found);
	return found;
}

struct list *destination_take(struct destination_table *table, struct destination *destination)
{
	return take_among(table, destination, 1, NULL, NULL);
}

struct list *destination_take_fitting(struct destination_table *table, struct destination *destination,
	bool (*fits)(void *owner, struct list *delivery), void *owner)
{
	return take_among(table, destination, LOOK_AHEAD, fits, owner);
}

bool destination_has_fitting(
	const struct destination *destination, bool (*fits)(void *owner, struct list *delivery), void *owner)
{
	size_t at = 0;
	return find_among(destination, LOOK_AHEAD, fits, owner, &at) != NULL;
}

void destination_take_all_fitting(struct destination_table *table, struct destination *destination,
	bool (*fits)(void *owner, struct list *delivery), void *owner, struct list *ret)
{
	struct destination *d = destination;
	for (size_t at = DESTINATION_PRIORITIES; at-- > 0;) {
		struct list *next;
		for (struct list *l = d->waiting[at].next; l != &d->waiting[at]; l = next) {
			next = l->next;
			if (!fits(owner, l))
				continue;
			remove_one(table, d, at, l);
			list_append(ret, l);
		}
	}
}

struct list *destination_first(const struct destination *destination)
{
	for (size_t at = DESTINATION_PRIORITIES; at-- > 0;)
		if (!list_is_empty(&destination->waiting[at]))
			return destination->waiting[at].next;
	return NULL;
}

void destination_opened(struct destination_table *table, struct destination *destination)
{
	destination->connections++;
	destination->turn_at = NULL;
	for (size_t i = 0; i < destination->gate_count; i++)
		limiter_connected(destination->gates[i]->limiter);
	destination_settle_place(table, destination);
}

void destination_closed(struct destination_table *table, struct destination *destination)
{
	ASSERT(destination->connections > 0);
	destination->connections--;
	destination_gates_closed(table, destination);
	destination_settle_place(table, destination);
}

void destination_connected(struct destination_table *table, struct destination *destination)
{
	destination->failures = 0;
	set_blocked(table, destination, 0);
}

void destination_succeeded(struct destination_table *table, struct destination *destination, int64_t now_ms)
{
	struct destination *d = destination;
	/* After trouble one more is tried at a time: the last one must have come through before. */
	bool may_grow = d->troubles == 0 || (now_ms >= d->grow_at_ms && d->proven >= d->connections);
	if (may_grow && d->window < d->connections_max)
		d->window++;
	if (d->window > d->window_at_trouble && d->proven >= d->window)
		d->troubles = 0; /* the trouble was a passing one */
	destination_connected(table, d);
}

static void close_window(struct destination_table *table, struct destination *d, uint32_t window, int64_t now_ms)
{
	/* Connections that have trouble side by side have one trouble. */
	if (d->troubles == 0 || now_ms >= d->grow_at_ms) {
		d->window_at_trouble = d->window < d->connections ? d->window : d->connections;
		uint32_t doublings = d->troubles < GROW_AGAIN_DOUBLINGS_MAX ? d->troubles : GROW_AGAIN_DOUBLINGS_MAX;
		d->grow_at_ms = now_ms + ((int64_t)GROW_AGAIN_FIRST_MS << doublings);
		d->troubles++;
		d->window = window > 0 ? window : 1;
	} else if (window > 0 && window < d->window) {
		d->window = window;
	}
	destination_settle_place(table, d);
}

void destination_refused_more(struct destination_table *table, struct destination *destination, int64_t now_ms)
{
	ASSERT(destination->connections > 1);
	close_window(table, destination, destination->connections - 1, now_ms);
}

void destination_strained(struct destination_table *table, struct destination *destination, int64_t now_ms)
{
	struct destination *d = destination;
	if (d->troubles > 0 && now_ms < d->grow_at_ms)
		return; /* halved for this already */
	uint32_t used = d->connections < d->window ? d->connections : d->window;
	close_window(table, d, used / 2, now_ms);
}

void destination_failed(struct destination_table *table, struct destination *destination, int64_t now_ms,
	int64_t first_ms, int64_t max_ms)
{
	uint32_t doublings = destination->failures < 16 ? destination->failures : 16;
	int64_t wait_ms = first_ms << doublings;
	if (wait_ms > max_ms)
		wait_ms = max_ms;
	destination->failures++;
	destination->window = WINDOW_FIRST;
	destination->troubles = 0;
	set_blocked(table, destination, now_ms + wait_ms);
}

void destination_idle_add(struct destination_table *table, struct destination *destination, struct list *connection)
{
	list_append(&destination->idle, connection);
	destination_gates_idle(table, destination);
	destination_settle_place(table, destination);
}

void destination_idle_remove(struct destination_table *table, struct destination *destination, struct list *connection)
{
	list_remove(connection);
	destination_settle_place(table, destination);
}

void destination_set_left(
	struct destination_table *table, struct destination *destination, const struct destination_left *left)
{
	destination->left = *left;
	list_remove(&destination->left_link);
	if (left->any)
		list_append(&table->left, &destination->left_link);
}

struct destination *destination_next_left(struct destination_table *table, size_t waiting_max)
{
	for (size_t i = 0; i < LEFT_LOOK_AHEAD && !list_is_empty(&table->left); i++) {
		struct list *first = list_take_first(&table->left);
		list_append(&table->left, first);
		struct destination *d = LIST_ENTRY(first, struct destination, left_link);
		if (d->blocked_until_ms == 0 && d->waiting_count + d->awaited <= waiting_max)
			return d;
	}
	return NULL;
}

void destination_forget_left(struct destination_table *table)
{
	struct list *first;
	while ((first = list_take_first(&table->left)) != NULL) {
		struct destination *d = LIST_ENTRY(first, struct destination, left_link);
		d->left.any = false;
		(void)destination_release(table, d);
	}
}

struct destination *destination_next_runnable(struct destination_table *table, enum destination_leave leave)
{
	struct list *ring = &table->at_hand;
	if (list_is_empty(ring) && leave >= DESTINATION_MAY_OPEN_FIRST)
		ring = &table->unserved;
	if (list_is_empty(ring) && leave >= DESTINATION_MAY_OPEN)
		ring = &table->runnable;
	struct list *first = list_take_first(ring);
	if (first == NULL)
		return NULL;
	list_append(ring, first);
	return LIST_ENTRY(first, struct destination, runnable_link);
}

bool destination_wants_connection(const struct destination_table *table)
{
	return !list_is_empty(&table->unserved) || !list_is_empty(&table->runnable);
}

bool destination_wants_first_connection(const struct destination_table *table)
{
	return !list_is_empty(&table->unserved);
}

static bool unblock(struct destination_table *table, int64_t now_ms)
{
	bool any = false;
	if (now_ms < table->next_unblock_ms)
		return false;
	table->next_unblock_ms = INT64_MAX;
	struct list *next;
	for (struct list *l = table->blocked.next; l != &table->blocked; l = next) {
		next = l->next;
		struct destination *d = LIST_ENTRY(l, struct destination, blocked_link);
		if (d->blocked_until_ms <= now_ms) {
			set_blocked(table, d, 0);
			any = true;
			/* Its deliveries wait on disk; without any here it need not be remembered. */
			(void)destination_release(table, d);
		} else if (d->blocked_until_ms < table->next_unblock_ms) {
			table->next_unblock_ms = d->blocked_until_ms;
		}
	}
	return any;
}

void destination_forget_failures(struct destination_table *table)
{
	table->next_unblock_ms = 0;
	(void)unblock(table, INT64_MAX);
}

bool destination_wake(struct destination_table *table, int64_t now_ms)
{
	bool unblocked = unblock(table, now_ms), let_go = destination_wake_held(table, now_ms);
	return unblocked || let_go;
}

void destination_each(
	struct destination_table *table, void (*each)(void *owner, struct destination *destination), void *owner)
{
	for (size_t i = 0; i < table->bucket_count; i++) {
		struct destination *next;
		for (struct destination *d = table->buckets[i]; d != NULL; d = next) {
			next = d->next;
			each(owner, d);
			(void)destination_release(table, d);
		}
	}
}
