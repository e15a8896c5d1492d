#include "store/site_map.h"

#include "base/buf.h"
#include "base/mem.h"

#define SLOTS_FIRST 256u
#define TEXT_MAX UINT16_MAX

struct entry {
	size_t at; /* of its texts, the domain's and the site's behind it */
	uint16_t domain_len, site_len; /* domain_len 0: the slot is free */
	bool is_marked;
};

struct site_map {
	struct entry *slots;
	size_t slot_count; /* a power of two, at least twice `count` */
	size_t count;
	struct buf texts;
};

struct site_map *site_map_new(void)
{
	struct site_map *map = mem_alloc(sizeof *map);
	map->slot_count = SLOTS_FIRST;
	map->slots = mem_alloc_array(map->slot_count, sizeof *map->slots);
	return map;
}

void site_map_free(struct site_map *map)
{
	if (map == NULL)
		return;
	buf_clear(&map->texts);
	mem_free(map->slots);
	mem_free(map);
}

static struct view domain_of(const struct site_map *map, const struct entry *e)
{
	return view_sub(buf_view(&map->texts), e->at, e->domain_len);
}

/* The one with that domain, or the free one where it belongs. */
static struct entry *slot_of(const struct site_map *map, struct view domain)
{
	size_t i = view_hash_nocase(domain) & (map->slot_count - 1);
	while (map->slots[i].domain_len > 0 && !view_eq_nocase(domain_of(map, &map->slots[i]), domain))
		i = (i + 1) & (map->slot_count - 1);
	return &map->slots[i];
}

static void grow(struct site_map *map)
{
	struct entry *old = map->slots;
	size_t old_count = map->slot_count;
	map->slot_count = old_count * 2;
	map->slots = mem_alloc_array(map->slot_count, sizeof *map->slots);
	for (size_t i = 0; i < old_count; i++)
		if (old[i].domain_len > 0)
			*slot_of(map, domain_of(map, &old[i])) = old[i];
	mem_free(old);
}

void site_map_add(struct site_map *map, struct view domain, struct view site)
{
	if (domain.len == 0 || domain.len > TEXT_MAX || site.len > TEXT_MAX)
		return;
	if (map->count * 2 >= map->slot_count)
		grow(map);
	struct entry *e = slot_of(map, domain);
	if (e->domain_len > 0)
		return;
	struct entry made = {
		.at = map->texts.len, .domain_len = (uint16_t)domain.len, .site_len = (uint16_t)site.len
	};
	if (buf_append(&map->texts, domain) != ERR_OK || buf_append(&map->texts, site) != ERR_OK)
		return; /* what does not fit is not known */
	*e = made;
	map->count++;
}

size_t site_map_count(const struct site_map *map)
{
	return map->count;
}

bool site_map_find(const struct site_map *map, struct view domain, struct view *ret_site)
{
	if (map == NULL || domain.len == 0)
		return false;
	const struct entry *e = slot_of(map, domain);
	if (e->domain_len == 0)
		return false;
	*ret_site = view_sub(buf_view(&map->texts), e->at + e->domain_len, e->site_len);
	return true;
}

void site_map_mark(struct site_map *map, struct view domain)
{
	if (domain.len == 0)
		return;
	struct entry *e = slot_of(map, domain);
	e->is_marked = e->domain_len > 0;
}

bool site_map_next_unmarked(const struct site_map *map, size_t *at, struct view *ret_domain)
{
	for (; *at < map->slot_count; (*at)++) {
		const struct entry *e = &map->slots[*at];
		if (e->domain_len == 0 || e->is_marked)
			continue;
		*ret_domain = domain_of(map, e);
		(*at)++;
		return true;
	}
	return false;
}
