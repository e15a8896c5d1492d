/* Whether mail in the domain's name is believed elsewhere: SPF, DKIM, DMARC; and how it asks others to encrypt: MTA-STS, TLS reports. */
#include "cli/doctor_private.h"

#include "base/clock.h"
#include "base/mem.h"
#include "cli/dkim_lookup.h"
#include "mailauth/dmarc.h"
#include "mailauth/mta_sts.h"
#include "mailauth/spf.h"
#include "mailauth/tls_rpt.h"

#include <string.h>

/* SPF as a receiver would check mail of the domain from this address. */
static struct spf_check *check_spf_of(struct doctor *doctor, const struct net_address *address)
{
	bool v6 = net_address_is_v6(address);
	struct spf_question question = {
		.ip = v6 ? view_of(address->v6.sin6_addr.s6_addr, 16) : view_of(&address->v4.sin_addr, 4),
		.identity = SPF_MAIL_FROM,
		.helo = view_from_cstr(doctor->config->delivery.ehlo_name),
		.local = VIEW("postmaster"),
		.domain = view_from_cstr(doctor->domain),
		.receiver = view_from_cstr(doctor->config->hostname),
		.now_s = (uint64_t)(clock_wall_ms() / 1000),
	};
	struct spf_check *check = spf_check_new(&question);
	struct spf_need need;
	while (spf_check_next(check, &need)) {
		struct doctor_answer answer = doctor_ask(doctor, doctor_keep(doctor, need.name), need.type);
		enum spf_dns_status status = answer.failed       ? SPF_DNS_FAILED
			: answer.dns.rcode == DNS_RCODE_NXDOMAIN ? SPF_DNS_NXDOMAIN
								 : SPF_DNS_OK;
		enum err err = spf_check_answer(check, need.token, status, &answer.dns);
		ASSERT(err == ERR_OK);
	}
	return check;
}

static void judge_spf(struct doctor *doctor, const struct net_address *address, const struct spf_verdict *v)
{
	struct net_address_text ip = net_address_ip(address);
	struct view result = spf_result_name(v->result);
	if (v->result == SPF_PASS)
		doctor_say(doctor, v->lookups > 8 ? DOCTOR_WARNING : DOCTOR_OK, "spf",
			"Mail from %s passes (%u of at most %u look-ups)", ip.text, v->lookups, SPF_LOOKUPS_MAX);
	else if (v->result == SPF_PERMERROR || v->result == SPF_TEMPERROR)
		doctor_say_publish(doctor, DOCTOR_FAILURE, DNS_TOPIC_SPF, "TXT", doctor->domain,
			"The record can't be followed (%.*s): %s%s%.*s", VIEW_ARG(result),
			v->problem != NULL ? v->problem : "", v->term.len > 0 ? ", at " : "",
			VIEW_ARG(view_sub(v->term, 0, 100)));
	else
		doctor_say_publish(doctor, DOCTOR_FAILURE, DNS_TOPIC_SPF, "TXT", doctor->domain,
			"Mail from %s does not pass: %.*s%s%.*s", ip.text, VIEW_ARG(result),
			v->term.len > 0 ? ", by " : "", VIEW_ARG(view_sub(v->term, 0, 100)));
}

void doctor_check_spf(struct doctor *doctor)
{
	struct doctor_answer answer = doctor_ask(doctor, doctor->domain, DNS_TYPE_TXT);
	struct view record;
	size_t count = doctor_txt(&answer, VIEW("v=spf1"), &record);
	if (answer.failed) {
		doctor_say(doctor, DOCTOR_FAILURE, "spf", "The TXT records can't be looked up: %s", answer.why);
	} else if (count == 0) {
		doctor_say_publish(
			doctor, DOCTOR_FAILURE, DNS_TOPIC_SPF, "TXT", doctor->domain, "There is no SPF record");
	} else if (count > 1) {
		doctor_say_publish(doctor, DOCTOR_FAILURE, DNS_TOPIC_SPF, "TXT", doctor->domain,
			"There are %zu SPF records: nobody follows any (RFC 7208 §4.5); make them one", count);
	} else {
		for (size_t i = 0; i < doctor->source_count; i++) {
			struct spf_check *check = check_spf_of(doctor, &doctor->sources[i]);
			struct spf_verdict verdict;
			if (spf_check_result(check, &verdict))
				judge_spf(doctor, &doctor->sources[i], &verdict);
			spf_check_free(check);
		}
		if (memmem(record.ptr, record.len, "+all", 4) != NULL)
			doctor_say_publish(doctor, DOCTOR_FAILURE, DNS_TOPIC_SPF, "TXT", doctor->domain,
				"The record ends with +all: anybody may send in the domain's name");
	}
}

