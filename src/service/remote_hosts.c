/*
 * The hosts that a connection is tried with, one after the other: their addresses, and their TLSA records where DNSSEC vouches for the way there
 * (RFC 7672 §2.2).
 */
#include "service/remote_private.h"

#include <string.h>

/* One family's server that does not answer must not keep the other's addresses waiting (RFC 8305 §3; a little more, as mail has time). */
#define GRACE_MS 1000

/* Answers are parsed into the connection's arena: a budget per connection, not per answer. */
static bool parse(struct remote *remote, const struct resolver_answer *answer, uint16_t type, struct dns_answer *ret)
{
	if (answer->err != ERR_OK || answer->bogus)
		return false;
	return dns_answer_parse(answer->wire, type, &remote->arena, ret) == ERR_OK;
}

/* For the reason of a deferral: who reads it must see whether to look at his own resolver or at the other's domain. */
static const char *why_unknown(const struct resolver_answer *answer)
{
	if (answer->bogus)
		return answer->why_bogus != NULL ? answer->why_bogus : "its DNSSEC signatures are wrong";
	if (answer->err == ERR_TIMEOUT)
		return "the DNS servers do not answer";
	if (answer->err == ERR_OK && answer->rcode == DNS_RCODE_SERVFAIL)
		return "the DNS servers get no answer (SERVFAIL)";
	return answer->err == ERR_SYNTAX ? "it is no name" : "the DNS servers' answer makes no sense";
}

static uint16_t port(const struct remote *remote)
{
	return remote->smarthost != NULL ? remote->smarthost->port : remote->config->delivery.port;
}

static struct resolver_query *ask(struct remote *remote, struct view name, uint16_t type,
	void (*answered)(void *owner, const struct resolver_answer *answer))
{
	char text[1024]; /* with every byte escaped */
	snprintf(text, sizeof text, "%.*s", VIEW_ARG(name));
	struct places_key share = resolver_share_named(RESOLVER_FOR_HOSTS, remote->destination->key);
	return resolver_ask(remote->dispatcher->resolver, share, text, type, answered, remote);
}

void remote_hosts_stop(struct remote *remote)
{
	struct remote_lookup *lookup = &remote->lookup;
	for (size_t i = 0; i < REMOTE_FAMILIES; i++)
		resolver_cancel(lookup->addresses[i]);
	resolver_cancel(lookup->query);
	loop_timer_clear(&lookup->timer);
	remote_connect_stop(remote);
	*lookup = (struct remote_lookup){ 0 };
}

static void set_problem(struct remote *remote, const char *problem)
{
	snprintf(remote->tls.dane_problem, sizeof remote->tls.dane_problem, "%s", problem);
}

/* DANE. The base domains are asked in turn until one has records that count. */

static void connect_or_go_on(struct remote *remote)
{
	/* Hosts that are refused whatever they offer are spared. */
	if (!remote_tls_check(remote, REMOTE_TLS_BEFORE))
		remote->next_address = remote->address_count;
	remote_next_address(remote);
}

static void keep_tlsa(struct remote *remote, const struct dns_answer *answer)
{
	struct remote_tls *tls = &remote->tls;
	remote_tls_keep_records(remote, answer);
	for (size_t i = 0; i < answer->record_count && tls->tlsa_count < REMOTE_TLSA_MAX; i++) {
		const struct dns_record *r = &answer->records[i];
		if (dane_is_usable(r))
			tls->tlsa[tls->tlsa_count++] = (struct tls_tlsa){ .usage = r->tlsa_usage,
				.selector = r->tlsa_selector,
				.matching = r->tlsa_matching,
				.data = r->data };
	}
}

static void ask_next_base(struct remote *remote);

static void tlsa_answered(void *owner, const struct resolver_answer *answer)
{
	struct remote *remote = owner;
	struct remote_lookup *lookup = &remote->lookup;
	struct remote_tls *tls = &remote->tls;
	struct dns_answer parsed = { 0 };
	lookup->query = NULL;
	bool ok = parse(remote, answer, DNS_TYPE_TLSA, &parsed);
	enum dane_status status = !ok ? DANE_STATUS_FAILED : answer->secure ? DANE_STATUS_SECURE : DANE_STATUS_INSECURE;
	tls->dane = dane_demand(status, &parsed);
	tls->base = lookup->bases[lookup->next_base - 1];
	if (tls->dane == DANE_DEFER)
		set_problem(remote, why_unknown(answer));
	else if (tls->dane != DANE_NOTHING)
		keep_tlsa(remote, &parsed);
	else if (status == DANE_STATUS_INSECURE)
		set_problem(remote, "they are not signed");
	ask_next_base(remote);
}

