/*
 * Administration from the command line: through the control socket when a server runs (never two writers), else on the store,
 * which this program then opens and locks itself. Either way service/admin.h does the work.
 */
#ifndef CLI_ADMIN_CLIENT_H
#define CLI_ADMIN_CLIENT_H

#include "config/config.h"

#include <jansson.h>

struct admin_client {
	const struct config *config; /* borrowed */
	struct store *store; /* once opened here */
	void (*waiting)(void *owner,
		int64_t elapsed_ms); /* called twice a second while the server's answer is awaited; NULL: not */
	void *owner;
};

void admin_client_init(struct admin_client *client, const struct config *config);
/* Runs one command. `arguments` is stolen (NULL: none). A new reference in *ret_result. Errors as admin_run(), or what kept us from the
 * store: with a sentence. Blocking. */
enum err admin_client_call(
	struct admin_client *client, const char *command, json_t *arguments, json_t **ret_result) MUST_CHECK;
/* Unlocks the store if it was opened here. */
void admin_client_clear(struct admin_client *client);

/* For a command that makes a single call: loads the configuration, calls, prints what went wrong. -1 and *ret_result, or an exit code. */
int admin_client_once(const char *config_argument, const char *command, json_t *arguments, json_t **ret_result);

#endif
