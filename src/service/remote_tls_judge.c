#include "service/remote_tls.h"

#include <stdio.h>
#include <stdarg.h>
#include <string.h>

static void refuse(struct remote_tls_verdict *verdict, const char *result, const char *format, ...) PRINTF_LIKE(3, 4);

/* The first refusal stands: the stronger demands are looked at first. */
static void refuse(struct remote_tls_verdict *verdict, const char *result, const char *format, ...)
{
	va_list args;
	if (!verdict->allowed)
		return;
	verdict->allowed = false;
	verdict->result = result;
	va_start(args, format);
	vsnprintf(verdict->reason, sizeof verdict->reason, format, args);
	va_end(args);
}

/* For the sentences: never so long that the rest has no room. */
#define HOST(state) VIEW_ARG(view_sub((state)->host, 0, 100))
#define DOMAIN(need) VIEW_ARG(view_sub((need)->domain, 0, 80))

static bool has_tls(const struct remote_tls_state *state)
{
	return state->stage >= REMOTE_TLS_ON;
}

static bool dane_matches(const struct remote_tls_need *need, const struct remote_tls_state *state)
{
	if (!has_tls(state) || !need->has_dane || state->dane != DANE_VERIFY || state->facts->dane < TLS_DANE_EE)
		return false;
	/* The certificate has the name of the domain that the connection was opened for: that is no other domain's business. */
	return !state->facts->dane_needs_names || view_eq_nocase(state->dane_domain, need->domain);
}

static bool is_verified(const struct remote_tls_need *need, const struct remote_tls_state *state)
{
	return dane_matches(need, state) || (has_tls(state) && state->facts->pkix == TLS_PKIX_VERIFIED);
}

/* Result types of RFC 8460 §4.3.1. */
static const char *const certificate_results[] = {
	[TLS_PKIX_NONE] = "validation-failure",
	[TLS_PKIX_VERIFIED] = NULL,
	[TLS_PKIX_EXPIRED] = "certificate-expired",
	[TLS_PKIX_OTHER_NAME] = "certificate-host-mismatch",
	[TLS_PKIX_NOT_TRUSTED] = "certificate-not-trusted",
	[TLS_PKIX_FAILED] = "validation-failure",
};

/* No TLS, though `why` demands it. */
static void demand_tls(const struct remote_tls_state *state, struct remote_tls_verdict *verdict, const char *why)
{
	if (state->stage == REMOTE_TLS_CLEAR && state->failure != NULL && state->failure[0] != '\0')
		refuse(verdict, "starttls-not-supported", "451 4.7.5 %.*s: STARTTLS came to nothing (%.60s), but %s",
			HOST(state), state->failure, why);
	else if (state->stage == REMOTE_TLS_CLEAR)
		refuse(verdict, "starttls-not-supported", "451 4.7.5 %.*s: it offers no STARTTLS, but %s", HOST(state),
			why);
	else if (state->stage == REMOTE_TLS_FAILED)
		refuse(verdict, "validation-failure", "451 4.7.5 %.*s: %s", HOST(state), state->failure);
}

static void judge_dane(
	const struct remote_tls_need *need, const struct remote_tls_state *state, struct remote_tls_verdict *verdict)
{
	if (!need->has_dane)
		return;
	if (!state->dane_asked) {
		refuse(verdict, "dnssec-invalid", "451 4.7.5 %.*s: its TLSA records are not known", HOST(state));
		return;
	}
	if (state->dane == DANE_DEFER)
		refuse(verdict, "dnssec-invalid", "451 4.7.5 %.*s: its TLSA records can't be looked up: %.100s",
			HOST(state), state->dane_problem);
	if (state->dane == DANE_VERIFY || state->dane == DANE_ENCRYPT)
		demand_tls(state, verdict, "its TLSA records demand TLS");
	if (state->dane == DANE_VERIFY && has_tls(state) && !dane_matches(need, state))
		refuse(verdict,
			state->facts->dane_failure != TLS_PKIX_VERIFIED
				? certificate_results[state->facts->dane_failure]
				: "certificate-host-mismatch",
			"451 4.7.5 %.*s: no TLSA record matches its certificate%s%s", HOST(state),
			state->facts->dane_reason[0] != '\0' ? ": " : "", state->facts->dane_reason);
}

