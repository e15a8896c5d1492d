/* Before and after the mail: greeting, EHLO or HELO, STARTTLS, AUTH, QUIT. */
#include "smtp/sender_private.h"

#include <string.h>

/* RFC 4954 §4: an AUTH command with its initial response is still a command line of at most 512 bytes. */
#define COMMAND_LINE_MAX_BYTES 512u

static void fail_with(struct smtp_sender *sender, const struct smtp_reply *reply)
{
	sender_fail(sender, sender_stage(sender), reply, false);
}

static void command(struct smtp_sender *sender, enum sender_phase phase, struct view line)
{
	sender->phase = phase;
	sender_put(sender, line);
	sender_arm(sender, sender->options.command_timeout_ms);
}

static void hello(struct smtp_sender *sender, enum sender_phase phase, struct view verb)
{
	command(sender, phase, verb);
	sender_put(sender, sender->options.ehlo_name);
	sender_put(sender, VIEW("\r\n"));
}

void sender_session_hello(struct smtp_sender *sender)
{
	hello(sender, SENDER_EHLO, VIEW("EHLO "));
}

static void become_ready(struct smtp_sender *sender)
{
	sender->phase = SENDER_IDLE;
	sender->was_ready = true;
	sender->tell_ready = true;
	sender_disarm(sender);
}

/* ---- AUTH (RFC 4954) ---- */

static void respond(struct smtp_sender *sender, struct view challenge)
{
	if (sasl_client_respond(&sender->login, challenge, &sender->out) != ERR_OK) {
		sender_fail_here(sender, SMTP_STAGE_AUTH, "4.7.0", err_detail());
		return;
	}
	sender_put(sender, VIEW("\r\n"));
	sender_arm(sender, sender->options.command_timeout_ms);
}

static unsigned allowed_logins(const struct smtp_sender_options *options)
{
	unsigned allowed = options->login_mechanisms != 0 ? options->login_mechanisms : SASL_CLIENT_BY_PASSWORD;
	if (options->login_nonce.len == 0)
		allowed &= ~SASL_CLIENT_BIT(SASL_CLIENT_SCRAM_SHA_256);
	return allowed;
}

static void fail_without_common_login(struct smtp_sender *sender, unsigned allowed)
{
	struct buf text = { .max_bytes = 400 };
	enum err err = buf_append_cstr(&text, "the server offers no login by");
	const char *separator = " ";
	for (unsigned m = SASL_CLIENT_NONE + 1; m < SASL_CLIENT_MECHANISMS && err == ERR_OK; m++)
		if ((allowed & SASL_CLIENT_BIT(m)) != 0) {
			struct view name = sasl_client_name((enum sasl_client_mechanism)m);
			err = buf_append_format(&text, "%s%.*s", separator, VIEW_ARG(name));
			separator = " or ";
		}
	sender_fail_here(sender, SMTP_STAGE_AUTH, "4.7.4", err == ERR_OK ? buf_cstr(&text) : "no login in common");
	buf_clear(&text);
}

/* How long the line with the initial response would be: base64 makes 4 of 3, and what SCRAM and the bearers add is bounded (a comma or "=" in
 * the name counts three times). */
static bool fits_on_one_line(const struct smtp_sender_options *options, enum sasl_client_mechanism mechanism)
{
	size_t added = mechanism == SASL_CLIENT_PLAIN ? 2 : 64 + options->login_host.len + options->login_nonce.len * 2;
	size_t name = options->user.len * (mechanism == SASL_CLIENT_PLAIN ? 1 : 3);
	size_t secret = mechanism == SASL_CLIENT_SCRAM_SHA_256 ? 0 : options->password.len;
	size_t command = sizeof "AUTH " - 1 + sasl_client_name(mechanism).len + 1;
	return command + (added + name + secret + 2) / 3 * 4 + 2 <= COMMAND_LINE_MAX_BYTES;
}

