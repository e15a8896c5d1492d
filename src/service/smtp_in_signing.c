/* Submitted mail is signed, and mail from outside that we forward is sealed, between the end of its data and its commit. */
#include "service/authenticate.h"
#include "service/smtp_in_private.h"

static struct view domain_of(struct view address)
{
	return view_from(address, view_find_last(address, '@') + 1);
}

/* The domain of ours that leads the message to another one; empty: none does. */
static struct view forwarding_domain(const struct smtp_in *session)
{
	const struct queue_message *q = &session->message->envelope;
	for (size_t i = 0; i < q->recipient_count; i++) {
		const struct queue_recipient *r = &q->recipients[i];
		if (r->original.len > 0 && !domains_contain(session->server->domains, domain_of(r->address)))
			return domain_of(r->original);
	}
	return VIEW_NONE;
}

static struct signing_seal *new_seal(struct smtp_in *session, const struct signing_options *options)
{
	/* What is not verified can't be vouched for. */
	if (session->authenticate == NULL || session->config->authentication.arc != CONFIG_ARC_SEAL)
		return NULL;
	struct view domain = forwarding_domain(session);
	return domain.len > 0 ? signing_seal_new(options, domain) : NULL;
}

void smtp_in_signing_begin(struct smtp_in *session)
{
	struct signing_options options = {
		.server = session->server,
		.loop = session->receiver->loop,
		.config = session->config,
		.envelope = &session->message->envelope,
		.account = session->point->is_local ? VIEW_NONE : buf_view(&session->account),
	};
	if (smtp_in_is_submission(session))
		session->signing = signing_message_new(&options);
	else
		session->seal = new_seal(session, &options);
	if (session->signing != NULL)
		smtp_in_tap(session, signing_message_tap(session->signing));
	if (session->seal != NULL)
		smtp_in_tap(session, signing_seal_tap(session->seal));
}

void smtp_in_signing_clear(struct smtp_in *session)
{
	signing_message_free(session->signing);
	session->signing = NULL;
	signing_seal_free(session->seal);
	session->seal = NULL;
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

static void sealed_now(void *owner, struct view fields)
{
	signed_now(owner, ERR_OK, fields);
}

/* What we found out goes along, sealed. */
static void seal(struct smtp_in *session)
{
	const struct authentication_facts *f = authenticate_facts(session->authenticate);
	struct authenticate_results results;
	enum err err = authenticate_results(session->authenticate, &results);
	struct arc_seal_finish finish = { .verdict = f->arc,
		.authserv_id = view_from_cstr(session->config->authentication.authserv_id),
		.results = results.views,
		.result_count = results.count };
	if (err == ERR_OK)
		signing_seal_finish(session->seal, &finish, sealed_now, session);
	else
		smtp_in_step_done(session);
	authenticate_results_clear(&results);
}

void smtp_in_sign(struct smtp_in *session)
{
	if (session->signing != NULL)
		signing_message_finish(session->signing, signed_now, session);
	else if (session->seal != NULL)
		seal(session);
	else
		smtp_in_step_done(session);
}
