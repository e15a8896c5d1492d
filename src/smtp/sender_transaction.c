/*
 * One transaction: which command goes out when, and what each reply means for which recipient.
 *
 * With PIPELINING (RFC 2920) MAIL, all RCPTs and DATA go out together. DATA takes part, although it may turn out that nobody was accepted:
 * that costs an extra dot now and then (RFC 2920 §3.1), waiting would cost a round trip on every message. BDAT does not take
 * part: a server that refuses it and does not skip its bytes would read the message as commands, and the message is
 * the sender's to choose. So BDAT and the whole body follow in one write once a recipient is accepted, which takes no more round trips than DATA.
 */
#include "smtp/sender_private.h"

static bool has(const struct smtp_sender *sender, unsigned extension)
{
	return (sender->offer.extensions & extension) != 0;
}

void sender_transaction_sweep(
	struct smtp_sender *sender, const struct smtp_reply *reply, enum smtp_sender_stage stage, bool made_here)
{
	if (sender->untold == 0)
		return;
	sender->sweep = (struct sender_sweep){
		.active = true, .reply = *reply, .stage = stage, .made_here = made_here
	};
}

void sender_transaction_finish(struct smtp_sender *sender)
{
	sender->phase = SENDER_IDLE;
	sender->tell_done = true;
	sender->body = (struct sender_body){ 0 };
	sender_disarm(sender);
}

/* ---- begin ---- */

/* Nothing in an address may end the command or its path. Other non-ASCII bytes only in a message that goes as SMTPUTF8. */
static bool can_ask_for(const struct smtp_sender *sender, struct view address)
{
	if (!sender_command_path_is_safe(address))
		return false;
	return view_is_ascii(address) || (sender->transaction.what.smtputf8 && view_is_utf8(address));
}

static void note_recipients(struct smtp_sender *sender)
{
	struct sender_transaction *t = &sender->transaction;
	size_t count = t->what.recipient_count;
	buf_reset(&sender->recipients);
	ASSERT(buf_reserve(&sender->recipients, count > 0 ? count : 1) == ERR_OK);
	sender->recipients.len = count;
	sender->untold = count;
	sender->refused_here = sender->refused_here_at = 0;
	for (size_t i = 0; i < count; i++) {
		struct view address = t->what.recipients[i].address;
		bool fine = address.len > 0 && can_ask_for(sender, address);
		sender_set_recipient(sender, i, fine ? RECIPIENT_UNASKED : RECIPIENT_REFUSED_HERE);
		if (fine)
			t->unanswered++;
		else
			sender->refused_here++;
	}
}

/* RFC 2852 §4.1.4.1: the time of a message that is to be returned when it is over is watched by every server that takes it, or it goes to none. True if
 * this one can't be given it. */
static bool is_late_for(const struct smtp_sender *sender, struct smtp_reply *ret)
{
	const struct smtp_sender_transaction *what = &sender->transaction.what;
	if (!what->has_by || !what->by_return)
		return false;
	if (what->by_s <= 0)
		*ret = smtp_reply_make(550, "5.4.7", "the time is over in which the message was to be delivered");
	else if (!has(sender, SMTP_EXT_DELIVERBY))
		*ret = smtp_reply_make(550, "5.3.3",
			"the message is to be returned if it is late (DELIVERBY), which the server does not offer to "
			"do");
	else if (what->by_s < (int64_t)sender->offer.deliver_by_min_s)
		*ret = smtp_reply_make(550, "5.4.7", "%lld s are left to deliver the message, the server asks for %u",
			(long long)what->by_s, sender->offer.deliver_by_min_s);
	else
		return false;
	return true;
}

bool smtp_sender_can_hold(const struct smtp_sender *sender, int64_t for_s, int64_t until_ms)
{
	return has(sender, SMTP_EXT_FUTURERELEASE) && for_s <= (int64_t)sender->offer.hold_max_s &&
		until_ms <= sender->offer.hold_max_until_ms;
}

