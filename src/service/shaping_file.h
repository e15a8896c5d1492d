/* The shaping rules that a configuration names (delivery.shaping), read from their file. */
#ifndef SERVICE_SHAPING_FILE_H
#define SERVICE_SHAPING_FILE_H

#include "queue/shaping.h"

/* `path` NULL: what is built in. NULL with the errors in *ret_errors, one a line, as shaping_parse(); also when the file can't be read. */
struct shaping *shaping_load(const char *path, struct buf *ret_errors);

#endif
