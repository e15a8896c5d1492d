#include "smtp/receiver_private.h"

enum {
	NEEDS_HELLO = 1,
	NEEDS_TRANSACTION = 2, /* MAIL was accepted */
	NO_TRANSACTION = 4,
	NEEDS_ARGUMENT = 8,
	NO_ARGUMENT = 16,
	IS_FREE = 32, /* allowed when errors have run out or the client was turned away */
	IS_WORK =
		64, /* carries mail: bounded by messages, recipients, errors and time, not by the number of commands */
};

/* RFC 5321 §4.5.3.1.4: 512 bytes with CRLF, and what extensions add: SIZE 26 (RFC 1870 §3), BODY 17 (RFC 6152 §2) and one more for
 * BINARYMIME, SMTPUTF8 10 (RFC 6531 §3.4), DSN 107 (RFC 3461 §5), AUTH 500 (RFC 4954 §3), REQUIRETLS 11 (RFC 8689 §2), MT-PRIORITY 15
 * (RFC 6710 §3), DELIVERBY 17 (RFC 2852 §2), FUTURERELEASE 34 (RFC 4865 §3) for MAIL; DSN 500 + 28 for RCPT. */
#define LINE_BYTES 512u
#define MAIL_LINE_BYTES (LINE_BYTES + 26 + 18 + 10 + 107 + 500 + 11 + 15 + 17 + 34)
#define RCPT_LINE_BYTES (LINE_BYTES + 528)

struct command {
	struct view verb;
	unsigned line_max_bytes;
	unsigned flags;
	smtp_receiver_run *run;
};

#define VERB(literal)                                                                                                  \
	{                                                                                                              \
		(const uint8_t *)(literal), sizeof(literal) - 1                                                        \
	}

/* BDAT checks everything itself: whatever is wrong with it, its bytes must be read first. */
static const struct command commands[] = {
	{ VERB("MAIL"), MAIL_LINE_BYTES, NEEDS_HELLO | NO_TRANSACTION | NEEDS_ARGUMENT | IS_WORK,
		smtp_receiver_mail_run },
	{ VERB("RCPT"), RCPT_LINE_BYTES, NEEDS_HELLO | NEEDS_TRANSACTION | NEEDS_ARGUMENT | IS_WORK,
		smtp_receiver_rcpt_run },
	{ VERB("DATA"), LINE_BYTES, NEEDS_HELLO | NO_ARGUMENT | IS_WORK, smtp_receiver_data_run },
	{ VERB("BDAT"), RECEIVER_LINE_MAX_BYTES, IS_FREE | IS_WORK, smtp_receiver_bdat_run },
	{ VERB("EHLO"), LINE_BYTES, NEEDS_ARGUMENT, smtp_receiver_ehlo_run },
	{ VERB("HELO"), LINE_BYTES, NEEDS_ARGUMENT, smtp_receiver_helo_run },
	{ VERB("RSET"), LINE_BYTES, NO_ARGUMENT, smtp_receiver_rset_run },
	{ VERB("QUIT"), LINE_BYTES, IS_FREE, smtp_receiver_quit_run },
	{ VERB("NOOP"), LINE_BYTES, 0, smtp_receiver_noop_run },
	{ VERB("STARTTLS"), LINE_BYTES, NO_ARGUMENT, smtp_receiver_starttls_run },
	{ VERB("AUTH"), RECEIVER_LINE_MAX_BYTES, NEEDS_HELLO | NO_TRANSACTION | NEEDS_ARGUMENT,
		smtp_receiver_auth_run },
	{ VERB("VRFY"), LINE_BYTES, NEEDS_ARGUMENT, smtp_receiver_vrfy_run },
	{ VERB("EXPN"), LINE_BYTES, 0, smtp_receiver_expn_run },
	{ VERB("HELP"), LINE_BYTES, 0, smtp_receiver_help_run },
	{ VERB("SEND"), LINE_BYTES, 0, smtp_receiver_obsolete_run },
	{ VERB("SOML"), LINE_BYTES, 0, smtp_receiver_obsolete_run },
	{ VERB("SAML"), LINE_BYTES, 0, smtp_receiver_obsolete_run },
	{ VERB("TURN"), LINE_BYTES, 0, smtp_receiver_obsolete_run },
	{ VERB("ETRN"), LINE_BYTES, 0, smtp_receiver_obsolete_run },
};

static const struct command *find_command(struct view verb)
{
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (view_eq_nocase(verb, commands[i].verb))
			return &commands[i];
	return NULL;
}

/* A browser that was talked into posting a form to this port: the lines of its request must not be taken for commands. */
static bool is_http(struct view verb)
{
	static const struct view verbs[] = { VERB("GET"), VERB("POST"), VERB("HEAD"), VERB("PUT"), VERB("DELETE"),
		VERB("OPTIONS"), VERB("CONNECT"), VERB("TRACE"), VERB("PATCH"), VERB("PRI") };
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
		if (view_eq_nocase(verb, verbs[i]))
			return true;
	return false;
}

