/*
 * The server side of SMTP as an engine without I/O: bytes in, events out (pulled), bytes out.
 *
 * The owner's loop, for each piece of input:
 *   1. smtp_receiver_feed() takes bytes, possibly fewer than given: it stops at each event. Call it again with the rest.
 *   2. smtp_receiver_next() until false. Views in an event are valid until the next feed/answer/free; body views may point
 *      into the bytes that were fed.
 *   3. An event with a token is a question: the engine takes no further input (feed uses 0 bytes) until
 *      smtp_receiver_answer() brings the reply to it, now or later. That is the back-pressure.
 *   4. smtp_receiver_output() is what to write; report with smtp_receiver_sent() what was written or copied.
 *   5. After smtp_receiver_answer(), smtp_receiver_tick() and smtp_receiver_shutdown() pull events again: an answer may bring the
 *      next one (the last BDAT chunk is complete, a 421 closes).
 * smtp_receiver_tick() is called when smtp_receiver_deadline() has passed, and before input or an answer is given, for the engine
 * has no clock of its own.
 *
 * Laws (checked by receiver_test.c and receiver_fuzz.c): fed byte by byte or at once it does the same; output is bounded
 * by input; after RSET a transaction leaves nothing behind; the same bytes, answers and times give the same result.
 */
#ifndef SMTP_RECEIVER_H
#define SMTP_RECEIVER_H

#include "base/buf.h"
#include "smtp/reply.h"

struct smtp_receiver;

struct smtp_receiver_options {
	struct view hostname; /* for the greeting and EHLO; borrowed for the engine's life */
	bool lmtp; /* reserved for LMTP; false */
	bool submission; /* a submission listener: wording, AUTH needed before MAIL (RFC 6409 §4.3) */
	bool tls_active; /* TLS from the first byte (port 465) */
	bool starttls; /* offer STARTTLS while TLS is not active */
	bool auth; /* offer AUTH PLAIN LOGIN once TLS is active; never without TLS */
	bool auth_without_tls; /* loopback tests only: also offer it in clear */
	bool normalise_line_ends; /* trusted networks: bare CR or LF in message data becomes CRLF instead of 5xx */
	bool smtputf8, chunking, dsn; /* offer SMTPUTF8; CHUNKING and BINARYMIME; DSN */
	bool requiretls; /* offer REQUIRETLS (RFC 8689), while TLS is active */
	bool mt_priority; /* offer MT-PRIORITY (RFC 6710); what a client may ask for is the owner's to judge */
	bool deliver_by; /* offer DELIVERBY (RFC 2852) */
	uint32_t deliver_by_min_s; /* its minimum for mode R, advertised; 0 = none */
	/* Offer FUTURERELEASE (RFC 4865) up to so long; 0 = not offered. For those who submit, not for strangers. */
	uint32_t hold_max_s;
	int64_t wall_offset_ms; /* Unix time minus the clock that the engine is told: for HOLDUNTIL */
	/* Limits and times: 0 = none. */
	uint64_t message_size_max_bytes;
	uint32_t recipients_max; /* RCPT commands per transaction: 452 4.5.3 beyond; advertised in LIMITS RCPTMAX */
	uint32_t commands_max; /* other than MAIL, RCPT, DATA and BDAT, per session: 421 4.7.0 beyond */
	uint32_t errors_max; /* error replies per session: the next command behind them, but QUIT, gets 421 4.7.0 */
	uint32_t transactions_max; /* MAIL commands per session: 421 beyond; advertised in LIMITS MAILMAX */
	uint32_t auth_failures_max; /* per session: behind that many the next AUTH gets 421 */
	uint32_t command_timeout_ms; /* RFC 5321 §4.5.3.2.7: 300,000 */
	uint32_t data_timeout_ms; /* between two pieces of message data: 180,000 */
	uint32_t data_total_ms; /* one whole message: 3,600,000; a slow trickle ends here */
	uint32_t session_total_ms; /* 0 = without end */
};
/* The defaults above; hostname empty. */
void smtp_receiver_options_init(struct smtp_receiver_options *options);

enum smtp_receiver_event_kind {
	/* question, first of all (or after TLS on 465): answer 220 (the hostname is put before its text), or 554/421 to send away */
	SMTP_EVENT_CONNECT,
	SMTP_EVENT_HELO, /* question: EHLO/HELO with `text` = its argument; answer 250 (text is made here) or 4xx/5xx */
	SMTP_EVENT_STARTTLS, /* write all output, then start the handshake; then smtp_receiver_tls_started() */
	SMTP_EVENT_AUTH, /* question: auth_*; answer 235, 535 5.7.8, 454 4.7.0 */
	SMTP_EVENT_MAIL, /* question: `address` = reverse-path ("" = null), `mail` parameters; answer 250 or refuse */
	SMTP_EVENT_RCPT, /* question: `address` = forward-path, `rcpt` parameters; answer 250 or refuse */
	SMTP_EVENT_DATA, /* question, before the first body byte of DATA or BDAT: answer 354 (accept) or refuse */
	/* `body`: message bytes, dots removed, line ends as CRLF: with BDAT too, only BODY=BINARYMIME comes as sent. A message with bare
	 * CR, bare LF or NUL, or beyond the size limit, ends in ABORT, and is answered here. */
	SMTP_EVENT_BODY,
	SMTP_EVENT_MESSAGE, /* question: the message is complete; answer 250 only when it is durable */
	SMTP_EVENT_ABORT, /* the transaction is gone (RSET, EHLO, refused data, end of session): forget its envelope and body */
	SMTP_EVENT_CLOSE, /* write all output, then close the connection; `text` = reason for the log */
};

