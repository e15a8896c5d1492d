/* A real authoritative DNS server for one test run, in a folder and on a port of its own. */
#ifndef NET_TESTING_KNOT_H
#define NET_TESTING_KNOT_H

#include <stdbool.h>
#include <stdint.h>

/* Starts knotd with the zones secure.test and bogus.test (signed), plain.test (not) and a signed root. False if there is no knotd. */
bool knot_start(void);
void knot_stop(void);
/* "127.0.0.1@port". */
const char *knot_server(void);
/* The DS of secure.test, and a wrong one of bogus.test. */
const char *knot_trust_anchor_file(void);
/* The DS of the root it also serves, in which nothing is delegated; or a wrong one, to which the root is what it is without signatures: bogus. */
const char *knot_root_anchor_file(bool wrong);

#endif
