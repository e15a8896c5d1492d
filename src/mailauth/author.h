/*
 * Whose message is it, as its reader sees it? The domains of all mailboxes of all From fields: DMARC is about the one that there should be.
 * Pure.
 */
#ifndef MAILAUTH_AUTHOR_H
#define MAILAUTH_AUTHOR_H

#include "base/buf.h"

struct author {
	size_t field_count; /* From fields; a message has to have one (RFC 5322 §3.6) */
	/* For struct dmarc_question: different domains in them, 2 standing for more, too; at least 2 with several fields. */
	size_t domain_count;
	struct buf domain; /* the one, or the first: as written, without its last dot */
};

/*
 * Looks at a header section. A field that is no address list is not given up: mail programs show something of it all the same, so every domain
 * behind an "@" outside of quotes and comments counts: "<a@x.example> <b@x.example>" has one, "<a@x.example> <b@y.example>" two. ERR_LIMIT if
 * memory's bound is passed. author_clear() in every case.
 */
enum err author_find(struct view headers, struct author *ret) MUST_CHECK;
void author_clear(struct author *author);

#endif
