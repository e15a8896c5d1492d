/* Reads back the fields of an event as base/log.h writes them: key=value key="va lue with \xNN". */
#ifndef CLI_LOGFMT_H
#define CLI_LOGFMT_H

#include "base/buf.h"

/* Takes the next field off the front of *rest; *ret_value (cleared first) holds its value with the \xNN undone. False at the end, or at
 * bytes that are no field. */
bool logfmt_next(struct view *rest, struct view *ret_name, struct buf *ret_value);

#endif
