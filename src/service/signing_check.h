/* Are DKIM's keys published? DNS is asked for each, a few at a time. Used by the running server for its new keys, and by the command line. */
#ifndef SERVICE_SIGNING_CHECK_H
#define SERVICE_SIGNING_CHECK_H

#include "mailauth/dkim_record.h"
#include "net/resolver.h"

struct signing_check_key {
	const char *name; /* "s1._domainkey.example.com" */
	struct view record; /* what should be there */
	enum dkim_publication found; /* set before done() */
};
struct signing_check;

/* The keys are the caller's, and stay until done() was called: once, from the loop, never from inside this call. */
struct signing_check *signing_check_start(struct loop *loop, struct resolver *resolver, struct signing_check_key *keys,
	size_t count, void (*done)(void *owner), void *owner);
/* Nobody is told. Before the resolver goes. NULL is fine. */
void signing_check_cancel(struct signing_check *check);

#endif
