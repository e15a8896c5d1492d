/* Where the domain's mail goes, and how its hosts receive it. */
#include "cli/doctor_private.h"

#include "crypto/random.h"
#include "mailauth/dane.h"

#include <string.h>
#include <strings.h>

void doctor_check_mx(struct doctor *doctor)
{
	struct doctor_answer answer = doctor_ask(doctor, doctor->domain, DNS_TYPE_MX);
	if (answer.failed) {
		doctor_say(doctor, DOCTOR_FAILURE, "mx", "The MX records can't be looked up: %s", answer.why);
		return;
	}
	mx_order(&answer.dns, view_from_cstr(doctor->domain), 0, NULL, random_below(UINT32_MAX), &doctor->mx);
	doctor->mx_is_secure = answer.secure;
	const char *own = doctor->config->hostname;
	bool is_ours = false;
	for (size_t i = 0; i < doctor->mx.count; i++)
		is_ours = is_ours || view_eq_nocase(doctor->mx.names[i], view_from_cstr(own));
	switch (doctor->mx.result) {
	case MX_HOSTS:
		if (doctor->mx.is_implicit)
			/* Whether that is an address at all, the look at the hosts tells. */
			doctor_say_publish(doctor, DOCTOR_WARNING, DNS_TOPIC_MX, "MX", NULL,
				"There is no MX record: mail goes to the domain's own address, which many systems "
				"distrust");
		else if (!is_ours)
			doctor_say_publish(doctor, DOCTOR_FAILURE, DNS_TOPIC_MX, "MX", NULL,
				"Mail for the domain goes to %.*s and not to this server, %s",
				VIEW_ARG(doctor->mx.names[0]), own);
		else
			doctor_say(doctor, DOCTOR_OK, "mx", "Mail for the domain goes to %zu host%s, %s among them",
				doctor->mx.count, doctor->mx.count == 1 ? "" : "s", own);
		break;
	case MX_NO_DOMAIN:
		doctor_say(doctor, DOCTOR_FAILURE, "mx", "The domain %s does not exist in DNS", doctor->domain);
		break;
	case MX_NULL:
		doctor_say_publish(doctor, DOCTOR_FAILURE, DNS_TOPIC_MX, "MX", NULL,
			"The domain says that it takes no mail (null MX)");
		break;
	case MX_LOOP:
	case MX_TEMPORARY:
	default:
		doctor_say(doctor, DOCTOR_FAILURE, "mx", "The MX records make no sense");
		break;
	}
}

/* TLSA records of a host, as tls.h wants them. */
struct tlsa_records {
	bool failed, secure;
	size_t count;
	struct tls_tlsa records[32];
};

static struct tlsa_records find_tlsa(struct doctor *doctor, const char *host)
{
	struct tlsa_records found = { .count = 0 };
	struct buf name = { 0 };
	if (buf_append_format(&name, "_25._tcp.%s", host) == ERR_OK) {
		struct doctor_answer answer = doctor_ask(doctor, buf_cstr(&name), DNS_TYPE_TLSA);
		found.failed = answer.failed;
		found.secure = answer.secure;
		for (size_t i = 0; !answer.failed && i < answer.dns.record_count && found.count < 32; i++) {
			const struct dns_record *r = &answer.dns.records[i];
			if (dane_is_usable(r))
				found.records[found.count++] = (struct tls_tlsa){ .usage = r->tlsa_usage,
					.selector = r->tlsa_selector,
					.matching = r->tlsa_matching,
					.data = r->data };
		}
	}
	buf_clear(&name);
	return found;
}

