/* One outgoing connection, or the attempt to get one: shared by the remote_*.c files. */
#ifndef SERVICE_REMOTE_PRIVATE_H
#define SERVICE_REMOTE_PRIVATE_H

#include "base/arena.h"
#include "net/stream.h"
#include "route/mx.h"
#include "service/remote_connect.h"
#include "service/dispatcher_private.h"
#include "smtp/sender.h"

#define REMOTE_ADDRESSES_MAX 16u
#define REMOTE_ATTEMPTS 2u

/* Of a smart host: remote_login.c. */
struct remote_login {
	const struct config_smarthost
		*first; /* the one that the delivery is for; `smarthost` may be one of its fallbacks */
	uint64_t tried; /* bits: the first and its fallbacks, in their order */
	struct oauth_wait *wait;
	struct buf token; /* access token; the engine borrows it */
	bool renewed; /* the server refused the first one */
	uint8_t nonce[18];
	struct tls_context *tls; /* referenced */
};

struct remote {
	struct list link; /* in dispatcher->remotes */
	struct list idle_link; /* in destination->idle */
	struct list all_idle_link; /* in dispatcher->idle_remotes */
	struct dispatcher *dispatcher;
	struct destination *destination;
	struct config *config; /* as it was when the connection was opened */
	const struct config_smarthost *smarthost; /* in config; NULL: MX */
	struct remote_login login;
	struct domain_route *route; /* by which it was opened: of its first delivery's domain; NULL: a smart host */
	const struct config_egress *egress; /* in config: the address it goes out from; NULL: delivery.source_* */
	struct limiter *egress_limiter; /* NULL if egress is */
	struct delivery *delivery; /* what it is to carry, or carries */

	/* Where to: hosts in order, addresses of the one at hand. */
	struct arena arena;
	size_t host_count, next_host;
	struct view hosts[MX_HOSTS_MAX];
	struct view host; /* the one at hand */
	struct remote_lookup lookup; /* of it */
	size_t address_count, next_address;
	struct net_address addresses[REMOTE_ADDRESSES_MAX];
	const struct net_address *address; /* the one at hand */
	struct remote_attempt attempts[REMOTE_ATTEMPTS];
	struct loop_timer beside_timer; /* the second one begins */

	/* The connection. */
	struct remote_tls tls;
	struct stream *stream;
	struct smtp_sender *engine;
	struct loop_timer timer;
	struct loop_timer idle_timer;
	bool without_tls; /* TLS failed with this address: once more in clear, where policy allows */
	bool handshaking;
	bool starttls; /* the handshake was the engine's wish, not the port's */
	bool busy; /* inside a handler: freeing waits */
	bool done; /* to be freed when the stack is clear */
	bool quitting;
	bool is_unwanted; /* it takes no further delivery */
	bool refused_by_policy; /* a host could be reached, but not as the delivery's domain demands: its trouble alone */
	int64_t connected_ms; /* since when it is open */
	int64_t step_ms; /* since when we wait for what comes next: an answer, or room to write */
	bool proven; /* it is counted in destination->proven */
	bool wants_next; /* free for the next delivery: remote_go_on() takes it, so that refused ones don't nest */
	uint32_t delivered; /* transactions so far */
	bool is_counted; /* at its limiters, the message at hand: until the other side is known to have seen it, it may be given back */
	bool is_counted_today; /* for its address's ceiling, on counted_day */
	int64_t counted_day;
	char reason[240]; /* what went wrong last, for those who wait: "451 4.4.1 …" */
	bool reason_is_reply; /* the other server said it */

	/* The transaction. */
	struct smtp_sender_recipient *recipients;
	struct buf return_path; /* one of our making */
	struct buf addresses_text; /* what recipients' converted addresses point into */
	struct remote_convert *converting; /* it is being turned into what this server takes */
	struct buf converted; /* the content as 7 bit, where the server takes no other */
	size_t converted_budget_bytes; /* taken for it from the server's memory for bodies */
	bool is_converted;
	bool converts_long_lines; /* that is all that is wrong with it: it may also go as it is */
	bool asks_hold; /* the server is asked to hold it (RFC 4865) */
	bool elsewhere; /* 421 on a reused connection: to be tried on a fresh one */
	bool next_host_wanted; /* MAIL was deferred, and another host may take it */
	uint32_t connects, refusing_hosts; /* tries to connect; those answered with 521 */
	bool no_address_is_final; /* every host so far: DNS said for sure that it has no address */
	struct content_job *loading;
	uint64_t content_at; /* bytes of head and body given so far */
	int spool_fd;
	struct remote_read *read; /* a piece of the spool file on its way */
};

/* remote_hosts.c: the next host that may be tried; when there is none left, remote_give_up() or one of its like. */
void remote_next_host(struct remote *remote);
/* Whatever is being looked up or connected to is given up. */
void remote_hosts_stop(struct remote *remote);

/* remote_connect.c: the next address of the host at hand, then the next host. remote_connected() follows. */
void remote_next_address(struct remote *remote);
/* The one at hand once more. */
void remote_connect(struct remote *remote);
void remote_connect_stop(struct remote *remote);

/* remote_tls.c */
/* Whether TLSA records are to be asked for, for the delivery at hand. */
bool remote_tls_wants_dane(const struct remote *remote);
/* The records found for it, as reports and the keys of sessions have them. */
void remote_tls_keep_records(struct remote *remote, const struct dns_answer *answer);
/* DNSSEC says that its addresses are forged: counted for the report of the domain. */
void remote_tls_not_proven(struct remote *remote, const char *why);
/* Another host's turn. */
void remote_tls_forget_host(struct remote *remote);
/* Judges the delivery at hand, and counts what came of it for reports. False: this host is not for it; the reason is set, and its other addresses are
 * passed over. */
