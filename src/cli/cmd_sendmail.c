/* Submission by programs: what they write on standard input goes to the running server over its local socket. */
#include "cli/admin_client.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/local_socket.h"
#include "cli/sendmail_message.h"
#include "cli/sendmail_pipe.h"
#include "cli/smtp_session.h"

#include "base/clock.h"
#include "base/mem.h"
#include "crypto/random.h"

#include <pwd.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define INPUT_MAX_BYTES (1024u * 1024 * 1024)

static const struct usage usage = {
	.synopsis = "sendmail [-t] [-i] [-f SENDER] [-F NAME] [-N WHEN] [-R full|hdrs] [-V ENVID] [-v] [--] "
		    "[RECIPIENT...]\n"
		    "sendmail -bs | -bp | -q",
	.text = "Takes a message from standard input, as the old sendmail did, and hands it to the running server. "
		"Install it\n"
		"as /usr/sbin/sendmail for PHP, cron, git send-email and the like.\n\n"
		"  -t         recipients are in To, Cc and Bcc (and as arguments)\n"
		"  -i, -oi    a line with just a dot does not end the message\n"
		"  -f SENDER  where bounces go; <> for none    -F NAME  the sender's full name, if From is missing\n"
		"  -N WHEN    delivery reports: never, or some of success,failure,delay\n"
		"  -R, -V     return full message or hdrs; envelope id    -v  show the server's answers\n"
		"  -bs        speak SMTP on standard input and output\n"
		"  -bp        list the queue (as mailq)    -q  try the whole queue now\n"
		"  -C FILE, --config FILE   configuration (only `socket`, `data`, `hostname` and `postmaster` are "
		"read)\n"
		"Other options of the old sendmail are accepted and ignored. From, Date and Message-ID are added where "
		"missing,\n"
		"Bcc is removed. Exit codes: 0 accepted, 64 usage, 65 data, 67 no such user, 69 refused, 75 try later, "
		"77 not\n"
		"permitted, 78 configuration.\n",
};

/* The GECOS field up to its first comma; "&" stands for the capitalised login name. */
static enum err full_name_of(const struct passwd *user, struct buf *out)
{
	struct view gecos = view_from_cstr(user->pw_gecos);
	gecos = view_sub(gecos, 0, view_find(gecos, ','));
	enum err err = ERR_OK;
	for (size_t i = 0; err == ERR_OK && view_is_utf8(gecos) && i < gecos.len; i++) {
		if (gecos.ptr[i] != '&') {
			err = buf_append_byte(out, gecos.ptr[i]);
			continue;
		}
		size_t at = out->len;
		err = buf_append_cstr(out, user->pw_name);
		if (err == ERR_OK && out->len > at)
			out->ptr[at] = ascii_upper(out->ptr[at]);
	}
	return err;
}

struct who {
	struct buf user, full_name;
};

static enum err find_user(struct who *who)
{
	const struct passwd *user = getpwuid(getuid());
	if (user == NULL)
		return buf_append_format(&who->user, "uid%u", (unsigned)getuid());
	enum err err = buf_append_cstr(&who->user, user->pw_name);
	return err == ERR_OK ? full_name_of(user, &who->full_name) : err;
}

static int zone_minutes(int64_t wall_ms)
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm broken;
	return localtime_r(&seconds, &broken) != NULL ? (int)(broken.tm_gmtoff / 60) : 0;
}

static enum err build(
	const struct sendmail_options *options, const struct local_facts *local, struct sendmail_message *ret)
{
	struct buf input = { .max_bytes = INPUT_MAX_BYTES };
	struct who who = { 0 };
	enum err err = find_user(&who);
	if (err == ERR_OK)
		err = cli_read_fd(STDIN_FILENO, &input);
	if (err == ERR_OK) {
		struct sendmail_facts facts = {
			.user = buf_view(&who.user),
			.full_name = buf_view(&who.full_name),
			.domain = buf_view(&local->domain),
			.hostname = buf_view(&local->hostname),
			.wall_ms = clock_wall_ms(),
		};
		facts.zone_minutes = zone_minutes(facts.wall_ms);
		random_bytes(facts.random, sizeof facts.random);
		err = sendmail_message_build(buf_view(&input), options, &facts, ret);
	}
	buf_clear(&input);
	buf_clear(&who.user);
	buf_clear(&who.full_name);
	return err;
}

