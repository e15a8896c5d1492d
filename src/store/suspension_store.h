/*
 * What an operator suspended: the mail to a site or a domain, or that of a stream, is not tried until a time, or until it is resumed.
 * Synchronous calls on a struct db. Whoever delivers keeps the list in memory (suspension_list, suspension_find) and reads it again when the
 * queue is reloaded.
 *
 * A recipient that is due meanwhile is deferred untried, its reply made by suspension_reply(). By its beginning, SUSPENSION_REPLY, `resume` finds
 * what is to be tried at once. It is due again when the suspension ends, or after SUSPENSION_LOOK_AGAIN_MS where it has no end.
 */
#ifndef STORE_SUSPENSION_STORE_H
#define STORE_SUSPENSION_STORE_H

#include "base/arena.h"
#include "base/buf.h"
#include "store/db.h"

#define SUSPENSION_REPLY "450 4.3.2 Suspended by the administrator"
#define SUSPENSION_LOOK_AGAIN_MS (60 * 60 * 1000)
#define SUSPENSION_NAME_MAX_BYTES 1000u /* a site that no rule names is called after its hosts */
#define SUSPENSION_REASON_MAX_BYTES 200u
#define SUSPENSIONS_MAX 10000u
#define SUSPENSION_ARENA_BYTES (16u * 1024 * 1024) /* holds as many as there may be */

enum suspension_kind { SUSPENSION_DOMAIN, SUSPENSION_SITE, SUSPENSION_SMARTHOST, SUSPENSION_STREAM };
#define SUSPENSION_KINDS 4u

struct suspension {
	enum suspension_kind kind;
	struct view name; /* a domain (A-labels), a site, a smart host or a stream; kept in lower case */
	int64_t until_ms; /* wall clock; 0: until resumed */
	struct view reason; /* one line of UTF-8; may be empty */
};

/* "domain", "site", "smarthost", "stream". */
const char *suspension_kind_name(enum suspension_kind kind);
bool suspension_kind_parse(struct view text, enum suspension_kind *ret);

/* Sets, or replaces the one of that kind and name. ERR_LIMIT: there are too many, or a text is too long. ERR_SYNTAX: the name is empty. */
enum err suspension_store_set(struct db *db, const struct suspension *suspension) MUST_CHECK;
enum err suspension_store_remove(
	struct db *db, enum suspension_kind kind, struct view name, bool *ret_was_there) MUST_CHECK;
/* Those in force at now_ms, sorted by kind and name, in the arena; ERR_LIMIT when it is full. */
enum err suspension_store_list(struct db *db, int64_t now_ms, struct arena *arena, struct suspension **ret_suspensions,
	size_t *ret_count) MUST_CHECK;
/* Drops those that ended. */
enum err suspension_store_tidy(struct db *db, int64_t now_ms) MUST_CHECK;

/* The one in force for this name, among those that suspension_store_list() gave; NULL: none. Names are compared without regard to case. */
const struct suspension *suspension_find(const struct suspension *suspensions, size_t count, enum suspension_kind kind,
	struct view name, int64_t now_ms);
/* "450 4.3.2 Suspended by the administrator: site google (moving to new addresses)". */
enum err suspension_reply(const struct suspension *suspension, struct buf *out) MUST_CHECK;

#endif
