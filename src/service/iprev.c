#include "service/iprev.h"

#include "base/mem.h"
#include "service/dns_question.h"

enum { NAME_MAX_BYTES = 253 };

struct iprev {
	struct resolver *resolver;
	struct places_key share;
	struct net_address client;
	void (*finished)(void *owner);
	void *owner;
	struct dns_question question;
	struct buf names[IPREV_NAMES_MAX];
	size_t count, at; /* names found, the one that is asked about */
	bool has_failed; /* no answer about one of them: it might have been the one */
	bool is_done;
	enum auth_iprev result;
};

static void finish(struct iprev *iprev, enum auth_iprev result)
{
	iprev->is_done = true;
	iprev->result = result;
	iprev->finished(iprev->owner);
}

static void ask_next(struct iprev *iprev)
{
	if (iprev->at == iprev->count)
		finish(iprev, iprev->has_failed ? AUTH_IPREV_TEMPERROR : AUTH_IPREV_FAIL);
	else
		dns_question_ask(&iprev->question, iprev->resolver, iprev->share, buf_view(&iprev->names[iprev->at]),
			net_address_is_v6(&iprev->client) ? DNS_TYPE_AAAA : DNS_TYPE_A);
}

static void on_addresses(struct dns_question *question, enum dns_outcome outcome, const struct dns_answer *answer)
{
	struct iprev *iprev = LIST_ENTRY(question, struct iprev, question);
	struct view own = iprev_address_bytes(&iprev->client);
	iprev->has_failed |= outcome == DNS_OUTCOME_FAILED;
	for (size_t i = 0; i < answer->record_count; i++)
		if (view_eq(answer->records[i].data, own)) {
			finish(iprev, AUTH_IPREV_PASS);
			return;
		}
	iprev->at++;
	ask_next(iprev);
}

/* It goes into Received and Authentication-Results: a name with anything unusual in it is nobody's mail server. */
static bool is_host_name(struct view v)
{
	for (size_t i = 0; i < v.len; i++)
		if (!ascii_is_alnum(v.ptr[i]) && v.ptr[i] != '-' && v.ptr[i] != '.' && v.ptr[i] != '_')
			return false;
	return v.len > 0 && v.len <= NAME_MAX_BYTES && view_find(v, '.') < v.len;
}

static void on_names(struct dns_question *question, enum dns_outcome outcome, const struct dns_answer *answer)
{
	struct iprev *iprev = LIST_ENTRY(question, struct iprev, question);
	if (outcome == DNS_OUTCOME_FAILED) {
		finish(iprev, AUTH_IPREV_TEMPERROR);
		return;
	}
	for (size_t i = 0; i < answer->record_count && iprev->count < IPREV_NAMES_MAX; i++) {
		struct view name = answer->records[i].name;
		if (is_host_name(name) && buf_append(&iprev->names[iprev->count], name) == ERR_OK)
			iprev->count++;
	}
	if (iprev->count == 0) {
		/* §2.7.3: there is nothing that could be checked. */
		finish(iprev, AUTH_IPREV_PERMERROR);
		return;
	}
	question->answered = on_addresses;
	ask_next(iprev);
}

/* RFC 1035 §3.5, RFC 3596 §2.5 */
static void format_reverse(const struct net_address *client, struct buf *out)
{
	struct view bytes = iprev_address_bytes(client);
	enum err err = ERR_OK;
	for (size_t i = bytes.len; i-- > 0 && err == ERR_OK;)
		err = bytes.len == 4 ? buf_append_format(out, "%u.", bytes.ptr[i])
				     : buf_append_format(out, "%x.%x.", bytes.ptr[i] & 15u, bytes.ptr[i] >> 4);
	if (err == ERR_OK)
		err = buf_append_cstr(out, bytes.len == 4 ? "in-addr.arpa" : "ip6.arpa");
	ASSERT(err == ERR_OK);
}

struct iprev *iprev_new(struct resolver *resolver, struct places_key share, const struct net_address *client,
	void (*finished)(void *owner), void *owner)
{
	struct iprev *iprev = mem_alloc(sizeof *iprev);
	struct buf name = { 0 };
	iprev->resolver = resolver;
	iprev->share = share;
	iprev->client = *client;
	iprev->finished = finished;
	iprev->owner = owner;
	iprev->question.answered = on_names;
	format_reverse(client, &name);
	dns_question_ask(&iprev->question, resolver, share, buf_view(&name), DNS_TYPE_PTR);
	buf_clear(&name);
	return iprev;
}

void iprev_free(struct iprev *iprev)
{
	if (iprev == NULL)
		return;
	dns_question_cancel(&iprev->question);
	for (size_t i = 0; i < IPREV_NAMES_MAX; i++)
		buf_clear(&iprev->names[i]);
	mem_free(iprev);
}

bool iprev_is_done(const struct iprev *iprev)
{
	return iprev->is_done;
}

enum auth_iprev iprev_result(const struct iprev *iprev)
{
	return iprev->is_done ? iprev->result : AUTH_IPREV_TEMPERROR;
}

struct view iprev_name(const struct iprev *iprev)
{
	return iprev->is_done && iprev->result == AUTH_IPREV_PASS ? buf_view(&iprev->names[iprev->at]) : VIEW_NONE;
}
