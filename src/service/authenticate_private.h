/* Shared by the authenticate*.c files. */
#ifndef SERVICE_AUTHENTICATE_PRIVATE_H
#define SERVICE_AUTHENTICATE_PRIVATE_H

#include "config/config.h"
#include "mailauth/author.h"
#include "service/authenticate.h"
#include "service/dns_question.h"

/* HELO's name first, as RFC 7208 §2.3 recommends; both at the same time. */
enum { SPF_OF_HELO, SPF_OF_SENDER, SPF_CHECKS };

struct authenticate_spf {
	struct spf_check *check; /* NULL: not done */
	struct spf_question asked;
	struct dns_question question;
	struct authenticate *owner;
};

/* Keys are asked for side by side, but a chain with dozens of signatures is not a reason to ask for all at once. */
enum { KEYS_AT_ONCE = 10 };

struct authenticate_key {
	struct dns_question question;
	uint64_t token;
	bool is_arc; /* the chain's; else of a signature */
	struct authenticate *owner;
};

struct authenticate {
	struct authenticate_options options;
	struct arena arena;
	struct intake_tap tap;
	struct authenticate_spf spf[SPF_CHECKS];
	struct author author;
	struct dkim_verifier *verifier; /* from the header section on */
	struct arc_verifier *arc; /* as well, unless that is off */
	struct authenticate_key keys[KEYS_AT_ONCE]; /* those that are not open are free */
	struct dmarc_check *dmarc; /* once SPF and DKIM are done */
	struct dns_question dmarc_question;
	bool iprev_given_up;

	/* Monotonic: SPF from its beginning, keys from the header section on, and what is left from the end of the body on. */
	int64_t spf_deadline_ms, keys_deadline_ms, end_deadline_ms;
	struct loop_timer timer;

	struct authentication_signature signatures[DKIM_SIGNATURES_DEFAULT];
	struct authentication_facts facts;
	bool is_done;
	void (*done)(void *owner);
	void *owner;
};

/* authenticate_verdict.c: SPF and DKIM are done. Never NULL. */
struct dmarc_check *authenticate_dmarc_new(struct authenticate *a);
/* DMARC is done, too: fills in the facts and the decision. */
void authenticate_decide(struct authenticate *a);

#endif
