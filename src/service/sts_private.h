/* What sts.c (who asks, what is kept), sts_fetch.c (getting a policy over HTTPS) and sts_keep.c (the store) share. */
#ifndef SERVICE_STS_PRIVATE_H
#define SERVICE_STS_PRIVATE_H

#include "base/places.h"
#include "service/sts.h"

/* Monotonic time of a fetch that failed; this long ago counts as never. */
#define STS_NEVER INT64_MIN

enum sts_record { STS_RECORD_NONE, STS_RECORD_FOUND, STS_RECORD_UNKNOWN /* the DNS did not say */ };

struct sts_fetch;
struct sts_load;

/* One domain. */
struct sts_entry {
	struct list link; /* in sts->entries: longest unasked first */
	struct sts_entry *next; /* hash chain */
	struct sts *sts;
	char *domain;
	struct sts_policy *policy; /* referenced; may have expired; NULL: none */
	int64_t used_ms; /* wall clock: when mail asked for it, as the store has it */
	bool loaded; /* the store was asked */
	enum sts_record record;
	char id[MTA_STS_ID_MAX_BYTES + 1]; /* of the record */
	int64_t failed_ms; /* when the last fetch failed */
	enum sts_problem problem; /* of it */
	char detail[240];
	struct list queries;
	struct resolver_query *txt;
	struct sts_load *load;
	struct sts_fetch *fetch;
};

struct sts {
	struct sts_options options;
	struct list entries;
	size_t entry_count, bucket_count;
	struct sts_entry **buckets;
	struct places *fetch_places; /* connections to policy hosts: shared out among networks and their addresses */
	struct list fetching; /* those that have a place, the oldest first */
	struct loop_timer patience_timer; /* while others wait for one */
	struct list jobs; /* of the store */
	struct loop_timer timer; /* looks for policies to refresh */
};

/* NULL unless the file is a policy. `text` is copied. */
struct sts_policy *sts_policy_new(struct view id, struct view text, int64_t fetched_ms);
bool sts_policy_is_valid(const struct sts_policy *policy, int64_t now_wall_ms); /* NULL is fine */

/* sts.c */
struct sts_entry *sts_entry_get(struct sts *sts, struct view domain);
/* Asks the DNS (and at first the store), then fetches if need be. */
void sts_entry_check(struct sts_entry *entry);
void sts_entry_decide(struct sts_entry *entry);
void sts_entry_fetched(struct sts_entry *entry, struct sts_policy *policy);
void sts_entry_failed(struct sts_entry *entry, enum sts_problem problem, const char *detail);

/* sts_fetch.c */
void sts_fetch_init(struct sts *sts);
void sts_fetch_stop(struct sts *sts); /* no fetch is under way any more */
/* sts_entry_fetched() or sts_entry_failed() follows, later. */
void sts_fetch_start(struct sts_entry *entry);
void sts_fetch_cancel(struct sts_fetch *fetch); /* NULL is fine */

/* sts_keep.c */
void sts_load_start(struct sts_entry *entry);
void sts_load_cancel(struct sts_load *load); /* NULL is fine */
void sts_keep_policy(struct sts_entry *entry);
void sts_keep_used(struct sts_entry *entry);
/* Checks the policies that are to be fetched anew, and removes those that expired. */
void sts_keep_refresh(void *sts);
/* Nothing of the store's work comes back to `sts` any more. */
void sts_keep_forget_jobs(struct sts *sts);

#endif
