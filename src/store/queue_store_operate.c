/* What operators ask of the queue: lists, sums, and acts on whatever a filter selects. */
#include "store/queue_store_private.h"

#include "base/mem.h"

/* Rows are filtered here, not in SQL: domains and nocase comparisons then mean the same on every engine, and the message path keeps no column for
 * it. The envelope is fetched apart, and only where it is needed, because message rows lie far from each other. */
struct scan {
	struct db *db;
	const struct queue_filter *filter;
	struct db_statement *envelope; /* on the row of message `id`; NULL: none read yet */
	struct queue_message message;
};

static enum err scan_envelope(struct scan *scan, uint64_t id)
{
	if (scan->envelope != NULL && scan->message.id == id)
		return ERR_OK;
	if (scan->envelope != NULL)
		db_reset(scan->envelope);
	scan->envelope = db_prepare(scan->db, "SELECT " QUEUE_STORE_ENVELOPE_COLUMNS " FROM message m WHERE m.id = $1");
	if (scan->envelope == NULL)
		return ERR_IO;
	db_bind_int(scan->envelope, 1, (int64_t)id);
	bool row;
	enum err err = db_step(scan->envelope, &row);
	if (err == ERR_OK && !row)
		err = err_set(ERR_IO, "a recipient in the queue has no message");
	if (err != ERR_OK)
		scan->envelope = NULL;
	else
		scan->message = queue_store_read_envelope(scan->envelope, id, 0);
	return err;
}

static void scan_end(struct scan *scan)
{
	if (scan->envelope != NULL)
		db_reset(scan->envelope);
	scan->envelope = NULL;
}

static enum err scan_matches(struct scan *scan, uint64_t id, const struct queue_recipient *r, bool *ret)
{
	const struct queue_filter *f = scan->filter;
	bool matches = (!f->only_held || r->state == QUEUE_HELD) &&
		(!f->only_deferred || (r->state == QUEUE_READY && r->attempts > 0)) &&
		(f->recipient_domain.len == 0 ||
			view_eq_nocase(
				view_from(r->address, view_find_last(r->address, '@') + 1), f->recipient_domain));
	if (matches && f->sender.len > 0) {
		enum err err = scan_envelope(scan, id);
		if (err != ERR_OK)
			return err;
		/* "<>" is how people write the null path; the empty filter is taken. */
		struct view sender = view_eq(f->sender, VIEW("<>")) ? VIEW_NONE : f->sender;
		matches = view_eq_nocase(scan->message.reverse_path, sender);
	}
	*ret = matches;
	return ERR_OK;
}

/* The recipients behind a position, of one message if the filter names it. */
static struct db_statement *select_recipients(
	struct db *db, const struct queue_filter *filter, uint64_t after_id, int64_t after_index, size_t limit)
{
	struct db_statement *s = db_prepare(db,
		"SELECT " QUEUE_STORE_RECIPIENT_COLUMNS " FROM recipient r WHERE (r.message_id, r.idx) > ($1, $2)"
		" AND r.message_id <= $3 ORDER BY r.message_id, r.idx LIMIT $4");
	if (s == NULL)
		return NULL;
	uint64_t last_id = filter->message_id > 0 ? filter->message_id : INT64_MAX;
	if (filter->message_id > 0 && after_id < filter->message_id) {
		after_id = filter->message_id;
		after_index = -1;
	}
	db_bind_int(s, 1, after_id <= INT64_MAX ? (int64_t)after_id : INT64_MAX);
	db_bind_int(s, 2, after_index);
	db_bind_int(s, 3, last_id <= INT64_MAX ? (int64_t)last_id : 0);
	db_bind_int(s, 4, limit <= INT64_MAX ? (int64_t)limit : INT64_MAX);
	return s;
}

enum err queue_store_list(struct db *db, const struct queue_filter *filter, uint64_t after_id, size_t limit,
	void (*row)(void *owner, const struct queue_message *message, const struct queue_recipient *recipient),
	void *owner)
{
	struct db_statement *s = select_recipients(db, filter, after_id, INT64_MAX, SIZE_MAX);
	if (s == NULL)
		return ERR_IO;
	struct scan scan = { .db = db, .filter = filter };
	size_t messages = 0;
	uint64_t last_shown = 0;
	bool more;
	enum err err;
	while ((err = db_step(s, &more)) == ERR_OK && more) {
		uint64_t id = (uint64_t)db_column_int(s, 0);
		struct queue_recipient recipient = queue_store_read_recipient(s);
		bool matches = false;
		err = scan_matches(&scan, id, &recipient, &matches);
		if (err == ERR_OK && !matches)
			continue;
		if (err == ERR_OK && id != last_shown && messages++ == limit)
			break;
		if (err == ERR_OK)
			err = scan_envelope(&scan, id);
		if (err != ERR_OK)
			break;
		last_shown = id;
		row(owner, &scan.message, &recipient);
	}
	db_reset(s);
	scan_end(&scan);
	return err;
}