static const char *text_of(const json_t *key, const char *name)
{
	const char *text = json_string_value(json_object_get(key, name));
	return text != NULL ? text : "";
}

static void judge_key(struct doctor *doctor, const json_t *key, enum dkim_publication found)
{
	const char *state = text_of(key, "state"), *name = text_of(key, "name");
	bool signs = strcmp(state, "active") == 0;
	if (found == DKIM_PUBLISHED)
		doctor_say(doctor, DOCTOR_OK, "dkim", "%s (%s) is published", name, state);
	else
		doctor_say_publish(doctor, signs && found != DKIM_PUBLICATION_UNKNOWN ? DOCTOR_FAILURE : DOCTOR_WARNING,
			DNS_TOPIC_DKIM, "TXT", name, "%s (%s): %s", name, state, dkim_publication_text(found));
}

void doctor_check_dkim(struct doctor *doctor)
{
	size_t count = json_array_size(doctor->keys), using = 0;
	enum dkim_publication *found = mem_alloc_array(count + 1, sizeof *found);
	json_t *asked = json_array();
	for (size_t i = 0; i < count; i++) {
		json_t *key = json_array_get(doctor->keys, i);
		if (strcmp(text_of(key, "state"), "retired") != 0 && json_array_append(asked, key) == 0)
			using ++;
	}
	if (!doctor->config->dkim.sign)
		doctor_say(doctor, DOCTOR_WARNING, "dkim", "Signing is switched off (dkim.sign)");
	if (using == 0)
		doctor_say(doctor, DOCTOR_FAILURE, "dkim",
			"The domain has no key: its mail is not signed, and large providers refuse it; postrider dkim "
			"new %s",
			doctor->domain);
	else if (dkim_lookup(doctor->config, asked, found) != ERR_OK)
		doctor_say(doctor, DOCTOR_FAILURE, "dkim", "The keys can't be looked up: %s", err_detail());
	else
		for (size_t i = 0; i < using; i++)
			judge_key(doctor, json_array_get(asked, i), found[i]);
	json_decref(asked);
	mem_free(found);
}

static void judge_dmarc(struct doctor *doctor, const struct dmarc_verdict *v)
{
	const char *name = doctor_keep(doctor, v->record_domain);
	struct view policy = dmarc_policy_name(v->policy);
	if (v->result == DMARC_TEMPERROR) {
		doctor_say(doctor, DOCTOR_FAILURE, "dmarc", "The record can't be looked up: DNS does not answer");
	} else if (v->source == DMARC_SOURCE_NONE) {
		doctor_say_publish(doctor, DOCTOR_FAILURE, DNS_TOPIC_DMARC, "TXT", NULL,
			"There is no DMARC record, neither for %s nor above it", doctor->domain);
	} else if (v->record.fault != NULL) {
		doctor_say_publish(doctor, DOCTOR_FAILURE, DNS_TOPIC_DMARC, "TXT", NULL,
			"The record of %s is faulty: %s", name, v->record.fault);
	} else {
		doctor_say(doctor, DOCTOR_OK, "dmarc", "The record of %s says p=%.*s%s", name, VIEW_ARG(policy),
			v->record.is_testing ? ", in testing" : "");
		if (v->policy == DMARC_POLICY_NONE)
			doctor_say(doctor, DOCTOR_NOTE, "dmarc",
				"p=none only watches: when reports show that all your mail passes, quarantine or "
				"reject protect the "
				"name");
		if (v->record.rua.len == 0)
			doctor_say_publish(doctor, DOCTOR_WARNING, DNS_TOPIC_DMARC, "TXT", NULL,
				"The record asks for no reports (rua): nobody sees who sends in the domain's name");
	}
}