/* What this server can't be given as the message is. True if so, with the reply for all recipients. */
static bool is_refused_here(const struct smtp_sender *sender, struct smtp_reply *ret)
{
	const struct smtp_sender_transaction *what = &sender->transaction.what;
	const struct sender_offer *offer = &sender->offer;
	if (offer->size_max_bytes > 0 && what->size_bytes > offer->size_max_bytes)
		*ret = smtp_reply_make(552, "5.3.4", "the message has %llu bytes, the server takes %llu",
			(unsigned long long)what->size_bytes, (unsigned long long)offer->size_max_bytes);
	else if (what->smtputf8 && !has(sender, SMTP_EXT_SMTPUTF8))
		*ret = smtp_reply_make(553, "5.6.7", "the message needs SMTPUTF8, which the server does not offer");
	else if (what->body == SMTP_BODY_8BITMIME && !has(sender, SMTP_EXT_8BITMIME))
		*ret = smtp_reply_make(554, "5.6.3", "the message has 8-bit content, which the server does not take");
	/* RFC 3030 §3: binary content goes by BDAT only. */
	else if (what->body == SMTP_BODY_BINARYMIME &&
		(!has(sender, SMTP_EXT_BINARYMIME) || !has(sender, SMTP_EXT_CHUNKING)))
		*ret = smtp_reply_make(554, "5.6.3", "the message has binary content, which the server does not take");
	else if (!can_ask_for(sender, what->reverse_path))
		*ret = smtp_reply_make(553, "5.1.7", "the sender's address can't be sent over SMTP");
	else if (what->requiretls && !has(sender, SMTP_EXT_REQUIRETLS))
		*ret = smtp_reply_make(550, "5.7.30", "the message needs REQUIRETLS, which the server does not offer");
	else if ((what->hold_for_s > 0 || what->hold_until_ms > 0) &&
		!smtp_sender_can_hold(sender, what->hold_for_s, what->hold_until_ms))
		*ret = smtp_reply_make(450, "4.3.3", "the server does not offer to hold the message as long");
	else
		return is_late_for(sender, ret);
	return true;
}

enum err smtp_sender_begin(struct smtp_sender *sender, const struct smtp_sender_transaction *transaction)
{
	if (sender->phase == SENDER_OVER)
		return err_set(ERR_CLOSED, "the session is over");
	if (sender->phase != SENDER_IDLE || sender_has_event(sender))
		return err_set(ERR_STATE, "a transaction can't begin now");
	if (transaction->recipient_count > BUF_DEFAULT_MAX_BYTES)
		return err_set(ERR_LIMIT, "too many recipients for one transaction");
	struct sender_transaction *t = &sender->transaction;
	*t = (struct sender_transaction){ .what = *transaction };
	note_recipients(sender);
	struct smtp_reply refusal;
	if (is_refused_here(sender, &refusal)) {
		sender->refused_here = 0;
		sender_transaction_sweep(sender, &refusal, SMTP_STAGE_MAIL, true);
		sender_transaction_finish(sender);
		return ERR_OK;
	}
	if (t->unanswered == 0) {
		sender_transaction_finish(sender);
		return ERR_OK;
	}
	sender->phase = SENDER_TRANSACTION;
	t->send = t->due = sender->reset_needed ? STEP_RSET : STEP_MAIL;
	if (sender->in.len > 0) {
		sender_fail_protocol(sender, "the server sent something that nobody asked for");
		return ERR_OK;
	}
	sender->body = (struct sender_body){ .chunked = has(sender, SMTP_EXT_CHUNKING), .line_start = true };
	sender_arm(sender, sender->options.command_timeout_ms);
	sender_transaction_push(sender);
	return ERR_OK;
}

/* ---- commands out ---- */

static bool send_rset(struct smtp_sender *sender)
{
	sender_put(sender, VIEW("RSET\r\n"));
	sender->transaction.send = STEP_MAIL;
	return true;
}

static bool send_mail(struct smtp_sender *sender)
{
	sender_command_mail(sender);
	sender->reset_needed = true;
	sender->transaction.send = STEP_RCPT;
	return true;
}

static bool send_rcpt(struct smtp_sender *sender)
{
	struct sender_transaction *t = &sender->transaction;
	size_t i = t->send_index;
	while (i < t->what.recipient_count && sender_recipient(sender, i) != RECIPIENT_UNASKED)
		i++;
	t->send_index = i + 1;
	if (i >= t->what.recipient_count) {
		t->send = STEP_DATA;
		return false;
	}
	sender_command_rcpt(sender, &t->what.recipients[i]);
	sender_set_recipient(sender, i, RECIPIENT_ASKED);
	return true;
}

static bool send_data(struct smtp_sender *sender)
{
	struct sender_transaction *t = &sender->transaction;
	t->send = STEP_BODY;
	bool nobody = t->unanswered == 0 && t->accepted == 0;
	if (sender->body.chunked || nobody)
		return false;
	sender_put(sender, VIEW("DATA\r\n"));
	t->data_sent = true;
	return true;
}