static enum mta_sts_tls sts_tls(const struct remote_tls_state *state)
{
	static const enum mta_sts_tls by_pkix[] = {
		[TLS_PKIX_NONE] = MTA_STS_TLS_FAILED,
		[TLS_PKIX_VERIFIED] = MTA_STS_TLS_VERIFIED,
		[TLS_PKIX_EXPIRED] = MTA_STS_TLS_EXPIRED,
		[TLS_PKIX_OTHER_NAME] = MTA_STS_TLS_OTHER_NAME,
		[TLS_PKIX_NOT_TRUSTED] = MTA_STS_TLS_NOT_TRUSTED,
		[TLS_PKIX_FAILED] = MTA_STS_TLS_FAILED,
	};
	switch (state->stage) {
	case REMOTE_TLS_BEFORE:
		return MTA_STS_TLS_NOT_YET;
	case REMOTE_TLS_CLEAR:
		return MTA_STS_TLS_NOT_OFFERED;
	case REMOTE_TLS_FAILED:
		return MTA_STS_TLS_FAILED;
	case REMOTE_TLS_ON:
	case REMOTE_TLS_READY:
	default:
		return by_pkix[state->facts->pkix];
	}
}

static void judge_sts(
	const struct remote_tls_need *need, const struct remote_tls_state *state, struct remote_tls_verdict *verdict)
{
	/* DANE comes first, and its verdict stands (RFC 8461 §2). */
	if (need->sts == NULL || (need->has_dane && state->dane_asked && state->dane == DANE_VERIFY))
		return;
	struct mta_sts_decision decision = mta_sts_decide(need->sts, need->sts_age_s, state->host, sts_tls(state));
	if (decision.verdict == MTA_STS_REPORTED && verdict->allowed && verdict->result == NULL)
		verdict->result = decision.failure;
	if (decision.verdict != MTA_STS_REFUSED)
		return;
	if (!mta_sts_policy_has(need->sts, state->host))
		refuse(verdict, decision.failure, "451 4.7.5 %.*s: the MTA-STS policy of %.*s does not name this host",
			HOST(state), DOMAIN(need));
	demand_tls(state, verdict, "the MTA-STS policy of its domain demands TLS");
	if (has_tls(state))
		refuse(verdict, decision.failure,
			"451 4.7.5 %.*s: its certificate does not satisfy the MTA-STS policy of %.*s: %s", HOST(state),
			DOMAIN(need), state->facts->pkix_reason);
}

static void judge_policy(
	const struct remote_tls_need *need, const struct remote_tls_state *state, struct remote_tls_verdict *verdict)
{
	const char *why = "our policy for the domain demands TLS";
	const char *problem = state->dane_problem != NULL ? state->dane_problem : "";
	if (need->policy == CONFIG_TLS_DANE && need->has_dane && state->dane == DANE_ENCRYPT)
		refuse(verdict, "tlsa-invalid",
			"451 4.7.5 %.*s: our policy for %.*s demands DANE, but none of its TLSA records is usable",
			HOST(state), DOMAIN(need));
	else if (need->policy == CONFIG_TLS_DANE && (!need->has_dane || state->dane != DANE_VERIFY))
		refuse(verdict, "dane-required",
			"451 4.7.5 %.*s: our policy for %.*s demands DANE, but there are no secure TLSA records%s%s",
			HOST(state), DOMAIN(need),
			!need->has_dane              ? ": the MX records are not signed"
				: problem[0] != '\0' ? ": "
						     : "",
			need->has_dane ? problem : "");
	if (need->policy >= CONFIG_TLS_ENCRYPT)
		demand_tls(state, verdict, why);
	if (need->policy == CONFIG_TLS_VERIFY && has_tls(state) && !is_verified(need, state))
		refuse(verdict, certificate_results[state->facts->pkix],
			"451 4.7.5 %.*s: its certificate is not verified, as our policy for %.*s demands: %s",
			HOST(state), DOMAIN(need), state->facts->pkix_reason);
}

