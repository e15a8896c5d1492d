/* The control socket: administration while the server runs (service/admin.h has the requests). Belongs to the main loop. */
#ifndef SERVICE_CONTROL_H
#define SERVICE_CONTROL_H

#include "service/server_private.h"

struct control;

/* `fd` is bound and listening; it stays the caller's. */
struct control *control_start(struct server *server, int fd);
/* Stops listening and closes every session; answers under way go nowhere. NULL is fine. */
void control_stop(struct control *control);

#endif