static void judge_dane(
	struct doctor *doctor, const char *host, const struct tlsa_records *tlsa, const struct doctor_host *seen)
{
	bool is_ours = strcasecmp(host, doctor->config->hostname) == 0;
	if (tlsa->failed) {
		doctor_say(doctor, DOCTOR_FAILURE, "dane",
			"The TLSA records of %s can't be looked up: servers that honour DANE send nothing to it", host);
	} else if (tlsa->count == 0) {
		if (is_ours && doctor->mx_is_secure)
			doctor_say_publish(doctor, DOCTOR_NOTE, DNS_TOPIC_TLSA, "TLSA", NULL,
				"%s has no TLSA record; its zone is signed, so it could have one (DANE)", host);
	} else if (!tlsa->secure) {
		doctor_say(doctor, DOCTOR_NOTE, "dane",
			"%s has TLSA records, but its zone is not signed by DNSSEC: nobody looks at them", host);
	} else if (!seen->has_tls) {
		if (doctor->may_connect && seen->connected)
			doctor_say(doctor, DOCTOR_FAILURE, "dane",
				"%s has TLSA records but no TLS: servers that honour DANE send nothing to it", host);
	} else if (seen->facts.dane == TLS_DANE_MISMATCH) {
		doctor_say_publish(doctor, DOCTOR_FAILURE, DNS_TOPIC_TLSA, "TLSA", NULL,
			"No TLSA record of %s matches its certificate: servers that honour DANE send nothing to it",
			host);
	} else {
		doctor_say(doctor, DOCTOR_OK, "dane", "%s: a TLSA record matches its certificate", host);
	}
}

static void judge_tls(struct doctor *doctor, const char *host, const struct doctor_host *seen)
{
	bool wants_pkix = doctor->config->mta_sts.mode != CONFIG_STS_OFF;
	if (!seen->offers_starttls)
		doctor_say(doctor, DOCTOR_FAILURE, "tls", "%s offers no STARTTLS: mail to it travels in clear", host);
	else if (!seen->has_tls)
		doctor_say(doctor, DOCTOR_FAILURE, "tls", "%s: TLS fails: %s", host, seen->problem);
	else if (seen->facts.pkix == TLS_PKIX_VERIFIED)
		doctor_say(doctor, DOCTOR_OK, "tls", "%s: %s with a certificate that is valid for its name", host,
			seen->version);
	else
		doctor_say(doctor, wants_pkix ? DOCTOR_FAILURE : DOCTOR_WARNING, "tls",
			"%s: the certificate is not valid (%s)%s", host, seen->facts.pkix_reason,
			wants_pkix ? ": under MTA-STS nothing is sent to it"
				   : ": most servers do not mind, those that insist send nothing");
}

static void check_host(struct doctor *doctor, const char *host)
{
	struct net_address addresses[DOCTOR_ADDRESSES_MAX];
	bool failed;
	struct doctor_answer cname = doctor_ask(doctor, host, DNS_TYPE_CNAME);
	if (!cname.failed && cname.dns.record_count > 0)
		doctor_say(doctor, DOCTOR_WARNING, "mx",
			"%s is an alias (CNAME): an MX record must name the host itself (RFC 5321 §5.1)", host);
	size_t count = doctor_addresses(
		doctor, host, doctor->config->delivery.port, addresses, DOCTOR_ADDRESSES_MAX, &failed);
	if (count == 0 && doctor->mx.is_implicit) {
		doctor_say_publish(doctor, DOCTOR_FAILURE, DNS_TOPIC_MX, "MX", NULL,
			"Mail for the domain goes nowhere: it has neither MX record nor address%s",
			failed ? " (DNS did not answer)" : "");
		return;
	}
	if (count == 0) {
		doctor_say_publish(doctor, DOCTOR_FAILURE, DNS_TOPIC_ADDRESS, "A", host, "%s has no address%s", host,
			failed ? " (DNS did not answer)" : "");
		return;
	}
	struct tlsa_records tlsa = find_tlsa(doctor, host);
	struct doctor_host seen = { .connected = false };
	for (size_t i = 0; doctor->may_connect && i < count; i++) {
		struct net_address_text ip = net_address_ip(&addresses[i]);
		doctor_probe(doctor, host, &addresses[i], tlsa.secure ? tlsa.count : 0, tlsa.records, &seen);
		if (!seen.connected)
			doctor_say(doctor, DOCTOR_FAILURE, "mx", "%s[%s] can't be reached: %s", host, ip.text,
				seen.problem);
		else if (!seen.greeted && !seen.offers_starttls)
			doctor_say(
				doctor, DOCTOR_FAILURE, "mx", "%s[%s] takes no mail: %s", host, ip.text, seen.problem);
		else
			doctor_say(doctor, DOCTOR_OK, "mx", "%s[%s] answers: %s", host, ip.text, seen.banner);
		if (seen.connected && (seen.greeted || seen.offers_starttls))
			judge_tls(doctor, host, &seen);
	}
	judge_dane(doctor, host, &tlsa, &seen);
}

