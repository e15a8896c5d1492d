/* TLS of an outgoing connection: what is wanted, the handshake, what came of it, and what is said about it to the sender and to the domain. */
#include "service/remote_private.h"

#include "base/clock.h"
#include "service/tls_results.h"

#include <string.h>

#define HANDSHAKE_MS 60000u
#define LINGER_MS 2000u
#define TLSA_TEXT_MAX_BYTES 8192u

static const struct sts_policy *sts_of(const struct domain_route *route)
{
	return route->sts != NULL && route->sts->policy.mode != MTA_STS_NONE ? route->sts : NULL;
}

static struct remote_tls_need need_of(const struct remote *remote, const struct delivery *delivery)
{
	const struct domain_route *route = delivery->route;
	/* RFC 8689 §5: a report is not to be lost because the way back can't be protected. */
	bool is_report = delivery->message->envelope.reverse_path.len == 0;
	struct remote_tls_need need = { .requiretls = (delivery->way.flags & QUEUE_REQUIRETLS) != 0 && !is_report };
	if (route == NULL) {
		/* A smart host is spoken to as its section says, which the handshake itself insists on unless it is by DANE. */
		bool by_dane = remote->smarthost != NULL && config_smarthost_is_dane(remote->smarthost->tls);
		need.policy = by_dane ? CONFIG_TLS_DANE : CONFIG_TLS_MAY;
		need.has_dane = by_dane;
		need.domain = by_dane ? view_from_cstr(remote->smarthost->host) : VIEW_NONE;
		return need;
	}
	const struct config_delivery *c = &remote->config->delivery;
	/* "TLS-Required: No": the receiving side's policies are not to hold it up; ours stand (RFC 8689 §4.2.2). */
	bool optional = (delivery->way.flags & QUEUE_TLS_OPTIONAL) != 0;
	need.domain = route->domain;
	need.policy = config_tls_policy_for(remote->config, route->domain);
	bool wants_dane = need.policy == CONFIG_TLS_DANE || (c->dane && !optional && need.policy != CONFIG_TLS_NONE);
	need.has_dane = wants_dane && route->mx_is_secure && route->domain.ptr[0] != '[';
	need.hosts_are_unproven = !route->mx_is_secure && route->domain.ptr[0] != '[';
	const struct sts_policy *sts = sts_of(route);
	if (sts != NULL && c->mta_sts && !optional && need.policy != CONFIG_TLS_NONE) {
		need.sts = &sts->policy;
		need.sts_age_s = sts_policy_age_s(sts, clock_wall_ms());
	}
	return need;
}

/* The domain by which the host was found, or the smart host as it is configured. */
static struct view next_hop(const struct remote *remote)
{
	return remote->route != NULL        ? remote->route->domain
		: remote->smarthost != NULL ? view_from_cstr(remote->smarthost->host)
					    : VIEW_NONE;
}

static struct remote_tls_state state_of(const struct remote *remote, enum remote_tls_stage stage)
{
	const struct remote_tls *tls = &remote->tls;
	bool is_ready = stage == REMOTE_TLS_READY && remote->engine != NULL;
	return (struct remote_tls_state){
		.stage = stage,
		.host = remote->host,
		.dane_asked = tls->dane_asked,
		.dane = tls->dane,
		.dane_problem = tls->dane_problem,
		.dane_domain = next_hop(remote),
		.facts = &tls->facts,
		.failure = tls->failure,
		.offers_requiretls = is_ready && (smtp_sender_extensions(remote->engine) & SMTP_EXT_REQUIRETLS) != 0,
	};
}

bool remote_tls_wants_dane(const struct remote *remote)
{
	return (remote->route != NULL || remote->smarthost != NULL) && need_of(remote, remote->delivery).has_dane;
}

void remote_tls_forget_host(struct remote *remote)
{
	struct remote_tls *tls = &remote->tls;
	buf_clear(&tls->tlsa_text);
	*tls = (struct remote_tls){ .refused_alone = tls->refused_alone, .final_refusals = tls->final_refusals };
}

/* TLS reports */

/* "3 1 1 d2abde…", as RFC 8460 §4.4 wants them; also those that are of no use. */
void remote_tls_keep_records(struct remote *remote, const struct dns_answer *answer)
{
	struct remote_tls *tls = &remote->tls;
	struct buf *text = &tls->tlsa_text;
	bool has_room = true;
	buf_clear(text);
	buf_init(text, TLSA_TEXT_MAX_BYTES);
	for (size_t i = 0; i < answer->record_count && i < REMOTE_TLSA_MAX; i++) {
		const struct dns_record *r = &answer->records[i];
		size_t before = text->len;
		enum err err = buf_append_format(
			text, "%s%u %u %u ", i > 0 ? "\n" : "", r->tlsa_usage, r->tlsa_selector, r->tlsa_matching);
		for (size_t j = 0; j < r->data.len && err == ERR_OK; j++)
			err = buf_append_format(text, "%02x", r->data.ptr[j]);
		if (err != ERR_OK || !has_room)
			text->len = before; /* whole records only */
		has_room = has_room && err == ERR_OK;
	}
}