enum err queue_store_summarize(struct db *db, struct queue_summary *ret)
{
	struct queue_summary sum = { 0 };
	struct db_statement *s = db_prepare(
		db, "SELECT message_id, state, attempts, message_bytes FROM recipient ORDER BY message_id, idx");
	struct db_statement *oldest = db_prepare(db, "SELECT received_at_ms FROM message ORDER BY id LIMIT 1");
	if (s == NULL || oldest == NULL)
		return ERR_IO;
	int64_t last_id = 0;
	bool row;
	enum err err;
	while ((err = db_step(s, &row)) == ERR_OK && row) {
		int64_t id = db_column_int(s, 0);
		bool held = db_column_int(s, 1) == QUEUE_HELD;
		sum.recipients++;
		sum.held += held;
		sum.deferred += !held && db_column_int(s, 2) > 0;
		if (id != last_id) {
			sum.messages++;
			sum.bytes += (uint64_t)db_column_int(s, 3);
		}
		last_id = id;
	}
	if (err == ERR_OK)
		err = db_step(oldest, &row);
	if (err != ERR_OK)
		return err;
	if (row)
		sum.oldest_ms = db_column_int(oldest, 0);
	db_reset(oldest);
	*ret = sum;
	return ERR_OK;
}

static const char *const act_sql[] = {
	[QUEUE_RETRY] = "UPDATE recipient SET due_at_ms = $3 WHERE message_id = $1 AND idx = $2 AND state = 0",
	[QUEUE_HOLD] = "UPDATE recipient SET state = 1 WHERE message_id = $1 AND idx = $2 AND state = 0",
	[QUEUE_RELEASE] =
		"UPDATE recipient SET state = 0, due_at_ms = $3 WHERE message_id = $1 AND idx = $2 AND state = 1",
	[QUEUE_REMOVE] = "DELETE FROM recipient WHERE message_id = $1 AND idx = $2",
};

static enum err act_on_one(
	struct db *db, enum queue_action action, uint64_t id, uint32_t index, int64_t now_ms, uint64_t *ret_changed)
{
	struct db_statement *s = db_prepare(db, act_sql[action]);
	if (s == NULL)
		return ERR_IO;
	db_bind_int(s, 1, (int64_t)id);
	db_bind_int(s, 2, index);
	if (action == QUEUE_RETRY || action == QUEUE_RELEASE)
		db_bind_int(s, 3, now_ms);
	uint64_t changed = 0;
	enum err err = db_run(s, &changed);
	if (err == ERR_OK)
		*ret_changed += changed;
	return err;
}

/* A change under an open cursor may show rows twice or not at all, so keys are gathered first, a batch at a time. */
#define BATCH 500u
struct batch {
	struct {
		uint64_t id;
		uint32_t index;
	} keys[BATCH];
	size_t count;
	uint64_t read_id; /* the last row looked at */
	uint32_t read_index;
	bool end;
};

static enum err read_batch(struct db *db, const struct queue_filter *filter, struct batch *batch)
{
	struct db_statement *s = select_recipients(db, filter, batch->read_id, batch->read_index, BATCH);
	if (s == NULL)
		return ERR_IO;
	struct scan scan = { .db = db, .filter = filter };
	size_t rows = 0;
	bool row;
	enum err err;
	batch->count = 0;
	while ((err = db_step(s, &row)) == ERR_OK && row) {
		uint64_t id = (uint64_t)db_column_int(s, 0);
		struct queue_recipient recipient = queue_store_read_recipient(s);
		bool matches = false;
		err = scan_matches(&scan, id, &recipient, &matches);
		if (err != ERR_OK)
			break;
		rows++;
		batch->read_id = id;
		batch->read_index = recipient.index;
		if (matches) {
			batch->keys[batch->count].id = id;
			batch->keys[batch->count++].index = recipient.index;
		}
	}
	db_reset(s);
	scan_end(&scan);
	batch->end = rows < BATCH;
	return err;
}

static enum err remove_message(struct db *db, uint64_t id, void (*gone)(void *owner, const char *spool), void *owner)
{
	char spool[64] = "";
	enum err err = queue_store_delete_settled(db, id, spool);
	if (err == ERR_OK && spool[0] != '\0')
		gone(owner, spool);
	return err;
}

enum err queue_store_act(struct db *db, enum queue_action action, const struct queue_filter *filter, int64_t now_ms,
	void (*gone)(void *owner, const char *spool), void *owner, uint64_t *ret_changed)
{
	struct batch *batch = mem_alloc(sizeof *batch);
	uint64_t changed = 0;
	enum err err = ERR_OK;
	while (err == ERR_OK && !batch->end) {
		err = read_batch(db, filter, batch);
		for (size_t i = 0; i < batch->count && err == ERR_OK; i++) {
			uint64_t id = batch->keys[i].id;
			err = act_on_one(db, action, id, batch->keys[i].index, now_ms, &changed);
			/* Once per message, behind its last recipient of this batch. */
			bool last = i + 1 == batch->count || batch->keys[i + 1].id != id;
			if (err == ERR_OK && action == QUEUE_REMOVE && last)
				err = remove_message(db, id, gone, owner);
		}
	}
	mem_free(batch);
	if (err == ERR_OK)
		*ret_changed = changed;
	return err;
}
