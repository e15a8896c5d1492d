/* Words of others on a terminal. */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include <stddef.h>

/* Makes a text harmless, in place: control characters (C0, DEL, C1 as UTF-8), bytes that are no UTF-8, and marks that turn the direction of writing become
 * '?', byte for byte; a tab becomes a blank. */
void terminal_clean(char *text, size_t len);

#endif