static int transmit(
	const struct sendmail_options *options, struct local_facts *local, const struct sendmail_message *message)
{
	struct smtp_session session = { .content = buf_view(&message->content), .verbose = options->verbose };
	struct smtp_session_outcome outcome = { 0 };
	struct smtp_sender_recipient *recipients = mem_alloc_array(message->recipient_count, sizeof *recipients);
	struct view rest = buf_view(&message->recipients);
	struct view address;
	for (size_t i = 0; i < message->recipient_count && view_split(&rest, '\n', &address); i++)
		recipients[i] = (struct smtp_sender_recipient){ .address = address, .notify = options->notify };
	smtp_sender_options_init(&session.sender);
	session.sender.ehlo_name = buf_view(&local->hostname);
	session.sender.tls = SMTP_TLS_NEVER;
	session.transaction = (struct smtp_sender_transaction){
		.reverse_path = buf_view(&message->sender),
		.recipient_count = message->recipient_count,
		.recipients = recipients,
		.size_bytes = message->content.len,
		.body = message->is_8bit ? SMTP_BODY_8BITMIME : SMTP_BODY_7BIT,
		.smtputf8 = message->is_smtputf8,
		.ret = options->ret,
		.envid = view_from_cstr(options->envid),
	};
	enum err err = local_socket_connect_submission(local, &session.fd);
	if (err == ERR_OK)
		err = smtp_session_run(&session, &outcome);
	int code = err == ERR_OK ? smtp_session_report(&outcome, &session.transaction) : cli_fail(err);
	smtp_session_outcome_clear(&outcome);
	mem_free(recipients);
	return code;
}

static int submit(const struct sendmail_options *options)
{
	struct local_facts local = { 0 };
	struct sendmail_message message = { 0 };
	enum err err = local_facts_read(options->config_path, &local);
	if (err == ERR_OK)
		err = build(options, &local, &message);
	int code = err == ERR_OK ? transmit(options, &local, &message) : cli_fail(err);
	sendmail_message_clear(&message);
	local_facts_clear(&local);
	return code;
}

static int speak_smtp(const struct sendmail_options *options)
{
	struct local_facts local = { 0 };
	int fd;
	enum err err = local_facts_read(options->config_path, &local);
	if (err == ERR_OK)
		err = local_socket_connect_submission(&local, &fd);
	if (err == ERR_OK) {
		err = sendmail_pipe(fd, STDIN_FILENO, STDOUT_FILENO);
		close(fd);
	}
	local_facts_clear(&local);
	return err == ERR_OK ? EX_OK : cli_fail(err);
}

static int run_queue(const struct sendmail_options *options)
{
	json_t *result = NULL;
	json_t *all = json_pack("{s:b,s:b}", "all", 1, "unreleased", 1);
	int code = admin_client_once(options->config_path, "queue.retry", all, &result);
	json_decref(result);
	return code < 0 ? EX_OK : code;
}

static int list_queue(const struct sendmail_options *options)
{
	char words[][16] = { "queue", "list", "--config" };
	CLEANUP(mem_free_pointer) char *path = options->config_path != NULL ? mem_dup_cstr(options->config_path) : NULL;
	char *argv[] = { words[0], words[1], words[2], path, NULL };
	return cmd_queue(path != NULL ? 4 : 2, argv);
}

int cmd_sendmail(int argc, char **argv)
{
	struct sendmail_options options;
	if (sendmail_options_read(argc, argv, &options) != ERR_OK) {
		cli_error("%s", err_detail());
		return EX_USAGE;
	}
	switch (options.mode) {
	case SENDMAIL_SUBMIT:
		if (options.recipients.count == 0 && !options.recipients_from_header) {
			cli_error("there is no recipient: name one, or use -t to take them from the header");
			return EX_USAGE;
		}
		return submit(&options);
	case SENDMAIL_SMTP:
		return speak_smtp(&options);
	case SENDMAIL_LIST_QUEUE:
		return list_queue(&options);
	case SENDMAIL_RUN_QUEUE:
		return run_queue(&options);
	case SENDMAIL_NEW_ALIASES:
		return commands_new_aliases();
	case SENDMAIL_HELP:
		options_help(&usage, stdout);
		return EX_OK;
	}
	return EX_SOFTWARE;
}
