/* The message is complete: what is put in front of it, what has to be known before it is ours, and the answer that makes it so. */
#include "base/clock.h"
#include "crypto/random.h"
#include "mail/date.h"
#include "mail/header.h"
#include "mail/message_id.h"
#include "mail/received.h"
#include "mail/tls_required.h"
#include "queue/id.h"
#include "service/authenticate.h"
#include "service/smtp_in_private.h"
#include "service/streams.h"

#include <string.h>

#define HEAD_MAX_BYTES 65536u

/* One recipient may be named (RFC 5321 §4.4); as it was given, for where an alias leads is not the sender's business. */
static struct view named_recipient(const struct queue_message *q)
{
	if (q->recipient_count != 1)
		return VIEW_NONE;
	const struct queue_recipient *r = &q->recipients[0];
	return r->original.len > 0 ? r->original : r->address;
}

/* What a client that submits may leave to us (RFC 6409 §8). */
static enum err format_added(struct smtp_in *session, bool has_date, bool has_message_id)
{
	struct buf *out = &session->added;
	enum err err = ERR_OK;
	int64_t now_ms = clock_wall_ms();
	if (!has_date) {
		err = buf_append_cstr(out, "Date: ");
		if (err == ERR_OK)
			err = date_format(now_ms, 0, out);
		if (err == ERR_OK)
			err = buf_append_cstr(out, "\r\n");
	}
	if (err == ERR_OK && !has_message_id) {
		uint8_t random[8];
		random_bytes(random, sizeof random);
		err = buf_append_cstr(out, "Message-ID: ");
		if (err == ERR_OK)
			err = message_id_make(now_ms, random, view_from_cstr(session->config->hostname), out);
		if (err == ERR_OK)
			err = buf_append_cstr(out, "\r\n");
	}
	return err;
}

enum err smtp_in_header_known(struct smtp_in *session, struct view header)
{
	session->is_header_known = true;
	/* RFC 8689 §4.1: REQUIRETLS overrides the field. */
	struct message_wishes *wishes = &session->message->wishes;
	if ((wishes->flags & QUEUE_REQUIRETLS) == 0 && tls_required_is_no(header))
		wishes->flags |= QUEUE_TLS_OPTIONAL;
	streams_choose(session->server, session->config, session->message, header);
	if (!smtp_in_is_submission(session))
		return ERR_OK;
	bool has_date = false, has_message_id = false;
	struct header_field field;
	while (header_next(&header, &field)) {
		has_date |= view_eq_nocase(field.name, VIEW("Date"));
		has_message_id |= view_eq_nocase(field.name, VIEW("Message-ID"));
	}
	return format_added(session, has_date, has_message_id);
}

/* The fields put in front of what was sent: what the steps found out, Received (RFC 5321 §4.4), and what the client left out. */
static enum err format_head(struct smtp_in *session, struct buf *out)
{
	const struct queue_message *q = &session->message->envelope;
	bool is_ehlo = false;
	struct queue_id_text id = queue_id_format(q->id);
	struct net_address_text ip = net_address_ip(&session->peer);
	struct received_trace trace = {
		.helo = session->point->is_local ? smtp_in_client(session)
						 : smtp_receiver_helo(session->engine, &is_ehlo),
		.client_name = session->iprev != NULL ? iprev_name(session->iprev) : VIEW_NONE,
		.client_address = session->point->is_local ? VIEW_NONE : view_from_cstr(ip.text),
		.by = view_from_cstr(session->config->hostname),
		.note = session->point->is_local ? smtp_in_client(session) : VIEW_NONE,
		.is_esmtp = is_ehlo || session->point->is_local,
		.is_tls = stream_is_tls(session->stream),
		.is_authenticated = session->account.len > 0 && !session->point->is_local,
		.is_smtputf8 = q->smtputf8,
		.tls_version = view_from_cstr(stream_tls_version(session->stream)),
		.tls_cipher = view_from_cstr(stream_tls_cipher(session->stream)),
		.id = view_from_cstr(id.text),
		.recipient = named_recipient(q),
		.has_priority = session->message->wishes.has_priority,
		.priority = session->message->wishes.priority,
		.wall_ms = q->received_at_ms,
	};
	enum err err = buf_append(out, buf_view(&session->front));
	if (err == ERR_OK)
		err = received_format(&trace, out);
	if (err == ERR_OK)
		err = buf_append(out, buf_view(&session->added));
	return err;
}

static struct smtp_reply storage_reply(enum err err)
{
	if (err == ERR_NO_SPACE)
		return smtp_reply_make(452, "4.3.1", "The mail system is full, please try again later");
	return smtp_reply_make(451, "4.3.0", "The message could not be stored, please try again later");
}

