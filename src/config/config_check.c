/* What one value may be, and what several together may be. */
#include "config/config_private.h"

#include "mail/address.h"

#include <string.h>
#include <sys/un.h>

#define PATH_MAX_BYTES 4000u

static bool is_ip(struct view value)
{
	struct net_address address;
	return net_address_parse(value, 0, &address) == ERR_OK;
}

const char *config_check_hostname(struct view value)
{
	/* RFC 5321 §2.3.5: a fully-qualified domain name. A single label is let through: test networks have them. */
	if (is_ip(value) || !address_domain_is_valid(value, 0))
		return "write this server's full host name in ASCII letters, such as \"mail.example.com\"";
	return NULL;
}

const char *config_check_path(struct view value)
{
	return value.len == 0 || value.len > PATH_MAX_BYTES ? "write a path" : NULL;
}

const char *config_check_socket(struct view value)
{
	struct sockaddr_un *un = NULL;
	if (value.len == 0 || value.len >= sizeof un->sun_path)
		return "write the path of a socket, of at most 107 bytes (a limit of the system)";
	return NULL;
}

const char *config_check_user(struct view value)
{
	bool good = value.len > 0 && value.len <= 32 && !ascii_is_digit(value.ptr[0]);
	for (size_t i = 0; i < value.len; i++)
		good = good && (ascii_is_alnum(value.ptr[i]) || view_find(VIEW("_-.$"), value.ptr[i]) < 4);
	return good ? NULL : "write the name of a user of this system";
}

const char *config_check_address(struct view value)
{
	struct address address;
	return address_parse(value, ADDRESS_ALLOW_UTF8, &address) == ERR_OK ? NULL
									    : "write a mail address, such as "
									      "\"admin@example.com\"";
}

const char *config_check_delimiter(struct view value)
{
	bool good = value.len <= 8;
	for (size_t i = 0; i < value.len; i++)
		good = good && view_find(VIEW("+-_=.#~!"), value.ptr[i]) < 8;
	return good ? NULL : "write one or more of + - _ = . # ~ !, or \"\" for none";
}

const char *config_check_ehlo_name(struct view value)
{
	if (address_literal_is_valid(value) || config_check_hostname(value) == NULL)
		return NULL;
	return "write a host name, such as \"mail.example.com\", or an address such as \"[192.0.2.1]\"";
}

const char *config_check_host(struct view value)
{
	if (is_ip(value) || address_domain_is_valid(value, 0))
		return NULL;
	return "write a host name, such as \"smtp.example.net\", or an IP address without brackets; the port has its "
	       "own "
	       "key, `port`";
}

const char *config_check_login(struct view value)
{
	return value.len == 0 || value.len > 320 ? "write the user name at that server" : NULL;
}

const char *config_check_pattern(struct view value)
{
	struct view domain = view_starts_with(value, VIEW(".")) ? view_from(value, 1) : value;
	if (view_eq(value, VIEW("*")) || address_domain_is_valid(domain, 0))
		return NULL;
	return "write a domain (\"example.com\"), all below one (\".example.com\"), or all (\"*\"); international "
	       "domains "
	       "in their xn-- form";
}

const char *config_check_dns_server(struct view value)
{
	size_t at = view_find(value, '@');
	struct view port = view_from(value, at + 1);
	uint64_t n;
	bool good = is_ip(view_sub(value, 0, at));
	if (at < value.len)
		good = good && view_parse_u64(port, 65535, &n) == ERR_OK && n > 0;
	return good ? NULL : "write an IP address, or one with a port behind @: \"127.0.0.1@5353\"";
}

static void check_listeners(const struct config *c, struct config_errors *errors)
{
	const struct config_memory *memory = config_memory(c);
	bool any = false;
	for (size_t i = 0; i < LISTENER_KINDS; i++) {
		const struct config_listener *l = &c->listeners[i];
		if (!l->enabled)
			continue;
		any = true;
		unsigned line = memory->listener_lines[i];
		if (l->address_count == 0)
			config_errors_add(errors, line,
				"this listener has no address; write `address = \"*:%s\"` or another in it",
				i == LISTENER_MX                   ? "25"
					: i == LISTENER_SUBMISSION ? "587"
								   : "465");
		if (i != LISTENER_MX && c->tls_certificate == NULL && c->tls_key == NULL)
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

static bool host_is_here(const char *host)
{
	struct net_address address;
	return strcmp(host, "localhost") == 0 ||
		(net_address_parse(view_from_cstr(host), 0, &address) == ERR_OK && net_address_is_loopback(&address));
}

static void check_smarthosts(const struct config *c, struct config_errors *errors)
{
	const struct config_memory *memory = config_memory(c);
	for (size_t i = 0; i < c->smarthost_count; i++) {
		const struct config_smarthost *s = &c->smarthosts[i];
		unsigned line = memory->smarthost_lines[i];
		const char *password_file = memory->password_files[i];
		if (s->host == NULL)
			config_errors_add(errors, line, "smarthost `%.64s` has no `host`", s->name);
		if (s->login != NULL && password_file == NULL)
			config_errors_add(
				errors, line, "smarthost `%.64s` has a `login` but no `password_file`", s->name);
		if (s->login == NULL && password_file != NULL)
			config_errors_add(
				errors, line, "smarthost `%.64s` has a `password_file` but no `login`", s->name);
		if (s->login != NULL && s->tls == CONFIG_SMARTHOST_CLEAR && s->host != NULL && !host_is_here(s->host))
			config_errors_add(errors, line,
				"smarthost `%.64s` would get its password in clear text; write `tls = \"starttls\"`",
				s->name);
		if (s->domain_count == 0)
			config_errors_add(errors, line, "smarthost `%.64s` has no `domains`; \"*\" means all", s->name);
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
	check_smarthosts(config, errors);
	check_queue(config, errors);
}
