#include "mailauth/dkim_private.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* The same for names that differ in case only. Sets the bit by which letters do: others that it makes alike are told apart when they are compared. */
static uint64_t mix(uint64_t hash, uint64_t bytes)
{
	hash = (hash ^ (bytes | 0x2020202020202020u)) * 0x9e3779b97f4a7c15u;
	return hash ^ hash >> 32;
}

static uint64_t hash_of(struct view name)
{
	uint64_t hash = name.len, bytes = 0;
	if (name.len < 8) {
		for (size_t i = 0; i < name.len; i++)
			bytes = bytes << 8 | name.ptr[i];
		return mix(hash, bytes);
	}
	for (size_t i = 0; i + 8 < name.len; i += 8) {
		memcpy(&bytes, name.ptr + i, 8);
		hash = mix(hash, bytes);
	}
	memcpy(&bytes, name.ptr + name.len - 8, 8);
	return mix(hash, bytes);
}

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

/* By name; those of one name from the bottom of the message up. Other names have the same hash only if somebody tries: they are told apart all the same. */
static int compare_fields(const void *a, const void *b)
{
	const struct dkim_field *one = a, *two = b;
	if (one->hash != two->hash)
		return one->hash < two->hash ? -1 : 1;
	const uint8_t *at_one = one->field.whole.ptr, *at_two = two->field.whole.ptr;
	int difference = compare_names(one->field.name, two->field.name);
	return difference != 0 ? difference : (at_one < at_two) - (at_one > at_two);
}

enum err dkim_fields_init(struct dkim_fields *fields, struct view headers)
{
	size_t count = 0, room = 32;
	struct dkim_field *sorted = mem_resize(NULL, room * sizeof sorted[0]);
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
		sorted[count++] = (struct dkim_field){ hash_of(field.name), field, 0, 0 };
	}
	qsort(sorted, count, sizeof sorted[0], compare_fields);
	*fields = (struct dkim_fields){ count, 0, sorted };
	return ERR_OK;
}

void dkim_fields_clear(struct dkim_fields *fields)
{
	mem_free(fields->sorted);
	*fields = (struct dkim_fields){ 0 };
}

void dkim_fields_rewind(struct dkim_fields *fields)
{
	fields->round++;
}

static bool is_named(const struct dkim_fields *fields, size_t i, uint64_t hash, struct view name)
{
	if (i >= fields->count || fields->sorted[i].hash != hash)
		return false;
	/* Most write a name as the field has it. */
	struct view found = fields->sorted[i].field.name;
	return view_eq(found, name) || view_eq_nocase(found, name);
}

/* Index of the first that is not before the hash, and with a name not before that either. */
static size_t search(const struct dkim_fields *fields, uint64_t hash, const struct view *name)
{
	size_t low = 0, high = fields->count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		const struct dkim_field *at = &fields->sorted[middle];
		if (at->hash < hash || (at->hash == hash && name != NULL && compare_names(at->field.name, *name) < 0))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Index of the first of that name; it is there if is_named() says so. */
static size_t find(const struct dkim_fields *fields, uint64_t hash, struct view name)
{
	size_t first = search(fields, hash, NULL);
	/* Another name of that hash stands before it, or it is not there. */
	if (first < fields->count && fields->sorted[first].hash == hash && !is_named(fields, first, hash, name))
		first = search(fields, hash, &name);
	return first;
}

const struct header_field *dkim_fields_take(struct dkim_fields *fields, struct view name)
{
	uint64_t hash = hash_of(name);
	size_t first = find(fields, hash, name);
	if (first == fields->count)
		return NULL;
	struct dkim_field *counter = &fields->sorted[first];
	if (counter->round != fields->round) {
		counter->round = fields->round;
		counter->taken = 0;
	}
	if (!is_named(fields, first + counter->taken, hash, name))
		return NULL;
	return &fields->sorted[first + counter->taken++].field;
}

size_t dkim_fields_find(const struct dkim_fields *fields, struct view name, size_t *ret_first)
{
	uint64_t hash = hash_of(name);
	size_t first = find(fields, hash, name), n = 0;
	while (is_named(fields, first + n, hash, name))
		n++;
	*ret_first = first;
	return n;
}
