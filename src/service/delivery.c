#include "service/dispatcher_private.h"

#include "base/mem.h"

/* Outcomes of as many recipients as a message may have, and once again. */
#define DELIVERY_ARENA_BYTES (64u * 1024 * 1024)

struct delivery *delivery_new(struct dispatcher *dispatcher, struct message *message, const struct delivery_way *way)
{
	struct delivery *delivery = mem_alloc(sizeof *delivery);
	list_init(&delivery->link);
	delivery->dispatcher = dispatcher;
	delivery->message = message;
	delivery->way = *way;
	arena_init(&delivery->arena, DELIVERY_ARENA_BYTES);
	message->users++;
	return delivery;
}

void delivery_add(
	struct delivery *delivery, struct queue_recipient *recipient, struct view address, struct view mailbox)
{
	if (delivery->count == delivery->room) {
		delivery->room = delivery->room * 2 + 1;
		delivery->recipients = mem_resize(delivery->recipients, delivery->room * sizeof *delivery->recipients);
	}
	delivery->recipients[delivery->count++] = (struct delivery_recipient){
		.recipient = recipient, .address = address, .mailbox = mailbox
	};
}

void delivery_drop(struct delivery *delivery)
{
	struct message *message = delivery->message;
	for (size_t i = 0; i < delivery->count; i++)
		if (delivery->recipients[i].recipient->due_at_ms < message->passed_due_ms)
			message->passed_due_ms = delivery->recipients[i].recipient->due_at_ms;
	delivery_free(delivery);
}

void delivery_free(struct delivery *delivery)
{
	struct message *message = delivery->message;
	ASSERT(message->users > 0);
	message->users--;
	dispatcher_message_done(delivery->dispatcher, message, delivery->count);
	domain_route_unref(delivery->route);
	arena_clear(&delivery->arena);
	mem_free(delivery->recipients);
	mem_free(delivery);
}

struct view delivery_keep(struct delivery *delivery, struct view text)
{
	struct view copy = VIEW_NONE;
	enum err err = arena_dup(&delivery->arena, text, &copy);
	ASSERT(err == ERR_OK); /* a few texts for each recipient, each of them cut */
	return copy;
}

void delivery_set_outcome(
	struct delivery *delivery, size_t index, enum outcome_kind outcome, struct view reply, struct view host)
{
	ASSERT(index < delivery->count);
	struct delivery_recipient *r = &delivery->recipients[index];
	r->outcome = outcome;
	r->reply = delivery_keep(delivery, view_sub(reply, 0, 1000));
	r->host = delivery_keep(delivery, view_sub(host, 0, 320));
}

void delivery_set_all(struct delivery *delivery, enum outcome_kind outcome, struct view reply, struct view host)
{
	for (size_t i = 0; i < delivery->count; i++)
		if (delivery->recipients[i].outcome == OUTCOME_NONE)
			delivery_set_outcome(delivery, i, outcome, reply, host);
}
