#include "smtp/sender_private.h"

#include "base/mem.h"

#include <string.h>

void smtp_sender_options_init(struct smtp_sender_options *options)
{
	/* RFC 5321 §4.5.3.2; data_timeout_ms serves both DATA's reply (2 minutes) and a block (3). */
	*options = (struct smtp_sender_options){
		.tls = SMTP_TLS_IF_OFFERED,
		.greeting_timeout_ms = 300000,
		.command_timeout_ms = 300000,
		.data_timeout_ms = 180000,
		.final_timeout_ms = 600000,
	};
}

struct smtp_sender *smtp_sender_new(const struct smtp_sender_options *options, int64_t now_ms)
{
	struct smtp_sender *sender = mem_alloc(sizeof *sender);
	sender->options = *options;
	sender->tls_active = options->tls_active;
	sender->in.max_bytes = SENDER_REPLY_MAX_BYTES;
	sender_arm(sender, options->greeting_timeout_ms);
	smtp_sender_tick(sender, now_ms);
	return sender;
}

void smtp_sender_free(struct smtp_sender *sender)
{
	if (sender == NULL)
		return;
	/* The output may still hold a login. */
	if (sender->out.ptr != NULL)
		explicit_bzero(sender->out.ptr, sender->out.cap);
	sasl_client_clear(&sender->login);
	buf_clear(&sender->out);
	buf_clear(&sender->in);
	buf_clear(&sender->recipients);
	mem_free(sender);
}

/* ---- output ---- */

void sender_put(struct smtp_sender *sender, struct view bytes)
{
	ASSERT(buf_append(&sender->out, bytes) == ERR_OK);
}

void sender_put_u64(struct smtp_sender *sender, uint64_t n)
{
	ASSERT(buf_append_u64(&sender->out, n) == ERR_OK);
}

struct view smtp_sender_output(const struct smtp_sender *sender)
{
	return view_from(buf_view(&sender->out), sender->out_at);
}

void smtp_sender_sent(struct smtp_sender *sender, size_t bytes)
{
	/* A write error may have ended the session between smtp_sender_output() and here. */
	if (bytes == 0 || sender->phase == SENDER_OVER)
		return;
	ASSERT(bytes <= sender_output_bytes(sender));
	sender->out_at += bytes;
	/* Nearly always all of it: the front is moved only when it has become the larger part. */
	if (sender->out_at == sender->out.len) {
		buf_reset(&sender->out);
		sender->out_at = 0;
	} else if (sender->out_at > sender->out.len / 2) {
		buf_consume(&sender->out, sender->out_at);
		sender->out_at = 0;
	}
	if (sender->phase != SENDER_TRANSACTION)
		return;
	if (sender->transaction.send < STEP_BODY)
		sender_transaction_push(sender);
	/* The peer takes the message: RFC 5321 §4.5.3.2.5 counts per block. */
	if (sender->body.active)
		sender_arm(sender, sender->options.data_timeout_ms);
	else if (sender->transaction.due == STEP_FINAL)
		sender_arm(sender, sender->options.final_timeout_ms);
}

/* ---- time ---- */

/* A time-out starts to count at the first tick after it was set: feed() and the like are not told the time, and a stale one
 * would end sessions too early. */
void sender_arm(struct smtp_sender *sender, uint32_t timeout_ms)
{
	sender->armed = true;
	sender->counting = false;
	sender->timeout_ms = timeout_ms;
}

void sender_disarm(struct smtp_sender *sender)
{
	sender->armed = false;
}

static int64_t later(int64_t now_ms, uint32_t ms)
{
	return now_ms > INT64_MAX - (int64_t)ms ? INT64_MAX : now_ms + (int64_t)ms;
}

int64_t smtp_sender_deadline(const struct smtp_sender *sender)
{
	if (!sender->armed)
		return INT64_MAX;
	return sender->counting ? sender->deadline_ms : later(sender->now_ms, sender->timeout_ms);
}

