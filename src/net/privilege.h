/* Started as root: bind ports, read keys, then drop to the service's own user for good. */
#ifndef NET_PRIVILEGE_H
#define NET_PRIVILEGE_H

#include "base/err.h"
#include <stdbool.h>

bool privilege_is_root(void);
/* Creates the folder (0700, owned by user when root) if it is missing. user NULL: the current one. */
enum err privilege_make_folder(const char *path, const char *user) MUST_CHECK;
/* setgroups, setgid, setuid, PR_SET_NO_NEW_PRIVS; verifies that root can't be had back. */
enum err privilege_drop(const char *user) MUST_CHECK;
/* Raises RLIMIT_NOFILE to its hard limit. */
void privilege_raise_file_limit(void);

#endif
