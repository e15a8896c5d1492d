#include "cli/dns_plan.h"

#include "cli/certificate.h"
#include "crypto/hash.h"
#include "mailauth/dkim_record.h"
#include "mailauth/mta_sts.h"

#include <stdarg.h>
#include <string.h>

#define ARENA_BYTES (1024u * 1024)
#define TEXT_MAX_BYTES 8192u

struct planner {
	const struct config *config;
	const char *domain;
	struct dns_plan *plan;
	enum err err;
};

static const char *const titles[DNS_TOPICS] = {
	[DNS_TOPIC_MX] = "Where mail for the domain goes.",
	[DNS_TOPIC_ADDRESS] =
		"The server itself. Its addresses must lead back to its name (PTR, set by who gave you the address).",
	[DNS_TOPIC_SPF] = "SPF: which addresses send in the domain's name.",
	[DNS_TOPIC_DKIM] = "DKIM: the public halves of the keys that sign its mail.",
	[DNS_TOPIC_DMARC] = "DMARC: what others shall do with mail in its name that neither SPF nor DKIM vouches for.",
	[DNS_TOPIC_MTA_STS] = "MTA-STS: who sends here must use TLS.",
	[DNS_TOPIC_TLSRPT] = "TLS reports: who could not use TLS tells us.",
	[DNS_TOPIC_TLSA] = "DANE: the server's key; only of use in a zone that is signed by DNSSEC.",
	[DNS_TOPIC_CLIENTS] = "Where mail programs find their servers.",
};

const char *dns_topic_title(enum dns_topic topic)
{
	return titles[topic];
}

static const char *keep(struct planner *p, struct view text)
{
	char *copy = p->err == ERR_OK ? arena_alloc(&p->plan->arena, text.len + 1) : NULL;
	if (copy == NULL) {
		if (p->err == ERR_OK)
			p->err = err_set(ERR_LIMIT, "the domain needs more records than fit in memory");
		return "";
	}
	if (text.len > 0)
		memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	return copy;
}

static const char *say(struct planner *p, const char *format, ...) PRINTF_LIKE(2, 3);
static const char *say(struct planner *p, const char *format, ...)
{
	char text[TEXT_MAX_BYTES];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof text) {
		p->err = err_set(ERR_LIMIT, "a record would be too long");
		return "";
	}
	return keep(p, view_of(text, (size_t)n));
}

static void add(struct planner *p, enum dns_topic topic, const char *name, const char *type, const char *data)
{
	if (p->err == ERR_OK && p->plan->count == DNS_PLAN_MAX)
		p->err = err_set(ERR_LIMIT, "the domain needs more than %u records", DNS_PLAN_MAX);
	if (p->err == ERR_OK)
		p->plan->entries[p->plan->count++] = (struct dns_entry){
			.topic = topic, .name = name, .type = type, .data = data
		};
}

/* One that others can reach: neither "all of this machine's" nor the machine itself. */
static bool is_known(const struct net_address *address)
{
	if (address->len == 0)
		return false;
	struct net_address_text ip = net_address_ip(address);
	return strcmp(ip.text, "0.0.0.0") != 0 && strcmp(ip.text, "::") != 0 && !net_address_is_loopback(address);
}

/* Once for each address that is sent from. */
static void each_source(
	struct planner *p, void (*each)(struct planner *p, const struct net_address *address, void *owner), void *owner)
{
	const struct config *c = p->config;
	if (is_known(&c->delivery.source_v4))
		each(p, &c->delivery.source_v4, owner);
	if (is_known(&c->delivery.source_v6))
		each(p, &c->delivery.source_v6, owner);
	for (size_t i = 0; i < c->egress_count; i++) {
		if (is_known(&c->egresses[i].source_v4))
			each(p, &c->egresses[i].source_v4, owner);
		if (is_known(&c->egresses[i].source_v6))
			each(p, &c->egresses[i].source_v6, owner);
	}
}

static void add_mx(struct planner *p)
{
	add(p, DNS_TOPIC_MX, p->domain, "MX", say(p, "10 %s.", p->config->hostname));
	if (!p->config->listeners[LISTENER_MX].enabled)
		p->plan->notes[DNS_TOPIC_MX] =
			"There is no `listen mx` in the configuration: this server takes no mail from others.";
}