static void ask_next_base(struct remote *remote)
{
	struct remote_lookup *lookup = &remote->lookup;
	struct buf name = { 0 };
	if (remote->tls.dane != DANE_NOTHING || lookup->next_base >= lookup->base_count) {
		connect_or_go_on(remote);
		return;
	}
	struct view base = lookup->bases[lookup->next_base++];
	enum err err = buf_append_format(&name, "_%u._tcp.%.*s", (unsigned)port(remote), VIEW_ARG(base));
	ASSERT(err == ERR_OK);
	lookup->query = ask(remote, buf_view(&name), DNS_TYPE_TLSA, tlsa_answered);
	buf_clear(&name);
}

static struct dane_host describe_host(const struct remote *remote)
{
	const struct remote_lookup *lookup = &remote->lookup;
	struct dane_host host = { .name = remote->host, .mx_is_secure = true };
	bool all_secure = true, any = false;
	for (size_t i = 0; i < REMOTE_FAMILIES; i++) {
		if (!lookup->is_known[i])
			continue;
		any = true;
		all_secure = all_secure && lookup->is_secure[i];
		if (lookup->answers[i].had_cname)
			host.expanded = lookup->answers[i].final_name;
	}
	host.address_is_secure = any && all_secure;
	return host;
}

static void use_bases(struct remote *remote, const struct dane_host *host)
{
	remote->lookup.base_count = dane_base_domains(host, remote->lookup.bases);
	remote->lookup.next_base = 0;
	if (remote->lookup.base_count == 0)
		set_problem(remote, "its address records are not signed");
	ask_next_base(remote);
}

static void cname_answered(void *owner, const struct resolver_answer *answer)
{
	struct remote *remote = owner;
	struct dns_answer parsed;
	remote->lookup.query = NULL;
	struct dane_host host = describe_host(remote);
	/* Bogus: then it would be unwise to believe that there are no TLSA records (RFC 7672 §2.2.2). */
	if (answer->err != ERR_OK || answer->bogus || !parse(remote, answer, DNS_TYPE_CNAME, &parsed)) {
		remote->tls.dane = DANE_DEFER;
		set_problem(remote, why_unknown(answer));
	}
	host.first_cname_is_secure = answer->secure;
	use_bases(remote, &host);
}

/* The host has addresses. */
static void addresses_known(struct remote *remote)
{
	if (!remote_tls_wants_dane(remote)) {
		connect_or_go_on(remote);
		return;
	}
	remote->tls.dane_asked = true;
	struct dane_host host = describe_host(remote);
	if (host.expanded.len > 0 && !host.address_is_secure)
		remote->lookup.query = ask(remote, remote->host, DNS_TYPE_CNAME, cname_answered);
	else
		use_bases(remote, &host);
}

/* Addresses */

/* IPv4 first, then IPv6: many receivers trust a new sender's IPv4 address more. */
static void take_addresses(struct remote *remote)
{
	for (size_t family = 0; family < REMOTE_FAMILIES; family++) {
		const struct dns_answer *answer = &remote->lookup.answers[family];
		/* Half of the room is the second family's. */
		size_t most = family == REMOTE_A ? REMOTE_ADDRESSES_MAX / 2 : REMOTE_ADDRESSES_MAX;
		for (size_t i = 0; i < answer->record_count && remote->address_count < most; i++)
			if (net_address_from_bytes(answer->records[i].data, port(remote),
				    &remote->addresses[remote->address_count]) == ERR_OK)
				remote->address_count++;
	}
}

static void lookups_done(struct remote *remote)
{
	loop_timer_clear(&remote->lookup.timer);
	take_addresses(remote);
	if (remote->address_count > 0) {
		addresses_known(remote);
		return;
	}
	if (remote->lookup.is_bogus)
		remote_tls_not_proven(remote, remote->reason);
	remote_next_address(remote);
}

