#include "mailauth/mta_sts.h"

bool mta_sts_mx_matches(struct view pattern, struct view host)
{
	if (host.len == 0)
		return false;
	if (!view_starts_with(pattern, VIEW("*.")))
		return view_eq_nocase(pattern, host);
	size_t dot = view_find(host, '.');
	return dot > 0 && dot < host.len && view_eq_nocase(view_from(pattern, 1), view_from(host, dot));
}

bool mta_sts_policy_has(const struct mta_sts_policy *policy, struct view host)
{
	for (size_t i = 0; i < policy->mx_count; i++)
		if (mta_sts_mx_matches(policy->mx[i], host))
			return true;
	return false;
}

/* Result types of RFC 8460 §4.3. */
static const char *const tls_failures[] = {
	[MTA_STS_TLS_NOT_YET] = NULL,
	[MTA_STS_TLS_VERIFIED] = NULL,
	[MTA_STS_TLS_NOT_OFFERED] = "starttls-not-supported",
	[MTA_STS_TLS_FAILED] = "validation-failure",
	[MTA_STS_TLS_EXPIRED] = "certificate-expired",
	[MTA_STS_TLS_OTHER_NAME] = "certificate-host-mismatch",
	[MTA_STS_TLS_NOT_TRUSTED] = "certificate-not-trusted",
};

struct mta_sts_decision mta_sts_decide(
	const struct mta_sts_policy *policy, uint64_t age_s, struct view host, enum mta_sts_tls tls)
{
	ASSERT((size_t)tls < sizeof tls_failures / sizeof *tls_failures);
	if (policy == NULL || policy->mode == MTA_STS_NONE || age_s > policy->max_age_s)
		return (struct mta_sts_decision){ .verdict = MTA_STS_ALLOWED };
	/* There is no result type of its own for a host that the policy does not name. */
	const char *failure = mta_sts_policy_has(policy, host) ? tls_failures[tls] : "validation-failure";
	enum mta_sts_verdict verdict = failure == NULL ? MTA_STS_ALLOWED
		: policy->mode == MTA_STS_ENFORCE      ? MTA_STS_REFUSED
						       : MTA_STS_REPORTED;
	return (struct mta_sts_decision){ verdict, true, failure };
}
