/*
 * Smart hosts: which one of those that may take a delivery is tried next, and the login there. The destination stays that of the first one,
 * whichever of its fallbacks takes the mail: its window and its back-off are for all of them.
 */
#include "service/remote_private.h"

#include "base/mem.h"
#include "crypto/random.h"
#include "service/smarthosts.h"

#include <string.h>

#define CHAIN_MAX 64u

static bool uses_token(const struct config_smarthost *smarthost)
{
	return smarthost->login != NULL && smarthost->oauth_token_url != NULL &&
		(smarthost->auth == CONFIG_AUTH_XOAUTH2 || smarthost->auth == CONFIG_AUTH_OAUTHBEARER);
}

static void wipe_token(struct remote *remote)
{
	if (remote->login.token.ptr != NULL)
		explicit_bzero(remote->login.token.ptr, remote->login.token.cap);
	buf_clear(&remote->login.token);
}

void remote_login_clear(struct remote *remote)
{
	oauth_cancel(remote->login.wait);
	remote->login.wait = NULL;
	wipe_token(remote);
	tls_context_unref(remote->login.tls);
	remote->login.tls = NULL;
}

/* ---- the token ---- */

static void token_answered(void *owner, struct view token, const char *reason)
{
	struct remote *remote = owner;
	remote->login.wait = NULL;
	if (token.len == 0) {
		remote_set_reason(remote, "%s", reason);
		remote_give_up(remote);
		return;
	}
	wipe_token(remote);
	enum err err = buf_append(&remote->login.token, token);
	ASSERT(err == ERR_OK);
	/* Renewed: the server is the one that did not like the last. */
	if (remote->login.renewed)
		remote_connect(remote);
	else
		remote_next_address(remote);
}

static void ask_token(struct remote *remote)
{
	remote->login.wait = oauth_ask(smarthosts_oauth(remote->dispatcher->smarthosts), remote->config,
		remote->smarthost, token_answered, remote);
}

/* ---- the chain ---- */

static enum err take_tls(struct remote *remote)
{
	struct dispatcher *d = remote->dispatcher;
	struct tls_context *own;
	enum err err = smarthosts_tls(d->smarthosts, remote->config, remote->smarthost, &own);
	if (err != ERR_OK)
		return err;
	/* DANE is judged after the handshake, which would not know why it failed. */
	bool insists = remote->smarthost->verify && !config_smarthost_is_dane(remote->smarthost->tls);
	tls_context_unref(remote->login.tls);
	remote->login.tls = tls_context_ref(own != NULL ? own : insists ? d->tls_verify : d->tls_may);
	return ERR_OK;
}

static void use(struct remote *remote, const struct config_smarthost *smarthost)
{
	/* Whoever let us wait for too long may not have answered yet. */
	oauth_cancel(remote->login.wait);
	remote->login.wait = NULL;
	remote->smarthost = smarthost;
	remote->hosts[0] = remote->host = view_from_cstr(smarthost->host);
	remote->host_count = 1;
	remote->next_host = remote->next_address = remote->address_count = 0;
	remote->address = NULL;
	remote->login.renewed = false;
	wipe_token(remote);
	if (take_tls(remote) != ERR_OK) {
		remote_set_reason(remote, "454 4.7.5 The certificate for smart host %.60s can't be used: %s",
			smarthost->name, err_detail());
		remote_give_up(remote);
	} else if (uses_token(smarthost)) {
		ask_token(remote);
	} else {
		remote_next_address(remote);
	}
}

/* Those that are well before those that were not a moment ago, each in its order. NULL: all were tried. */
static const struct config_smarthost *next_in_chain(struct remote *remote)
{
	struct remote_login *login = &remote->login;
	for (unsigned in_trouble = 0; in_trouble < 2; in_trouble++) {
		const struct config_smarthost *s;
		for (size_t i = 0; i < CHAIN_MAX && (s = smarthosts_in_order(remote->config, login->first, i)) != NULL;
			i++) {
			bool is_tried = (login->tried & UINT64_C(1) << i) != 0;
			if (is_tried || (!in_trouble && smarthosts_is_in_trouble(remote->dispatcher->smarthosts, s)))
				continue;
			login->tried |= UINT64_C(1) << i;
			return s;
		}
	}
	return NULL;
}

bool remote_login_open(struct remote *remote, struct view name)
{
	remote->login.first = config_smarthost_named(remote->config, name);
	if (remote->login.first == NULL)
		return false;
	use(remote, next_in_chain(remote));
	return true;
}

