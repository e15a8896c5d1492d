/* The sending side of streams: addresses, their weights and ceilings, and what was sent from each today. */
#include "service/streams.h"

#include "base/clock.h"
#include "base/mem.h"
#include "crypto/random.h"
#include "queue/egress.h"
#include "service/dispatcher_private.h"
#include "store/egress_store.h"

#include <string.h>

#define CHAINS 256u
#define WRITE_AFTER_MS 1000
#define RETRY_MS 5000
#define KEEP_DAYS 400
#define DAY_BEGINS_WITHIN_MS 300000u
#define WITHOUT_ADDRESS_MS ((int64_t)3600 * 1000)

/* Of one address; counts of days gone by are only on disk. */
struct sent {
	struct sent *next;
	struct view name; /* owned */
	int64_t day;
	uint64_t messages;
	bool is_dirty; /* not written since it changed */
};

struct streams {
	struct server *server;
	struct dispatcher *dispatcher; /* NULL until started */
	struct sent *chains[CHAINS];
	struct loop_timer write_timer;
	bool writing, stopping;
};

struct write_row {
	struct view name; /* of a struct sent, which stay until the end */
	int64_t day;
	uint64_t messages;
};
struct write {
	struct store_job job; /* first: the store hands back this address */
	struct streams *streams;
	size_t count;
	struct write_row rows[];
};

struct streams *streams_new(struct server *server)
{
	struct streams *streams = mem_alloc(sizeof *streams);
	streams->server = server;
	return streams;
}

void streams_free(struct streams *streams)
{
	if (streams == NULL)
		return;
	for (size_t i = 0; i < CHAINS; i++) {
		struct sent *next;
		for (struct sent *s = streams->chains[i]; s != NULL; s = next) {
			next = s->next;
			mem_free((void *)(uintptr_t)s->name.ptr);
			mem_free(s);
		}
	}
	mem_free(streams);
}

static struct sent *find(const struct streams *streams, struct view name)
{
	struct sent *s = streams->chains[view_hash_nocase(name) % CHAINS];
	while (s != NULL && !view_eq_nocase(s->name, name))
		s = s->next;
	return s;
}

static struct sent *get(struct streams *streams, struct view name)
{
	struct sent *s = find(streams, name);
	if (s != NULL)
		return s;
	s = mem_alloc(sizeof *s);
	uint8_t *copy = mem_alloc(name.len);
	if (name.len > 0)
		memcpy(copy, name.ptr, name.len);
	s->name = view_of(copy, name.len);
	struct sent **chain = &streams->chains[view_hash_nocase(name) % CHAINS];
	s->next = *chain;
	*chain = s;
	return s;
}

static void note_row(void *owner, struct view egress, int64_t day, uint64_t messages)
{
	struct sent *s = get(owner, egress);
	s->day = day;
	s->messages = messages;
}

enum err streams_load(struct streams *streams, struct db *db, int64_t wall_ms)
{
	int64_t today = egress_day(wall_ms);
	enum err err = egress_store_load(db, today, note_row, streams);
	return err == ERR_OK ? egress_store_prune(db, today - KEEP_DAYS) : err;
}

static size_t count_dirty(const struct streams *streams)
{
	size_t n = 0;
	for (size_t i = 0; i < CHAINS; i++)
		for (const struct sent *s = streams->chains[i]; s != NULL; s = s->next)
			n += s->is_dirty;
	return n;
}

static enum err write_rows(struct store_job *job, struct db *db)
{
	const struct write *w = (const struct write *)(void *)job;
	enum err err = ERR_OK;
	for (size_t i = 0; i < w->count && err == ERR_OK; i++)
		err = egress_store_set(db, w->rows[i].name, w->rows[i].day, w->rows[i].messages);
	return err;
}

static void write_now(struct streams *streams);

