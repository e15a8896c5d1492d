/* What the parts of the dispatcher share. All of it lives on the dispatcher's loop. */
#ifndef SERVICE_DISPATCHER_PRIVATE_H
#define SERVICE_DISPATCHER_PRIVATE_H

#include "net/https.h"
#include "net/resolver.h"
#include "queue/destination.h"
#include "service/dispatcher.h"
#include "store/suspension_store.h"
#include "service/domain_routes.h"

struct remote;
struct tls_results;
struct smarthosts;

enum outcome_kind {
	OUTCOME_NONE,
	OUTCOME_DELIVERED,
	OUTCOME_FAILED,
	OUTCOME_DEFERRED,
	OUTCOME_REPLACED, /* by `targets` */
};

struct delivery_recipient {
	struct queue_recipient *recipient; /* the message's */
	struct view address; /* where it goes; usually recipient->address */
	struct view mailbox; /* our account's address, if it is a mailbox here */
	enum outcome_kind outcome;
	struct view reply; /* "250 2.0.0 Ok …", or what went wrong here; in the delivery's arena */
	struct view host; /* "mx.example.net[192.0.2.1]" */
	bool dsn_passed_on; /* the next server answers for a success DSN from here */
	bool by_passed_on; /* ... and for the time given with DELIVERBY */
	int64_t due_at_ms; /* deferred: when next */
	bool warn; /* a delay DSN is due */
	bool kept; /* deferred until its release (RFC 4865): no attempt, and no trouble */
	size_t target_count; /* an alias took the mailbox's place since the message was accepted; in the delivery's arena */
	struct queue_recipient *targets;
};

enum delivery_kind { DELIVERY_MAILBOX, DELIVERY_REMOTE };

/* Recipients of one message that go the same way in one transaction: those of one domain, or of one smart host, that agree in all of this. The
 * texts are the message's. */
struct delivery_way {
	enum delivery_kind kind;
	struct view domain; /* to MX hosts: A-labels, or an address literal; else empty */
	struct view smarthost; /* its name; empty: none */
	struct view stream; /* empty: none */
	int32_t priority; /* higher ones first */
	unsigned flags; /* QUEUE_REQUIRETLS … */
	int64_t deliver_by_ms;
	struct view
		return_domain; /* forwarded: the domain of ours that the return address is made at (return_path.h); empty: the sender's own */
};

struct delivery {
	struct list link; /* where it waits: at its destination, or for its domain's route */
	struct dispatcher *dispatcher;
	struct message *message;
	struct destination *
		destination; /* while it waits for its route: what it is counted at, as one of those that wait for look-ups */
	struct domain_route *route; /* referenced, from when it is known; NULL for mailboxes and smart hosts */
	struct delivery_way way;
	size_t count, room;
	struct delivery_recipient *recipients;
	struct arena arena; /* what became of them */
	bool untried; /* deferred because its destination is known to be dead: counts as no attempt */
	bool suspended; /* deferred because an operator suspended it */
	bool connection_lost; /* was put back once because a reused connection had been closed by the other side */
};

struct dispatcher {
	struct server *server;
	struct loop *loop;
	pthread_t thread;
	bool started;
	struct config *config;
	struct resolver *resolver;
	struct https *https; /* policies, access tokens */
	struct sts *sts;
	struct domain_routes *routes;
	struct tls_context *tls_may, *tls_verify;
	struct tls_results *tls_results;
	struct smarthosts *smarthosts;
	struct destination_table *destinations;
	struct limiter_table *limiters;
	struct egress_waits *egress_waits;
	uint64_t settings_count; /* grows when what limiters are made of may have changed */

	struct message **buckets; /* active messages by id */
	size_t bucket_count;
	uint64_t active_messages, active_recipients;
	uint32_t connections;
	struct list remotes;
	struct list idle_remotes; /* those that wait for a delivery, the first one longest */
	struct dispatcher_suspensions *suspensions;
	struct dispatcher_shaped *shaped;

	struct queue_position cursor; /* what is due up to here was read */
	int64_t rewind_ms; /* while a reading is under way: rows of this due time may have come too late for it; INT64_MAX: none */
	bool more_on_disk; /* reading stopped at a limit */
	bool read_left_last; /* reading what was left for a destination and reading on take turns */
	bool loading;
	int64_t load_again_ms; /* a reading failed: not before then (monotonic) */
	bool started_once; /* the first reading takes what was being handed over, too */
	size_t finished_count, finished_room;
	uint64_t *finished; /* messages that ended while a reading was under way: its rows of them are stale */
	int64_t next_due_wall_ms; /* earliest due time known to be on disk */
	struct loop_timer load_timer;
	struct loop_timer unblock_timer;
	struct loop_timer patience_timer; /* while connections are short */
	struct loop_timer tidy_timer;
	struct loop_timer retry_timer; /* outcomes that could not be written */
	struct list unsettled;
	struct list unsigned_reports; /* delivery reports that wait for a worker (bounce.c) */
	uint32_t reports_in_work;
	struct loop_timer sign_timer; /* the workers take no reports: the first is signed here */

