/* Mail from strangers: who they are, and what that means for the message. */
#include "base/clock.h"
#include "service/authenticate.h"
#include "service/receive.h"
#include "service/reports.h"
#include "service/smtp_in_private.h"

static bool is_stranger(const struct smtp_in *session)
{
	return session->config->authentication.enabled && !smtp_in_is_submission(session) && session->account.len == 0;
}

static void iprev_finished(void *owner)
{
	struct smtp_in *session = owner;
	if (session->authenticate != NULL)
		authenticate_iprev_finished(session->authenticate);
}

void smtp_in_verify_begin(struct smtp_in *session)
{
	if (session->authenticate != NULL || !is_stranger(session))
		return;
	struct resolver *resolver = receive_resolver(session->receiver);
	if (resolver == NULL) {
		LOG(LOG_LEVEL_ERROR, "verification-failed", LOG_CSTR("reason", err_detail()));
		return;
	}
	bool is_ehlo;
	struct places_key share = resolver_share_client(&session->peer, session->number);
	if (session->iprev == NULL)
		session->iprev = iprev_new(resolver, share, &session->peer, iprev_finished, session);
	struct authenticate_options options = {
		.loop = session->receiver->loop,
		.resolver = resolver,
		.share = share,
		.keys = session->receiver->dkim_keys,
		.config = session->config,
		.envelope = &session->message->envelope,
		.client = session->peer,
		.helo = smtp_receiver_helo(session->engine, &is_ehlo),
		.iprev = session->iprev,
	};
	session->authenticate = authenticate_new(&options);
	smtp_in_tap(session, authenticate_tap(session->authenticate));
}

/* For the reports to those who asked for them (RFC 9990). */
static void note_for_reports(struct smtp_in *session, const struct authentication_facts *f)
{
	static const enum dmarc_policy dispositions[AUTH_ACTION_COUNT] = {
		[AUTH_QUARANTINE] = DMARC_POLICY_QUARANTINE,
		[AUTH_REJECT] = DMARC_POLICY_REJECT,
	};
	static const char *const overrides[] = {
		[AUTH_OVERRIDE_NONE] = NULL,
		[AUTH_OVERRIDE_LOCAL_POLICY] = "local_policy",
		[AUTH_OVERRIDE_TRUSTED_FORWARDER] = "trusted_forwarder",
		[AUTH_OVERRIDE_TEST_MODE] = NULL, /* the record says so itself */
	};
	struct dmarc_note_signature signatures[DKIM_SIGNATURES_DEFAULT];
	/* It comes again. */
	if (f->decision.action == AUTH_DEFER)
		return;
	for (size_t i = 0; i < f->signature_count; i++)
		signatures[i] = (struct dmarc_note_signature){
			.domain = f->signatures[i].dkim.domain,
			.selector = f->signatures[i].dkim.selector,
			.result = dkim_result_name(f->signatures[i].dkim.result),
			.is_aligned = f->signatures[i].is_aligned,
		};
	struct buf sealer = { 0 };
	/* RFC 8617 §7.2.2 */
	if (f->trusted_sealer.len > 0 &&
		buf_append_format(&sealer, "arc=pass d=%.*s", VIEW_ARG(f->trusted_sealer)) != ERR_OK)
		buf_clear(&sealer);
	struct dmarc_note note = {
		.at_ms = f->envelope->received_at_ms,
		.client = f->envelope->client,
		.recipient_count = f->envelope->recipient_count,
		.recipients = f->envelope->recipients,
		.verdict = &f->dmarc,
		.disposition = dispositions[f->decision.action],
		.override_type = overrides[f->decision.override],
		.override_comment = buf_view(&sealer),
		.spf_domain = f->has_spf ? f->spf.domain : VIEW_NONE,
		.spf_result = spf_result_name(f->spf.result),
		.signature_count = f->signature_count,
		.signatures = signatures,
	};
	dmarc_result_note(session->server, &note);
	buf_clear(&sealer);
}

static struct view iprev_word(enum auth_iprev result)
{
	static const char *const words[AUTH_IPREV_COUNT] = { "pass", "fail", "temperror", "permerror" };
	return view_from_cstr(words[result]);
}

static void tell(struct smtp_in *session, const struct authentication_facts *f)
{
	struct buf dkim = { 0 };
	enum err err = authenticate_describe_signatures(f, &dkim);
	bool has_policy = f->dmarc.result == DMARC_FAIL;
	TRACE(session->server->store, LOG_LEVEL_INFO, f->envelope->id, "authenticated",
		LOG_TEXT("client", f->envelope->client), LOG_TEXT("from", f->envelope->reverse_path),
		LOG_TEXT("author", f->dmarc.domain), LOG_TEXT("spf", spf_result_name(f->spf.result)),
		LOG_TEXT("spf_domain", f->spf.domain),
		LOG_TEXT("helo_spf", f->has_helo_spf ? spf_result_name(f->helo_spf.result) : VIEW_NONE),
		LOG_TEXT("dkim", err == ERR_OK ? buf_view(&dkim) : VIEW_NONE),
		LOG_TEXT("dmarc", dmarc_result_name(f->dmarc.result)),
		LOG_TEXT("policy", has_policy ? dmarc_policy_name(f->dmarc.policy) : VIEW_NONE),
		LOG_CSTR("dmarc_reason", f->dmarc.reason),
		LOG_TEXT("arc", f->arc.result != ARC_NONE ? arc_result_name(f->arc.result) : VIEW_NONE),
		LOG_TEXT("sealer", f->trusted_sealer), LOG_TEXT("iprev", iprev_word(f->iprev)),
		LOG_TEXT("client_name", f->client_name), LOG_TEXT("action", auth_action_name(f->decision.action)),
		LOG_CSTR("cause", f->decision.reason));
	buf_clear(&dkim);
}

static void refuse(struct smtp_in *session, const struct smtp_reply *reply)
{
	LOG(LOG_LEVEL_INFO, "rejected", LOG_TEXT("client", smtp_in_client(session)),
		LOG_TEXT("from", session->message->envelope.reverse_path), LOG_TEXT("reason", smtp_reply_text(reply)));
	smtp_in_step_refuse(session, reply);
}

static void verdict_is_there(void *owner)
{
	struct smtp_in *session = owner;
	const struct authentication_facts *f = authenticate_facts(session->authenticate);
	struct queue_message *q = &session->message->envelope;
	tell(session, f);
	note_for_reports(session, f);
	if (f->decision.reply.code != 0) {
		struct smtp_reply reply = f->decision.reply;
		refuse(session, &reply);
		return;
	}
	for (size_t i = 0; f->decision.action == AUTH_QUARANTINE && i < q->recipient_count; i++)
		q->recipients[i].flags |= QUEUE_QUARANTINE;
	if (authenticate_format(session->authenticate, &session->front) != ERR_OK) {
		struct smtp_reply reply = smtp_reply_make(
			451, "4.3.0", "The message could not be verified, please try again later");
		refuse(session, &reply);
		return;
	}
	smtp_in_step_done(session);
}

void smtp_in_verify(struct smtp_in *session)
{
	if (session->authenticate != NULL) {
		authenticate_finish(session->authenticate, verdict_is_there, session);
	} else if (is_stranger(session)) {
		struct smtp_reply reply = smtp_reply_make(
			451, "4.3.5", "The server can't ask the DNS about this message now, please try again later");
		refuse(session, &reply);
	} else {
		smtp_in_step_done(session);
	}
}
