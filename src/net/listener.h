/* Listening sockets. Binding is separate from accepting: sockets are bound while still root, then served after
 * privileges are dropped. */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include "net/address.h"
#include "net/loop.h"

/* A bound, listening, non-blocking socket (SO_REUSEADDR; IPV6_V6ONLY on IPv6). -1 with err_detail(), one clear
 * sentence such as "cannot listen on 127.0.0.1:25: another program uses it (see: ss -ltnp)" or "… needs root or
 * CAP_NET_BIND_SERVICE". */
int listener_bind(const struct net_address *address, int backlog);
/* False where the kernel has no IPv6 (many containers): there "*" means its IPv4 half alone. */
bool listener_has_ipv6(void);

struct listener;
/* Accepts on `loop`, calling accepted() with a non-blocking, close-on-exec socket that the owner now has. Several
 * listeners on several loops may share one fd: who comes first takes the connection. Without descriptors (EMFILE) or
 * memory it pauses for a second and logs, never spins. accepted() may call listener_stop(). */
struct listener *listener_start(
	struct loop *loop, int fd, void (*accepted)(void *owner, int fd, const struct net_address *peer), void *owner);
/* Stops accepting; the fd stays open (its binder closes it). NULL is fine. */
void listener_stop(struct listener *listener);

#endif
