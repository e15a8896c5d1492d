#ifndef SERVICE_OAUTH_PRIVATE_H
#define SERVICE_OAUTH_PRIVATE_H

#include "service/oauth.h"

/* oauth_keep.c: writes a new refresh token into `path`, on a worker thread. `path` NULL: there is no such file, which is logged. */
void oauth_keep(struct server *server, struct loop *loop, const char *smarthost, const char *path, struct view token);

#endif
