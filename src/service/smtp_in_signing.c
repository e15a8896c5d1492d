/* Submitted mail is signed between the end of its data and its commit. */
#include "service/smtp_in_private.h"

void smtp_in_signing_begin(struct smtp_in *session)
{
	struct message *m = session->message;
	if (!smtp_in_is_submission(session))
		return;
	struct signing_options options = {
		.server = session->server,
		.loop = session->receiver->loop,
		.config = session->config,
		.envelope = &m->envelope,
		.account = session->point->is_local ? VIEW_NONE : buf_view(&session->account),
	};
	session->signing = signing_message_new(&options);
	if (session->signing != NULL)
		smtp_in_tap(session, signing_message_tap(session->signing));
}

void smtp_in_signing_clear(struct smtp_in *session)
{
	signing_message_free(session->signing);
	session->signing = NULL;
}

static void signed_now(void *owner, enum err err, struct view fields)
{
	struct smtp_in *session = owner;
	if (err == ERR_OK && fields.len > 0)
		err = buf_append(&session->front, fields);
	if (err == ERR_OK) {
		smtp_in_step_done(session);
		return;
	}
	/* Unsigned it would be taken for a forgery elsewhere. */
	LOG(LOG_LEVEL_ERROR, "signing-failed", LOG_TEXT("client", smtp_in_client(session)),
		LOG_TEXT("from", session->message->envelope.reverse_path), LOG_CSTR("reason", err_name(err)));
	struct smtp_reply reply = smtp_reply_make(
		451, "4.3.0", "The message can't be signed now, please try again later");
	smtp_in_step_refuse(session, &reply);
}

void smtp_in_sign(struct smtp_in *session)
{
	if (session->signing != NULL)
		signing_message_finish(session->signing, signed_now, session);
	else
		smtp_in_step_done(session);
}
