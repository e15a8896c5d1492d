/* For the reports*.c files. */
#ifndef SERVICE_REPORTS_PRIVATE_H
#define SERVICE_REPORTS_PRIVATE_H

#include "service/background.h"
#include "service/reports.h"

#define REPORTS_DAY_S 86400
#define REPORTS_NOTE_BUCKETS 1024u

struct reports_note;

/* What was noted and is not in the store yet. */
struct reports_notes {
	pthread_mutex_t lock;
	struct reports_note *buckets[REPORTS_NOTE_BUCKETS];
	size_t count, bytes;
	uint64_t dropped; /* messages that there was no room for */
	bool is_posted; /* the writing was asked for */
	struct loop_task task;
};

struct reports {
	struct background *background;
	struct reports_notes notes;
	struct loop_timer write_timer;
};

void reports_notes_init(struct reports *reports);
void reports_notes_clear(struct reports *reports);
/* Gives what was noted to the store, in some jobs. */
void reports_notes_write(struct reports *reports);

#endif
