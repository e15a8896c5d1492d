#include "mailauth/dkim_keys_private.h"

#include "base/mem.h"

#include <string.h>

/* A table of sets, each with a few places: looking up and making room touch one set only, whatever a peer publishes. */
enum { PLACES = 4 };

struct place {
	uint8_t name[HASH_BYTES]; /* the digest of kind and p=: no one finds another key with the same */
	struct signature_public *key; /* NULL: free */
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

void dkim_keys_free(struct dkim_keys *keys)
{
	for (size_t i = 0; keys != NULL && i < keys->set_count * PLACES; i++)
		signature_public_free(keys->places[i].key);
	mem_free(keys);
}

static struct place *set_of(struct dkim_keys *keys, enum signature_kind kind, struct view p, uint8_t name[HASH_BYTES])
{
	uint8_t kind_byte = (uint8_t)kind;
	struct hash *hash = hash_new();
	hash_feed(hash, view_of(&kind_byte, 1));
	hash_feed(hash, p);
	hash_finish(hash, name);
	hash_free(hash);
	uint64_t number;
	memcpy(&number, name, sizeof number);
	return &keys->places[number % keys->set_count * PLACES];
}

struct signature_public *dkim_keys_find(struct dkim_keys *keys, enum signature_kind kind, struct view p)
{
	uint8_t name[HASH_BYTES];
	struct place *set = set_of(keys, kind, p, name);
	keys->now++;
	for (size_t i = 0; i < PLACES; i++)
		if (set[i].key != NULL && memcmp(set[i].name, name, HASH_BYTES) == 0) {
			set[i].used = keys->now;
			return signature_public_dup(set[i].key);
		}
	return NULL;
}

void dkim_keys_add(struct dkim_keys *keys, enum signature_kind kind, struct view p, const struct signature_public *key)
{
	uint8_t name[HASH_BYTES];
	struct place *set = set_of(keys, kind, p, name), *oldest = set;
	for (size_t i = 0; i < PLACES; i++)
		if (set[i].key == NULL || (oldest->key != NULL && set[i].used < oldest->used))
			oldest = &set[i];
	signature_public_free(oldest->key);
	oldest->key = signature_public_dup(key);
	oldest->used = keys->now;
	memcpy(oldest->name, name, HASH_BYTES);
}
