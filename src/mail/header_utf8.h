/* Whether a message can only travel with SMTPUTF8 (RFC 6531 §3.4, RFC 6532 §3.2): pure. */
#ifndef MAIL_HEADER_UTF8_H
#define MAIL_HEADER_UTF8_H

#include "base/view.h"

/* True if a header field of the message, of one of its MIME parts or of a message inside has bytes that are not ASCII. */
bool header_utf8_find(struct view message);

#endif
