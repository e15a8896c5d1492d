/* What limiters say to destinations: who is told no waits at the gate of that limiter, and is let go when its time has come. */
#include "queue/destination_private.h"

#include "base/mem.h"

/* So many are let go at a time: those that are refused again keep their turn, and the others cost nothing. */
#define LET_GO_AT_ONCE 4u

static bool nobody_waits(const struct destination_gate *gate)
{
	return list_is_empty(&gate->queues[DESTINATION_HELD_TO_CONNECT].held) &&
		list_is_empty(&gate->queues[DESTINATION_HELD_TO_SEND].held);
}

static void gate_unref(struct destination_gate *gate)
{
	if (--gate->users > 0)
		return;
	ASSERT(nobody_waits(gate) && gate->limiter->gate == gate);
	gate->limiter->gate = NULL;
	list_remove(&gate->link);
	mem_free(gate);
}

static struct destination_gate *gate_ref(struct limiter *limiter)
{
	struct destination_gate *gate = limiter->gate;
	if (gate == NULL) {
		gate = mem_alloc(sizeof *gate);
		gate->limiter = limiter;
		list_init(&gate->link);
		for (size_t i = 0; i <= DESTINATION_HELD_TO_SEND; i++)
			list_init(&gate->queues[i].held);
		limiter->gate = gate;
	}
	gate->users++;
	return gate;
}

void destination_let_go(struct destination_table *table, struct destination *d)
{
	struct destination_gate *gate = d->held_by;
	if (d->hold == DESTINATION_FREE)
		return;
	list_remove(&d->held_link);
	list_remove(&d->line_link);
	list_remove(&d->line_idle_link);
	if (gate != NULL && nobody_waits(gate))
		list_remove(&gate->link);
	d->hold = DESTINATION_FREE;
	d->held_by = NULL;
	destination_settle_place(table, d);
}

/* First come, first served: who was let go in vain comes before those who came after him. */
static void hold_at(struct destination_table *table, struct destination_queue *queue, struct destination *d)
{
	struct list *before = queue->held.next;
	if (d->turn_at != queue)
		d->turn_there = ++table->turns;
	d->turn_at = queue;
	if (!list_is_empty(&queue->held) &&
		LIST_ENTRY(queue->held.prev, struct destination, held_link)->turn_there < d->turn_there)
		before = &queue->held;
	while (before != &queue->held && LIST_ENTRY(before, struct destination, held_link)->turn_there < d->turn_there)
		before = before->next;
	list_insert_before(before, &d->held_link);
}

static void hold(struct destination_table *table, struct destination *d, enum destination_hold how,
	struct destination_gate *gate, int64_t until_ms)
{
	destination_let_go(table, d);
	d->hold = how;
	d->held_by = gate;
	if (nobody_waits(gate))
		list_append(&table->held_gates, &gate->link);
	hold_at(table, &gate->queues[how], d);
	gate->queues[how].again_ms = until_ms;
	if (until_ms < table->next_gate_ms)
		table->next_gate_ms = until_ms;
	destination_settle_place(table, d);
}

static bool same_limiters(const struct destination *d, size_t count, struct limiter *const *limiters)
{
	if (d->gate_count != count)
		return false;
	for (size_t i = 0; i < count; i++)
		if (d->gates[i]->limiter != limiters[i])
			return false;
	return true;
}

/* Who waits there may ask again. */
static void may_ask(struct destination_table *table, struct destination_gate *gate, enum destination_hold how)
{
	struct destination_queue *queue = &gate->queues[how];
	queue->again_ms = 0;
	if (!list_is_empty(&queue->held))
		table->next_gate_ms = 0;
}

static void connection_gone(struct destination_table *table, struct destination_gate *gate)
{
	may_ask(table, gate, DESTINATION_HELD_TO_CONNECT);
}

void destination_set_limiters(
	struct destination_table *table, struct destination *destination, size_t count, struct limiter *const *limiters)
{
	struct destination *d = destination;
	ASSERT(count <= DESTINATION_LIMITERS_MAX);
	destination_let_go(table, d); /* the limits may be others, where the limiters are the same */
	if (same_limiters(d, count, limiters))
		return;
	struct destination_gate *old[DESTINATION_LIMITERS_MAX];
	size_t old_count = d->gate_count;
	for (size_t i = 0; i < old_count; i++)
		old[i] = d->gates[i];
	for (size_t i = 0; i < count; i++) {
		d->gates[i] = gate_ref(limiters[i]);
		limiters[i]->users++;
		for (uint32_t c = 0; c < d->connections; c++)
			limiter_connected(limiters[i]);
	}
	d->gate_count = count;
	for (size_t i = 0; i < old_count; i++) {
		for (uint32_t c = 0; c < d->connections; c++)
			limiter_disconnected(old[i]->limiter);
		connection_gone(table, old[i]);
		old[i]->limiter->users--;
		gate_unref(old[i]);
	}
}