void doctor_check_hosts(struct doctor *doctor)
{
	for (size_t i = 0; i < doctor->mx.count; i++)
		check_host(doctor, doctor_keep(doctor, doctor->mx.names[i]));
}

/* The addresses we send from: those of the configuration, else those of the server's name. */
static void find_sources(struct doctor *doctor)
{
	const struct config *c = doctor->config;
	const struct net_address *known[2] = { &c->delivery.source_v4, &c->delivery.source_v6 };
	for (size_t i = 0; i < 2; i++)
		if (known[i]->len > 0)
			doctor->sources[doctor->source_count++] = *known[i];
	for (size_t i = 0; i < c->egress_count && doctor->source_count + 2 <= DOCTOR_ADDRESSES_MAX; i++) {
		if (c->egresses[i].source_v4.len > 0)
			doctor->sources[doctor->source_count++] = c->egresses[i].source_v4;
		if (c->egresses[i].source_v6.len > 0)
			doctor->sources[doctor->source_count++] = c->egresses[i].source_v6;
	}
	if (doctor->source_count == 0)
		doctor->source_count = doctor_addresses(
			doctor, c->hostname, 25, doctor->sources, DOCTOR_ADDRESSES_MAX, NULL);
}

static bool is_address(const struct net_address *configured, const struct net_address *address)
{
	return configured->len > 0 && net_address_same_ip(configured, address);
}

/* What we greet others with when we come from there. */
static const char *greeting_of(const struct doctor *doctor, const struct net_address *address)
{
	const struct config *c = doctor->config;
	for (size_t i = 0; i < c->egress_count; i++)
		if (c->egresses[i].ehlo_name != NULL &&
			(is_address(&c->egresses[i].source_v4, address) ||
				is_address(&c->egresses[i].source_v6, address)))
			return c->egresses[i].ehlo_name;
	return c->delivery.ehlo_name;
}

static enum err reverse_name(const struct net_address *address, struct buf *out)
{
	enum err err = ERR_OK;
	if (!net_address_is_v6(address)) {
		const uint8_t *b = (const uint8_t *)&address->v4.sin_addr;
		return buf_append_format(out, "%u.%u.%u.%u.in-addr.arpa", b[3], b[2], b[1], b[0]);
	}
	for (size_t i = 16; i-- > 0 && err == ERR_OK;) {
		unsigned byte = address->v6.sin6_addr.s6_addr[i];
		err = buf_append_format(out, "%x.%x.", byte & 15u, byte >> 4);
	}
	return err == ERR_OK ? buf_append_cstr(out, "ip6.arpa") : err;
}

static bool leads_back(struct doctor *doctor, const char *name, const struct net_address *address)
{
	struct net_address found[DOCTOR_ADDRESSES_MAX];
	size_t count = doctor_addresses(doctor, name, 0, found, DOCTOR_ADDRESSES_MAX, NULL);
	for (size_t i = 0; i < count; i++)
		if (net_address_same_ip(&found[i], address))
			return true;
	return false;
}

