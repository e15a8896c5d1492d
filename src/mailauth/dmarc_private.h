/* What the files of the DMARC engine share. */
#ifndef MAILAUTH_DMARC_PRIVATE_H
#define MAILAUTH_DMARC_PRIVATE_H

#include "mailauth/dmarc.h"

/* A domain that was asked about. Its name is a tail of the author domain or of an identifier's. */
enum dmarc_node_state { DMARC_NODE_EMPTY, DMARC_NODE_RECORD, DMARC_NODE_FAILED };
struct dmarc_node {
	struct view name;
	enum dmarc_node_state state;
	struct dmarc_record record; /* the lists of URIs only if met on the author domain's walk */
};

enum dmarc_existence { DMARC_EXISTENCE_UNKNOWN, DMARC_EXISTS, DMARC_EXISTS_NOT, DMARC_EXISTENCE_FAILED };

struct dmarc_check {
	struct arena arena;
	struct dmarc_alignment identifiers[1 + DMARC_DKIM_MAX]; /* SPF's, then the signatures' */
	size_t dkim_count;

	struct dmarc_node nodes[DMARC_RECORDS_MAX];
	size_t node_count;
	bool keeps_text; /* the author domain's walk is under way */
	enum dmarc_existence existence;

	bool is_open;
	struct dmarc_need need;
	struct view asked; /* the domain that the open question is about */
	struct buf name; /* need.name */
	struct dmarc_verdict verdict;
};

/* Where a walk has come to. */
enum dmarc_walk_state {
	DMARC_WALK_OPEN, /* a question was opened: walk again with its answer */
	DMARC_WALK_FAILED,
	DMARC_WALK_DONE
};
struct dmarc_walk {
	struct view org_domain;
	/* Whose record holds for a domain that has none itself: the organisational domain's, else that of the public
	 * suffix; or NULL. */
	const struct dmarc_node *policy;
};

/* What is known of a domain; NULL if it has to be asked for first, and that question is now open. */
const struct dmarc_node *dmarc_walk_look(struct dmarc_check *check, struct view domain);
/* The tree walk of RFC 9989 §4.10 and the selection of §4.10.2, as far as the answers go. *ret only if DMARC_WALK_DONE.
 * */
enum dmarc_walk_state dmarc_walk(struct dmarc_check *check, struct view start, struct dmarc_walk *ret);
/* Keeps what the DNS says about check->asked. */
void dmarc_walk_answer(struct dmarc_check *check, enum dmarc_dns_status status, const struct dns_answer *answer);

#endif