static void trace_fallback(struct remote *remote, const struct config_smarthost *next)
{
	const struct delivery *delivery = remote->delivery;
	LOG(LOG_LEVEL_INFO, "smarthost-fallback", LOG_CSTR("from", remote->smarthost->name), LOG_CSTR("to", next->name),
		LOG_CSTR("reason", remote->reason));
	for (size_t i = 0; i < delivery->count; i++)
		TRACE(remote->dispatcher->server->store, LOG_LEVEL_DEBUG, delivery->message->envelope.id,
			"smarthost-fallback", LOG_TEXT("to", delivery->recipients[i].recipient->address),
			LOG_CSTR("from", remote->smarthost->name), LOG_CSTR("via", next->name),
			LOG_CSTR("reason", remote->reason));
}

bool remote_login_fall_back(struct remote *remote)
{
	struct dispatcher *d = remote->dispatcher;
	if (remote->smarthost == NULL)
		return false;
	/* It works for others, and does not want more connections: what waits goes over those that it has. */
	if (remote->destination->proven > 0 && !smarthosts_is_in_trouble(d->smarthosts, remote->smarthost))
		return false;
	smarthosts_failed(d->smarthosts, remote->smarthost);
	if (remote->delivery == NULL || d->stopping)
		return false;
	const struct config_smarthost *next = next_in_chain(remote);
	if (next == NULL)
		return false;
	trace_fallback(remote, next);
	use(remote, next);
	return true;
}

/* ---- the login ---- */

static unsigned mechanisms(const struct config_smarthost *smarthost)
{
	static const unsigned allowed[] = {
		[CONFIG_AUTH_ANY] = SASL_CLIENT_BY_PASSWORD,
		[CONFIG_AUTH_PLAIN] = SASL_CLIENT_BIT(SASL_CLIENT_PLAIN),
		[CONFIG_AUTH_LOGIN] = SASL_CLIENT_BIT(SASL_CLIENT_LOGIN),
		[CONFIG_AUTH_SCRAM_SHA_256] = SASL_CLIENT_BIT(SASL_CLIENT_SCRAM_SHA_256),
		[CONFIG_AUTH_XOAUTH2] = SASL_CLIENT_BIT(SASL_CLIENT_XOAUTH2),
		[CONFIG_AUTH_OAUTHBEARER] = SASL_CLIENT_BIT(SASL_CLIENT_OAUTHBEARER),
	};
	return allowed[smarthost->auth];
}

void remote_login_options(struct remote *remote, struct smtp_sender_options *options)
{
	const struct config_smarthost *s = remote->smarthost;
	struct remote_login *login = &remote->login;
	if (s == NULL || s->login == NULL)
		return;
	random_bytes(login->nonce, sizeof login->nonce);
	options->has_login = true;
	options->user = view_from_cstr(s->login);
	options->password = uses_token(s) ? buf_view(&login->token)
		: s->password != NULL     ? view_from_cstr(s->password)
					  : VIEW_NONE;
	options->login_mechanisms = mechanisms(s);
	options->login_nonce = view_of(login->nonce, sizeof login->nonce);
	options->scram_memory = smarthosts_scram_memory(remote->dispatcher->smarthosts, s);
	options->login_host = view_from_cstr(s->host);
	options->login_port = s->port;
	/* The configuration allows that to this machine only. */
	options->login_without_tls = s->tls == CONFIG_SMARTHOST_CLEAR;
}

void remote_login_ready(struct remote *remote)
{
	if (remote->smarthost != NULL)
		smarthosts_worked(remote->dispatcher->smarthosts, remote->smarthost);
}

bool remote_login_refused(struct remote *remote, const struct smtp_sender_event *event)
{
	const struct config_smarthost *s = remote->smarthost;
	if (s == NULL || s->login == NULL || event->stage != SMTP_STAGE_AUTH || event->made_here)
		return false;
	/* 535 says that the login is wrong; but it is ours that is, and can be mended: nobody's mail is returned for it. */
	struct buf reply = { 0 };
	if (smtp_reply_describe(&event->reply, &reply) == ERR_OK)
		remote_set_reason(remote, "451 4.7.8 Smart host %.60s refused the login of %.60s: %.100s", s->name,
			s->login, buf_cstr(&reply));
	buf_clear(&reply);
	if (!smtp_reply_is_permanent(&event->reply))
		return false;
	/* Its other addresses know the same, and would count it as one more wrong guess. */
	remote->next_address = remote->address_count;
	if (!uses_token(s))
		return false;
	oauth_refused(smarthosts_oauth(remote->dispatcher->smarthosts), s, buf_view(&remote->login.token));
	if (remote->login.renewed)
		return false;
	/* It may have ended before its time, or was taken back: once more with a new one. */
	remote->login.renewed = true;
	remote_close_session(remote);
	ask_token(remote);
	return true;
}
