#include "base/mem.h"
#include "smtp/receiver_private.h"

/* Output memory that an idle connection keeps. */
#define OUT_KEPT_BYTES 512u

void smtp_receiver_options_init(struct smtp_receiver_options *options)
{
	*options = (struct smtp_receiver_options){
		.smtputf8 = true,
		.chunking = true,
		.dsn = true,
		.requiretls = true,
		.mt_priority = true,
		.deliver_by = true,
		.deliver_by_min_s = 10,
		.message_size_max_bytes = UINT64_C(50) * 1024 * 1024,
		.recipients_max = 1000,
		.commands_max = 100000,
		.errors_max = 50,
		.transactions_max = 10000,
		.auth_failures_max = 5,
		.command_timeout_ms = 300000,
		.data_timeout_ms = 180000,
		.data_total_ms = 3600000,
	};
}

struct smtp_receiver *smtp_receiver_new(const struct smtp_receiver_options *options, int64_t now_ms)
{
	struct smtp_receiver *receiver = mem_alloc(sizeof *receiver);
	receiver->options = *options;
	receiver->tls_active = options->tls_active;
	receiver->now_ms = receiver->started_ms = receiver->progress_ms = now_ms;
	arena_init(&receiver->arena, sizeof(struct receiver_transaction) + 64);
	smtp_receiver_ask(receiver, SMTP_EVENT_CONNECT);
	return receiver;
}

void smtp_receiver_free(struct smtp_receiver *receiver)
{
	if (receiver == NULL)
		return;
	arena_clear(&receiver->arena);
	sasl_server_free(receiver->sasl);
	smtp_line_framer_clear(&receiver->line);
	mem_free(receiver->refusal_reply);
	mem_free(receiver->shutdown_text);
	mem_free(receiver->helo);
	buf_clear(&receiver->out);
	mem_free(receiver);
}

/* ---- Output ---- */

void smtp_receiver_write(struct smtp_receiver *receiver, struct view bytes)
{
	/* Only an owner that feeds without end and never sends gets to the buffer's bound. */
	if (buf_append(&receiver->out, bytes) != ERR_OK)
		smtp_receiver_close(receiver, "replies are not being sent");
}

/* After the reply is in the output. */
static void account(struct smtp_receiver *receiver, unsigned code, const char *close_reason)
{
	if (code >= 400 && receiver->errors < UINT32_MAX)
		receiver->errors++;
	if (code == 421)
		smtp_receiver_close(receiver, close_reason);
}

void smtp_receiver_say(struct smtp_receiver *receiver, const char *line)
{
	smtp_receiver_write(receiver, view_from_cstr(line));
	smtp_receiver_write(receiver, VIEW("\r\n"));
	unsigned code = (unsigned)(line[0] - '0') * 100 + (unsigned)(line[1] - '0') * 10 + (unsigned)(line[2] - '0');
	account(receiver, code, line);
}

void smtp_receiver_reply(struct smtp_receiver *receiver, const struct smtp_reply *reply)
{
	if (smtp_reply_format(reply, &receiver->out) != ERR_OK)
		smtp_receiver_close(receiver, "replies are not being sent");
	account(receiver, reply->code, "answered with 421");
}

struct view smtp_receiver_output(const struct smtp_receiver *receiver)
{
	return buf_view(&receiver->out);
}

void smtp_receiver_sent(struct smtp_receiver *receiver, size_t bytes)
{
	buf_consume(&receiver->out, bytes);
	if (receiver->out.len == 0 && receiver->out.cap > OUT_KEPT_BYTES)
		buf_clear(&receiver->out);
}

/* ---- Input ---- */

/* Bytes behind STARTTLS were sent in clear, perhaps by somebody in between, to be taken for protected ones (CVE-2011-0411). */
static size_t feed_before_tls(struct smtp_receiver *receiver, struct view in)
{
	smtp_receiver_close(receiver, "input in clear behind STARTTLS");
	return in.len;
}

enum err smtp_receiver_feed(struct smtp_receiver *receiver, struct view in, size_t *ret_used)
{
	static size_t (*const feeds[])(struct smtp_receiver * receiver, struct view in) = {
		[RECEIVER_COMMAND] = smtp_receiver_command_feed,
		[RECEIVER_AUTH] = smtp_receiver_command_feed,
		[RECEIVER_DATA] = smtp_receiver_data_feed,
		[RECEIVER_CHUNK] = smtp_receiver_chunk_feed,
		[RECEIVER_TLS] = feed_before_tls,
	};
	if (receiver->state == RECEIVER_CLOSED)
		return err_set(ERR_STATE, "the SMTP session is closed");
	size_t used = 0;
	while (used < in.len && receiver->state != RECEIVER_CLOSED && !smtp_receiver_has_event(receiver))
		used += feeds[receiver->state](receiver, view_from(in, used));
	*ret_used = used;
	return ERR_OK;
}

void smtp_receiver_tls_started(struct smtp_receiver *receiver, int64_t now_ms)
{
	if (now_ms > receiver->now_ms)
		receiver->now_ms = now_ms;
	if (receiver->state != RECEIVER_TLS)
		return;
	/* RFC 3207 §4.2: nothing that was learned before TLS counts any more. */
	receiver->tls_waits = false;
	receiver->tls_active = true;
	receiver->greeted = receiver->is_ehlo = false;
	receiver->authenticated = false;
	mem_free(receiver->helo);
	receiver->helo = NULL;
	receiver->helo_len = 0;
	receiver->state = RECEIVER_COMMAND;
	smtp_receiver_progress(receiver);
}