	struct loop_task pump_task;
	bool pump_posted;
	uint32_t jobs; /* store and worker jobs under way */
	bool stopping;
	bool forced; /* the time to stop is up: what can't be written is given up */
	struct loop_task stop_task, reload_task, config_task;
	_Atomic bool reload_posted, config_posted;
	struct loop_timer stop_timer;
};

/* dispatcher_pump.c */
void dispatcher_pump_init(struct dispatcher *dispatcher);
void dispatcher_pump_stop(struct dispatcher *dispatcher);
/* Something changed that may let a delivery start: looks soon, once for many calls. */
void dispatcher_pump_soon(struct dispatcher *dispatcher);
/* Drops every delivery that has not started; their rows stay on disk. */
void dispatcher_forget_waiting(struct dispatcher *dispatcher);
/* A job began / ended; the last one lets a stopping dispatcher end. */
void dispatcher_job_started(struct dispatcher *dispatcher);
void dispatcher_job_ended(struct dispatcher *dispatcher);
/* Makes the message active and routes it. It must not be active already. */
void dispatcher_adopt(struct dispatcher *dispatcher, struct message *message);
/* The same for recipients of an active message that were left on disk. */
void dispatcher_adopt_left(struct dispatcher *dispatcher, struct message *message, size_t count,
	struct queue_recipient *const *recipients);
struct message *dispatcher_find(struct dispatcher *dispatcher, uint64_t message_id);
/* `count` recipients of it are not the dispatcher's any more; frees the message when none is left. */
void dispatcher_message_done(struct dispatcher *dispatcher, struct message *message, size_t count);
/* A row on disk, that nobody here has in hand, becomes due at this time, or was due then: it will be read. */
void dispatcher_note_due(struct dispatcher *dispatcher, int64_t due_wall_ms);

/* dispatcher_load.c */
/* Memory that is not taken; deliveries that wait for one destination may be as many as that: so there is always some left for others. */
uint64_t dispatcher_room(const struct dispatcher *dispatcher);
/* Frees the delivery, whose destination has its share of the memory: its recipients wait on disk until that has less waiting. */
void delivery_leave(struct delivery *delivery);
/* Something may be read from disk now, and memory has room for it. */
bool dispatcher_may_load(struct dispatcher *dispatcher);
void dispatcher_note_finished(struct dispatcher *dispatcher, uint64_t message_id);
void dispatcher_load_soon(struct dispatcher *dispatcher);
void dispatcher_load_now(void *dispatcher);

/* dispatcher_suspend.c: reads what is suspended before anything is delivered; and again, dispatcher_read_queue_again() being called when that is in
 * force. */
struct dispatcher_suspensions *dispatcher_suspensions_new(void);
enum err dispatcher_begin_suspensions(struct dispatcher *dispatcher) MUST_CHECK;
void dispatcher_reload_suspensions(struct dispatcher *dispatcher);
void dispatcher_suspensions_free(struct dispatcher_suspensions *suspensions); /* NULL is fine */
/* The suspension in force with that source, kind, name and stream; NULL: none. Borrowed until the loop goes on. */
const struct suspension *dispatcher_find_suspension(
	const struct dispatcher *dispatcher, const struct suspension *wanted);
/* Puts a delivery off until the suspension ends; it is gone then. */
void delivery_suspend(struct delivery *delivery, const struct suspension *suspension);
/* The two together: whether it was. */
bool delivery_is_suspended(struct delivery *delivery, const struct suspension *wanted);
/* dispatcher.c: what waits in memory is forgotten, and read from disk again. */
void dispatcher_read_queue_again(struct dispatcher *dispatcher);

/* dispatcher_shaped.c: what shaping rules suspended. The limiter is that of the site and the stream; the site's reply is the reason. */
struct dispatcher_shaped *dispatcher_shaped_new(void);
void dispatcher_shaped_free(struct dispatcher_shaped *shaped); /* before the limiters; NULL is fine */
void dispatcher_shaped_suspend(struct dispatcher *dispatcher, struct limiter *limiter, struct view site,
	struct view stream, struct view reply, int64_t for_ms);
/* One that is in the store, from before this process. */
void dispatcher_shaped_restore(struct dispatcher *dispatcher, const struct suspension *suspension);
/* What is suspended is being read from the store; was read: those that are not there any more were lifted by an operator. */
void dispatcher_shaped_reading_begins(struct dispatcher *dispatcher);
void dispatcher_shaped_lift(struct dispatcher *dispatcher);
/* Now and then, before limiters that nobody needs are freed: forgets what ended. */
void dispatcher_shaped_tidy(struct dispatcher *dispatcher);
/* Puts a delivery off that a limiter suspended by a rule keeps back; it is gone then. */
void delivery_defer_shaped(struct delivery *delivery, const struct limiter *limiter);

/* LIFE 8/10, dispatcher_route.c: splits these recipients of a message into deliveries and queues them at their destinations. */
void dispatcher_route(struct dispatcher *dispatcher, struct message *message, size_t count,
	struct queue_recipient *const *recipients);
