#include "sasl/client_private.h"

#include "mail/encode.h"

#include <string.h>

/* Names, passwords and tokens are not that long. */
#define LOGIN_PART_MAX_BYTES 8192u
/* RFC 4954 §4: an AUTH line has at most 12,288 bytes. */
#define CHALLENGE_MAX_BYTES 12288u

static enum err respond_plain(struct sasl_client *client, struct view challenge, struct buf *out);
static enum err respond_login(struct sasl_client *client, struct view challenge, struct buf *out);

#define RESPONSES_MAX 3u

static const struct mechanism {
	struct view name;
	bool speaks_first;
	bool reads_challenges; /* else they are not even decoded: LOGIN's prompts are worded and garbled in many ways */
	sasl_client_response *responses[RESPONSES_MAX];
} mechanisms[SASL_CLIENT_MECHANISMS] = {
	[SASL_CLIENT_PLAIN] = { { (const uint8_t *)"PLAIN", 5 }, true, false, { respond_plain } },
	[SASL_CLIENT_LOGIN] = { { (const uint8_t *)"LOGIN", 5 }, false, false, { respond_login, respond_login } },
	[SASL_CLIENT_SCRAM_SHA_256] = { { (const uint8_t *)"SCRAM-SHA-256", 13 }, true, true,
		{ sasl_client_scram_first, sasl_client_scram_final, sasl_client_scram_end } },
	[SASL_CLIENT_XOAUTH2] = { { (const uint8_t *)"XOAUTH2", 7 }, true, true,
		{ sasl_client_xoauth2_first, sasl_client_xoauth2_error } },
	[SASL_CLIENT_OAUTHBEARER] = { { (const uint8_t *)"OAUTHBEARER", 11 }, true, true,
		{ sasl_client_oauthbearer_first, sasl_client_oauthbearer_error } },
};

unsigned sasl_client_offered(struct view words)
{
	unsigned offered = 0;
	struct view word;
	while (view_split(&words, ' ', &word))
		for (unsigned m = SASL_CLIENT_NONE + 1; m < SASL_CLIENT_MECHANISMS; m++)
			if (view_eq_nocase(view_trim(word), mechanisms[m].name))
				offered |= SASL_CLIENT_BIT(m);
	return offered;
}

enum sasl_client_mechanism sasl_client_choose(unsigned offered, unsigned allowed)
{
	static const enum sasl_client_mechanism best_first[] = { SASL_CLIENT_SCRAM_SHA_256, SASL_CLIENT_PLAIN,
		SASL_CLIENT_LOGIN, SASL_CLIENT_OAUTHBEARER, SASL_CLIENT_XOAUTH2 };
	for (size_t i = 0; i < sizeof best_first / sizeof best_first[0]; i++)
		if ((offered & allowed & SASL_CLIENT_BIT(best_first[i])) != 0)
			return best_first[i];
	return SASL_CLIENT_NONE;
}

struct view sasl_client_name(enum sasl_client_mechanism mechanism)
{
	ASSERT(mechanism > SASL_CLIENT_NONE && mechanism < SASL_CLIENT_MECHANISMS);
	return mechanisms[mechanism].name;
}

void sasl_client_init(
	struct sasl_client *client, enum sasl_client_mechanism mechanism, const struct sasl_client_login *login)
{
	*client = (struct sasl_client){ .mechanism = mechanism, .login = *login };
}

void sasl_client_clear(struct sasl_client *client)
{
	buf_clear(&client->first);
	explicit_bzero(client, sizeof *client);
}

bool sasl_client_speaks_first(const struct sasl_client *client)
{
	return mechanisms[client->mechanism].speaks_first;
}

/* RFC 4616 §2: [authzid] NUL authcid NUL passwd. Without an authzid the server derives it from the user name, which is what
 * every hosted sender expects. */
static enum err respond_plain(struct sasl_client *client, struct view challenge, struct buf *out)
{
	(void)challenge;
	enum err err = buf_append_byte(out, '\0');
	if (err == ERR_OK)
		err = buf_append(out, client->login.user);
	if (err == ERR_OK)
		err = buf_append_byte(out, '\0');
	if (err == ERR_OK)
		err = buf_append(out, client->login.secret);
	return err;
}

/* LOGIN's prompts ("Username:", "Password:") are not looked at: servers word them differently, the order never differs. */
static enum err respond_login(struct sasl_client *client, struct view challenge, struct buf *out)
{
	(void)challenge;
	return buf_append(out, client->step == 0 ? client->login.user : client->login.secret);
}

static enum err check_login(const struct sasl_client_login *login)
{
	struct view parts[] = { login->user, login->secret };
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
		if (parts[i].len == 0 || parts[i].len > LOGIN_PART_MAX_BYTES ||
			view_find(parts[i], '\0') < parts[i].len)
			return err_set(ERR_SYNTAX, "the user name or password is empty, too long or has a NUL in it");
	return ERR_OK;
}

static enum err decode(const struct mechanism *mechanism, struct view challenge, struct buf *out)
{
	if (!mechanism->reads_challenges)
		return ERR_OK;
	if (challenge.len > CHALLENGE_MAX_BYTES || base64_decode(challenge, out) != ERR_OK)
		return err_set(ERR_SYNTAX, "the server's challenge is not base64");
	return ERR_OK;
}

enum err sasl_client_respond(struct sasl_client *client, struct view challenge, struct buf *out)
{
	const struct mechanism *mechanism = &mechanisms[client->mechanism];
	if (client->step >= RESPONSES_MAX || mechanism->responses[client->step] == NULL)
		return err_set(ERR_STATE, "the server asks for more than the login mechanism has");
	enum err err = check_login(&client->login);
	struct buf decoded = { 0 }, response = { 0 };
	if (err == ERR_OK)
		err = decode(mechanism, view_trim(challenge), &decoded);
	/* All the room at once, so that no copy is left behind by growing. */
	if (err == ERR_OK)
		err = buf_reserve(
			&response, (client->login.user.len + client->login.secret.len) * 3 + decoded.len + 1024);
	if (err == ERR_OK)
		err = mechanism->responses[client->step](client, buf_view(&decoded), &response);
	size_t before = out->len;
	if (err == ERR_OK)
		err = base64_encode(buf_view(&response), out);
	if (err == ERR_OK)
		client->step++;
	else
		out->len = before;
	if (response.ptr != NULL)
		explicit_bzero(response.ptr, response.cap);
	buf_clear(&response);
	buf_clear(&decoded);
	return err;
}

bool sasl_client_may_succeed(const struct sasl_client *client)
{
	return client->mechanism != SASL_CLIENT_SCRAM_SHA_256 || client->proved;
}

void sasl_client_keep_said(struct sasl_client *client, struct view text)
{
	client->said_len = 0;
	for (size_t i = 0; i < text.len && client->said_len < sizeof client->said; i++) {
		uint8_t c = text.ptr[i];
		client->said[client->said_len++] = (char)(c >= 0x20 && c < 0x7f ? c : ' ');
	}
}

struct view sasl_client_said(const struct sasl_client *client)
{
	return view_of(client->said, client->said_len);
}
