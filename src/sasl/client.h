/*
 * The client's half of SASL: PLAIN (RFC 4616) and LOGIN, as base64 lines for SMTP's AUTH (RFC 4954). Pure: it only builds
 * the responses; the engine that speaks the protocol sends them. Both send the password in clear: callers use them only
 * inside TLS.
 */
#ifndef SASL_CLIENT_H
#define SASL_CLIENT_H

#include "base/buf.h"

enum sasl_client_mechanism {
	SASL_CLIENT_NONE,
	SASL_CLIENT_PLAIN,
	SASL_CLIENT_LOGIN,
};

/* The mechanism to use of the words offered ("LOGIN PLAIN XOAUTH2", any case, separated by blanks): PLAIN before LOGIN. */
enum sasl_client_mechanism sasl_client_choose(struct view offered);
/* Its name on the wire; not for SASL_CLIENT_NONE. */
struct view sasl_client_name(enum sasl_client_mechanism mechanism);

/* One exchange. user and password are borrowed for its length. */
struct sasl_client {
	enum sasl_client_mechanism mechanism;
	struct view user, password;
	unsigned step; /* responses given so far */
};

void sasl_client_init(
	struct sasl_client *client, enum sasl_client_mechanism mechanism, struct view user, struct view password);
/* True if the client speaks first: its first response may go with the AUTH command as the initial response (RFC 4954 §4). */
bool sasl_client_speaks_first(const struct sasl_client *client);
/* Appends the next response in base64, without a line end. ERR_STATE: the mechanism has nothing more to say;
 * ERR_SYNTAX: the user name or password can't be sent (empty, or a NUL inside: RFC 4616 §2). */
enum err sasl_client_respond(struct sasl_client *client, struct buf *out) MUST_CHECK;

#endif