/* dispatcher_place.c: a delivery that is complete goes to its destination, waits for its domain's route first, or has its outcome at once. */
void dispatcher_place(struct delivery *delivery);
/* All its recipients stay on disk until then (monotonic): no try, unless it is their first. */
void delivery_defer_until(struct delivery *delivery, struct view reason, int64_t until_ms);
/* The route that it waited for is known. */
void dispatcher_route_found(void *dispatcher, struct list *waiter, struct domain_route *route);
/* It waits for its route no more. */
void delivery_stop_awaiting(struct delivery *delivery);

/* delivery.c */
struct delivery *delivery_new(struct dispatcher *dispatcher, struct message *message, const struct delivery_way *way);
/* A copy of the text that lives as long as the delivery. */
struct view delivery_keep(struct delivery *delivery, struct view text);
void delivery_add(
	struct delivery *delivery, struct queue_recipient *recipient, struct view address, struct view mailbox);
/* Frees the delivery; its recipients stay on disk as they are, to be read again when they are due. */
void delivery_drop(struct delivery *delivery);
/* Its outcomes are written. */
void delivery_free(struct delivery *delivery);
/* Keeps the texts. */
void delivery_set_outcome(
	struct delivery *delivery, size_t index, enum outcome_kind outcome, struct view reply, struct view host);
/* For all recipients that have no outcome yet. */
void delivery_set_all(struct delivery *delivery, enum outcome_kind outcome, struct view reply, struct view host);

/* LIFE 10/10, dispatcher_settle.c: every recipient has its outcome; writes them with the DSNs they call for, then frees the delivery. */
void dispatcher_settle(struct delivery *delivery);
/* DELIVERBY, mode R (RFC 2852 §4.1.4.1): it must not be delivered any more. */
bool delivery_time_is_up(const struct queue_recipient *recipient, int64_t now_ms);
/* The outcome of all its recipients then. */
void delivery_fail_for_time(struct delivery *delivery);
/* The outcome of all that have none: they stay here until their release; `reason` may be empty. */
void delivery_keep_back(struct delivery *delivery, struct view reason);
void dispatcher_settle_retry(void *dispatcher);
/* Stopping: outcomes that can't be written are given up; the deliveries will be repeated. */
void dispatcher_settle_drop(struct dispatcher *dispatcher);

/* bounce.c: the DSN that this delivery's outcomes call for, signed and ready to be put into the queue; NULL: none. made() is called once, from here or later from
 * the loop; the delivery stays until then. The message's content must be loaded (at least the start of it), and is not looked at behind this call. */
void bounce_make(struct delivery *delivery, void (*made)(void *owner, struct message *report), void *owner);
/* sign_timer: the workers take no more. */
void bounce_sign_one(void *dispatcher);
/* Whether bounce_make() will make one. */
bool bounce_is_due(const struct delivery *delivery);

/* content.c: makes the content available in message->head and ->body. A spooled body is read up to spool_max bytes (0: only its name is needed). then() is
 * called from the loop, or at once if it is all there: then NULL is returned. The job can be cancelled until then() was called. */
struct content_job;
struct content_job *content_load(struct dispatcher *dispatcher, struct message *message, size_t spool_max,
	void (*then)(void *owner, enum err err, const char *detail), void *owner);
void content_cancel(struct content_job *job); /* NULL is fine */
/* Unlinks a spool file that no row names any more, on a worker. */
void content_remove_spool(struct dispatcher *dispatcher, const char *name);

/* mailbox.c */
void mailbox_deliver(struct delivery *delivery);

/* remote_pool.c: opens a connection for the delivery, from this address. */
struct streams_pick;
void remote_open(struct dispatcher *dispatcher, struct delivery *delivery, const struct streams_pick *pick);
/* An idle connection of the destination takes the delivery that waits first, if there is one that it may go over. */
bool remote_reuse_for_first(struct destination *destination);
/* Any delivery that may go over one of them. */
bool remote_reuse(struct destination *destination);
/* The address from which there is an idle connection that something could go over, but for the address's rates; of several the first whose time comes.
 * NULL: there is none. */
struct limiter *remote_idle_short_of(const struct destination *destination);
/* Ends an idle connection of the destination, which has one. */
void remote_quit_idle_of(struct destination *destination);
/* Makes room for a connection to somewhere else. */
void remote_quit_one_idle(struct dispatcher *dispatcher);
/* The same where this limiter (NULL: none) keeps others from having one; or from this address. */
void remote_quit_idle_under(struct dispatcher *dispatcher, const struct limiter *limiter);
void remote_quit_idle_at(struct dispatcher *dispatcher, const struct limiter *address);
/* No connection is left for destinations that have none: the one that has let us wait longest is given up, if that was long. */
void remote_end_slowest(struct dispatcher *dispatcher);
/* Stopping: idle ones quit, or all are dropped (their deliveries stay on disk). */
void remote_quit_idle(struct dispatcher *dispatcher);
void remote_drop_all(struct dispatcher *dispatcher);

#endif
