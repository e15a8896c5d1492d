/*
 * What became of recipients, as far as replies, bounces and complaints tell: for the senders' lists. One row per address, without case. Synchronous
 * calls on a struct db, used inside store jobs.
 */
#ifndef STORE_BOUNCE_STORE_H
#define STORE_BOUNCE_STORE_H

#include "store/db.h"

enum bounce_kind {
	BOUNCE_HARD, /* the address does not work, and will not */
	BOUNCE_SOFT, /* a message did not arrive, for reasons that may pass */
	BOUNCE_COMPLAINT, /* its owner called a message spam (RFC 5965) */
};

/* The views are borrowed during the call. */
struct bounce_record {
	struct view address;
	uint64_t hard, soft, complaints;
	struct view last_class; /* bounce_class_name(), or the feedback type */
	struct view last_text; /* outside bytes, cut to 500 */
	int64_t last_ms; /* wall clock */
};

enum err bounce_store_note(struct db *db, enum bounce_kind kind, struct view address, struct view class,
	struct view text, int64_t now_ms) MUST_CHECK;
/* ERR_NOT_FOUND: nothing is known of it. */
enum err bounce_store_find(struct db *db, struct view address,
	void (*found)(void *owner, const struct bounce_record *record), void *owner) MUST_CHECK;
/* In order of the address, strictly after `after` (empty: from the start), at most `limit`. */
enum err bounce_store_list(struct db *db, bool only_hard, struct view after, size_t limit,
	void (*found)(void *owner, const struct bounce_record *record), void *owner) MUST_CHECK;
/* The address is thought well of again. *ret_removed is 0 if nothing was known. */
enum err bounce_store_forget(struct db *db, struct view address, uint64_t *ret_removed) MUST_CHECK;
/* Addresses of which nothing was heard since then. */
enum err bounce_store_expire(struct db *db, int64_t before_ms, uint64_t *ret_removed) MUST_CHECK;

#endif
