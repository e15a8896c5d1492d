/* A session, shared by the smtp_in_*.c files. */
#ifndef SERVICE_SMTP_IN_PRIVATE_H
#define SERVICE_SMTP_IN_PRIVATE_H

#include "net/stream.h"
#include "service/intake.h"
#include "service/intake_body.h"
#include "service/smtp_in.h"
#include "smtp/receiver.h"
#include "store/directory_store.h"

struct lookup;
struct login;

struct smtp_in {
	struct list link;
	struct receive_loop *receiver;
	struct server *server;
	struct config *config; /* as it was when the session began */
	const struct listen_point *point;
	struct net_address peer;
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

	/* One transaction: RSET, EHLO, STARTTLS and end of data destroy it. */
	struct message *message; /* from MAIL on */
	struct intake_body *body; /* from DATA on */
	uint64_t messages; /* accepted in this session */
	uint64_t last_message_id;
};

/* Answers the open question, then goes on with what the engine has to say. */
void smtp_in_answer(struct smtp_in *session, const struct smtp_reply *reply);
void smtp_in_transaction_clear(struct smtp_in *session);

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
