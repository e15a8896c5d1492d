#include "sasl/server.h"

#include "base/mem.h"

#include <string.h>

struct mechanism {
	struct view name;
	struct view first_challenge;
	enum sasl_server_step (*step)(struct sasl_server *server, struct view response, struct view *ret_challenge);
};

struct sasl_server {
	const struct mechanism *mechanism;
	unsigned responses; /* taken so far */
	bool complete;
	struct sasl_credentials credentials; /* views of `held` */
	size_t held_len;
	uint8_t held[2 * SASL_SERVER_RESPONSE_MAX_BYTES];
};

void sasl_wipe(void *ptr, size_t len)
{
	volatile uint8_t *p = ptr;
	while (len-- > 0)
		*p++ = 0;
}

/* A copy inside the server; the sizes were checked by sasl_server_step(). */
static struct view hold(struct sasl_server *server, struct view bytes)
{
	uint8_t *copy = server->held + server->held_len;
	ASSERT(bytes.len <= sizeof server->held - server->held_len);
	if (bytes.len > 0)
		memcpy(copy, bytes.ptr, bytes.len);
	server->held_len += bytes.len;
	return view_of(copy, bytes.len);
}

static bool is_name(struct view v)
{
	return view_find(v, '\0') == v.len && view_is_utf8(v);
}

static enum sasl_server_step complete(struct sasl_server *server, const struct sasl_credentials *credentials)
{
	/* The password is taken as it is: an old one need not be UTF-8. */
	if (credentials->authcid.len == 0 || credentials->password.len == 0 || !is_name(credentials->authzid) ||
		!is_name(credentials->authcid) || view_find(credentials->password, '\0') < credentials->password.len)
		return SASL_SERVER_MALFORMED;
	server->credentials = *credentials;
	server->complete = true;
	return SASL_SERVER_CREDENTIALS;
}

/* RFC 4616 §2: [authzid] NUL authcid NUL passwd */
static enum sasl_server_step step_plain(struct sasl_server *server, struct view response, struct view *ret_challenge)
{
	(void)ret_challenge;
	struct view message = hold(server, response);
	size_t first = view_find(message, '\0');
	struct view rest = view_from(message, first + 1);
	size_t second = view_find(rest, '\0');
	if (second == rest.len)
		return SASL_SERVER_MALFORMED;
	struct sasl_credentials credentials = {
		.authzid = view_sub(message, 0, first),
		.authcid = view_sub(rest, 0, second),
		.password = view_from(rest, second + 1),
	};
	return complete(server, &credentials);
}

static enum sasl_server_step step_login(struct sasl_server *server, struct view response, struct view *ret_challenge)
{
	if (server->responses == 0) {
		if (response.len == 0)
			return SASL_SERVER_MALFORMED;
		server->credentials.authcid = hold(server, response);
		*ret_challenge = VIEW("Password:");
		return SASL_SERVER_CHALLENGE;
	}
	struct sasl_credentials credentials = {
		.authcid = server->credentials.authcid,
		.password = hold(server, response),
	};
	return complete(server, &credentials);
}

static const struct mechanism mechanisms[] = {
	{ { (const uint8_t *)"PLAIN", 5 }, { NULL, 0 }, step_plain },
	{ { (const uint8_t *)"LOGIN", 5 }, { (const uint8_t *)"Username:", 9 }, step_login },
};

struct sasl_server *sasl_server_new(struct view mechanism)
{
	for (size_t i = 0; i < sizeof mechanisms / sizeof *mechanisms; i++)
		if (view_eq_nocase(mechanism, mechanisms[i].name)) {
			struct sasl_server *server = mem_alloc(sizeof *server);
			server->mechanism = &mechanisms[i];
			return server;
		}
	return NULL;
}

void sasl_server_free(struct sasl_server *server)
{
	if (server == NULL)
		return;
	sasl_wipe(server, sizeof *server);
	mem_free(server);
}

struct view sasl_server_mechanism(const struct sasl_server *server)
{
	return server->mechanism->name;
}

struct view sasl_server_first_challenge(const struct sasl_server *server)
{
	return server->mechanism->first_challenge;
}

enum sasl_server_step sasl_server_step(struct sasl_server *server, struct view response, struct view *ret_challenge)
{
	if (server->complete || server->responses >= 2 || response.len > SASL_SERVER_RESPONSE_MAX_BYTES)
		return SASL_SERVER_MALFORMED;
	enum sasl_server_step step = server->mechanism->step(server, response, ret_challenge);
	/* After a malformed response nothing more is taken. */
	server->responses = step == SASL_SERVER_CHALLENGE ? server->responses + 1 : 2;
	return step;
}

struct sasl_credentials sasl_server_credentials(const struct sasl_server *server)
{
	ASSERT(server->complete);
	return server->credentials;
}
