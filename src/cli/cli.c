#include "cli/cli.h"

#include "base/mem.h"
#include "cli/terminal.h"

#include <stdarg.h>
#include <string.h>

#define SENTENCE_MAX_BYTES 4096u

void cli_error(const char *format, ...)
{
	char sentence[SENTENCE_MAX_BYTES];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(sentence, sizeof sentence, format, args);
	va_end(args);
	if (n < 0)
		return;
	/* Servers' words are in some of them. */
	terminal_clean(sentence, strlen(sentence));
	fprintf(stderr, "postrider: %s\n", sentence);
}

int cli_exit_code(enum err err)
{
	switch (err) {
	case ERR_OK:
		return EX_OK;
	case ERR_SYNTAX:
	case ERR_LIMIT:
		return EX_DATAERR;
	case ERR_NOT_FOUND:
		return EX_NOUSER;
	case ERR_EXISTS:
		return EX_CANTCREAT;
	case ERR_IO:
	case ERR_NO_SPACE:
		return EX_IOERR;
	case ERR_AGAIN:
	case ERR_BUSY:
	case ERR_TIMEOUT:
	case ERR_CLOSED:
		return EX_TEMPFAIL;
	case ERR_PERMISSION:
		return EX_NOPERM;
	case ERR_CONFIG:
		return EX_CONFIG;
	default:
		return EX_UNAVAILABLE;
	}
}

int cli_fail(enum err err)
{
	const char *detail = err_detail();
	cli_error("%s", detail[0] != '\0' ? detail : err_name(err));
	return cli_exit_code(err);
}

int cli_options(const struct usage *usage, int argc, char *const *argv, size_t min, size_t max,
	struct option_list *ret_arguments)
{
	bool help = false;
	struct option_list arguments = { 0 };
	enum err err = options_read(usage, argc, argv, &arguments, &help);
	if (err == ERR_OK && help) {
		options_help(usage, stdout);
		return EX_OK;
	}
	if (err == ERR_OK && arguments.count < min)
		err = err_set(ERR_SYNTAX, "an argument is missing");
	if (err == ERR_OK && arguments.count > max)
		err = err_set(ERR_SYNTAX, "'%s' is one argument too many", arguments.items[max]);
	if (err != ERR_OK) {
		struct view synopsis = view_from_cstr(usage->synopsis);
		cli_error("%s", err_detail());
		fprintf(stderr, "Usage: %.*s\n", VIEW_ARG(view_sub(synopsis, 0, view_find(synopsis, '\n'))));
		return EX_USAGE;
	}
	*ret_arguments = arguments;
	return -1;
}

static void group_help(const char *group, size_t count, const struct subcommand *subcommands, FILE *out)
{
	fprintf(out, "Usage: postrider %s ", group);
	for (size_t i = 0; i < count; i++)
		fprintf(out, "%s%s", i > 0 ? "|" : "", subcommands[i].name);
	fputs(" [arguments] [options]\n\n", out);
	for (size_t i = 0; i < count; i++)
		fprintf(out, "  %-10s %s\n", subcommands[i].name, subcommands[i].summary);
	fprintf(out, "\nEach has its own --help: postrider %s %s --help\n", group, subcommands[0].name);
}

/* Options may stand before the subcommand's name, too: `postrider queue --config FILE list`. Moves the name to argv[1]. */
static void name_first(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--config") == 0 || strcmp(argv[i], "-c") == 0) {
			i++;
		} else if (argv[i][0] != '-') {
			char *name = argv[i];
			memmove(argv + 2, argv + 1, (size_t)(i - 1) * sizeof argv[0]);
			argv[1] = name;
			return;
		} else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			return;
		}
	}
}

static int group_unknown(const char *group, size_t count, const struct subcommand *subcommands, const char *name)
{
	const char *names[16];
	ASSERT(count <= sizeof names / sizeof names[0]);
	for (size_t i = 0; i < count; i++)
		names[i] = subcommands[i].name;
	const char *near = options_nearest(name, count, names);
	if (near != NULL)
		cli_error("unknown: postrider %s %s, did you mean '%s'?", group, name, near);
	else
		cli_error("unknown: postrider %s %s (see: postrider %s --help)", group, name, group);
	return EX_USAGE;
}

int cli_group(const char *group, size_t count, const struct subcommand *subcommands, int argc, char **argv)
{
	name_first(argc, argv);
	if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		group_help(group, count, subcommands, stdout);
		return EX_OK;
	}
	if (argc < 2 || argv[1][0] == '-') {
		group_help(group, count, subcommands, stderr);
		return EX_USAGE;
	}
	for (size_t i = 0; i < count; i++)
		if (strcmp(argv[1], subcommands[i].name) == 0)
			return subcommands[i].run(argc - 1, argv + 1);
	return group_unknown(group, count, subcommands, argv[1]);
}

struct config *cli_load_config(const char *path_argument, int *ret_exit)
{
	struct buf errors = { 0 };
	struct config *config = config_load(config_default_path(path_argument), &errors);
	if (config == NULL) {
		struct view rest = view_trim(buf_view(&errors));
		struct view line;
		while (view_split(&rest, '\n', &line))
			fprintf(stderr, "postrider: %.*s\n", VIEW_ARG(line));
		*ret_exit = EX_CONFIG;
	}
	buf_clear(&errors);
	return config;
}

void cli_print_json(const json_t *value)
{
	json_dumpf(value, stdout, JSON_COMPACT | JSON_ENCODE_ANY);
	fputc('\n', stdout);
}

json_t *cli_json_text(const char *argument)
{
	struct buf shown = { 0 };
	struct view text = view_from_cstr(argument);
	bool fits = view_is_utf8(text) || buf_append_escaped(&shown, text, text.len) == ERR_OK;
	json_t *made = json_string(!fits ? "?" : shown.len > 0 ? buf_cstr(&shown) : argument);
	ASSERT(made != NULL);
	buf_clear(&shown);
	return made;
}

const char *cli_text(const json_t *value)
{
	static char ring[4][1024];
	static unsigned next;
	char *text = ring[next++ % 4];
	const char *from = json_string_value(value);
	size_t len = from != NULL ? strlen(from) : 0;
	len = len < sizeof ring[0] ? len : sizeof ring[0] - 1;
	if (len > 0)
		memcpy(text, from, len);
	terminal_clean(text, len);
	text[len] = '\0';
	return text;
}
