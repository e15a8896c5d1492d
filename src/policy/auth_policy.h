/*
 * What to do with a message, by what SPF and DMARC say about it and by what the operator wants done. Pure: results in, a decision out.
 */
#ifndef POLICY_AUTH_POLICY_H
#define POLICY_AUTH_POLICY_H

#include "mailauth/dmarc.h"
#include "mailauth/spf.h"
#include "smtp/reply.h"

/* What the operator wants done with a message that fails. */
enum auth_wish { AUTH_WISH_NONE, AUTH_WISH_TAG, AUTH_WISH_QUARANTINE, AUTH_WISH_REJECT };

struct auth_policy {
	enum auth_wish spf_fail; /* SPF "fail" where DMARC says nothing */
	enum auth_wish dmarc_reject, dmarc_quarantine; /* DMARC "fail" where the domain's owner asks for this */
	enum auth_wish bad_from; /* no author domain, or several: DMARC would be evaded */
};

enum auth_action {
	AUTH_ACCEPT,
	AUTH_TAG, /* accepted; the failure stands in Authentication-Results */
	AUTH_QUARANTINE, /* accepted, to the Junk folder */
	AUTH_REJECT, /* 5xx: nothing is delivered */
	AUTH_DEFER, /* 4xx: it can't be known now */
};
enum { AUTH_ACTION_COUNT = AUTH_DEFER + 1 };
/* "accept", "tag", "quarantine", "reject", "defer" */
struct view auth_action_name(enum auth_action action);

/* Why something else was done than the domain's owner asks for: RFC 9990's PolicyOverrideType. */
enum auth_override {
	AUTH_OVERRIDE_NONE,
	AUTH_OVERRIDE_LOCAL_POLICY, /* the operator's configuration */
	AUTH_OVERRIDE_TRUSTED_FORWARDER, /* ARC, of a sealer that is trusted */
	AUTH_OVERRIDE_TEST_MODE, /* t=y */
};

struct auth_findings {
	bool has_spf;
	struct spf_verdict spf;
	size_t from_fields; /* From fields */
	struct dmarc_verdict dmarc;
	/* Something that passed is of the very author domain: aligned, whatever a record that could not be read may say. */
	bool author_passed;
	struct view trusted_sealer; /* whose ARC seals are valid and say that it passed there; empty: none */
};

struct auth_decision {
	enum auth_action action;
	enum auth_override override;
	struct smtp_reply reply; /* with AUTH_REJECT and AUTH_DEFER; else its code is 0 */
	const char *reason; /* a word for log and trace: "dmarc", "spf", "from", "dns"; "" if there is nothing to say */
};

struct auth_decision auth_policy_decide(const struct auth_policy *policy, const struct auth_findings *findings);

#endif
