/*
 * How many connections there are, in all and from one client (policy/client_key.h). Pure; not thread-safe: connections of several loops are
 * counted under the owner's lock. Memory is bounded by the limit of connections.
 */
#ifndef POLICY_LIMITS_H
#define POLICY_LIMITS_H

#include "smtp/reply.h"

struct connection_limits;

/* `secret` is random (it keys the hash). */
struct connection_limits *connection_limits_new(uint32_t connections_max, uint32_t per_client_max, uint64_t secret);
void connection_limits_free(struct connection_limits *limits); /* NULL is fine */
/* After a reload. Connections that are open stay counted. */
void connection_limits_change(struct connection_limits *limits, uint32_t connections_max, uint32_t per_client_max);

/* A client connects. True: it is counted, and connection_limits_close() must follow. False: 421 4.7.0 to send it away with.
 * `ip` is 4 or 16 raw bytes. */
bool connection_limits_open(
	struct connection_limits *limits, struct view ip, struct smtp_reply *ret_refusal) MUST_CHECK;
void connection_limits_close(struct connection_limits *limits, struct view ip);

uint32_t connection_limits_count(const struct connection_limits *limits);
uint32_t connection_limits_count_of(const struct connection_limits *limits, struct view ip);

#endif
