/* `queue.live`: what a running server does right now. Only the control socket answers it: a store alone does nothing. */
#ifndef SERVICE_ADMIN_LIVE_H
#define SERVICE_ADMIN_LIVE_H

#include "service/dispatcher_status.h"

#include <jansson.h>

bool admin_request_is_live(const json_t *request);
/* Adds the dispatcher's status and the totals to the command's result (which has what is suspended). */
void admin_add_status(json_t *result, const struct dispatcher_status *status, const struct server_totals *totals);

#endif
