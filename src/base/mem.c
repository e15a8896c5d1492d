#include "base/mem.h"

#include "base/err.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void *mem_alloc(size_t size)
{
	void *p = calloc(1, size > 0 ? size : 1);
	ASSERT(p != NULL);
	return p;
}

void *mem_alloc_array(size_t count, size_t size)
{
	ASSERT(size == 0 || count <= SIZE_MAX / size);
	return mem_alloc(count * size);
}

void *mem_resize(void *ptr, size_t size)
{
	void *p = realloc(ptr, size > 0 ? size : 1);
	ASSERT(p != NULL);
	return p;
}

char *mem_dup_cstr(const char *s)
{
	size_t n = strlen(s) + 1;
	char *p = mem_alloc(n);
	memcpy(p, s, n);
	return p;
}

void mem_free(void *ptr)
{
	free(ptr);
}
