/* LIFE 3/10: may this client send from here, to there? */
#include "base/clock.h"
#include "base/mem.h"
#include "policy/relay.h"
#include "service/return_path.h"
#include "service/smtp_in_lookup.h"

void smtp_in_on_connect(struct smtp_in *session, const struct smtp_event *event)
{
	(void)event;
	LOG(LOG_LEVEL_DEBUG, "connected", LOG_TEXT("client", smtp_in_client(session)),
		LOG_CSTR("listener", smtp_in_kind_name(session)));
	struct smtp_reply reply;
	if (session->server->stopping)
		reply = smtp_reply_make(
			421, "4.3.2", "%s is stopping, please try again in a minute", session->config->hostname);
	else
		reply = smtp_reply_make(220, NULL, "%s ESMTP Postrider", session->config->hostname);
	smtp_in_answer(session, &reply);
}

void smtp_in_on_helo(struct smtp_in *session, const struct smtp_event *event)
{
	(void)event;
	struct smtp_reply reply = smtp_reply_make(250, NULL, "%s", session->config->hostname);
	smtp_in_answer(session, &reply);
}

static struct relay_client relay_client(const struct smtp_in *session)
{
	bool logged_in = session->account.len > 0 && !session->point->is_local;
	return (struct relay_client){
		.is_submission = session->point->kind != LISTENER_MX,
		.has_tls = stream_is_tls(session->stream),
		.is_trusted = session->trusted,
		.account = logged_in ? buf_view(&session->account) : VIEW_NONE,
	};
}

/* Everybody may ask for less than the usual priority; for more, those we know (RFC 6710 §4.1: a server may lower it, and says so). */
static bool is_priority_lowered(const struct smtp_in *session, int32_t asked)
{
	return asked > 0 && session->account.len == 0 && !session->trusted && session->point->kind == LISTENER_MX;
}

static void note_wishes(const struct smtp_in *session, const struct smtp_mail_parameters *mail, struct message *m)
{
	bool lowered = is_priority_lowered(session, mail->priority);
	m->wishes = (struct message_wishes){
		.has_priority = mail->has_priority,
		.is_priority_lowered = lowered,
		.priority = lowered ? 0 : mail->priority,
		.deliver_by_ms = mail->has_by ? clock_wall_ms() + (int64_t)mail->by_s * 1000 : 0,
		.hold_until_ms = mail->hold_until_ms,
		.hold_for_s = mail->hold_for_s,
		.may_hand_on_hold = mail->hold_until_ms != 0 && config_hands_on_holds(session->config),
		.flags = (mail->requiretls ? QUEUE_REQUIRETLS : 0u) | (mail->by_return ? QUEUE_BY_RETURN : 0u) |
			(mail->by_trace ? QUEUE_BY_TRACE : 0u) | (mail->hold_until_ms != 0 ? QUEUE_FUTURE : 0u),
	};
}

static void begin_message(struct smtp_in *session, struct view reverse_path, const struct smtp_mail_parameters *mail)
{
	smtp_in_transaction_clear(session);
	struct message *m = message_new(&session->server->body_memory);
	struct queue_message *q = &m->envelope;
	q->reverse_path = message_keep(m, reverse_path);
	q->envid = message_keep(m, mail->envid);
	q->ret = (unsigned)mail->ret;
	q->body_type = (unsigned)mail->body;
	q->smtputf8 = mail->smtputf8;
	note_wishes(session, mail, m);
	q->account = message_keep(m, buf_view(&session->account));
	q->client = message_keep(m, smtp_in_client(session));
	q->source = message_keep(m, view_from_cstr(smtp_in_kind_name(session)));
	session->message = m;
}

static enum relay_mailbox mailbox_of(const struct lookup *lookup)
{
	if (lookup->job.err != ERR_OK)
		return RELAY_MAILBOX_UNAVAILABLE;
	static const enum relay_mailbox known[] = {
		[DIRECTORY_NOT_OURS] = RELAY_MAILBOX_NOT_OURS,
		[DIRECTORY_UNKNOWN] = RELAY_MAILBOX_UNKNOWN,
		[DIRECTORY_FOUND] = RELAY_MAILBOX_FOUND,
	};
	return known[lookup->result.result];
}

