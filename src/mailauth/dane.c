#include "mailauth/dane.h"

size_t dane_base_domains(const struct dane_host *host, struct view ret[2])
{
	bool has_cname = host->expanded.len > 0 && !view_eq_nocase(host->expanded, host->name);
	size_t count = 0;
	if (!host->mx_is_secure || host->name.len == 0)
		return 0;
	/* An unsigned zone can't have secure TLSA records, and some of its servers fail at being asked (RFC 7672 §2.2.2). */
	if (!has_cname) {
		if (host->address_is_secure)
			ret[count++] = host->name;
		return count;
	}
	if (host->address_is_secure)
		ret[count++] = host->expanded;
	if (host->address_is_secure || host->first_cname_is_secure)
		ret[count++] = host->name;
	return count;
}

enum dane_demand dane_demand(enum dane_status status, const struct dns_answer *answer)
{
	if (status == DANE_STATUS_INSECURE)
		return DANE_NOTHING;
	if (status != DANE_STATUS_SECURE || (answer->rcode != DNS_RCODE_NOERROR && answer->rcode != DNS_RCODE_NXDOMAIN))
		return DANE_DEFER;
	for (size_t i = 0; i < answer->record_count; i++)
		if (dane_is_usable(&answer->records[i]))
			return DANE_VERIFY;
	return answer->record_count > 0 ? DANE_ENCRYPT : DANE_NOTHING;
}

static void add_name(struct dane_names *names, struct view name)
{
	for (size_t i = 0; i < names->count; i++)
		if (view_eq_nocase(names->names[i], name))
			return;
	if (name.len > 0)
		names->names[names->count++] = name;
}

struct dane_names dane_names(struct view base_domain, struct view next_hop, struct view expanded_next_hop)
{
	struct dane_names names = { 0 };
	add_name(&names, base_domain);
	add_name(&names, next_hop);
	add_name(&names, expanded_next_hop);
	return names;
}