enum smtp_body_type { SMTP_BODY_7BIT, SMTP_BODY_8BITMIME, SMTP_BODY_BINARYMIME };
/* RFC 3461 §4.1 */
enum { SMTP_NOTIFY_NEVER = 1, SMTP_NOTIFY_SUCCESS = 2, SMTP_NOTIFY_FAILURE = 4, SMTP_NOTIFY_DELAY = 8 };
enum smtp_ret { SMTP_RET_UNSET, SMTP_RET_FULL, SMTP_RET_HDRS };

struct smtp_mail_parameters {
	bool has_size;
	uint64_t size_bytes; /* declared with SIZE=; already checked against the limit */
	enum smtp_body_type body;
	bool smtputf8;
	enum smtp_ret ret;
	struct view envid; /* decoded xtext, RFC 3461 §4.4; empty if absent */
	bool has_auth; /* AUTH= was given (RFC 4954 §5) */
	struct view auth; /* decoded; "" for <> */
	bool requiretls; /* RFC 8689 */
	bool has_priority; /* MT-PRIORITY= was given (RFC 6710) */
	int32_t priority; /* -9 … 9; 0 if absent */
	bool has_by; /* BY= was given (RFC 2852) */
	bool by_return, by_trace; /* mode R (else N); T */
	int32_t by_s; /* from now; mode N: may be zero or less */
	int64_t hold_until_ms; /* Unix time, from HOLDFOR or HOLDUNTIL (RFC 4865); 0: neither */
	uint32_t hold_for_s; /* HOLDFOR's value; 0: it was not that */
};
struct smtp_rcpt_parameters {
	unsigned notify; /* SMTP_NOTIFY_* bits; 0 = not given */
	struct view orcpt; /* "rfc822;user@example.com": type and decoded xtext; empty if absent */
};

struct smtp_event {
	enum smtp_receiver_event_kind kind;
	uint64_t token; /* not 0: a question */
	struct view text;
	struct view address; /* canonical "local@domain": source route dropped, local part quoted only where needed;
	                               for RCPT also "postmaster" alone (RFC 5321 §4.1.1.3) */
	struct view local, domain; /* the same, split; domain as written (a literal with its brackets) */
	struct smtp_mail_parameters mail;
	struct smtp_rcpt_parameters rcpt;
	struct view auth_mechanism; /* "PLAIN", "LOGIN" */
	struct view auth_identity; /* authzid, may be empty */
	struct view auth_user, auth_password;
	struct view body;
	bool is_ehlo; /* HELO event: EHLO, not HELO */
	uint64_t message_bytes; /* MESSAGE event: size of the body as delivered in BODY events */
};

/* Options are copied but for the hostname's bytes. Never NULL. Output is empty until CONNECT is answered. */
struct smtp_receiver *smtp_receiver_new(const struct smtp_receiver_options *options, int64_t now_ms);
void smtp_receiver_free(struct smtp_receiver *receiver);

/* Takes bytes. ERR_OK; ERR_STATE after CLOSE. *ret_used may be 0 while a question is open or an event waits. */
enum err smtp_receiver_feed(struct smtp_receiver *receiver, struct view in, size_t *ret_used) MUST_CHECK;
bool smtp_receiver_next(struct smtp_receiver *receiver, struct smtp_event *ret);
/* ERR_STATE if the token is not the open question's. A reply 421 ends the session after it was written. */
enum err smtp_receiver_answer(
	struct smtp_receiver *receiver, uint64_t token, const struct smtp_reply *reply) MUST_CHECK;
struct view smtp_receiver_output(const struct smtp_receiver *receiver);
void smtp_receiver_sent(struct smtp_receiver *receiver, size_t bytes);
/* The handshake is done; all that was said before it is forgotten. Before the handshake the owner must have fed whatever it had read
 * behind STARTTLS: such input in clear queues CLOSE (CVE-2011-0411). */
void smtp_receiver_tls_started(struct smtp_receiver *receiver, int64_t now_ms);
/* Ends time-outs with 421 4.4.2 and CLOSE. Also notes the time for the deadlines of what follows. Times never go back. */
void smtp_receiver_tick(struct smtp_receiver *receiver, int64_t now_ms);
/* Monotonic ms; INT64_MAX when none (a question is open: its owner has its own limit). */
int64_t smtp_receiver_deadline(const struct smtp_receiver *receiver);
/* The server is stopping, or wants rid of this client: 421 4.3.2 `text` and CLOSE as soon as no transaction's question is open. */
void smtp_receiver_shutdown(struct smtp_receiver *receiver, const char *text);
/* True between the first MAIL accepted and its end: for logs, and for a graceful stop. */
bool smtp_receiver_in_transaction(const struct smtp_receiver *receiver);
/* HELO name as last given (borrowed until the next feed), and whether it was EHLO: for Received. Empty before. */
struct view smtp_receiver_helo(const struct smtp_receiver *receiver, bool *ret_is_ehlo);

#endif
