/*
 * Forgetting which site a domain belongs to (domain_site) when nothing in the queue is for that domain any more. Nothing in the message path counts for
 * that: now and then those that no deferral has noted for a day are looked for in the queue, a bite at a time, so that neither the writer nor a
 * reader waits. A row that is noted meanwhile stays. In memory that does not grow with the queue: so many rows are taken up in one sweep.
 */
#ifndef STORE_SITE_SWEEP_H
#define STORE_SITE_SWEEP_H

#include "store/db.h"

#define SITE_SWEEP_DOMAINS 100000u

struct site_sweep;

/* Goes by rows that were noted before the day that begins now (UTC). */
struct site_sweep *site_sweep_new(int64_t now_ms);
void site_sweep_free(struct site_sweep *sweep); /* NULL is fine */
/* Reading: goes on through about `rows` rows of domains, then recipients. */
enum err site_sweep_read(struct site_sweep *sweep, struct db *db, size_t rows, bool *ret_more) MUST_CHECK;
/* Writing, when all was read: removes at most `rows`. May be called again for the same when the transaction failed: it goes on only when
 * site_sweep_removed() was called. */
enum err site_sweep_remove(struct site_sweep *sweep, struct db *db, size_t rows) MUST_CHECK;
/* What site_sweep_remove() removed is durable. False: nothing is left to be removed. */
bool site_sweep_removed(struct site_sweep *sweep);
uint64_t site_sweep_count(const struct site_sweep *sweep); /* removed so far */

/* What it asks of the queue, so that a test can look at its plan. */
extern const char site_sweep_select[];

#endif
