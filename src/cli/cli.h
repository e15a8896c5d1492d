/* What all subcommands share: how they speak, how they end, how they read secrets. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "base/buf.h"
#include "cli/options.h"
#include "config/config.h"

#include <jansson.h>
#include <sysexits.h>

/* "postrider: sentence" on stderr. */
void cli_error(const char *format, ...) PRINTF_LIKE(1, 2);
/* Prints err_detail() (or the error's name) as cli_error() does and returns the exit code that fits. */
int cli_fail(enum err err);
/* sysexits code of a failure: 65 bad data, 67 no such thing, 69 refused, 73 exists already, 74 input/output, 75 try later … */
int cli_exit_code(enum err err);

/* Reads arguments. -1: go on. Else an exit code: help was printed (0), or the sentence about what is wrong (64). At least `min` and at
 * most `max` arguments that are no options. */
int cli_options(const struct usage *usage, int argc, char *const *argv, size_t min, size_t max,
	struct option_list *ret_arguments);

/* One word of a command group: `postrider domain add …`. */
struct subcommand {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *summary;
};
/* Runs the word in argv[1]; without a word, or with --help, tells which there are. */
int cli_group(const char *group, size_t count, const struct subcommand *subcommands, int argc, char **argv);

/* Loads the configuration or prints its errors, one a line; *ret_exit is then 78. */
struct config *cli_load_config(const char *path_argument, int *ret_exit);

/* One JSON value on one line on stdout. The value is borrowed. */
void cli_print_json(const json_t *value);
/* An argument as a JSON string, never NULL: bytes that are not UTF-8 are shown as \xNN, and so match nothing. A new reference. */
json_t *cli_json_text(const char *argument);
/* A JSON string's text made safe for a terminal: control characters of peers become '?'. Borrowed until the fourth call after. */
const char *cli_text(const json_t *value);

/* A password: with a terminal the prompt is shown and nothing echoed (asked `twice`, both must agree), else the first line of
 * stdin. 1–1024 bytes. Use cli_forget() on the buffer afterwards. */
enum err cli_read_password(const char *prompt, bool twice, struct buf *ret) MUST_CHECK;
/* The first line of a file: a password file. */
enum err cli_read_secret_file(const char *path, struct buf *ret) MUST_CHECK;
/* Overwrites and frees. */
void cli_forget(struct buf *secret);

/* A whole file or stream into memory; ERR_LIMIT above the buffer's bound. */
enum err cli_read_fd(int fd, struct buf *out) MUST_CHECK;
enum err cli_read_file(const char *path, struct buf *out) MUST_CHECK;
enum err cli_write_fd(int fd, struct view bytes) MUST_CHECK;

/* "2026-03-01 12:30:05" in local time. */
struct cli_time_text {
	char text[32];
};
struct cli_time_text cli_time(int64_t wall_ms);
/* "850 ms", "12 s", "4 min", "3 h", "2 days". */
struct cli_time_text cli_duration(int64_t ms);
/* "850 B", "12 KiB", "3.4 MiB". */
struct cli_time_text cli_size(uint64_t bytes);

/* When root: become the owner of this folder for good, so that what is written there stays his. Not root: nothing. */
enum err cli_become_owner(const char *folder) MUST_CHECK;

#define CLI_CONFIG_OPTION(target)                                                                                      \
	{                                                                                                              \
		.name = "config", .letter = 'c', .value_name = "FILE", .help = "configuration file",                   \
		.ret_value = (target)                                                                                  \
	}
#define CLI_JSON_OPTION(target)                                                                                        \
	{                                                                                                              \
		.name = "json", .letter = 0, .value_name = NULL, .help = "answer as JSON", .ret_flag = (target)        \
	}

#endif