void sender_transaction_push(struct smtp_sender *sender)
{
	static bool (*const commands[])(struct smtp_sender *) = {
		[STEP_RSET] = send_rset,
		[STEP_MAIL] = send_mail,
		[STEP_RCPT] = send_rcpt,
		[STEP_DATA] = send_data,
	};
	struct sender_transaction *t = &sender->transaction;
	bool pipelining = has(sender, SMTP_EXT_PIPELINING);
	while (t->send < STEP_BODY && sender_output_bytes(sender) < SENDER_OUTPUT_TARGET_BYTES) {
		if (!pipelining && t->outstanding > 0)
			return;
		if (commands[t->send](sender))
			t->outstanding++;
	}
}

/* ---- replies in ---- */

static void arm_for(struct smtp_sender *sender)
{
	const struct smtp_sender_options *options = &sender->options;
	enum sender_step due = sender->transaction.due;
	if (due == STEP_FINAL)
		sender_arm(sender, options->final_timeout_ms);
	else if (due == STEP_DATA || due == STEP_BODY)
		sender_arm(sender, options->data_timeout_ms);
	else
		sender_arm(sender, options->command_timeout_ms);
}

/* RFC 5321 §3.8: 421 may answer anything, and the server closes then. What it says is an outcome all the same. */
static bool ends_session(const struct smtp_reply *reply)
{
	return reply->code == 421;
}

static bool is_refusal(const struct smtp_reply *reply)
{
	return reply->code >= 400;
}

static void reply_to_rset(struct smtp_sender *sender, const struct smtp_reply *reply)
{
	/* The server may still hold the last envelope, and would add our recipients to it. */
	if (reply->code >= 300)
		sender_fail(sender, SMTP_STAGE_MAIL, reply, false);
	else
		sender->transaction.due = STEP_MAIL;
}

static void reply_to_mail(struct smtp_sender *sender, const struct smtp_reply *reply)
{
	struct sender_transaction *t = &sender->transaction;
	if (!is_refusal(reply)) {
		if (reply->code >= 300) {
			sender_fail_protocol(sender, "the server's reply to MAIL makes no sense");
			return;
		}
		t->due = STEP_RCPT;
		return;
	}
	sender_transaction_sweep(sender, reply, SMTP_STAGE_MAIL, false);
	sender->reset_needed = false;
	t->mail_refused = true;
	t->send = STEP_BODY;
	/* What was pipelined behind it is still answered, and must be counted. */
	t->unanswered = t->outstanding - (t->data_sent ? 1 : 0);
	t->due = t->unanswered > 0 ? STEP_RCPT : STEP_DATA;
	if (ends_session(reply))
		sender_fail(sender, SMTP_STAGE_MAIL, reply, false);
}

static void reply_to_rcpt(struct smtp_sender *sender, const struct smtp_reply *reply)
{
	struct sender_transaction *t = &sender->transaction;
	if (--t->unanswered == 0)
		t->due = STEP_DATA;
	if (t->mail_refused) {
		if (ends_session(reply))
			sender_fail(sender, SMTP_STAGE_RCPT, reply, false);
		return;
	}
	while (sender_recipient(sender, t->due_index) != RECIPIENT_ASKED)
		t->due_index++;
	size_t index = t->due_index++;
	if (!is_refusal(reply)) {
		if (reply->code >= 300) {
			sender_fail_here(sender, SMTP_STAGE_RCPT, "4.5.0", "the server's reply to RCPT makes no sense");
			return;
		}
		sender_set_recipient(sender, index, RECIPIENT_ACCEPTED);
		t->accepted++;
		return;
	}
	sender->tell_refused = true;
	sender->refused = (struct smtp_sender_event){
		.kind = SMTP_SENDER_RECIPIENT, .index = index, .stage = SMTP_STAGE_RCPT, .reply = *reply
	};
	if (ends_session(reply))
		sender_fail(sender, SMTP_STAGE_RCPT, reply, false);
}

static void reply_to_data(struct smtp_sender *sender, const struct smtp_reply *reply)
{
	struct sender_transaction *t = &sender->transaction;
	if (reply->code < 300) {
		sender_fail_protocol(sender, "the server's reply to DATA makes no sense");
	} else if (is_refusal(reply)) {
		sender_transaction_sweep(sender, reply, SMTP_STAGE_DATA, false);
		if (ends_session(reply))
			sender_fail(sender, SMTP_STAGE_DATA, reply, false);
		else
			sender_transaction_finish(sender);
	} else if (t->accepted == 0) {
		/* RFC 2920 §3.1: it invites a message that nobody gets; an empty one ends that. */
		sender_put(sender, VIEW(".\r\n"));
		t->outstanding++;
		t->due = STEP_EMPTY;
	} else {
		t->due = STEP_BODY;
		sender_body_begin(sender);
	}
}

