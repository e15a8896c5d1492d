#include "base/places.h"

#include "base/err.h"
#include "base/mem.h"

#define BUCKETS 1024u

struct places_group {
	struct places_group *next; /* hash chain */
	uint64_t key;
	struct list link; /* in places->ready, while any of it waits */
	size_t taken, waiting;
	size_t member_count;
	struct list ready[PLACES_MEMBER_MAX + 1]; /* members that wait, by how many places they have */
};

struct places_member {
	struct places_member *next; /* hash chain */
	uint64_t key;
	struct places_group *group;
	struct list link; /* in group->ready, while it waits */
	size_t taken;
	struct list waiting;
};

struct places {
	size_t count, taken, waiting, known;
	uint64_t secret;
	struct places_group *groups[BUCKETS];
	struct places_member *members[BUCKETS];
	size_t ready_count;
	struct list ready[]; /* groups that wait, by how many places they have */
};

/* What a group may have while `room` places are free: it reaches this only while the others leave that much. */
static size_t share_of_group(size_t room)
{
	return 1 + room / 4;
}

/* The same for a member of a group that may have `room` more. Less of it, since members cost their owner less than groups do. */
static size_t share_of_member(size_t room)
{
	return 1 + room / 16;
}

/* The finaliser of MurmurHash3: every bit of the input reaches every bit of the output. */
static uint64_t mix(uint64_t h)
{
	h = (h ^ h >> 33) * UINT64_C(0xff51afd7ed558ccd);
	h = (h ^ h >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
	return h ^ h >> 33;
}

static struct places_group **group_slot(struct places *places, uint64_t key)
{
	struct places_group **at = &places->groups[mix(key ^ places->secret) % BUCKETS];
	while (*at != NULL && (*at)->key != key)
		at = &(*at)->next;
	return at;
}

static struct places_member **member_slot(struct places *places, const struct places_group *group, uint64_t key)
{
	struct places_member **at = &places->members[mix(mix(group->key ^ places->secret) + key) % BUCKETS];
	while (*at != NULL && ((*at)->group != group || (*at)->key != key))
		at = &(*at)->next;
	return at;
}

struct places *places_new(size_t count, uint64_t secret)
{
	ASSERT(count > 0 && count <= UINT32_MAX);
	size_t ready_count = share_of_group(count) + 1;
	struct places *places = mem_alloc(sizeof *places + ready_count * sizeof places->ready[0]);
	places->count = count;
	places->secret = secret;
	places->ready_count = ready_count;
	for (size_t i = 0; i < ready_count; i++)
		list_init(&places->ready[i]);
	return places;
}

void places_free(struct places *places)
{
	ASSERT(places == NULL || places->known == 0);
	mem_free(places);
}

static struct places_group *group_get(struct places *places, uint64_t key)
{
	struct places_group **at = group_slot(places, key);
	if (*at != NULL)
		return *at;
	struct places_group *group = *at = mem_alloc(sizeof *group);
	group->key = key;
	list_init(&group->link);
	for (size_t i = 0; i <= PLACES_MEMBER_MAX; i++)
		list_init(&group->ready[i]);
	places->known++;
	return group;
}

static struct places_member *member_get(struct places *places, struct places_key key)
{
	struct places_group *group = group_get(places, key.group);
	struct places_member **at = member_slot(places, group, key.member);
	if (*at != NULL)
		return *at;
	struct places_member *member = *at = mem_alloc(sizeof *member);
	member->key = key.member;
	member->group = group;
	list_init(&member->link);
	list_init(&member->waiting);
	group->member_count++;
	places->known++;
	return member;
}

static void forget_if_idle(struct places *places, struct places_member *member)
{
	struct places_group *group = member->group;
	if (member->taken > 0 || !list_is_empty(&member->waiting))
		return;
	*member_slot(places, group, member->key) = member->next;
	mem_free(member);
	group->member_count--;
	places->known--;
	if (group->member_count > 0)
		return;
	*group_slot(places, group->key) = group->next;
	mem_free(group);
	places->known--;
}

/* Both at the end of the list for how many places they have, if they wait: so equals take turns. */
static void line_up(struct places *places, struct places_member *member)
{
	struct places_group *group = member->group;
	list_remove(&member->link);
	list_remove(&group->link);
	if (!list_is_empty(&member->waiting))
		list_append(&group->ready[member->taken], &member->link);
	if (group->waiting > 0)
		list_append(&places->ready[group->taken], &group->link);
}

void places_want(struct places *places, struct place *place, struct places_key key)
{
	ASSERT(place->member == NULL);
	struct places_member *member = member_get(places, key);
	place->member = member;
	place->is_had = false;
	list_append(&member->waiting, &place->link);
	places->waiting++;
	/* Who waits already keeps his turn. */
	bool is_first = member->group->waiting++ == 0;
	if (list_is_empty(&member->link))
		list_append(&member->group->ready[member->taken], &member->link);
	if (is_first)
		list_append(&places->ready[member->group->taken], &member->group->link);
}

/* The member of the group whose turn it is, if it may have one more. */
static struct places_member *next_member(const struct places_group *group, size_t share)
{
	size_t most = share_of_member(share - group->taken);
	for (size_t taken = 0; taken < PLACES_MEMBER_MAX && taken < most; taken++)
		if (!list_is_empty(&group->ready[taken]))
			return LIST_ENTRY(group->ready[taken].next, struct places_member, link);
	return NULL;
}

static struct place *give(struct places *places, struct places_member *member)
{
	struct place *place = LIST_ENTRY(member->waiting.next, struct place, link);
	list_remove(&place->link);
	place->is_had = true;
	member->taken++;
	member->group->taken++;
	member->group->waiting--;
	places->taken++;
	places->waiting--;
	line_up(places, member);
	return place;
}

struct place *places_next(struct places *places)
{
	size_t room = places->count - places->taken;
	size_t share = share_of_group(room);
	if (room == 0 || places->waiting == 0)
		return NULL;
	/* Groups of which no member may have more are passed by: each of them has a place, so they are not many. */
	for (size_t taken = 0; taken < share; taken++)
		for (struct list *l = places->ready[taken].next; l != &places->ready[taken]; l = l->next) {
			struct places_member *member = next_member(LIST_ENTRY(l, struct places_group, link), share);
			if (member != NULL)
				return give(places, member);
		}
	return NULL;
}

void places_leave(struct places *places, struct place *place)
{
	struct places_member *member = place->member;
	if (member == NULL)
		return;
	struct places_group *group = member->group;
	place->member = NULL;
	if (place->is_had) {
		member->taken--;
		group->taken--;
		places->taken--;
		place->is_had = false;
		line_up(places, member);
	} else {
		list_remove(&place->link);
		group->waiting--;
		places->waiting--;
		if (list_is_empty(&member->waiting))
			list_remove(&member->link);
		if (group->waiting == 0)
			list_remove(&group->link);
	}
	forget_if_idle(places, member);
}

size_t places_taken(const struct places *places)
{
	return places->taken;
}

size_t places_waiting(const struct places *places)
{
	return places->waiting;
}

size_t places_known(const struct places *places)
{
	return places->known;
}
