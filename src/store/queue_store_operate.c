/* What operators ask of the queue: lists, and acts on whatever a filter selects. */
#include "store/queue_store_private.h"

#include "base/mem.h"

enum err queue_store_list(struct db *db, const struct queue_filter *filter, uint64_t after_id, size_t limit,
	void (*row)(void *owner, const struct queue_message *message, const struct queue_recipient *recipient),
	void *owner)
{
	struct db_statement *s = db_prepare(db,
		"SELECT " QUEUE_STORE_RECIPIENT_COLUMNS " FROM recipient r WHERE (r.message_id, r.idx) > ($1, $2)"
		" AND r.message_id <= $3 ORDER BY r.message_id, r.idx LIMIT $4");
	if (s == NULL)
		return ERR_IO;
	queue_scan_bind(s, filter, after_id, INT64_MAX, SIZE_MAX);
	struct queue_scan scan;
	queue_scan_init(&scan, db, filter);
	size_t messages = 0;
	uint64_t last_shown = 0;
	bool more;
	enum err err;
	while ((err = db_step(s, &more)) == ERR_OK && more) {
		uint64_t id = (uint64_t)db_column_int(s, 0);
		struct queue_recipient recipient = queue_store_read_recipient(s);
		bool matches = false;
		err = queue_scan_matches(&scan, id, &recipient, &matches);
		if (err == ERR_OK && !matches)
			continue;
		if (err == ERR_OK && id != last_shown && messages++ == limit)
			break;
		if (err == ERR_OK)
			err = queue_scan_envelope(&scan, id);
		if (err != ERR_OK)
			break;
		last_shown = id;
		row(owner, &scan.message, &recipient);
	}
	db_reset(s);
	queue_scan_clear(&scan);
	return err;
}

enum err queue_store_find(struct db *db, const struct queue_filter *filter, uint64_t after_id, size_t rows, size_t room,
	uint64_t *ret_ids, struct queue_found *ret)
{
	ASSERT(rows > 0 && room > 0);
	struct db_statement *s = queue_scan_keys(db, filter, after_id, INT64_MAX, SIZE_MAX);
	if (s == NULL)
		return ERR_IO;
	struct queue_scan scan;
	queue_scan_init(&scan, db, filter);
	struct queue_found found = { 0 };
	uint64_t last_id = 0;
	bool more;
	enum err err;
	while ((err = db_step(s, &more)) == ERR_OK && more) {
		uint64_t id, bytes;
		struct queue_recipient recipient = queue_scan_read_key(s, &id, &bytes);
		/* It ends between messages only: the position is a message's id. */
		if (id != last_id && (found.looked_at >= rows || found.count == room)) {
			found.next_id = last_id;
			break;
		}
		last_id = id;
		found.looked_at++;
		bool matches = false;
		err = queue_scan_matches(&scan, id, &recipient, &matches);
		if (err != ERR_OK)
			break;
		if (matches && (found.count == 0 || ret_ids[found.count - 1] != id))
			ret_ids[found.count++] = id;
	}
	db_reset(s);
	queue_scan_clear(&scan);
	if (err == ERR_OK)
		*ret = found;
	return err;
}

