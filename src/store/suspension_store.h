/*
 * What is suspended: the mail to a site or a domain, or that of a stream, is not tried until a time, or until it is resumed. An operator says so, or a
 * shaping rule does when a reply matched it. Synchronous calls on a struct db. Whoever delivers keeps the list in memory (suspension_store_list,
 * suspension_find) and reads it again when the queue is reloaded.
 *
 * A recipient that is due meanwhile is deferred untried, its reply made by suspension_reply(). By that reply `resume` finds what is to be tried at once
 * (suspension_is_reply, suspension_reply_names). It is due again when the suspension ends, or after SUSPENSION_LOOK_AGAIN_MS where it has no end.
 */
#ifndef STORE_SUSPENSION_STORE_H
#define STORE_SUSPENSION_STORE_H

#include "base/arena.h"
#include "base/buf.h"
#include "store/db.h"

#define SUSPENSION_LOOK_AGAIN_MS (60 * 60 * 1000)
#define SUSPENSION_NAME_MAX_BYTES 1000u /* a site that no rule names is called after its hosts */
#define SUSPENSION_STREAM_MAX_BYTES 255u
#define SUSPENSION_REASON_MAX_BYTES 200u
#define SUSPENSIONS_MAX 10000u /* of each source */
#define SUSPENSION_ARENA_BYTES (40u * 1024 * 1024) /* holds as many as there may be */

enum suspension_kind { SUSPENSION_DOMAIN, SUSPENSION_SITE, SUSPENSION_SMARTHOST, SUSPENSION_STREAM };
#define SUSPENSION_KINDS 4u
enum suspension_source { SUSPENSION_BY_OPERATOR, SUSPENSION_BY_RULE };
#define SUSPENSION_SOURCES 2u

struct suspension {
	enum suspension_kind kind;
	struct view name; /* a domain (A-labels), a site, a smart host or a stream; kept in lower case */
	int64_t until_ms; /* wall clock; 0: until resumed */
	struct view reason; /* one line of UTF-8: the operator's, or the reply that matched the rule; may be empty */
	/* Of a site only: the mail of this stream, kept in lower case. Empty: an operator means all mail to it, a rule that of no stream. */
	struct view stream;
	enum suspension_source source;
};

/* "domain", "site", "smarthost", "stream". */
const char *suspension_kind_name(enum suspension_kind kind);
bool suspension_kind_parse(struct view text, enum suspension_kind *ret);
/* "operator", "rule". */
const char *suspension_source_name(enum suspension_source source);

/* Sets, or replaces the one of that source, kind, name and stream. ERR_LIMIT: an operator's is one too many, or a text is too long. ERR_SYNTAX: the name
 * is empty. Whoever sets those of rules sees to it himself that they are not too many: he has them all in memory, and is in the way of mail. */
enum err suspension_store_set(struct db *db, const struct suspension *suspension) MUST_CHECK;
/* Removes all that name this, of either source, and gives those that were in force, sorted, in the arena. A site names what is suspended of it for
 * single streams, too, unless `stream` says which one; a stream names what is suspended of it at single sites. */
enum err suspension_store_lift(struct db *db, enum suspension_kind kind, struct view name, struct view stream,
	int64_t now_ms, struct arena *arena, struct suspension **ret_suspensions, size_t *ret_count) MUST_CHECK;
/* Those in force at now_ms, sorted by kind, name, stream and source, in the arena; ERR_LIMIT when it is full. */
enum err suspension_store_list(struct db *db, int64_t now_ms, struct arena *arena, struct suspension **ret_suspensions,
	size_t *ret_count) MUST_CHECK;
/* Drops those that ended. */
enum err suspension_store_tidy(struct db *db, int64_t now_ms) MUST_CHECK;

/* The one in force with the source, kind, name and stream of `wanted`, among those that suspension_store_list() gave; NULL: none. Names are compared
 * without regard to case. */
const struct suspension *suspension_find(
	const struct suspension *suspensions, size_t count, const struct suspension *wanted, int64_t now_ms);

/* "450 4.3.2 Suspended by the administrator: site google (moving to new addresses)",
 * "451 4.7.0 Mail is suspended by a shaping rule: site google, stream shop (421 4.7.28 Too fast)". */
enum err suspension_reply(const struct suspension *suspension, struct buf *out) MUST_CHECK;
/* Whether suspension_reply() made it; and of what names `what`: "site google" (all of it), "site google, stream shop", "stream shop" (also at a site). */
bool suspension_is_reply(struct view reply);
bool suspension_reply_names(struct view reply, struct view what);

#endif
