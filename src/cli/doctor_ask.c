/* Questions to DNS, waited for. */
#include "cli/doctor_private.h"

#include <string.h>

struct waiting {
	struct doctor *doctor;
	uint16_t type;
	struct doctor_answer answer;
};

static const char *why_failed(const struct resolver_answer *answer)
{
	if (answer->bogus)
		return "its DNSSEC signatures are wrong";
	if (answer->err == ERR_TIMEOUT)
		return "DNS does not answer";
	if (answer->err == ERR_SYNTAX)
		return "it is no name";
	return answer->err == ERR_OK ? "DNS gets no answer (SERVFAIL)" : "DNS can't be asked";
}

static void answered(void *owner, const struct resolver_answer *answer)
{
	struct waiting *w = owner;
	struct doctor_answer *ret = &w->answer;
	ret->secure = answer->secure;
	ret->failed = answer->err != ERR_OK || answer->bogus ||
		(answer->rcode != DNS_RCODE_NOERROR && answer->rcode != DNS_RCODE_NXDOMAIN);
	if (!ret->failed && dns_answer_parse(answer->wire, w->type, &w->doctor->arena, &ret->dns) != ERR_OK) {
		ret->failed = true;
		ret->why = "the answer makes no sense";
	} else if (ret->failed) {
		ret->why = doctor_keep(w->doctor, view_from_cstr(why_failed(answer)));
	}
	loop_stop(w->doctor->loop);
}

struct doctor_answer doctor_ask(struct doctor *doctor, const char *name, uint16_t type)
{
	struct waiting w = { .doctor = doctor, .type = type };
	struct places_key share = resolver_share_named(RESOLVER_FOR_OURSELVES, VIEW_NONE);
	(void)resolver_ask(doctor->resolver, share, name, type, answered, &w);
	loop_run(doctor->loop);
	return w.answer;
}

size_t doctor_addresses(
	struct doctor *doctor, const char *name, uint16_t port, struct net_address *ret, size_t max, bool *ret_failed)
{
	static const uint16_t types[] = { DNS_TYPE_A, DNS_TYPE_AAAA };
	size_t count = 0;
	bool failed = false;
	for (size_t t = 0; t < 2; t++) {
		struct doctor_answer answer = doctor_ask(doctor, name, types[t]);
		failed = failed || answer.failed;
		for (size_t i = 0; !answer.failed && i < answer.dns.record_count && count < max; i++)
			if (net_address_from_bytes(answer.dns.records[i].data, port, &ret[count]) == ERR_OK)
				count++;
	}
	if (ret_failed != NULL)
		*ret_failed = failed;
	return count;
}

size_t doctor_txt(const struct doctor_answer *answer, struct view prefix, struct view *ret)
{
	size_t count = 0;
	for (size_t i = 0; !answer->failed && i < answer->dns.record_count; i++) {
		struct view text = answer->dns.records[i].data;
		/* "v=spf1" is followed by a blank or the end (RFC 7208 §4.5), "v=DMARC1" by its separator. */
		if (!view_starts_with_nocase(text, prefix) ||
			(text.len > prefix.len && ascii_is_alnum(text.ptr[prefix.len])))
			continue;
		if (count++ == 0)
			*ret = text;
	}
	return count;
}