static const char *const act_sql[] = {
	/* 128 is QUEUE_FUTURE. */
	[QUEUE_RETRY] = "UPDATE recipient SET due_at_ms = $3, flags = flags & ~128 WHERE message_id = $1 AND idx = $2 "
			"AND state = 0",
	[QUEUE_TRY] = "UPDATE recipient SET due_at_ms = $3 WHERE message_id = $1 AND idx = $2 AND state = 0",
	[QUEUE_HOLD] = "UPDATE recipient SET state = 1 WHERE message_id = $1 AND idx = $2 AND state = 0",
	[QUEUE_RELEASE] =
		"UPDATE recipient SET state = 0, due_at_ms = $3 WHERE message_id = $1 AND idx = $2 AND state = 1",
	[QUEUE_REMOVE] = "DELETE FROM recipient WHERE message_id = $1 AND idx = $2",
	/* 64 is QUEUE_RETURN. */
	[QUEUE_BOUNCE] =
		"UPDATE recipient SET state = 0, due_at_ms = $3, last_reply = $4, last_host = '', flags = flags | 64 "
		"WHERE message_id = $1 AND idx = $2",
	[QUEUE_REBIND] = "UPDATE recipient SET due_at_ms = CASE WHEN state = 0 THEN $3 ELSE due_at_ms END, "
			 "stream = CASE WHEN $4 = 1 THEN $5 ELSE stream END, smarthost = CASE WHEN $6 = 1 THEN $7 ELSE "
			 "smarthost END "
			 "WHERE message_id = $1 AND idx = $2",
};
_Static_assert(QUEUE_RETURN == 64 && QUEUE_FUTURE == 128, "act_sql names them by their numbers");

static enum err act_on_one(
	struct db *db, const struct queue_change *change, uint64_t id, uint32_t index, uint64_t *ret_changed)
{
	struct db_statement *s = db_prepare(db, act_sql[change->action]);
	if (s == NULL)
		return ERR_IO;
	db_bind_int(s, 1, (int64_t)id);
	db_bind_int(s, 2, index);
	if (change->action != QUEUE_HOLD && change->action != QUEUE_REMOVE)
		db_bind_int(s, 3, change->now_ms);
	if (change->action == QUEUE_BOUNCE)
		db_bind_text(s, 4, change->reply);
	if (change->action == QUEUE_REBIND) {
		db_bind_int(s, 4, change->set_stream);
		db_bind_text(s, 5, change->stream);
		db_bind_int(s, 6, change->set_smarthost);
		db_bind_text(s, 7, change->smarthost);
	}
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

static enum err read_batch(struct queue_scan *scan, struct batch *batch)
{
	struct db_statement *s = queue_scan_keys(scan->db, scan->filter, batch->read_id, batch->read_index, BATCH);
	if (s == NULL)
		return ERR_IO;
	size_t rows = 0;
	bool row;
	enum err err;
	batch->count = 0;
	while ((err = db_step(s, &row)) == ERR_OK && row) {
		uint64_t id, bytes;
		struct queue_recipient recipient = queue_scan_read_key(s, &id, &bytes);
		bool matches = false;
		err = queue_scan_matches(scan, id, &recipient, &matches);
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
	queue_scan_pause(scan);
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

enum err queue_store_change(struct db *db, const struct queue_change *change, const struct queue_filter *filter,
	void (*gone)(void *owner, const char *spool), void *owner, uint64_t *ret_changed)
{
	struct queue_scan scan;
	queue_scan_init(&scan, db, filter);
	struct batch *batch = mem_alloc(sizeof *batch);
	uint64_t changed = 0;
	enum err err = ERR_OK;
	while (err == ERR_OK && !batch->end) {
		err = read_batch(&scan, batch);
		for (size_t i = 0; i < batch->count && err == ERR_OK; i++) {
			uint64_t id = batch->keys[i].id;
			err = act_on_one(db, change, id, batch->keys[i].index, &changed);
			/* Once per message, behind its last recipient of this batch. */
			bool last = i + 1 == batch->count || batch->keys[i + 1].id != id;
			if (err == ERR_OK && change->action == QUEUE_REMOVE && last)
				err = remove_message(db, id, gone, owner);
		}
	}
	queue_scan_clear(&scan);
	mem_free(batch);
	if (err == ERR_OK)
		*ret_changed = changed;
	return err;
}

enum err queue_store_act(struct db *db, enum queue_action action, const struct queue_filter *filter, int64_t now_ms,
	void (*gone)(void *owner, const char *spool), void *owner, uint64_t *ret_changed)
{
	struct queue_change change = { .action = action, .now_ms = now_ms };
	return queue_store_change(db, &change, filter, gone, owner, ret_changed);
}