static void address_answered(struct remote *remote, size_t family, const struct resolver_answer *answer)
{
	struct remote_lookup *lookup = &remote->lookup;
	struct dns_answer *parsed = &lookup->answers[family];
	lookup->addresses[family] = NULL;
	bool ok = parse(remote, answer, family == REMOTE_A ? DNS_TYPE_A : DNS_TYPE_AAAA, parsed);
	if (!ok || (parsed->rcode != DNS_RCODE_NOERROR && parsed->rcode != DNS_RCODE_NXDOMAIN)) {
		*parsed = (struct dns_answer){ 0 };
		remote->no_address_is_final = false;
		lookup->is_bogus = lookup->is_bogus || answer->bogus;
		remote_set_reason(remote, "451 4.4.3 The address of %.*s can't be looked up: %s",
			VIEW_ARG(view_sub(remote->host, 0, 100)), why_unknown(answer));
	} else {
		lookup->is_known[family] = true;
		lookup->is_secure[family] = answer->secure;
		remote->no_address_is_final = parsed->record_count == 0 && remote->no_address_is_final;
		/* The other family's failure, if there was one, explains more. */
		if (parsed->record_count == 0 &&
			(lookup->is_known[1 - family] || lookup->addresses[1 - family] != NULL ||
				!remote->config->delivery.ipv6))
			remote_set_reason(remote, "450 4.4.4 The mail host %.*s has no address",
				VIEW_ARG(view_sub(remote->host, 0, 180)));
	}
	if (lookup->addresses[1 - family] == NULL)
		lookups_done(remote);
	else if (parsed->record_count > 0)
		loop_timer_set(&lookup->timer, loop_now_ms(remote->dispatcher->loop) + GRACE_MS);
}

static void a_answered(void *owner, const struct resolver_answer *answer)
{
	address_answered(owner, REMOTE_A, answer);
}

static void aaaa_answered(void *owner, const struct resolver_answer *answer)
{
	address_answered(owner, REMOTE_AAAA, answer);
}

static void grace_is_over(void *owner)
{
	struct remote *remote = owner;
	for (size_t i = 0; i < REMOTE_FAMILIES; i++) {
		resolver_cancel(remote->lookup.addresses[i]);
		remote->lookup.addresses[i] = NULL;
	}
	lookups_done(remote);
}

/* A host given as "192.0.2.1" or "[192.0.2.1]" or "[IPv6:…]" needs no DNS. */
static bool use_literal(struct remote *remote, struct view text)
{
	if (text.len >= 2 && text.ptr[0] == '[' && text.ptr[text.len - 1] == ']')
		text = view_sub(text, 1, text.len - 2);
	if (view_starts_with_nocase(text, VIEW("IPv6:")))
		text = view_from(text, 5);
	if (net_address_parse(text, port(remote), &remote->addresses[0]) != ERR_OK)
		return false;
	remote->address_count = 1;
	remote->no_address_is_final = false;
	return true;
}

void remote_next_host(struct remote *remote)
{
	if (remote->next_host >= remote->host_count) {
		/* No MX record and no address, or MX records that all lead nowhere: waiting will not mend it. */
		if (remote->no_address_is_final && remote->smarthost == NULL)
			remote_fail(remote, "550 5.4.4 No mail host of the domain has an address");
		else if (remote->tls.refused_alone && remote->delivery != NULL)
			remote_tls_refuse_delivery(remote);
		else
			remote_give_up(remote);
		return;
	}
	remote->host = remote->hosts[remote->next_host++];
	remote->address_count = remote->next_address = 0;
	remote_hosts_stop(remote);
	remote_tls_forget_host(remote);
	if (use_literal(remote, remote->host)) {
		connect_or_go_on(remote);
		return;
	}
	loop_timer_init(&remote->lookup.timer, remote->dispatcher->loop, grace_is_over, remote);
	remote->lookup.addresses[REMOTE_A] = ask(remote, remote->host, DNS_TYPE_A, a_answered);
	if (remote->config->delivery.ipv6)
		remote->lookup.addresses[REMOTE_AAAA] = ask(remote, remote->host, DNS_TYPE_AAAA, aaaa_answered);
}
