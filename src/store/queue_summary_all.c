/*
 * A summary of everything, by several threads: more than there may be processors, because a queue that is not in the system's memory is read
 * page by page, and disks answer many questions at a time. They share the ids out among themselves: who has none left asks, and who is at
 * work gives away half of what is left to him after his next bite.
 */
#include "store/queue_summary_private.h"

#include "base/mem.h"

#include <pthread.h>
#include <sys/resource.h>

#define THREADS 4u
#define BITE_ROWS 20000u
#define NICE 5
/* Each range that waits was asked for by a thread that is idle, and there is the first. */
#define RANGES_MAX (THREADS + 1u)

struct range {
	uint64_t after_id, end_id;
};

struct sharing {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct range ranges[RANGES_MAX]; /* to be read */
	size_t range_count;
	unsigned working, idle;
	enum err err; /* the first that failed; the others stop */
	char detail[200];
};

struct part {
	struct sharing *sharing;
	struct db *db;
	struct queue_tally *tally;
	pthread_t thread;
};

/* The next range to be read; false: everything is. */
static bool take_range(struct sharing *sharing, struct range *ret)
{
	pthread_mutex_lock(&sharing->lock);
	while (sharing->range_count == 0 && sharing->working > 0 && sharing->err == ERR_OK) {
		sharing->idle++;
		pthread_cond_wait(&sharing->wake, &sharing->lock);
		sharing->idle--;
	}
	bool found = sharing->range_count > 0 && sharing->err == ERR_OK;
	if (found) {
		*ret = sharing->ranges[--sharing->range_count];
		sharing->working++;
	}
	pthread_mutex_unlock(&sharing->lock);
	return found;
}

static void end_range(struct sharing *sharing, enum err err)
{
	pthread_mutex_lock(&sharing->lock);
	sharing->working--;
	if (err != ERR_OK && sharing->err == ERR_OK) {
		sharing->err = err;
		snprintf(sharing->detail, sizeof sharing->detail, "%s", err_detail());
	}
	pthread_cond_broadcast(&sharing->wake);
	pthread_mutex_unlock(&sharing->lock);
}

/* Gives work to somebody who has none. False: somebody failed, and there is no use in going on. */
static bool share(struct sharing *sharing, struct queue_tally *tally)
{
	pthread_mutex_lock(&sharing->lock);
	struct range *range = &sharing->ranges[sharing->range_count];
	if (sharing->idle > sharing->range_count && queue_tally_give_half(tally, &range->after_id, &range->end_id)) {
		sharing->range_count++;
		pthread_cond_signal(&sharing->wake);
	}
	bool go_on = sharing->err == ERR_OK;
	pthread_mutex_unlock(&sharing->lock);
	return go_on;
}

static void *run_part(void *arg)
{
	struct part *part = arg;
	struct range range;
	/* On Linux this is the thread's own; where it is not allowed, nothing is lost. */
	(void)setpriority(PRIO_PROCESS, 0, NICE);
	while (take_range(part->sharing, &range)) {
		bool more = true;
		enum err err = ERR_OK;
		queue_tally_set_range(part->tally, range.after_id, range.end_id);
		while (err == ERR_OK && more) {
			err = queue_tally_read(part->tally, part->db, BITE_ROWS, &more);
			if (err == ERR_OK && more && !share(part->sharing, part->tally))
				break;
		}
		end_range(part->sharing, err);
	}
	return NULL;
}

static enum err read_alone(struct queue_tally *tally, struct db *db)
{
	bool more = true;
	enum err err = ERR_OK;
	while (err == ERR_OK && more)
		err = queue_tally_read(tally, db, BITE_ROWS, &more);
	return err;
}

static enum err find_range(struct db *db, struct range *ret)
{
	struct db_statement *s = db_prepare(db,
		"SELECT (SELECT message_id FROM recipient ORDER BY message_id LIMIT 1), "
		"(SELECT message_id FROM recipient ORDER BY message_id DESC LIMIT 1)");
	if (s == NULL)
		return ERR_IO;
	bool row;
	enum err err = db_step(s, &row);
	if (err != ERR_OK || !row)
		return err;
	uint64_t first = (uint64_t)db_column_int(s, 0);
	*ret = (struct range){ first > 0 ? first - 1 : 0, (uint64_t)db_column_int(s, 1) };
	db_reset(s);
	return ERR_OK;
}

static size_t start_parts(struct sharing *sharing, struct queue_tally *tally, struct db *db, struct part parts[THREADS])
{
	size_t started = 0;
	for (size_t i = 0; i < THREADS; i++) {
		struct part *part = &parts[started];
		*part = (struct part){ .sharing = sharing };
		if (db_open_another(db, &part->db) != ERR_OK)
			break;
		part->tally = queue_tally_new_like(tally);
		if (pthread_create(&part->thread, NULL, run_part, part) == 0) {
			started++;
			continue;
		}
		queue_tally_free(part->tally);
		db_close(part->db);
		break;
	}
	return started;
}

static enum err read_shared(struct queue_tally *tally, struct db *db, struct range all)
{
	struct part parts[THREADS];
	struct sharing sharing = { .ranges = { all }, .range_count = 1 };
	pthread_mutex_init(&sharing.lock, NULL);
	pthread_cond_init(&sharing.wake, NULL);
	size_t started = start_parts(&sharing, tally, db, parts);
	for (size_t i = 0; i < started; i++) {
		pthread_join(parts[i].thread, NULL);
		queue_tally_add(tally, parts[i].tally);
		queue_tally_free(parts[i].tally);
		db_close(parts[i].db);
	}
	pthread_cond_destroy(&sharing.wake);
	pthread_mutex_destroy(&sharing.lock);
	if (started == 0)
		return read_alone(tally, db);
	if (sharing.err != ERR_OK)
		return err_set(sharing.err, "%s", sharing.detail);
	queue_tally_set_complete(tally);
	return ERR_OK;
}

enum err queue_tally_read_all(struct queue_tally *tally, struct db *db)
{
	struct range all = { 0, 0 };
	enum err err = find_range(db, &all);
	if (err != ERR_OK)
		return err;
	/* Few rows, or few messages, are read sooner than threads are started. */
	bool more = false;
	err = queue_tally_read(tally, db, BITE_ROWS, &more);
	if (err != ERR_OK || !more)
		return err;
	if (queue_tally_is_of_one_message(tally))
		return read_alone(tally, db);
	all.after_id = queue_tally_after(tally);
	return read_shared(tally, db, all);
}