bool remote_tls_check(struct remote *remote, enum remote_tls_stage stage);
/* The same for a connection that got as far as mail, or will go on in clear. */
bool remote_tls_is_fine(struct remote *remote);
/* May this delivery go over this connection? */
bool remote_tls_allows(const struct remote *remote, const struct delivery *delivery);
/* A connection that was opened for another delivery takes the one at hand. */
void remote_tls_used(struct remote *remote);
/* All hosts were tried: what the delivery at hand wished for itself can't be had, now or ever. */
void remote_tls_refuse_delivery(struct remote *remote);
enum smtp_sender_tls remote_tls_mode(const struct remote *remote);
void remote_tls_start(struct remote *remote);
/* The handshake is over. False: the host is not for this delivery. */
bool remote_tls_started(struct remote *remote);
/* It failed. True: the same address may be tried in clear. */
bool remote_tls_failed(struct remote *remote, const char *detail);
/* The session ended at STARTTLS, without TLS. */
void remote_tls_not_had(struct remote *remote, const struct smtp_sender_event *event);
/* Ends a session politely that will carry nothing. */
void remote_tls_leave(struct remote *remote);

/* remote_pool.c: the connection among those of its destination. */
/* It got as far as mail: while one connection of a destination works, another that fails does not make it a dead one. */
void remote_set_proven(struct remote *remote, bool proven);
/* Frees it now, or when the handler that runs has returned. */
void remote_end(struct remote *remote);
void remote_free(struct remote *remote);
/* It is free: begins the next delivery that may go over it, or goes idle. */
void remote_take_next(struct remote *remote);
/* A reused connection that the other side had closed meanwhile is no attempt: the delivery goes back, once. False: it was put back before. */
bool remote_put_back(struct remote *remote);
/* The other side has seen the message at hand: it counts for good. */
void remote_message_seen(struct remote *remote);
/* The message at hand is gone. If nobody has seen it, what was counted for it is given back. */
void remote_uncount(struct remote *remote);
/* The delivery waits again, before the others. */
void remote_put_first(struct remote *remote);

/* remote_failure.c */
/* The other side asks for patience, or lets us wait: fewer connections for a while. */
void remote_strained(struct remote *remote);
/* Does what the site's rules say about a negative reply; true: the delivery is to be tried with the next host. */
bool remote_shape(struct remote *remote, const struct smtp_reply *reply);
/* The same for what decided a recipient, which is all of its transaction; the addresses left of this host are passed over then. */
bool remote_wants_next_host(struct remote *remote, const struct smtp_sender_event *event);
/* No host took the connection: everybody who waits is deferred with `reason`. */
void remote_give_up(struct remote *remote);
/* The destination takes no mail at all. */
void remote_fail(struct remote *remote, const char *reply);

/* remote.c */
void remote_close_session(struct remote *remote);
/* An attempt has connected `stream`. */
void remote_connected(struct remote *remote);
/* Something of the engine's, or the end of QUIT, is overdue. */
void remote_on_deadline(void *remote);
void remote_set_reason(struct remote *remote, const char *format, ...) PRINTF_LIKE(2, 3);
/* "mx.example.net[192.0.2.1]"; valid until the next call on this thread. */
struct view remote_host_text(const struct remote *remote);
/* After anything that moved the engine. */
void remote_go_on(struct remote *remote);

void remote_write_output(struct remote *remote);
/* Hands the delivery's outcomes on (each recipient has one); the connection is free for the next one. */
void remote_settle(struct remote *remote);
/* It may take the next delivery, or go idle: remote_go_on() sees to it. */
void remote_ready(struct remote *remote);
/* The session ended before the delivery's transaction began: another host, or another connection. */
void remote_lost_before_begin(struct remote *remote, const char *reason);

/* remote_login.c */
/* Tries the smart host of that name, or one of its fallbacks while it is in trouble: remote_connect() follows. False: there is none of that name. */
bool remote_login_open(struct remote *remote, struct view name);
/* The one at hand can't be reached, or turned us away: true if another is tried, and nothing is given up yet. */
bool remote_login_fall_back(struct remote *remote);
/* The login as the engine wants it; what it points to belongs to the connection. */
void remote_login_options(struct remote *remote, struct smtp_sender_options *options);
/* It took our login, or wanted none. */
void remote_login_ready(struct remote *remote);
/* The session failed: puts a refused login into words. True if it is tried once more, with a new access token. */
bool remote_login_refused(struct remote *remote, const struct smtp_sender_event *event);
void remote_login_clear(struct remote *remote);

/* remote_convert.c: the delivery's content, which is loaded, as 7-bit text with lines that are not too long. remote_converted() follows from the loop.
 * ERR_BUSY: not now; ERR_UNSUPPORTED: never. */
#define REMOTE_CONVERT_MAX_BYTES (128u * 1024 * 1024)
enum err remote_convert_start(struct remote *remote) MUST_CHECK;
void remote_convert_cancel(struct remote *remote);
/* It has lines that are too long for SMTP, and no signature that would break. */
bool remote_convert_long_lines(const struct message *message);
/* remote_send.c */
void remote_converted(struct remote *remote, enum err err, const char *detail);
void remote_begin(struct remote *remote);
/* The engine wants body, the connection takes more, and no piece is on its way from disk. */
bool remote_can_feed_body(const struct remote *remote);
void remote_feed_body(struct remote *remote);
void remote_recipient_done(struct remote *remote, const struct smtp_sender_event *event);
/* The transaction is over, or will not take place: gives up what belongs to it. */
void remote_transaction_clear(struct remote *remote);

#endif