static void begin_login(struct smtp_sender *sender)
{
	const struct smtp_sender_options *options = &sender->options;
	if (!sender->tls_active && !options->login_without_tls) {
		sender_fail_here(sender, SMTP_STAGE_AUTH, "4.7.11", "the login needs TLS, which is not active");
		return;
	}
	if ((sender->offer.extensions & SMTP_EXT_AUTH) == 0) {
		sender_fail_here(sender, SMTP_STAGE_AUTH, "4.7.4", "the server offers no login (AUTH)");
		return;
	}
	unsigned allowed = allowed_logins(options);
	enum sasl_client_mechanism mechanism = sasl_client_choose(sender->offer.logins, allowed);
	if (mechanism == SASL_CLIENT_NONE) {
		fail_without_common_login(sender, allowed);
		return;
	}
	struct sasl_client_login login = {
		.user = options->user,
		.secret = options->password,
		.host = options->login_host,
		.port = options->login_port,
		.nonce = options->login_nonce,
		.memory = options->scram_memory,
	};
	sasl_client_clear(&sender->login);
	sasl_client_init(&sender->login, mechanism, &login);
	command(sender, SENDER_AUTH, VIEW("AUTH "));
	sender_put(sender, sasl_client_name(mechanism));
	if (sasl_client_speaks_first(&sender->login) && fits_on_one_line(options, mechanism)) {
		sender_put(sender, VIEW(" "));
		respond(sender, VIEW_NONE);
	} else {
		sender_put(sender, VIEW("\r\n"));
	}
}

/* What stands behind 334: the whole line, which may be longer than a reply's text. */
static struct view challenge_of(struct view frame)
{
	uint16_t code;
	bool last;
	struct view text = VIEW_NONE;
	size_t used;
	return smtp_reply_parse_line(frame, &code, &last, &text, &used) == ERR_OK ? text : VIEW_NONE;
}

/* With what it said before: a bearer's refusal itself is often only "failed". */
static void login_refused(struct smtp_sender *sender, const struct smtp_reply *reply)
{
	struct view said = sasl_client_said(&sender->login);
	struct smtp_reply with = *reply;
	if (said.len > 0) {
		with = smtp_reply_make(
			reply->code, NULL, "%.*s (%.*s)", VIEW_ARG(smtp_reply_text(reply)), VIEW_ARG(said));
		with.class = reply->class;
		with.subject = reply->subject;
		with.detail = reply->detail;
	}
	fail_with(sender, &with);
}

static void reply_to_auth(struct smtp_sender *sender, const struct smtp_reply *reply, struct view frame)
{
	if (reply->code == 334) {
		respond(sender, challenge_of(frame));
		return;
	}
	/* The memory is used again for mail, and should not keep the password for as long as the connection lives. */
	if (sender_output_bytes(sender) == 0 && sender->out.ptr != NULL)
		explicit_bzero(sender->out.ptr, sender->out.cap);
	if (reply->code >= 400)
		login_refused(sender, reply);
	else if (reply->code >= 300)
		sender_fail_protocol(sender, "the server's reply to AUTH makes no sense");
	else if (!sasl_client_may_succeed(&sender->login))
		sender_fail_here(sender, SMTP_STAGE_AUTH, "4.7.0",
			"the server took the login without proof that it knows the password itself");
	else
		become_ready(sender);
	sasl_client_clear(&sender->login);
}

static void login_or_ready(struct smtp_sender *sender)
{
	if (sender->options.has_login)
		begin_login(sender);
	else
		become_ready(sender);
}

/* ---- greeting, EHLO, STARTTLS ---- */

static void reply_to_connection(struct smtp_sender *sender, const struct smtp_reply *reply, struct view frame)
{
	(void)frame;
	if (reply->code >= 400)
		fail_with(sender, reply);
	else if (reply->code >= 300)
		sender_fail_protocol(sender, "the server's greeting makes no sense");
	else
		sender_session_hello(sender);
}

static bool must_have_tls(const struct smtp_sender *sender)
{
	return sender->options.tls == SMTP_TLS_REQUIRED && !sender->tls_active;
}

