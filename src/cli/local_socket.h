/* The running server's Unix sockets, seen from a command: control (administration) and submission (sendmail). */
#ifndef CLI_LOCAL_SOCKET_H
#define CLI_LOCAL_SOCKET_H

#include "base/buf.h"

/* Connects, blocking, close-on-exec. ERR_NOT_FOUND or ERR_REFUSED: nobody listens there; ERR_PERMISSION; ERR_LIMIT: the path is too
 * long for a socket. With a sentence. */
enum err local_socket_connect(const char *path, int *ret_fd) MUST_CHECK;

/* What `sendmail` must know of the configuration. Its users may read the file, but not the secrets that the file points at: those are
 * not looked at. Without a readable file the defaults hold; one with errors is ERR_CONFIG, with the first of them. */
struct local_facts {
	struct buf socket; /* path of the submission socket; $POSTRIDER_SOCKET wins */
	struct buf hostname; /* the host's own name if the file has none */
	struct buf domain; /* for names without one: that of `postmaster`, else the host name */
};
enum err local_facts_read(const char *config_argument, struct local_facts *ret) MUST_CHECK;
void local_facts_clear(struct local_facts *facts);

/* To the running server's submission socket. ERR_AGAIN: it is not running; ERR_PERMISSION; each with a sentence that says what to do. */
enum err local_socket_connect_submission(struct local_facts *facts, int *ret_fd) MUST_CHECK;

#endif
