/*
 * What our own aggregate reports (RFC 9990) are made of: for each day (days since 1970, UTC) and policy domain its policy and rows with counts.
 * Synchronous calls on a struct db, used inside store jobs. What policies and rows say is up to the caller; here they are texts.
 */
#ifndef STORE_DMARC_STORE_H
#define STORE_DMARC_STORE_H

#include "store/db.h"

#define DMARC_STORE_ROWS_MAX 10000 /* of one domain and day; further ones are only counted */
#define DMARC_STORE_DOMAINS_MAX 20000 /* of one day; further ones are not noted */

/* Counts `messages` of one kind. `row_key` is the same for the same details; `policy` replaces what was noted before. ERR_LIMIT, and nothing
 * happens: the day has too many domains. */
struct dmarc_store_result {
	int64_t day;
	int64_t at_ms; /* wall clock: where `notes` begins, so that a report of what came late has numbers of its own */
	struct view domain;
	struct view policy, row_key, details;
	uint64_t messages;
};
enum err dmarc_store_note(struct db *db, const struct dmarc_store_result *result) MUST_CHECK;

/* A domain with rows for a day; the views are borrowed during the call. */
struct dmarc_store_domain {
	int64_t day;
	struct view domain, policy;
	uint64_t rows;
	uint64_t unlisted; /* messages beyond DMARC_STORE_ROWS_MAX rows */
	uint64_t notes; /* grows with each note */
};
/* Those of the days up to `last_day`, in order of day and domain, strictly after `after` (day and domain; zero: from the start). */
enum err dmarc_store_domains(struct db *db, const struct dmarc_store_domain *after, int64_t last_day, size_t limit,
	void (*found)(void *owner, const struct dmarc_store_domain *domain), void *owner) MUST_CHECK;
/* The counts of one of them; its texts are left alone. ERR_NOT_FOUND. */
enum err dmarc_store_find(
	struct db *db, int64_t day, struct view domain, uint64_t *ret_unlisted, uint64_t *ret_notes) MUST_CHECK;
/* Its rows, most messages first. row() may end the reading by returning false. */
enum err dmarc_store_rows(struct db *db, int64_t day, struct view domain,
	bool (*row)(void *owner, struct view details, uint64_t messages), void *owner) MUST_CHECK;
/* They were reported, or nobody wants them: removes them. ERR_STATE, and nothing happens, if more was noted since `notes` was read. */
enum err dmarc_store_remove(struct db *db, int64_t day, struct view domain, uint64_t notes) MUST_CHECK;
/* What is left of days before this one. *ret_domains may be NULL. */
enum err dmarc_store_expire(struct db *db, int64_t before_day, uint64_t *ret_domains) MUST_CHECK;

#endif
