/* What the tests of destinations share. Included by tests only. */
#ifndef QUEUE_TESTING_DESTINATION_H
#define QUEUE_TESTING_DESTINATION_H

#include "queue/destination.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MAX_MS 3600000

static struct destination_table *table;

static inline int setup(void **state)
{
	(void)state;
	table = destination_table_new();
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	destination_table_free(table);
	return 0;
}

static inline struct destination *get(const char *key, uint32_t max)
{
	return destination_get(table, view_from_cstr(key), max);
}

static inline struct destination *next(void)
{
	return destination_next_runnable(table, DESTINATION_MAY_OPEN);
}

/* A destination that has proved itself may use all its connections at once. */
static inline struct destination *get_proven(const char *key, uint32_t max)
{
	struct destination *d = get(key, max);
	for (uint32_t i = 0; i < max; i++)
		destination_succeeded(table, d, 0);
	return d;
}

static inline int64_t wake(int64_t now_ms)
{
	while (destination_wake(table, now_ms))
		continue;
	return destination_next_wake_ms(table);
}

static inline void take_all(void *owner, struct destination *d)
{
	while (destination_take(table, d) != NULL)
		(*(int *)owner)++;
}

#endif
