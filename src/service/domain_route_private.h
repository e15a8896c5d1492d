/* Making a route: for the table only. */
#ifndef SERVICE_DOMAIN_ROUTE_PRIVATE_H
#define SERVICE_DOMAIN_ROUTE_PRIVATE_H

#include "service/domain_route.h"

/* MX_TEMPORARY until it is told otherwise; one reference, the caller's. The domain's text is copied. */
struct domain_route *domain_route_new(struct view domain);
/* There are hosts: names are copied; the destination and, by the rules (NULL: none), the site follow from them. Once. */
void domain_route_set_hosts(struct domain_route *route, const struct mx_hosts *hosts, struct shaping *shaping);
/* There are none: with the reply for those who wait, "550 5.1.2 …". */
void domain_route_set_problem(struct domain_route *route, enum mx_result result, const char *reply);

#endif
