/*
 * SCRAM-SHA-256 (RFC 5802, RFC 7677): neither side shows the other its password, and both prove that they know it.
 *
 *   client-first   n,,n=user,r=cnonce
 *   server-first   r=cnonce+snonce,s=salt,i=count
 *   client-final   c=biws,r=cnonce+snonce,p=proof
 *   server-final   v=signature  or  e=error
 */
#include "crypto/hash.h"
#include "crypto/mac.h"
#include "mail/encode.h"
#include "sasl/client_private.h"

#include <string.h>

_Static_assert(MAC_BYTES == 32 && HASH_BYTES == 32, "as the struct in client.h has it");

#define NONCE_MIN_BYTES 12u
/* RFC 7677 §4: at least 4,096. More than the upper bound would hold up everything else for longer than a login is worth. */
#define ITERATIONS_MIN 4096u
#define ITERATIONS_MAX 600000u
#define SERVER_NONCE_MAX_BYTES 1024u
#define SALT_MAX_BYTES 1024u

/* "c=" and the gs2 header "n,," in base64: no channel binding. */
#define CHANNEL "c=biws"

enum err sasl_client_append_name(struct view name, struct buf *out)
{
	enum err err = ERR_OK;
	for (size_t i = 0; i < name.len && err == ERR_OK; i++) {
		if (name.ptr[i] == '=')
			err = buf_append(out, VIEW("=3D"));
		else if (name.ptr[i] == ',')
			err = buf_append(out, VIEW("=2C"));
		else
			err = buf_append_byte(out, name.ptr[i]);
	}
	return err;
}

enum err sasl_client_scram_first(struct sasl_client *client, struct view challenge, struct buf *out)
{
	(void)challenge;
	ASSERT(client->login.nonce.len >= NONCE_MIN_BYTES);
	buf_reset(&client->first);
	enum err err = buf_append(&client->first, VIEW("n="));
	if (err == ERR_OK)
		err = sasl_client_append_name(client->login.user, &client->first);
	if (err == ERR_OK)
		err = buf_append(&client->first, VIEW(",r="));
	if (err == ERR_OK)
		err = base64_encode(client->login.nonce, &client->first);
	if (err == ERR_OK)
		err = buf_append(out, VIEW("n,,"));
	return err == ERR_OK ? buf_append(out, buf_view(&client->first)) : err;
}

struct server_first {
	struct view nonce;
	uint8_t salt[SALT_MAX_BYTES];
	size_t salt_len;
	uint32_t iterations;
};

/* "x=value" off the front. */
static bool take_attribute(struct view *rest, char name, struct view *ret)
{
	struct view part;
	if (!view_split(rest, ',', &part) || part.len < 2 || part.ptr[0] != (uint8_t)name || part.ptr[1] != '=')
		return false;
	*ret = view_from(part, 2);
	return true;
}

/* RFC 5802 §5.1: printable, and it begins with ours, or somebody replays an old exchange. */
static bool is_nonce(const struct sasl_client *client, struct view nonce)
{
	struct view ours = buf_view(&client->first);
	ours = view_from(ours, view_find_last(ours, ',') + 3);
	for (size_t i = 0; i < nonce.len; i++)
		if (nonce.ptr[i] <= ' ' || nonce.ptr[i] >= 0x7f)
			return false;
	return nonce.len > ours.len && nonce.len <= SERVER_NONCE_MAX_BYTES && view_starts_with(nonce, ours);
}

static bool decode_salt(struct view text, struct server_first *first)
{
	struct buf salt = { .max_bytes = SALT_MAX_BYTES };
	bool fine = base64_decode(text, &salt) == ERR_OK && salt.len > 0;
	if (fine) {
		memcpy(first->salt, salt.ptr, salt.len);
		first->salt_len = salt.len;
	}
	buf_clear(&salt);
	return fine;
}

static enum err parse_server_first(const struct sasl_client *client, struct view text, struct server_first *ret)
{
	struct view salt, iterations, rest = text;
	uint64_t n;
	/* RFC 5802 §5.1: "m=" in front would be an extension that must be understood. What follows the count need not be. */
	if (!take_attribute(&rest, 'r', &ret->nonce) || !is_nonce(client, ret->nonce) ||
		!take_attribute(&rest, 's', &salt) || !decode_salt(salt, ret) ||
		!take_attribute(&rest, 'i', &iterations) || view_parse_u64(iterations, UINT32_MAX, &n) != ERR_OK)
		return err_set(ERR_SYNTAX, "the server's first SCRAM message is malformed");
	if (n < ITERATIONS_MIN || n > ITERATIONS_MAX)
		return err_set(ERR_SYNTAX,
			"the server wants the password hashed %llu times, which is not between %u and %u",
			(unsigned long long)n, ITERATIONS_MIN, ITERATIONS_MAX);
	ret->iterations = (uint32_t)n;
	return ERR_OK;
}

