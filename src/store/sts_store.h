/* MTA-STS policies of other domains, as fetched. Synchronous calls on a struct db. Domains are A-labels in lower case. */
#ifndef STORE_STS_STORE_H
#define STORE_STS_STORE_H

#include "base/arena.h"
#include "store/db.h"

struct sts_stored {
	struct view id; /* of the DNS record when it was fetched */
	struct view policy; /* the file */
	int64_t fetched_ms, expires_ms; /* wall clock */
	int64_t used_ms; /* when mail last asked for it; to the day is enough */
};

/* Adds, or replaces the domain's. */
enum err sts_store_put(struct db *db, struct view domain, const struct sts_stored *stored) MUST_CHECK;
/* Copies into the arena. ERR_NOT_FOUND; ERR_LIMIT. One that expired is found, too. */
enum err sts_store_get(struct db *db, struct view domain, struct arena *arena, struct sts_stored *ret) MUST_CHECK;
enum err sts_store_mark_used(struct db *db, struct view domain, int64_t used_ms) MUST_CHECK;
/* Domains whose policy is to be fetched anew before it expires: fetched before `fetched_before_ms`, or past half of its time at `now_ms`; and used
 * since `used_after_ms`. The one that expires first comes first. */
enum err sts_store_list_stale(struct db *db, int64_t now_ms, int64_t fetched_before_ms, int64_t used_after_ms,
	size_t limit, void (*each)(void *owner, struct view domain), void *owner) MUST_CHECK;
/* Removes those that expired. */
enum err sts_store_tidy(struct db *db, int64_t now_ms) MUST_CHECK;

#endif