static void add_address(struct planner *p, const char *name, const struct net_address *address)
{
	if (is_known(address))
		add(p, DNS_TOPIC_ADDRESS, name, net_address_is_v6(address) ? "AAAA" : "A",
			say(p, "%s", net_address_ip(address).text));
}

static void add_addresses(struct planner *p)
{
	const struct config *c = p->config;
	const struct config_listener *mx = &c->listeners[LISTENER_MX];
	size_t before = p->plan->count;
	for (size_t i = 0; i < mx->address_count; i++)
		add_address(p, c->hostname, &mx->addresses[i]);
	/* Who listens on all addresses listens on those that he sends from, too. */
	if (p->plan->count == before) {
		add_address(p, c->hostname, &c->delivery.source_v4);
		add_address(p, c->hostname, &c->delivery.source_v6);
	}
	if (p->plan->count == before)
		p->plan->notes[DNS_TOPIC_ADDRESS] = "The configuration does not say which addresses are public: the "
						    "server's name needs an A record, and "
						    "an AAAA record if it has IPv6.";
	for (size_t i = 0; i < c->egress_count; i++)
		if (c->egresses[i].ehlo_name != NULL) {
			add_address(p, c->egresses[i].ehlo_name, &c->egresses[i].source_v4);
			add_address(p, c->egresses[i].ehlo_name, &c->egresses[i].source_v6);
		}
}

static void append_source(struct planner *p, const struct net_address *address, void *owner)
{
	struct buf *text = owner;
	if (p->err == ERR_OK)
		p->err = buf_append_format(
			text, " %s:%s", net_address_is_v6(address) ? "ip6" : "ip4", net_address_ip(address).text);
}

static bool is_below_or_same(const char *name, const char *domain)
{
	struct view n = view_from_cstr(name), d = view_from_cstr(domain);
	return view_eq_nocase(n, d) ||
		(n.len > d.len && n.ptr[n.len - d.len - 1] == '.' && view_eq_nocase(view_from(n, n.len - d.len), d));
}

static void add_spf(struct planner *p)
{
	const struct config *c = p->config;
	struct buf text = { 0 };
	/* Through somebody else's server it is his addresses that count, and he tells what to include. */
	bool relays = c->smarthost_count > 0;
	if (p->err == ERR_OK)
		p->err = buf_append_cstr(&text, "v=spf1 mx");
	each_source(p, append_source, &text);
	if (p->err == ERR_OK)
		p->err = buf_append_cstr(&text, relays ? " ~all" : " -all");
	if (p->err == ERR_OK)
		add(p, DNS_TOPIC_SPF, p->domain, "TXT", keep(p, buf_view(&text)));
	buf_clear(&text);
	if (relays)
		p->plan->notes[DNS_TOPIC_SPF] =
			"Mail goes through a smart host: put the `include:` that its operator names before "
			"`~all`, then `-all` may take its place.";
	/* The name in EHLO is checked, too (RFC 7208 §2.3), and stands in for bounces. */
	if (is_below_or_same(c->hostname, p->domain) && strcmp(c->hostname, p->domain) != 0)
		add(p, DNS_TOPIC_SPF, c->hostname, "TXT", "v=spf1 a -all");
	for (size_t i = 0; i < c->egress_count; i++)
		if (c->egresses[i].ehlo_name != NULL && is_below_or_same(c->egresses[i].ehlo_name, p->domain))
			add(p, DNS_TOPIC_SPF, c->egresses[i].ehlo_name, "TXT", "v=spf1 a -all");
}

static void add_dkim(struct planner *p, const json_t *keys)
{
	size_t signing = 0;
	for (size_t i = 0; i < json_array_size(keys); i++) {
		const json_t *key = json_array_get(keys, i);
		const char *name = json_string_value(json_object_get(key, "name"));
		const char *record = json_string_value(json_object_get(key, "record"));
		const char *state = json_string_value(json_object_get(key, "state"));
		if (name == NULL || record == NULL || state == NULL || strcmp(state, "retired") == 0)
			continue;
		signing++;
		add(p, DNS_TOPIC_DKIM, keep(p, view_from_cstr(name)), "TXT", keep(p, view_from_cstr(record)));
	}
	if (signing == 0)
		p->plan->notes[DNS_TOPIC_DKIM] = say(p,
			"The domain has no key yet, and its mail is not signed. To make one: postrider dkim new %s",
			p->domain);
}

