#include "smtp/receiver_private.h"

/*
 * BDAT (RFC 3030). The bytes of a chunk follow the command whatever is thought of it, so every refusal reads them first; a refused chunk
 * ends the transaction, so that nothing of a message with a hole in it can ever be accepted.
 */

static const char *hindrance(const struct smtp_receiver *receiver)
{
	if (!receiver->options.chunking)
		return "502 5.5.1 BDAT is not available";
	if (receiver->turned_away || !receiver->greeted)
		return "503 5.5.1 Send EHLO or HELO first";
	const char *refusal = smtp_receiver_data_hindrance(receiver);
	if (refusal != NULL)
		return refusal;
	uint64_t max = receiver->options.message_size_max_bytes;
	if (max > 0 && receiver->chunk.left_bytes > max - receiver->transaction->message_bytes)
		return "552 5.3.4 Message size exceeds the limit";
	return NULL;
}

void smtp_receiver_bdat_run(struct smtp_receiver *receiver, struct view arguments)
{
	bool clean;
	if (smtp_command_bdat(arguments, &receiver->chunk.left_bytes, &receiver->chunk.last, &clean) != ERR_OK) {
		/* Where its bytes end is not known: they must not be taken for commands. */
		smtp_receiver_say(receiver, "501 5.5.4 Syntax: BDAT size [LAST]");
		smtp_receiver_close(receiver, "a malformed BDAT");
		return;
	}
	const char *refusal = hindrance(receiver);
	if (refusal == NULL && !clean)
		refusal = "501 5.5.4 Syntax: BDAT size [LAST]";
	if (refusal != NULL) {
		/* With no earlier chunk, what is read and dropped begins here; else its time would count from an earlier message, or from 0. */
		if (receiver->transaction == NULL || !receiver->transaction->body_accepted)
			receiver->data_started_ms = receiver->now_ms;
		smtp_receiver_data_refuse(receiver, refusal);
		smtp_receiver_chunk_begin(receiver);
		return;
	}
	receiver->transaction->chunked = true;
	if (receiver->transaction->body_accepted)
		smtp_receiver_chunk_begin(receiver);
	else
		smtp_receiver_ask(receiver, SMTP_EVENT_DATA);
}

/* All bytes of the chunk are here. */
static void end_of_chunk(struct smtp_receiver *receiver)
{
	receiver->state = RECEIVER_COMMAND;
	bool refused = smtp_receiver_data_is_refused(receiver);
	/* Odd bytes of a text are refused as in DATA: the message may have to go on by DATA, where they would be read as line ends. */
	if (!refused && receiver->chunk.last && smtp_data_framer_holds_cr(&receiver->data)) {
		smtp_receiver_data_take(receiver, SMTP_DATA_BARE_CR, VIEW_NONE);
		refused = smtp_receiver_data_is_refused(receiver);
	}
	if (refused)
		smtp_receiver_data_say_refusal(receiver);
	else if (receiver->chunk.last)
		smtp_receiver_ask(receiver, SMTP_EVENT_MESSAGE);
	else
		smtp_receiver_say(receiver, "250 2.0.0 Chunk received");
}

void smtp_receiver_chunk_begin(struct smtp_receiver *receiver)
{
	receiver->state = RECEIVER_CHUNK;
	if (receiver->chunk.left_bytes == 0)
		end_of_chunk(receiver);
}

size_t smtp_receiver_chunk_feed(struct smtp_receiver *receiver, struct view in)
{
	struct view bytes = smtp_chunk_framer_peek(&receiver->chunk, in), piece = bytes;
	size_t used = bytes.len;
	enum smtp_data_kind kind = SMTP_DATA_BYTES;
	bool as_sent = smtp_receiver_data_is_refused(receiver) || receiver->transaction->body == SMTP_BODY_BINARYMIME;
	if (!as_sent)
		kind = smtp_data_framer_feed(&receiver->data, bytes, &piece, &used);
	smtp_receiver_progress(receiver);
	smtp_chunk_framer_take(&receiver->chunk, used);
	smtp_receiver_data_take(receiver, kind, piece);
	if (receiver->chunk.left_bytes == 0)
		end_of_chunk(receiver);
	return used;
}
