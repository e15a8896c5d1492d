#include "base/mem.h"
#include "smtp/receiver_private.h"

static int64_t earlier(int64_t deadline, int64_t since_ms, uint32_t timeout_ms)
{
	if (timeout_ms == 0)
		return deadline;
	int64_t other = since_ms + timeout_ms;
	return other < deadline ? other : deadline;
}

int64_t smtp_receiver_deadline(const struct smtp_receiver *receiver)
{
	const struct smtp_receiver_options *options = &receiver->options;
	int64_t deadline = INT64_MAX;
	if (receiver->question_open || receiver->state == RECEIVER_CLOSED)
		return deadline;
	bool data = receiver->state == RECEIVER_DATA || receiver->state == RECEIVER_CHUNK;
	deadline = earlier(deadline, receiver->started_ms, options->session_total_ms);
	deadline = earlier(
		deadline, receiver->progress_ms, data ? options->data_timeout_ms : options->command_timeout_ms);
	/* Between two chunks the message is still on its way. */
	if (data || (receiver->transaction != NULL && receiver->transaction->body_accepted))
		deadline = earlier(deadline, receiver->data_started_ms, options->data_total_ms);
	return deadline;
}

void smtp_receiver_tick(struct smtp_receiver *receiver, int64_t now_ms)
{
	if (now_ms > receiver->now_ms)
		receiver->now_ms = now_ms;
	if (receiver->now_ms < smtp_receiver_deadline(receiver))
		return;
	/* In the middle of a handshake a reply in clear would be garbage. */
	if (receiver->state == RECEIVER_TLS)
		smtp_receiver_close(receiver, "timed out before the TLS handshake");
	else
		smtp_receiver_say(receiver, "421 4.4.2 Timed out waiting for you");
}

void smtp_receiver_time_shutdown_now(struct smtp_receiver *receiver)
{
	if (receiver->state == RECEIVER_CLOSED)
		return;
	receiver->question_open = false;
	if (receiver->state == RECEIVER_TLS) {
		smtp_receiver_close(receiver, receiver->shutdown_text);
		return;
	}
	struct smtp_reply reply = smtp_reply_make(421, "4.3.2", "%s", receiver->shutdown_text);
	smtp_receiver_reply(receiver, &reply);
	receiver->close_reason = receiver->shutdown_text;
}

void smtp_receiver_shutdown(struct smtp_receiver *receiver, const char *text)
{
	if (receiver->state == RECEIVER_CLOSED || receiver->shutdown_waits)
		return;
	receiver->shutdown_waits = true;
	receiver->shutdown_text = mem_dup_cstr(text);
	/* A question about the transaction, or a password's check, is under way elsewhere: its answer comes first. */
	if (receiver->question_open && receiver->question != SMTP_EVENT_CONNECT &&
		receiver->question != SMTP_EVENT_HELO)
		return;
	smtp_receiver_time_shutdown_now(receiver);
}