/* ---- Events ---- */

void smtp_receiver_ask(struct smtp_receiver *receiver, enum smtp_receiver_event_kind question)
{
	receiver->question_open = true;
	receiver->question_told = false;
	receiver->question = question;
	receiver->token++;
}

void smtp_receiver_close(struct smtp_receiver *receiver, const char *reason)
{
	if (receiver->state == RECEIVER_CLOSED)
		return;
	smtp_receiver_end_transaction(receiver, true);
	receiver->state = RECEIVER_CLOSED;
	receiver->body = VIEW_NONE;
	receiver->question_open = false;
	receiver->tls_waits = false;
	receiver->close_waits = true;
	receiver->close_reason = reason;
}

void smtp_receiver_end_transaction(struct smtp_receiver *receiver, bool tell)
{
	if (receiver->transaction == NULL)
		return;
	if (tell && receiver->transaction->accepted)
		receiver->abort_waits = true;
	receiver->transaction = NULL;
	arena_clear(&receiver->arena);
}

/* What the event of an open question carries besides its kind. */
static void describe_question(const struct smtp_receiver *receiver, struct smtp_event *event)
{
	switch (receiver->question) {
	case SMTP_EVENT_HELO:
		event->text = smtp_receiver_helo(receiver, &event->is_ehlo);
		break;
	case SMTP_EVENT_AUTH: {
		struct sasl_credentials credentials = sasl_server_credentials(receiver->sasl);
		event->auth_mechanism = sasl_server_mechanism(receiver->sasl);
		event->auth_identity = credentials.authzid;
		event->auth_user = credentials.authcid;
		event->auth_password = credentials.password;
		break;
	}
	case SMTP_EVENT_MAIL:
	case SMTP_EVENT_RCPT:
		*event = receiver->transaction->event;
		break;
	case SMTP_EVENT_MESSAGE:
		event->message_bytes = receiver->transaction->message_bytes;
		break;
	case SMTP_EVENT_CONNECT:
	case SMTP_EVENT_DATA:
	case SMTP_EVENT_STARTTLS:
	case SMTP_EVENT_BODY:
	case SMTP_EVENT_ABORT:
	case SMTP_EVENT_CLOSE:
		break;
	}
	event->kind = receiver->question;
	event->token = receiver->token;
}

bool smtp_receiver_next(struct smtp_receiver *receiver, struct smtp_event *ret)
{
	if (receiver->body.len > 0) {
		*ret = (struct smtp_event){ .kind = SMTP_EVENT_BODY, .body = receiver->body };
		receiver->body = VIEW_NONE;
	} else if (receiver->abort_waits) {
		*ret = (struct smtp_event){ .kind = SMTP_EVENT_ABORT };
		receiver->abort_waits = false;
	} else if (receiver->question_open && !receiver->question_told) {
		*ret = (struct smtp_event){ 0 };
		describe_question(receiver, ret);
		receiver->question_told = true;
	} else if (receiver->tls_waits) {
		*ret = (struct smtp_event){ .kind = SMTP_EVENT_STARTTLS };
		receiver->tls_waits = false;
	} else if (receiver->close_waits) {
		*ret = (struct smtp_event){ .kind = SMTP_EVENT_CLOSE, .text = view_from_cstr(receiver->close_reason) };
		receiver->close_waits = false;
	} else {
		return false;
	}
	return true;
}

enum err smtp_receiver_answer(struct smtp_receiver *receiver, uint64_t token, const struct smtp_reply *reply)
{
	static void (*const answered[])(struct smtp_receiver * receiver, const struct smtp_reply *reply) = {
		[SMTP_EVENT_CONNECT] = smtp_receiver_connect_answered,
		[SMTP_EVENT_HELO] = smtp_receiver_hello_answered,
		[SMTP_EVENT_AUTH] = smtp_receiver_auth_answered,
		[SMTP_EVENT_MAIL] = smtp_receiver_mail_answered,
		[SMTP_EVENT_RCPT] = smtp_receiver_rcpt_answered,
		[SMTP_EVENT_DATA] = smtp_receiver_data_answered,
		[SMTP_EVENT_MESSAGE] = smtp_receiver_message_answered,
	};
	if (!receiver->question_open || token != receiver->token)
		return err_set(ERR_STATE, "no such question is open in the SMTP session");
	ASSERT(reply->code >= 200 && reply->code <= 599);
	receiver->question_open = false;
	smtp_receiver_progress(receiver);
	answered[receiver->question](receiver, reply);
	if (receiver->shutdown_waits && !receiver->question_open)
		smtp_receiver_time_shutdown_now(receiver);
	return ERR_OK;
}

bool smtp_receiver_in_transaction(const struct smtp_receiver *receiver)
{
	return receiver->transaction != NULL && receiver->transaction->accepted;
}

struct view smtp_receiver_helo(const struct smtp_receiver *receiver, bool *ret_is_ehlo)
{
	*ret_is_ehlo = receiver->is_ehlo;
	return view_of(receiver->helo, receiver->helo_len);
}
