/* Domains, accounts and aliases. Synchronous calls on a struct db. Domains are lower-case A-labels; local parts are kept as given and
 * looked up without ASCII case. */
#ifndef STORE_DIRECTORY_STORE_H
#define STORE_DIRECTORY_STORE_H

#include "base/arena.h"
#include "base/buf.h"
#include "store/db.h"

enum err directory_domain_add(struct db *db, struct view domain) MUST_CHECK; /* ERR_EXISTS */
enum err directory_domain_remove(
	struct db *db, struct view domain) MUST_CHECK; /* ERR_NOT_FOUND; ERR_STATE: accounts or aliases left */
enum err directory_domain_list(struct db *db, void (*row)(void *owner, struct view domain), void *owner) MUST_CHECK;
enum err directory_domain_exists(struct db *db, struct view domain, bool *ret) MUST_CHECK;

/* `password_hash` is crypto/password.h's text; empty = no login possible. ERR_EXISTS (also an alias), ERR_NOT_FOUND: no such domain. */
enum err directory_account_add(struct db *db, struct view address, struct view password_hash) MUST_CHECK;
enum err directory_account_set_password(struct db *db, struct view address, struct view password_hash) MUST_CHECK;
enum err directory_account_remove(struct db *db, struct view address) MUST_CHECK; /* mail on disk stays */
enum err directory_account_list(struct db *db, struct view domain /* empty: all */,
	void (*row)(void *owner, struct view address, bool can_log_in), void *owner) MUST_CHECK;
/* ERR_NOT_FOUND. Copies into the bufs. ret_address is the account's address as stored. */
enum err directory_account_login(
	struct db *db, struct view login, struct buf *ret_address, struct buf *ret_password_hash) MUST_CHECK;

/* An alias "local@domain", or "@domain" for a catch-all, to one or more addresses (ours or others'). */
enum err directory_alias_add(
	struct db *db, struct view alias, struct view target) MUST_CHECK; /* ERR_EXISTS: this pair, or an account */
enum err directory_alias_remove(struct db *db, struct view alias, struct view target /* empty: all */) MUST_CHECK;
enum err directory_alias_list(struct db *db, struct view domain,
	void (*row)(void *owner, struct view alias, struct view target), void *owner) MUST_CHECK;

enum directory_result {
	DIRECTORY_NOT_OURS, /* the domain is not ours */
	DIRECTORY_UNKNOWN, /* ours, but no such mailbox */
	DIRECTORY_FOUND, /* targets */
};
struct directory_target {
	struct view address; /* canonical address to deliver to */
	bool is_mailbox; /* one of our accounts (then `mailbox` is its stored address); else it goes to another domain */
	struct view mailbox;
};
struct directory_lookup {
	enum directory_result result;
	size_t target_count;
	struct directory_target *targets;
};
/* Where mail for local@domain goes: account; else the account without what stands behind the first of `delimiter`'s characters (plus-address); else
 * alias (also without the tag), followed through aliases of ours to at most 10 levels and 1,000 targets, duplicates and loops dropped; else the
 * catch-all. "postmaster" (RFC 5321 §4.5.1) and, the same way, "abuse" of our domains fall back to `postmaster` (if empty: the first account of all). Memory from the arena. `local`
 * is the local part's value (unquoted). ERR_LIMIT when an alias expands beyond the limits. */
struct directory_options {
	struct view delimiter;
	struct view postmaster;
};
enum err directory_find(struct db *db, const struct directory_options *options, struct view local, struct view domain,
	struct arena *arena, struct directory_lookup *ret) MUST_CHECK;

#endif
