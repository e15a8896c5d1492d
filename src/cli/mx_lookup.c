#include "cli/mx_lookup.h"

#include "base/mem.h"
#include "net/resolver.h"

struct lookup {
	struct loop *loop;
	struct view domain;
	struct arena *arena;
	enum err err;
	struct mx_hosts hosts;
};

static void answered(void *owner, const struct resolver_answer *answer)
{
	struct lookup *l = owner;
	struct dns_answer parsed;
	bool has_answer = answer->err == ERR_OK && answer->wire.len > 0 &&
		dns_answer_parse(answer->wire, DNS_TYPE_MX, l->arena, &parsed) == ERR_OK;
	mx_order(has_answer ? &parsed : NULL, l->domain, 0, NULL, 0, &l->hosts);
	/* Of the answer itself nothing is left when this returns. */
	for (size_t i = 0; i < l->hosts.count && l->err == ERR_OK; i++)
		l->err = arena_dup(l->arena, l->hosts.names[i], &l->hosts.names[i]);
	loop_stop(l->loop);
}

static enum err judge(const struct mx_hosts *hosts, struct view domain)
{
	switch (hosts->result) {
	case MX_HOSTS:
		return ERR_OK;
	case MX_NO_DOMAIN:
		return err_set(ERR_NOT_FOUND, "the domain %.*s does not exist", VIEW_ARG(domain));
	case MX_NULL:
		return err_set(ERR_NOT_FOUND, "%.*s takes no mail (null MX)", VIEW_ARG(domain));
	default:
		return err_set(ERR_AGAIN, "DNS gives no answer about %.*s now", VIEW_ARG(domain));
	}
}

enum err mx_lookup(const struct config *config, struct view domain, struct arena *arena, struct mx_hosts *ret)
{
	struct lookup l = { .domain = domain, .arena = arena };
	struct resolver_options options = { 0 };
	if (config != NULL)
		options = (struct resolver_options){
			.server_count = config->dns.server_count,
			.servers = config->dns.servers,
			.trust_anchor_file = config->dns.trust_anchor_file,
			.timeout_ms = config->dns.timeout_ms,
		};
	l.loop = loop_new("mx");
	struct resolver *resolver = l.loop != NULL ? resolver_new(l.loop, &options) : NULL;
	enum err err = resolver != NULL ? ERR_OK : ERR_IO;
	if (err == ERR_OK) {
		CLEANUP(mem_free_pointer) char *name = view_to_cstr(domain);
		struct places_key share = resolver_share_named(RESOLVER_FOR_OURSELVES, VIEW_NONE);
		(void)resolver_ask(resolver, share, name, DNS_TYPE_MX, answered, &l);
		loop_run(l.loop);
		err = l.err != ERR_OK ? l.err : judge(&l.hosts, domain);
	}
	resolver_free(resolver);
	loop_free(l.loop);
	if (err == ERR_OK)
		*ret = l.hosts;
	return err;
}
