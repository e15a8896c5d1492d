/* What a token endpoint answers (RFC 6749 §5), read from JSON. Outside bytes: everything is checked and bounded here. */
#ifndef SERVICE_OAUTH_ANSWER_H
#define SERVICE_OAUTH_ANSWER_H

#include "base/buf.h"

#define OAUTH_TOKEN_MAX_BYTES 8192u
#define OAUTH_ERROR_MAX_BYTES 200u

struct oauth_answer {
	struct buf access_token;
	struct buf refresh_token; /* a new one that takes the place of the old; empty: it stays */
	uint32_t expires_in_s; /* 300 where nothing is said */
	char error
		[OAUTH_ERROR_MAX_BYTES]; /* "invalid_grant: Token has been expired or revoked."; printable; with ERR_SYNTAX */
};

/* ERR_OK: access_token is set. ERR_SYNTAX: there is none, and `error` says why, from what the endpoint said if it said anything. `status` is HTTP's. */
enum err oauth_answer_parse(long status, struct view body, struct oauth_answer *ret) MUST_CHECK;
/* Wipes the tokens. */
void oauth_answer_clear(struct oauth_answer *answer);

/* The request's body: name=value pairs in the form that HTML gave us (RFC 6749 appendix B). A part without a value is left out. */
struct oauth_parameter {
	const char *name;
	struct view value;
};
enum err oauth_form(size_t count, const struct oauth_parameter *parameters, struct buf *out) MUST_CHECK;

#endif