static void answer_sender(struct smtp_in *session, const struct relay_sender *sender)
{
	struct relay_client client = relay_client(session);
	struct smtp_reply reply;
	if (relay_allows_sender(&client, sender, &reply)) {
		reply = session->message->wishes.is_priority_lowered
			? smtp_reply_make(250, "2.3.6", "0 is the new priority, for more you have to log in")
			: smtp_reply_make(250, "2.1.0", "Sender ok");
	} else {
		LOG(LOG_LEVEL_INFO, "rejected", LOG_TEXT("client", smtp_in_client(session)),
			LOG_TEXT("account", client.account), LOG_TEXT("from", sender->address),
			LOG_TEXT("reason", smtp_reply_text(&reply)));
		smtp_in_transaction_clear(session);
	}
	smtp_in_answer(session, &reply);
}

/* An account sends as itself and as the addresses that are delivered to it. */
static void sender_found(struct smtp_in *session, const struct lookup *lookup)
{
	const struct directory_lookup *found = &lookup->result;
	struct relay_sender sender = { .address = lookup->address, .mailbox = mailbox_of(lookup) };
	struct view *accounts = mem_alloc_array(found->target_count, sizeof *accounts);
	for (size_t i = 0; sender.mailbox == RELAY_MAILBOX_FOUND && i < found->target_count; i++)
		if (found->targets[i].is_mailbox)
			accounts[sender.account_count++] = found->targets[i].mailbox;
	sender.accounts = accounts;
	answer_sender(session, &sender);
	mem_free(accounts);
}

void smtp_in_on_mail(struct smtp_in *session, const struct smtp_event *event)
{
	begin_message(session, event->address, &event->mail);
	struct relay_client client = relay_client(session);
	if (client.account.len > 0 && event->address.len > 0) {
		smtp_in_lookup(session, event, sender_found);
		return;
	}
	struct relay_sender sender = { .address = event->address, .mailbox = RELAY_MAILBOX_NOT_OURS };
	answer_sender(session, &sender);
}

/* Adds what one RCPT leads to; its own DSN wishes travel with every target (RFC 3461 §5.2.7.2). */
static enum err add_targets(struct smtp_in *session, const struct lookup *lookup)
{
	const struct directory_lookup *found = &lookup->result;
	size_t before = session->message->envelope.recipient_count;
	for (size_t i = 0; i < found->target_count; i++) {
		struct queue_recipient r = {
			.address = found->targets[i].address,
			.orcpt = lookup->rcpt.orcpt,
			.notify = lookup->rcpt.notify,
		};
		if (!view_eq(r.address, lookup->address))
			r.original = lookup->address;
		enum err err = message_add_recipient(session->message, &r);
		if (err != ERR_OK) {
			/* All or none: the client sends again to a recipient that was refused. */
			message_drop_recipients(session->message, before);
			return err;
		}
	}
	return ERR_OK;
}

static void refuse_recipient(struct smtp_in *session, struct view address, const struct smtp_reply *reply)
{
	LOG(LOG_LEVEL_INFO, "rejected", LOG_TEXT("client", smtp_in_client(session)),
		LOG_TEXT("from", session->message->envelope.reverse_path), LOG_TEXT("to", address),
		LOG_TEXT("reason", smtp_reply_text(reply)));
	smtp_in_answer(session, reply);
}

static struct smtp_reply too_many(void)
{
	return smtp_reply_make(452, "4.5.3", "Too many recipients, send the others in another message");
}

static struct smtp_reply add_foreign(
	struct smtp_in *session, struct view address, const struct smtp_rcpt_parameters *rcpt)
{
	/* "postmaster" alone is our own, and there is no domain yet that it could be of. */
	if (view_find(address, '@') == address.len)
		return smtp_reply_make(550, "5.1.1", "There is no such mailbox: this server has no domain");
	struct queue_recipient r = { .address = address, .orcpt = rcpt->orcpt, .notify = rcpt->notify };
	return message_add_recipient(session->message, &r) == ERR_OK ? smtp_reply_make(250, "2.1.5", "Recipient ok")
								     : too_many();
}

