/* What one value may be. */
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

const char *config_check_env(struct view value)
{
	bool good = value.len > 0 && value.len <= 128 && !ascii_is_digit(value.ptr[0]);
	for (size_t i = 0; i < value.len; i++)
		good = good && (ascii_is_alnum(value.ptr[i]) || value.ptr[i] == '_');
	return good ? NULL : "write the name of an environment variable, such as \"SMARTHOST_PASSWORD\"";
}

const char *config_check_url(struct view value)
{
	struct view rest = view_starts_with_nocase(value, VIEW("https://")) ? view_from(value, 8)
		: view_starts_with_nocase(value, VIEW("http://127.")) ||
			view_starts_with_nocase(value, VIEW("http://[::1]"))
		? view_from(value, 7)
		: VIEW_NONE;
	bool good = rest.len > 0 && value.len <= 2000;
	for (size_t i = 0; i < value.len; i++)
		good = good && value.ptr[i] > ' ' && value.ptr[i] < 0x7f;
	return good ? NULL : "write an https:// address; http:// only to this machine (127.0.0.1, [::1])";
}

const char *config_check_text(struct view value)
{
	bool good = value.len > 0 && value.len <= 1000;
	for (size_t i = 0; i < value.len; i++)
		good = good && value.ptr[i] >= ' ' && value.ptr[i] != 0x7f;
	return good ? NULL : "write a text on one line";
}

const char *config_check_address_pattern(struct view value)
{
	struct view domain = view_starts_with(value, VIEW("@")) ? view_from(value, 1) : value;
	if (config_check_address(value) == NULL || config_check_pattern(domain) == NULL)
		return NULL;
	return "write an address (\"user@example.com\"), a domain (\"@example.com\"), or all below one "
	       "(\".example.com\")";
}

const char *config_check_account_pattern(struct view value)
{
	if (view_starts_with(value, VIEW("local:")) && config_check_user(view_from(value, 6)) == NULL)
		return NULL;
	if (config_check_address_pattern(value) == NULL)
		return NULL;
	return "write a login (\"shop@example.com\"), all of a domain (\"@example.com\"), or a user of this machine "
	       "(\"local:www-data\")";
}

const char *config_check_listener(struct view value)
{
	if (view_eq(value, VIEW("mx")) || view_eq(value, VIEW("submission")) || view_eq(value, VIEW("submissions")) ||
		view_eq(value, VIEW("local")))
		return NULL;
	return "write mx, submission, submissions or local";
}

const char *config_check_header_rule(struct view value)
{
	struct view name = view_sub(value, 0, view_find(value, ':'));
	bool good = name.len > 0 && value.len <= 500;
	for (size_t i = 0; i < name.len; i++)
		good = good && name.ptr[i] > ' ' && name.ptr[i] < 0x7f;
	return good
		? NULL
		: "write the name of a header field, or one with the beginning of its value: \"X-Campaign: spring*\"";
}

const char *config_check_selector(struct view value)
{
	return address_domain_is_valid(value, 0) ? NULL : "write the selector of a DKIM key, such as \"s2026\"";
}

const char *config_check_mx_pattern(struct view value)
{
	struct view name = view_starts_with(value, VIEW("*.")) ? view_from(value, 2) : value;
	return config_check_hostname(name) == NULL ? NULL : "write a host name, or \"*.example.com\"";
}

const char *config_check_folder(struct view value)
{
	bool good = value.len > 0 && value.len <= 64 && value.ptr[0] != '.';
	for (size_t i = 0; i < value.len; i++)
		good = good && value.ptr[i] > ' ' && value.ptr[i] < 0x7f && value.ptr[i] != '/' && value.ptr[i] != '.';
	return good ? NULL : "write the name of a mail folder, such as \"Junk\"";
}

const char *config_check_host_port(struct view value)
{
	size_t colon = view_find(value, ':');
	uint64_t port = 1;
	bool good = config_check_hostname(view_sub(value, 0, colon)) == NULL;
	if (colon < value.len)
		good = good && view_parse_u64(view_from(value, colon + 1), UINT16_MAX, &port) == ERR_OK && port > 0;
	return good ? NULL : "write a host name with the port of its TLS service: \"imap.example.com:993\"";
}
