/*
 * Access tokens for smart hosts (RFC 6749): asked for with a refresh token (§6) or the client's own credentials (§4.4), kept until shortly before
 * they end, and asked for once for all who wait. Lives on the dispatcher's loop. No token or secret reaches a log or a reason.
 *
 * A refresh token that the endpoint replaces takes the place of the configured one at once, and is written into the file that one came from;
 * where that can't be (another owner, or it came from the environment) it is lost at the end of the process, and the log says so.
 */
#ifndef SERVICE_OAUTH_H
#define SERVICE_OAUTH_H

#include "net/https.h"
#include "service/server_private.h"

struct oauth;
struct oauth_wait;

struct oauth *oauth_new(struct server *server, struct loop *loop, struct https *https);
/* Whoever waits is forgotten. NULL is fine. */
void oauth_free(struct oauth *oauth);

/* `token` is borrowed during the call; empty: there is none, and `reason` is what to tell those who wait for the mail, "451 4.7.8 …". */
typedef void oauth_answered(void *owner, struct view token, const char *reason);
/* The token for a smart host of `config` that has an oauth_token_url. answered() is called once, later, from the loop, unless it is cancelled first. */
struct oauth_wait *oauth_ask(struct oauth *oauth, struct config *config, const struct config_smarthost *smarthost,
	oauth_answered *answered, void *owner);
void oauth_cancel(struct oauth_wait *wait); /* NULL is fine */
/* The smart host did not like this token: it is not given to anybody any more. */
void oauth_refused(struct oauth *oauth, const struct config_smarthost *smarthost, struct view token);

#endif
