/* `listen https`: of our own domains the MTA-STS policy (RFC 8461 §3.3) and what sets up mail programs (service/autoconfig.h), and nothing else. Sessions
 * live on the receive loops. */
#ifndef SERVICE_HTTPS_IN_H
#define SERVICE_HTTPS_IN_H

#include "base/buf.h"
#include "http/request.h"
#include "service/smtp_in.h"

/* listener_start()'s callback; `owner` is a struct listen_point. */
void https_in_accept(void *owner, int fd, const struct net_address *peer);
/* They have nothing that could not be asked for again: closed at once, also when the server stops. */
void https_in_close_all(struct receive_loop *receiver);

/* The answer to a request, appended. `domains`: which names are ours. For tests, too. */
enum err https_in_answer(const struct config *config, struct domains *domains, const struct http_request *request,
	int64_t now_wall_ms, struct buf *out) MUST_CHECK;

#endif