static void add_dmarc(struct planner *p)
{
	const char *mailbox = p->config->reports.mailbox;
	const char *name = say(p, "_dmarc.%s", p->domain);
	if (mailbox == NULL) {
		add(p, DNS_TOPIC_DMARC, name, "TXT", "v=DMARC1; p=none");
		p->plan->notes[DNS_TOPIC_DMARC] = "With an account named as reports.mailbox this record also asks for "
						  "reports. When they show that all your "
						  "mail passes, write p=quarantine, then p=reject.";
		return;
	}
	add(p, DNS_TOPIC_DMARC, name, "TXT", say(p, "v=DMARC1; p=none; rua=mailto:%s", mailbox));
	p->plan->notes[DNS_TOPIC_DMARC] = "When the reports (postrider dmarc report) show that all your mail passes, "
					  "write p=quarantine, then p=reject.";
	const char *at = strrchr(mailbox, '@');
	/* RFC 9990 §4: a mailbox elsewhere has to agree. */
	if (at != NULL && !is_below_or_same(at + 1, p->domain) && !is_below_or_same(p->domain, at + 1))
		add(p, DNS_TOPIC_DMARC, say(p, "%s._report._dmarc.%s", p->domain, at + 1), "TXT", "v=DMARC1");
}

static void add_mta_sts(struct planner *p)
{
	const struct config_mta_sts *m = &p->config->mta_sts;
	if (m->mode == CONFIG_STS_OFF) {
		p->plan->notes[DNS_TOPIC_MTA_STS] = "Off: see mta_sts.mode and `listen https` in postrider.conf(5).";
		return;
	}
	/* The id changes whenever the policy does (RFC 8461 §3.1). */
	struct buf text = { 0 };
	uint8_t hash[HASH_BYTES];
	if (p->err == ERR_OK)
		p->err = buf_append_format(&text, "%d %lld", (int)m->mode, (long long)m->max_age_ms);
	for (size_t i = 0; i < m->mx_count && p->err == ERR_OK; i++)
		p->err = buf_append_format(&text, " %s", m->mx[i]);
	hash_once(buf_view(&text), hash);
	buf_clear(&text);
	add(p, DNS_TOPIC_MTA_STS, say(p, "_mta-sts.%s", p->domain), "TXT",
		say(p, "v=STSv1; id=%02x%02x%02x%02x%02x%02x", hash[0], hash[1], hash[2], hash[3], hash[4], hash[5]));
	add(p, DNS_TOPIC_MTA_STS, say(p, "mta-sts.%s", p->domain), "CNAME", say(p, "%s.", p->config->hostname));
	if (!p->config->listeners[LISTENER_HTTPS].enabled)
		p->plan->notes[DNS_TOPIC_MTA_STS] =
			"There is no `listen https` in the configuration: something else must serve the policy.";
}

static void add_tls_rpt(struct planner *p)
{
	const char *mailbox = p->config->reports.mailbox;
	if (mailbox != NULL)
		add(p, DNS_TOPIC_TLSRPT, say(p, "_smtp._tls.%s", p->domain), "TXT",
			say(p, "v=TLSRPTv1; rua=mailto:%s", mailbox));
	else
		p->plan->notes[DNS_TOPIC_TLSRPT] =
			"Needs an account to send them to: see reports.mailbox in postrider.conf(5).";
}

static void add_tlsa(struct planner *p)
{
	struct buf hash = { 0 };
	if (p->config->tls_certificate == NULL) {
		p->plan->notes[DNS_TOPIC_TLSA] = "There is no certificate in the configuration.";
	} else if (certificate_key_hash(p->config->tls_certificate, &hash) != ERR_OK) {
		p->plan->notes[DNS_TOPIC_TLSA] = say(p, "%s", err_detail());
	} else {
		add(p, DNS_TOPIC_TLSA, say(p, "_25._tcp.%s", p->config->hostname), "TLSA",
			say(p, "3 1 1 %s", buf_cstr(&hash)));
		p->plan->notes[DNS_TOPIC_TLSA] =
			"It names the server's key: keep the key when the certificate is renewed, or publish the "
			"next one's record a day before.";
	}
	buf_clear(&hash);
}

