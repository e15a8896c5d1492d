#include "service/message.h"

#include "base/mem.h"

#include <string.h>

bool memory_budget_take(struct memory_budget *budget, size_t bytes)
{
	size_t before = atomic_fetch_add_explicit(&budget->used_bytes, bytes, memory_order_relaxed);
	size_t limit = atomic_load_explicit(&budget->limit_bytes, memory_order_relaxed);
	if (bytes <= limit && before <= limit - bytes)
		return true;
	atomic_fetch_sub_explicit(&budget->used_bytes, bytes, memory_order_relaxed);
	return false;
}

void memory_budget_give(struct memory_budget *budget, size_t bytes)
{
	atomic_fetch_sub_explicit(&budget->used_bytes, bytes, memory_order_relaxed);
}

struct message *message_new(struct memory_budget *budget)
{
	struct message *message = mem_alloc(sizeof *message);
	arena_init(&message->arena, MESSAGE_ARENA_BYTES);
	message->budget = budget;
	message->passed_due_ms = INT64_MAX;
	return message;
}

void message_free(struct message *message)
{
	if (message == NULL)
		return;
	ASSERT(message->users == 0);
	message_drop_content(message);
	arena_clear(&message->arena);
	mem_free(message);
}

struct view message_keep(struct message *message, struct view bytes)
{
	struct view copy = VIEW_NONE;
	enum err err = arena_dup(&message->arena, bytes, &copy);
	ASSERT(err == ERR_OK);
	return copy;
}

/* The hashes stand side by side: looking through them all costs little, even for the last of 20,000. */
static bool has_recipient(const struct message *message, struct view address, uint64_t hash)
{
	for (size_t i = 0; i < message->envelope.recipient_count; i++)
		if (message->recipient_hashes[i] == hash && view_eq(message->envelope.recipients[i].address, address))
			return true;
	return false;
}

bool message_has_recipient(const struct message *message, struct view address)
{
	for (size_t i = 0; i < message->envelope.recipient_count; i++)
		if (view_eq(message->envelope.recipients[i].address, address))
			return true;
	return false;
}

static enum err make_room(struct message *message)
{
	struct queue_message *q = &message->envelope;
	if (q->recipient_count >= MESSAGE_RECIPIENTS_MAX)
		return ERR_LIMIT;
	if (q->recipient_count < message->recipient_room)
		return ERR_OK;
	size_t room = message->recipient_room > 0 ? message->recipient_room * 2 : 2;
	struct queue_recipient *larger = arena_alloc(&message->arena, room * sizeof *larger);
	uint64_t *hashes = arena_alloc(&message->arena, room * sizeof *hashes);
	if (larger == NULL || hashes == NULL)
		return ERR_LIMIT;
	if (q->recipient_count > 0) {
		memcpy(larger, q->recipients, q->recipient_count * sizeof *larger);
		memcpy(hashes, message->recipient_hashes, q->recipient_count * sizeof *hashes);
	}
	q->recipients = larger;
	message->recipient_hashes = hashes;
	message->recipient_room = room;
	return ERR_OK;
}

enum err message_add_recipient(struct message *message, const struct queue_recipient *recipient)
{
	uint64_t hash = view_hash(recipient->address);
	if (has_recipient(message, recipient->address, hash))
		return ERR_OK;
	enum err err = make_room(message);
	if (err != ERR_OK)
		return err;
	if (message->arena.used_bytes > MESSAGE_ENVELOPE_BYTES)
		return ERR_LIMIT;
	struct queue_recipient copy = *recipient;
	copy.index = (uint32_t)message->envelope.recipient_count;
	if (arena_dup(&message->arena, recipient->address, &copy.address) != ERR_OK ||
		arena_dup(&message->arena, recipient->orcpt, &copy.orcpt) != ERR_OK ||
		arena_dup(&message->arena, recipient->original, &copy.original) != ERR_OK ||
		arena_dup(&message->arena, recipient->last_reply, &copy.last_reply) != ERR_OK ||
		arena_dup(&message->arena, recipient->last_host, &copy.last_host) != ERR_OK ||
		arena_dup(&message->arena, recipient->stream, &copy.stream) != ERR_OK ||
		arena_dup(&message->arena, recipient->smarthost, &copy.smarthost) != ERR_OK)
		return ERR_LIMIT;
	message->recipient_hashes[message->envelope.recipient_count] = hash;
	message->envelope.recipients[message->envelope.recipient_count++] = copy;
	return ERR_OK;
}

void message_drop_recipients(struct message *message, size_t count)
{
	ASSERT(count <= message->envelope.recipient_count);
	message->envelope.recipient_count = count;
}

void message_drop_content(struct message *message)
{
	buf_clear(&message->head);
	buf_clear(&message->body);
	message->content_loaded = false;
	message->envelope.head = VIEW_NONE;
	message->envelope.body = VIEW_NONE;
	if (message->budget_bytes > 0)
		memory_budget_give(message->budget, message->budget_bytes);
	message->budget_bytes = 0;
}

void message_count_content(struct message *message)
{
	size_t bytes = message->head.cap + message->body.cap;
	if (bytes > message->budget_bytes) {
		atomic_fetch_add_explicit(
			&message->budget->used_bytes, bytes - message->budget_bytes, memory_order_relaxed);
		message->budget_bytes = bytes;
	}
}

uint64_t message_content_bytes(const struct message *message)
{
	return message->envelope.size_bytes;
}