/* The server speaks while it is given the message. As the end has not been written it can't have taken the message, so a refusal is
 * an outcome; but then the two are out of step, and only a new connection helps. */
static void reply_within_body(struct smtp_sender *sender, const struct smtp_reply *reply)
{
	if (!is_refusal(reply)) {
		sender_fail_protocol(sender, "the server answered before it had the whole message");
		return;
	}
	sender_transaction_sweep(sender, reply, SMTP_STAGE_DATA, false);
	sender_fail(sender, SMTP_STAGE_DATA, reply, false);
}

/* A reply while chunks go out (RFC 3030 §2). The counter is of chunks wholly written. */
static void reply_to_chunk(struct smtp_sender *sender, const struct smtp_reply *reply, bool was_asked)
{
	struct sender_transaction *t = &sender->transaction;
	if (!was_asked || reply->code / 100 == 3) {
		reply_within_body(sender, reply);
		return;
	}
	if (!is_refusal(reply))
		return;
	/* In the middle of the next chunk: its announced bytes would have to be sent for nothing. */
	if (sender->body.chunk_left_bytes > 0 || ends_session(reply)) {
		reply_within_body(sender, reply);
		return;
	}
	sender_transaction_sweep(sender, reply, SMTP_STAGE_DATA, false);
	sender->body.active = false;
	t->accepted = 0;
	/* The chunks already written are answered too. */
	if (t->outstanding == 0)
		sender_transaction_finish(sender);
	else
		t->due = STEP_EMPTY;
}

static void reply_to_body(struct smtp_sender *sender, const struct smtp_reply *reply)
{
	/* The message is all written here, but has it left? A reply that came before is about something else. */
	if (sender_output_bytes(sender) > 0) {
		reply_within_body(sender, reply);
		return;
	}
	if (reply->code / 100 == 3) {
		sender_fail_protocol(sender, "the server's reply to the message makes no sense");
		return;
	}
	/* RFC 5321 §4.1.1.4: whatever the reply to the final dot, the envelope is gone. After a refused BDAT it is undefined (RFC 3030 §2). */
	sender->reset_needed = sender->body.chunked && is_refusal(reply);
	sender_transaction_sweep(sender, reply, SMTP_STAGE_FINAL, false);
	if (ends_session(reply))
		sender_fail(sender, SMTP_STAGE_FINAL, reply, false);
	else
		sender_transaction_finish(sender);
}

static void reply_to_empty(struct smtp_sender *sender, const struct smtp_reply *reply)
{
	struct sender_transaction *t = &sender->transaction;
	if (ends_session(reply)) {
		sender_fail(sender, SMTP_STAGE_DATA, reply, false);
	} else if (t->outstanding == 0) {
		sender->reset_needed = sender->body.chunked;
		sender_transaction_finish(sender);
	}
}

/* Once all RCPTs are answered and no DATA is under way: is there anybody to send it to? */
static void decide_on_data(struct smtp_sender *sender)
{
	struct sender_transaction *t = &sender->transaction;
	if (sender->phase != SENDER_TRANSACTION || t->due != STEP_DATA || t->data_sent)
		return;
	if (t->accepted == 0) {
		sender_transaction_finish(sender);
	} else if (sender->body.chunked) {
		t->due = STEP_BODY;
		sender_body_begin(sender);
	}
}

void sender_transaction_reply(struct smtp_sender *sender, const struct smtp_reply *reply)
{
	static void (*const replies[])(struct smtp_sender *, const struct smtp_reply *) = {
		[STEP_RSET] = reply_to_rset,
		[STEP_MAIL] = reply_to_mail,
		[STEP_RCPT] = reply_to_rcpt,
		[STEP_DATA] = reply_to_data,
		[STEP_FINAL] = reply_to_body,
		[STEP_EMPTY] = reply_to_empty,
	};
	struct sender_transaction *t = &sender->transaction;
	bool was_asked = t->outstanding > 0;
	if (was_asked)
		t->outstanding--;
	/* Chunks of which the replies are still to come, before the one that counts. */
	bool is_chunk = sender->body.chunked && (t->due == STEP_BODY || (t->due == STEP_FINAL && t->outstanding > 0));
	if (is_chunk)
		reply_to_chunk(sender, reply, was_asked);
	else if (t->due == STEP_BODY)
		reply_within_body(sender, reply);
	else if (!was_asked)
		sender_fail_protocol(sender, "the server sent a reply that nobody asked for");
	else
		replies[t->due](sender, reply);
	decide_on_data(sender);
	if (sender->phase != SENDER_TRANSACTION)
		return;
	arm_for(sender);
	if (t->send < STEP_BODY)
		sender_transaction_push(sender);
}
