/* New keys sign once their records are seen in DNS: looked for every few minutes, on the background thread. */
#ifndef SERVICE_SIGNING_PUBLISHER_H
#define SERVICE_SIGNING_PUBLISHER_H

#include "service/background.h"

struct signing_publisher;

struct signing_publisher *signing_publisher_new(struct background *background);
/* On the background thread. */
void signing_publisher_start(struct signing_publisher *publisher);
void signing_publisher_stop(struct signing_publisher *publisher);
/* When the thread has ended. NULL is fine. */
void signing_publisher_free(struct signing_publisher *publisher);
/* Keys have changed: looks soon. Any thread, before background_stop(). */
void signing_publisher_poke(struct signing_publisher *publisher);

#endif
