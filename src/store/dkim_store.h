/*
 * DKIM's keys. Synchronous calls on a struct db. Domains and selectors are lower-case A-labels. The private key is in the row: whoever hands a row
 * on sees to it that it goes no further.
 *
 *   new ──(its record was seen in DNS)──▶ active ──▶ retired ──▶ removed
 *
 * A key that takes another's place has the same `origin` as that one: when it becomes active, that one retires.
 */
#ifndef STORE_DKIM_STORE_H
#define STORE_DKIM_STORE_H

#include "store/db.h"

#define DKIM_STORE_SELECTOR_MAX_BYTES 128u
#define DKIM_STORE_KEYS_MAX 64u /* of one domain */

enum dkim_state { DKIM_STATE_NEW, DKIM_STATE_ACTIVE, DKIM_STATE_RETIRED };
enum { DKIM_STATE_COUNT = DKIM_STATE_RETIRED + 1 };
/* "new", "active", "retired" */
const char *dkim_state_name(enum dkim_state state);

struct dkim_row {
	struct view domain, selector;
	struct view algorithm; /* "rsa", "ed25519" */
	struct view origin; /* empty in dkim_store_put(): the selector itself */
	struct view private_key; /* PEM */
	enum dkim_state state;
	int64_t created_ms, activated_ms, retired_ms; /* 0: not yet */
};

/* ERR_SYNTAX for a malformed domain or selector; ERR_EXISTS: the domain has such a selector; ERR_LIMIT: too many keys. */
enum err dkim_store_put(struct db *db, const struct dkim_row *row) MUST_CHECK;
/* Every key, of one domain or (empty) of all; by domain, then oldest first. Views until the callback returns. */
enum err dkim_store_list(struct db *db, struct view domain, void (*row)(void *owner, const struct dkim_row *row),
	void *owner) MUST_CHECK;
/* The same, of one state. */
enum err dkim_store_list_state(struct db *db, struct view domain, enum dkim_state state,
	void (*row)(void *owner, const struct dkim_row *row), void *owner) MUST_CHECK;
/* It signs from now on, and the active one whose place it takes retires. ERR_NOT_FOUND; one that is active already stays as it is. */
enum err dkim_store_activate(struct db *db, struct view domain, struct view selector, int64_t now_ms) MUST_CHECK;
/* It signs no more. ERR_NOT_FOUND; one that is retired already stays as it is. */
enum err dkim_store_retire(struct db *db, struct view domain, struct view selector, int64_t now_ms) MUST_CHECK;
/* ERR_NOT_FOUND; ERR_STATE: it is active. */
enum err dkim_store_remove(struct db *db, struct view domain, struct view selector) MUST_CHECK;

#endif
