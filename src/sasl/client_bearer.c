/* Logins with an access token: XOAUTH2 as Google and Microsoft document it, and the standard that came of it, OAUTHBEARER (RFC 7628). */
#include "sasl/client_private.h"

/* Between the parts; nothing else ends them. */
#define SEPARATOR "\x01"

static enum err check_token(const struct sasl_client_login *login)
{
	/* RFC 6750 §2.1: b64token is printable ASCII without blanks. */
	for (size_t i = 0; i < login->secret.len; i++)
		if (login->secret.ptr[i] <= ' ' || login->secret.ptr[i] >= 0x7f)
			return err_set(ERR_SYNTAX, "the access token has a byte in it that no token may have");
	if (view_find(login->user, 1) < login->user.len)
		return err_set(ERR_SYNTAX, "the user name has a control character in it");
	return ERR_OK;
}

static enum err append_all(struct buf *out, size_t count, const struct view parts[])
{
	enum err err = ERR_OK;
	for (size_t i = 0; i < count && err == ERR_OK; i++)
		err = buf_append(out, parts[i]);
	return err;
}

enum err sasl_client_xoauth2_first(struct sasl_client *client, struct view challenge, struct buf *out)
{
	(void)challenge;
	const struct view parts[] = { VIEW("user="), client->login.user, VIEW(SEPARATOR "auth=Bearer "),
		client->login.secret, VIEW(SEPARATOR SEPARATOR) };
	enum err err = check_token(&client->login);
	return err == ERR_OK ? append_all(out, sizeof parts / sizeof parts[0], parts) : err;
}

/* The challenge explains what is wrong; the refusal itself comes once it was answered, with nothing. */
enum err sasl_client_xoauth2_error(struct sasl_client *client, struct view challenge, struct buf *out)
{
	(void)out;
	sasl_client_keep_said(client, challenge);
	return ERR_OK;
}

/* RFC 7628 §3.1: gs2-header kvsep *(key "=" value kvsep) kvsep. */
enum err sasl_client_oauthbearer_first(struct sasl_client *client, struct view challenge, struct buf *out)
{
	(void)challenge;
	const struct sasl_client_login *login = &client->login;
	enum err err = check_token(login);
	if (err == ERR_OK)
		err = buf_append(out, VIEW("n,a="));
	if (err == ERR_OK)
		err = sasl_client_append_name(login->user, out);
	if (err == ERR_OK)
		err = buf_append(out, VIEW("," SEPARATOR));
	if (err == ERR_OK && login->host.len > 0)
		err = buf_append_format(out, "host=%.*s" SEPARATOR, VIEW_ARG(login->host));
	if (err == ERR_OK && login->port != 0)
		err = buf_append_format(out, "port=%u" SEPARATOR, login->port);
	const struct view parts[] = { VIEW("auth=Bearer "), login->secret, VIEW(SEPARATOR SEPARATOR) };
	return err == ERR_OK ? append_all(out, sizeof parts / sizeof parts[0], parts) : err;
}

/* RFC 7628 §3.2.3: the same, answered with one control-A. */
enum err sasl_client_oauthbearer_error(struct sasl_client *client, struct view challenge, struct buf *out)
{
	sasl_client_keep_said(client, challenge);
	return buf_append(out, VIEW(SEPARATOR));
}