static void count_session(
	struct remote *remote, const struct remote_tls_need *need, const char *result, const char *reason)
{
	struct remote_tls *tls = &remote->tls;
	struct dispatcher *d = remote->dispatcher;
	if (remote->route == NULL || need->policy == CONFIG_TLS_NONE || !remote->config->reports.tls)
		return;
	bool is_tlsa = need->has_dane && tls->dane_asked && tls->dane != DANE_NOTHING;
	bool is_sts = !is_tlsa && need->sts != NULL;
	/* The domain has a policy that can't be had: it wants to know (RFC 8460 §4.3.2.2), whatever became of the session. */
	const struct domain_route *route = remote->delivery != NULL ? remote->delivery->route : remote->route;
	const char *problem = is_tlsa || is_sts || route == NULL ? NULL : remote_tls_sts_result(route->sts_problem);
	if (problem != NULL && result == NULL) {
		result = problem;
		is_sts = true;
	}
	const struct sts_policy *sts = remote->delivery != NULL ? sts_of(remote->delivery->route) : NULL;
	struct net_address_text from = { "" }, to = { "" };
	if (remote->stream != NULL && stream_local(remote->stream)->len > 0)
		from = net_address_ip(stream_local(remote->stream));
	if (remote->address != NULL)
		to = net_address_ip(remote->address);
	tls_result_add(d->tls_results,
		&(struct tls_result){
			.domain = need->domain,
			.policy_type = is_tlsa ? VIEW("tlsa")
				: is_sts       ? VIEW("sts")
					       : VIEW("no-policy-found"),
			.policy = is_tlsa               ? buf_view(&tls->tlsa_text)
				: is_sts && sts != NULL ? buf_view(&sts->text)
							: VIEW_NONE,
			.host = remote->host,
			.result = view_from_cstr(result),
			.reason = view_from_cstr(reason),
			.sending_ip = result != NULL ? view_from_cstr(from.text) : VIEW_NONE,
			.receiving_ip = result != NULL ? view_from_cstr(to.text) : VIEW_NONE,
			.sessions = 1,
		});
}

/* Once for each domain that a connection serves (RFC 8461 §4: judged for each). */
static void count_once(struct remote *remote, const struct remote_tls_need *need,
	const struct remote_tls_verdict *verdict, const char *reason)
{
	uint64_t hash = view_hash_nocase(need->domain) | 1u;
	if (remote->tls.reported_domain == hash)
		return;
	remote->tls.reported_domain = hash;
	count_session(remote, need, verdict->result, verdict->result != NULL ? reason : "");
}

/* Judging */

static enum remote_tls_stage stage_now(const struct remote *remote)
{
	return remote->tls.is_on ? REMOTE_TLS_READY : REMOTE_TLS_CLEAR;
}

/* For the report: the words behind the codes. */
static const char *words_of(const struct remote *remote, enum remote_tls_stage stage)
{
	if (remote->tls.dane == DANE_ENCRYPT && stage == REMOTE_TLS_READY)
		return "none of the TLSA records is usable";
	if (stage >= REMOTE_TLS_ON)
		return remote->tls.facts.dane == TLS_DANE_MISMATCH ? remote->tls.facts.dane_reason
								   : remote->tls.facts.pkix_reason;
	return stage == REMOTE_TLS_FAILED ? remote->tls.failure : "";
}

void remote_tls_not_proven(struct remote *remote, const char *why)
{
	if (remote->delivery == NULL || !remote_tls_wants_dane(remote))
		return;
	struct remote_tls_need need = need_of(remote, remote->delivery);
	struct remote_tls_verdict verdict = { .result = "dnssec-invalid" };
	remote->tls.dane_asked = true;
	remote->tls.dane = DANE_DEFER;
	count_once(remote, &need, &verdict, why);
}

