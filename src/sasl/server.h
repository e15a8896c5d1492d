/*
 * The server's half of SASL: PLAIN (RFC 4616) and LOGIN (never standardised, draft-murchison-sasl-login; what old clients and
 * devices speak). Pure: it turns the client's responses into a name and a password; whoever asked decides about them. Responses and
 * challenges are bare bytes here, the protocol around them does its base64.
 */
#ifndef SASL_SERVER_H
#define SASL_SERVER_H

#include "base/view.h"

/* What a server offers, in the order of preference, separated by blanks. */
#define SASL_SERVER_MECHANISMS "PLAIN LOGIN"
/* A response longer than this is refused as malformed: names and passwords are not that long (RFC 4616 §2: 255 bytes each). */
#define SASL_SERVER_RESPONSE_MAX_BYTES 4096u

struct sasl_server;

enum sasl_server_step {
	SASL_SERVER_CHALLENGE, /* send the challenge (possibly empty), then give the next response */
	SASL_SERVER_CREDENTIALS, /* complete: sasl_server_credentials() */
	SASL_SERVER_MALFORMED, /* not what the mechanism asks for; the exchange is over */
};

struct sasl_credentials {
	struct view authzid; /* empty: the same as authcid */
	struct view authcid; /* never empty, UTF-8 without NUL */
	struct view password; /* never empty, without NUL */
};

/* One exchange; NULL if the mechanism is unknown. Names in any case. */
struct sasl_server *sasl_server_new(struct view mechanism);
/* Wipes what it held. NULL is fine. */
void sasl_server_free(struct sasl_server *server);
/* "PLAIN", "LOGIN". */
struct view sasl_server_mechanism(const struct sasl_server *server);
/* The first challenge, when the client sent no initial response. With one, call sasl_server_step() at once. */
struct view sasl_server_first_challenge(const struct sasl_server *server);
/* Takes a response; *ret_challenge is set with SASL_SERVER_CHALLENGE only. */
enum sasl_server_step sasl_server_step(struct sasl_server *server, struct view response, struct view *ret_challenge);
/* Valid after SASL_SERVER_CREDENTIALS until sasl_server_free(). */
struct sasl_credentials sasl_server_credentials(const struct sasl_server *server);

/* Overwrites secrets in a way that the compiler keeps. NULL with 0 is fine. */
void sasl_wipe(void *ptr, size_t len);

#endif
