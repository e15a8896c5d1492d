/*
 * AUTH (RFC 4954): base64 lines in, challenges out, one question at the end. Decoded responses live in `sasl`, which wipes itself; the
 * line they came in is wiped by the line framer.
 */
#include "base/mem.h"
#include "mail/encode.h"
#include "smtp/receiver_private.h"

bool smtp_receiver_auth_is_offered(const struct smtp_receiver *receiver)
{
	return receiver->options.auth && (receiver->tls_active || receiver->options.auth_without_tls);
}

static void end_exchange(struct smtp_receiver *receiver)
{
	sasl_server_free(receiver->sasl);
	receiver->sasl = NULL;
	if (receiver->state == RECEIVER_AUTH)
		receiver->state = RECEIVER_COMMAND;
}

void smtp_receiver_auth_fail(struct smtp_receiver *receiver, const char *reply)
{
	end_exchange(receiver);
	receiver->auth_failures++;
	smtp_receiver_say(receiver, reply);
}

/* RFC 4954 §4: "334 " and the challenge in base64. */
static void challenge(struct smtp_receiver *receiver, struct view text)
{
	smtp_receiver_write(receiver, VIEW("334 "));
	if (base64_encode(text, &receiver->out) != ERR_OK)
		smtp_receiver_close(receiver, "replies are not being sent");
	smtp_receiver_write(receiver, VIEW("\r\n"));
	if (receiver->state == RECEIVER_COMMAND)
		receiver->state = RECEIVER_AUTH;
}

static void step(struct smtp_receiver *receiver, struct view response)
{
	struct view next = VIEW_NONE;
	switch (sasl_server_step(receiver->sasl, response, &next)) {
	case SASL_SERVER_CHALLENGE:
		challenge(receiver, next);
		break;
	case SASL_SERVER_CREDENTIALS:
		receiver->state = RECEIVER_COMMAND;
		smtp_receiver_ask(receiver, SMTP_EVENT_AUTH);
		break;
	case SASL_SERVER_MALFORMED:
		smtp_receiver_auth_fail(receiver, "501 5.5.2 Malformed authentication response");
		break;
	}
}

static void step_base64(struct smtp_receiver *receiver, struct view text)
{
	struct buf decoded = { 0 };
	/* All the room at once, so that no copy is left behind by growing. */
	enum err err = buf_reserve(&decoded, text.len / 4 * 3 + 3);
	if (err == ERR_OK)
		err = base64_decode(text, &decoded);
	if (err == ERR_OK)
		step(receiver, buf_view(&decoded));
	else
		smtp_receiver_auth_fail(receiver, "501 5.5.2 Cannot decode the response: not base64");
	sasl_wipe(decoded.ptr, decoded.cap);
	buf_clear(&decoded);
}

void smtp_receiver_auth_line(struct smtp_receiver *receiver, struct view line)
{
	line = view_trim(line);
	if (view_eq(line, VIEW("*")))
		smtp_receiver_auth_fail(receiver, "501 5.7.0 Authentication cancelled");
	else
		step_base64(receiver, line);
}

/* NULL, or why AUTH is refused. */
static const char *hindrance(const struct smtp_receiver *receiver)
{
	const struct smtp_receiver_options *options = &receiver->options;
	if (!options->auth)
		return "502 5.5.1 AUTH is not available";
	if (!smtp_receiver_auth_is_offered(receiver))
		return "538 5.7.11 Encryption required for authentication";
	if (receiver->authenticated)
		return "503 5.5.1 Already authenticated";
	if (options->auth_failures_max > 0 && receiver->auth_failures >= options->auth_failures_max)
		return "421 4.7.0 Too many failed authentications in this session";
	return NULL;
}

void smtp_receiver_auth_run(struct smtp_receiver *receiver, struct view arguments)
{
	const char *refusal = hindrance(receiver);
	if (refusal != NULL) {
		smtp_receiver_say(receiver, refusal);
		return;
	}
	struct view mechanism, initial;
	smtp_command_split(arguments, &mechanism, &initial);
	if (view_find(initial, ' ') < initial.len) {
		smtp_receiver_say(receiver, "501 5.5.4 One initial response at most");
		return;
	}
	receiver->sasl = sasl_server_new(mechanism);
	if (receiver->sasl == NULL) {
		smtp_receiver_say(receiver, "504 5.5.4 Authentication mechanism not supported");
		return;
	}
	if (initial.len == 0)
		challenge(receiver, sasl_server_first_challenge(receiver->sasl));
	else if (view_eq(initial, VIEW("="))) /* RFC 4954 §4: an initial response that is empty */
		step(receiver, VIEW_NONE);
	else
		step_base64(receiver, initial);
}

void smtp_receiver_auth_answered(struct smtp_receiver *receiver, const struct smtp_reply *reply)
{
	end_exchange(receiver);
	if (smtp_reply_is_positive(reply))
		receiver->authenticated = true;
	else if (smtp_reply_is_permanent(reply))
		receiver->auth_failures++;
	smtp_receiver_reply(receiver, reply);
}