void smtp_sender_tick(struct smtp_sender *sender, int64_t now_ms)
{
	sender->now_ms = now_ms;
	if (!sender->armed)
		return;
	if (!sender->counting) {
		sender->deadline_ms = later(now_ms, sender->timeout_ms);
		sender->counting = true;
		return;
	}
	if (now_ms < sender->deadline_ms)
		return;
	static const char *const waiting_for[] = {
		[SMTP_STAGE_GREETING] = "the greeting",
		[SMTP_STAGE_EHLO] = "the reply to EHLO",
		[SMTP_STAGE_STARTTLS] = "TLS to start",
		[SMTP_STAGE_AUTH] = "the reply to AUTH",
		[SMTP_STAGE_MAIL] = "the reply to MAIL",
		[SMTP_STAGE_RCPT] = "the reply to RCPT",
		[SMTP_STAGE_DATA] = "the server to take the message",
		[SMTP_STAGE_FINAL] = "the reply to the message",
		[SMTP_STAGE_QUIT] = "the reply to QUIT",
	};
	enum smtp_sender_stage stage = sender_stage(sender);
	struct smtp_reply reply = smtp_reply_make(451, "4.4.2", "timed out after %u s waiting for %s",
		(unsigned)(sender->timeout_ms / 1000), waiting_for[stage]);
	sender_fail(sender, stage, &reply, true);
}

/* ---- the end ---- */

enum smtp_sender_stage sender_stage(const struct smtp_sender *sender)
{
	static const enum smtp_sender_stage of_phase[] = {
		[SENDER_GREETING] = SMTP_STAGE_GREETING,
		[SENDER_EHLO] = SMTP_STAGE_EHLO,
		[SENDER_HELO] = SMTP_STAGE_EHLO,
		[SENDER_STARTTLS] = SMTP_STAGE_STARTTLS,
		[SENDER_HANDSHAKE] = SMTP_STAGE_STARTTLS,
		[SENDER_AUTH] = SMTP_STAGE_AUTH,
		[SENDER_IDLE] = SMTP_STAGE_QUIT,
		[SENDER_QUIT] = SMTP_STAGE_QUIT,
		[SENDER_OVER] = SMTP_STAGE_QUIT,
	};
	static const enum smtp_sender_stage of_step[] = {
		[STEP_RSET] = SMTP_STAGE_MAIL,
		[STEP_MAIL] = SMTP_STAGE_MAIL,
		[STEP_RCPT] = SMTP_STAGE_RCPT,
		[STEP_DATA] = SMTP_STAGE_DATA,
		[STEP_BODY] = SMTP_STAGE_DATA,
		[STEP_FINAL] = SMTP_STAGE_FINAL,
		[STEP_EMPTY] = SMTP_STAGE_DATA,
	};
	return sender->phase == SENDER_TRANSACTION ? of_step[sender->transaction.due] : of_phase[sender->phase];
}

/* What was not sent must not be: half a message, or a command behind a lost one. */
static void drop_buffers(struct smtp_sender *sender)
{
	buf_reset(&sender->in);
	buf_reset(&sender->out);
	sender->out_at = 0;
}

void sender_fail(
	struct smtp_sender *sender, enum smtp_sender_stage stage, const struct smtp_reply *reply, bool made_here)
{
	sender->phase = SENDER_OVER;
	sender->failed = (struct smtp_sender_event){
		.kind = SMTP_SENDER_FAILED, .stage = stage, .reply = *reply, .made_here = made_here
	};
	sender->tell_failed = true;
	/* Invitations that can't be followed any more. */
	sender->tell_ready = sender->tell_body = false;
	sender->body = (struct sender_body){ 0 };
	sender_disarm(sender);
	drop_buffers(sender);
}

void sender_fail_here(struct smtp_sender *sender, enum smtp_sender_stage stage, const char *enhanced, const char *text)
{
	struct smtp_reply reply = smtp_reply_make(451, enhanced, "%s", text);
	sender_fail(sender, stage, &reply, true);
}

void sender_fail_protocol(struct smtp_sender *sender, const char *text)
{
	sender_fail_here(sender, sender_stage(sender), "4.5.0", text);
}

void smtp_sender_closed(struct smtp_sender *sender, const char *reason)
{
	switch (sender->phase) {
	case SENDER_OVER:
		return;
	case SENDER_QUIT: {
		/* Many servers hang up without waiting for us to read their 221. */
		struct smtp_reply none = { 0 };
		sender_fail(sender, SMTP_STAGE_QUIT, &none, true);
		return;
	}
	case SENDER_IDLE:
		if (!sender->tell_ready) {
			/* Nothing was under way: no event; smtp_sender_begin() says ERR_CLOSED. */
			sender->phase = SENDER_OVER;
			drop_buffers(sender);
			return;
		}
		/* The owner still waits for READY. */
		sender_fail_here(sender, SMTP_STAGE_EHLO, "4.4.2", reason);
		return;
	case SENDER_HANDSHAKE:
		sender_fail_here(sender, SMTP_STAGE_STARTTLS, "4.7.5", reason);
		return;
	default:
		sender_fail_here(sender, sender_stage(sender), "4.4.2", reason);
	}
}

