#include "smtp/receiver_private.h"

#include <string.h>

static struct smtp_command_offer offer(const struct smtp_receiver *receiver)
{
	return (struct smtp_command_offer){
		.dsn = receiver->options.dsn,
		.smtputf8 = receiver->options.smtputf8,
		.binarymime = receiver->options.chunking,
		.auth = smtp_receiver_auth_is_offered(receiver),
		.requiretls = receiver->options.requiretls && receiver->tls_active,
		.mt_priority = receiver->options.mt_priority,
		.deliver_by = receiver->options.deliver_by,
		.deliver_by_min_s = receiver->options.deliver_by_min_s,
		.hold_max_s = receiver->options.hold_max_s,
		.wall_ms = receiver->now_ms + receiver->options.wall_offset_ms,
		.message_size_max_bytes = receiver->options.message_size_max_bytes,
	};
}

/* The replies that MAIL and RCPT give for the same mistakes. */
struct path_replies {
	const char *keyword, *syntax, *too_long, *behind;
};

/* Takes the path off the front of the arguments. NULL, or the refusal. */
static const char *take_path(const struct smtp_receiver *receiver, struct view *arguments, struct view keyword,
	unsigned flags, const struct path_replies *replies, struct address *ret)
{
	size_t used;
	if (!smtp_command_keyword(arguments, keyword))
		return replies->keyword;
	if (receiver->options.smtputf8)
		flags |= ADDRESS_ALLOW_UTF8;
	enum err err = address_parse_path(*arguments, flags, ret, &used);
	if (err == ERR_LIMIT)
		return replies->too_long;
	if (err != ERR_OK)
		return replies->syntax;
	*arguments = view_from(*arguments, used);
	if (arguments->len > 0 && arguments->ptr[0] != ' ' && arguments->ptr[0] != '\t')
		return replies->behind;
	return NULL;
}

/* Puts the canonical address into the scratch and the event. The plain form, which nearly all are, is canonical as it is. */
static bool store_address(struct receiver_transaction *transaction, const struct address *address)
{
	struct buf *scratch = &transaction->scratch;
	struct smtp_event *event = &transaction->event;
	size_t before = scratch->len;
	enum err err = ERR_OK;
	if (address->local_is_quoted) {
		err = address_format(address, scratch);
	} else {
		err = buf_append(scratch, address->local);
		if (err == ERR_OK && address->domain.len > 0)
			err = buf_append(scratch, VIEW("@"));
		if (err == ERR_OK)
			err = buf_append(scratch, address->domain);
	}
	event->address = view_from(buf_view(scratch), before);
	size_t domain_len = address->domain.len;
	event->local = event->address;
	if (domain_len > 0)
		event->local.len -= domain_len + 1;
	event->domain = view_from(event->address, event->address.len - domain_len);
	return err == ERR_OK;
}

static void reset_scratch(struct receiver_transaction *transaction)
{
	/* Memory inside the arena: it is as large as it may get, so that it is never moved or freed on its own. */
	transaction->scratch = (struct buf){
		.ptr = transaction->scratch_bytes,
		.cap = sizeof transaction->scratch_bytes,
		.max_bytes = sizeof transaction->scratch_bytes,
	};
	transaction->event = (struct smtp_event){ 0 };
}

/* ---- MAIL ---- */

static const struct path_replies mail_replies = {
	.keyword = "501 5.5.4 Syntax: MAIL FROM:<address>",
	.syntax = "501 5.1.7 Bad sender address syntax",
	.too_long = "501 5.1.7 Sender address too long",
	.behind = "501 5.5.4 Syntax error behind the sender address",
};

/* NULL, or why no transaction may begin. */
static const char *mail_hindrance(struct smtp_receiver *receiver)
{
	const struct smtp_receiver_options *options = &receiver->options;
	if (options->transactions_max > 0 && receiver->transactions >= options->transactions_max)
		return "421 4.7.0 Too many messages in this session";
	if (receiver->transactions < UINT32_MAX)
		receiver->transactions++;
	if (options->submission && !receiver->authenticated) {
		/* RFC 6409 §4.3, RFC 4954 §6, RFC 3207 §4 */
		if (options->starttls && !receiver->tls_active && !options->auth_without_tls)
			return "530 5.7.0 Must issue a STARTTLS command first";
		return "530 5.7.0 Authentication required";
	}
	return NULL;
}

