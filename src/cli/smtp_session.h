/*
 * One message handed to one server, and the program waits: loop, stream, TLS and the sender engine put together for `send` and
 * `sendmail`. Blocking; returns when the server has answered for every recipient or the session broke.
 */
#ifndef CLI_SMTP_SESSION_H
#define CLI_SMTP_SESSION_H

#include "net/address.h"
#include "net/tls.h"
#include "smtp/sender.h"

struct smtp_session {
	/* Where: a connected socket, which is taken over (-1: none), or addresses that are tried in order. */
	int fd;
	size_t address_count;
	const struct net_address *addresses;
	uint32_t connect_timeout_ms;
	/* How. */
	struct tls_context *tls; /* NULL: never TLS; the caller keeps its reference */
	const char *server_name; /* for SNI and the certificate's check */
	bool implicit_tls;
	struct smtp_sender_options sender; /* ehlo_name, tls, login; smtp_sender_options_init() first */
	bool verbose; /* the server's answers on stderr */
	bool progress; /* a large message's progress on stderr, when that is a terminal */
	/* What. */
	struct smtp_sender_transaction transaction;
	struct view content; /* CRLF line ends; transaction.size_bytes is its length */
};

struct smtp_session_outcome {
	/* One each, in the order of the transaction; code 0: no outcome, see `reply`. */
	size_t reply_count;
	struct smtp_reply *replies;
	bool finished; /* every recipient has its reply */
	/* When not: what ended it. reply.code 0: not the server's words; `problem` says why in a sentence. */
	enum smtp_sender_stage stage;
	struct smtp_reply reply;
	char problem[512];
};

/* ERR_OK: see the outcome. Else nothing was tried, with a sentence. Takes session->fd in every case. */
enum err smtp_session_run(struct smtp_session *session, struct smtp_session_outcome *ret) MUST_CHECK;
void smtp_session_outcome_clear(struct smtp_session_outcome *outcome);

/* Tells on stderr what the server said about each recipient that it refused, or what ended the session. Returns the exit code: of the first
 * that was refused, 0 if none was. */
int smtp_session_report(const struct smtp_session_outcome *outcome, const struct smtp_sender_transaction *transaction);
/* The sysexits code for one reply: 0; 67 no such user; 65 bad data; 77 not permitted; 75 try later; 69 refused. */
int smtp_session_exit_code(const struct smtp_reply *reply);

#endif