static void rows_written(struct store_job *job)
{
	struct write *w = (struct write *)(void *)job;
	struct streams *streams = w->streams;
	struct dispatcher *d = streams->dispatcher;
	streams->writing = false;
	if (job->err != ERR_OK) {
		LOG(LOG_LEVEL_ERROR, "egress-counts-not-written", LOG_CSTR("reason", job->detail));
		for (size_t i = 0; i < w->count; i++)
			get(streams, w->rows[i].name)->is_dirty = true;
		if (!streams->stopping)
			loop_timer_set(&streams->write_timer, loop_now_ms(d->loop) + RETRY_MS);
	} else if (streams->stopping) {
		write_now(streams);
	} else if (count_dirty(streams) > 0) {
		loop_timer_set(&streams->write_timer, loop_now_ms(d->loop) + WRITE_AFTER_MS);
	}
	mem_free(w);
	dispatcher_job_ended(d);
}

static void write_now(struct streams *streams)
{
	size_t dirty = count_dirty(streams);
	if (dirty == 0 || streams->writing)
		return;
	struct write *w = mem_alloc(sizeof *w + dirty * sizeof w->rows[0]);
	w->streams = streams;
	w->job.run = write_rows;
	w->job.done = rows_written;
	for (size_t i = 0; i < CHAINS; i++)
		for (struct sent *s = streams->chains[i]; s != NULL; s = s->next)
			if (s->is_dirty) {
				w->rows[w->count++] = (struct write_row){ s->name, s->day, s->messages };
				s->is_dirty = false;
			}
	streams->writing = true;
	dispatcher_job_started(streams->dispatcher);
	store_write(streams->server->store, streams->dispatcher->loop, &w->job);
}

static void on_write_timer(void *owner)
{
	struct streams *streams = owner;
	loop_timer_set(&streams->write_timer, INT64_MAX);
	write_now(streams);
}

void streams_start(struct streams *streams, struct dispatcher *dispatcher)
{
	streams->dispatcher = dispatcher;
	loop_timer_init(&streams->write_timer, dispatcher->loop, on_write_timer, streams);
}

void streams_stop(struct streams *streams)
{
	if (streams->dispatcher == NULL || streams->stopping)
		return;
	streams->stopping = true;
	loop_timer_clear(&streams->write_timer);
	write_now(streams);
}

static uint64_t sent_on(const struct streams *streams, struct view name, int64_t day)
{
	const struct sent *s = find(streams, name);
	/* A clock that was set back does not begin the day anew. */
	return s != NULL && s->day >= day ? s->messages : 0;
}

static struct egress_plan plan_of(const struct config_egress *egress)
{
	return (struct egress_plan){ egress->warm_up_start_s, egress->warm_up_count, egress->warm_up };
}

static uint64_t ceiling_of(const struct config_egress *egress, int64_t day)
{
	struct egress_plan plan = plan_of(egress);
	return egress_ceiling(&plan, day);
}

bool streams_may_send(const struct streams *streams, const struct config_egress *egress, int64_t wall_ms)
{
	if (egress == NULL)
		return true;
	int64_t day = egress_day(wall_ms);
	uint64_t ceiling = ceiling_of(egress, day);
	return ceiling == EGRESS_NO_CEILING || sent_on(streams, view_from_cstr(egress->name), day) < ceiling;
}

static void write_soon(struct streams *streams, struct sent *s)
{
	s->is_dirty = true;
	if (streams->stopping)
		write_now(streams);
	else if (streams->dispatcher != NULL && !streams->writing && streams->write_timer.due_ms == INT64_MAX)
		loop_timer_set(&streams->write_timer, loop_now_ms(streams->dispatcher->loop) + WRITE_AFTER_MS);
}

int64_t streams_sent(struct streams *streams, const struct config_egress *egress, int64_t wall_ms)
{
	if (egress == NULL)
		return 0;
	struct sent *s = get(streams, view_from_cstr(egress->name));
	int64_t day = egress_day(wall_ms);
	if (day > s->day || s->messages == 0) {
		s->day = day;
		s->messages = 0;
	}
	s->messages++;
	write_soon(streams, s);
	return s->day;
}

void streams_unsent(struct streams *streams, const struct config_egress *egress, int64_t day)
{
	struct sent *s = egress != NULL ? find(streams, view_from_cstr(egress->name)) : NULL;
	/* Another day has begun: that one's count is written, and over. */
	if (s == NULL || s->day != day || s->messages == 0)
		return;
	s->messages--;
	write_soon(streams, s);
}

