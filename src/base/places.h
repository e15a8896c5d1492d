/*
 * A bounded number of places (questions that are with the DNS servers, connections for policy files), shared out among groups, and a group's among
 * its members, so that one who keeps his places for long can't keep the others out:
 *
 * - A group has at most as many places as a quarter of those that are free, and one more; a member at most a sixteenth of what its group may
 *   have besides, and one more, and never more than PLACES_MEMBER_MAX. So while there are fewer groups than places, some are always free for
 *   one that has none yet, and that at once.
 * - When there is a choice, the group with the fewest places comes first, and its member with the fewest; equals take turns; one member's
 *   wishes come in the order they were made in.
 *
 * Groups and members are numbers of the owner's; they are forgotten once they have no place and want none. Pure.
 */
#ifndef BASE_PLACES_H
#define BASE_PLACES_H

#include "base/list.h"

#include <stdint.h>

#define PLACES_MEMBER_MAX 15u

struct places;
struct places_member;

struct places_key {
	uint64_t group, member;
};

/* A wish for a place, then the place: embedded in what needs one. Zeroed it is neither. */
struct place {
	struct list link; /* private: while it waits */
	struct places_member *member; /* private: NULL: it does not wait, and is not had */
	bool is_had;
};

/* `count` places, at least 1. `secret` is random: peers may choose what they are numbered by. */
struct places *places_new(size_t count, uint64_t secret);
/* No place may be waited for or had any more. NULL is fine. */
void places_free(struct places *places);

/* It waits for a place until places_next() gives it one, or it leaves. */
void places_want(struct places *places, struct place *place, struct places_key key);
/* The next that has a place now; NULL: nobody may have one. To be called until then after each places_want() and places_leave(). */
struct place *places_next(struct places *places);
/* It waits no more, or its place is free again. Nothing, if it does neither. */
void places_leave(struct places *places, struct place *place);

static inline bool places_is_waiting(const struct place *place)
{
	return place->member != NULL && !place->is_had;
}
size_t places_taken(const struct places *places);
/* Wishes that wait. */
size_t places_waiting(const struct places *places);
/* How many groups and members are known. */
size_t places_known(const struct places *places);

#endif
