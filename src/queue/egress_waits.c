#include "queue/egress_waits.h"

#include "base/mem.h"
#include "queue/destination_private.h"

struct address {
	struct list link; /* in waits->addresses */
	struct limiter *limiter;
	struct list places; /* of streams of which any may wait: who used it last is the last */
	int64_t connect_ms, send_ms; /* as was said last */
	bool is_short; /* of messages, not only of connections */
};

/* A stream at one of its addresses. */
struct place {
	struct list link; /* in address->places; taken out when it is seen that nobody waits */
	struct line *line;
	struct address *address;
	struct list idle; /* destinations with a connection from here, by turn */
};

/* A stream. */
struct line {
	struct list link; /* in waits->lines */
	struct limiter *limiter;
	struct list waiting; /* destinations that want a connection, by turn */
	size_t place_count;
	struct place places[];
};

struct egress_waits {
	struct destination_table *table;
	struct list addresses, lines;
	uint64_t turns; /* given so far */
	int64_t next_ms; /* no address has to be looked at sooner */
};

struct egress_waits *egress_waits_new(struct destination_table *table)
{
	struct egress_waits *waits = mem_alloc(sizeof *waits);
	waits->table = table;
	list_init(&waits->addresses);
	list_init(&waits->lines);
	waits->next_ms = INT64_MAX;
	return waits;
}

static struct destination *first_of(const struct list *waiting, size_t link_at)
{
	return list_is_empty(waiting) ? NULL : (struct destination *)(void *)((uint8_t *)waiting->next - link_at);
}

static struct destination *first_waiting(const struct line *line)
{
	return first_of(&line->waiting, offsetof(struct destination, line_link));
}

static struct destination *first_idle(const struct place *place)
{
	return first_of(&place->idle, offsetof(struct destination, line_idle_link));
}

static void let_go_anew(struct egress_waits *waits, struct destination *d)
{
	d->turn = 0;
	destination_let_go(waits->table, d);
}

static void line_free(struct egress_waits *waits, struct line *line)
{
	struct destination *d;
	while ((d = first_waiting(line)) != NULL)
		let_go_anew(waits, d);
	for (size_t i = 0; i < line->place_count; i++) {
		while ((d = first_idle(&line->places[i])) != NULL)
			let_go_anew(waits, d);
		list_remove(&line->places[i].link);
	}
	list_remove(&line->link);
	line->limiter->waits = NULL;
	line->limiter->users--;
	mem_free(line);
}

void egress_waits_forget(struct egress_waits *waits)
{
	while (!list_is_empty(&waits->lines))
		line_free(waits, LIST_ENTRY(waits->lines.next, struct line, link));
	struct list *first;
	while ((first = list_take_first(&waits->addresses)) != NULL) {
		struct address *a = LIST_ENTRY(first, struct address, link);
		a->limiter->waits = NULL;
		a->limiter->users--;
		mem_free(a);
	}
	waits->next_ms = INT64_MAX;
}

void egress_waits_free(struct egress_waits *waits)
{
	if (waits == NULL)
		return;
	egress_waits_forget(waits);
	mem_free(waits);
}

bool egress_waits_has(const struct destination *destination)
{
	return !list_is_empty(&destination->line_link) || !list_is_empty(&destination->line_idle_link);
}

bool egress_waits_is_behind(
	const struct egress_waits *waits, const struct destination *destination, const struct limiter *stream)
{
	(void)waits;
	const struct line *line = stream->waits;
	const struct destination *first = line != NULL ? first_waiting(line) : NULL;
	return first != NULL && (destination->turn == 0 || first->turn < destination->turn);
}

static bool anybody_waits(const struct place *place)
{
	return !list_is_empty(&place->line->waiting) || !list_is_empty(&place->idle);
}

static bool anybody_waits_at(const struct address *a)
{
	for (struct list *l = a->places.next; l != &a->places; l = l->next)
		if (anybody_waits(LIST_ENTRY(l, struct place, link)))
			return true;
	return false;
}

bool egress_waits_is_behind_at(
	const struct egress_waits *waits, const struct destination *destination, const struct limiter *address)
{
	(void)waits;
	const struct address *a = address->waits;
	bool is_its_turn = destination->turn != 0 && !egress_waits_has(destination);
	return a != NULL && a->is_short && !is_its_turn && anybody_waits_at(a);
}

static struct address *address_get(struct egress_waits *waits, struct limiter *limiter)
{
	struct address *a = limiter->waits;
	if (a != NULL)
		return a;
	a = mem_alloc(sizeof *a);
	a->limiter = limiter;
	a->connect_ms = a->send_ms = INT64_MAX;
	list_init(&a->places);
	list_append(&waits->addresses, &a->link);
	limiter->waits = a;
	limiter->users++;
	return a;
}

static struct line *line_get(struct egress_waits *waits, const struct egress_wish *wish)
{
	struct line *line = wish->stream->waits;
	if (line != NULL)
		return line;
	line = mem_alloc(sizeof *line + wish->room_count * sizeof line->places[0]);
	line->limiter = wish->stream;
	list_init(&line->waiting);
	for (size_t i = 0; i < wish->room_count; i++) {
		if (wish->rooms[i].limiter == NULL)
			continue;
		struct place *place = &line->places[line->place_count++];
		place->line = line;
		place->address = address_get(waits, wish->rooms[i].limiter);
		list_init(&place->link);
		list_init(&place->idle);
	}
	list_append(&waits->lines, &line->link);
	wish->stream->waits = line;
	wish->stream->users++;
	return line;
}

