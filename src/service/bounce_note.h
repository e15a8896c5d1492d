/* What a failure says of its recipient: a class for the trace, and a count for the sender's lists (store/bounce_store.h). */
#ifndef SERVICE_BOUNCE_NOTE_H
#define SERVICE_BOUNCE_NOTE_H

#include "mail/bounce_class.h"
#include "service/dispatcher_private.h"

/* The class of a failed or deferred recipient's reply; empty for the others. */
struct view bounce_note_class(const struct delivery_recipient *recipient);
/* Inside the job that settles the delivery: counts its failed recipients. */
enum err bounce_note(struct db *db, const struct delivery *delivery, int64_t now_ms) MUST_CHECK;

#endif
