/* Asks DNS, as the configuration says, which keys of an answer of dkim.list are published. */
#ifndef CLI_DKIM_LOOKUP_H
#define CLI_DKIM_LOOKUP_H

#include "config/config.h"
#include "mailauth/dkim_record.h"

#include <jansson.h>

/* `keys` is a JSON array of keys; ret_found gets as many. Blocking. ERR_IO with a sentence if there is no resolver to be had. */
enum err dkim_lookup(const struct config *config, const json_t *keys, enum dkim_publication *ret_found) MUST_CHECK;

#endif
