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
/* True if the author is of a domain of ours that the account may not sign for. */
bool signing_is_of_another(struct domains *domains, const struct signing_question *question);
/* The domain itself, or the nearest one above it, that is ours: its owner answers for what is below it. */
bool signing_find_ours(struct domains *domains, struct view domain, struct view *ret);

#endif
