/* Incoming SMTP sessions: the receiver engine on a stream, with the server's answers to its questions. */
#ifndef SERVICE_SMTP_IN_H
#define SERVICE_SMTP_IN_H

#include "service/server_private.h"

/* What accepts connections on one socket, for one receive loop. */
struct listen_point {
	struct receive_loop *receiver;
	enum listener_kind kind;
	bool is_local; /* the Unix socket of sendmail: the kernel says who the peer is */
	int fd;
	struct listener *listener;
};

struct dkim_keys;
struct resolver;

/* A thread with the sessions that live on it. */
struct receive_loop {
	struct server *server;
	struct loop *loop;
	pthread_t thread;
	bool started;
	size_t point_count;
	struct listen_point *points;
	struct list sessions;
	uint64_t session_count; /* so far */
	struct list https_sessions; /* of `listen https` */
	/* For the verification of incoming mail; NULL until that is configured. */
	struct resolver *resolver;
	struct dkim_keys *dkim_keys;
	struct loop_task stop_task;
	struct loop_task force_task;
};

/* listener_start()'s callback; `owner` is a struct listen_point. LIFE 1/10. */
void smtp_in_accept(void *owner, int fd, const struct net_address *peer);
/* 421 to all that are between messages; the others finish theirs. */
void smtp_in_shutdown_all(struct receive_loop *receiver);
/* Closes whatever is left. */
void smtp_in_close_all(struct receive_loop *receiver);

#endif
