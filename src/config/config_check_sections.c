/* What smart hosts, destinations, streams and egress addresses say of each other. */
#include "config/config_private.h"

#include <string.h>

static bool host_is_here(const char *host)
{
	struct net_address address;
	return strcmp(host, "localhost") == 0 ||
		(net_address_parse(view_from_cstr(host), 0, &address) == ERR_OK && net_address_is_loopback(&address));
}

static bool uses_oauth(const struct config_smarthost *s)
{
	return s->auth == CONFIG_AUTH_XOAUTH2 || s->auth == CONFIG_AUTH_OAUTHBEARER;
}

static void check_oauth(const struct config_smarthost *s, const struct config_secrets *secrets, unsigned line,
	struct config_errors *errors)
{
	bool has_secret = secrets->oauth_client_secret_file != NULL || s->oauth_client_secret_env != NULL;
	bool has_refresh = secrets->oauth_refresh_token_file != NULL || s->oauth_refresh_token_env != NULL;
	if (!uses_oauth(s)) {
		if (s->oauth_token_url != NULL)
			config_errors_add(errors, line,
				"smarthost `%.64s` has an `oauth_token_url`, but logs in without it; write `auth = "
				"\"xoauth2\"` or \"oauthbearer\"",
				s->name);
		return;
	}
	if (s->login == NULL)
		config_errors_add(errors, line, "smarthost `%.64s` needs a `login`: the mailbox to send as", s->name);
	if (s->oauth_token_url == NULL || s->oauth_client_id == NULL)
		config_errors_add(errors, line,
			"smarthost `%.64s` needs `oauth_token_url` and `oauth_client_id` to get its access tokens",
			s->name);
	if (!has_secret && !has_refresh)
		config_errors_add(errors, line,
			"smarthost `%.64s` needs `oauth_refresh_token_file`, or `oauth_client_secret_file` for the "
			"client "
			"credentials grant",
			s->name);
}

static void check_fallbacks(
	const struct config *c, const struct config_smarthost *s, unsigned line, struct config_errors *errors)
{
	for (size_t i = 0; i < s->fallback_count; i++) {
		const struct config_smarthost *found = config_smarthost_named(c, view_from_cstr(s->fallbacks[i]));
		if (found == NULL)
			config_errors_add(errors, line, "smarthost `%.64s`: there is no smarthost section `%.64s`",
				s->name, s->fallbacks[i]);
		else if (found == s)
			config_errors_add(errors, line, "smarthost `%.64s` is its own fallback", s->name);
	}
}

static void check_dane(const struct config_smarthost *s, unsigned line, struct config_errors *errors)
{
	struct net_address address;
	if (!config_smarthost_is_dane(s->tls))
		return;
	if (s->host != NULL && net_address_parse(view_from_cstr(s->host), 0, &address) == ERR_OK)
		config_errors_add(errors, line,
			"smarthost `%.64s`: an address has no DANE records; write the `host` by its name", s->name);
	if (!s->verify)
		config_errors_add(errors, line,
			"smarthost `%.64s` has `verify = no`, but DANE is nothing else; leave out one of the two",
			s->name);
}

