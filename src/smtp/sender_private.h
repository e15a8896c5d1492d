/*
 * What the files of the sender engine share; the contract is sender.h.
 *
 *   sender.c              life cycle, output, time-outs, events out
 *   sender_reply.c        bytes in: replies put together and handed to the phase they answer
 *   sender_session.c      greeting, EHLO/HELO, STARTTLS, AUTH, QUIT
 *   sender_offer.c        what the EHLO reply offers
 *   sender_transaction.c  which command goes out when, and what each reply means for whom
 *   sender_command.c      MAIL and RCPT as text
 *   sender_body.c         the message: dot-stuffing, BDAT
 */
#ifndef SMTP_SENDER_PRIVATE_H
#define SMTP_SENDER_PRIVATE_H

#include "smtp/sender.h"

/* Above this the engine asks for no more body and pipelines no more RCPT until output was sent. */
#define SENDER_OUTPUT_TARGET_BYTES (64u * 1024)
#define SENDER_PIECE_MAX_BYTES (1024u * 1024)
/* One reply with all its lines. */
#define SENDER_REPLY_MAX_BYTES (16u * 1024)

enum sender_phase {
	SENDER_GREETING,
	SENDER_EHLO,
	SENDER_HELO,
	SENDER_STARTTLS,
	SENDER_HANDSHAKE,
	SENDER_AUTH,
	SENDER_IDLE,
	SENDER_TRANSACTION,
	SENDER_QUIT,
	SENDER_OVER,
};

/* The commands of a transaction in their order; the order of the values matters. */
enum sender_step {
	STEP_RSET,
	STEP_MAIL,
	STEP_RCPT,
	STEP_DATA,
	STEP_BODY, /* replies: too early, or to a BDAT chunk */
	STEP_FINAL, /* the reply that takes or refuses the message */
	STEP_EMPTY, /* the reply to a lone dot, of no interest */
};

/* What is known about one recipient. */
enum sender_recipient_state {
	RECIPIENT_UNASKED,
	RECIPIENT_ASKED, /* RCPT written, not answered */
	RECIPIENT_ACCEPTED,
	RECIPIENT_REFUSED_HERE, /* can't be asked for; its event is still to come */
	RECIPIENT_TOLD, /* had its event */
};

struct sender_offer {
	unsigned extensions; /* SMTP_EXT_* */
	uint64_t size_max_bytes; /* 0 = none given */
	unsigned logins; /* SASL_CLIENT_BIT()s */
	uint32_t limit_recipients, limit_transactions;
	uint32_t deliver_by_min_s; /* 0 = none given */
	uint32_t hold_max_s;
	int64_t hold_max_until_ms;
};

struct sender_transaction {
	struct smtp_sender_transaction what; /* its pointers are the owner's */
	enum sender_step send; /* the next command to write; STEP_BODY: no more */
	enum sender_step due; /* what the next reply answers */
	size_t send_index, due_index; /* recipient of the next RCPT, of the next RCPT's reply */
	size_t outstanding; /* commands written and not answered; BDAT: chunks wholly written */
	size_t unanswered; /* recipients whose RCPT reply is still to come */
	size_t accepted;
	bool mail_refused, data_sent;
};

struct sender_body {
	bool active; /* the owner is to give more */
	bool chunked; /* BDAT */
	bool line_start; /* what went out so far ends with CRLF, or is nothing */
	bool pending_cr; /* the last piece ended with a CR whose successor is not known yet */
	bool has_held; /* BDAT: the very last byte, kept until the owner says `last` */
	uint8_t held;
	uint64_t given_bytes;
	uint64_t announced_bytes; /* BDAT: in chunks begun so far */
	uint64_t chunk_left_bytes;
};

/* Outcomes for all recipients without one, told one by one as the owner pulls. */
struct sender_sweep {
	bool active;
	size_t at;
	struct smtp_reply reply;
	enum smtp_sender_stage stage;
	bool made_here;
};