static void committed(void *owner, enum err err, const char *detail)
{
	struct smtp_in *session = owner;
	session->intake = NULL;
	struct smtp_reply reply;
	if (err == ERR_OK) {
		struct queue_id_text id = queue_id_format(session->last_message_id);
		session->messages++;
		reply = smtp_reply_make(250, "2.0.0", "Queued as %s", id.text);
	} else {
		LOG(LOG_LEVEL_ERROR, "store-failed", LOG_TEXT("client", smtp_in_client(session)),
			LOG_CSTR("reason", detail));
		reply = storage_reply(err);
	}
	smtp_in_answer(session, &reply);
}

/* The body is the message's from here on. */
static enum err take_content(struct smtp_in *session, struct intake_body_result *body)
{
	struct message *m = session->message;
	m->body = body->memory;
	body->memory = (struct buf){ 0 };
	memcpy(m->spool, body->spool, sizeof m->spool);
	m->envelope.received_at_ms = clock_wall_ms();
	session->body_bytes = body->scan.total_bytes;
	if (mail_scan_is_binary(&body->scan) && m->envelope.body_type == SMTP_BODY_BINARYMIME)
		m->envelope.body_type = SMTP_BODY_BINARYMIME;
	else
		m->envelope.body_type = body->scan.has_8bit_body || body->scan.has_8bit_header ? SMTP_BODY_8BITMIME
											       : SMTP_BODY_7BIT;
	enum err err = body->err;
	if (err == ERR_OK && !session->is_header_known)
		err = smtp_in_header_known(session, body->header);
	return err;
}

static void store_failed(struct smtp_in *session, enum err err)
{
	LOG(LOG_LEVEL_ERROR, "store-failed", LOG_TEXT("client", smtp_in_client(session)),
		LOG_CSTR("reason", err_name(err)));
	struct smtp_reply reply = storage_reply(err);
	smtp_in_step_refuse(session, &reply);
}

/* The last step: it goes into the queue. */
static void commit(struct smtp_in *session)
{
	struct message *m = session->message;
	buf_init(&m->head, HEAD_MAX_BYTES);
	enum err err = format_head(session, &m->head);
	if (err != ERR_OK) {
		store_failed(session, err);
		return;
	}
	m->envelope.size_bytes = session->body_bytes + m->head.len;
	m->tls = message_keep(m, view_from_cstr(stream_tls_version(session->stream)));
	session->last_message_id = m->envelope.id;
	session->message = NULL;
	authenticate_free(session->authenticate);
	session->authenticate = NULL;
	smtp_in_content_clear(session);
	session->intake = intake_commit(session->server, session->receiver->loop, m, committed, session);
}

/* In this order. Each ends with smtp_in_step_done() or smtp_in_step_refuse(), now or later. */
static void (*const steps[])(struct smtp_in *session) = {
	smtp_in_verify,
	smtp_in_sign,
	commit,
};

void smtp_in_step_done(struct smtp_in *session)
{
	ASSERT(session->message != NULL && session->step < sizeof steps / sizeof steps[0]);
	steps[session->step++](session);
}

void smtp_in_step_refuse(struct smtp_in *session, const struct smtp_reply *reply)
{
	smtp_in_transaction_clear(session);
	smtp_in_answer(session, reply);
}

static void body_finished(void *owner, struct intake_body_result *body)
{
	struct smtp_in *session = owner;
	enum err err = take_content(session, body);
	unsigned hops = body->received_fields;
	/* What `body` points to ends here. */
	struct intake_body *gone = session->body;
	session->body = NULL;
	intake_body_free(gone);
	if (err != ERR_OK) {
		store_failed(session, err);
	} else if (hops > session->config->limits.hops) {
		LOG(LOG_LEVEL_WARNING, "loop", LOG_TEXT("client", smtp_in_client(session)),
			LOG_TEXT("from", session->message->envelope.reverse_path), LOG_NUM("hops", hops));
		struct smtp_reply reply = smtp_reply_make(
			554, "5.4.6", "Too many hops (%u Received fields): the message goes in circles", hops);
		smtp_in_step_refuse(session, &reply);
	} else {
		session->step = 0;
		smtp_in_step_done(session);
	}
}

void smtp_in_on_message(struct smtp_in *session, const struct smtp_event *event)
{
	(void)event;
	struct smtp_reply refusal;
	if (smtp_in_content_end(session, &refusal)) {
		intake_body_finish(session->body, body_finished);
		return;
	}
	LOG(LOG_LEVEL_INFO, "rejected", LOG_TEXT("client", smtp_in_client(session)),
		LOG_TEXT("from", session->message->envelope.reverse_path),
		LOG_TEXT("reason", smtp_reply_text(&refusal)));
	smtp_in_step_refuse(session, &refusal);
}
