/* The receive loops: threads that hold client connections. */
#ifndef SERVICE_RECEIVE_H
#define SERVICE_RECEIVE_H

#include "service/smtp_in.h"

/* A bound socket and what is spoken on it. */
struct bound_socket {
	int fd;
	enum listener_kind kind;
	bool is_local;
};

/* Makes the loop and its listen points (not yet accepting). */
enum err receive_init(struct receive_loop *receiver, struct server *server, unsigned number, size_t socket_count,
	const struct bound_socket *sockets) MUST_CHECK;
enum err receive_start(struct receive_loop *receiver) MUST_CHECK;
/* Stops accepting; sessions between messages get 421, the others finish theirs. Any thread. */
void receive_shutdown(struct receive_loop *receiver);
/* Closes what is left. Any thread. */
void receive_force(struct receive_loop *receiver);
/* Ends the thread: nothing of it may be under way any more. */
void receive_join(struct receive_loop *receiver);
void receive_clear(struct receive_loop *receiver);
/* The loop's resolver, made when it is first needed. NULL, with err_detail(), if that can't be done. On the loop's thread. */
struct resolver *receive_resolver(struct receive_loop *receiver);

#endif