void smtp_sender_abort(struct smtp_sender *sender)
{
	if (sender->phase == SENDER_TRANSACTION)
		sender_fail_here(sender, sender_stage(sender), "4.3.0", "the message could not be read");
}

/* ---- events ---- */

bool sender_has_event(const struct smtp_sender *sender)
{
	return sender->tell_refused || sender->refused_here > 0 || sender->sweep.active || sender->tell_starttls ||
		sender->tell_ready || sender->tell_body || sender->tell_done || sender->tell_failed;
}

static void tell_recipient(struct smtp_sender *sender, size_t index)
{
	sender_set_recipient(sender, index, RECIPIENT_TOLD);
	sender->untold--;
}

static bool next_refused_here(struct smtp_sender *sender, struct smtp_sender_event *ret)
{
	if (sender->refused_here == 0)
		return false;
	size_t i = sender->refused_here_at;
	while (sender_recipient(sender, i) != RECIPIENT_REFUSED_HERE)
		i++;
	struct view address = sender->transaction.what.recipients[i].address;
	bool safe = address.len > 0 && sender_command_path_is_safe(address);
	*ret = (struct smtp_sender_event){
		.kind = SMTP_SENDER_RECIPIENT, .index = i, .stage = SMTP_STAGE_RCPT, .made_here = true
	};
	if (safe)
		ret->reply = smtp_reply_make(
			553, "5.6.7", "the address needs SMTPUTF8, which this message can't use here");
	else
		ret->reply = smtp_reply_make(553, "5.1.3", "the address can't be sent over SMTP");
	sender->refused_here_at = i + 1;
	sender->refused_here--;
	tell_recipient(sender, i);
	return true;
}

static bool next_of_sweep(struct smtp_sender *sender, struct smtp_sender_event *ret)
{
	struct sender_sweep *sweep = &sender->sweep;
	if (!sweep->active)
		return false;
	/* There is one: a sweep ends with the last recipient without an event. */
	while (sender_recipient(sender, sweep->at) == RECIPIENT_TOLD)
		sweep->at++;
	*ret = (struct smtp_sender_event){ .kind = SMTP_SENDER_RECIPIENT,
		.index = sweep->at,
		.stage = sweep->stage,
		.reply = sweep->reply,
		.made_here = sweep->made_here };
	tell_recipient(sender, sweep->at++);
	sweep->active = sender->untold > 0;
	return true;
}

static bool next_flag(bool *flag, enum smtp_sender_event_kind kind, struct smtp_sender_event *ret)
{
	if (!*flag)
		return false;
	*flag = false;
	*ret = (struct smtp_sender_event){ .kind = kind };
	return true;
}

bool smtp_sender_next(struct smtp_sender *sender, struct smtp_sender_event *ret)
{
	if (sender->tell_refused) {
		sender->tell_refused = false;
		*ret = sender->refused;
		tell_recipient(sender, ret->index);
		return true;
	}
	if (next_refused_here(sender, ret) || next_of_sweep(sender, ret) ||
		next_flag(&sender->tell_starttls, SMTP_SENDER_STARTTLS, ret) ||
		next_flag(&sender->tell_ready, SMTP_SENDER_READY, ret) ||
		next_flag(&sender->tell_body, SMTP_SENDER_BODY, ret) ||
		next_flag(&sender->tell_done, SMTP_SENDER_DONE, ret))
		return true;
	if (!sender->tell_failed)
		return false;
	sender->tell_failed = false;
	*ret = sender->failed;
	return true;
}

unsigned smtp_sender_extensions(const struct smtp_sender *sender)
{
	return sender->was_ready ? sender->offer.extensions : 0;
}

uint32_t smtp_sender_limit_recipients(const struct smtp_sender *sender)
{
	return sender->was_ready ? sender->offer.limit_recipients : 0;
}

uint32_t smtp_sender_limit_transactions(const struct smtp_sender *sender)
{
	return sender->was_ready ? sender->offer.limit_transactions : 0;
}
