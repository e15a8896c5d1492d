/* The message itself: DATA or BDAT, its body, and the answer that makes it ours. */
#include "base/clock.h"
#include "crypto/random.h"
#include "mail/date.h"
#include "mail/message_id.h"
#include "mail/received.h"
#include "queue/id.h"
#include "service/smtp_in_private.h"
#include "store/spool.h"

#include <string.h>

#define HEAD_MAX_BYTES 8192u

static void body_drained(void *owner)
{
	struct smtp_in *session = owner;
	stream_resume(session->stream);
}

void smtp_in_on_data(struct smtp_in *session, const struct smtp_event *event)
{
	(void)event;
	struct message *m = session->message;
	ASSERT(m != NULL && m->envelope.recipient_count > 0);
	m->envelope.id = server_next_message_id(session->server);
	struct intake_body_options options = {
		.server = session->server,
		.loop = session->receiver->loop,
		.message_id = m->envelope.id,
		.inline_bytes = (size_t)session->config->limits.inline_body_bytes,
		.drained = body_drained,
		.owner = session,
	};
	session->body = intake_body_new(&options);
	struct smtp_reply reply = smtp_reply_make(354, NULL, "Go ahead, end with a dot on a line of its own");
	smtp_in_answer(session, &reply);
}

void smtp_in_on_body(struct smtp_in *session, const struct smtp_event *event)
{
	if (session->body != NULL)
		intake_body_append(session->body, event->body);
}

/* One recipient may be named (RFC 5321 §4.4); as it was given, for where an alias leads is not the sender's business. */
static struct view named_recipient(const struct queue_message *q)
{
	if (q->recipient_count != 1)
		return VIEW_NONE;
	const struct queue_recipient *r = &q->recipients[0];
	return r->original.len > 0 ? r->original : r->address;
}

/* The fields put in front of what was sent: Received (RFC 5321 §4.4), and on submission what the client left out (RFC 6409 §8). */
static enum err format_head(struct smtp_in *session, const struct intake_body_result *body, struct buf *out)
{
	const struct queue_message *q = &session->message->envelope;
	bool is_ehlo = false;
	struct queue_id_text id = queue_id_format(q->id);
	struct net_address_text ip = net_address_ip(&session->peer);
	struct received_trace trace = {
		.helo = session->point->is_local ? smtp_in_client(session)
						 : smtp_receiver_helo(session->engine, &is_ehlo),
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
		.wall_ms = q->received_at_ms,
	};
	enum err err = received_format(&trace, out);
	bool is_submission = session->point->is_local || session->point->kind != LISTENER_MX || session->trusted;
	if (err == ERR_OK && is_submission && !body->has_date) {
		err = buf_append_cstr(out, "Date: ");
		if (err == ERR_OK)
			err = date_format(q->received_at_ms, 0, out);
		if (err == ERR_OK)
			err = buf_append_cstr(out, "\r\n");
	}
	if (err == ERR_OK && is_submission && !body->has_message_id) {
		uint8_t random[8];
		random_bytes(random, sizeof random);
		err = buf_append_cstr(out, "Message-ID: ");
		if (err == ERR_OK)
			err = message_id_make(
				q->received_at_ms, random, view_from_cstr(session->config->hostname), out);
		if (err == ERR_OK)
			err = buf_append_cstr(out, "\r\n");
	}
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

static void body_finished(void *owner, struct intake_body_result *body)
{
	struct smtp_in *session = owner;
	struct message *m = session->message;
	struct smtp_reply reply = { 0 };
	m->body = body->memory;
	body->memory = (struct buf){ 0 };
	memcpy(m->spool, body->spool, sizeof m->spool);
	m->envelope.received_at_ms = clock_wall_ms();
	enum err err = body->err;
	buf_init(&m->head, HEAD_MAX_BYTES);
	if (err == ERR_OK)
		err = format_head(session, body, &m->head);
	if (err != ERR_OK) {
		LOG(LOG_LEVEL_ERROR, "store-failed", LOG_TEXT("client", smtp_in_client(session)),
			LOG_CSTR("reason", err_name(err)));
		reply = storage_reply(err);
	} else if (body->received_fields > session->config->limits.hops) {
		LOG(LOG_LEVEL_WARNING, "loop", LOG_TEXT("client", smtp_in_client(session)),
			LOG_TEXT("from", m->envelope.reverse_path), LOG_NUM("hops", body->received_fields));
		reply = smtp_reply_make(554, "5.4.6", "Too many hops (%u Received fields): the message goes in circles",
			body->received_fields);
	}
	if (mail_scan_is_binary(&body->scan) && m->envelope.body_type == SMTP_BODY_BINARYMIME)
		m->envelope.body_type = SMTP_BODY_BINARYMIME;
	else
		m->envelope.body_type = body->scan.has_8bit_body || body->scan.has_8bit_header ? SMTP_BODY_8BITMIME
											       : SMTP_BODY_7BIT;
	m->envelope.size_bytes = body->scan.total_bytes + m->head.len;
	struct intake_body *gone = session->body;
	session->body = NULL;
	intake_body_free(gone);
	if (reply.code != 0) {
		if (m->spool[0] != '\0')
			spool_remove(store_folder(session->server->store), m->spool);
		smtp_in_transaction_clear(session);
		smtp_in_answer(session, &reply);
		return;
	}
	const struct queue_message *q = &m->envelope;
	session->last_message_id = q->id;
	m->tls = message_keep(m, view_from_cstr(stream_tls_version(session->stream)));
	session->message = NULL;
	session->intake = intake_commit(session->server, session->receiver->loop, m, committed, session);
}

void smtp_in_on_message(struct smtp_in *session, const struct smtp_event *event)
{
	(void)event;
	intake_body_finish(session->body, body_finished);
}
