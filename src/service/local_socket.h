/* Unix sockets of the server: its control socket, and the one that sendmail submits to. */
#ifndef SERVICE_LOCAL_SOCKET_H
#define SERVICE_LOCAL_SOCKET_H

#include <sys/types.h>

/* Bound and listening, with this mode; a socket that a dead server left is replaced. -1 with err_detail(). */
int local_socket_bind(const char *path, mode_t mode);

#endif
