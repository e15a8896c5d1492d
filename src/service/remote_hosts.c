/* The addresses of the hosts that a connection is tried with, one after the other. */
#include "service/remote_private.h"

#include <string.h>

static void ask_address(struct remote *remote, uint16_t type);

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

static void add_addresses(struct remote *remote, const struct dns_answer *answer)
{
	for (size_t i = 0; i < answer->record_count && remote->address_count < REMOTE_ADDRESSES_MAX; i++)
		if (net_address_from_bytes(
			    answer->records[i].data, port(remote), &remote->addresses[remote->address_count]) == ERR_OK)
			remote->address_count++;
}

static void address_answered(void *owner, const struct resolver_answer *answer)
{
	struct remote *remote = owner;
	remote->query = NULL;
	struct dns_answer parsed;
	uint16_t type = remote->asked_aaaa ? DNS_TYPE_AAAA : DNS_TYPE_A;
	bool ok = parse(remote, answer, type, &parsed);
	if (!ok || (parsed.rcode != DNS_RCODE_NOERROR && parsed.rcode != DNS_RCODE_NXDOMAIN)) {
		remote->no_address_is_final = false;
		remote_set_reason(remote, "451 4.4.3 The address of %.*s can't be looked up: %s",
			VIEW_ARG(view_sub(remote->host, 0, 100)), why_unknown(answer));
	} else {
		add_addresses(remote, &parsed);
		remote->no_address_is_final = remote->address_count == 0 && remote->no_address_is_final;
		if (remote->address_count == 0)
			remote_set_reason(
				remote, "450 4.4.4 The mail host %.*s has no address", VIEW_ARG(remote->host));
	}
	/* IPv4 first, then IPv6: many receivers trust a new sender's IPv4 address more. */
	if (!remote->asked_aaaa && remote->config->delivery.ipv6) {
		ask_address(remote, DNS_TYPE_AAAA);
		return;
	}
	remote_next_address(remote);
}

static void ask_address(struct remote *remote, uint16_t type)
{
	char name[1024]; /* with every byte escaped */
	remote->asked_aaaa = type == DNS_TYPE_AAAA;
	snprintf(name, sizeof name, "%.*s", VIEW_ARG(remote->host));
	remote->query = resolver_ask(remote->dispatcher->resolver, name, type, address_answered, remote);
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
	return true;
}

void remote_next_address(struct remote *remote)
{
	if (remote->next_address < remote->address_count) {
		remote->address = &remote->addresses[remote->next_address++];
		remote->no_address_is_final = false;
		remote->without_tls = false;
		remote_connect(remote);
		return;
	}
	if (remote->next_host >= remote->host_count) {
		/* No MX record and no address, or MX records that all lead nowhere: waiting will not mend it. */
		if (remote->no_address_is_final && remote->smarthost == NULL)
			remote_fail(remote, "550 5.4.4 No mail host of the domain has an address");
		else
			remote_give_up(remote);
		return;
	}
	remote->host = remote->hosts[remote->next_host++];
	remote->address_count = remote->next_address = 0;
	if (use_literal(remote, remote->host)) {
		remote_next_address(remote);
		return;
	}
	ask_address(remote, DNS_TYPE_A);
}
