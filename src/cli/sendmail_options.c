#include "cli/sendmail_options.h"

#include <string.h>

/* How an option letter takes its value. */
enum value_kind {
	VALUE_NONE, /* a flag: more letters may follow in the same word */
	VALUE_NEEDED, /* attached, or the next word */
	VALUE_ATTACHED, /* the rest of the word, which may be empty */
};

struct letter {
	char letter;
	enum value_kind kind;
	enum err (*set)(struct sendmail_options *options, const char *value); /* NULL: ignored */
};

static enum err set_mode(struct sendmail_options *options, const char *value)
{
	switch (value[0]) {
	case 'm':
		options->mode = SENDMAIL_SUBMIT;
		return ERR_OK;
	case 's':
		options->mode = SENDMAIL_SMTP;
		return ERR_OK;
	case 'p':
		options->mode = SENDMAIL_LIST_QUEUE;
		return ERR_OK;
	case 'i':
		options->mode = SENDMAIL_NEW_ALIASES;
		return ERR_OK;
	case 'd':
	case 'D':
		return err_set(ERR_SYNTAX, "-b%c starts no server here: postrider serve does", value[0]);
	default:
		return err_set(ERR_SYNTAX, "the mode -b%.10s is not supported (-bm, -bs, -bp, -bi are)", value);
	}
}

static enum err set_sender(struct sendmail_options *options, const char *value)
{
	options->sender = value;
	return ERR_OK;
}

static enum err set_full_name(struct sendmail_options *options, const char *value)
{
	options->full_name = value;
	return ERR_OK;
}

static enum err set_config(struct sendmail_options *options, const char *value)
{
	options->config_path = value;
	return ERR_OK;
}

/* RFC 3461 §4.1: NEVER alone, or a list of the others. */
static enum err set_notify(struct sendmail_options *options, const char *value)
{
	const struct {
		struct view word;
		unsigned bit;
	} words[] = {
		{ VIEW("never"), SMTP_NOTIFY_NEVER },
		{ VIEW("success"), SMTP_NOTIFY_SUCCESS },
		{ VIEW("failure"), SMTP_NOTIFY_FAILURE },
		{ VIEW("delay"), SMTP_NOTIFY_DELAY },
	};
	struct view rest = view_from_cstr(value);
	struct view word;
	unsigned bits = 0;
	while (view_split(&rest, ',', &word)) {
		unsigned bit = 0;
		for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
			if (view_eq_nocase(view_trim(word), words[i].word))
				bit = words[i].bit;
		if (bit == 0)
			return err_set(ERR_SYNTAX, "-N takes never, or some of success,failure,delay");
		bits |= bit;
	}
	if (bits == 0 || ((bits & SMTP_NOTIFY_NEVER) != 0 && bits != SMTP_NOTIFY_NEVER))
		return err_set(ERR_SYNTAX, "-N takes never, or some of success,failure,delay");
	options->notify = bits;
	return ERR_OK;
}

static enum err set_return(struct sendmail_options *options, const char *value)
{
	if (view_eq_nocase(view_from_cstr(value), VIEW("full")))
		options->ret = SMTP_RET_FULL;
	else if (view_eq_nocase(view_from_cstr(value), VIEW("hdrs")))
		options->ret = SMTP_RET_HDRS;
	else
		return err_set(ERR_SYNTAX, "-R takes full or hdrs");
	return ERR_OK;
}

static enum err set_envid(struct sendmail_options *options, const char *value)
{
	/* RFC 3461 §4.4: at most 100 characters once encoded, printable. */
	if (strlen(value) > 100)
		return err_set(ERR_SYNTAX, "-V: an envelope id has at most 100 characters");
	for (const char *c = value; *c != '\0'; c++)
		if (!ascii_is_printable((uint8_t)*c))
			return err_set(ERR_SYNTAX, "-V: an envelope id is printable ASCII");
	options->envid = value;
	return ERR_OK;
}

static enum err set_old_option(struct sendmail_options *options, const char *value)
{
	if (strcmp(value, "i") == 0)
		options->dot_is_text = true;
	return ERR_OK;
}

/* -O IgnoreDots=True is -oi's long form; the others have no meaning here. */
static enum err set_long_option(struct sendmail_options *options, const char *value)
{
	if (view_starts_with_nocase(view_from_cstr(value), VIEW("ignoredots")))
		options->dot_is_text = true;
	return ERR_OK;
}

static enum err run_queue(struct sendmail_options *options, const char *value)
{
	(void)value;
	options->mode = SENDMAIL_RUN_QUEUE;
	return ERR_OK;
}

static enum err set_from_header(struct sendmail_options *options, const char *value)
{
	(void)value;
	options->recipients_from_header = true;
	return ERR_OK;
}

