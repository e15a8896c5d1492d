/* A session, shared by the smtp_in_*.c files. */
#ifndef SERVICE_SMTP_IN_PRIVATE_H
#define SERVICE_SMTP_IN_PRIVATE_H

#include "net/stream.h"
#include "service/intake.h"
#include "service/intake_body.h"
#include "service/intake_tap.h"
#include "service/signing.h"
#include "service/smtp_in.h"
#include "smtp/receiver.h"
#include "store/directory_store.h"

struct authenticate;
struct iprev;
struct lookup;
struct login;

/* The header section while it arrives, where somebody looks at it before it is stored. */
struct smtp_in_header {
	bool is_open; /* bytes still belong to it */
	bool is_too_long;
	bool is_odd; /* bytes that no header section has */
	bool has_no_room; /* the server's memory for bodies is used up */
	struct mail_scan scan;
	struct buf bytes;
	size_t budget_bytes;
	unsigned forged; /* Authentication-Results in our name, left out */
};

struct smtp_in {
	struct list link;
	struct receive_loop *receiver;
	struct server *server;
	struct config *config; /* as it was when the session began */
	const struct listen_point *point;
	struct net_address peer;
	uint64_t number; /* among those of its receive loop, ever */
	uint32_t uid; /* of the local user */
	bool trusted; /* in relay_from, or the local socket */
	struct stream *stream;
	struct smtp_receiver *engine;
	struct loop_timer timer;
	struct buf account; /* logged in as; empty: not */
	bool dead; /* CLOSE came, or the peer went: free when the stack is clear */
	bool busy; /* inside a handler: freeing waits */

	uint64_t question; /* token of the open question; 0: none */
	struct lookup *lookup; /* under way for it */
	struct login *login;
	struct intake *intake;
	struct iprev *iprev; /* of a stranger who had a recipient accepted */

	/* One transaction: RSET, EHLO, STARTTLS and end of data destroy it. */
	struct message *message; /* from MAIL on */
	struct intake_body *body; /* from DATA on */
	struct list taps; /* struct intake_tap */
	struct authenticate *authenticate; /* a stranger's message: from the first recipient on */
	struct smtp_in_header header;
	bool is_header_known; /* smtp_in_header_known() was called */
	struct buf added; /* fields that submitted mail has to have, and had not: known when its header section is */
	struct buf front; /* what the steps put on top of the message: complete fields */
	struct signing_message *signing; /* NULL: nothing is signed */
	struct signing_seal *seal; /* NULL: nothing is sealed */
	uint64_t body_bytes; /* of the content as stored, header section and all */
	size_t step; /* what comes next behind the end of the data */
	uint64_t messages; /* accepted in this session */
	uint64_t last_message_id;
};

/* Answers the open question, then goes on with what the engine has to say. */
void smtp_in_answer(struct smtp_in *session, const struct smtp_reply *reply);
void smtp_in_transaction_clear(struct smtp_in *session);

/* Mail from somebody we know: logged in, in relay_from, or of this machine. */
bool smtp_in_is_submission(const struct smtp_in *session);

/* smtp_in_content.c */
/* Who wants to see the message's bytes: between MAIL and the first of them. */
void smtp_in_tap(struct smtp_in *session, struct intake_tap *tap);
/* The data is complete: taps hear of the end. False: the message is refused with *ret_refusal. */
bool smtp_in_content_end(struct smtp_in *session, struct smtp_reply *ret_refusal);
void smtp_in_content_clear(struct smtp_in *session);

/*
 * smtp_in_message.c. Between the end of the data and the commit there are steps, each of which may take its time and then calls one of these two,
 * once: the next step follows, or the message ends with this reply. A step that is under way when the transaction goes is cancelled in
 * smtp_in_transaction_clear().
 */
void smtp_in_step_done(struct smtp_in *session);
void smtp_in_step_refuse(struct smtp_in *session, const struct smtp_reply *reply);
/* The header section is known (of a very long one, its start), the body may not be: before the taps see it. Once for each message. */
enum err smtp_in_header_known(struct smtp_in *session, struct view header) MUST_CHECK;

/* smtp_in_verify.c */
/* A recipient was accepted: who is it that sends to him? Nothing is asked for those who only try addresses. */
void smtp_in_verify_begin(struct smtp_in *session);
/* A step. */
void smtp_in_verify(struct smtp_in *session);

/* smtp_in_signing.c: taps the message if it is to be signed, or sealed because it is forwarded; a step; the end of it. */
void smtp_in_signing_begin(struct smtp_in *session);
void smtp_in_sign(struct smtp_in *session);
void smtp_in_signing_clear(struct smtp_in *session);

/* One function per event. */
void smtp_in_on_connect(struct smtp_in *session, const struct smtp_event *event);
void smtp_in_on_helo(struct smtp_in *session, const struct smtp_event *event);
void smtp_in_on_starttls(struct smtp_in *session, const struct smtp_event *event);
void smtp_in_on_auth(struct smtp_in *session, const struct smtp_event *event);
void smtp_in_on_mail(struct smtp_in *session, const struct smtp_event *event);
void smtp_in_on_rcpt(struct smtp_in *session, const struct smtp_event *event);
void smtp_in_on_data(struct smtp_in *session, const struct smtp_event *event);
void smtp_in_on_body(struct smtp_in *session, const struct smtp_event *event);
void smtp_in_on_message(struct smtp_in *session, const struct smtp_event *event);
void smtp_in_on_abort(struct smtp_in *session, const struct smtp_event *event);
void smtp_in_on_close(struct smtp_in *session, const struct smtp_event *event);

/* The session goes: whatever is under way for it answers nobody. */
void smtp_in_lookup_cancel(struct smtp_in *session);
void smtp_in_login_cancel(struct smtp_in *session);

/* Who is there, for logs and traces: "192.0.2.1", "local:www-data". */
struct view smtp_in_client(const struct smtp_in *session);
const char *smtp_in_kind_name(const struct smtp_in *session);

#endif