static void hello_is_through(struct smtp_sender *sender)
{
	bool offered = (sender->offer.extensions & SMTP_EXT_STARTTLS) != 0;
	if (must_have_tls(sender) && !offered)
		sender_fail_here(
			sender, SMTP_STAGE_STARTTLS, "4.7.4", "TLS is required, but the server does not offer it");
	else if (!sender->tls_active && offered && sender->options.tls != SMTP_TLS_NEVER)
		command(sender, SENDER_STARTTLS, VIEW("STARTTLS\r\n"));
	else
		login_or_ready(sender);
}

static void reply_to_ehlo(struct smtp_sender *sender, const struct smtp_reply *reply, struct view frame)
{
	if (smtp_reply_is_transient(reply)) {
		fail_with(sender, reply);
	} else if (smtp_reply_is_permanent(reply)) {
		/* RFC 5321 §3.2 names 500, 501, 502, 504 and 550; whatever an old server says, it may still know HELO. Without EHLO there is no
		 * STARTTLS, so where TLS is a must this is a failure of it, and not one that returns mail. */
		if (must_have_tls(sender))
			sender_fail_here(
				sender, SMTP_STAGE_STARTTLS, "4.7.4", "TLS is required, but the server refuses EHLO");
		else
			hello(sender, SENDER_HELO, VIEW("HELO "));
	} else if (reply->code >= 300) {
		sender_fail_protocol(sender, "the server's reply to EHLO makes no sense");
	} else {
		sender_offer_parse(frame, &sender->offer);
		/* RFC 8689 §2: a server offers it inside TLS only; before that it is somebody else's word. */
		if (!sender->tls_active)
			sender->offer.extensions &= ~(unsigned)SMTP_EXT_REQUIRETLS;
		hello_is_through(sender);
	}
}

static void reply_to_helo(struct smtp_sender *sender, const struct smtp_reply *reply, struct view frame)
{
	(void)frame;
	if (reply->code >= 400)
		fail_with(sender, reply);
	else if (reply->code >= 300)
		sender_fail_protocol(sender, "the server's reply to HELO makes no sense");
	else
		hello_is_through(sender);
}

static void reply_to_starttls(struct smtp_sender *sender, const struct smtp_reply *reply, struct view frame)
{
	(void)frame;
	if (reply->code >= 200 && reply->code < 300) {
		sender->phase = SENDER_HANDSHAKE;
		sender->tell_starttls = true;
		sender_arm(sender, sender->options.command_timeout_ms);
	} else if (reply->code < 400) {
		sender_fail_protocol(sender, "the server's reply to STARTTLS makes no sense");
	} else if (reply->code == 421 || must_have_tls(sender)) {
		fail_with(sender, reply);
	} else {
		/* Offered, then refused: go on in clear, as with a server that never offered it. */
		login_or_ready(sender);
	}
}

void smtp_sender_tls_started(struct smtp_sender *sender, int64_t now_ms)
{
	if (sender->phase != SENDER_HANDSHAKE)
		return;
	/* RFC 3207 §4.2: what was learned before TLS may have been an attacker's; ask again. */
	sender->tls_active = true;
	sender->offer = (struct sender_offer){ 0 };
	sender_session_hello(sender);
	smtp_sender_tick(sender, now_ms);
}

/* ---- QUIT ---- */

void smtp_sender_quit(struct smtp_sender *sender)
{
	if (sender->phase == SENDER_IDLE)
		command(sender, SENDER_QUIT, VIEW("QUIT\r\n"));
}

static void reply_to_quit(struct smtp_sender *sender, const struct smtp_reply *reply, struct view frame)
{
	(void)frame;
	sender_fail(sender, SMTP_STAGE_QUIT, reply, false);
}

void sender_session_reply(struct smtp_sender *sender, const struct smtp_reply *reply, struct view frame)
{
	static void (*const replies[])(struct smtp_sender *, const struct smtp_reply *, struct view) = {
		[SENDER_GREETING] = reply_to_connection,
		[SENDER_EHLO] = reply_to_ehlo,
		[SENDER_HELO] = reply_to_helo,
		[SENDER_STARTTLS] = reply_to_starttls,
		[SENDER_AUTH] = reply_to_auth,
		[SENDER_QUIT] = reply_to_quit,
	};
	replies[sender->phase](sender, reply, frame);
}