bool remote_tls_check(struct remote *remote, enum remote_tls_stage stage)
{
	struct remote_tls *tls = &remote->tls;
	if (remote->delivery == NULL)
		return true;
	struct remote_tls_need need = need_of(remote, remote->delivery);
	struct remote_tls_state state = state_of(remote, stage);
	struct remote_tls_verdict verdict;
	remote_tls_judge(&need, &state, &verdict);
	bool is_last_word = !verdict.allowed || stage == REMOTE_TLS_FAILED || stage == REMOTE_TLS_CLEAR ||
		stage == REMOTE_TLS_READY;
	/* "TLS-Required: No" is judged without the domain's policies, and says nothing about them; TLS reports go so, and would be reported on for ever. */
	bool counts = (remote->delivery->way.flags & QUEUE_TLS_OPTIONAL) == 0;
	if (counts && is_last_word && (stage != REMOTE_TLS_BEFORE || verdict.result != NULL))
		count_once(remote, &need, &verdict, words_of(remote, stage));
	if (verdict.allowed)
		return true;
	remote_set_reason(remote, "%s", verdict.reason);
	LOG(LOG_LEVEL_INFO, "tls-refused", LOG_TEXT("domain", need.domain), LOG_TEXT("host", remote->host),
		LOG_CSTR("reason", verdict.reason));
	if (need.requiretls)
		tls->refused_alone = true;
	else if (remote->route != NULL)
		remote->refused_by_policy = true; /* what is wrong with a smart host is so for all of its mail */
	if (verdict.is_final)
		tls->final_refusals++;
	/* The host's other addresses have the same certificate. */
	remote->next_address = remote->address_count;
	return false;
}

bool remote_tls_allows(const struct remote *remote, const struct delivery *delivery)
{
	struct remote_tls_need need = need_of(remote, delivery);
	struct remote_tls_state state = state_of(remote, stage_now(remote));
	struct remote_tls_verdict verdict;
	remote_tls_judge(&need, &state, &verdict);
	return verdict.allowed;
}

bool remote_tls_is_fine(struct remote *remote)
{
	return remote_tls_check(remote, stage_now(remote));
}

void remote_tls_used(struct remote *remote)
{
	if (remote->route != NULL)
		(void)remote_tls_check(remote, stage_now(remote));
}

void remote_tls_refuse_delivery(struct remote *remote)
{
	struct remote_tls *tls = &remote->tls;
	/* Permanent only if each of the hosts said so: one that could not be reached today may do it tomorrow. */
	bool is_final = tls->final_refusals >= remote->host_count && remote->reason[0] == '5';
	if (!is_final && remote->reason[0] == '5')
		remote_set_reason(
			remote, "450 4.7.10 REQUIRETLS: no mail host that could be reached keeps the promise");
	delivery_set_all(remote->delivery, is_final ? OUTCOME_FAILED : OUTCOME_DEFERRED, view_from_cstr(remote->reason),
		VIEW_NONE);
	remote_settle(remote);
	remote_end(remote);
}

/* The handshake */

enum smtp_sender_tls remote_tls_mode(const struct remote *remote)
{
	if (remote->smarthost != NULL)
		return remote->smarthost->tls == CONFIG_SMARTHOST_STARTTLS ||
				remote->smarthost->tls == CONFIG_SMARTHOST_DANE
			? SMTP_TLS_REQUIRED
			: SMTP_TLS_NEVER;
	struct remote_tls_need need = need_of(remote, remote->delivery);
	if (remote->without_tls || need.policy == CONFIG_TLS_NONE)
		return SMTP_TLS_NEVER;
	return remote_tls_is_demanded(&need, remote->tls.dane) ? SMTP_TLS_REQUIRED : SMTP_TLS_IF_OFFERED;
}

static void start_with_smarthost(struct remote *remote, const char *host)
{
	struct buf key = { 0 };
	struct net_address_text ip = net_address_ip(remote->address);
	enum err err = buf_append_format(&key, "%s|%s|%u|smarthost", host, ip.text, net_address_port(remote->address));
	ASSERT(err == ERR_OK);
	stream_start_tls_with(remote->stream, remote->login.tls,
		&(struct stream_tls_options){
			.server_name = host, .session_key = buf_view(&key), .timeout_ms = HANDSHAKE_MS });
	buf_clear(&key);
}

