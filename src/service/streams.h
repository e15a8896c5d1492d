/*
 * Streams: which one a message's recipients belong to, and which of a stream's own addresses sends next. Of each address it is counted how many
 * messages went out from it today, for the ceilings of warm-up plans; the counts are written to the store within a second or so.
 */
#ifndef SERVICE_STREAMS_H
#define SERVICE_STREAMS_H

#include "queue/egress_waits.h"
#include "queue/retry.h"
#include "service/server_private.h"

/* Sets stream and priority of each recipient who is not in a domain of ours. `header`: the header section, or the start of it. What the sender
 * asked for with MT-PRIORITY comes before the stream's priority. Any thread. */
void streams_choose(struct server *server, const struct config *config, struct message *message, struct view header);

struct streams;

struct streams *streams_new(struct server *server);
void streams_free(struct streams *streams); /* NULL is fine */
/* What was sent lately, from the store; before streams_start(). */
enum err streams_load(struct streams *streams, struct db *db, int64_t wall_ms) MUST_CHECK;

/* From here on all of it belongs to the dispatcher's loop. */
void streams_start(struct streams *streams, struct dispatcher *dispatcher);
/* Writes what is not written yet; nothing is sent any more. The dispatcher's jobs tell when that is done. */
void streams_stop(struct streams *streams);

enum streams_answer {
	STREAMS_USE,
	STREAMS_WAIT, /* in memory: until again_ms, or until a connection from one of its addresses is closed */
	STREAMS_DEFER, /* on disk: until again_wall_ms */
};
struct streams_pick {
	const struct config_egress *egress; /* STREAMS_USE: borrowed from config; NULL: delivery.source_* */
	struct limiter
		*limiter; /* STREAMS_USE: "egress/<name>", which the new connection is counted at; NULL if egress is */
	int64_t again_ms; /* STREAMS_WAIT: monotonic; INT64_MAX: only a connection that is closed helps */
	int64_t again_wall_ms; /* STREAMS_DEFER */
	char reason[240]; /* STREAMS_DEFER: "451 4.7.0 …" */
};
/* The address for a new connection of this stream (NULL: of none), by weight among those that may open one and send now. `limiters` holds those of
 * the addresses, made when they are missing. */
enum streams_answer streams_pick_egress(struct streams *streams, const struct config_stream *stream,
	struct limiter_table *limiters, int64_t now_ms, int64_t wall_ms, struct streams_pick *ret);
/* When each of the stream's addresses has room again, in the order of the stream's list; rooms[egress_count]. One of weight 0 has no limiter, one that
 * is at its ceiling has no room before the next day. */
void streams_look_at_egress(const struct streams *streams, const struct config_stream *stream,
	struct limiter_table *limiters, int64_t now_ms, int64_t wall_ms, struct egress_room *rooms);
/* Before each message on a connection that is open: false when the address's ceiling of today is reached. NULL egress: true. */
bool streams_may_send(const struct streams *streams, const struct config_egress *egress, int64_t wall_ms);
/* A message begins to go out from this address; NULL is fine. Its day, for streams_unsent(): nobody saw it, so it does not count. */
int64_t streams_sent(struct streams *streams, const struct config_egress *egress, int64_t wall_ms);
void streams_unsent(struct streams *streams, const struct config_egress *egress, int64_t day);

/* When mail of this stream (empty: of none) is tried again, and for how long; `is_bounce`: with null reverse-path. */
struct retry_schedule streams_schedule(const struct config *config, struct view stream, bool is_bounce);

/* "stream/<name>", made when it is missing. Where there are streams, mail of none (NULL) has one, too: no one of them may take all connections, so that
 * those who wait for its servers leave some to the others. */
struct limiter *streams_limiter(
	struct limiter_table *limiters, const struct config *config, const struct config_stream *stream);
/* What the configuration allows, for limiter_get(). */
struct limiter_limits streams_egress_limits(const struct config_egress *egress);
struct limiter_limits streams_limits(const struct config_stream *stream);
/* So many connections of all are one stream's at most. */
uint32_t streams_share(const struct config *config);

#endif