static uint64_t turn_of(const struct list *l, size_t link_at)
{
	return ((const struct destination *)(const void *)((const uint8_t *)l - link_at))->turn;
}

/* Those who come first belong at the end; those who were let go in vain, near the beginning. */
static void insert(struct list *waiting, struct list *link, uint64_t turn, size_t link_at)
{
	struct list *before = waiting;
	if (!list_is_empty(waiting) && turn_of(waiting->prev, link_at) > turn) {
		before = waiting->next;
		while (turn_of(before, link_at) < turn)
			before = before->next;
	}
	list_insert_before(before, link);
}

static void note_rooms(struct egress_waits *waits, const struct egress_wish *wish, int64_t now_ms)
{
	for (size_t i = 0; i < wish->room_count; i++) {
		const struct egress_room *room = &wish->rooms[i];
		if (room->limiter == NULL)
			continue;
		struct address *a = address_get(waits, room->limiter);
		a->connect_ms = room->connect_ms;
		a->send_ms = room->send_ms;
		a->is_short = room->send_ms > now_ms;
	}
}

static void begin_to_wait_at(struct place *place)
{
	if (list_is_empty(&place->link))
		list_append(&place->address->places, &place->link);
}

static void look_again(struct egress_waits *waits, const struct place *place)
{
	const struct address *a = place->address;
	if (!list_is_empty(&place->line->waiting) && a->connect_ms < waits->next_ms)
		waits->next_ms = a->connect_ms;
	if (!list_is_empty(&place->idle) && a->send_ms < waits->next_ms)
		waits->next_ms = a->send_ms;
}

void egress_waits_add(
	struct egress_waits *waits, struct destination *destination, const struct egress_wish *wish, int64_t now_ms)
{
	struct destination *d = destination;
	destination_let_go(waits->table, d);
	struct line *line = line_get(waits, wish);
	note_rooms(waits, wish, now_ms);
	if (d->turn == 0)
		d->turn = ++waits->turns;
	if (wish->connects)
		insert(&line->waiting, &d->line_link, d->turn, offsetof(struct destination, line_link));
	for (size_t i = 0; i < line->place_count; i++) {
		struct place *place = &line->places[i];
		bool idle_here = place->address->limiter == wish->idle_at;
		if (idle_here)
			insert(&place->idle, &d->line_idle_link, d->turn, offsetof(struct destination, line_idle_link));
		if (idle_here || wish->connects)
			begin_to_wait_at(place);
		look_again(waits, place);
	}
	ASSERT(egress_waits_has(d));
	d->hold = DESTINATION_HELD_TO_SEND;
	d->held_by = NULL;
	destination_settle_place(waits->table, d);
}

void egress_waits_took(struct egress_waits *waits, struct destination *destination, struct limiter *address)
{
	(void)waits;
	struct address *a = address->waits;
	destination->turn = 0;
	for (struct list *l = a != NULL ? a->places.next : NULL; l != NULL && l != &a->places; l = l->next) {
		if (!destination_is_under(destination, LIST_ENTRY(l, struct place, link)->line->limiter))
			continue;
		list_remove(l);
		list_append(&a->places, l);
		return;
	}
}

bool egress_waits_may_ask(struct egress_waits *waits, struct limiter *address)
{
	struct address *a = address->waits;
	if (a == NULL || !anybody_waits_at(a))
		return false;
	a->connect_ms = a->send_ms = 0;
	waits->next_ms = 0;
	return true;
}

/* Who of this stream's has the first turn among those that there may be room for. */
static struct destination *whose_turn(const struct place *place, int64_t now_ms)
{
	struct destination *waiting = place->address->connect_ms <= now_ms ? first_waiting(place->line) : NULL;
	struct destination *idle = place->address->send_ms <= now_ms ? first_idle(place) : NULL;
	if (waiting == NULL || idle == NULL)
		return waiting != NULL ? waiting : idle;
	return idle->turn <= waiting->turn ? idle : waiting;
}

static bool wake_at(struct egress_waits *waits, struct address *a, int64_t now_ms)
{
	struct list *next;
	bool any = false;
	for (struct list *l = a->places.next; l != &a->places; l = next) {
		next = l->next;
		struct place *place = LIST_ENTRY(l, struct place, link);
		if (!anybody_waits(place)) {
			list_remove(l);
			continue;
		}
		struct destination *d = any ? NULL : whose_turn(place, now_ms);
		if (d != NULL && d->waiting_count == 0)
			let_go_anew(waits, d); /* its mail went another way */
		else if (d != NULL)
			destination_let_go(waits->table, d);
		any |= d != NULL;
		look_again(waits, place);
	}
	return any;
}

bool egress_waits_wake(struct egress_waits *waits, int64_t now_ms)
{
	bool any = false;
	if (now_ms < waits->next_ms)
		return false;
	waits->next_ms = INT64_MAX;
	for (struct list *l = waits->addresses.next; l != &waits->addresses; l = l->next)
		any |= wake_at(waits, LIST_ENTRY(l, struct address, link), now_ms);
	return any;
}

int64_t egress_waits_next_ms(const struct egress_waits *waits)
{
	return waits->next_ms;
}
