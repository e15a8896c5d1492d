/*
 * The client side of SMTP as an engine without I/O. One engine per connection; several transactions one after another.
 * The owner's loop: feed what was read; pull events with smtp_sender_next() until false; write smtp_sender_output().
 * Body bytes are pulled: on SMTP_SENDER_BODY the owner calls smtp_sender_body() as often as it likes while
 * smtp_sender_wants_body() is true (the engine keeps at most about 64 KiB of output).
 * It uses what the server offers: PIPELINING, CHUNKING, SIZE, 8BITMIME, SMTPUTF8, BINARYMIME, DSN, STARTTLS, AUTH,
 * REQUIRETLS, MT-PRIORITY, DELIVERBY, FUTURERELEASE.
 *
 * Laws (checked by sender_test.c and sender_fuzz.c): fed byte by byte or at once it does the same; output is bounded; each
 * recipient has at most one event; nothing comes after FAILED; a recipient has a 2xx event only when the server took the whole message.
 */
#ifndef SMTP_SENDER_H
#define SMTP_SENDER_H

#include "sasl/client.h"
#include "smtp/receiver.h" /* enum smtp_body_type, SMTP_NOTIFY_*, enum smtp_ret */

struct smtp_sender;

enum smtp_sender_tls { SMTP_TLS_NEVER, SMTP_TLS_IF_OFFERED, SMTP_TLS_REQUIRED };

struct smtp_sender_options {
	struct view ehlo_name; /* borrowed for the engine's life, as is all of the login */
	bool tls_active; /* implicit TLS: already on */
	enum smtp_sender_tls tls;
	bool has_login;
	struct view user, password; /* or an access token; only with TLS active unless login_without_tls */
	unsigned login_mechanisms; /* SASL_CLIENT_BIT()s; 0: SASL_CLIENT_BY_PASSWORD */
	struct view login_nonce; /* random bytes, 12 or more, for SCRAM: without them it is not used */
	struct sasl_scram_memory *scram_memory; /* may be NULL; outlives the engine */
	struct view login_host; /* OAUTHBEARER: the server's name and port */
	uint16_t login_port;
	bool login_without_tls;
	uint32_t greeting_timeout_ms; /* RFC 5321 §4.5.3.2: 300,000 */
	uint32_t command_timeout_ms; /* 300,000 */
	uint32_t data_timeout_ms; /* 354: 120,000; each block: 180,000 */
	uint32_t final_timeout_ms; /* reply to the final dot: 600,000 */
};
void smtp_sender_options_init(struct smtp_sender_options *options);

struct smtp_sender_recipient {
	struct view address;
	unsigned notify; /* 0 = none given */
	struct view orcpt; /* "rfc822;user@example.com" or empty */
};
/* A transaction; everything in it is borrowed until its SMTP_SENDER_DONE or FAILED. */
struct smtp_sender_transaction {
	struct view reverse_path; /* "" = null */
	size_t recipient_count;
	const struct smtp_sender_recipient *recipients;
	uint64_t size_bytes; /* exact size of the body (CRLF line ends) */
	enum smtp_body_type
		body; /* what the content is; the owner converts beforehand where the server can't (see below) */
	bool smtputf8; /* the message needs SMTPUTF8 */
	enum smtp_ret ret;
	struct view envid;
	bool requiretls; /* the server has to keep the promise too (RFC 8689) */
	int32_t priority; /* MT-PRIORITY (RFC 6710): -9 … 9; 0 is what is meant without it */
	/* DELIVERBY (RFC 2852): so much time is left; mode R (else N), T. */
	bool has_by, by_return, by_trace;
	int64_t by_s;
	/* FUTURERELEASE (RFC 4865): one of the two, if any. */
	int64_t hold_for_s;
	int64_t hold_until_ms; /* a whole second, wall clock */
};

enum smtp_sender_event_kind {
	SMTP_SENDER_STARTTLS, /* write all output, start the handshake, then smtp_sender_tls_started() */
	SMTP_SENDER_READY, /* greeting, EHLO, TLS and login are through: begin a transaction or quit */
	SMTP_SENDER_BODY, /* give the body now */
	SMTP_SENDER_RECIPIENT, /* `index` has its final outcome in `reply`: 2xx = the server took responsibility for it */
	SMTP_SENDER_DONE, /* the transaction is over, every recipient had its event; smtp_sender_begin() may follow */
	SMTP_SENDER_FAILED, /* the session is over: `stage`, `reply` (code 0: none). Recipients without an event had no outcome. After a 421
	                       the recipients it speaks of have their events first. Stage QUIT: no transaction was under way */
};
enum smtp_sender_stage { /* where a session failed */
	SMTP_STAGE_GREETING,
	SMTP_STAGE_EHLO,
	SMTP_STAGE_STARTTLS,
	SMTP_STAGE_AUTH,
	SMTP_STAGE_MAIL,
	SMTP_STAGE_RCPT,
	SMTP_STAGE_DATA,
	SMTP_STAGE_FINAL,
	SMTP_STAGE_QUIT,
};
struct smtp_sender_event {
	enum smtp_sender_event_kind kind;
	size_t index;
	enum smtp_sender_stage stage; /* of FAILED and of RECIPIENT: which command's reply decided */
	struct smtp_reply
		reply; /* as received; where the engine made it (time-out, garbage, connection lost), 4xx with a plain text */
	bool made_here; /* the reply did not come from the server */
};