static struct smtp_reply add_found(struct smtp_in *session, const struct lookup *lookup)
{
	/* The domain was taken away from us a moment ago. */
	if (lookup->result.result == DIRECTORY_NOT_OURS)
		return add_foreign(session, lookup->address, &lookup->rcpt);
	return add_targets(session, lookup) == ERR_OK ? smtp_reply_make(250, "2.1.5", "Recipient ok") : too_many();
}

static void recipient_found(struct smtp_in *session, const struct lookup *lookup)
{
	struct relay_client client = relay_client(session);
	struct relay_recipient recipient = { .address = lookup->address, .mailbox = mailbox_of(lookup) };
	struct smtp_reply reply;
	if (lookup->job.err == ERR_LIMIT)
		reply = smtp_reply_make(550, "5.4.6", "This alias leads to too many addresses, or to itself");
	else if (relay_allows_recipient(&client, &recipient, &reply))
		reply = add_found(session, lookup);
	if (lookup->job.err != ERR_OK)
		LOG(LOG_LEVEL_ERROR, "directory-failed", LOG_TEXT("to", lookup->address),
			LOG_CSTR("reason", lookup->job.detail));
	if (smtp_reply_is_positive(&reply)) {
		smtp_in_verify_begin(session);
		smtp_in_answer(session, &reply);
	} else {
		refuse_recipient(session, lookup->address, &reply);
	}
}

/* A bounce to what we forwarded goes on to its sender, who is nobody of ours as a rule. */
static void add_forwarded(struct smtp_in *session, const struct smtp_event *event, struct view sender)
{
	struct queue_recipient r = { .address = sender,
		.original = event->address,
		.orcpt = event->rcpt.orcpt,
		.notify = event->rcpt.notify,
		.flags = QUEUE_NO_SRS };
	bool added = message_add_recipient(session->message, &r) == ERR_OK;
	struct smtp_reply reply = added ? smtp_reply_make(250, "2.1.5", "Recipient ok") : too_many();
	if (added)
		smtp_in_verify_begin(session);
	smtp_in_answer(session, &reply);
}

/* At one of our domains: return addresses that we made lead to somebody; the others the directory knows. */
static void on_own_rcpt(struct smtp_in *session, const struct smtp_event *event)
{
	struct buf sender = { 0 };
	struct bounce_token token;
	struct smtp_reply reply;
	struct smtp_event base = *event;
	switch (return_path_read(session->server, session->config, event->local,
		session->message->envelope.reverse_path.len == 0, &sender, &token, &reply)) {
	case RETURN_PATH_FORWARDED:
		add_forwarded(session, event, buf_view(&sender));
		break;
	case RETURN_PATH_SIGNED:
		base.local = token.base;
		smtp_in_lookup(session, &base, recipient_found);
		break;
	case RETURN_PATH_REFUSED:
		refuse_recipient(session, event->address, &reply);
		break;
	case RETURN_PATH_NONE:
	default:
		smtp_in_lookup(session, event, recipient_found);
		break;
	}
	buf_clear(&sender);
}

void smtp_in_on_rcpt(struct smtp_in *session, const struct smtp_event *event)
{
	/* Ours (also "postmaster" alone): the directory knows. */
	if (event->domain.len == 0 || domains_contain(session->server->domains, event->domain)) {
		on_own_rcpt(session, event);
		return;
	}
	struct relay_client client = relay_client(session);
	struct relay_recipient recipient = { .address = event->address, .mailbox = RELAY_MAILBOX_NOT_OURS };
	struct smtp_reply reply;
	if (!relay_allows_recipient(&client, &recipient, &reply)) {
		refuse_recipient(session, event->address, &reply);
		return;
	}
	reply = add_foreign(session, event->address, &event->rcpt);
	smtp_in_answer(session, &reply);
}
