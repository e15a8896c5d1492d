/* A real authoritative DNS server for one test run, in a folder and on a port of its own. */
#ifndef NET_TESTING_KNOT_H
#define NET_TESTING_KNOT_H

#include <stdbool.h>
#include <stdint.h>

/* Starts knotd with the zones secure.test and bogus.test (signed) and plain.test (not). False if there is no knotd. */
bool knot_start(void);
void knot_stop(void);
/* "127.0.0.1@port". */
const char *knot_server(void);
/* The DS of secure.test, and a wrong one of bogus.test. */
const char *knot_trust_anchor_file(void);

#endif
