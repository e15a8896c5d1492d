/*
 * The header section of a message (RFC 5322 §2.2), walked without copying. Line ends are CRLF or a lone LF. A field is as long
 * as the message lets it be: work is linear in the bytes walked over, no memory is used. Pure.
 */
#ifndef MAIL_HEADER_H
#define MAIL_HEADER_H

#include "base/buf.h"

struct header_field {
	struct view name; /* without blanks before the colon (RFC 5322 §4.5); empty if the line is malformed */
	struct view value; /* behind the colon, with folds, without the last line end; of a malformed line all of it */
	struct view whole; /* every byte of it, with the last line end */
};

/* Takes the next field off the front of *rest, which starts as a message or as its header section. False at the empty line or at the
 * end; *rest then begins with the empty line, if there is one. Each true takes at least one byte, so a loop always ends. Malformed
 * (no colon, a name that is empty or not printable ASCII, a folded line without a field before it) is reported with an empty name. */
bool header_next(struct view *rest, struct header_field *ret);
/* The first such field, whatever the case of its name. */
bool header_find(struct view headers, struct view name, struct header_field *ret);
size_t header_count(struct view headers, struct view name);
/* Length up to and with the empty line; the whole message if it has none (then there is no body). */
size_t header_section_length(struct view message);
/* The value without line ends and outer blanks; a stray CR or NUL becomes a space. */
enum err header_unfold(struct view value, struct buf *out) MUST_CHECK;

#endif
