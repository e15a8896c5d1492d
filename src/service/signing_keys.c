#include "service/signing_keys.h"

#include "base/log.h"
#include "base/mem.h"
#include "crypto/hash.h"
#include "store/dkim_store.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* A key may be in several sets, old and new. */
struct key {
	_Atomic unsigned holders;
	char *domain, *selector, *origin;
	uint8_t digest[HASH_BYTES]; /* of its PEM text */
	struct signature_private *key;
};

struct signing_keys {
	_Atomic unsigned holders;
	size_t count, room;
	struct key **sorted; /* by domain; of one domain RSA first, then newest first */
};

static void key_unref(struct key *key)
{
	if (atomic_fetch_sub(&key->holders, 1) > 1)
		return;
	signature_private_free(key->key);
	mem_free(key->domain);
	mem_free(key->selector);
	mem_free(key->origin);
	mem_free(key);
}

struct signing_keys *signing_keys_ref(struct signing_keys *keys)
{
	atomic_fetch_add(&keys->holders, 1);
	return keys;
}

void signing_keys_unref(struct signing_keys *keys)
{
	if (keys == NULL || atomic_fetch_sub(&keys->holders, 1) > 1)
		return;
	for (size_t i = 0; i < keys->count; i++)
		key_unref(keys->sorted[i]);
	mem_free(keys->sorted);
	mem_free(keys);
}

size_t signing_keys_count(const struct signing_keys *keys)
{
	return keys->count;
}

/* The first of the domain, or where it would be. */
static size_t first_of(const struct signing_keys *keys, struct view domain)
{
	size_t low = 0, high = keys->count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (view_compare(view_from_cstr(keys->sorted[middle]->domain), domain) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_of(const struct signing_keys *keys, size_t i, struct view domain)
{
	return i < keys->count && view_eq(view_from_cstr(keys->sorted[i]->domain), domain);
}

static struct key *find_old(const struct signing_keys *old, const struct dkim_row *row, const uint8_t *digest)
{
	for (size_t i = old != NULL ? first_of(old, row->domain) : 0; old != NULL && is_of(old, i, row->domain); i++)
		if (view_eq(view_from_cstr(old->sorted[i]->selector), row->selector) &&
			memcmp(old->sorted[i]->digest, digest, HASH_BYTES) == 0)
			return old->sorted[i];
	return NULL;
}

struct loading {
	const struct signing_keys *old;
	struct signing_keys *keys;
};

static struct key *make_key(const struct dkim_row *row, const uint8_t *digest)
{
	struct signature_private *parsed = NULL;
	enum err err = signature_private_read_pem(row->private_key, &parsed);
	if (err == ERR_OK && signature_private_kind(parsed) == SIGNATURE_RSA &&
		signature_private_bits(parsed) < DKIM_RSA_MIN_BITS) {
		signature_private_free(parsed);
		err = err_set(ERR_LIMIT, "the key is too short");
	}
	if (err != ERR_OK) {
		LOG(LOG_LEVEL_ERROR, "dkim-key-unusable", LOG_TEXT("domain", row->domain),
			LOG_TEXT("selector", row->selector), LOG_CSTR("reason", err_detail()));
		return NULL;
	}
	struct key *key = mem_alloc(sizeof *key);
	atomic_init(&key->holders, 1);
	key->domain = view_to_cstr(row->domain);
	key->selector = view_to_cstr(row->selector);
	key->origin = view_to_cstr(row->origin);
	memcpy(key->digest, digest, HASH_BYTES);
	key->key = parsed;
	return key;
}

static void take_row(void *owner, const struct dkim_row *row)
{
	struct loading *loading = owner;
	struct signing_keys *keys = loading->keys;
	uint8_t digest[HASH_BYTES];
	hash_once(row->private_key, digest);
	struct key *key = find_old(loading->old, row, digest);
	if (key != NULL)
		atomic_fetch_add(&key->holders, 1);
	else
		key = make_key(row, digest);
	if (key == NULL)
		return;
	if (keys->count == keys->room) {
		keys->room = keys->room * 2 + 8;
		keys->sorted = mem_resize(keys->sorted, keys->room * sizeof keys->sorted[0]);
	}
	keys->sorted[keys->count++] = key;
}

/* Rows come oldest first, and stay in that order where they are equal otherwise: the position is the last thing compared. */
struct ranked {
	struct key *key;
	size_t position;
};

static int compare(const void *a, const void *b)
{
	const struct ranked *one = a, *two = b;
	int difference = view_compare(view_from_cstr(one->key->domain), view_from_cstr(two->key->domain));
	if (difference != 0)
		return difference;
	bool is_rsa = signature_private_kind(one->key->key) == SIGNATURE_RSA;
	if (is_rsa != (signature_private_kind(two->key->key) == SIGNATURE_RSA))
		return is_rsa ? -1 : 1;
	return (one->position < two->position) - (one->position > two->position);
}

static void sort(struct signing_keys *keys)
{
	struct ranked *ranked = mem_alloc_array(keys->count > 0 ? keys->count : 1, sizeof *ranked);
	for (size_t i = 0; i < keys->count; i++)
		ranked[i] = (struct ranked){ keys->sorted[i], i };
	qsort(ranked, keys->count, sizeof *ranked, compare);
	for (size_t i = 0; i < keys->count; i++)
		keys->sorted[i] = ranked[i].key;
	mem_free(ranked);
}

enum err signing_keys_load(struct db *db, const struct signing_keys *old, struct signing_keys **ret)
{
	struct loading loading = { old, mem_alloc(sizeof *loading.keys) };
	atomic_init(&loading.keys->holders, 1);
	enum err err = dkim_store_list_state(db, VIEW_NONE, DKIM_STATE_ACTIVE, take_row, &loading);
	if (err != ERR_OK) {
		signing_keys_unref(loading.keys);
		return err;
	}
	sort(loading.keys);
	*ret = loading.keys;
	return ERR_OK;
}

static bool is_wanted(const struct key *key, size_t selector_count, const char *const *selectors)
{
	for (size_t i = 0; i < selector_count; i++) {
		struct view selector = view_from_cstr(selectors[i]);
		if (view_eq_nocase(view_from_cstr(key->selector), selector) ||
			view_eq_nocase(view_from_cstr(key->origin), selector))
			return true;
	}
	return selector_count == 0;
}

/* Keys of RSA take at most half of the places, so that there is one left for Ed25519. */
size_t signing_keys_find(const struct signing_keys *keys, struct view domain, size_t selector_count,
	const char *const *selectors, struct dkim_sign_key ret[DKIM_SIGN_KEYS_MAX])
{
	size_t n = 0, rsa = 0;
	for (size_t i = first_of(keys, domain); is_of(keys, i, domain) && n < DKIM_SIGN_KEYS_MAX; i++) {
		const struct key *key = keys->sorted[i];
		bool is_rsa = signature_private_kind(key->key) == SIGNATURE_RSA;
		if (!is_wanted(key, selector_count, selectors) || (is_rsa && rsa == DKIM_SIGN_KEYS_MAX / 2))
			continue;
		rsa += is_rsa;
		ret[n++] = (struct dkim_sign_key){ view_from_cstr(key->selector), key->key };
	}
	return n;
}
