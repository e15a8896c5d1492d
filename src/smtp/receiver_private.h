/*
 * What the files of the receiver engine share; the contract is receiver.h.
 *
 *   receiver.c          life cycle, output, events out, answers in
 *   receiver_command.c  bytes in while commands are read: the table of commands, and the checks that all of them share
 *   receiver_session.c  HELO, EHLO, STARTTLS, RSET, NOOP, QUIT, VRFY, EXPN, HELP
 *   receiver_auth.c     AUTH
 *   receiver_mail.c     MAIL and RCPT: the transaction's envelope
 *   receiver_data.c     DATA, and message bytes whichever way they come
 *   receiver_chunk.c    BDAT
 *   receiver_time.c     deadlines, time-outs, shutting down
 */
#ifndef SMTP_RECEIVER_PRIVATE_H
#define SMTP_RECEIVER_PRIVATE_H

#include "base/arena.h"
#include "sasl/server.h"
#include "smtp/command.h"
#include "smtp/framer.h"
#include "smtp/receiver.h"

/* RFC 4954 §4: AUTH lines have up to 12,288 bytes; all others are shorter (see the table of commands). */
#define RECEIVER_LINE_MAX_BYTES 12288u
/* An address (256) and the decoded values of ENVID (100) and AUTH (a mailbox), or of ORCPT (500), and the room to decode in. */
#define RECEIVER_SCRATCH_BYTES 1280u

enum receiver_state {
	RECEIVER_COMMAND,
	RECEIVER_AUTH, /* the next line is a SASL response */
	RECEIVER_DATA,
	RECEIVER_CHUNK,
	RECEIVER_TLS, /* STARTTLS was answered, the handshake did not begin */
	RECEIVER_CLOSED,
};

/* All that belongs to one mail transaction, in an arena of its own: RSET, EHLO, STARTTLS, a refusal and the end of the message destroy
 * it, and nothing about it is kept elsewhere. */
struct receiver_transaction {
	bool accepted; /* MAIL was answered 250 */
	bool body_accepted; /* the DATA question was answered with yes */
	bool chunked; /* a BDAT was seen: no DATA, no RCPT any more */
	enum smtp_body_type body;
	bool smtputf8;
	uint32_t recipients_asked, recipients_accepted;
	uint64_t message_bytes;
	struct smtp_event event; /* of the open MAIL or RCPT question */
	struct buf scratch; /* its decoded values, in scratch_bytes */
	uint8_t scratch_bytes[RECEIVER_SCRATCH_BYTES];
};

struct smtp_receiver {
	struct smtp_receiver_options options;
	enum receiver_state state;
	bool tls_active;
	bool greeted; /* EHLO or HELO was accepted */
	bool is_ehlo;
	bool authenticated;
	bool turned_away; /* CONNECT was answered 5xx: QUIT is all that is left (RFC 5321 §3.1) */
	uint8_t *helo;
	size_t helo_len;

	struct smtp_line_framer line;
	struct smtp_data_framer data;
	struct smtp_chunk_framer chunk;
	/* Why the message bytes that come now are not wanted: they are read to their end, and then this is the answer. One of the two. */
	const char *refusal;
	struct smtp_reply *refusal_reply;

	struct arena arena;
	struct receiver_transaction *transaction; /* inside the arena, or NULL */
	struct sasl_server *sasl;
	struct buf out;

	/* Events, in the order in which they are told. */
	struct view body;
	bool abort_waits;
	bool question_open, question_told;
	enum smtp_receiver_event_kind question;
	bool tls_waits;
	bool close_waits;
	const char *close_reason;
	uint64_t token; /* of the open question, or of the last one */

	uint32_t commands, errors, transactions, auth_failures;
	int64_t now_ms; /* as last told */
	int64_t started_ms;
	int64_t progress_ms; /* the last command, answer or piece of data */
	int64_t data_started_ms;
	bool shutdown_waits;
	char *shutdown_text;
};

