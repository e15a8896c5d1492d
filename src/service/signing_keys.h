/* The keys that sign, parsed: an immutable set, shared by all threads and replaced as a whole when the store's keys change. */
#ifndef SERVICE_SIGNING_KEYS_H
#define SERVICE_SIGNING_KEYS_H

#include "mailauth/dkim_sign.h"
#include "store/db.h"

struct signing_keys;

/* The active keys of the store. Those that `old` (NULL: none) has as well are not parsed again. One that can't be read is left out, and logged. */
enum err signing_keys_load(struct db *db, const struct signing_keys *old, struct signing_keys **ret) MUST_CHECK;
struct signing_keys *signing_keys_ref(struct signing_keys *keys);
/* Any thread; NULL is fine. */
void signing_keys_unref(struct signing_keys *keys);
size_t signing_keys_count(const struct signing_keys *keys);

/* Those that sign for a domain (A-labels, lower case), RSA first (two at most), the newest of each kind, DKIM_SIGN_KEYS_MAX in all. With selectors only those that have one of these
 * names, or took the place of one that had. Borrowed: the set must be held. */
size_t signing_keys_find(const struct signing_keys *keys, struct view domain, size_t selector_count,
	const char *const *selectors, struct dkim_sign_key ret[DKIM_SIGN_KEYS_MAX]);

#endif
