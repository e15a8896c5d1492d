#include "policy/auth_policy.h"

struct view auth_action_name(enum auth_action action)
{
	static const char *const names[AUTH_ACTION_COUNT] = { "accept", "tag", "quarantine", "reject", "defer" };
	return view_from_cstr(names[action]);
}

static enum auth_action action_of(enum auth_wish wish)
{
	static const enum auth_action actions[] = {
		[AUTH_WISH_NONE] = AUTH_ACCEPT,
		[AUTH_WISH_TAG] = AUTH_TAG,
		[AUTH_WISH_QUARANTINE] = AUTH_QUARANTINE,
		[AUTH_WISH_REJECT] = AUTH_REJECT,
	};
	return actions[wish];
}

/* Says nothing if nothing is done. */
static struct auth_decision decision_of(enum auth_wish wish, const char *reason)
{
	enum auth_action action = action_of(wish);
	return (struct auth_decision){ .action = action, .reason = action == AUTH_ACCEPT ? "" : reason };
}

static struct auth_decision refuse_author(const struct auth_policy *policy, const struct auth_findings *f)
{
	struct auth_decision d = decision_of(policy->bad_from, "from");
	if (d.action != AUTH_REJECT)
		return d;
	if (f->from_fields != 1)
		d.reply = smtp_reply_make(550, "5.7.1",
			"The message has %s From field, so nobody can tell who wrote it (RFC 5322 section 3.6)",
			f->from_fields == 0 ? "no" : "more than one");
	else
		d.reply = smtp_reply_make(
			550, "5.7.1", "The From field is of no use: %s (RFC 5322 section 3.6.2)", f->dmarc.reason);
	return d;
}

static struct auth_decision judge_spf(const struct auth_policy *policy, const struct auth_findings *f)
{
	struct auth_decision fine = { .reason = "" };
	if (!f->has_spf)
		return fine;
	const struct spf_verdict *spf = &f->spf;
	if (spf->result == SPF_TEMPERROR && policy->spf_fail == AUTH_WISH_REJECT) {
		fine.action = AUTH_DEFER;
		fine.reason = "dns";
		fine.reply = smtp_reply_make(451, "4.7.24",
			"The DNS does not say now whether %.*s lets you send its mail (SPF), please try again later",
			VIEW_ARG(spf->domain));
	}
	if (spf->result != SPF_FAIL)
		return fine;
	struct auth_decision d = decision_of(policy->spf_fail, "spf");
	if (d.action == AUTH_REJECT)
		/* RFC 7208 §6.2: what the owner explains is marked as his. */
		d.reply = smtp_reply_make(550, "5.7.23", "%.*s does not let your address send its mail (SPF)%s%.*s",
			VIEW_ARG(spf->domain), spf->explanation.len > 0 ? "; it explains: " : "",
			VIEW_ARG(spf->explanation));
	return d;
}

static enum auth_wish wish_for(const struct auth_policy *policy, enum dmarc_policy asked)
{
	if (asked == DMARC_POLICY_NONE)
		return AUTH_WISH_NONE;
	return asked == DMARC_POLICY_REJECT ? policy->dmarc_reject : policy->dmarc_quarantine;
}

static enum auth_override override_of(enum auth_action action, const struct dmarc_verdict *dmarc)
{
	static const enum auth_action asked[DMARC_POLICY_COUNT] = { AUTH_ACCEPT, AUTH_QUARANTINE, AUTH_REJECT };
	if (action != asked[dmarc->applied])
		return AUTH_OVERRIDE_LOCAL_POLICY;
	return dmarc->applied != dmarc->policy ? AUTH_OVERRIDE_TEST_MODE : AUTH_OVERRIDE_NONE;
}

static struct auth_decision judge_failure(const struct auth_policy *policy, const struct auth_findings *f)
{
	const struct dmarc_verdict *dmarc = &f->dmarc;
	if (f->trusted_sealer.len > 0)
		return (struct auth_decision){ .reason = "arc",
			.override = dmarc->policy != DMARC_POLICY_NONE ? AUTH_OVERRIDE_TRUSTED_FORWARDER
								       : AUTH_OVERRIDE_NONE };
	struct auth_decision d = decision_of(wish_for(policy, dmarc->applied), "dmarc");
	d.override = override_of(d.action, dmarc);
	if (d.action == AUTH_REJECT)
		d.reply = smtp_reply_make(550, "5.7.26",
			"The message says that it is from %.*s, which neither SPF nor DKIM confirms, and %.*s wants "
			"such "
			"mail refused (DMARC: %s; p=%.*s)",
			VIEW_ARG(dmarc->domain), VIEW_ARG(dmarc->record_domain), dmarc->reason,
			VIEW_ARG(dmarc_policy_name(dmarc->policy)));
	return d;
}

static enum dmarc_policy one_step_less(enum dmarc_policy policy)
{
	return policy == DMARC_POLICY_REJECT ? DMARC_POLICY_QUARANTINE : DMARC_POLICY_NONE;
}

/* The most that the record may ask for: whether the author domain exists was not found out. */
static enum dmarc_policy worst_of(const struct dmarc_verdict *dmarc)
{
	const struct dmarc_record *record = &dmarc->record;
	bool is_author = dmarc->source == DMARC_SOURCE_AUTHOR;
	enum dmarc_policy worst = is_author ? record->policy : record->subdomain_policy;
	if (!is_author && record->nonexistent_policy > worst)
		worst = record->nonexistent_policy;
	return record->is_testing ? one_step_less(worst) : worst;
}

static bool would_act(enum auth_wish wish)
{
	return wish >= AUTH_WISH_QUARANTINE;
}

/*
 * RFC 9989 §5.3.6 leaves a choice to who can't know: to take the message as if nothing were published, or to have it sent again. A forger must
 * not get mail in by keeping name servers busy, and mail that is what it says must not wait for a record that would change nothing. So it
 * waits only if the missing answer could lead to the Junk folder or a refusal.
 */
static struct auth_decision judge_unknown(const struct auth_policy *policy, const struct auth_findings *f)
{
	const struct dmarc_verdict *dmarc = &f->dmarc;
	struct auth_decision d = { .reason = "" };
	bool matters = dmarc->source == DMARC_SOURCE_NONE
		? !f->author_passed && (would_act(policy->dmarc_reject) || would_act(policy->dmarc_quarantine))
		: would_act(wish_for(policy, worst_of(dmarc)));
	if (!matters || f->trusted_sealer.len > 0)
		return d;
	d.action = AUTH_DEFER;
	d.reason = "dns";
	bool is_spf = f->has_spf && f->spf.result == SPF_TEMPERROR;
	d.reply = smtp_reply_make(451, is_spf ? "4.7.24" : "4.4.3",
		"The DNS does not say now whether this message is from %.*s (DMARC: %s), please try again later",
		VIEW_ARG(dmarc->domain), dmarc->reason);
	return d;
}

static struct auth_decision stronger(struct auth_decision a, struct auth_decision b)
{
	return b.action > a.action ? b : a;
}

struct auth_decision auth_policy_decide(const struct auth_policy *policy, const struct auth_findings *findings)
{
	switch (findings->dmarc.result) {
	case DMARC_PASS:
		break;
	case DMARC_FAIL:
		return judge_failure(policy, findings);
	case DMARC_TEMPERROR:
		return judge_unknown(policy, findings);
	case DMARC_PERMERROR:
		return stronger(refuse_author(policy, findings), judge_spf(policy, findings));
	case DMARC_NONE:
		return judge_spf(policy, findings);
	}
	return (struct auth_decision){ .reason = "" };
}