/* receiver.c */
/* Writes one reply, a literal without line end: "250 2.0.0 Ok". Counts errors; a 421 ends the session. */
void smtp_receiver_say(struct smtp_receiver *receiver, const char *line);
void smtp_receiver_reply(struct smtp_receiver *receiver, const struct smtp_reply *reply);
void smtp_receiver_write(struct smtp_receiver *receiver, struct view bytes);
void smtp_receiver_ask(struct smtp_receiver *receiver, enum smtp_receiver_event_kind question);
/* `reason` is for the log: a literal, or owned by the receiver. */
void smtp_receiver_close(struct smtp_receiver *receiver, const char *reason);
/* `tell`: the owner does not know yet that it is gone. */
void smtp_receiver_end_transaction(struct smtp_receiver *receiver, bool tell);
static inline void smtp_receiver_progress(struct smtp_receiver *receiver)
{
	receiver->progress_ms = receiver->now_ms;
}
static inline bool smtp_receiver_has_event(const struct smtp_receiver *receiver)
{
	return receiver->body.len > 0 || receiver->abort_waits || receiver->question_open || receiver->tls_waits ||
		receiver->close_waits;
}

/* receiver_command.c: bytes of a command or of a SASL response. Returns the bytes taken. */
size_t smtp_receiver_command_feed(struct smtp_receiver *receiver, struct view in);

/* The commands: the arguments have no blanks around them, and what the table asks for holds. */
typedef void smtp_receiver_run(struct smtp_receiver *receiver, struct view arguments);
/* receiver_session.c */
smtp_receiver_run smtp_receiver_ehlo_run, smtp_receiver_helo_run, smtp_receiver_starttls_run, smtp_receiver_rset_run;
smtp_receiver_run smtp_receiver_noop_run, smtp_receiver_quit_run, smtp_receiver_vrfy_run, smtp_receiver_expn_run;
smtp_receiver_run smtp_receiver_help_run, smtp_receiver_obsolete_run;
void smtp_receiver_connect_answered(struct smtp_receiver *receiver, const struct smtp_reply *reply);
void smtp_receiver_hello_answered(struct smtp_receiver *receiver, const struct smtp_reply *reply);

/* receiver_auth.c */
smtp_receiver_run smtp_receiver_auth_run;
/* AUTH may be used, now that TLS is (or is not) active. */
bool smtp_receiver_auth_is_offered(const struct smtp_receiver *receiver);
void smtp_receiver_auth_line(struct smtp_receiver *receiver, struct view line);
void smtp_receiver_auth_fail(struct smtp_receiver *receiver, const char *reply);
void smtp_receiver_auth_answered(struct smtp_receiver *receiver, const struct smtp_reply *reply);

/* receiver_mail.c */
smtp_receiver_run smtp_receiver_mail_run, smtp_receiver_rcpt_run;
void smtp_receiver_mail_answered(struct smtp_receiver *receiver, const struct smtp_reply *reply);
void smtp_receiver_rcpt_answered(struct smtp_receiver *receiver, const struct smtp_reply *reply);

/* receiver_data.c */
smtp_receiver_run smtp_receiver_data_run;
size_t smtp_receiver_data_feed(struct smtp_receiver *receiver, struct view in);
void smtp_receiver_data_answered(struct smtp_receiver *receiver, const struct smtp_reply *reply);
void smtp_receiver_message_answered(struct smtp_receiver *receiver, const struct smtp_reply *reply);
/* A piece of the message, or something odd in it. */
void smtp_receiver_data_take(struct smtp_receiver *receiver, enum smtp_data_kind kind, struct view piece);
/* The message can't be taken any more: forgets it, and answers so at its end. */
void smtp_receiver_data_refuse(struct smtp_receiver *receiver, const char *reply);
static inline bool smtp_receiver_data_is_refused(const struct smtp_receiver *receiver)
{
	return receiver->refusal != NULL || receiver->refusal_reply != NULL;
}
void smtp_receiver_data_say_refusal(struct smtp_receiver *receiver);
/* Why no message may be sent now, or NULL: "no MAIL", "no RCPT", "no valid recipients". */
const char *smtp_receiver_data_hindrance(const struct smtp_receiver *receiver);

/* receiver_chunk.c */
smtp_receiver_run smtp_receiver_bdat_run;
size_t smtp_receiver_chunk_feed(struct smtp_receiver *receiver, struct view in);
/* The DATA question of a first chunk was answered; a refusal is set already. */
void smtp_receiver_chunk_begin(struct smtp_receiver *receiver);

/* receiver_time.c */
void smtp_receiver_time_shutdown_now(struct smtp_receiver *receiver);

#endif
