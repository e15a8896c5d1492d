/* The configuration text that `postrider init` writes: config_template() with what only init knows. Pure. */
#ifndef CLI_INIT_TEXT_H
#define CLI_INIT_TEXT_H

#include "base/buf.h"

struct init_text {
	const char *hostname, *data, *certificate, *key;
	const char *user; /* NULL: the default */
	const char *postmaster; /* NULL: the default */
	bool high_ports; /* 8025, 8587, 8465 instead of ports that need root */
};
enum err init_text_make(const struct init_text *init, struct buf *out) MUST_CHECK;

#endif
