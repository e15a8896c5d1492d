#include "store/queue_store_private.h"

#include <string.h>

static const char insert_message[] =
	"INSERT INTO message (id, received_at_ms, size_bytes, ret, body_type, smtputf8, reverse_path, envid, account, "
	"client, source, "
	"spool, head, body) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
static const char insert_recipient[] =
	"INSERT INTO recipient (message_id, idx, state, due_at_ms, attempts, last_attempt_ms, warned, notify, "
	"message_bytes, address, orcpt, original, last_reply, last_host, stream, smarthost, priority, deliver_by_ms, "
	"flags, hold_until_ms, hold_for_s) "
	"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)";

static enum err put_message(struct db *db, const struct queue_message *m)
{
	struct db_statement *s = db_prepare(db, insert_message);
	if (s == NULL)
		return ERR_IO;
	db_bind_int(s, 1, (int64_t)m->id);
	db_bind_int(s, 2, m->received_at_ms);
	db_bind_int(s, 3, (int64_t)m->size_bytes);
	db_bind_int(s, 4, m->ret);
	db_bind_int(s, 5, m->body_type);
	db_bind_int(s, 6, m->smtputf8);
	db_bind_text(s, 7, m->reverse_path);
	db_bind_text(s, 8, m->envid);
	db_bind_text(s, 9, m->account);
	db_bind_text(s, 10, m->client);
	db_bind_text(s, 11, m->source);
	db_bind_text(s, 12, m->spool);
	db_bind_blob(s, 13, m->head);
	db_bind_blob(s, 14, m->body);
	return db_run(s, NULL);
}

static enum err put_recipient(struct db *db, const struct queue_message *m, const struct queue_recipient *r)
{
	struct db_statement *s = db_prepare(db, insert_recipient);
	if (s == NULL)
		return ERR_IO;
	db_bind_int(s, 1, (int64_t)m->id);
	db_bind_int(s, 2, r->index);
	db_bind_int(s, 3, r->state);
	db_bind_int(s, 4, r->due_at_ms);
	db_bind_int(s, 5, r->attempts);
	db_bind_int(s, 6, r->last_attempt_ms);
	db_bind_int(s, 7, r->warned);
	db_bind_int(s, 8, r->notify);
	db_bind_int(s, 9, (int64_t)m->size_bytes);
	db_bind_text(s, 10, r->address);
	db_bind_text(s, 11, r->orcpt);
	db_bind_text(s, 12, r->original);
	db_bind_text(s, 13, r->last_reply);
	db_bind_text(s, 14, r->last_host);
	db_bind_text(s, 15, r->stream);
	db_bind_text(s, 16, r->smarthost);
	db_bind_int(s, 17, r->priority);
	db_bind_int(s, 18, r->deliver_by_ms);
	db_bind_int(s, 19, r->flags);
	db_bind_int(s, 20, r->hold_until_ms);
	db_bind_int(s, 21, r->hold_for_s);
	return db_run(s, NULL);
}

enum err queue_store_put(struct db *db, const struct queue_message *message)
{
	/* A message without recipients would never be looked at again. */
	ASSERT(message->id > 0 && message->id <= INT64_MAX && message->recipient_count > 0);
	ASSERT(message->spool.len < 64);
	enum err err = put_message(db, message);
	for (size_t i = 0; i < message->recipient_count && err == ERR_OK; i++)
		err = put_recipient(db, message, &message->recipients[i]);
	return err;
}

static enum err delete_recipient(struct db *db, uint64_t message_id, uint32_t index, uint64_t *ret_changed)
{
	struct db_statement *s = db_prepare(db, "DELETE FROM recipient WHERE message_id = $1 AND idx = $2");
	if (s == NULL)
		return ERR_IO;
	db_bind_int(s, 1, (int64_t)message_id);
	db_bind_int(s, 2, index);
	return db_run(s, ret_changed);
}

/* The state is not touched: an operator may have held the row while the attempt was under way. Nor is when and why it is returned, if he decided on
 * that meanwhile (64 is QUEUE_RETURN). */
