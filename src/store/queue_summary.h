/*
 * What waits in the queue, in numbers: totals, ages, and the domains, sites, streams and replies with most of it. Read in bites, each a short
 * transaction, so that ten million recipients hold up neither the log's clearing nor anybody else; in memory that does not grow with the queue.
 * Whoever comes or goes while it is read may be counted or not. One object belongs to one thread at a time.
 */
#ifndef STORE_QUEUE_SUMMARY_H
#define STORE_QUEUE_SUMMARY_H

#include "store/queue_store.h"

/* Recipients younger than these, the rest in the last class: 5 and 30 minutes, 2, 8 and 24 hours, 3 days, older. */
#define QUEUE_AGES 7u
extern const int64_t queue_summary_age_ms[QUEUE_AGES - 1];

struct queue_summary {
	uint64_t messages, recipients, bytes;
	uint64_t deferred; /* recipients that were tried, and are not held */
	uint64_t held, suspended, returning; /* suspended ones are deferred, too */
	int64_t oldest_ms; /* when its oldest message came, from its id; 0: there is none */
	uint64_t by_age[QUEUE_AGES]; /* recipients */
	bool complete; /* everything was read */
};

/* Groups are told apart up to a number of them; beyond it the small ones are forgotten. */
struct queue_group {
	struct view name;
	uint64_t recipients;
};
enum queue_grouping { QUEUE_BY_DOMAIN, QUEUE_BY_SITE, QUEUE_BY_STREAM, QUEUE_BY_REPLY };
#define QUEUE_GROUPINGS 4u

struct queue_tally;
/* The filter's texts are copied. */
struct queue_tally *queue_tally_new(const struct queue_filter *filter, int64_t now_ms);
void queue_tally_free(struct queue_tally *tally); /* NULL is fine */
/* Goes on through about `rows` recipients. */
enum err queue_tally_read(struct queue_tally *tally, struct db *db, size_t rows, bool *ret_more) MUST_CHECK;
/* Reads everything, with several threads and connections of their own (at low priority: mail comes first). For a new tally; blocking. */
enum err queue_tally_read_all(struct queue_tally *tally, struct db *db) MUST_CHECK;
const struct queue_summary *queue_tally_summary(const struct queue_tally *tally);
/* The largest groups, largest first, at most `room`; names are borrowed from the tally until the next call. Sites come from the domains by what was noted
 * about them (from the store: hence the db). *ret_exact: none was forgotten on the way. */
enum err queue_tally_top(struct queue_tally *tally, struct db *db, enum queue_grouping grouping, size_t room,
	struct queue_group *ret_groups, size_t *ret_count, bool *ret_exact) MUST_CHECK;

/* "451 4.7.1 Greylisted; session 8f3a2" → "451 4.7.1 Greylisted; session #": what differs from reply to reply (words with digits, addresses, very
 * long words) is left out, cut to 120 bytes, so that the same reason has the same text. */
#define QUEUE_REPLY_CLASS_MAX_BYTES 120u
size_t queue_reply_class(struct view reply, uint8_t out[QUEUE_REPLY_CLASS_MAX_BYTES]);

#endif
