/*
 * Command-line arguments, read by a table: --name VALUE, --name=VALUE, -n VALUE, -nVALUE, flags bundled as -vj, and "--" before
 * arguments that begin with a dash. Options may stand anywhere. Nothing here prints but options_help().
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "base/view.h"

#include <stdio.h>

#define OPTION_LIST_MAX 1024u
struct option_list {
	size_t count;
	const char *items[OPTION_LIST_MAX];
};

/* One option; exactly one of the three ret_ fields is set. What they point at must hold its default before. */
struct option_spec {
	const char *name; /* "config" */
	char letter; /* 'c', or 0 */
	const char *value_name; /* "FILE" for the help text; NULL for a flag */
	const char *help;
	bool *ret_flag;
	const char **ret_value; /* the last one wins; borrowed from argv */
	struct option_list *ret_list; /* each one counts */
};

/* What one command takes and what its --help says. */
struct usage {
	const char *synopsis; /* "postrider domain add DOMAIN [options]"; further lines are further forms */
	const char *text; /* what it does, complete lines */
	size_t option_count;
	const struct option_spec *options;
};

/* Reads argv[1] …; the arguments that are no options go to *ret_arguments. ERR_SYNTAX with a sentence ("unknown option --jsn, did you
 * mean --json?"). --help and -h set *ret_help and stop. */
enum err options_read(const struct usage *usage, int argc, char *const *argv, struct option_list *ret_arguments,
	bool *ret_help) MUST_CHECK;

void options_help(const struct usage *usage, FILE *out);

/* The one of `names` that a mistyped word is nearest to, or NULL if none is near. */
const char *options_nearest(const char *word, size_t count, const char *const *names);

#endif
