#include "base/mem.h"
#include "smtp/receiver_private.h"

/*
 * RFC 5321 §4.5.3.1.6 lets a text line end after 1000 bytes. Lines are not held here, so longer ones cost nothing and are let through, as
 * most servers do; whoever sends them on has to care for their length.
 */

const char *smtp_receiver_data_hindrance(const struct smtp_receiver *receiver)
{
	const struct receiver_transaction *transaction = receiver->transaction;
	if (transaction == NULL)
		return "503 5.5.1 Send MAIL first";
	if (transaction->recipients_asked == 0)
		return "503 5.5.1 Send RCPT first";
	if (transaction->recipients_accepted == 0)
		return "554 5.5.1 No valid recipients";
	return NULL;
}

void smtp_receiver_data_run(struct smtp_receiver *receiver, struct view arguments)
{
	(void)arguments;
	const char *refusal = smtp_receiver_data_hindrance(receiver);
	if (refusal == NULL && receiver->transaction->chunked)
		refusal = "503 5.5.1 DATA and BDAT can't be mixed";
	/* RFC 3030 §3 */
	if (refusal == NULL && receiver->transaction->body == SMTP_BODY_BINARYMIME)
		refusal = "503 5.5.1 BODY=BINARYMIME needs BDAT";
	if (refusal != NULL)
		smtp_receiver_say(receiver, refusal);
	else
		smtp_receiver_ask(receiver, SMTP_EVENT_DATA);
}

/* The refused transaction goes away as a whole: no later DATA or BDAT can find it half checked. */
void smtp_receiver_data_answered(struct smtp_receiver *receiver, const struct smtp_reply *reply)
{
	bool accepted = smtp_reply_is_positive(reply);
	bool chunked = receiver->transaction->chunked;
	receiver->data_started_ms = receiver->now_ms;
	if (!accepted)
		smtp_receiver_end_transaction(receiver, true);
	else
		receiver->transaction->body_accepted = true;
	receiver->data = (struct smtp_data_framer){ .dots = !chunked };
	if (chunked) {
		if (!accepted) {
			/* RFC 3030 §2: the chunk is read before it is refused. */
			receiver->refusal_reply = mem_alloc(sizeof *reply);
			*receiver->refusal_reply = *reply;
		}
		smtp_receiver_chunk_begin(receiver);
	} else if (!accepted) {
		smtp_receiver_reply(receiver, reply);
	} else {
		receiver->state = RECEIVER_DATA;
		smtp_receiver_say(receiver, "354 End data with <CR><LF>.<CR><LF>");
	}
}

void smtp_receiver_data_refuse(struct smtp_receiver *receiver, const char *reply)
{
	if (smtp_receiver_data_is_refused(receiver))
		return;
	smtp_receiver_end_transaction(receiver, true);
	receiver->refusal = reply;
}

void smtp_receiver_data_say_refusal(struct smtp_receiver *receiver)
{
	struct smtp_reply *reply = receiver->refusal_reply;
	const char *line = receiver->refusal;
	receiver->refusal_reply = NULL;
	receiver->refusal = NULL;
	if (reply != NULL)
		smtp_receiver_reply(receiver, reply);
	else
		smtp_receiver_say(receiver, line);
	mem_free(reply);
}

/* Message bytes, up to the limit exactly: how they were cut on their way here must make no difference. */
static void deliver(struct smtp_receiver *receiver, struct view piece)
{
	uint64_t max = receiver->options.message_size_max_bytes;
	uint64_t *count = &receiver->transaction->message_bytes;
	bool too_large = max > 0 && piece.len > max - *count;
	if (too_large)
		piece.len = (size_t)(max - *count);
	*count += piece.len;
	receiver->body = piece;
	if (too_large)
		smtp_receiver_data_refuse(receiver, "552 5.3.4 Message size exceeds the limit");
}

static void end_of_data(struct smtp_receiver *receiver)
{
	receiver->state = RECEIVER_COMMAND;
	if (smtp_receiver_data_is_refused(receiver))
		smtp_receiver_data_say_refusal(receiver);
	else
		smtp_receiver_ask(receiver, SMTP_EVENT_MESSAGE);
}

void smtp_receiver_data_take(struct smtp_receiver *receiver, enum smtp_data_kind kind, struct view piece)
{
	bool normalise = receiver->options.normalise_line_ends;
	if (kind == SMTP_DATA_END) {
		end_of_data(receiver);
		return;
	}
	if (smtp_receiver_data_is_refused(receiver))
		return;
	switch (kind) {
	case SMTP_DATA_BYTES:
		deliver(receiver, piece);
		break;
	case SMTP_DATA_BARE_CR:
		if (normalise)
			deliver(receiver, VIEW("\r\n"));
		else
			smtp_receiver_data_refuse(receiver, "554 5.6.0 Bare CR in the message: lines end with CR LF");
		break;
	case SMTP_DATA_BARE_LF:
		if (normalise)
			deliver(receiver, VIEW("\r\n"));
		else
			smtp_receiver_data_refuse(receiver, "554 5.6.0 Bare LF in the message: lines end with CR LF");
		break;
	case SMTP_DATA_NUL:
		smtp_receiver_data_refuse(receiver, "554 5.6.0 NUL byte in the message");
		break;
	case SMTP_DATA_MORE:
	case SMTP_DATA_END:
		break;
	}
}

size_t smtp_receiver_data_feed(struct smtp_receiver *receiver, struct view in)
{
	struct view piece = VIEW_NONE;
	size_t used;
	enum smtp_data_kind kind = smtp_data_framer_feed(&receiver->data, in, &piece, &used);
	smtp_receiver_progress(receiver);
	smtp_receiver_data_take(receiver, kind, piece);
	return used;
}

void smtp_receiver_message_answered(struct smtp_receiver *receiver, const struct smtp_reply *reply)
{
	smtp_receiver_end_transaction(receiver, false);
	smtp_receiver_reply(receiver, reply);
}
