/* Messages sent per egress address and day, on disk: ceilings of warm-up plans hold over a restart. Synchronous, used inside store jobs. */
#ifndef STORE_EGRESS_STORE_H
#define STORE_EGRESS_STORE_H

#include "store/db.h"

/* `day`: since 1970, UTC (queue/egress.h). Takes the place of what was written before. */
enum err egress_store_set(struct db *db, struct view egress, int64_t day, uint64_t messages) MUST_CHECK;
/* Calls row() for each address and day from this one on, in order of day, then name. */
enum err egress_store_load(struct db *db, int64_t from_day,
	void (*row)(void *owner, struct view egress, int64_t day, uint64_t messages), void *owner) MUST_CHECK;
/* Forgets the days before this one. */
enum err egress_store_prune(struct db *db, int64_t before_day) MUST_CHECK;

#endif
