#include "queue/destination.h"

#include "base/mem.h"

#include <string.h>

#define BUCKETS_FIRST 64u

/* A burst for one destination is carried by few connections that prove themselves first. */
#define WINDOW_FIRST 2u
/* Where the other side said "enough", one more is tried after so many successes. */
#define GROW_AGAIN_AFTER 200u

/* How many of those that wait a free connection may choose among: the work for each stays the same, however many there are. */
#define LOOK_AHEAD 32u

struct destination_table {
	struct destination **buckets;
	size_t bucket_count;
	size_t count;
	size_t blocked;
	struct list at_hand; /* runnable without a new connection on the network */
	struct list unserved; /* runnable, and has no connection yet */
	struct list runnable; /* the other runnable ones */
};

struct destination_table *destination_table_new(void)
{
	struct destination_table *table = mem_alloc(sizeof *table);
	table->bucket_count = BUCKETS_FIRST;
	table->buckets = mem_alloc_array(table->bucket_count, sizeof(struct destination *));
	list_init(&table->at_hand);
	list_init(&table->unserved);
	list_init(&table->runnable);
	return table;
}

void destination_table_free(struct destination_table *table)
{
	if (table == NULL)
		return;
	for (size_t i = 0; i < table->bucket_count; i++) {
		struct destination *d = table->buckets[i];
		while (d != NULL) {
			struct destination *next = d->next;
			ASSERT(d->waiting_count == 0 && d->connections == 0);
			mem_free((void *)(uintptr_t)d->key.ptr);
			mem_free(d);
			d = next;
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
	return d->connections < d->connections_max && d->connections < d->window;
}

/* Puts the destination into the ring that its state asks for, or takes it out. After every change of what is asked here. */
static void settle_place(struct destination_table *table, struct destination *d)
{
	bool wanted = d->waiting_count > 0 && d->blocked_until_ms == 0 &&
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
	if ((d->blocked_until_ms != 0) != (until_ms != 0))
		table->blocked += until_ms != 0 ? 1 : (size_t)-1;
	d->blocked_until_ms = until_ms;
	settle_place(table, d);
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
		list_init(&d->waiting);
		list_init(&d->idle);
		d->window = WINDOW_FIRST;
		*at = d;
		table->count++;
	}
	(*at)->connections_max = connections_max;
	settle_place(table, *at);
	return *at;
}

bool destination_release(struct destination_table *table, struct destination *destination)
{
	if (destination->waiting_count > 0 || destination->connections > 0 || destination->blocked_until_ms != 0)
		return false;
	struct destination **at = slot(table, destination->key);
	ASSERT(*at == destination);
	*at = destination->next;
	list_remove(&destination->runnable_link);
	table->count--;
	mem_free((void *)(uintptr_t)destination->key.ptr);
	mem_free(destination);
	return true;
}

size_t destination_count(const struct destination_table *table)
{
	return table->count;
}

void destination_add(struct destination_table *table, struct destination *destination, struct list *delivery)
{
	list_append(&destination->waiting, delivery);
	destination->waiting_count++;
	settle_place(table, destination);
}

void destination_add_first(struct destination_table *table, struct destination *destination, struct list *delivery)
{
	list_prepend(&destination->waiting, delivery);
	destination->waiting_count++;
	settle_place(table, destination);
}

struct list *destination_take(struct destination_table *table, struct destination *destination)
{
	struct list *delivery = list_take_first(&destination->waiting);
	if (delivery != NULL)
		destination->waiting_count--;
	settle_place(table, destination);
	return delivery;
}

struct list *destination_first(const struct destination *destination)
{
	return list_is_empty(&destination->waiting) ? NULL : destination->waiting.next;
}

struct list *destination_take_fitting(struct destination_table *table, struct destination *destination,
	bool (*fits)(void *owner, struct list *delivery), void *owner)
{
	struct list *delivery = destination->waiting.next;
	for (size_t i = 0; i < LOOK_AHEAD && delivery != &destination->waiting; i++, delivery = delivery->next) {
		if (!fits(owner, delivery))
			continue;
		list_remove(delivery);
		destination->waiting_count--;
		settle_place(table, destination);
		return delivery;
	}
	return NULL;
}

void destination_opened(struct destination_table *table, struct destination *destination)
{
	destination->connections++;
	settle_place(table, destination);
}

void destination_closed(struct destination_table *table, struct destination *destination)
{
	ASSERT(destination->connections > 0);
	destination->connections--;
	settle_place(table, destination);
}

void destination_connected(struct destination_table *table, struct destination *destination)
{
	destination->failures = 0;
	set_blocked(table, destination, 0);
}

void destination_succeeded(struct destination_table *table, struct destination *destination)
{
	bool may_grow = !destination->is_full || ++destination->successes % GROW_AGAIN_AFTER == 0;
	if (may_grow && destination->window < destination->connections_max)
		destination->window++;
	destination_connected(table, destination);
}

void destination_refused_more(struct destination_table *table, struct destination *destination)
{
	ASSERT(destination->connections > 1);
	destination->is_full = true;
	destination->successes = 0;
	destination->window = destination->connections - 1;
	settle_place(table, destination);
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
	destination->is_full = false;
	set_blocked(table, destination, now_ms + wait_ms);
}

void destination_idle_add(struct destination_table *table, struct destination *destination, struct list *connection)
{
	list_append(&destination->idle, connection);
	settle_place(table, destination);
}

struct list *destination_idle_take(struct destination_table *table, struct destination *destination)
{
	struct list *connection = list_take_first(&destination->idle);
	settle_place(table, destination);
	return connection;
}

void destination_idle_remove(struct destination_table *table, struct destination *destination, struct list *connection)
{
	list_remove(connection);
	settle_place(table, destination);
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

int64_t destination_unblock(struct destination_table *table, int64_t now_ms)
{
	int64_t next_ms = INT64_MAX;
	if (table->blocked == 0)
		return next_ms;
	for (size_t i = 0; i < table->bucket_count; i++) {
		struct destination *next;
		for (struct destination *d = table->buckets[i]; d != NULL; d = next) {
			next = d->next;
			if (d->blocked_until_ms != 0 && d->blocked_until_ms <= now_ms) {
				set_blocked(table, d, 0);
				/* Its deliveries wait on disk; without any here it need not be remembered. */
				(void)destination_release(table, d);
			} else if (d->blocked_until_ms != 0 && d->blocked_until_ms < next_ms) {
				next_ms = d->blocked_until_ms;
			}
		}
	}
	return next_ms;
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
