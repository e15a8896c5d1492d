/*
 * The client's half of SASL, as base64 lines for SMTP's AUTH (RFC 4954): with a password SCRAM-SHA-256 (RFC 5802, RFC 7677), PLAIN (RFC 4616)
 * and LOGIN; with an access token OAUTHBEARER (RFC 7628) and XOAUTH2 (Google's and Microsoft's). Pure: it only builds the responses; the engine that
 * speaks the protocol sends them. All but SCRAM send the secret as it is: callers use them only inside TLS.
 *
 * SCRAM binds to no channel (gs2 flag "n"). Passwords go in as their bytes are: SASLprep (RFC 4013) changes only those that are not ASCII.
 */
#ifndef SASL_CLIENT_H
#define SASL_CLIENT_H

#include "base/buf.h"

enum sasl_client_mechanism {
	SASL_CLIENT_NONE,
	SASL_CLIENT_PLAIN,
	SASL_CLIENT_LOGIN,
	SASL_CLIENT_SCRAM_SHA_256,
	SASL_CLIENT_XOAUTH2,
	SASL_CLIENT_OAUTHBEARER,
	SASL_CLIENT_MECHANISMS,
};

#define SASL_CLIENT_BIT(mechanism) (1u << (unsigned)(mechanism))
#define SASL_CLIENT_BY_PASSWORD                                                                                        \
	(SASL_CLIENT_BIT(SASL_CLIENT_SCRAM_SHA_256) | SASL_CLIENT_BIT(SASL_CLIENT_PLAIN) |                             \
		SASL_CLIENT_BIT(SASL_CLIENT_LOGIN))
#define SASL_CLIENT_BY_TOKEN (SASL_CLIENT_BIT(SASL_CLIENT_OAUTHBEARER) | SASL_CLIENT_BIT(SASL_CLIENT_XOAUTH2))

/* SASL_CLIENT_BIT()s of the words offered ("LOGIN PLAIN XOAUTH2", any case, separated by blanks). */
unsigned sasl_client_offered(struct view words);
/* The best one that is both offered and allowed: SCRAM-SHA-256, PLAIN, LOGIN; OAUTHBEARER, XOAUTH2. */
enum sasl_client_mechanism sasl_client_choose(unsigned offered, unsigned allowed);
/* Its name on the wire; not for SASL_CLIENT_NONE. */
struct view sasl_client_name(enum sasl_client_mechanism mechanism);

/* What a server's SCRAM asks to be computed from a password takes thousands of hashes; it stays the same from one login to the next, and so
 * is kept here by whoever logs in often (RFC 5802 §3). Zero-initialised it is empty. Secret. */
struct sasl_scram_memory {
	bool known;
	uint8_t id[32]; /* of password, salt and count */
	uint8_t salted_password[32];
};

struct sasl_client_login {
	struct view user;
	struct view secret; /* the password, or the access token */
	struct view host; /* OAUTHBEARER: the server's name, and its port; may be empty and 0 */
	uint16_t port;
	struct view nonce; /* SCRAM: random bytes, at least 12, new for each exchange */
	struct sasl_scram_memory *memory; /* SCRAM: may be NULL */
};

#define SASL_CLIENT_SAID_MAX_BYTES 300u

/* One exchange. What the login points to is borrowed for its length. */
struct sasl_client {
	enum sasl_client_mechanism mechanism;
	struct sasl_client_login login;
	unsigned step; /* responses given so far */
	bool proved; /* SCRAM: the server showed that it knows the password */
	struct buf first; /* SCRAM: client-first-message-bare */
	uint8_t server_signature[32];
	char said[SASL_CLIENT_SAID_MAX_BYTES]; /* what the server explained before it refused */
	size_t said_len;
};

void sasl_client_init(
	struct sasl_client *client, enum sasl_client_mechanism mechanism, const struct sasl_client_login *login);
/* Wipes it. A zeroed one is fine. */
void sasl_client_clear(struct sasl_client *client);
/* True if the client speaks first: its first response may go with the AUTH command as the initial response (RFC 4954 §4). */
bool sasl_client_speaks_first(const struct sasl_client *client);
/* Appends the next response in base64, without a line end; it may be empty. `challenge` is what stood behind 334, in base64 (empty for an initial
 * response). ERR_STATE: the mechanism has nothing more to say; ERR_SYNTAX: the login can't be sent (empty, or a byte in it that must
 * not be: RFC 4616 §2), or the challenge is malformed, or it does not prove what it must. Nothing is appended then. */
enum err sasl_client_respond(struct sasl_client *client, struct view challenge, struct buf *out) MUST_CHECK;
/* The server says that the login succeeded: false if the mechanism wanted more from it first (SCRAM's proof of its own: RFC 5802 §5). */
bool sasl_client_may_succeed(const struct sasl_client *client);
/* Printable; empty if it explained nothing: `{"status":"401","schemes":"bearer"}`. */
struct view sasl_client_said(const struct sasl_client *client);

#endif