static void memory_id(const struct sasl_client *client, const struct server_first *first, uint8_t ret[HASH_BYTES])
{
	uint64_t sizes[] = { client->login.secret.len, first->salt_len, first->iterations };
	struct hash *hash = hash_new();
	hash_feed(hash, view_of(sizes, sizeof sizes));
	hash_feed(hash, client->login.secret);
	hash_feed(hash, view_of(first->salt, first->salt_len));
	hash_finish(hash, ret);
	hash_free(hash);
}

static void salt_password(struct sasl_client *client, const struct server_first *first, uint8_t ret[MAC_BYTES])
{
	struct sasl_scram_memory *memory = client->login.memory;
	struct view salt = view_of(first->salt, first->salt_len);
	uint8_t id[HASH_BYTES];
	memory_id(client, first, id);
	if (memory != NULL && memory->known &&
		mac_equal(view_of(id, sizeof id), view_of(memory->id, sizeof memory->id))) {
		memcpy(ret, memory->salted_password, MAC_BYTES);
		return;
	}
	mac_from_password(client->login.secret, salt, first->iterations, ret);
	if (memory != NULL) {
		memory->known = true;
		memcpy(memory->id, id, sizeof id);
		memcpy(memory->salted_password, ret, MAC_BYTES);
	}
}

static enum err append_proof(
	struct sasl_client *client, const struct server_first *first, struct view auth_message, struct buf *out)
{
	uint8_t salted[MAC_BYTES], client_key[MAC_BYTES], stored_key[HASH_BYTES], signature[MAC_BYTES],
		server_key[MAC_BYTES];
	struct view salted_password = view_of(salted, sizeof salted);
	salt_password(client, first, salted);
	mac_once(salted_password, VIEW("Client Key"), client_key);
	hash_once(view_of(client_key, sizeof client_key), stored_key);
	mac_once(view_of(stored_key, sizeof stored_key), auth_message, signature);
	for (size_t i = 0; i < sizeof client_key; i++)
		client_key[i] ^= signature[i];
	mac_once(salted_password, VIEW("Server Key"), server_key);
	mac_once(view_of(server_key, sizeof server_key), auth_message, client->server_signature);
	enum err err = base64_encode(view_of(client_key, sizeof client_key), out);
	explicit_bzero(salted, sizeof salted);
	explicit_bzero(client_key, sizeof client_key);
	explicit_bzero(stored_key, sizeof stored_key);
	explicit_bzero(server_key, sizeof server_key);
	return err;
}

enum err sasl_client_scram_final(struct sasl_client *client, struct view challenge, struct buf *out)
{
	struct server_first first = { 0 };
	struct buf message = { 0 };
	enum err err = parse_server_first(client, challenge, &first);
	if (err == ERR_OK)
		err = buf_append_format(out, CHANNEL ",r=%.*s", VIEW_ARG(first.nonce));
	/* RFC 5802 §3: AuthMessage. */
	const struct view parts[] = { buf_view(&client->first), VIEW(","), challenge, VIEW(","), buf_view(out) };
	for (size_t i = 0; i < sizeof parts / sizeof parts[0] && err == ERR_OK; i++)
		err = buf_append(&message, parts[i]);
	if (err == ERR_OK)
		err = buf_append(out, VIEW(",p="));
	if (err == ERR_OK)
		err = append_proof(client, &first, buf_view(&message), out);
	buf_clear(&message);
	return err;
}

enum err sasl_client_scram_end(struct sasl_client *client, struct view challenge, struct buf *out)
{
	(void)out; /* RFC 4954 §4: what the server adds comes as a challenge, and is answered with nothing */
	struct view value, rest = challenge;
	if (view_starts_with(challenge, VIEW("e="))) {
		sasl_client_keep_said(client, challenge);
		return ERR_OK; /* its refusal follows */
	}
	struct buf signature = { .max_bytes = 256 };
	client->proved = take_attribute(&rest, 'v', &value) && base64_decode(value, &signature) == ERR_OK &&
		mac_equal(buf_view(&signature), view_of(client->server_signature, sizeof client->server_signature));
	buf_clear(&signature);
	return client->proved ? ERR_OK
			      : err_set(ERR_SYNTAX, "the server could not prove that it knows the password itself");
}