/* DMARC as a receiver would check mail from the domain of which this has passed. */
static struct dmarc_check *check_dmarc_of(
	struct doctor *doctor, const struct dmarc_identifier *spf, const struct dmarc_identifier *signature)
{
	struct dmarc_question question = {
		.from_count = 1,
		.from_domain = view_from_cstr(doctor->domain),
		.dkim = signature,
		.dkim_count = signature != NULL ? 1 : 0,
	};
	if (spf != NULL)
		question.spf = *spf;
	struct dmarc_check *check = dmarc_check_new(&question);
	struct dmarc_need need;
	while (dmarc_check_next(check, &need)) {
		struct doctor_answer answer = doctor_ask(doctor, doctor_keep(doctor, need.name), need.type);
		enum dmarc_dns_status status = answer.failed     ? DMARC_DNS_FAILED
			: answer.dns.rcode == DNS_RCODE_NXDOMAIN ? DMARC_DNS_NXDOMAIN
								 : DMARC_DNS_OK;
		enum err err = dmarc_check_answer(check, need.token, status, &answer.dns);
		ASSERT(err == ERR_OK);
	}
	return check;
}

static void judge_signer(struct doctor *doctor, const struct config_stream *stream)
{
	struct dmarc_identifier signature = { .domain = view_from_cstr(stream->dkim_domain), .evidence = DMARC_PASSED };
	struct dmarc_check *check = check_dmarc_of(doctor, NULL, &signature);
	struct dmarc_alignment found = { .is_unknown = true };
	(void)dmarc_check_dkim(check, 0, &found);
	dmarc_check_free(check);
	if (found.is_aligned)
		doctor_say(doctor, DOCTOR_OK, "dmarc", "What stream %s signs, for %s, counts as %s (DKIM is aligned)",
			stream->name, stream->dkim_domain, doctor->domain);
	else if (found.is_unknown)
		doctor_say(doctor, DOCTOR_WARNING, "dmarc",
			"Whether signatures of stream %s, for %s, are aligned can't be told: DNS does not answer",
			stream->name, stream->dkim_domain);
	else
		doctor_say(doctor, DOCTOR_WARNING, "dmarc",
			"Stream %s signs for %s, which does not count as %s%s: its signatures are nothing to DMARC; "
			"give the stream "
			"`dkim_domain = \"%s\"`, or none",
			stream->name, stream->dkim_domain, doctor->domain, found.is_strict ? " under adkim=s" : "",
			doctor->domain);
}

static void judge_return_addresses(struct doctor *doctor, const char *domain)
{
	struct dmarc_identifier spf = { .domain = view_from_cstr(domain), .evidence = DMARC_PASSED };
	struct dmarc_check *check = check_dmarc_of(doctor, &spf, NULL);
	struct dmarc_alignment found = { .is_unknown = true };
	(void)dmarc_check_spf(check, &found);
	dmarc_check_free(check);
	if (found.is_aligned)
		doctor_say(doctor, DOCTOR_OK, "dmarc", "Signed return addresses at %s count as %s (SPF is aligned)",
			domain, doctor->domain);
	else if (found.is_unknown)
		doctor_say(doctor, DOCTOR_WARNING, "dmarc",
			"Whether return addresses at %s are aligned can't be told: DNS does not answer", domain);
	else
		doctor_say(doctor, DOCTOR_WARNING, "dmarc",
			"Signed return addresses are at %s (bounces.domain), which does not count as %s%s: only a DKIM "
			"signature "
			"vouches for such mail",
			domain, doctor->domain, found.is_strict ? " under aspf=s" : "");
}

/* Patterns of addresses and domains: is one of them about the domain? Those of users of this machine are, maybe. */
static bool any_may_be_of(const char *const *patterns, size_t count, const char *domain)
{
	for (size_t i = 0; i < count; i++) {
		struct view pattern = view_from_cstr(patterns[i]);
		size_t at = view_find_last(pattern, '@');
		const char *of = patterns[i] + (at < pattern.len ? at + 1 : 0);
		if (view_starts_with(pattern, VIEW("local:")) || config_pattern_matches(of, view_from_cstr(domain)))
			return true;
	}
	return count == 0;
}

/* What the configuration makes mail of the domain carry in place of its own name. */
static void check_alignment(struct doctor *doctor)
{
	const struct config *c = doctor->config;
	bool is_signed = false;
	for (size_t i = 0; i < c->stream_count; i++) {
		const struct config_stream *s = &c->streams[i];
		if (!any_may_be_of(s->senders, s->sender_count, doctor->domain) ||
			!any_may_be_of(s->accounts, s->account_count, doctor->domain))
			continue;
		is_signed = is_signed || s->bounces == CONFIG_BOUNCES_SIGNED;
		if (s->dkim_domain != NULL && c->dkim.sign)
			judge_signer(doctor, s);
	}
	if (is_signed && c->bounces.domain != NULL)
		judge_return_addresses(doctor, c->bounces.domain);
}

