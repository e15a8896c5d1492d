/*
 * What is known of the configured smart hosts while the server runs: which of them can't be reached or refuse us just now (so that mail goes to their
 * fallbacks at once), how to speak TLS with each, and the tokens and computed passwords to log in with. Lives on the dispatcher's loop.
 */
#ifndef SERVICE_SMARTHOSTS_H
#define SERVICE_SMARTHOSTS_H

#include "sasl/client.h"
#include "service/oauth.h"

struct smarthosts;

struct smarthosts *smarthosts_new(struct server *server, struct loop *loop, struct https *https);
void smarthosts_free(struct smarthosts *smarthosts); /* NULL is fine */

/* It took no connection, or turned us away before any mail: others are tried before it for a minute, then for longer each time, up to a quarter of an hour. */
void smarthosts_failed(struct smarthosts *smarthosts, const struct config_smarthost *smarthost);
/* It took a connection and our login. */
void smarthosts_worked(struct smarthosts *smarthosts, const struct config_smarthost *smarthost);
bool smarthosts_is_in_trouble(struct smarthosts *smarthosts, const struct config_smarthost *smarthost);

/* The TLS context for a smart host with a certificate or authorities of its own, borrowed until the configuration changes; *ret NULL: it has none. ERR_TLS with
 * err_detail(): a file can't be read or makes no sense. */
enum err smarthosts_tls(struct smarthosts *smarthosts, struct config *config, const struct config_smarthost *smarthost,
	struct tls_context **ret) MUST_CHECK;

struct sasl_scram_memory *smarthosts_scram_memory(
	struct smarthosts *smarthosts, const struct config_smarthost *smarthost);
struct oauth *smarthosts_oauth(struct smarthosts *smarthosts);

/* The smart host itself (0) and its fallbacks in their order; NULL behind the last. */
const struct config_smarthost *smarthosts_in_order(
	const struct config *config, const struct config_smarthost *first, size_t index);

#endif
