/* What the look-ups came to: one engine's results for the next, and all of them for the policy. */
#include "service/authenticate_private.h"

static enum dmarc_evidence dkim_evidence(enum dkim_result result)
{
	return result == DKIM_PASS ? DMARC_PASSED : result == DKIM_TEMPERROR ? DMARC_NOT_CHECKED : DMARC_NOT_PASSED;
}

static void collect_signatures(struct authenticate *a)
{
	size_t count = dkim_verifier_count(a->verifier);
	a->facts.signatures = a->signatures;
	for (size_t i = 0; i < count; i++) {
		bool is_settled = dkim_verifier_result(a->verifier, i, &a->signatures[i].dkim);
		ASSERT(is_settled);
	}
	a->facts.signature_count = count;
}

static void collect_spf(struct authenticate *a)
{
	struct authentication_facts *f = &a->facts;
	if (a->spf[SPF_OF_HELO].check != NULL)
		f->has_helo_spf = spf_check_result(a->spf[SPF_OF_HELO].check, &f->helo_spf);
	f->has_spf = spf_check_result(a->spf[SPF_OF_SENDER].check, &f->spf);
}

struct dmarc_check *authenticate_dmarc_new(struct authenticate *a)
{
	struct dmarc_identifier dkim[DKIM_SIGNATURES_DEFAULT];
	struct authentication_facts *f = &a->facts;
	collect_spf(a);
	collect_signatures(a);
	for (size_t i = 0; i < f->signature_count; i++)
		dkim[i] = (struct dmarc_identifier){ f->signatures[i].dkim.domain,
			dkim_evidence(f->signatures[i].dkim.result) };
	struct dmarc_question question = {
		.from_count = a->author.domain_count,
		.from_domain = buf_view(&a->author.domain),
		.spf = { .domain = f->spf.domain,
			.evidence = f->spf.result == SPF_PASS    ? DMARC_PASSED
				: f->spf.result == SPF_TEMPERROR ? DMARC_NOT_CHECKED
								 : DMARC_NOT_PASSED },
		.dkim = dkim,
		.dkim_count = f->signature_count,
	};
	return dmarc_check_new(&question);
}

static bool passed_for_author(const struct dmarc_alignment *alignment, struct view author)
{
	return alignment->evidence == DMARC_PASSED && author.len > 0 && view_eq(alignment->domain, author);
}

static bool collect_alignments(struct authenticate *a)
{
	struct authentication_facts *f = &a->facts;
	bool author_passed = false;
	f->has_spf_alignment = dmarc_check_spf(a->dmarc, &f->spf_alignment);
	if (f->has_spf_alignment)
		author_passed = passed_for_author(&f->spf_alignment, f->dmarc.domain);
	for (size_t i = 0; i < f->signature_count; i++) {
		struct dmarc_alignment alignment;
		if (!dmarc_check_dkim(a->dmarc, i, &alignment))
			continue;
		a->signatures[i].is_aligned = alignment.evidence == DMARC_PASSED && alignment.is_aligned;
		author_passed |= passed_for_author(&alignment, f->dmarc.domain);
	}
	return author_passed;
}

static void collect_arc(struct authenticate *a)
{
	struct authentication_facts *f = &a->facts;
	const struct config_authentication *config = &a->options.config->authentication;
	if (a->arc == NULL)
		return;
	bool is_there = arc_verifier_verdict(a->arc, &f->arc);
	ASSERT(is_there);
	struct view sealer;
	if (arc_verifier_overrides(a->arc, config->trusted_sealers, config->trusted_sealer_count, &sealer))
		f->trusted_sealer = sealer;
}

static enum auth_wish wish_of(enum config_verdict verdict)
{
	static const enum auth_wish wishes[] = {
		[CONFIG_VERDICT_NONE] = AUTH_WISH_NONE,
		[CONFIG_VERDICT_TAG] = AUTH_WISH_TAG,
		[CONFIG_VERDICT_QUARANTINE] = AUTH_WISH_QUARANTINE,
		[CONFIG_VERDICT_REJECT] = AUTH_WISH_REJECT,
	};
	return wishes[verdict];
}

/* A chain that could save the message could not be looked at: it may come again. */
static void wait_for_chain(const struct authenticate *a, struct auth_decision *decision)
{
	const struct authentication_facts *f = &a->facts;
	bool matters = f->dmarc.result == DMARC_FAIL && decision->action >= AUTH_QUARANTINE;
	if (!matters || !f->arc.is_temporary || a->options.config->authentication.trusted_sealer_count == 0)
		return;
	*decision = (struct auth_decision){ .action = AUTH_DEFER,
		.reason = "dns",
		.reply = smtp_reply_make(451, "4.7.29",
			"The DNS does not say now whether those who forwarded the message are to be believed (ARC), "
			"please try again later") };
}

void authenticate_decide(struct authenticate *a)
{
	struct authentication_facts *f = &a->facts;
	const struct config_authentication *config = &a->options.config->authentication;
	struct auth_policy policy = {
		.spf_fail = wish_of(config->spf_fail),
		.dmarc_reject = wish_of(config->dmarc_reject),
		.dmarc_quarantine = wish_of(config->dmarc_quarantine),
		.bad_from = wish_of(config->bad_from),
	};
	bool has_verdict = dmarc_check_result(a->dmarc, &f->dmarc);
	ASSERT(has_verdict);
	collect_arc(a);
	f->from_fields = a->author.field_count;
	f->iprev = iprev_result(a->options.iprev);
	f->client_name = iprev_name(a->options.iprev);
	struct auth_findings findings = {
		.has_spf = f->has_spf,
		.spf = f->spf,
		.from_fields = f->from_fields,
		.dmarc = f->dmarc,
		.author_passed = collect_alignments(a),
		.trusted_sealer = f->trusted_sealer,
	};
	f->decision = auth_policy_decide(&policy, &findings);
	wait_for_chain(a, &f->decision);
}