struct smtp_sender {
	struct smtp_sender_options options;
	enum sender_phase phase;
	bool tls_active;
	bool was_ready;
	bool reset_needed; /* the server may still hold an envelope of ours */
	struct sender_offer offer;
	struct sasl_client login;

	struct buf in; /* a reply of which the end is not here yet */
	size_t in_line; /* where its last line begins */
	struct buf out;
	size_t out_at; /* bytes of `out` already sent */

	int64_t now_ms; /* as last told */
	bool armed, counting; /* a time-out is set; its end is known */
	uint32_t timeout_ms;
	int64_t deadline_ms;

	struct sender_transaction transaction;
	struct sender_body body;
	struct buf recipients; /* enum sender_recipient_state, one byte each; memory reused */
	size_t untold; /* of them without an event */

	/* Events, in the order in which they are told. */
	bool tell_refused; /* `refused`: one RCPT's negative reply */
	struct smtp_sender_event refused;
	size_t refused_here; /* recipients in RECIPIENT_REFUSED_HERE */
	size_t refused_here_at;
	struct sender_sweep sweep;
	bool tell_starttls, tell_ready, tell_body, tell_done, tell_failed;
	struct smtp_sender_event failed;
};

/* sender.c */
static inline size_t sender_output_bytes(const struct smtp_sender *sender)
{
	return sender->out.len - sender->out_at;
}
/* Appends to the output, which is bounded by construction: room is always there. */
void sender_put(struct smtp_sender *sender, struct view bytes);
void sender_put_u64(struct smtp_sender *sender, uint64_t n);
bool sender_has_event(const struct smtp_sender *sender);
void sender_arm(struct smtp_sender *sender, uint32_t timeout_ms);
void sender_disarm(struct smtp_sender *sender);
/* The session is over: FAILED follows the events that wait. Output that was not sent is dropped. */
void sender_fail(
	struct smtp_sender *sender, enum smtp_sender_stage stage, const struct smtp_reply *reply, bool made_here);
/* The same with 451 and a made-here text. */
void sender_fail_here(struct smtp_sender *sender, enum smtp_sender_stage stage, const char *enhanced, const char *text);
/* 451 4.5.0: the server does not keep to the protocol. The stage is the present one. */
void sender_fail_protocol(struct smtp_sender *sender, const char *text);
enum smtp_sender_stage sender_stage(const struct smtp_sender *sender);
static inline enum sender_recipient_state sender_recipient(const struct smtp_sender *sender, size_t index)
{
	return (enum sender_recipient_state)sender->recipients.ptr[index];
}
static inline void sender_set_recipient(struct smtp_sender *sender, size_t index, enum sender_recipient_state state)
{
	sender->recipients.ptr[index] = (uint8_t)state;
}

/* sender_session.c: a reply in a phase before the first transaction, or to QUIT. `frame` is the reply as received. */
void sender_session_reply(struct smtp_sender *sender, const struct smtp_reply *reply, struct view frame);
void sender_session_hello(struct smtp_sender *sender);

/* sender_offer.c */
void sender_offer_parse(struct view frame, struct sender_offer *ret);

/* sender_transaction.c */
void sender_transaction_reply(struct smtp_sender *sender, const struct smtp_reply *reply);
/* Writes the commands that may go out now. */
void sender_transaction_push(struct smtp_sender *sender);
/* All recipients without an event get this outcome. */
void sender_transaction_sweep(
	struct smtp_sender *sender, const struct smtp_reply *reply, enum smtp_sender_stage stage, bool made_here);
void sender_transaction_finish(struct smtp_sender *sender);

/* sender_command.c */
void sender_command_mail(struct smtp_sender *sender);
void sender_command_rcpt(struct smtp_sender *sender, const struct smtp_sender_recipient *recipient);
/* False if the address would not stay inside its angle brackets; see there. */
bool sender_command_path_is_safe(struct view address);

/* sender_body.c */
void sender_body_begin(struct smtp_sender *sender);

#endif