void destination_gates_closed(struct destination_table *table, struct destination *destination)
{
	for (size_t i = 0; i < destination->gate_count; i++) {
		limiter_disconnected(destination->gates[i]->limiter);
		connection_gone(table, destination->gates[i]);
	}
}

void destination_gates_idle(struct destination_table *table, struct destination *destination)
{
	for (size_t i = 0; i < destination->gate_count; i++)
		connection_gone(table, destination->gates[i]);
}

/* A limiter that says no and names no time in the future would have us ask without end. */
static int64_t later(int64_t again_ms, int64_t now_ms)
{
	return again_ms > now_ms ? again_ms : now_ms + 1;
}

bool destination_may_send(struct destination_table *table, struct destination *destination, int64_t now_ms)
{
	for (size_t i = 0; i < destination->gate_count; i++) {
		int64_t again_ms = now_ms;
		if (limiter_may_send(destination->gates[i]->limiter, now_ms, &again_ms))
			continue;
		hold(table, destination, DESTINATION_HELD_TO_SEND, destination->gates[i], later(again_ms, now_ms));
		return false;
	}
	return true;
}

bool destination_may_open(struct destination_table *table, struct destination *destination, int64_t now_ms)
{
	for (size_t i = 0; i < destination->gate_count; i++) {
		int64_t again_ms = now_ms;
		if (limiter_may_connect(destination->gates[i]->limiter, now_ms, &again_ms))
			continue;
		hold(table, destination, DESTINATION_HELD_TO_CONNECT, destination->gates[i], later(again_ms, now_ms));
		return false;
	}
	return destination_may_send(table, destination, now_ms);
}

void destination_sent(struct destination *destination, int64_t now_ms)
{
	destination->turn_at = NULL;
	for (size_t i = 0; i < destination->gate_count; i++)
		limiter_sent(destination->gates[i]->limiter, now_ms);
}

void destination_unsent(struct destination_table *table, struct destination *destination, int64_t now_ms)
{
	for (size_t i = 0; i < destination->gate_count; i++) {
		limiter_unsent(destination->gates[i]->limiter, now_ms);
		may_ask(table, destination->gates[i], DESTINATION_HELD_TO_SEND);
	}
}

void destination_ask_again(struct destination_table *table, struct limiter *limiter)
{
	struct destination_gate *gate = limiter->gate;
	if (gate == NULL)
		return;
	for (size_t i = 0; i <= DESTINATION_HELD_TO_SEND; i++)
		gate->queues[i].again_ms = 0;
	if (!nobody_waits(gate))
		table->next_gate_ms = 0;
}

const struct limiter *destination_suspended(const struct destination *destination, int64_t now_ms)
{
	for (size_t i = 0; i < destination->gate_count; i++)
		if (destination->gates[i]->limiter->suspended_until_ms > now_ms)
			return destination->gates[i]->limiter;
	return NULL;
}

const struct limiter *destination_held_by(const struct destination *destination)
{
	return destination->hold == DESTINATION_HELD_TO_CONNECT ? destination->held_by->limiter : NULL;
}

bool destination_is_under(const struct destination *destination, const struct limiter *limiter)
{
	for (size_t i = 0; i < destination->gate_count; i++)
		if (destination->gates[i]->limiter == limiter)
			return true;
	return false;
}

static bool wake_queue(struct destination_table *table, struct destination_queue *queue, int64_t now_ms)
{
	bool any = false;
	for (size_t i = 0; queue->again_ms <= now_ms && i < LET_GO_AT_ONCE && !list_is_empty(&queue->held); i++) {
		destination_let_go(table, LIST_ENTRY(queue->held.next, struct destination, held_link));
		any = true;
	}
	if (!list_is_empty(&queue->held) && queue->again_ms < table->next_gate_ms)
		table->next_gate_ms = queue->again_ms;
	return any;
}

bool destination_wake_held(struct destination_table *table, int64_t now_ms)
{
	bool any = false;
	struct list *next;
	if (now_ms < table->next_gate_ms)
		return false;
	table->next_gate_ms = INT64_MAX;
	for (struct list *l = table->held_gates.next; l != &table->held_gates; l = next) {
		next = l->next;
		struct destination_gate *gate = LIST_ENTRY(l, struct destination_gate, link);
		any |= wake_queue(table, &gate->queues[DESTINATION_HELD_TO_CONNECT], now_ms);
		any |= wake_queue(table, &gate->queues[DESTINATION_HELD_TO_SEND], now_ms);
	}
	return any;
}

bool destination_waits_for_share(const struct destination_table *table)
{
	for (struct list *l = table->held_gates.next; l != &table->held_gates; l = l->next) {
		const struct destination_gate *gate = LIST_ENTRY(l, struct destination_gate, link);
		if (gate->limiter->is_share && !list_is_empty(&gate->queues[DESTINATION_HELD_TO_CONNECT].held))
			return true;
	}
	return false;
}

int64_t destination_next_wake_ms(const struct destination_table *table)
{
	return table->next_unblock_ms < table->next_gate_ms ? table->next_unblock_ms : table->next_gate_ms;
}
