/* Once a day what the store knows of the sites of domains that nothing waits for is forgotten (store/site_sweep.h), on the background thread. */
#ifndef SERVICE_SITE_PRUNER_H
#define SERVICE_SITE_PRUNER_H

#include "service/background.h"

struct site_pruner;

struct site_pruner *site_pruner_new(struct background *background);
/* On the background thread. */
void site_pruner_start(struct site_pruner *pruner);
/* Begins a sweep now, unless one is under way. */
void site_pruner_sweep(struct site_pruner *pruner);
void site_pruner_stop(struct site_pruner *pruner);
/* When the thread has ended. NULL is fine. */
void site_pruner_free(struct site_pruner *pruner);

#endif