static enum err defer_recipient(
	struct db *db, uint64_t message_id, const struct queue_outcome *o, uint64_t *ret_changed)
{
	struct db_statement *s = db_prepare(db,
		"UPDATE recipient SET attempts = $3, warned = $5, last_host = $7, last_attempt_ms = $8, "
		"due_at_ms = CASE WHEN (flags & 64) = 0 THEN $4 ELSE due_at_ms END, "
		"last_reply = CASE WHEN (flags & 64) = 0 THEN $6 ELSE last_reply END "
		"WHERE message_id = $1 AND idx = $2");
	if (s == NULL)
		return ERR_IO;
	db_bind_int(s, 1, (int64_t)message_id);
	db_bind_int(s, 2, o->index);
	db_bind_int(s, 3, o->attempts);
	db_bind_int(s, 4, o->due_at_ms);
	db_bind_int(s, 5, o->warned);
	db_bind_text(s, 6, o->last_reply);
	db_bind_text(s, 7, o->last_host);
	db_bind_int(s, 8, o->last_attempt_ms);
	return db_run(s, ret_changed);
}

/* Removes the message if no recipient is left. RETURNING costs less than asking first: mostly the row goes. */
enum err queue_store_delete_settled(struct db *db, uint64_t message_id, char ret_spool[64])
{
	struct db_statement *s = db_prepare(db,
		"DELETE FROM message WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM recipient WHERE message_id = $1) "
		"RETURNING spool");
	if (s == NULL)
		return ERR_IO;
	db_bind_int(s, 1, (int64_t)message_id);
	bool row;
	enum err err = db_step(s, &row);
	if (err != ERR_OK || !row)
		return err;
	struct view spool = db_column_view(s, 0);
	char name[64] = "";
	if (spool.len < sizeof name && spool.len > 0)
		memcpy(name, spool.ptr, spool.len);
	err = db_run(s, NULL);
	if (err == ERR_OK)
		memcpy(ret_spool, name, sizeof name);
	return err;
}

enum err queue_store_settle(
	struct db *db, uint64_t message_id, size_t count, const struct queue_outcome *outcomes, char ret_spool[64])
{
	bool settled = false, deferred = false;
	char spool[64] = "";
	enum err err = ERR_OK;
	for (size_t i = 0; i < count && err == ERR_OK; i++) {
		const struct queue_outcome *o = &outcomes[i];
		uint64_t changed = 0;
		if (o->kind == QUEUE_SETTLED) {
			err = delete_recipient(db, message_id, o->index, &changed);
			settled = settled || changed > 0;
		} else {
			err = defer_recipient(db, message_id, o, &changed);
			deferred = deferred || changed > 0;
		}
	}
	if (err == ERR_OK && settled && !deferred)
		err = queue_store_delete_settled(db, message_id, spool);
	if (err == ERR_OK)
		memcpy(ret_spool, spool, sizeof spool);
	return err;
}

/* Takes the row away. What those who come in its place take over is in *ret, its texts in `kept`. */
static enum err take_recipient(struct db *db, uint64_t message_id, uint32_t index, struct buf *kept,
	struct queue_recipient *ret, bool *ret_was_there)
{
	struct db_statement *s = db_prepare(db,
		"DELETE FROM recipient WHERE message_id = $1 AND idx = $2 "
		"RETURNING state, priority, deliver_by_ms, flags, stream, smarthost, hold_until_ms, hold_for_s");
	if (s == NULL)
		return ERR_IO;
	db_bind_int(s, 1, (int64_t)message_id);
	db_bind_int(s, 2, index);
	bool row = false;
	enum err err = db_step(s, &row);
	*ret_was_there = row;
	if (err != ERR_OK || !row)
		return err;
	struct queue_recipient taken = {
		.state = db_column_int(s, 0) == QUEUE_HELD ? QUEUE_HELD : QUEUE_READY,
		.priority = (int32_t)db_column_int(s, 1),
		.deliver_by_ms = db_column_int(s, 2),
		.flags = (unsigned)db_column_int(s, 3),
		.hold_until_ms = db_column_int(s, 6),
		.hold_for_s = (uint32_t)db_column_int(s, 7),
	};
	size_t stream_len = db_column_view(s, 4).len;
	err = buf_append(kept, db_column_view(s, 4));
	if (err == ERR_OK)
		err = buf_append(kept, db_column_view(s, 5));
	if (err != ERR_OK) {
		db_reset(s);
		return err;
	}
	err = db_run(s, NULL);
	taken.stream = view_sub(buf_view(kept), 0, stream_len);
	taken.smarthost = view_from(buf_view(kept), stream_len);
	*ret = taken;
	return err;
}

