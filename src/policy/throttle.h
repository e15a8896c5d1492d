/*
 * Failed logins of one client (policy/client_key.h) over time: too many within a window, and the client is turned away for a while, on every
 * connection. Pure: the time is passed in (monotonic ms). Memory is fixed: when it is full, the client whose last failure is the longest ago
 * makes room, of those that are not blocked if there is one. Not thread-safe.
 *
 * A login that succeeds does not wipe out failures: otherwise whoever has one account guesses the passwords of others between
 * his own logins.
 */
#ifndef POLICY_THROTTLE_H
#define POLICY_THROTTLE_H

#include "smtp/reply.h"

struct login_throttle_limits {
	uint32_t failures_max; /* within window_ms; 0: never block */
	int64_t window_ms;
	int64_t block_ms;
};
/* 20 failures within 10 minutes, then 10 minutes' rest. */
#define LOGIN_THROTTLE_DEFAULT_LIMITS                                                                                  \
	((struct login_throttle_limits){ .failures_max = 20, .window_ms = 600000, .block_ms = 600000 })

struct login_throttle;

/* Room for at least `clients` clients, 48 bytes each; `secret` is random. */
struct login_throttle *login_throttle_new(const struct login_throttle_limits *limits, size_t clients, uint64_t secret);
void login_throttle_free(struct login_throttle *throttle); /* NULL is fine */

void login_throttle_failed(struct login_throttle *throttle, struct view ip, int64_t now_ms);
/* How long the client is still blocked; 0: it is not. */
int64_t login_throttle_blocked_ms(const struct login_throttle *throttle, struct view ip, int64_t now_ms);
/* False when the client is blocked, and the reply: 454 4.7.0 to AUTH, or with `at_connect` 421 4.7.0 to the connection. */
bool login_throttle_allows(const struct login_throttle *throttle, struct view ip, int64_t now_ms, bool at_connect,
	struct smtp_reply *ret_refusal) MUST_CHECK;

#endif
