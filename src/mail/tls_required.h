/* The TLS-Required header field (RFC 8689 §3): its author would rather have the message sent in clear than not at all. Pure. */
#ifndef MAIL_TLS_REQUIRED_H
#define MAIL_TLS_REQUIRED_H

#include "base/view.h"

/* True if the header section has exactly one such field, and it says "No", the only value there is. Anything else counts as absent: the
 * field takes protection away, so where there is doubt it does not. */
bool tls_required_is_no(struct view headers);

#endif