struct retry_schedule streams_schedule(const struct config *config, struct view stream, bool is_bounce)
{
	const struct config_queue *queue = &config->queue;
	const struct config_stream *s = stream.len > 0 ? config_stream_named(config, stream) : NULL;
	struct retry_schedule schedule = {
		.first_ms = queue->retry_first_ms,
		.max_ms = queue->retry_max_ms,
		.expire_ms = is_bounce ? queue->expire_bounce_ms : queue->expire_ms,
		.warn_after_ms = queue->warn_after_ms,
	};
	if (s == NULL)
		return schedule;
	if (s->retry_first_ms > 0)
		schedule.first_ms = s->retry_first_ms;
	if (s->retry_max_ms > 0)
		schedule.max_ms = s->retry_max_ms;
	if (s->expire_ms > 0)
		schedule.expire_ms = s->expire_ms;
	return schedule;
}

static struct limiter_limits limits_from(uint32_t connections, size_t count, const struct config_rate *rates)
{
	struct limiter_limits limits = { .connections = connections };
	for (size_t i = 0; i < count && i < LIMITER_RATES_MAX; i++)
		limits.rates[limits.rate_count++] = (struct limiter_rate){ rates[i].count, rates[i].per_ms };
	return limits;
}

struct limiter_limits streams_egress_limits(const struct config_egress *egress)
{
	return limits_from(egress->connections, egress->rate_count, egress->rates);
}

struct limiter_limits streams_limits(const struct config_stream *stream)
{
	return limits_from(stream->connections, stream->rate_count, stream->rates);
}

static struct limiter *limiter_named(
	struct limiter_table *limiters, const char *kind, const char *name, const struct limiter_limits *limits)
{
	struct buf text = { 0 };
	enum err err = buf_append_format(&text, "%s/%s", kind, name);
	ASSERT(err == ERR_OK);
	struct limiter *limiter = limiter_get(limiters, buf_view(&text), limits);
	buf_clear(&text);
	return limiter;
}

uint32_t streams_share(const struct config *config)
{
	uint32_t all = config->delivery.connections;
	return all > 1 ? all - (all / 8 > 0 ? all / 8 : 1) : all;
}

struct limiter *streams_limiter(
	struct limiter_table *limiters, const struct config *config, const struct config_stream *stream)
{
	struct limiter_limits limits = { 0 };
	uint32_t share = streams_share(config);
	if (stream != NULL)
		limits = streams_limits(stream);
	bool is_share = limits.connections == 0 || limits.connections > share;
	if (is_share)
		limits.connections = share;
	struct limiter *limiter = limiter_named(limiters, "stream", stream != NULL ? stream->name : "", &limits);
	limiter->is_share = is_share;
	return limiter;
}

static struct limiter *egress_limiter(struct limiter_table *limiters, const struct config_egress *egress)
{
	struct limiter_limits limits = streams_egress_limits(egress);
	return limiter_named(limiters, "egress", egress->name, &limits);
}

static enum streams_answer defer_without_address(
	const struct config_stream *stream, int64_t wall_ms, struct streams_pick *ret)
{
	snprintf(ret->reason, sizeof ret->reason,
		"451 4.3.5 Stream %s has no address to send from: each of its egress sections has weight 0",
		stream->name);
	ret->again_wall_ms = wall_ms + WITHOUT_ADDRESS_MS;
	return STREAMS_DEFER;
}

