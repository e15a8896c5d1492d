/* sendmail -bs: a program speaks SMTP on our standard input and output, and we carry the bytes to the server's socket. */
#ifndef CLI_SENDMAIL_PIPE_H
#define CLI_SENDMAIL_PIPE_H

#include "base/err.h"

/* Blocking; until the server closes. When the input ends, the server is told (half-closed) and its last words are still carried. */
enum err sendmail_pipe(int server, int in, int out) MUST_CHECK;

#endif
