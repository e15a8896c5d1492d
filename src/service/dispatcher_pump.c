/* What is started next: destinations in turn, as far as connections, limiters and addresses allow. */
#include "service/dispatcher_private.h"

#include "base/clock.h"
#include "base/mem.h"
#include "service/streams.h"

#define TIDY_MS 60000
#define PATIENCE_LOOK_MS 1000

/* The last quarter of all connections is for destinations that have none: a few that let us wait must not hold up the mail to all others. */
static enum destination_leave leave_to_open(const struct dispatcher *d)
{
	uint32_t most = d->config->delivery.connections;
	if (d->connections >= most)
		return DESTINATION_MAY_NOT_OPEN;
	return d->connections < most - most / 4 ? DESTINATION_MAY_OPEN : DESTINATION_MAY_OPEN_FIRST;
}

/* None of its addresses may send today: all of it waits on disk. */
static void leave_until(struct dispatcher *d, struct destination *destination, const struct streams_pick *pick)
{
	struct list *link;
	int64_t until_ms = loop_now_ms(d->loop) + pick->again_wall_ms - clock_wall_ms();
	while ((link = destination_take(d->destinations, destination)) != NULL) {
		struct delivery *delivery = LIST_ENTRY(link, struct delivery, link);
		delivery->untried = true;
		delivery_defer_until(delivery, view_from_cstr(pick->reason), until_ms);
	}
	(void)destination_release(d->destinations, destination);
}

static const struct config_stream *stream_of(const struct dispatcher *d, const struct destination *destination)
{
	const struct delivery *first = LIST_ENTRY(destination_first(destination), struct delivery, link);
	return config_stream_named(d->config, first->way.stream);
}

/* It is let go when one of its stream's addresses has room: for a connection, or (`idle_at`) for a message on one that it has. */
static void wait_for_address(struct dispatcher *d, struct destination *destination, const struct config_stream *stream,
	bool connects, const struct limiter *idle_at)
{
	int64_t now_ms = loop_now_ms(d->loop);
	struct egress_room *rooms = mem_alloc_array(stream->egress_count, sizeof *rooms);
	streams_look_at_egress(d->server->streams, stream, d->limiters, now_ms, clock_wall_ms(), rooms);
	/* A message could go, if there were a connection: one that has nothing to do makes room. Its end tells. */
	for (size_t i = 0; connects && i < stream->egress_count; i++)
		if (rooms[i].limiter != NULL && rooms[i].send_ms <= now_ms && rooms[i].connect_ms > now_ms)
			remote_quit_idle_at(d, rooms[i].limiter);
	struct egress_wish wish = {
		.stream = streams_limiter(d->limiters, d->config, stream),
		.room_count = stream->egress_count,
		.rooms = rooms,
		.connects = connects,
		.idle_at = idle_at,
	};
	egress_waits_add(d->egress_waits, destination, &wish, now_ms);
	mem_free(rooms);
}

/* The address to send from. False: there is none now, and the destination is runnable no more. */
static bool pick_egress(struct dispatcher *d, struct destination *destination, struct streams_pick *ret)
{
	const struct config_stream *stream = stream_of(d, destination);
	bool has_own = stream != NULL && stream->egress_count > 0;
	enum streams_answer answer = STREAMS_WAIT;
	if (!has_own ||
		!egress_waits_is_behind(d->egress_waits, destination, streams_limiter(d->limiters, d->config, stream)))
		answer = streams_pick_egress(
			d->server->streams, stream, d->limiters, loop_now_ms(d->loop), clock_wall_ms(), ret);
	if (answer == STREAMS_USE)
		return true;
	if (answer == STREAMS_DEFER)
		leave_until(d, destination, ret);
	else if (!remote_reuse(destination))
		wait_for_address(d, destination, stream, true, remote_idle_short_of(destination));
	return false;
}

static void open_one(struct dispatcher *d, struct destination *destination)
{
	struct streams_pick pick = { 0 };
	if (!destination->is_local) {
		if (!destination_may_open(d->destinations, destination, loop_now_ms(d->loop))) {
			remote_quit_idle_under(d, destination_held_by(destination));
			return;
		}
		if (!pick_egress(d, destination, &pick))
			return;
	}
	struct delivery *delivery = LIST_ENTRY(destination_take(d->destinations, destination), struct delivery, link);
	destination_opened(d->destinations, destination);
	if (delivery->way.kind == DELIVERY_MAILBOX)
		mailbox_deliver(delivery);
	else
		remote_open(d, delivery, &pick);
}

