/*
 * Heap memory. Sizes from outside are bounded before they come here, so running out of memory is not a peer's doing and
 * not recoverable: these abort with a message, and the durable queue makes that safe.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

/* Zeroed memory; never NULL. Freed with mem_free(). */
void *mem_alloc(size_t size) __attribute__((malloc, returns_nonnull));
/* count × size zeroed bytes; aborts on overflow. */
void *mem_alloc_array(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
/* As realloc(); the new part is not zeroed. */
void *mem_resize(void *ptr, size_t size) __attribute__((returns_nonnull));
char *mem_dup_cstr(const char *s) __attribute__((malloc, returns_nonnull));
/* NULL is fine. */
void mem_free(void *ptr);

/* For `CLEANUP(mem_free_pointer) char *s = …`. */
#define CLEANUP(function) __attribute__((cleanup(function)))
static inline void mem_free_pointer(void *pointer_to_pointer)
{
	mem_free(*(void **)pointer_to_pointer);
}

#endif
