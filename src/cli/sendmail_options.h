/* The arguments of the old sendmail interface, as PHP's mail(), cron, git send-email and others give them. Pure. */
#ifndef CLI_SENDMAIL_OPTIONS_H
#define CLI_SENDMAIL_OPTIONS_H

#include "cli/options.h"
#include "smtp/receiver.h"

enum sendmail_mode {
	SENDMAIL_SUBMIT, /* -bm, the default */
	SENDMAIL_SMTP, /* -bs */
	SENDMAIL_LIST_QUEUE, /* -bp */
	SENDMAIL_RUN_QUEUE, /* -q */
	SENDMAIL_NEW_ALIASES, /* -bi, -I */
	SENDMAIL_HELP, /* --help */
};
struct sendmail_options {
	enum sendmail_mode mode;
	bool recipients_from_header; /* -t */
	bool dot_is_text; /* -i, -oi */
	bool verbose; /* -v */
	const char *sender; /* -f, -r; NULL: not given */
	const char *full_name; /* -F */
	const char *config_path; /* -C, --config */
	unsigned notify; /* -N: SMTP_NOTIFY_* bits */
	enum smtp_ret ret; /* -R */
	const char *envid; /* -V; NULL: not given */
	struct option_list recipients;
};

/* Everything is borrowed from argv. ERR_SYNTAX with a sentence. Options of sendmail's that have no meaning here are accepted. */
enum err sendmail_options_read(int argc, char *const *argv, struct sendmail_options *ret) MUST_CHECK;

#endif
