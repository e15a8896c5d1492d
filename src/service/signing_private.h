/* What the signing*.c files share. */
#ifndef SERVICE_SIGNING_PRIVATE_H
#define SERVICE_SIGNING_PRIVATE_H

#include "service/signing.h"

struct signing_question {
	struct view headers; /* the whole section */
	struct view account, reverse_path; /* as in struct signing_options */
};
/* Whom a message is signed for: appends the domain in lower case. NULL; or why it is not signed, in a few words (static). */
const char *signing_choose_domain(struct domains *domains, const struct signing_question *question, struct buf *out);
/* The domain of the author, of the one From field; the same results. */
const char *signing_author_domain(struct view headers, struct buf *out);

#endif
