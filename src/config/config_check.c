/* What several values together may be. */
#include "config/config_private.h"

#include <string.h>

static void check_listeners(const struct config *c, struct config_errors *errors)
{
	const struct config_memory *memory = config_memory(c);
	static const char *const ports[LISTENER_KINDS] = { "25", "587", "465", "443" };
	bool any = false;
	for (size_t i = 0; i < LISTENER_KINDS; i++) {
		const struct config_listener *l = &c->listeners[i];
		if (!l->enabled)
			continue;
		any = any || i != LISTENER_HTTPS;
		unsigned line = memory->listener_lines[i];
		if (l->address_count == 0)
			config_errors_add(errors, line,
				"this listener has no address; write `address = \"*:%s\"` or another in it", ports[i]);
		if (i == LISTENER_HTTPS && c->tls_certificate == NULL && c->tls_key == NULL)
			config_errors_add(
				errors, line, "`listen https` needs TLS; set certificate and key in section `tls`");
		else if (i != LISTENER_MX && c->tls_certificate == NULL && c->tls_key == NULL)
			config_errors_add(errors, line,
				"a submission listener needs TLS, because logins are only taken under it; set "
				"certificate and key "
				"in section `tls`");
		if (l->normalise_line_ends && l->relay_from_count == 0)
			config_errors_add(errors, line,
				"`normalise_line_ends` is for the networks in `relay_from`, and there are none");
	}
	if (!any)
		config_errors_add(errors, 0,
			"there is no listener; write at least `listen mx { address = \"*:25\" }` or a `listen "
			"submission`");
}

static bool same_listen_address(const struct net_address *a, const struct net_address *b)
{
	return net_address_port(a) == net_address_port(b) && net_address_port(a) != 0 && net_address_same_ip(a, b);
}

#define LISTEN_ADDRESSES_MAX 256u

static void check_listen_addresses(const struct config *c, struct config_errors *errors)
{
	const struct net_address *all[LISTEN_ADDRESSES_MAX];
	size_t n = 0;
	for (size_t i = 0; i < LISTENER_KINDS; i++) {
		const struct config_listener *l = &c->listeners[i];
		unsigned line = config_memory(c)->listener_lines[i];
		for (size_t a = 0; a < l->address_count; a++) {
			if (n == LISTEN_ADDRESSES_MAX) {
				config_errors_add(errors, line, "there are more than %u listen addresses",
					LISTEN_ADDRESSES_MAX / 2);
				return;
			}
			for (size_t k = 0; k < n; k++)
				if (same_listen_address(all[k], &l->addresses[a])) {
					config_errors_add(errors, line,
						"%s port %u is in two places; a port can have one listener",
						net_address_ip(all[k]).text, net_address_port(all[k]));
					break;
				}
			all[n++] = &l->addresses[a];
		}
	}
}

static void check_queue(const struct config *c, struct config_errors *errors)
{
	const struct config_queue *q = &c->queue;
	if (q->retry_first_ms > q->retry_max_ms)
		config_errors_add(errors, 0, "`queue.retry_first` is longer than `queue.retry_max`");
	if (q->retry_first_ms > q->expire_ms)
		config_errors_add(errors, 0,
			"`queue.expire` is shorter than `queue.retry_first`: nothing would be tried a second time");
	if (c->limits.inline_body_bytes > c->limits.body_memory_bytes)
		config_errors_add(errors, 0, "`limits.inline_body` is larger than `limits.body_memory`");
}

void config_check(const struct config *config, struct config_errors *errors)
{
	if (config->hostname == NULL)
		config_errors_add(errors, 0,
			"`hostname` is not set; write this server's full name, such as `hostname = "
			"\"mail.example.com\"`");
	if (config->tls_certificate != NULL && config->tls_key == NULL)
		config_errors_add(
			errors, 0, "`tls.certificate` is set without `tls.key`; write the file of its private key");
	if (config->tls_certificate == NULL && config->tls_key != NULL)
		config_errors_add(
			errors, 0, "`tls.key` is set without `tls.certificate`; write the file of the certificate");
	if (config_check_socket(view_from_cstr(config->socket)) != NULL)
		config_errors_add(errors, 0,
			"the path of `socket`, %.120s, is longer than 107 bytes (a limit of the system); set a shorter "
			"one",
			config->socket);
	check_listeners(config, errors);
	check_listen_addresses(config, errors);
	config_check_smarthosts(config, errors);
	config_check_streams(config, errors);
	check_queue(config, errors);
}
