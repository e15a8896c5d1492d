/*
 * The door into the queue: an envelope with its content becomes one write job; the answer comes when it is durable.
 * Used by sessions for received mail and by the dispatcher for nothing: its DSNs travel in the job that settles their cause.
 */
#ifndef SERVICE_INTAKE_H
#define SERVICE_INTAKE_H

#include "service/server_private.h"

struct intake;

/* LIFE 5/10: envelope, head and body become one write job. Takes the message; sets its recipients' due times. committed() is called once, later,
 * on `loop`, unless the intake is abandoned first; on ERR_OK the message has gone on to the dispatcher. On failure a spool file is removed. */
struct intake *intake_commit(struct server *server, struct loop *loop, struct message *message,
	void (*committed)(void *owner, enum err err, const char *detail), void *owner);
/* The client is gone: nobody is told. The message is stored and delivered all the same (RFC 1047: the client may send it again). NULL is fine. */
void intake_abandon(struct intake *intake);

#endif
