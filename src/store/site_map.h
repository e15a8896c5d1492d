/*
 * Domains and their sites in memory: what a running server knows of the domains that it sends to, for a look through the queue; and a set of domains
 * of which some are found to be in use. Domains are compared without regard to case. Read by several threads once it is filled.
 */
#ifndef STORE_SITE_MAP_H
#define STORE_SITE_MAP_H

#include "base/view.h"

struct site_map;

struct site_map *site_map_new(void);
void site_map_free(struct site_map *map); /* NULL is fine */
/* Both are copied. A domain that is there already keeps its site. Nothing is added whose texts are empty (the domain) or very long (> 64 KiB). */
void site_map_add(struct site_map *map, struct view domain, struct view site);
size_t site_map_count(const struct site_map *map);
/* False: the domain is not there; also for a NULL map. The site is borrowed until the map grows. */
bool site_map_find(const struct site_map *map, struct view domain, struct view *ret_site);

/* The domain is in use, if it is there. */
void site_map_mark(struct site_map *map, struct view domain);
/* The next domain that is not, from *at (0 at first) on; false: there is none. */
bool site_map_next_unmarked(const struct site_map *map, size_t *at, struct view *ret_domain);

#endif
