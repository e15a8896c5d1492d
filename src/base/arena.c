#include "base/arena.h"

#include "base/mem.h"

#include <stdalign.h>
#include <string.h>

#define BLOCK_BYTES 1000u

struct arena_block {
	struct arena_block *next;
	size_t used;
	size_t size;
	alignas(max_align_t) uint8_t data[];
};

void arena_init(struct arena *arena, size_t budget_bytes)
{
	*arena = (struct arena){ .budget_bytes = budget_bytes };
}

void arena_clear(struct arena *arena)
{
	while (arena->blocks != NULL) {
		struct arena_block *next = arena->blocks->next;
		mem_free(arena->blocks);
		arena->blocks = next;
	}
	arena->used_bytes = 0;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	size_t left = arena->budget_bytes - arena->used_bytes;
	if (size > left || left - size < alignof(max_align_t))
		return NULL;
	size = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	if (size == 0)
		size = alignof(max_align_t);
	struct arena_block *block = arena->blocks;
	if (block == NULL || block->size - block->used < size) {
		size_t block_size = size > BLOCK_BYTES ? size : BLOCK_BYTES;
		struct arena_block *fresh = mem_alloc(sizeof *fresh + block_size);
		fresh->size = block_size;
		/* A large piece goes behind the current block, which may still have room for small ones. */
		if (block != NULL && block_size > BLOCK_BYTES) {
			fresh->next = block->next;
			block->next = fresh;
		} else {
			fresh->next = block;
			arena->blocks = fresh;
		}
		block = fresh;
	}
	void *p = block->data + block->used;
	block->used += size;
	arena->used_bytes += size;
	return p;
}

enum err arena_dup(struct arena *arena, struct view bytes, struct view *ret)
{
	if (bytes.len == 0) {
		*ret = VIEW_NONE;
		return ERR_OK;
	}
	uint8_t *copy = arena_alloc(arena, bytes.len);
	if (copy == NULL)
		return ERR_LIMIT;
	memcpy(copy, bytes.ptr, bytes.len);
	*ret = view_of(copy, bytes.len);
	return ERR_OK;
}