static enum err last_index(struct db *db, uint64_t message_id, uint32_t *ret)
{
	struct db_statement *s = db_prepare(db, "SELECT MAX(idx) FROM recipient WHERE message_id = $1");
	if (s == NULL)
		return ERR_IO;
	db_bind_int(s, 1, (int64_t)message_id);
	bool row;
	enum err err = db_step(s, &row);
	if (err != ERR_OK || !row)
		return err;
	*ret = (uint32_t)db_column_int(s, 0);
	db_reset(s);
	return ERR_OK;
}

enum err queue_store_replace(struct db *db, const struct queue_message *message, uint32_t index, uint32_t first_index,
	size_t count, const struct queue_recipient *recipients)
{
	ASSERT(count > 0);
	bool was_there = false;
	struct queue_recipient taken = { 0 };
	struct buf kept = { 0 };
	uint32_t last = 0;
	enum err err = last_index(db, message->id, &last);
	if (err == ERR_OK)
		err = take_recipient(db, message->id, index, &kept, &taken, &was_there);
	for (size_t i = 0; i < count && err == ERR_OK && was_there; i++) {
		struct queue_recipient r = recipients[i];
		r.index = (last >= first_index ? last + 1 : first_index) + (uint32_t)i;
		r.state = taken.state;
		r.stream = taken.stream;
		r.smarthost = taken.smarthost;
		r.priority = taken.priority;
		r.deliver_by_ms = taken.deliver_by_ms;
		r.flags = taken.flags;
		r.hold_until_ms = taken.hold_until_ms;
		r.hold_for_s = taken.hold_for_s;
		err = put_recipient(db, message, &r);
	}
	buf_clear(&kept);
	return err;
}

static enum err select_int(struct db *db, const char *sql, int64_t *ret)
{
	struct db_statement *s = db_prepare(db, sql);
	if (s == NULL)
		return ERR_IO;
	bool row;
	enum err err = db_step(s, &row);
	if (err != ERR_OK || !row)
		return err;
	*ret = db_column_int(s, 0);
	db_reset(s);
	return ERR_OK;
}

enum err queue_store_next_due(struct db *db, int64_t *ret_due_at_ms)
{
	int64_t due = INT64_MAX;
	enum err err = select_int(
		db, "SELECT due_at_ms FROM recipient WHERE state = 0 ORDER BY due_at_ms LIMIT 1", &due);
	if (err == ERR_OK)
		*ret_due_at_ms = due;
	return err;
}

enum err queue_store_last_id(struct db *db, uint64_t *ret_id)
{
	int64_t id = 0;
	enum err err = select_int(db, "SELECT id FROM message ORDER BY id DESC LIMIT 1", &id);
	if (err == ERR_OK)
		*ret_id = (uint64_t)id;
	return err;
}

enum err queue_store_load_content(
	struct db *db, uint64_t message_id, struct buf *ret_head, struct buf *ret_body, char ret_spool[64])
{
	struct db_statement *s = db_prepare(db, "SELECT head, body, spool FROM message WHERE id = $1");
	if (s == NULL)
		return ERR_IO;
	db_bind_int(s, 1, (int64_t)message_id);
	bool row;
	enum err err = db_step(s, &row);
	if (err != ERR_OK)
		return err;
	if (!row)
		return err_set(ERR_NOT_FOUND, "the message is not in the queue");
	size_t head_before = ret_head->len, body_before = ret_body->len;
	err = buf_append(ret_head, db_column_view(s, 0));
	if (err == ERR_OK)
		err = buf_append(ret_body, db_column_view(s, 1));
	struct view spool = db_column_view(s, 2);
	if (err == ERR_OK && spool.len >= 64)
		err = err_set(ERR_SYNTAX, "the spool file's name is too long");
	if (err == ERR_OK) {
		memset(ret_spool, 0, 64);
		if (spool.len > 0)
			memcpy(ret_spool, spool.ptr, spool.len);
	} else {
		ret_head->len = head_before;
		ret_body->len = body_before;
	}
	db_reset(s);
	return err;
}