static enum err set_dot_is_text(struct sendmail_options *options, const char *value)
{
	(void)value;
	options->dot_is_text = true;
	return ERR_OK;
}

static enum err set_verbose(struct sendmail_options *options, const char *value)
{
	(void)value;
	options->verbose = true;
	return ERR_OK;
}

static enum err set_new_aliases(struct sendmail_options *options, const char *value)
{
	(void)value;
	options->mode = SENDMAIL_NEW_ALIASES;
	return ERR_OK;
}

static const struct letter letters[] = {
	{ 't', VALUE_NONE, set_from_header },
	{ 'i', VALUE_NONE, set_dot_is_text },
	{ 'v', VALUE_NONE, set_verbose },
	{ 'I', VALUE_NONE, set_new_aliases },
	{ 'f', VALUE_NEEDED, set_sender },
	{ 'r', VALUE_NEEDED, set_sender },
	{ 'F', VALUE_NEEDED, set_full_name },
	{ 'b', VALUE_NEEDED, set_mode },
	{ 'C', VALUE_NEEDED, set_config },
	{ 'N', VALUE_NEEDED, set_notify },
	{ 'R', VALUE_NEEDED, set_return },
	{ 'V', VALUE_NEEDED, set_envid },
	{ 'O', VALUE_NEEDED, set_long_option },
	{ 'o', VALUE_NEEDED, set_old_option },
	{ 'q', VALUE_ATTACHED, run_queue },
	/* Accepted, without a meaning here. */
	{ 'A', VALUE_ATTACHED, NULL },
	{ 'B', VALUE_NEEDED, NULL },
	{ 'd', VALUE_ATTACHED, NULL },
	{ 'E', VALUE_NONE, NULL },
	{ 'G', VALUE_NONE, NULL },
	{ 'h', VALUE_NEEDED, NULL },
	{ 'L', VALUE_NEEDED, NULL },
	{ 'm', VALUE_NONE, NULL },
	{ 'n', VALUE_NONE, NULL },
	{ 'p', VALUE_NEEDED, NULL },
	{ 'Q', VALUE_ATTACHED, NULL },
	{ 'U', VALUE_NONE, NULL },
	{ 'X', VALUE_NEEDED, NULL },
};

static const struct letter *find(char letter)
{
	for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++)
		if (letters[i].letter == letter)
			return &letters[i];
	return NULL;
}

static enum err apply(const struct letter *letter, struct sendmail_options *options, const char *value)
{
	return letter->set != NULL ? letter->set(options, value) : ERR_OK;
}

static enum err read_word(int argc, char *const *argv, int *at, struct sendmail_options *options)
{
	for (const char *c = argv[*at] + 1; *c != '\0'; c++) {
		const struct letter *letter = find(*c);
		if (letter == NULL)
			return err_set(ERR_SYNTAX, "unknown option -%c (see: postrider sendmail --help)",
				ascii_is_printable((uint8_t)*c) ? *c : '?');
		if (letter->kind == VALUE_NONE) {
			enum err err = apply(letter, options, "");
			if (err != ERR_OK)
				return err;
			continue;
		}
		if (letter->kind == VALUE_ATTACHED || c[1] != '\0')
			return apply(letter, options, c + 1);
		if (*at + 1 >= argc)
			return err_set(ERR_SYNTAX, "-%c needs a value", *c);
		*at += 1;
		return apply(letter, options, argv[*at]);
	}
	return ERR_OK;
}

static enum err add_recipient(struct sendmail_options *options, const char *word)
{
	struct option_list *list = &options->recipients;
	if (list->count >= OPTION_LIST_MAX)
		return err_set(ERR_LIMIT, "more than %u recipients as arguments (use -t)", OPTION_LIST_MAX);
	list->items[list->count++] = word;
	return ERR_OK;
}

enum err sendmail_options_read(int argc, char *const *argv, struct sendmail_options *ret)
{
	struct sendmail_options options = { 0 };
	bool only_recipients = false;
	for (int at = 1; at < argc; at++) {
		const char *word = argv[at];
		enum err err = ERR_OK;
		if (only_recipients || word[0] != '-' || word[1] == '\0')
			err = add_recipient(&options, word);
		else if (strcmp(word, "--") == 0)
			only_recipients = true;
		else if (strcmp(word, "--help") == 0)
			options.mode = SENDMAIL_HELP;
		else if (strcmp(word, "--config") == 0 && at + 1 < argc)
			options.config_path = argv[++at];
		else if (word[1] == '-')
			err = err_set(ERR_SYNTAX, "unknown option %.60s (see: postrider sendmail --help)", word);
		else
			err = read_word(argc, argv, &at, &options);
		if (err != ERR_OK)
			return err;
	}
	*ret = options;
	return ERR_OK;
}