void doctor_check_dmarc(struct doctor *doctor)
{
	struct dmarc_identifier own = { .domain = view_from_cstr(doctor->domain), .evidence = DMARC_PASSED };
	struct dmarc_check *check = check_dmarc_of(doctor, NULL, &own);
	struct dmarc_verdict verdict;
	if (dmarc_check_result(check, &verdict)) {
		judge_dmarc(doctor, &verdict);
		/* Without a record nobody compares anything. */
		if (verdict.result == DMARC_PASS)
			check_alignment(doctor);
	}
	dmarc_check_free(check);
}

struct fetch {
	struct doctor *doctor;
	char problem[300];
	struct buf text;
};

static void fetched(void *owner, const struct https_answer *answer)
{
	struct fetch *f = owner;
	if (answer->err != ERR_OK)
		snprintf(f->problem, sizeof f->problem, "%s", answer->detail);
	else if (answer->status != 200)
		snprintf(f->problem, sizeof f->problem, "the server answers with status %ld", answer->status);
	else if (!view_starts_with_nocase(answer->content_type, VIEW("text/plain")))
		snprintf(f->problem, sizeof f->problem, "it is not served as text/plain");
	else if (buf_append(&f->text, answer->body) != ERR_OK)
		snprintf(f->problem, sizeof f->problem, "it is too long");
	loop_stop(f->doctor->loop);
}

static void judge_policy(struct doctor *doctor, struct view text)
{
	struct mta_sts_policy *policy = mem_alloc(sizeof *policy);
	if (mta_sts_policy_parse(text, policy) != ERR_OK) {
		doctor_say(doctor, DOCTOR_FAILURE, "mta-sts", "The policy is faulty: %s", err_detail());
	} else {
		size_t covered = 0;
		for (size_t i = 0; i < doctor->mx.count; i++)
			covered += mta_sts_policy_has(policy, doctor->mx.names[i]);
		struct view mode = mta_sts_mode_name(policy->mode);
		if (covered < doctor->mx.count && policy->mode != MTA_STS_NONE)
			doctor_say(doctor, DOCTOR_FAILURE, "mta-sts",
				"The policy names only %zu of the domain's %zu MX hosts: mail to the others is held "
				"back",
				covered, doctor->mx.count);
		else
			doctor_say(doctor, DOCTOR_OK, "mta-sts", "The policy is there, in mode %.*s", VIEW_ARG(mode));
	}
	mem_free(policy);
}

static void fetch_policy(struct doctor *doctor)
{
	struct net_address addresses[8];
	struct buf url = { 0 }, resolve = { 0 };
	struct fetch f = { .doctor = doctor };
	uint16_t port = doctor->config->delivery.https_port;
	const char *host = "";
	enum err err = buf_append_format(&url, "mta-sts.%s", doctor->domain);
	if (err == ERR_OK)
		host = doctor_keep(doctor, buf_view(&url));
	size_t count = doctor_addresses(doctor, host, port, addresses, 8, NULL);
	buf_reset(&url);
	if (err == ERR_OK)
		err = buf_append_format(&url, "https://%s:%u/.well-known/mta-sts.txt", host, port);
	if (err == ERR_OK)
		err = buf_append_format(&resolve, "%s:%u:", host, port);
	for (size_t i = 0; i < count && err == ERR_OK; i++)
		err = buf_append_format(&resolve, net_address_is_v6(&addresses[i]) ? "%s[%s]" : "%s%s",
			i > 0 ? "," : "", net_address_ip(&addresses[i]).text);
	struct https_options options = {
		.url = buf_cstr(&url),
		.ca_file = doctor->config->delivery.ca_file,
		.resolve = buf_cstr(&resolve),
		.body_max_bytes = MTA_STS_POLICY_MAX_BYTES,
		.timeout_ms = 30000,
	};
	if (count == 0 || err != ERR_OK) {
		doctor_say_publish(doctor, DOCTOR_FAILURE, DNS_TOPIC_MTA_STS, "CNAME", NULL, "%s has no address", host);
	} else {
		(void)https_start(doctor->https, &options, fetched, &f);
		loop_run(doctor->loop);
		if (f.problem[0] != '\0')
			doctor_say(doctor, DOCTOR_FAILURE, "mta-sts", "The policy can't be fetched from %s: %s",
				buf_cstr(&url), f.problem);
		else
			judge_policy(doctor, buf_view(&f.text));
	}
	buf_clear(&f.text);
	buf_clear(&url);
	buf_clear(&resolve);
}

