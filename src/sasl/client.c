#include "sasl/client.h"

#include "mail/encode.h"

#include <string.h>

static const struct view mechanism_names[] = {
	[SASL_CLIENT_NONE] = { NULL, 0 },
	[SASL_CLIENT_PLAIN] = { (const uint8_t *)"PLAIN", 5 },
	[SASL_CLIENT_LOGIN] = { (const uint8_t *)"LOGIN", 5 },
};

enum sasl_client_mechanism sasl_client_choose(struct view offered)
{
	enum sasl_client_mechanism best = SASL_CLIENT_NONE;
	struct view word;
	while (view_split(&offered, ' ', &word)) {
		word = view_trim(word);
		if (view_eq_nocase(word, mechanism_names[SASL_CLIENT_PLAIN]))
			return SASL_CLIENT_PLAIN;
		if (view_eq_nocase(word, mechanism_names[SASL_CLIENT_LOGIN]))
			best = SASL_CLIENT_LOGIN;
	}
	return best;
}

struct view sasl_client_name(enum sasl_client_mechanism mechanism)
{
	ASSERT(mechanism == SASL_CLIENT_PLAIN || mechanism == SASL_CLIENT_LOGIN);
	return mechanism_names[mechanism];
}

void sasl_client_init(
	struct sasl_client *client, enum sasl_client_mechanism mechanism, struct view user, struct view password)
{
	*client = (struct sasl_client){ .mechanism = mechanism, .user = user, .password = password };
}

bool sasl_client_speaks_first(const struct sasl_client *client)
{
	return client->mechanism == SASL_CLIENT_PLAIN;
}

/* RFC 4616 §2: [authzid] NUL authcid NUL passwd. Without an authzid the server derives it from the user name, which is what
 * every hosted sender expects. */
static enum err respond_plain(const struct sasl_client *client, struct buf *out)
{
	struct buf message = { 0 };
	enum err err = buf_reserve(&message, client->user.len + client->password.len + 2);
	if (err == ERR_OK)
		err = buf_append_byte(&message, '\0');
	if (err == ERR_OK)
		err = buf_append(&message, client->user);
	if (err == ERR_OK)
		err = buf_append_byte(&message, '\0');
	if (err == ERR_OK)
		err = buf_append(&message, client->password);
	if (err == ERR_OK)
		err = base64_encode(buf_view(&message), out);
	if (message.ptr != NULL)
		explicit_bzero(message.ptr, message.cap);
	buf_clear(&message);
	return err;
}

/* LOGIN's prompts ("Username:", "Password:") are not looked at: servers word them differently, the order never differs. */
static enum err respond_login(const struct sasl_client *client, struct buf *out)
{
	return base64_encode(client->step == 0 ? client->user : client->password, out);
}

enum err sasl_client_respond(struct sasl_client *client, struct buf *out)
{
	static const struct {
		unsigned steps;
		enum err (*respond)(const struct sasl_client *client, struct buf *out);
	} mechanisms[] = {
		[SASL_CLIENT_NONE] = { 0, NULL },
		[SASL_CLIENT_PLAIN] = { 1, respond_plain },
		[SASL_CLIENT_LOGIN] = { 2, respond_login },
	};
	if (client->step >= mechanisms[client->mechanism].steps)
		return err_set(ERR_STATE, "the server asks for more than the login mechanism has");
	struct view user = client->user, password = client->password;
	if (user.len == 0 || password.len == 0 || view_find(user, '\0') < user.len ||
		view_find(password, '\0') < password.len)
		return err_set(ERR_SYNTAX, "the user name or password is empty or has a NUL in it");
	enum err err = mechanisms[client->mechanism].respond(client, out);
	if (err == ERR_OK)
		client->step++;
	return err;
}
