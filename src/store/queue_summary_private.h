/* For reading a tally in parts that are added up. */
#ifndef STORE_QUEUE_SUMMARY_PRIVATE_H
#define STORE_QUEUE_SUMMARY_PRIVATE_H

#include "store/queue_summary.h"

/* The messages it is to read: ids above after_id, up to end_id. */
void queue_tally_set_range(struct queue_tally *tally, uint64_t after_id, uint64_t end_id);
/* Gives the upper half of what it has not read yet away; false: there is nothing to part. Between two reads. */
bool queue_tally_give_half(struct queue_tally *tally, uint64_t *ret_after_id, uint64_t *ret_end_id);
/* The last message it has looked at. */
uint64_t queue_tally_after(const struct queue_tally *tally);
/* An empty one with the same filter. */
struct queue_tally *queue_tally_new_like(const struct queue_tally *tally);
bool queue_tally_is_of_one_message(const struct queue_tally *tally);
void queue_tally_add(struct queue_tally *tally, const struct queue_tally *part);
void queue_tally_set_complete(struct queue_tally *tally);

#endif
