/* A question of an engine to the DNS: asked through the loop's resolver, its answer parsed, and what it means for mail authentication. */
#ifndef SERVICE_DNS_QUESTION_H
#define SERVICE_DNS_QUESTION_H

#include "dns/message.h"
#include "net/resolver.h"

/* RFC 7208 §4.4 and its like: what is neither an answer nor a clear no is to be asked again later. */
enum dns_outcome {
	DNS_OUTCOME_OK, /* NOERROR, with or without records */
	DNS_OUTCOME_NXDOMAIN,
	DNS_OUTCOME_FAILED, /* a time-out, any other rcode, a bogus or malformed answer */
};

/* Embedded in its owner; zeroed it is not open. */
struct dns_question {
	struct resolver_query *query; /* open */
	uint16_t type;
	/* `answer` is read during the call, and empty unless the outcome is OK. May ask again, or free the question. Never from inside
	 * dns_question_ask(). */
	void (*answered)(struct dns_question *question, enum dns_outcome outcome, const struct dns_answer *answer);
};

/* `name` as dns/message.h writes names. */
void dns_question_ask(struct dns_question *question, struct resolver *resolver, struct places_key share,
	struct view name, uint16_t type);
static inline bool dns_question_is_open(const struct dns_question *question)
{
	return question->query != NULL;
}
/* Safe on one that is not open. */
void dns_question_cancel(struct dns_question *question);

#endif
