#include "mailauth/dkim_private.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static int compare_names(struct view a, struct view b)
{
	size_t len = a.len < b.len ? a.len : b.len;
	for (size_t i = 0; i < len; i++) {
		int difference = ascii_lower(a.ptr[i]) - ascii_lower(b.ptr[i]);
		if (difference != 0)
			return difference;
	}
	return (a.len > b.len) - (a.len < b.len);
}

/* By name; those of one name from the bottom of the message up. */
static int compare_fields(const void *a, const void *b)
{
	const struct header_field *one = a, *two = b;
	int difference = compare_names(one->name, two->name);
	return difference != 0 ? difference : (one->whole.ptr < two->whole.ptr) - (one->whole.ptr > two->whole.ptr);
}

enum err dkim_fields_init(struct dkim_fields *fields, struct view headers)
{
	struct header_field field;
	struct view rest = headers;
	size_t count = 0;
	while (header_next(&rest, &field))
		count += field.name.len > 0;
	if (count > DKIM_FIELDS_MAX)
		return err_set(ERR_LIMIT, "more than %u header fields", DKIM_FIELDS_MAX);
	*fields = (struct dkim_fields){ .count = count };
	fields->sorted = mem_alloc_array(count + 1, sizeof fields->sorted[0]);
	fields->taken = mem_alloc_array(count + 1, sizeof fields->taken[0]);
	count = 0;
	while (header_next(&headers, &field))
		if (field.name.len > 0)
			fields->sorted[count++] = field;
	qsort(fields->sorted, count, sizeof fields->sorted[0], compare_fields);
	fields->from_count = dkim_fields_count(fields, VIEW("From"));
	return ERR_OK;
}

void dkim_fields_clear(struct dkim_fields *fields)
{
	mem_free(fields->sorted);
	mem_free(fields->taken);
	*fields = (struct dkim_fields){ 0 };
}

void dkim_fields_rewind(struct dkim_fields *fields)
{
	memset(fields->taken, 0, fields->count * sizeof fields->taken[0]);
}

/* Index of the first of that name, or of where it would be. */
static size_t find(const struct dkim_fields *fields, struct view name)
{
	size_t low = 0, high = fields->count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (compare_names(fields->sorted[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_named(const struct dkim_fields *fields, size_t i, struct view name)
{
	return i < fields->count && view_eq_nocase(fields->sorted[i].name, name);
}

const struct header_field *dkim_fields_take(struct dkim_fields *fields, struct view name)
{
	size_t first = find(fields, name);
	if (!is_named(fields, first, name) || !is_named(fields, first + fields->taken[first], name))
		return NULL;
	return &fields->sorted[first + fields->taken[first]++];
}

size_t dkim_fields_count(const struct dkim_fields *fields, struct view name)
{
	size_t first = find(fields, name), n = 0;
	while (is_named(fields, first + n, name))
		n++;
	return n;
}