/* With MX hosts, and with smart hosts by DANE: what the certificate is worth is judged afterwards. */
static void start_to_be_judged(struct remote *remote, const char *host)
{
	struct remote_tls *tls = &remote->tls;
	struct remote_tls_need need = need_of(remote, remote->delivery);
	bool by_dane = need.has_dane && tls->dane == DANE_VERIFY;
	bool verified = remote_tls_is_verified(&need, tls->dane);
	char base[256], domain[256];
	const char *names[] = { domain };
	struct dane_names further = { 0 };
	/* The domain's own name counts where its secure MX records led here, and a smart host's as configured (RFC 7672 §3.2.2). */
	bool has_next_hop = by_dane && (remote->route == NULL || !remote->route->hosts.is_implicit);
	if (by_dane)
		further = dane_names(tls->base, has_next_hop ? next_hop(remote) : VIEW_NONE, VIEW_NONE);
	snprintf(base, sizeof base, "%.*s", VIEW_ARG(view_sub(by_dane ? tls->base : view_from_cstr(host), 0, 255)));
	snprintf(domain, sizeof domain, "%.*s",
		VIEW_ARG(view_sub(further.count > 1 ? further.names[1] : VIEW_NONE, 0, 255)));
	struct net_address_text ip = net_address_ip(remote->address);
	struct buf key = { 0 };
	enum err err = buf_append_format(&key, "%s|%s|%u|%s|%s|%s|%s|", host, ip.text,
		net_address_port(remote->address), verified ? "verified" : "any", base, domain,
		remote->smarthost != NULL ? remote->smarthost->name : "");
	if (err == ERR_OK && by_dane)
		err = buf_append(&key, buf_view(&tls->tlsa_text));
	ASSERT(err == ERR_OK);
	stream_start_tls_with(remote->stream,
		remote->smarthost != NULL ? remote->login.tls : remote->dispatcher->tls_may,
		&(struct stream_tls_options){
			.server_name = base,
			.pkix_name = host,
			.tlsa_count = by_dane ? tls->tlsa_count : 0,
			.tlsa = tls->tlsa,
			.name_count = further.count > 1 ? 1 : 0,
			.names = names,
			.session_key = buf_view(&key),
			.strong = verified,
			.keep_verified_only = verified,
			.timeout_ms = HANDSHAKE_MS,
		});
	buf_clear(&key);
}

void remote_tls_start(struct remote *remote)
{
	char name[256];
	/* An address literal is known to TLS without its brackets. */
	bool is_literal = remote->host.len > 0 && remote->host.ptr[0] == '[';
	struct net_address_text ip = net_address_ip(remote->address);
	struct view host = is_literal ? view_from_cstr(ip.text) : remote->host;
	snprintf(name, sizeof name, "%.*s", VIEW_ARG(view_sub(host, 0, 255)));
	remote->handshaking = true;
	if (remote->smarthost != NULL && !config_smarthost_is_dane(remote->smarthost->tls))
		start_with_smarthost(remote, name);
	else
		start_to_be_judged(remote, name);
}

bool remote_tls_started(struct remote *remote)
{
	struct remote_tls *tls = &remote->tls;
	tls->is_on = true;
	tls->facts = stream_tls_facts(remote->stream);
	LOG(LOG_LEVEL_DEBUG, "tls", LOG_TEXT("host", remote_host_text(remote)),
		LOG_CSTR("version", stream_tls_version(remote->stream)),
		LOG_CSTR("cipher", stream_tls_cipher(remote->stream)),
		LOG_CSTR("verified",
			tls->facts.dane >= TLS_DANE_EE                 ? "dane"
				: tls->facts.pkix == TLS_PKIX_VERIFIED ? "pkix"
								       : "no"),
		LOG_CSTR("resumed", tls->facts.resumed ? "yes" : "no"));
	return remote_tls_check(remote, REMOTE_TLS_ON);
}

/* Opportunistic TLS (RFC 7435): what can't be encrypted is sent in clear rather than not at all. */
bool remote_tls_failed(struct remote *remote, const char *detail)
{
	snprintf(remote->tls.failure, sizeof remote->tls.failure, "%s", detail);
	LOG(LOG_LEVEL_INFO, "tls-failed", LOG_TEXT("host", remote_host_text(remote)), LOG_CSTR("reason", detail));
	if (remote->smarthost != NULL || remote->without_tls) {
		remote_set_reason(
			remote, "454 4.7.5 TLS with %.*s failed: %s", VIEW_ARG(remote_host_text(remote)), detail);
		return false;
	}
	return remote_tls_check(remote, REMOTE_TLS_FAILED);
}

void remote_tls_not_had(struct remote *remote, const struct smtp_sender_event *event)
{
	struct remote_tls *tls = &remote->tls;
	bool is_offered = !event->made_here || event->reply.detail != 4; /* the engine's 4.7.4: it is not */
	struct buf words = { 0 };
	tls->failure[0] = '\0';
	if (is_offered && smtp_reply_describe(&event->reply, &words) == ERR_OK)
		snprintf(tls->failure, sizeof tls->failure, "%s", buf_cstr(&words));
	buf_clear(&words);
	(void)remote_tls_check(remote, REMOTE_TLS_CLEAR);
}

void remote_tls_leave(struct remote *remote)
{
	if (remote->engine == NULL || remote->stream == NULL)
		return;
	smtp_sender_quit(remote->engine);
	remote_write_output(remote);
	stream_close_after_write(remote->stream, LINGER_MS);
	remote->stream = NULL;
}