static const char *parse_mail(
	struct smtp_receiver *receiver, struct receiver_transaction *transaction, struct view arguments)
{
	struct address address;
	const char *refusal = take_path(
		receiver, &arguments, VIEW("FROM"), ADDRESS_ALLOW_NULL, &mail_replies, &address);
	if (refusal != NULL)
		return refusal;
	if (!store_address(transaction, &address))
		return mail_replies.too_long;
	struct smtp_command_offer offered = offer(receiver);
	struct smtp_mail_parameters *mail = &transaction->event.mail;
	refusal = smtp_command_mail_parameters(arguments, &offered, &transaction->scratch, mail);
	if (refusal != NULL)
		return refusal;
	/* RFC 6531 §3.5 */
	if (address.has_utf8 && !mail->smtputf8)
		return "553 5.6.7 A sender address that is not ASCII needs SMTPUTF8";
	transaction->body = mail->body;
	transaction->smtputf8 = mail->smtputf8;
	return NULL;
}

void smtp_receiver_mail_run(struct smtp_receiver *receiver, struct view arguments)
{
	const char *refusal = mail_hindrance(receiver);
	if (refusal != NULL) {
		smtp_receiver_say(receiver, refusal);
		return;
	}
	struct receiver_transaction *transaction = arena_alloc(&receiver->arena, sizeof *transaction);
	ASSERT(transaction != NULL);
	receiver->transaction = transaction;
	reset_scratch(transaction);
	refusal = parse_mail(receiver, transaction, arguments);
	if (refusal != NULL) {
		smtp_receiver_end_transaction(receiver, false);
		smtp_receiver_say(receiver, refusal);
		return;
	}
	smtp_receiver_ask(receiver, SMTP_EVENT_MAIL);
}

void smtp_receiver_mail_answered(struct smtp_receiver *receiver, const struct smtp_reply *reply)
{
	if (smtp_reply_is_positive(reply))
		receiver->transaction->accepted = true;
	else
		smtp_receiver_end_transaction(receiver, false);
	smtp_receiver_reply(receiver, reply);
}

/* ---- RCPT ---- */

static const struct path_replies rcpt_replies = {
	.keyword = "501 5.5.4 Syntax: RCPT TO:<address>",
	.syntax = "501 5.1.3 Bad recipient address syntax",
	.too_long = "501 5.1.3 Recipient address too long",
	.behind = "501 5.5.4 Syntax error behind the recipient address",
};

static const char *parse_rcpt(
	struct smtp_receiver *receiver, struct receiver_transaction *transaction, struct view arguments)
{
	struct address address;
	const char *refusal = take_path(
		receiver, &arguments, VIEW("TO"), ADDRESS_ALLOW_NO_DOMAIN, &rcpt_replies, &address);
	if (refusal != NULL)
		return refusal;
	/* RFC 6531 §3.5 */
	if (address.has_utf8 && !transaction->smtputf8)
		return "550 5.6.7 A recipient address that is not ASCII needs SMTPUTF8";
	if (!store_address(transaction, &address))
		return rcpt_replies.too_long;
	struct smtp_command_offer offered = offer(receiver);
	return smtp_command_rcpt_parameters(arguments, &offered, &transaction->scratch, &transaction->event.rcpt);
}

void smtp_receiver_rcpt_run(struct smtp_receiver *receiver, struct view arguments)
{
	struct receiver_transaction *transaction = receiver->transaction;
	uint32_t max = receiver->options.recipients_max;
	if (transaction->chunked) {
		smtp_receiver_say(receiver, "503 5.5.1 The message is under way, no more recipients");
		return;
	}
	/* RFC 9422 §4.2 counts every RCPT, accepted or not. */
	if (max > 0 && transaction->recipients_asked >= max) {
		smtp_receiver_say(receiver, "452 4.5.3 Too many recipients");
		return;
	}
	if (transaction->recipients_asked < UINT32_MAX)
		transaction->recipients_asked++;
	reset_scratch(transaction);
	const char *refusal = parse_rcpt(receiver, transaction, arguments);
	if (refusal != NULL)
		smtp_receiver_say(receiver, refusal);
	else
		smtp_receiver_ask(receiver, SMTP_EVENT_RCPT);
}

void smtp_receiver_rcpt_answered(struct smtp_receiver *receiver, const struct smtp_reply *reply)
{
	if (smtp_reply_is_positive(reply))
		receiver->transaction->recipients_accepted++;
	smtp_receiver_reply(receiver, reply);
}
