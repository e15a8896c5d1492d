/*
 * What comes back to a signed bounce address: a delivery report (RFC 3464) or a complaint (RFC 5965) is read and recorded against the message and the
 * recipient that the address names; then the message is in its mailbox like any other. The address proves which copy it is about, so nobody can speak ill
 * of others' addresses: what the report itself says of recipients does not count.
 */
#ifndef SERVICE_BOUNCE_INTAKE_H
#define SERVICE_BOUNCE_INTAKE_H

#include "service/dispatcher_private.h"

struct bounce_intake;

/* For a delivery to a mailbox here; NULL if its recipient was no signed address of ours. */
struct bounce_intake *bounce_intake_new(const struct delivery *delivery);
/* On a worker: reads the message, and in the trace whose copy it was. `body_fd` -1: the body is in `body`. At most the first MiB counts. */
void bounce_intake_read(struct bounce_intake *intake, struct view head, struct view body, int body_fd);
/* On the dispatcher's loop: writes down what was found, and frees it. NULL is fine. */
void bounce_intake_finish(struct bounce_intake *intake, bool delivered);

#endif
