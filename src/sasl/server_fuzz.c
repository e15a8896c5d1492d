/* Laws of the server side of SASL: the exchange ends after at most two responses, and credentials are what was sent. The first byte
 * picks the mechanism; a byte 0xfe separates two responses. */
#include "sasl/server.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct sasl_server *server, struct view sent)
{
	struct sasl_credentials c = sasl_server_credentials(server);
	ASSERT(c.authcid.len > 0 && c.password.len > 0);
	ASSERT(view_is_utf8(c.authcid) && view_is_utf8(c.authzid));
	ASSERT(view_find(c.authcid, 0) == c.authcid.len && view_find(c.password, 0) == c.password.len);
	ASSERT(c.authzid.len + c.authcid.len + c.password.len <= sent.len);
	ASSERT(memmem(sent.ptr, sent.len, c.authcid.ptr, c.authcid.len) != NULL);
	ASSERT(memmem(sent.ptr, sent.len, c.password.ptr, c.password.len) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	struct sasl_server *server = sasl_server_new(data[0] % 2 == 0 ? VIEW("PLAIN") : VIEW("LOGIN"));
	struct view sent = view_of(data + 1, size - 1), rest = sent, response;
	enum sasl_server_step step = SASL_SERVER_CHALLENGE;
	unsigned responses = 0;
	while (step == SASL_SERVER_CHALLENGE) {
		struct view challenge = VIEW_NONE;
		if (!view_split(&rest, 0xfe, &response))
			response = VIEW_NONE;
		step = sasl_server_step(server, response, &challenge);
		ASSERT(++responses <= 2);
		ASSERT(step != SASL_SERVER_CHALLENGE || challenge.len > 0);
	}
	if (step == SASL_SERVER_CREDENTIALS)
		check(server, sent);
	struct view challenge;
	ASSERT(sasl_server_step(server, sent, &challenge) == SASL_SERVER_MALFORMED);
	sasl_server_free(server);
	return 0;
}
