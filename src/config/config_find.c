/* Finding in a configuration: smart hosts, streams, policies. */
#include "config/config_private.h"

#include <string.h>

bool config_pattern_matches(const char *pattern, struct view domain)
{
	struct view p = view_from_cstr(pattern);
	if (view_eq(p, VIEW("*")))
		return true;
	if (p.len > 0 && p.ptr[0] == '.')
		return domain.len > p.len && view_eq_nocase(view_from(domain, domain.len - p.len), p);
	return view_eq_nocase(p, domain);
}

bool config_address_matches(const char *pattern, struct view address)
{
	struct view p = view_from_cstr(pattern);
	struct view domain = view_from(address, view_find_last(address, '@') + 1);
	if (p.len > 0 && p.ptr[0] == '@')
		return address.len > 0 && config_pattern_matches(pattern + 1, domain);
	if (view_find(p, '@') < p.len)
		return view_eq_nocase(p, address);
	return address.len > 0 && config_pattern_matches(pattern, domain);
}

static const struct config_smarthost *find_route(const struct config_memory *memory, struct view domain)
{
	size_t from = 0, to = memory->route_count;
	while (from < to) {
		size_t middle = from + (to - from) / 2;
		int order = view_compare(memory->routes[middle].domain, domain);
		if (order == 0)
			return memory->routes[middle].smarthost;
		if (order < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return NULL;
}

const struct config_smarthost *config_find_smarthost(const struct config *config, struct view domain)
{
	const struct config_memory *memory = config_memory(config);
	uint8_t lower[256];
	if (memory->route_count == 0)
		return NULL;
	const struct config_smarthost *found = NULL;
	if (domain.len <= sizeof lower) {
		for (size_t i = 0; i < domain.len; i++)
			lower[i] = ascii_lower(domain.ptr[i]);
		struct view rest = view_of(lower, domain.len);
		found = find_route(memory, rest);
		/* ".example.com" is for what is below example.com, the nearest parent first. */
		for (size_t i = 1; found == NULL && i < rest.len; i++)
			if (rest.ptr[i] == '.')
				found = find_route(memory, view_from(rest, i));
	}
	return found != NULL ? found : find_route(memory, VIEW("*"));
}

static bool any_matches(const char *const *patterns, size_t count, struct view value,
	bool (*matches)(const char *pattern, struct view value))
{
	for (size_t i = 0; i < count; i++)
		if (matches(patterns[i], value))
			return true;
	return false;
}

const struct config_smarthost *config_find_smarthost_for(
	const struct config *config, struct view domain, struct view reverse_path)
{
	for (size_t i = 0; i < config->smarthost_count; i++) {
		const struct config_smarthost *s = &config->smarthosts[i];
		if (s->sender_count > 0 &&
			any_matches(s->senders, s->sender_count, reverse_path, config_address_matches) &&
			any_matches(s->domains, s->domain_count, domain, config_pattern_matches))
			return s;
	}
	return config_find_smarthost(config, domain);
}

const struct config_smarthost *config_smarthost_named(const struct config *config, struct view name)
{
	for (size_t i = 0; i < config->smarthost_count; i++)
		if (view_eq_nocase(view_from_cstr(config->smarthosts[i].name), name))
			return &config->smarthosts[i];
	return NULL;
}

const struct config_stream *config_stream_named(const struct config *config, struct view name)
{
	for (size_t i = 0; i < config->stream_count; i++)
		if (view_eq_nocase(view_from_cstr(config->streams[i].name), name))
			return &config->streams[i];
	return NULL;
}

const struct config_egress *config_egress_named(const struct config *config, struct view name)
{
	for (size_t i = 0; i < config->egress_count; i++)
		if (view_eq_nocase(view_from_cstr(config->egresses[i].name), name))
			return &config->egresses[i];
	return NULL;
}

enum config_tls_policy config_tls_policy_for(const struct config *config, struct view domain)
{
	for (size_t i = 0; i < config->destination_count; i++) {
		const struct config_destination *d = &config->destinations[i];
		if (any_matches(d->domains, d->domain_count, domain, config_pattern_matches))
			return d->tls;
	}
	return config->delivery.tls;
}

void config_split_host_port(const char *text, uint16_t usual_port, struct view *ret_host, uint16_t *ret_port)
{
	struct view all = view_from_cstr(text);
	size_t colon = view_find(all, ':');
	uint64_t port;
	*ret_host = view_sub(all, 0, colon);
	*ret_port = usual_port;
	if (colon < all.len && view_parse_u64(view_from(all, colon + 1), UINT16_MAX, &port) == ERR_OK)
		*ret_port = (uint16_t)port;
}

uint16_t config_listener_port(const struct config *config, enum listener_kind kind, uint16_t usual_port)
{
	const struct config_listener *l = &config->listeners[kind];
	for (size_t i = 0; i < l->address_count; i++)
		if (net_address_port(&l->addresses[i]) == usual_port)
			return usual_port;
	return l->address_count > 0 ? net_address_port(&l->addresses[0]) : 0;
}

bool config_knows_clients(const struct config *config)
{
	return (config->clients.imap != NULL || config->clients.pop3 != NULL) &&
		(config->listeners[LISTENER_SUBMISSION].enabled || config->listeners[LISTENER_SUBMISSIONS].enabled);
}

bool config_hands_on_holds(const struct config *config)
{
	for (size_t i = 0; i < config->smarthost_count; i++)
		if (config->smarthosts[i].hand_on_holds)
			return true;
	return false;
}
