#include "store/queue_store_private.h"

#include "base/mem.h"

#include <string.h>

struct queue_recipient queue_store_read_recipient(struct db_statement *s)
{
	return (struct queue_recipient){
		.index = (uint32_t)db_column_int(s, 1),
		.state = db_column_int(s, 2) == QUEUE_HELD ? QUEUE_HELD : QUEUE_READY,
		.due_at_ms = db_column_int(s, 3),
		.attempts = (uint32_t)db_column_int(s, 4),
		.last_attempt_ms = db_column_int(s, 5),
		.warned = db_column_int(s, 6) != 0,
		.notify = (unsigned)db_column_int(s, 7),
		.address = db_column_view(s, 8),
		.orcpt = db_column_view(s, 9),
		.original = db_column_view(s, 10),
		.last_reply = db_column_view(s, 11),
		.last_host = db_column_view(s, 12),
		.stream = db_column_view(s, 13),
		.smarthost = db_column_view(s, 14),
		.priority = (int32_t)db_column_int(s, 15),
		.deliver_by_ms = db_column_int(s, 16),
		.flags = (unsigned)db_column_int(s, 17),
		.hold_until_ms = db_column_int(s, 18),
		.hold_for_s = (uint32_t)db_column_int(s, 19),
	};
}

struct queue_message queue_store_read_envelope(struct db_statement *s, uint64_t id, int at)
{
	return (struct queue_message){
		.id = id,
		.received_at_ms = db_column_int(s, at),
		.size_bytes = (uint64_t)db_column_int(s, at + 1),
		.ret = (unsigned)db_column_int(s, at + 2),
		.body_type = (unsigned)db_column_int(s, at + 3),
		.smtputf8 = db_column_int(s, at + 4) != 0,
		.reverse_path = db_column_view(s, at + 5),
		.envid = db_column_view(s, at + 6),
		.account = db_column_view(s, at + 7),
		.client = db_column_view(s, at + 8),
		.source = db_column_view(s, at + 9),
		.spool = db_column_view(s, at + 10),
	};
}

/* The texts of a row that are copied: seven of the recipient, six of the envelope. */
#define TEXTS 13u

static enum err dup_row(struct arena *arena, struct queue_recipient *r, struct queue_message *m)
{
	struct view *const views[TEXTS] = { &r->address, &r->orcpt, &r->original, &r->last_reply, &r->last_host,
		&r->stream, &r->smarthost, &m->reverse_path, &m->envid, &m->account, &m->client, &m->source,
		&m->spool };
	enum err err = ERR_OK;
	for (size_t i = 0; i < TEXTS && err == ERR_OK; i++)
		err = arena_dup(arena, *views[i], views[i]);
	return err;
}

/* What was read so far. The arrays grow on the heap, for how many rows come is only known at the end; the texts are in the arena. */
struct gathered {
	struct arena *arena;
	struct queue_message *messages;
	struct queue_recipient *recipients;
	size_t message_count, message_cap, recipient_count, recipient_cap;
};

static void *grown(void *array, size_t count, size_t *cap, size_t size)
{
	if (count < *cap)
		return array;
	*cap = *cap > 0 ? *cap * 2 : 16;
	ASSERT(*cap <= SIZE_MAX / size);
	return mem_resize(array, *cap * size);
}

/* Whether one row more, and the arrays at the end, fit into the arena: asked before anything is copied, so that what was gathered is usable. */
static bool has_room(const struct gathered *g, const struct queue_recipient *r, const struct queue_message *m)
{
	size_t texts = r->address.len + r->orcpt.len + r->original.len + r->last_reply.len + r->last_host.len +
		r->stream.len + r->smarthost.len + m->reverse_path.len + m->envid.len + m->account.len + m->client.len +
		m->source.len + m->spool.len;
	size_t arrays = (g->message_count + 1) * sizeof *m + (g->recipient_count + 1) * sizeof *r;
	size_t rounding = (TEXTS + 4) * 32;
	return texts + arrays + rounding <= g->arena->budget_bytes - g->arena->used_bytes;
}

/* Takes the statement's row. ERR_LIMIT: the arena is full, and nothing was taken. */
static enum err gather(struct gathered *g, struct db_statement *s)
{
	uint64_t id = (uint64_t)db_column_int(s, 0);
	struct queue_recipient recipient = queue_store_read_recipient(s);
	bool same = g->message_count > 0 && g->messages[g->message_count - 1].id == id;
	struct queue_message message = same ? (struct queue_message){ .id = id }
					    : queue_store_read_envelope(s, id, QUEUE_STORE_ENVELOPE_AT);
	if (!has_room(g, &recipient, &message) || dup_row(g->arena, &recipient, &message) != ERR_OK)
		return err_set(ERR_LIMIT, "the messages do not fit into the memory given for them");
	if (!same) {
		g->messages = grown(g->messages, g->message_count, &g->message_cap, sizeof message);
		g->messages[g->message_count++] = message;
	}
	g->recipients = grown(g->recipients, g->recipient_count, &g->recipient_cap, sizeof recipient);
	g->recipients[g->recipient_count++] = recipient;
	g->messages[g->message_count - 1].recipient_count++;
	return ERR_OK;
}

