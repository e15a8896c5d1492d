/* Inside of ARC: a chain's fields, found in a header section. */
#ifndef MAILAUTH_ARC_PRIVATE_H
#define MAILAUTH_ARC_PRIVATE_H

#include "mailauth/arc.h"
#include "mailauth/dkim_private.h"

enum arc_kind { ARC_RESULTS, ARC_MESSAGE, ARC_SEAL }; /* in the order in which a seal covers them (RFC 8617 §5.1.1) */
enum { ARC_KIND_COUNT = ARC_SEAL + 1 };

struct arc_sets {
	unsigned count; /* the highest instance; 0: none */
	const char *wrong; /* NULL, or why this is no chain */
	struct header_field fields[ARC_SETS_MAX]
				  [ARC_KIND_COUNT]; /* views into the header section; .whole empty: not there */
};

/* RFC 8617 §5.2 steps 1 and 3A–C: each set whole, each field once, no gap. */
void arc_sets_collect(struct view headers, struct arc_sets *ret);
/* Behind "i=n;" of an ARC-Authentication-Results. */
struct view arc_results_payload(struct view value);
/* Feeds a whole set. */
void arc_sets_canon(const struct arc_sets *sets, unsigned instance, struct dkim_sink *sink);

#endif
