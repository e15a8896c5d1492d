/* The trace on disk (events.db). Synchronous. */
#ifndef STORE_EVENT_STORE_H
#define STORE_EVENT_STORE_H

#include "store/store.h"

enum err event_store_put(struct db *db, const struct store_event *event) MUST_CHECK;
enum err event_store_list(struct db *db, uint64_t message_id, void (*row)(void *owner, const struct store_event *event),
	void *owner) MUST_CHECK;
enum err event_store_prune(struct db *db, int64_t before_ms, uint64_t *ret_removed) MUST_CHECK; /* in bounded bites */

#endif