enum { /* smtp_sender_extensions() */
	SMTP_EXT_PIPELINING = 1,
	SMTP_EXT_8BITMIME = 2,
	SMTP_EXT_SMTPUTF8 = 4,
	SMTP_EXT_CHUNKING = 8,
	SMTP_EXT_BINARYMIME = 16,
	SMTP_EXT_DSN = 32,
	SMTP_EXT_SIZE = 64,
	SMTP_EXT_STARTTLS = 128,
	SMTP_EXT_AUTH = 256,
	SMTP_EXT_ENHANCED = 512,
	SMTP_EXT_LIMITS = 1024,
	SMTP_EXT_REQUIRETLS = 2048, /* counts only inside TLS, and is not set without */
	SMTP_EXT_MT_PRIORITY = 4096,
	SMTP_EXT_DELIVERBY = 8192,
	SMTP_EXT_FUTURERELEASE = 16384,
};

struct smtp_sender *smtp_sender_new(const struct smtp_sender_options *options, int64_t now_ms);
void smtp_sender_free(struct smtp_sender *sender);
/* Takes bytes, up to the next event: pull it and feed the rest, also behind STARTTLS (bytes there end the session: they came in
 * clear). ERR_STATE when the session is over. *ret_used may be 0 while an event waits. */
enum err smtp_sender_feed(struct smtp_sender *sender, struct view in, size_t *ret_used) MUST_CHECK;
bool smtp_sender_next(struct smtp_sender *sender, struct smtp_sender_event *ret);
struct view smtp_sender_output(const struct smtp_sender *sender);
void smtp_sender_sent(struct smtp_sender *sender, size_t bytes);
/* The connection ended: `reason` in plain words. FAILED follows unless nothing was under way (then begin says ERR_CLOSED). */
void smtp_sender_closed(struct smtp_sender *sender, const char *reason);
void smtp_sender_tls_started(struct smtp_sender *sender, int64_t now_ms);
/* A time-out counts from the first tick after what set it (a command, a reply, a piece of the body): never too early, exact for an
 * owner that ticks after each round of input and output, which is cheap. */
void smtp_sender_tick(struct smtp_sender *sender, int64_t now_ms);
int64_t smtp_sender_deadline(const struct smtp_sender *sender);

/* After READY or DONE was pulled (else ERR_STATE; ERR_CLOSED when the session is over). SIZE, 8BITMIME, SMTPUTF8 and DSN parameters are sent only where offered. If the server's SIZE limit is
 * smaller than size_bytes every recipient gets a made-here 552 5.3.4 without a command. If `smtputf8` is needed and
 * not offered: made-here 553 5.6.7. 8-bit content without 8BITMIME, binary without BINARYMIME: made-here 554 5.6.3 (the owner
 * avoids that by converting first, see smtp_sender_extensions()). `requiretls` without REQUIRETLS inside TLS: made-here 550 5.7.30 (RFC 8689
 * §4.2.1). `by_return` without DELIVERBY: made-here 550 5.3.3 (RFC 2852 §4.2: such a message may not go where nobody would return it in time); with
 * less time left than its minimum, or none: 550 5.4.7. MT-PRIORITY and mode N of DELIVERBY are left out where they are not offered (instead of the latter
 * NOTIFY gets DELAY, RFC 2852 §4.1.4.2). `hold_…` that smtp_sender_can_hold() denies: made-here 450 4.3.3.
 * An address that could leave its angle brackets (controls, a blank or ">" outside
 * quotes), is longer than 1,000 bytes, or is not ASCII without `smtputf8`: made-here 553 for that recipient. */
enum err smtp_sender_begin(struct smtp_sender *sender, const struct smtp_sender_transaction *transaction) MUST_CHECK;
bool smtp_sender_wants_body(const struct smtp_sender *sender);
/* Takes body bytes (dot-stuffed here for DATA), `last` with the last piece (which may be empty). All bytes given are taken;
 * keep pieces at or under 64 KiB (ERR_LIMIT over 1 MiB). With DATA a bare CR or LF becomes CRLF, NULs are left out, and a missing last line end
 * is added; with BDAT the bytes go as they are. All bytes together must be size_bytes: if there are more, or `last` comes before them, the session ends
 * as with smtp_sender_abort(): ERR_SYNTAX. ERR_STATE when no body is wanted (the transaction may just have been refused). */
enum err smtp_sender_body(struct smtp_sender *sender, struct view bytes, bool last) MUST_CHECK;
/* The body can't be read: the engine ends the connection's transaction so that nothing partial is ever accepted (it drops the connection). */
void smtp_sender_abort(struct smtp_sender *sender);
/* Politely: QUIT, then SMTP_SENDER_FAILED with stage QUIT once answered. Only between transactions (else nothing happens). */
void smtp_sender_quit(struct smtp_sender *sender);
/* SMTP_EXT_* offered by the server in the EHLO that counts (after TLS). 0 before READY. */
unsigned smtp_sender_extensions(const struct smtp_sender *sender);
/* LIMITS (RFC 9422): 0 = not given. */
uint32_t smtp_sender_limit_recipients(const struct smtp_sender *sender);
uint32_t smtp_sender_limit_transactions(const struct smtp_sender *sender);
/* Whether the server offers to hold a message for, or until then: one of the two is given. */
bool smtp_sender_can_hold(const struct smtp_sender *sender, int64_t for_s, int64_t until_ms);

#endif
