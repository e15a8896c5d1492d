/* Where `postrider send` sends to, and how it gets in: name, TLS, certificate, login. */
#ifndef CLI_SEND_SERVER_H
#define CLI_SEND_SERVER_H

#include "base/buf.h"
#include "cli/smtp_session.h"

struct send_server {
	/* From the command line. */
	const char *name; /* "host", "host:port", "[v6]:port"; NULL: the local socket */
	const char *tls_name; /* "starttls", "implicit", "none"; NULL: by the port */
	bool insecure;
	const char *ca_file;
	const char *user;
	const char *password_file;
	const char *config_path; /* for the local socket */
	/* Made of it; private. */
	char *host;
	uint16_t port;
	bool implicit;
	enum smtp_sender_tls starttls;
	size_t address_count;
	struct net_address *addresses;
	struct tls_context *tls;
	struct buf password;
};

/* Do the options make sense together? ERR_SYNTAX with a sentence. Fills host, port and the kind of TLS. */
enum err send_server_check(struct send_server *server) MUST_CHECK;
/* Resolves the name (blocking), reads the password, makes the TLS context, and puts it all into the session, which borrows it. */
enum err send_server_prepare(struct send_server *server, struct smtp_session *session) MUST_CHECK;
/* Frees, and overwrites the password. */
void send_server_clear(struct send_server *server);

#endif
