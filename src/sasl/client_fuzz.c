/*
 * A hostile server against the client's half of SASL. The first byte chooses the mechanism and whether challenges go in as they are or are
 * put into base64 first; the rest are challenges, a line each.
 *
 * Laws: a response is base64 or there is none; SCRAM never shows the password, and no server without it is believed; what is remembered
 * changes no response; the exchange ends.
 */
#include "mail/encode.h"
#include "sasl/client.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LAW(condition) ((condition) ? (void)0 : abort())
#define SECRET "s3cret-Pass-w0rd"

static bool contains(struct view hay, struct view needle)
{
	for (size_t i = 0; i + needle.len <= hay.len; i++)
		if (view_starts_with(view_from(hay, i), needle))
			return true;
	return false;
}

static void check(const struct sasl_client *client, struct view response, bool server_has_it)
{
	struct buf plain = { 0 };
	LAW(base64_decode(response, &plain) == ERR_OK);
	if (client->mechanism == SASL_CLIENT_SCRAM_SHA_256) {
		/* What a server put into its nonce comes back to it. */
		LAW(server_has_it || !contains(buf_view(&plain), VIEW(SECRET)));
		LAW(!sasl_client_may_succeed(client));
	}
	LAW(sasl_client_said(client).len <= SASL_CLIENT_SAID_MAX_BYTES);
	buf_clear(&plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sasl_scram_memory memory;
	if (size < 1 || size > 16384)
		return 0;
	struct sasl_client_login login = { .user = VIEW("ann@example.com"),
		.secret = VIEW(SECRET),
		.host = VIEW("mx.example.net"),
		.port = 587,
		.nonce = VIEW("0123456789abcdef") };
	enum sasl_client_mechanism mechanism = (enum sasl_client_mechanism)(data[0] % 5 + 1);
	struct sasl_client first, other;
	sasl_client_init(&first, mechanism, &login);
	login.memory = &memory;
	sasl_client_init(&other, mechanism, &login);
	struct view rest = view_of(data + 1, size - 1), line;
	unsigned responses = 0;
	bool over = false;
	while (!over && view_split(&rest, '\n', &line)) {
		struct buf challenge = { 0 }, a = { 0 }, b = { 0 };
		if ((data[0] & 128) != 0)
			LAW(buf_append(&challenge, line) == ERR_OK);
		else
			LAW(base64_encode(line, &challenge) == ERR_OK);
		enum err err = sasl_client_respond(&first, buf_view(&challenge), &a);
		LAW(sasl_client_respond(&other, buf_view(&challenge), &b) == err);
		LAW(view_eq(buf_view(&a), buf_view(&b)));
		LAW(err == ERR_OK || a.len == 0);
		check(&first, buf_view(&a), contains(view_of(data, size), VIEW(SECRET)));
		over = err != ERR_OK;
		responses += !over;
		LAW(responses <= 3);
		buf_clear(&challenge);
		buf_clear(&a);
		buf_clear(&b);
	}
	sasl_client_clear(&first);
	sasl_client_clear(&other);
	return 0;
}
