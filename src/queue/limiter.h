/*
 * A limiter: how much may go on under one name at a time: connections, and messages per second, minute, hour. A destination stands under
 * several (its site, its stream, its egress address): all of them must agree. It can be slowed down or suspended for a while. Pure: the
 * time is passed in (monotonic milliseconds).
 *
 * Rates are what the other side counts: within any period, wherever it begins, at most `count` messages go out. A tenth of them (at least one)
 * may go in one burst, the others follow evenly. A rate whose count or period is 0 is none.
 */
#ifndef QUEUE_LIMITER_H
#define QUEUE_LIMITER_H

#include "base/list.h"
#include "base/view.h"

#define LIMITER_RATES_MAX 4u

struct limiter_rate {
	uint32_t count;
	uint32_t per_ms;
};
struct limiter_limits {
	uint32_t connections; /* 0: no limit */
	size_t rate_count;
	struct limiter_rate rates[LIMITER_RATES_MAX];
};

struct limiter {
	struct view name; /* owned: "site/google", "stream/shop", "egress/ip1" */
	struct limiter *next; /* private: hash chain */
	struct limiter_limits limits;
	uint32_t connections; /* now */
	uint32_t users; /* destinations that stand under it, and who else holds on to it */
	struct limiter_bucket {
		double tokens;
		int64_t at_ms;
	} buckets[LIMITER_RATES_MAX]; /* private */
	bool is_share; /* the owner's: its connections are a share of what is there for all, and none of its own; see destination_waits_for_share() */
	int64_t suspended_until_ms; /* 0: not */
	char reason[240]; /* why it is suspended or slow */
	uint32_t slow_percent; /* 0: at full speed */
	int64_t slow_until_ms;
	void *suspended_by; /* the owner's: what he knows of its suspension; NULL: nothing */
	void *gate; /* private to destinations: those that wait for it */
	void *waits; /* private to egress_waits.c: the same, of an address or a stream */
	uint32_t slow_connections; /* private: while slow, of one without a limit: a share of what was open then */
};

struct limiter_table;
struct limiter_table *limiter_table_new(void);
void limiter_table_free(struct limiter_table *table);
/* Finds or makes one; its limits are (re)set. One that nobody uses, that is neither suspended nor slow, and whose buckets are full is freed by
 * limiter_table_tidy(). */
struct limiter *limiter_get(struct limiter_table *table, struct view name, const struct limiter_limits *limits);
struct limiter *limiter_find(struct limiter_table *table, struct view name); /* NULL: there is none */
void limiter_table_tidy(struct limiter_table *table, int64_t now_ms);
void limiter_each(struct limiter_table *table, void (*each)(void *owner, struct limiter *limiter), void *owner);

/* May one more connection be opened now? If not, *ret_again_ms is when to ask again (INT64_MAX: when one is closed). */
bool limiter_may_connect(struct limiter *limiter, int64_t now_ms, int64_t *ret_again_ms);
void limiter_connected(struct limiter *limiter);
void limiter_disconnected(struct limiter *limiter);
/* May one more message be sent now? If not, when. Nothing is taken by asking. */
bool limiter_may_send(struct limiter *limiter, int64_t now_ms, int64_t *ret_again_ms);
void limiter_sent(struct limiter *limiter, int64_t now_ms);
/* What was taken for a message that nobody saw comes back, as far as there is room for it. */
void limiter_unsent(struct limiter *limiter, int64_t now_ms);
/* Connections and rates at `percent` (1–100) of what they are, at least one. While it is slow or suspended already, the slower and the later of both
 * hold: replies that come in together count as one. The reason is that of the last call; the part of it that does not fit is cut off. */
void limiter_slow(struct limiter *limiter, uint32_t percent, int64_t until_ms, struct view reason);
void limiter_suspend(struct limiter *limiter, int64_t until_ms, struct view reason); /* INT64_MAX: until resumed */
void limiter_resume(struct limiter *limiter); /* neither suspended nor slow */

#endif
