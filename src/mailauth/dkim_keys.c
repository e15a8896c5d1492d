#include "mailauth/dkim_keys_private.h"

#include "base/mem.h"

#include <string.h>

/* A table of sets, each with a few places: looking up and making room touch one set only, whatever a peer publishes. */
enum { PLACES = 4 };

struct place {
	struct view text; /* owned; empty: free */
	struct dkim_key key;
	uint64_t used; /* when, in look-ups */
};

struct dkim_keys {
	size_t set_count;
	uint64_t now;
	struct place places[];
};

struct dkim_keys *dkim_keys_new(size_t capacity)
{
	size_t sets = (capacity + PLACES - 1) / PLACES;
	sets = sets > 0 ? sets : 1;
	ASSERT(sets < SIZE_MAX / 2 / PLACES / sizeof(struct place));
	struct dkim_keys *keys = mem_alloc(sizeof *keys + sets * PLACES * sizeof keys->places[0]);
	keys->set_count = sets;
	return keys;
}

static void clear_place(struct place *place)
{
	mem_free((void *)(uintptr_t)place->text.ptr);
	dkim_key_clear(&place->key);
	*place = (struct place){ 0 };
}

void dkim_keys_free(struct dkim_keys *keys)
{
	for (size_t i = 0; keys != NULL && i < keys->set_count * PLACES; i++)
		clear_place(&keys->places[i]);
	mem_free(keys);
}

static struct place *set_of(struct dkim_keys *keys, struct view text)
{
	/* A key's last bytes, before the exponent that all have, tell it well enough. Who makes his like another's only shares its set. */
	size_t from = text.len > 64 ? text.len - 64 : 0;
	return &keys->places[view_hash(view_from(text, from)) % keys->set_count * PLACES];
}

static void dup_key(const struct dkim_key *key, struct dkim_key *ret)
{
	*ret = *key;
	if (key->key != NULL)
		ret->key = signature_public_dup(key->key);
}

static void remember(struct dkim_keys *keys, struct place *set, struct view text, const struct dkim_key *key)
{
	struct place *oldest = set;
	for (size_t i = 1; i < PLACES; i++)
		if (set[i].used < oldest->used)
			oldest = &set[i];
	clear_place(oldest);
	uint8_t *copy = mem_alloc(text.len);
	memcpy(copy, text.ptr, text.len);
	oldest->text = view_of(copy, text.len);
	oldest->used = keys->now;
	dup_key(key, &oldest->key);
}

const char *dkim_keys_parse(struct dkim_keys *keys, struct view text, struct dkim_key *ret)
{
	if (keys == NULL || text.len == 0)
		return dkim_key_parse(text, ret);
	struct place *set = set_of(keys, text);
	keys->now++;
	for (size_t i = 0; i < PLACES; i++)
		if (view_eq(set[i].text, text)) {
			set[i].used = keys->now;
			dup_key(&set[i].key, ret);
			return NULL;
		}
	const char *wrong = dkim_key_parse(text, ret);
	if (wrong == NULL)
		remember(keys, set, text, ret);
	return wrong;
}
