#include "base/mem.h"
#include "mail/date.h"
#include "smtp/receiver_private.h"

#include <string.h>

/* ---- Greeting ---- */

void smtp_receiver_connect_answered(struct smtp_receiver *receiver, const struct smtp_reply *reply)
{
	if (!smtp_reply_is_positive(reply)) {
		receiver->turned_away = true;
		smtp_receiver_reply(receiver, reply);
		return;
	}
	/* RFC 5321 §4.2: the host name comes first; the owner's text may have it already. */
	struct smtp_reply greeting = *reply;
	struct view name = receiver->options.hostname;
	if (!view_starts_with(smtp_reply_text(reply), name))
		greeting = smtp_reply_make(220, NULL, "%.*s %.*s", VIEW_ARG(name), VIEW_ARG(smtp_reply_text(reply)));
	greeting.code = 220;
	greeting.class = 0;
	smtp_receiver_reply(receiver, &greeting);
}

/* ---- HELO and EHLO ---- */

static void hello(struct smtp_receiver *receiver, struct view name, bool is_ehlo)
{
	if (!smtp_command_hello_is_valid(name)) {
		smtp_receiver_say(receiver, "501 5.5.4 A domain name or an address literal is needed here");
		return;
	}
	mem_free(receiver->helo);
	receiver->helo = mem_alloc(name.len);
	memcpy(receiver->helo, name.ptr, name.len);
	receiver->helo_len = name.len;
	receiver->is_ehlo = is_ehlo;
	smtp_receiver_ask(receiver, SMTP_EVENT_HELO);
}

void smtp_receiver_ehlo_run(struct smtp_receiver *receiver, struct view arguments)
{
	hello(receiver, arguments, true);
}

void smtp_receiver_helo_run(struct smtp_receiver *receiver, struct view arguments)
{
	hello(receiver, arguments, false);
}

static void write_number(struct smtp_receiver *receiver, uint64_t n)
{
	if (buf_append_u64(&receiver->out, n) != ERR_OK)
		smtp_receiver_close(receiver, "replies are not being sent");
}

/* RFC 9422. */
static void write_limits(struct smtp_receiver *receiver)
{
	const struct smtp_receiver_options *options = &receiver->options;
	if (options->recipients_max == 0 && options->transactions_max == 0)
		return;
	smtp_receiver_write(receiver, VIEW("250-LIMITS"));
	if (options->transactions_max > 0) {
		smtp_receiver_write(receiver, VIEW(" MAILMAX="));
		write_number(receiver, options->transactions_max);
	}
	if (options->recipients_max > 0) {
		smtp_receiver_write(receiver, VIEW(" RCPTMAX="));
		write_number(receiver, options->recipients_max);
	}
	smtp_receiver_write(receiver, VIEW("\r\n"));
}

/* RFC 2852 §2: the minimum is for mode R. */
static void write_deliver_by(struct smtp_receiver *receiver)
{
	const struct smtp_receiver_options *options = &receiver->options;
	if (!options->deliver_by)
		return;
	smtp_receiver_write(receiver, VIEW("250-DELIVERBY"));
	if (options->deliver_by_min_s > 0) {
		smtp_receiver_write(receiver, VIEW(" "));
		write_number(receiver, options->deliver_by_min_s);
	}
	smtp_receiver_write(receiver, VIEW("\r\n"));
}

/* RFC 4865 §3: the longest interval, and the same as a moment. */
static void write_future_release(struct smtp_receiver *receiver)
{
	const struct smtp_receiver_options *options = &receiver->options;
	if (options->hold_max_s == 0)
		return;
	int64_t now_ms = receiver->now_ms + options->wall_offset_ms;
	smtp_receiver_write(receiver, VIEW("250-FUTURERELEASE "));
	write_number(receiver, options->hold_max_s);
	smtp_receiver_write(receiver, VIEW(" "));
	if (date_format_rfc3339(now_ms + (int64_t)options->hold_max_s * 1000, &receiver->out) != ERR_OK)
		smtp_receiver_close(receiver, "replies are not being sent");
	smtp_receiver_write(receiver, VIEW("\r\n"));
}

