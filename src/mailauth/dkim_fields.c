#include "mailauth/dkim_private.h"

#include "base/mem.h"

#include <stdlib.h>

static uint64_t front_of(struct view name)
{
	uint64_t front = 0;
	for (size_t i = 0; i < 8; i++)
		front = front << 8 | (i < name.len ? ascii_lower(name.ptr[i]) : 0);
	return front;
}

/* Most names differ in their first bytes, which are compared at once. */
static int compare_names(uint64_t front_a, struct view a, uint64_t front_b, struct view b)
{
	if (front_a != front_b)
		return front_a < front_b ? -1 : 1;
	size_t len = a.len < b.len ? a.len : b.len;
	for (size_t i = 8; i < len; i++) {
		int difference = ascii_lower(a.ptr[i]) - ascii_lower(b.ptr[i]);
		if (difference != 0)
			return difference;
	}
	return (a.len > b.len) - (a.len < b.len);
}

/* By name; those of one name from the bottom of the message up. */
static int compare_fields(const void *a, const void *b)
{
	const struct dkim_field *one = a, *two = b;
	const uint8_t *at_one = one->field.whole.ptr, *at_two = two->field.whole.ptr;
	int difference = compare_names(one->front, one->field.name, two->front, two->field.name);
	return difference != 0 ? difference : (at_one < at_two) - (at_one > at_two);
}

enum err dkim_fields_init(struct dkim_fields *fields, struct view headers)
{
	size_t count = 0, room = 32;
	struct dkim_field *sorted = mem_alloc_array(room, sizeof sorted[0]);
	struct header_field field;
	while (header_next(&headers, &field)) {
		if (field.name.len == 0)
			continue;
		if (count == DKIM_FIELDS_MAX) {
			mem_free(sorted);
			return err_set(ERR_LIMIT, "more than %u header fields", DKIM_FIELDS_MAX);
		}
		if (count == room)
			sorted = mem_resize(sorted, (room *= 2) * sizeof sorted[0]);
		sorted[count++] = (struct dkim_field){ front_of(field.name), field, 0 };
	}
	qsort(sorted, count, sizeof sorted[0], compare_fields);
	*fields = (struct dkim_fields){ count, sorted };
	return ERR_OK;
}

void dkim_fields_clear(struct dkim_fields *fields)
{
	mem_free(fields->sorted);
	*fields = (struct dkim_fields){ 0 };
}

void dkim_fields_rewind(struct dkim_fields *fields)
{
	for (size_t i = 0; i < fields->count; i++)
		fields->sorted[i].taken = 0;
}

/* Index of the first of that name, or of where it would be. */
static size_t find(const struct dkim_fields *fields, uint64_t front, struct view name)
{
	size_t low = 0, high = fields->count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		const struct dkim_field *at = &fields->sorted[middle];
		if (compare_names(at->front, at->field.name, front, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_named(const struct dkim_fields *fields, size_t i, uint64_t front, struct view name)
{
	return i < fields->count &&
		compare_names(fields->sorted[i].front, fields->sorted[i].field.name, front, name) == 0;
}

const struct header_field *dkim_fields_take(struct dkim_fields *fields, struct view name)
{
	uint64_t front = front_of(name);
	size_t first = find(fields, front, name);
	if (first == fields->count || !is_named(fields, first + fields->sorted[first].taken, front, name))
		return NULL;
	return &fields->sorted[first + fields->sorted[first].taken++].field;
}

size_t dkim_fields_find(const struct dkim_fields *fields, struct view name, size_t *ret_first)
{
	uint64_t front = front_of(name);
	size_t first = find(fields, front, name), n = 0;
	while (is_named(fields, first + n, front, name))
		n++;
	*ret_first = first;
	return n;
}