static void check_source(struct doctor *doctor, const struct net_address *address)
{
	const char *ehlo = greeting_of(doctor, address);
	struct net_address_text ip = net_address_ip(address);
	struct buf reverse = { 0 };
	if (reverse_name(address, &reverse) != ERR_OK)
		return;
	struct doctor_answer answer = doctor_ask(doctor, buf_cstr(&reverse), DNS_TYPE_PTR);
	bool agrees = false, confirmed = false;
	const char *first = NULL;
	for (size_t i = 0; !answer.failed && i < answer.dns.record_count && i < 10; i++) {
		const char *name = doctor_keep(doctor, answer.dns.records[i].name);
		first = first != NULL ? first : name;
		agrees = agrees || strcasecmp(name, ehlo) == 0;
		confirmed = confirmed || leads_back(doctor, name, address);
	}
	if (answer.failed)
		doctor_say(doctor, DOCTOR_WARNING, "ptr", "The name of %s can't be looked up: %s", ip.text, answer.why);
	else if (first == NULL)
		doctor_say(doctor, DOCTOR_FAILURE, "ptr",
			"%s, which we send from, has no name (PTR): many servers refuse mail from it; ask who gave you "
			"the address "
			"to set `%s. IN PTR %s.`",
			ip.text, buf_cstr(&reverse), ehlo);
	else if (!confirmed)
		doctor_say(doctor, DOCTOR_FAILURE, "ptr", "%s is called %s, but that name does not lead back to it",
			ip.text, first);
	else if (!agrees)
		doctor_say(doctor, DOCTOR_WARNING, "ptr",
			"%s is called %s, but greets others as %s: make them the same (PTR, or ehlo_name in the "
			"configuration)",
			ip.text, first, ehlo);
	else
		doctor_say(doctor, DOCTOR_OK, "ptr", "%s is called %s, and back", ip.text, first);
	if (!leads_back(doctor, ehlo, address) && ehlo[0] != '[')
		doctor_say_publish(doctor, DOCTOR_WARNING, DNS_TOPIC_ADDRESS, net_address_is_v6(address) ? "AAAA" : "A",
			ehlo, "The name we greet others with, %s, does not lead to %s, which we send from", ehlo,
			ip.text);
	buf_clear(&reverse);
}

void doctor_check_sources(struct doctor *doctor)
{
	find_sources(doctor);
	if (doctor->source_count == 0)
		doctor_say(doctor, DOCTOR_FAILURE, "ptr", "This server's name, %s, has no address in DNS",
			doctor->config->hostname);
	for (size_t i = 0; i < doctor->source_count; i++)
		check_source(doctor, &doctor->sources[i]);
}

void doctor_check_block_lists(struct doctor *doctor)
{
	const struct config_dns *dns = &doctor->config->dns;
	for (size_t i = 0; i < doctor->source_count; i++)
		for (size_t l = 0; l < dns->block_list_count; l++) {
			struct buf name = { 0 };
			struct net_address_text ip = net_address_ip(&doctor->sources[i]);
			/* RFC 5782 §2: the reversed address in front of the list's zone; 127.0.0.x: it is on it. */
			if (reverse_name(&doctor->sources[i], &name) != ERR_OK) {
				buf_clear(&name);
				continue;
			}
			size_t tail = net_address_is_v6(&doctor->sources[i]) ? strlen("ip6.arpa")
									     : strlen("in-addr.arpa");
			name.len -= tail;
			if (buf_append_cstr(&name, dns->block_lists[l]) == ERR_OK) {
				struct doctor_answer answer = doctor_ask(doctor, buf_cstr(&name), DNS_TYPE_A);
				if (answer.failed)
					doctor_say(doctor, DOCTOR_NOTE, "block-list", "%s does not answer: %s",
						dns->block_lists[l], answer.why);
				else if (answer.dns.record_count > 0 && answer.dns.records[0].data.len == 4 &&
					answer.dns.records[0].data.ptr[0] == 127 &&
					answer.dns.records[0].data.ptr[1] != 255)
					doctor_say(doctor, DOCTOR_FAILURE, "block-list", "%s is on the list %s",
						ip.text, dns->block_lists[l]);
				else if (answer.dns.record_count > 0)
					/* 127.255.255.x: the list refuses to answer this resolver. */
					doctor_say(doctor, DOCTOR_NOTE, "block-list",
						"%s does not answer through this resolver", dns->block_lists[l]);
				else
					doctor_say(doctor, DOCTOR_OK, "block-list", "%s is not on %s", ip.text,
						dns->block_lists[l]);
			}
			buf_clear(&name);
		}
}