/* RFC 6186 §3.4, RFC 8314 §5.1: "." says that there is no such service. */
static void add_service(struct planner *p, const char *service, unsigned priority, struct view host, uint16_t port)
{
	add(p, DNS_TOPIC_CLIENTS, say(p, "_%s._tcp.%s", service, p->domain), "SRV",
		port > 0 ? say(p, "%u 1 %u %.*s.", priority, port, VIEW_ARG(host)) : "0 0 0 .");
}

static void add_reading(
	struct planner *p, const char *service, unsigned priority, const char *configured, uint16_t usual_port)
{
	struct view host = VIEW_NONE;
	uint16_t port = 0;
	if (configured != NULL)
		config_split_host_port(configured, usual_port, &host, &port);
	add_service(p, service, priority, host, port);
}

static const char *note_about_clients(const struct config *c)
{
	if (c->clients.imap == NULL && c->clients.pop3 == NULL)
		return "They are told that there is no IMAP or POP3 here. If there is, name its server in the section "
		       "`clients`, see postrider.conf(5).";
	if (!config_knows_clients(c))
		return "There is no `listen submission` or `submissions` in the configuration: autoconfig needs one.";
	if (!c->listeners[LISTENER_HTTPS].enabled)
		return "With `listen https` this server also tells them all by autoconfig, which more of them ask for "
		       "than for SRV.";
	return "The certificate must be valid for the name of autoconfig, too.";
}

static void add_clients(struct planner *p)
{
	const struct config *c = p->config;
	struct view own = view_from_cstr(c->hostname);
	add_service(p, "submissions", 0, own, config_listener_port(c, LISTENER_SUBMISSIONS, 465));
	add_service(p, "submission", 0, own, config_listener_port(c, LISTENER_SUBMISSION, 587));
	/* RFC 6186 §3.2: the lower number is preferred, and IMAP leaves the mail where it is. */
	add_reading(p, "imaps", 0, c->clients.imap, 993);
	add_reading(p, "pop3s", 10, c->clients.pop3, 995);
	if (c->listeners[LISTENER_HTTPS].enabled && config_knows_clients(c))
		add(p, DNS_TOPIC_CLIENTS, say(p, "autoconfig.%s", p->domain), "CNAME", say(p, "%s.", c->hostname));
	p->plan->notes[DNS_TOPIC_CLIENTS] = note_about_clients(c);
}

enum err dns_plan_make(const struct config *config, const char *domain, const json_t *keys, struct dns_plan *ret)
{
	*ret = (struct dns_plan){ 0 };
	arena_init(&ret->arena, ARENA_BYTES);
	struct planner p = { .config = config, .plan = ret };
	p.domain = keep(&p, view_from_cstr(domain));
	add_mx(&p);
	add_addresses(&p);
	add_spf(&p);
	add_dkim(&p, keys);
	add_dmarc(&p);
	add_mta_sts(&p);
	add_tls_rpt(&p);
	add_tlsa(&p);
	add_clients(&p);
	return p.err;
}

void dns_plan_clear(struct dns_plan *plan)
{
	arena_clear(&plan->arena);
}

enum err dns_entry_format(const struct dns_entry *entry, struct buf *out)
{
	enum err err = buf_append_format(out, "%s. 3600 IN %s ", entry->name, entry->type);
	if (err == ERR_OK && strcmp(entry->type, "TXT") == 0)
		err = dkim_record_quote(view_from_cstr(entry->data), out);
	else if (err == ERR_OK)
		err = buf_append_cstr(out, entry->data);
	return err == ERR_OK ? buf_append_byte(out, '\n') : err;
}

enum err dns_plan_format(const struct dns_plan *plan, const char *domain, struct buf *out)
{
	enum err err = buf_append_format(
		out, "; Records for mail of %s, to be put into the zones of the names on the left.\n", domain);
	for (unsigned topic = 0; topic < DNS_TOPICS && err == ERR_OK; topic++) {
		err = buf_append_format(out, "\n; %s\n", titles[topic]);
		for (size_t i = 0; i < plan->count && err == ERR_OK; i++)
			if (plan->entries[i].topic == topic)
				err = dns_entry_format(&plan->entries[i], out);
		if (err == ERR_OK && plan->notes[topic] != NULL)
			err = buf_append_format(out, "; %s\n", plan->notes[topic]);
	}
	return err;
}
