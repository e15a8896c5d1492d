/* Files and folders that `postrider init` makes, with their owners. */
#ifndef CLI_INIT_FILES_H
#define CLI_INIT_FILES_H

#include "base/view.h"

#include <sys/types.h>

/* The folder and those above it, as far as they are missing (0755). */
enum err init_make_parents(const char *folder) MUST_CHECK;
/* Writes a file whole: beside it first, synced, then renamed; mode and group as given (gid (gid_t)-1: as it comes). Without `overwrite` ERR_EXISTS when
 * something of that name is there. */
enum err init_write_file(const char *path, struct view content, mode_t mode, gid_t gid, bool overwrite) MUST_CHECK;
bool init_exists(const char *path);
/* "/etc/postrider" of "/etc/postrider/postrider.conf", "." of "postrider.conf". To be freed. */
char *init_folder_of(const char *path);
/* Makes a system user with useradd(8). ERR_NOT_FOUND: there is no useradd. */
enum err init_make_user(const char *user, const char *home) MUST_CHECK;

#endif
