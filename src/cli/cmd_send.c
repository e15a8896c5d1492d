/* A small mail user agent: composes a message and submits it to any server, with TLS and login. */
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/local_socket.h"
#include "cli/send_message.h"
#include "cli/send_server.h"
#include "cli/smtp_session.h"

#include <string.h>
#include <unistd.h>

struct send_options {
	struct send_request request;
	struct send_server server;
	bool verbose;
	struct option_list words;
};

#define TEXT_OPTION(long_name, meta, text, target)                                                                     \
	{                                                                                                              \
		.name = long_name, .value_name = meta, .help = text, .ret_value = (target)                             \
	}
#define LIST_OPTION(long_name, meta, text, target)                                                                     \
	{                                                                                                              \
		.name = long_name, .value_name = meta, .help = text, .ret_list = (target)                              \
	}

static int read_options(int argc, char **argv, struct send_options *send)
{
	struct send_request *request = &send->request;
	struct send_server *server = &send->server;
	const struct option_spec options[] = {
		TEXT_OPTION("from", "ADDRESS", "who sends it: \"Anna <anna@example.com>\"", &request->from),
		LIST_OPTION("to", "ADDRESSES", "who gets it; may be repeated, like --attach", &request->to),
		LIST_OPTION("cc", "ADDRESSES", "who gets a copy", &request->cc),
		LIST_OPTION("bcc", "ADDRESSES", "who gets a copy without the others knowing", &request->bcc),
		TEXT_OPTION("reply-to", "ADDRESS", "where answers go", &request->reply_to),
		{ "subject", 's', "TEXT", "what it is about", .ret_value = &request->subject },
		TEXT_OPTION("text", "TEXT", "the message itself (else from --text-file, or standard input)",
			&request->text),
		TEXT_OPTION("text-file", "FILE", "the same from a file; - is standard input", &request->text_file),
		TEXT_OPTION("html", "HTML", "the message as HTML, beside the text", &request->html),
		TEXT_OPTION("html-file", "FILE", "the same from a file", &request->html_file),
		{ "attach", 'a', "FILE", "attach a file", .ret_list = &request->attachments },
		TEXT_OPTION("server", "HOST[:PORT]", "the server (else the one on this machine)", &server->name),
		TEXT_OPTION("tls", "starttls|implicit|none", "how to encrypt: by the port", &server->tls_name),
		{ .name = "insecure", .help = "do not check the server's certificate", .ret_flag = &server->insecure },
		TEXT_OPTION("ca-file", "FILE", "trust the certificates in this PEM file", &server->ca_file),
		TEXT_OPTION("ca", "FILE", "the same", &server->ca_file),
		{ "login", 'l', "NAME", "log in as", .ret_value = &server->user },
		{ "user", 'u', "NAME", "the same", .ret_value = &server->user },
		TEXT_OPTION("password-file", "FILE", "password (else $POSTRIDER_PASSWORD, else asked)",
			&server->password_file),
		{ "verbose", 'v', NULL, "show the server's answers", .ret_flag = &send->verbose },
		CLI_CONFIG_OPTION(&server->config_path),
	};
	const struct usage usage = {
		.synopsis = "postrider send --from ADDRESS --to ADDRESS [--subject TEXT] [--text TEXT] [--attach "
			    "FILE]... [options]",
		.text = "Writes a message and sends it. Without --server it goes to the server on this machine, "
			"without login.\n"
			"    postrider send --server mail.example.com:587 --login anna@example.com --from "
			"anna@example.com \\\n"
			"        --to bob@example.org --subject 'The report' --text 'Here it is.' --attach "
			"report.pdf\n",
		.option_count = sizeof options / sizeof options[0],
		.options = options,
	};
	return cli_options(&usage, argc, argv, 0, 0, &send->words);
}

static void tell_success(const struct smtp_session_outcome *outcome)
{
	struct buf text = { 0 };
	size_t accepted = 0;
	for (size_t i = 0; i < outcome->reply_count; i++) {
		if (!smtp_reply_is_positive(&outcome->replies[i]))
			continue;
		accepted++;
		buf_reset(&text);
		if (smtp_reply_describe(&outcome->replies[i], &text) != ERR_OK)
			buf_reset(&text);
	}
	if (accepted > 0)
		printf("accepted for %zu recipient%s: %s\n", accepted, accepted == 1 ? "" : "s", buf_cstr(&text));
	buf_clear(&text);
}

static int transmit(struct send_options *send, const struct send_message *message, const struct local_facts *local)
{
	struct smtp_session session = {
		.fd = -1,
		.content = buf_view(&message->content),
		.verbose = send->verbose,
		.progress = isatty(STDERR_FILENO) && !send->verbose,
		.transaction = {
			.reverse_path = buf_view(&message->sender),
			.recipient_count = message->recipient_count,
			.recipients = message->recipients,
			.size_bytes = message->content.len,
			.body = view_is_ascii(buf_view(&message->content)) ? SMTP_BODY_7BIT : SMTP_BODY_8BITMIME,
			.smtputf8 = message->is_smtputf8,
		},
	};
	struct smtp_session_outcome outcome = { 0 };
	smtp_sender_options_init(&session.sender);
	session.sender.ehlo_name = buf_view(&local->hostname);
	enum err err = send_server_prepare(&send->server, &session);
	if (err == ERR_OK)
		err = smtp_session_run(&session, &outcome);
	int code = err == ERR_OK ? smtp_session_report(&outcome, &session.transaction) : cli_fail(err);
	if (err == ERR_OK)
		tell_success(&outcome);
	smtp_session_outcome_clear(&outcome);
	return code;
}

int cmd_send(int argc, char **argv)
{
	struct send_options send = { 0 };
	struct send_message message = { 0 };
	struct local_facts local = { 0 };
	int code = read_options(argc, argv, &send);
	if (code >= 0)
		return code;
	if (send.request.from == NULL && send.server.user != NULL && strchr(send.server.user, '@') != NULL)
		send.request.from = send.server.user;
	enum err err = send_server_check(&send.server);
	if (err != ERR_OK) {
		cli_error("%s", err_detail());
		return EX_USAGE;
	}
	err = local_facts_read(send.server.config_path, &local);
	if (err == ERR_OK) {
		send.request.hostname = buf_view(&local.hostname);
		err = send_message_build(&send.request, &message);
	}
	code = err == ERR_OK ? transmit(&send, &message, &local) : cli_fail(err);
	send_message_clear(&message);
	send_server_clear(&send.server);
	local_facts_clear(&local);
	return code;
}