void doctor_check_mta_sts(struct doctor *doctor)
{
	struct buf name = { 0 };
	if (buf_append_format(&name, "_mta-sts.%s", doctor->domain) != ERR_OK) {
		buf_clear(&name);
		return;
	}
	struct doctor_answer answer = doctor_ask(doctor, buf_cstr(&name), DNS_TYPE_TXT);
	struct view id;
	enum err err = answer.failed ? ERR_IO : mta_sts_record_find(&answer.dns, &id);
	bool wanted = doctor->config->mta_sts.mode != CONFIG_STS_OFF;
	if (answer.failed)
		doctor_say(doctor, DOCTOR_WARNING, "mta-sts", "%s can't be looked up: %s", buf_cstr(&name), answer.why);
	else if (err == ERR_NOT_FOUND)
		doctor_say_publish(doctor, wanted ? DOCTOR_FAILURE : DOCTOR_NOTE, DNS_TOPIC_MTA_STS, "TXT", NULL,
			"There is no MTA-STS record: who sends here may be led astray without TLS");
	else if (err != ERR_OK)
		doctor_say_publish(doctor, DOCTOR_FAILURE, DNS_TOPIC_MTA_STS, "TXT", NULL,
			"The record at %s is faulty, or there are several", buf_cstr(&name));
	else if (doctor->may_connect)
		fetch_policy(doctor);
	buf_clear(&name);
}

void doctor_check_tls_rpt(struct doctor *doctor)
{
	struct buf name = { 0 };
	if (buf_append_format(&name, "_smtp._tls.%s", doctor->domain) == ERR_OK) {
		struct doctor_answer answer = doctor_ask(doctor, buf_cstr(&name), DNS_TYPE_TXT);
		struct tls_rpt_record record;
		enum err err = answer.failed ? ERR_IO : tls_rpt_record_find(&answer.dns, &record);
		if (err == ERR_OK)
			doctor_say(doctor, DOCTOR_OK, "tlsrpt", "TLS reports are asked for");
		else if (err == ERR_NOT_FOUND)
			doctor_say_publish(doctor, DOCTOR_NOTE, DNS_TOPIC_TLSRPT, "TXT", NULL,
				"TLS reports are not asked for: nobody tells when TLS to this domain fails");
		else
			doctor_say_publish(doctor, DOCTOR_WARNING, DNS_TOPIC_TLSRPT, "TXT", NULL,
				"The record at %s is faulty, or there are several, or DNS does not answer",
				buf_cstr(&name));
	}
	buf_clear(&name);
}

/* SRV; CNAME, which stands for whatever leads to an address. */
static bool is_there(struct doctor *doctor, const struct dns_entry *e)
{
	struct net_address found;
	if (strcmp(e->type, "SRV") != 0)
		return doctor_addresses(doctor, e->name, 0, &found, 1, NULL) > 0;
	struct doctor_answer answer = doctor_ask(doctor, e->name, DNS_TYPE_SRV);
	return !answer.failed && answer.dns.record_count > 0;
}

void doctor_check_clients(struct doctor *doctor)
{
	const struct dns_plan *plan = doctor->plan;
	for (size_t i = 0; i < plan->count; i++) {
		const struct dns_entry *e = &plan->entries[i];
		/* Only services that are there: that a record for what is not there is missing harms nobody. */
		if (e->topic != DNS_TOPIC_CLIENTS || strcmp(e->data, "0 0 0 .") == 0)
			continue;
		if (is_there(doctor, e))
			doctor_say(doctor, DOCTOR_OK, "clients", "%s is published", e->name);
		else
			doctor_say_publish(doctor, DOCTOR_NOTE, DNS_TOPIC_CLIENTS, e->type, e->name,
				"Mail programs don't find the server by themselves: %s is not published", e->name);
	}
}