/* Only what holds on this listener at this moment. */
static void write_extensions(struct smtp_receiver *receiver)
{
	const struct smtp_receiver_options *options = &receiver->options;
	smtp_receiver_write(receiver, VIEW("250-PIPELINING\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250-SIZE"));
	if (options->message_size_max_bytes > 0) {
		smtp_receiver_write(receiver, VIEW(" "));
		write_number(receiver, options->message_size_max_bytes);
	}
	smtp_receiver_write(receiver, VIEW("\r\n"));
	if (options->chunking)
		smtp_receiver_write(receiver, VIEW("250-CHUNKING\r\n250-BINARYMIME\r\n"));
	if (options->smtputf8)
		smtp_receiver_write(receiver, VIEW("250-SMTPUTF8\r\n"));
	if (options->dsn)
		smtp_receiver_write(receiver, VIEW("250-DSN\r\n"));
	/* RFC 8689 §2: not before TLS. */
	if (options->requiretls && receiver->tls_active)
		smtp_receiver_write(receiver, VIEW("250-REQUIRETLS\r\n"));
	if (options->mt_priority)
		smtp_receiver_write(receiver, VIEW("250-MT-PRIORITY\r\n"));
	write_deliver_by(receiver);
	write_future_release(receiver);
	if (options->starttls && !receiver->tls_active)
		smtp_receiver_write(receiver, VIEW("250-STARTTLS\r\n"));
	if (smtp_receiver_auth_is_offered(receiver) && !receiver->authenticated)
		smtp_receiver_write(receiver, VIEW("250-AUTH " SASL_SERVER_MECHANISMS "\r\n"));
	write_limits(receiver);
	smtp_receiver_write(receiver, VIEW("250 HELP\r\n"));
}

void smtp_receiver_hello_answered(struct smtp_receiver *receiver, const struct smtp_reply *reply)
{
	if (!smtp_reply_is_positive(reply)) {
		smtp_receiver_reply(receiver, reply);
		return;
	}
	/* RFC 5321 §4.1.4: an EHLO that is accepted is also a RSET. */
	smtp_receiver_end_transaction(receiver, true);
	receiver->greeted = true;
	smtp_receiver_write(receiver, receiver->is_ehlo ? VIEW("250-") : VIEW("250 "));
	smtp_receiver_write(receiver, receiver->options.hostname);
	smtp_receiver_write(receiver, VIEW("\r\n"));
	if (receiver->is_ehlo)
		write_extensions(receiver);
}

/* ---- The rest ---- */

void smtp_receiver_starttls_run(struct smtp_receiver *receiver, struct view arguments)
{
	(void)arguments;
	if (receiver->tls_active) {
		smtp_receiver_say(receiver, "503 5.5.1 TLS is active already");
		return;
	}
	if (!receiver->options.starttls) {
		smtp_receiver_say(receiver, "502 5.5.1 STARTTLS is not available");
		return;
	}
	smtp_receiver_end_transaction(receiver, true);
	smtp_receiver_say(receiver, "220 2.0.0 Ready to start TLS");
	receiver->state = RECEIVER_TLS;
	receiver->tls_waits = true;
}

void smtp_receiver_rset_run(struct smtp_receiver *receiver, struct view arguments)
{
	(void)arguments;
	smtp_receiver_end_transaction(receiver, true);
	smtp_receiver_say(receiver, "250 2.0.0 Ok");
}

void smtp_receiver_noop_run(struct smtp_receiver *receiver, struct view arguments)
{
	(void)arguments;
	smtp_receiver_say(receiver, "250 2.0.0 Ok");
}

void smtp_receiver_quit_run(struct smtp_receiver *receiver, struct view arguments)
{
	/* An argument is an error, but a client that wants to go is not to be kept for it. */
	(void)arguments;
	smtp_receiver_say(receiver, "221 2.0.0 Bye");
	smtp_receiver_close(receiver, "QUIT");
}

void smtp_receiver_vrfy_run(struct smtp_receiver *receiver, struct view arguments)
{
	/* RFC 5321 §7.3: a list of who exists here is not for everybody. */
	(void)arguments;
	smtp_receiver_say(receiver, "252 2.0.0 Cannot verify here; send a message and see");
}

void smtp_receiver_expn_run(struct smtp_receiver *receiver, struct view arguments)
{
	(void)arguments;
	smtp_receiver_say(receiver, "502 5.5.1 EXPN is not available");
}

void smtp_receiver_help_run(struct smtp_receiver *receiver, struct view arguments)
{
	(void)arguments;
	smtp_receiver_say(
		receiver, "214 2.0.0 EHLO HELO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY STARTTLS AUTH: see RFC 5321");
}

void smtp_receiver_obsolete_run(struct smtp_receiver *receiver, struct view arguments)
{
	(void)arguments;
	smtp_receiver_say(receiver, "502 5.5.1 Command not implemented");
}