void config_check_smarthosts(const struct config *c, struct config_errors *errors)
{
	const struct config_memory *memory = config_memory(c);
	for (size_t i = 0; i < c->smarthost_count; i++) {
		const struct config_smarthost *s = &c->smarthosts[i];
		unsigned line = memory->smarthost_lines[i];
		const struct config_secrets *secrets = &memory->secrets[i];
		bool has_password = secrets->password_file != NULL || s->password_env != NULL;
		if (s->host == NULL)
			config_errors_add(errors, line, "smarthost `%.64s` has no `host`", s->name);
		if (s->login != NULL && !has_password && !uses_oauth(s))
			config_errors_add(
				errors, line, "smarthost `%.64s` has a `login` but no `password_file`", s->name);
		if (s->login == NULL && has_password)
			config_errors_add(
				errors, line, "smarthost `%.64s` has a `password_file` but no `login`", s->name);
		if (secrets->password_file != NULL && s->password_env != NULL)
			config_errors_add(errors, line,
				"smarthost `%.64s` has its password in two places; write `password_file` or "
				"`password_env`",
				s->name);
		check_oauth(s, secrets, line, errors);
		if ((s->certificate == NULL) != (s->key == NULL))
			config_errors_add(errors, line,
				"smarthost `%.64s` has only one of `certificate` and `key`; write both", s->name);
		check_fallbacks(c, s, line, errors);
		check_dane(s, line, errors);
		if (s->login != NULL && s->tls == CONFIG_SMARTHOST_CLEAR && s->host != NULL && !host_is_here(s->host))
			config_errors_add(errors, line,
				"smarthost `%.64s` would get its password or token in clear text; write `tls = "
				"\"starttls\"`",
				s->name);
	}
	for (size_t i = 1; i < memory->route_count; i++) {
		const struct config_route *a = &memory->routes[i - 1], *b = &memory->routes[i];
		if (view_eq(a->domain, b->domain))
			config_errors_add(errors, memory->smarthost_lines[b->smarthost - c->smarthosts],
				"\"%.*s\" is in `domains` twice (smarthost `%.64s` and `%.64s`); it can go through one",
				(int)(a->domain.len < 100 ? a->domain.len : 100), (const char *)a->domain.ptr,
				a->smarthost->name, b->smarthost->name);
	}
}

static void check_stream(
	const struct config *c, const struct config_stream *s, unsigned line, struct config_errors *errors)
{
	for (size_t i = 0; i < s->egress_count; i++)
		if (s->egress_found[i] == NULL)
			config_errors_add(errors, line, "stream `%.64s`: there is no egress section `%.64s`", s->name,
				s->egress[i]);
	if (s->smarthost != NULL && config_smarthost_named(c, view_from_cstr(s->smarthost)) == NULL)
		config_errors_add(
			errors, line, "stream `%.64s`: there is no smarthost section `%.64s`", s->name, s->smarthost);
	int64_t first_ms = s->retry_first_ms > 0 ? s->retry_first_ms : c->queue.retry_first_ms;
	int64_t max_ms = s->retry_max_ms > 0 ? s->retry_max_ms : c->queue.retry_max_ms;
	int64_t expire_ms = s->expire_ms > 0 ? s->expire_ms : c->queue.expire_ms;
	if (first_ms > max_ms)
		config_errors_add(errors, line, "stream `%.64s`: `retry_first` is longer than `retry_max`", s->name);
	if (first_ms > expire_ms)
		config_errors_add(errors, line,
			"stream `%.64s`: `expire` is shorter than `retry_first`: nothing would be tried a second time",
			s->name);
}

static void check_egress(const struct config_egress *e, unsigned line, struct config_errors *errors)
{
	if (e->source_v4.len == 0 && e->source_v6.len == 0 && e->ehlo_name == NULL)
		config_errors_add(errors, line,
			"egress `%.64s` has no address; write `source_ipv4`, `source_ipv6` or both", e->name);
	if ((e->warm_up_count > 0) != (e->warm_up_start_s > 0))
		config_errors_add(errors, line,
			"egress `%.64s` has only one of `warm_up` and `warm_up_start`; write both", e->name);
}

void config_check_streams(const struct config *c, struct config_errors *errors)
{
	const struct config_memory *memory = config_memory(c);
	for (size_t i = 0; i < c->stream_count; i++)
		check_stream(c, &c->streams[i], memory->stream_lines[i], errors);
	for (size_t i = 0; i < c->egress_count; i++)
		check_egress(&c->egresses[i], memory->egress_lines[i], errors);
	for (size_t i = 0; i < c->destination_count; i++)
		if (c->destinations[i].domain_count == 0)
			config_errors_add(errors, memory->destination_lines[i], "destination `%.64s` has no `domains`",
				c->destinations[i].name);
}