/* Each call starts a delivery, holds the destination, or ends an idle connection that none may go over: so it comes to an end. */
static void start_one(struct dispatcher *d, struct destination *destination, enum destination_leave leave)
{
	bool may_open = leave == DESTINATION_MAY_OPEN || destination->is_local ||
		(leave == DESTINATION_MAY_OPEN_FIRST && destination->connections == 0);
	if (!list_is_empty(&destination->idle)) {
		if (!destination_may_send(d->destinations, destination, loop_now_ms(d->loop)) ||
			remote_reuse_for_first(destination))
			return;
	}
	if (may_open && destination_has_room(destination)) {
		open_one(d, destination);
		return;
	}
	if (remote_reuse(destination))
		return;
	const struct limiter *idle_at = remote_idle_short_of(destination);
	if (idle_at != NULL)
		wait_for_address(d, destination, stream_of(d, destination), false, idle_at);
	else
		remote_quit_idle_of(destination);
}

/* Every place is taken, or all of one stream's: who has let us wait for long makes room for those that have none. */
static void watch_patience(struct dispatcher *d)
{
	bool is_short = (leave_to_open(d) == DESTINATION_MAY_NOT_OPEN &&
				destination_wants_first_connection(d->destinations)) ||
		(d->connections >= streams_share(d->config) && destination_waits_for_share(d->destinations));
	if (is_short && d->patience_timer.due_ms == INT64_MAX)
		loop_timer_set(&d->patience_timer, loop_now_ms(d->loop) + PATIENCE_LOOK_MS);
}

/* Those whose time has come. */
static bool wake(struct dispatcher *d, int64_t now_ms)
{
	bool any = destination_wake(d->destinations, now_ms), for_address = egress_waits_wake(d->egress_waits, now_ms);
	return any || for_address;
}

static void set_wake_timer(struct dispatcher *d)
{
	int64_t next_ms = destination_next_wake_ms(d->destinations), egress_ms = egress_waits_next_ms(d->egress_waits);
	loop_timer_set(&d->unblock_timer, egress_ms < next_ms ? egress_ms : next_ms);
}

static void pump(struct dispatcher *d)
{
	if (d->stopping)
		return;
	struct destination *destination;
	enum destination_leave leave;
	do {
		while (leave = leave_to_open(d),
			(destination = destination_next_runnable(d->destinations, leave)) != NULL)
			start_one(d, destination, leave);
	} while (wake(d, loop_now_ms(d->loop)));
	set_wake_timer(d);
	/* A connection that ends pumps again; one that only waits for more of its own makes room for others. */
	if (leave_to_open(d) != DESTINATION_MAY_OPEN && destination_wants_connection(d->destinations))
		remote_quit_one_idle(d);
	watch_patience(d);
	if (dispatcher_may_load(d))
		dispatcher_load_soon(d);
}

static void unblock(void *owner)
{
	pump(owner);
}

static void end_slowest(void *owner)
{
	struct dispatcher *d = owner;
	if (!d->stopping)
		remote_end_slowest(d);
	pump(d);
}

static void tidy(void *owner)
{
	struct dispatcher *d = owner;
	dispatcher_shaped_tidy(d);
	limiter_table_tidy(d->limiters, loop_now_ms(d->loop));
	loop_timer_set(&d->tidy_timer, loop_now_ms(d->loop) + TIDY_MS);
}

static void run_pump(struct loop_task *task)
{
	struct dispatcher *d = LIST_ENTRY(task, struct dispatcher, pump_task);
	d->pump_posted = false;
	pump(d);
}

void dispatcher_pump_soon(struct dispatcher *dispatcher)
{
	if (dispatcher->pump_posted)
		return;
	dispatcher->pump_posted = true;
	loop_post(dispatcher->loop, &dispatcher->pump_task);
}

void dispatcher_pump_init(struct dispatcher *dispatcher)
{
	struct dispatcher *d = dispatcher;
	d->pump_task.run = run_pump;
	loop_timer_init(&d->unblock_timer, d->loop, unblock, d);
	loop_timer_init(&d->patience_timer, d->loop, end_slowest, d);
	loop_timer_init(&d->tidy_timer, d->loop, tidy, d);
	loop_timer_set(&d->tidy_timer, loop_now_ms(d->loop) + TIDY_MS);
}

void dispatcher_pump_stop(struct dispatcher *dispatcher)
{
	loop_timer_clear(&dispatcher->unblock_timer);
	loop_timer_clear(&dispatcher->patience_timer);
	loop_timer_clear(&dispatcher->tidy_timer);
}
