/* Bodies too large for a row: files in <data>/spool/XX/, written and fsynced (file and folder) before the commit that names them. */
#ifndef STORE_SPOOL_H
#define STORE_SPOOL_H

#include "base/view.h"

/* Creates the file for a message id, mode 0600. `ret_name` is what goes into the message row. Returns the fd in *ret_fd. Blocking: worker threads. */
enum err spool_create(const char *data_folder, uint64_t message_id, int *ret_fd, char ret_name[64]) MUST_CHECK;
enum err spool_write(int fd, struct view bytes) MUST_CHECK;
/* fsync of file and folder; closes the fd in every case. */
enum err spool_finish(const char *data_folder, const char *name, int fd) MUST_CHECK;
enum err spool_open(const char *data_folder, const char *name, int *ret_fd, uint64_t *ret_size) MUST_CHECK;
void spool_remove(const char *data_folder, const char *name); /* absent is fine */
/* Removes every file for which keep() is false. At start only. */
enum err spool_sweep(const char *data_folder, bool (*keep)(void *owner, const char *name), void *owner) MUST_CHECK;

#endif
