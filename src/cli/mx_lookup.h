/* The MX hosts of a domain, asked for on the spot: for commands that have no loop of their own. */
#ifndef CLI_MX_LOOKUP_H
#define CLI_MX_LOOKUP_H

#include "config/config.h"
#include "route/mx.h"

/* Asks the servers of `config` (NULL: the system's). The names live in the arena. ERR_NOT_FOUND with a sentence when there are none, ERR_AGAIN when
 * DNS gives no answer now. */
enum err mx_lookup(
	const struct config *config, struct view domain, struct arena *arena, struct mx_hosts *ret) MUST_CHECK;

#endif
