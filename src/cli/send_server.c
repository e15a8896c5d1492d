#include "cli/send_server.h"

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/local_socket.h"

#include <netdb.h>
#include <string.h>

#define ADDRESSES_MAX 16u
#define CONNECT_TIMEOUT_MS 20000u

void send_server_clear(struct send_server *server)
{
	mem_free(server->host);
	mem_free(server->addresses);
	tls_context_unref(server->tls);
	cli_forget(&server->password);
	server->host = NULL;
	server->addresses = NULL;
	server->tls = NULL;
}

/* "host", "host:port", "[v6]", "[v6]:port", and a bare IPv6 address. */
static enum err split_name(struct view name, struct view *ret_host, uint16_t *ret_port)
{
	struct view host = name;
	struct view port = VIEW_NONE;
	bool has_port = false;
	if (name.len > 0 && name.ptr[0] == '[') {
		size_t end = view_find(name, ']');
		host = view_sub(name, 1, end - 1);
		has_port = end + 1 < name.len && name.ptr[end + 1] == ':';
		port = view_from(name, end + 2);
		if (end >= name.len || (end + 1 < name.len && !has_port))
			host = VIEW_NONE;
	} else if (view_find(name, ':') < name.len && view_find(name, ':') == view_find_last(name, ':')) {
		has_port = true;
		host = view_sub(name, 0, view_find(name, ':'));
		port = view_from(name, view_find(name, ':') + 1);
	}
	uint64_t number = 0;
	if (host.len == 0 || (has_port && (view_parse_u64(port, 65535, &number) != ERR_OK || number == 0)))
		return err_set(ERR_SYNTAX, "--server needs a host and perhaps a port, like mail.example.com:587");
	*ret_host = host;
	*ret_port = (uint16_t)number;
	return ERR_OK;
}

static enum err choose_tls(struct send_server *server)
{
	const char *name = server->tls_name;
	server->starttls = SMTP_TLS_REQUIRED;
	if (name == NULL) {
		/* With a password or a given trust TLS is a must; else it is taken where it is offered, unless it can't be trusted anyway. */
		server->implicit = server->port == 465;
		if (server->user == NULL && server->ca_file == NULL)
			server->starttls = SMTP_TLS_IF_OFFERED;
	} else if (strcmp(name, "implicit") == 0) {
		server->implicit = true;
	} else if (strcmp(name, "none") == 0) {
		server->starttls = SMTP_TLS_NEVER;
	} else if (strcmp(name, "starttls") != 0) {
		return err_set(ERR_SYNTAX, "--tls is starttls, implicit or none, not '%.60s'", name);
	}
	if (server->port == 0)
		server->port = server->implicit ? 465 : 587;
	return ERR_OK;
}

enum err send_server_check(struct send_server *server)
{
	if (server->name == NULL) {
		if (server->user != NULL || server->tls_name != NULL || server->ca_file != NULL || server->insecure)
			return err_set(
				ERR_SYNTAX, "--login, --tls, --ca-file and --insecure need --server HOST[:PORT]");
		return ERR_OK;
	}
	struct view host;
	enum err err = split_name(view_from_cstr(server->name), &host, &server->port);
	if (err != ERR_OK)
		return err;
	if (server->password_file != NULL && server->user == NULL)
		return err_set(ERR_SYNTAX, "--password-file needs --login");
	server->host = view_to_cstr(host);
	return choose_tls(server);
}

static enum err resolve(struct send_server *server)
{
	char port[8];
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
	struct addrinfo *found = NULL;
	snprintf(port, sizeof port, "%u", (unsigned)server->port);
	int rc = getaddrinfo(server->host, port, &hints, &found);
	/* AI_ADDRCONFIG leaves loopback addresses out on a machine without network. */
	if (rc != 0) {
		hints.ai_flags = 0;
		rc = getaddrinfo(server->host, port, &hints, &found);
	}
	if (rc != 0)
		return err_set(rc == EAI_AGAIN ? ERR_AGAIN : ERR_NOT_FOUND, "cannot find the server %s: %s",
			server->host, gai_strerror(rc));
	server->addresses = mem_alloc_array(ADDRESSES_MAX, sizeof server->addresses[0]);
	for (const struct addrinfo *a = found; a != NULL && server->address_count < ADDRESSES_MAX; a = a->ai_next)
		net_address_from_sockaddr(a->ai_addr, a->ai_addrlen, &server->addresses[server->address_count++]);
	freeaddrinfo(found);
	return ERR_OK;
}

static enum err read_password(struct send_server *server)
{
	char prompt[300];
	const char *environment = getenv("POSTRIDER_PASSWORD");
	if (server->password_file != NULL)
		return cli_read_secret_file(server->password_file, &server->password);
	if (environment != NULL && environment[0] != '\0')
		return buf_append_cstr(&server->password, environment);
	snprintf(prompt, sizeof prompt, "Password for %.200s", server->user);
	return cli_read_password(prompt, false, &server->password);
}

static bool all_loopback(const struct send_server *server)
{
	for (size_t i = 0; i < server->address_count; i++)
		if (!net_address_is_loopback(&server->addresses[i]))
			return false;
	return true;
}

static enum err prepare_login(struct send_server *server, struct smtp_session *session)
{
	bool clear = !server->implicit && server->starttls == SMTP_TLS_NEVER;
	if (clear && !all_loopback(server))
		return err_set(ERR_REFUSED, "a password is never sent in clear: use --tls starttls or implicit");
	enum err err = read_password(server);
	if (err != ERR_OK)
		return err;
	session->sender.has_login = true;
	session->sender.user = view_from_cstr(server->user);
	session->sender.password = buf_view(&server->password);
	session->sender.login_without_tls = clear;
	return ERR_OK;
}

static enum err prepare_local(struct send_server *server, struct smtp_session *session)
{
	struct local_facts facts = { 0 };
	enum err err = local_facts_read(server->config_path, &facts);
	if (err == ERR_OK)
		err = local_socket_connect_submission(&facts, &session->fd);
	session->sender.tls = SMTP_TLS_NEVER;
	local_facts_clear(&facts);
	return err;
}

enum err send_server_prepare(struct send_server *server, struct smtp_session *session)
{
	if (server->name == NULL)
		return prepare_local(server, session);
	enum err err = resolve(server);
	if (err != ERR_OK)
		return err;
	if (server->implicit || server->starttls != SMTP_TLS_NEVER) {
		/* Where TLS is only a bonus, a certificate that can't be checked must not prevent it. */
		bool bonus = !server->implicit && server->starttls == SMTP_TLS_IF_OFFERED;
		server->tls = tls_context_new_client(
			server->insecure || bonus ? TLS_VERIFY_NONE : TLS_VERIFY_REQUIRED, server->ca_file);
		if (server->tls == NULL)
			return ERR_TLS;
	}
	session->addresses = server->addresses;
	session->address_count = server->address_count;
	session->connect_timeout_ms = CONNECT_TIMEOUT_MS;
	session->tls = server->tls;
	session->server_name = server->host;
	session->implicit_tls = server->implicit;
	session->sender.tls = server->starttls;
	return server->user != NULL ? prepare_login(server, session) : ERR_OK;
}
