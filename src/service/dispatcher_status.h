/* What a running server is doing at this moment, for `postrider queue watch`. */
#ifndef SERVICE_DISPATCHER_STATUS_H
#define SERVICE_DISPATCHER_STATUS_H

#include "service/dispatcher.h"

#define DISPATCHER_STATUS_TOP 20u

struct dispatcher_status {
	struct loop_task task; /* private, as are the next three */
	struct dispatcher *dispatcher;
	struct loop *loop;
	void (*done)(struct dispatcher_status *status);
	void *owner; /* the caller's, set before */
	int64_t at_ms; /* monotonic */
	uint64_t active_messages, active_recipients, connections, destinations;
	size_t top_count; /* destinations with most waiting deliveries, most first; then those with most connections */
	struct dispatcher_status_line {
		char name[160]; /* "mx/a.example.net@shop", cut */
		uint64_t waiting;
		uint32_t connections, connections_max;
		int64_t blocked_ms; /* for so long still; 0: not */
		char reason[240]; /* of that; "" else */
	} top[DISPATCHER_STATUS_TOP];
};

/* What a running server knows of the sites of domains: of those that it sent to, or tried to, in the last time. */
struct site_map;
struct dispatcher_sites {
	struct loop_task task; /* private, as are the next two */
	struct dispatcher *dispatcher;
	struct loop *loop;
	void (*done)(struct dispatcher_sites *sites);
	void *owner; /* the caller's, set before */
	struct site_map *map; /* the caller's from then on */
};
/* As the other. */
void dispatcher_ask_sites(struct dispatcher *dispatcher, struct loop *loop, struct dispatcher_sites *sites,
	void (*done)(struct dispatcher_sites *sites));

/* Looks on the deliver thread; done() is called on the loop that asked, never from inside this call. The status is the caller's and must live until
 * then; the server must not end before (server_job_started()). */
void dispatcher_ask_status(struct dispatcher *dispatcher, struct loop *loop, struct dispatcher_status *status,
	void (*done)(struct dispatcher_status *status));

#endif
