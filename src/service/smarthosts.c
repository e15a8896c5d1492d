#include "service/smarthosts.h"

#include "base/mem.h"

#include <string.h>

#define TROUBLE_FIRST_MS 60000
#define TROUBLE_MAX_MS (15 * 60000)

struct known {
	struct list link;
	char *name;
	int64_t trouble_until_ms, trouble_ms; /* 0: none */
	struct sasl_scram_memory scram;
	struct config *config; /* that `tls` was made by */
	struct tls_context *tls;
};

struct smarthosts {
	struct loop *loop;
	struct oauth *oauth;
	struct list all;
};

struct smarthosts *smarthosts_new(struct server *server, struct loop *loop, struct https *https)
{
	struct smarthosts *smarthosts = mem_alloc(sizeof *smarthosts);
	smarthosts->loop = loop;
	smarthosts->oauth = oauth_new(server, loop, https);
	list_init(&smarthosts->all);
	return smarthosts;
}

void smarthosts_free(struct smarthosts *smarthosts)
{
	struct list *link;
	if (smarthosts == NULL)
		return;
	while ((link = list_take_first(&smarthosts->all)) != NULL) {
		struct known *known = LIST_ENTRY(link, struct known, link);
		explicit_bzero(&known->scram, sizeof known->scram);
		tls_context_unref(known->tls);
		config_unref(known->config);
		mem_free(known->name);
		mem_free(known);
	}
	oauth_free(smarthosts->oauth);
	mem_free(smarthosts);
}

/* A handful are configured, so a list does. */
static struct known *find(struct smarthosts *smarthosts, const struct config_smarthost *smarthost)
{
	struct view name = view_from_cstr(smarthost->name);
	for (struct list *l = smarthosts->all.next; l != &smarthosts->all; l = l->next) {
		struct known *known = LIST_ENTRY(l, struct known, link);
		if (view_eq_nocase(view_from_cstr(known->name), name))
			return known;
	}
	struct known *known = mem_alloc(sizeof *known);
	known->name = view_to_cstr(name);
	list_append(&smarthosts->all, &known->link);
	return known;
}

void smarthosts_failed(struct smarthosts *smarthosts, const struct config_smarthost *smarthost)
{
	struct known *known = find(smarthosts, smarthost);
	int64_t now_ms = loop_now_ms(smarthosts->loop);
	/* Connections that fail side by side are one failure. */
	if (now_ms < known->trouble_until_ms)
		return;
	int64_t doubled_ms = known->trouble_ms * 2;
	known->trouble_ms = doubled_ms == 0   ? TROUBLE_FIRST_MS
		: doubled_ms < TROUBLE_MAX_MS ? doubled_ms
					      : TROUBLE_MAX_MS;
	known->trouble_until_ms = now_ms + known->trouble_ms;
}

void smarthosts_worked(struct smarthosts *smarthosts, const struct config_smarthost *smarthost)
{
	struct known *known = find(smarthosts, smarthost);
	known->trouble_ms = known->trouble_until_ms = 0;
}

bool smarthosts_is_in_trouble(struct smarthosts *smarthosts, const struct config_smarthost *smarthost)
{
	return loop_now_ms(smarthosts->loop) < find(smarthosts, smarthost)->trouble_until_ms;
}

enum err smarthosts_tls(struct smarthosts *smarthosts, struct config *config, const struct config_smarthost *smarthost,
	struct tls_context **ret)
{
	*ret = NULL;
	if (smarthost->certificate == NULL && smarthost->ca_file == NULL)
		return ERR_OK;
	struct known *known = find(smarthosts, smarthost);
	if (known->tls == NULL || known->config != config) {
		struct tls_client_options options = {
			.verify = config_smarthost_is_dane(smarthost->tls) ? TLS_VERIFY_NONE
				: smarthost->verify                        ? TLS_VERIFY_REQUIRED
									   : TLS_VERIFY_NONE,
			.ca_file = smarthost->ca_file != NULL ? smarthost->ca_file : config->delivery.ca_file,
			.certificate_file = smarthost->certificate,
			.key_file = smarthost->key,
		};
		struct tls_context *made = tls_context_new_client_with(&options);
		if (made == NULL)
			return ERR_TLS;
		tls_context_unref(known->tls);
		config_unref(known->config);
		known->tls = made;
		known->config = config_ref(config);
	}
	*ret = known->tls;
	return ERR_OK;
}

struct sasl_scram_memory *smarthosts_scram_memory(
	struct smarthosts *smarthosts, const struct config_smarthost *smarthost)
{
	return &find(smarthosts, smarthost)->scram;
}

struct oauth *smarthosts_oauth(struct smarthosts *smarthosts)
{
	return smarthosts->oauth;
}

const struct config_smarthost *smarthosts_in_order(
	const struct config *config, const struct config_smarthost *first, size_t index)
{
	if (index == 0)
		return first;
	return index <= first->fallback_count
		? config_smarthost_named(config, view_from_cstr(first->fallbacks[index - 1]))
		: NULL;
}
