/* The names of our own domains, in memory: loaded at start and again after each change, before the change is reported as done, so that a
 * look-up of a foreign domain costs no trip to the store and is never out of date. */
#ifndef SERVICE_DOMAINS_H
#define SERVICE_DOMAINS_H

#include "store/db.h"

struct domains;

struct domains *domains_new(void);
void domains_free(struct domains *domains);
/* Reads the list and replaces the old one at once. Any thread. */
enum err domains_load(struct domains *domains, struct db *db) MUST_CHECK;
/* Without ASCII case; U-labels are compared as A-labels. Any thread. */
bool domains_contain(struct domains *domains, struct view domain);
/* The first one, for mail to "postmaster" alone; false if there is none. */
bool domains_first(struct domains *domains, char *ret_text, size_t room);

#endif
