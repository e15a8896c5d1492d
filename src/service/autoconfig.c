#include "service/autoconfig.h"

bool autoconfig_is_asked(struct view host, struct view path, struct view *ret_domain)
{
	static const struct view prefix = { (const uint8_t *)"autoconfig.", 11 };
	if (host.len > 0 && host.ptr[host.len - 1] == '.')
		host.len--;
	if (view_eq(path, VIEW("/.well-known/autoconfig/mail/config-v1.1.xml")))
		*ret_domain = host;
	else if (view_eq(path, VIEW("/mail/config-v1.1.xml")) && view_starts_with_nocase(host, prefix))
		*ret_domain = view_from(host, prefix.len);
	else
		return false;
	return true;
}

/* UTF-8 without controls, as the configuration has it; U+FFFE and U+FFFF are no characters of XML. */
static enum err put_text(struct view text, struct buf *out)
{
	enum err err = ERR_OK;
	for (size_t i = 0; i < text.len && err == ERR_OK; i++) {
		struct view rest = view_from(text, i);
		if (text.ptr[i] == '<') {
			err = buf_append_cstr(out, "&lt;");
		} else if (text.ptr[i] == '>') {
			err = buf_append_cstr(out, "&gt;");
		} else if (text.ptr[i] == '&') {
			err = buf_append_cstr(out, "&amp;");
		} else if (text.ptr[i] == '"') {
			err = buf_append_cstr(out, "&quot;");
		} else if (view_starts_with(rest, VIEW("\xef\xbf\xbe")) ||
			view_starts_with(rest, VIEW("\xef\xbf\xbf"))) {
			err = buf_append_cstr(out, "\xef\xbf\xbd");
			i += 2;
		} else {
			err = buf_append_byte(out, text.ptr[i]);
		}
	}
	return err;
}

static enum err put(struct buf *out, const char *before, struct view text, const char *after)
{
	enum err err = buf_append_cstr(out, before);
	if (err == ERR_OK)
		err = put_text(text, out);
	return err == ERR_OK ? buf_append_cstr(out, after) : err;
}

struct service {
	const char *element, *type; /* "incomingServer", "imap" */
	struct view host;
	uint16_t port; /* 0: there is none */
	const char *socket_type; /* "SSL": TLS from the first byte */
};

static enum err put_service(const struct service *s, struct buf *out)
{
	if (s->port == 0)
		return ERR_OK;
	enum err err = buf_append_format(out, "    <%s type=\"%s\">\n", s->element, s->type);
	if (err == ERR_OK)
		err = put(out, "      <hostname>", s->host, "</hostname>\n");
	if (err == ERR_OK)
		err = buf_append_format(out,
			"      <port>%u</port>\n"
			"      <socketType>%s</socketType>\n"
			"      <authentication>password-cleartext</authentication>\n"
			"      <username>%%EMAILADDRESS%%</username>\n"
			"    </%s>\n",
			s->port, s->socket_type, s->element);
	return err;
}

static struct service incoming(const char *type, const char *configured, uint16_t usual_port)
{
	struct service s = { .element = "incomingServer", .type = type, .socket_type = "SSL" };
	if (configured != NULL)
		config_split_host_port(configured, usual_port, &s.host, &s.port);
	return s;
}

static struct service outgoing(
	const struct config *config, enum listener_kind kind, uint16_t usual_port, const char *socket_type)
{
	return (struct service){
		.element = "outgoingServer",
		.type = "smtp",
		.host = view_from_cstr(config->hostname),
		.port = config_listener_port(config, kind, usual_port),
		.socket_type = socket_type,
	};
}

static enum err put_names(const struct config *config, struct view domain, struct buf *out)
{
	const char *configured = config->clients.display_name;
	struct view name = configured != NULL ? view_from_cstr(configured) : domain;
	enum err err = buf_append_cstr(
		out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<clientConfig version=\"1.1\">\n");
	if (err == ERR_OK)
		err = put(out, "  <emailProvider id=\"", domain, "\">\n");
	if (err == ERR_OK)
		err = put(out, "    <domain>", domain, "</domain>\n");
	if (err == ERR_OK)
		err = put(out, "    <displayName>", name, "</displayName>\n");
	return err == ERR_OK ? put(out, "    <displayShortName>", name, "</displayShortName>\n") : err;
}

enum err autoconfig_format(const struct config *config, struct view domain, struct buf *out)
{
	if (!config_knows_clients(config))
		return ERR_NOT_FOUND;
	/* In the order of preference: programs take the first that they know. RFC 8314 §3 prefers TLS from the first byte. */
	const struct service services[] = {
		incoming("imap", config->clients.imap, 993),
		incoming("pop3", config->clients.pop3, 995),
		outgoing(config, LISTENER_SUBMISSIONS, 465, "SSL"),
		outgoing(config, LISTENER_SUBMISSION, 587, "STARTTLS"),
	};
	enum err err = put_names(config, domain, out);
	for (size_t i = 0; i < sizeof services / sizeof services[0] && err == ERR_OK; i++)
		err = put_service(&services[i], out);
	return err == ERR_OK ? buf_append_cstr(out, "  </emailProvider>\n</clientConfig>\n") : err;
}
