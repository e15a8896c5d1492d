/*
 * Memory that lives and dies together: one arena per connection, transaction or message. It has a byte budget; what does
 * not fit is NULL (callers answer with their protocol's "too much"), so a peer can't make it grow without end.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/view.h"

struct arena_block;
struct arena {
	struct arena_block *blocks;
	size_t used_bytes; /* handed out, rounded up */
	size_t budget_bytes;
};

void arena_init(struct arena *arena, size_t budget_bytes);
/* Frees everything; the arena is empty and usable again. */
void arena_clear(struct arena *arena);
/* Zeroed, aligned for any type; NULL when the budget does not allow it. */
void *arena_alloc(struct arena *arena, size_t size) MUST_CHECK;
/* A copy of the bytes inside the arena. ERR_LIMIT when the budget does not allow it. An empty view stays empty. */
enum err arena_dup(struct arena *arena, struct view bytes, struct view *ret) MUST_CHECK;

#endif