/* The arrays move into the arena; the heap's are freed in every case. */
static enum err finish(struct gathered *g, struct queue_message **ret)
{
	enum err err = ERR_OK;
	struct queue_message *messages = NULL;
	if (g->message_count > 0) {
		messages = arena_alloc(g->arena, g->message_count * sizeof *messages);
		struct queue_recipient *recipients = arena_alloc(g->arena, g->recipient_count * sizeof *recipients);
		if (messages == NULL || recipients == NULL) {
			err = err_set(ERR_LIMIT, "the messages do not fit into the memory given for them");
		} else {
			memcpy(messages, g->messages, g->message_count * sizeof *messages);
			memcpy(recipients, g->recipients, g->recipient_count * sizeof *recipients);
			for (size_t i = 0; i < g->message_count; i++) {
				messages[i].recipients = recipients;
				recipients += messages[i].recipient_count;
			}
		}
	}
	mem_free(g->messages);
	mem_free(g->recipients);
	if (err == ERR_OK)
		*ret = messages;
	return err;
}

/* The join's order is spelled out (CROSS JOIN): from the index of due rows to their messages, never the other way. */
const char queue_store_select_due[] =
	"SELECT " QUEUE_STORE_RECIPIENT_COLUMNS ", " QUEUE_STORE_ENVELOPE_COLUMNS
	" FROM recipient r CROSS JOIN message m WHERE m.id = r.message_id AND r.state = 0 AND r.due_at_ms <= $1"
	" AND (r.due_at_ms, r.message_id, r.idx) > ($2, $3, $4) ORDER BY r.due_at_ms, r.message_id, r.idx LIMIT $5";

enum err queue_store_load_due(struct db *db, struct queue_position after, int64_t until_ms, size_t limit,
	struct arena *arena, struct queue_message **ret_messages, size_t *ret_count, size_t *ret_rows,
	struct queue_position *ret_next)
{
	struct db_statement *s = db_prepare(db, queue_store_select_due);
	if (s == NULL)
		return ERR_IO;
	db_bind_int(s, 1, until_ms);
	db_bind_int(s, 2, after.due_at_ms);
	db_bind_int(s, 3, (int64_t)after.message_id);
	db_bind_int(s, 4, after.index);
	db_bind_int(s, 5, limit <= INT64_MAX ? (int64_t)limit : INT64_MAX);
	struct gathered g = { .arena = arena };
	struct queue_position next = after;
	bool row;
	enum err err;
	while ((err = db_step(s, &row)) == ERR_OK && row) {
		err = gather(&g, s);
		if (err != ERR_OK)
			break;
		next = (struct queue_position){ db_column_int(s, 3), (uint64_t)db_column_int(s, 0),
			(uint32_t)db_column_int(s, 1) };
	}
	db_reset(s);
	/* A full arena is the end of this page, not a failure: the next one goes on from there. */
	if (err == ERR_LIMIT && g.recipient_count > 0)
		err = ERR_OK;
	struct queue_message *messages = NULL;
	enum err finish_err = finish(&g, &messages);
	if (err == ERR_OK)
		err = finish_err;
	if (err != ERR_OK)
		return err;
	*ret_messages = messages;
	*ret_count = g.message_count;
	*ret_rows = g.recipient_count;
	*ret_next = next;
	return ERR_OK;
}

enum err queue_store_load(struct db *db, uint64_t message_id, struct arena *arena, struct queue_message *ret)
{
	struct db_statement *s = db_prepare(db,
		"SELECT " QUEUE_STORE_RECIPIENT_COLUMNS ", " QUEUE_STORE_ENVELOPE_COLUMNS
		" FROM recipient r CROSS JOIN message m WHERE r.message_id = $1 AND m.id = r.message_id ORDER BY "
		"r.idx");
	if (s == NULL)
		return ERR_IO;
	db_bind_int(s, 1, (int64_t)message_id);
	struct gathered g = { .arena = arena };
	bool row;
	enum err err;
	while ((err = db_step(s, &row)) == ERR_OK && row && (err = gather(&g, s)) == ERR_OK)
		;
	db_reset(s);
	struct queue_message *messages = NULL;
	enum err finish_err = finish(&g, &messages);
	if (err == ERR_OK)
		err = finish_err;
	if (err == ERR_OK && messages == NULL)
		err = err_set(ERR_NOT_FOUND, "the message is not in the queue");
	if (err == ERR_OK)
		*ret = messages[0];
	return err;
}
