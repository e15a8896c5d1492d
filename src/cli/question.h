/* Commands that are one question to the server (or to the store, when none runs): words in, one call, the answer printed. */
#ifndef CLI_QUESTION_H
#define CLI_QUESTION_H

#include "cli/cli.h"

struct question {
	const char *command; /* of the administration: "domain.list" */
	const char *synopsis, *text; /* for --help */
	size_t min, max; /* words */
	bool has_days; /* takes --days N, too */
	/* The words as arguments, a new reference; NULL: none are sent. */
	json_t *(*pack)(const struct option_list *words);
	void (*print)(const json_t *result, const struct option_list *words); /* without --json */
};
/* All of a command: options, call, answer; the exit code. */
int question_run(const struct question *question, int argc, char **argv);

/* The first word, if there is one, as "domain", "address". */
json_t *question_domain(const struct option_list *words);
json_t *question_address(const struct option_list *words);

/* Members of an answer: safe for a terminal ("" if absent; borrowed as cli_text() says), or a number. */
const char *question_text(const json_t *object, const char *key);
long long question_number(const json_t *object, const char *key);

#endif