/* What the table asks for. NULL, or the refusal. RFC 5321 §4.1.4: a command out of order changes nothing. */
static const char *check(const struct smtp_receiver *receiver, const struct command *command, struct view arguments)
{
	unsigned flags = command->flags;
	if ((flags & NEEDS_ARGUMENT) != 0 && arguments.len == 0)
		return "501 5.5.4 Argument required";
	if ((flags & NO_ARGUMENT) != 0 && arguments.len > 0)
		return "501 5.5.4 No argument allowed";
	if ((flags & NEEDS_HELLO) != 0 && !receiver->greeted)
		return "503 5.5.1 Send EHLO or HELO first";
	if ((flags & NEEDS_TRANSACTION) != 0 && receiver->transaction == NULL)
		return "503 5.5.1 Send MAIL first";
	if ((flags & NO_TRANSACTION) != 0 && receiver->transaction != NULL)
		return "503 5.5.1 A mail transaction is under way";
	return NULL;
}

/* Limits of the session. True if the command goes on. */
static bool check_limits(struct smtp_receiver *receiver, unsigned flags)
{
	const struct smtp_receiver_options *options = &receiver->options;
	if ((flags & IS_WORK) == 0 && receiver->commands < UINT32_MAX)
		receiver->commands++;
	if (options->commands_max > 0 && receiver->commands > options->commands_max)
		smtp_receiver_say(receiver, "421 4.7.0 Too many commands in this session");
	else if ((flags & IS_FREE) == 0 && options->errors_max > 0 && receiver->errors >= options->errors_max)
		smtp_receiver_say(receiver, "421 4.7.0 Too many errors in this session");
	else
		return true;
	return false;
}

static void run_line(struct smtp_receiver *receiver, struct view line)
{
	struct view verb, arguments;
	smtp_command_split(line, &verb, &arguments);
	if (is_http(verb)) {
		smtp_receiver_say(receiver, "554 5.7.0 This is an SMTP server, it does not speak HTTP");
		smtp_receiver_close(receiver, "an HTTP request");
		return;
	}
	const struct command *command = find_command(verb);
	if (!check_limits(receiver, command != NULL ? command->flags : 0))
		return;
	if (receiver->turned_away && (command == NULL || (command->flags & IS_FREE) == 0)) {
		smtp_receiver_say(receiver, "503 5.5.1 No service for you here, send QUIT");
		return;
	}
	if (line.len + 2 > (command != NULL ? command->line_max_bytes : LINE_BYTES)) {
		smtp_receiver_say(receiver, "500 5.5.2 Line too long");
		return;
	}
	if (command == NULL) {
		smtp_receiver_say(receiver, "500 5.5.2 Command not recognized");
		return;
	}
	const char *refusal = check(receiver, command, arguments);
	if (refusal != NULL)
		smtp_receiver_say(receiver, refusal);
	else
		command->run(receiver, arguments);
}

static void complete_line(struct smtp_receiver *receiver, struct view line)
{
	bool odd = view_find(line, '\r') < line.len || view_find(line, '\0') < line.len;
	if (receiver->state == RECEIVER_AUTH) {
		if (!check_limits(receiver, IS_FREE))
			return;
		if (odd)
			smtp_receiver_auth_fail(receiver, "501 5.5.2 Bare CR or NUL in a response");
		else
			smtp_receiver_auth_line(receiver, line);
	} else if (odd) {
		if (check_limits(receiver, 0))
			smtp_receiver_say(receiver, "500 5.5.2 Bare CR or NUL in a command");
		/* How many bytes are its chunk's is not known. */
		if (view_starts_with_nocase(line, VIEW("BDAT")))
			smtp_receiver_close(receiver, "a malformed BDAT");
	} else {
		run_line(receiver, line);
	}
}

size_t smtp_receiver_command_feed(struct smtp_receiver *receiver, struct view in)
{
	struct view line;
	size_t used;
	enum smtp_line_kind kind = smtp_line_framer_feed(&receiver->line, in, RECEIVER_LINE_MAX_BYTES, &line, &used);
	if (kind == SMTP_LINE_MORE)
		return used;
	smtp_receiver_progress(receiver);
	switch (kind) {
	case SMTP_LINE_MORE:
	case SMTP_LINE_COMPLETE:
		complete_line(receiver, line);
		break;
	case SMTP_LINE_TOO_LONG:
		if (!check_limits(receiver, receiver->state == RECEIVER_AUTH ? IS_FREE : 0))
			break;
		/* RFC 4954 §6 has a code of its own for it. */
		if (receiver->state == RECEIVER_AUTH)
			smtp_receiver_auth_fail(receiver, "500 5.5.6 Authentication exchange line is too long");
		else
			smtp_receiver_say(receiver, "500 5.5.2 Line too long");
		break;
	case SMTP_LINE_BARE_LF:
		/* What stands behind the LF is the rest of a line to whoever counts in CRLF, and a command of its own to whoever does
		 * not: nothing of it may be run, and no reply may be given to it. So the session ends here. */
		smtp_receiver_say(receiver, "500 5.5.2 Bare LF: lines end with CR LF");
		smtp_receiver_close(receiver, "a bare LF in a command");
		break;
	}
	smtp_line_framer_clear(&receiver->line);
	return used;
}
