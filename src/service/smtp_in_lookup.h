/* Asking the directory about one address on behalf of a session: on a reader thread, answered on the session's loop. */
#ifndef SERVICE_SMTP_IN_LOOKUP_H
#define SERVICE_SMTP_IN_LOOKUP_H

#include "service/smtp_in_private.h"

struct lookup {
	struct store_job job; /* first */
	struct smtp_in *session; /* NULL: cancelled */
	struct server *server;
	struct arena arena;
	struct view local, domain; /* the local part's value */
	struct view address; /* as the engine gave it */
	struct smtp_rcpt_parameters rcpt;
	struct directory_options options;
	struct directory_lookup result;
	void (*then)(struct smtp_in *session, const struct lookup *lookup);
};

/* One at a time per session. `address` is the canonical text, `event` gives its parts and parameters; all is copied. */
void smtp_in_lookup(struct smtp_in *session, const struct smtp_event *event,
	void (*then)(struct smtp_in *session, const struct lookup *lookup));

#endif