/* All of the stream's addresses are at today's ceiling, or not in use yet. */
static enum streams_answer defer(
	const struct streams *streams, const struct config_stream *stream, int64_t wall_ms, struct streams_pick *ret)
{
	struct buf names = { 0 };
	int64_t day = egress_day(wall_ms);
	enum err err = ERR_OK;
	for (size_t i = 0; i < stream->egress_count && err == ERR_OK && names.len < 100; i++) {
		const struct config_egress *e = stream->egress_found[i];
		if (e->weight == 0)
			continue;
		const char *comma = names.len > 0 ? ", " : "";
		if (ceiling_of(e, day) == 0)
			err = buf_append_format(&names, "%s%s begins later", comma, e->name);
		else if (ceiling_of(e, day) != EGRESS_NO_CEILING)
			err = buf_append_format(&names, "%s%s sent %llu", comma, e->name,
				(unsigned long long)sent_on(streams, view_from_cstr(e->name), day));
	}
	ASSERT(err == ERR_OK);
	snprintf(ret->reason, sizeof ret->reason,
		"451 4.7.0 Stream %s: today's ceiling of the warm-up plan is reached (%s); it goes on at 00:00 UTC",
		stream->name, buf_cstr(&names));
	buf_clear(&names);
	/* Not all at once. */
	ret->again_wall_ms = egress_day_start_ms(day + 1) + random_below(DAY_BEGINS_WITHIN_MS);
	return STREAMS_DEFER;
}

void streams_look_at_egress(const struct streams *streams, const struct config_stream *stream,
	struct limiter_table *limiters, int64_t now_ms, int64_t wall_ms, struct egress_room *rooms)
{
	int64_t day_ends_ms = now_ms + egress_day_start_ms(egress_day(wall_ms) + 1) - wall_ms;
	for (size_t i = 0; i < stream->egress_count; i++) {
		const struct config_egress *e = stream->egress_found[i];
		struct egress_room *room = &rooms[i];
		*room = (struct egress_room){ .connect_ms = INT64_MAX, .send_ms = INT64_MAX };
		if (e->weight == 0)
			continue;
		room->limiter = egress_limiter(limiters, e);
		if (!streams_may_send(streams, e, wall_ms)) {
			room->connect_ms = room->send_ms = day_ends_ms;
			continue;
		}
		int64_t connect_ms = now_ms;
		bool may_connect = limiter_may_connect(room->limiter, now_ms, &connect_ms);
		room->send_ms = now_ms;
		/* When the next message may go, a connection may have closed by itself, or can be closed for this one. */
		if (!limiter_may_send(room->limiter, now_ms, &room->send_ms))
			room->connect_ms = room->send_ms;
		else
			room->connect_ms = may_connect ? now_ms : connect_ms;
	}
}

enum streams_answer streams_pick_egress(struct streams *streams, const struct config_stream *stream,
	struct limiter_table *limiters, int64_t now_ms, int64_t wall_ms, struct streams_pick *ret)
{
	*ret = (struct streams_pick){ .again_ms = INT64_MAX };
	if (stream == NULL || stream->egress_count == 0)
		return STREAMS_USE;
	uint32_t *weights = mem_alloc_array(stream->egress_count, sizeof *weights);
	struct egress_room *rooms = mem_alloc_array(stream->egress_count, sizeof *rooms);
	bool is_below_ceiling = false, any_weight = false;
	streams_look_at_egress(streams, stream, limiters, now_ms, wall_ms, rooms);
	for (size_t i = 0; i < stream->egress_count; i++) {
		const struct config_egress *e = stream->egress_found[i];
		any_weight |= e->weight > 0;
		if (e->weight == 0 || !streams_may_send(streams, e, wall_ms))
			continue;
		is_below_ceiling = true;
		weights[i] = rooms[i].connect_ms <= now_ms ? e->weight : 0;
		if (rooms[i].connect_ms < ret->again_ms)
			ret->again_ms = rooms[i].connect_ms;
	}
	uint64_t random;
	random_bytes(&random, sizeof random);
	size_t chosen = egress_pick(stream->egress_count, weights, random);
	enum streams_answer answer = STREAMS_USE;
	if (chosen < stream->egress_count) {
		ret->egress = stream->egress_found[chosen];
		ret->limiter = rooms[chosen].limiter;
	} else if (is_below_ceiling) {
		answer = STREAMS_WAIT;
	} else {
		answer = any_weight ? defer(streams, stream, wall_ms, ret)
				    : defer_without_address(stream, wall_ms, ret);
	}
	mem_free(weights);
	mem_free(rooms);
	return answer;
}