static bool sts_names_host(const struct remote_tls_need *need, const struct remote_tls_state *state)
{
	return need->sts != NULL && need->sts_age_s <= need->sts->max_age_s &&
		mta_sts_policy_has(need->sts, state->host);
}

/* RFC 8689 §4.2.1: a host that is the domain's for sure, a TLS session with its certificate verified, and its promise to do the same. What keeps the
 * session from being a protected one is 5.7.10, the want of a promise 5.7.30. */
static void judge_requiretls(
	const struct remote_tls_need *need, const struct remote_tls_state *state, struct remote_tls_verdict *verdict)
{
	bool was_allowed = verdict->allowed;
	if (!need->requiretls)
		return;
	if (need->policy == CONFIG_TLS_NONE)
		refuse(verdict, NULL, "550 5.7.10 REQUIRETLS: our policy for %.*s is to use no TLS", DOMAIN(need));
	if (need->hosts_are_unproven && !sts_names_host(need, state))
		refuse(verdict, NULL,
			"550 5.7.10 REQUIRETLS: neither DNSSEC nor MTA-STS vouches for the mail hosts of %.*s",
			DOMAIN(need));
	if (state->stage == REMOTE_TLS_CLEAR)
		refuse(verdict, "starttls-not-supported", "550 5.7.10 REQUIRETLS: %.*s offers no STARTTLS",
			HOST(state));
	if (has_tls(state) && !is_verified(need, state))
		refuse(verdict, certificate_results[state->facts->pkix],
			"550 5.7.10 REQUIRETLS: the certificate of %.*s is not verified: %s", HOST(state),
			state->facts->pkix_reason);
	if (state->stage == REMOTE_TLS_READY && !state->offers_requiretls)
		refuse(verdict, NULL, "550 5.7.30 REQUIRETLS: %.*s does not support it", HOST(state));
	verdict->is_final = was_allowed && !verdict->allowed;
	/* A handshake may fail today only. */
	demand_tls(state, verdict, "the sender demands TLS");
}

/* What nobody demanded is still told to the domain, if it wants reports. */
static void note_failure(
	const struct remote_tls_need *need, const struct remote_tls_state *state, struct remote_tls_verdict *verdict)
{
	if (!verdict->allowed || verdict->result != NULL)
		return;
	if (state->stage == REMOTE_TLS_CLEAR)
		verdict->result = "starttls-not-supported";
	else if (state->stage == REMOTE_TLS_FAILED)
		verdict->result = "validation-failure";
	/* There are records, but none that could be used: nothing was verified (RFC 8460 §4.3.2.1). */
	else if (state->stage == REMOTE_TLS_READY && need->has_dane && state->dane == DANE_ENCRYPT)
		verdict->result = "tlsa-invalid";
}

const char *remote_tls_sts_result(enum sts_problem problem)
{
	static const char *const results[] = {
		[STS_FINE] = NULL,
		[STS_FETCH_ERROR] = "sts-policy-fetch-error",
		[STS_POLICY_INVALID] = "sts-policy-invalid",
		[STS_WEBPKI_INVALID] = "sts-webpki-invalid",
	};
	return results[problem];
}

void remote_tls_judge(
	const struct remote_tls_need *need, const struct remote_tls_state *state, struct remote_tls_verdict *ret)
{
	*ret = (struct remote_tls_verdict){ .allowed = true };
	judge_dane(need, state, ret);
	judge_policy(need, state, ret);
	judge_sts(need, state, ret);
	judge_requiretls(need, state, ret);
	note_failure(need, state, ret);
}

static bool sts_enforces(const struct remote_tls_need *need)
{
	return need->sts != NULL && need->sts->mode == MTA_STS_ENFORCE && need->sts_age_s <= need->sts->max_age_s;
}

bool remote_tls_is_demanded(const struct remote_tls_need *need, enum dane_demand dane)
{
	return need->policy >= CONFIG_TLS_ENCRYPT || need->requiretls || sts_enforces(need) ||
		(need->has_dane && dane != DANE_NOTHING);
}

bool remote_tls_is_verified(const struct remote_tls_need *need, enum dane_demand dane)
{
	return need->policy >= CONFIG_TLS_VERIFY || need->requiretls || need->sts != NULL ||
		(need->has_dane && dane == DANE_VERIFY);
}
