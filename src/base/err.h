/*
 * Program failures. Protocol outcomes are values of their own (smtp_reply, dsn ...); a bug is an ASSERT.
 * A function that fails stores one sentence of detail, once, where it happened: err_set(). Whoever reports the failure
 * reads it with err_detail(). The detail is per thread and overwritten by the next err_set().
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdnoreturn.h>

enum err {
	ERR_OK = 0,
	ERR_AGAIN, /* not now: call again when there is more input or room */
	ERR_LIMIT, /* a configured or built-in limit was reached */
	ERR_SYNTAX, /* outside bytes do not follow their grammar */
	ERR_NOT_FOUND,
	ERR_EXISTS,
	ERR_IO, /* the system refused a read, write, sync or open */
	ERR_NO_SPACE, /* the disk (or quota) is full */
	ERR_TLS,
	ERR_STATE, /* not allowed in this state */
	ERR_UNSUPPORTED,
	ERR_TIMEOUT,
	ERR_CLOSED, /* the peer closed the connection */
	ERR_REFUSED, /* the peer, or a policy, refused */
	ERR_BUSY, /* in use by another (a lock, a port) */
	ERR_PERMISSION,
	ERR_VERSION, /* written by a newer version */
	ERR_CONFIG,
	ERR_CANCELLED,
};

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(format_index, first) __attribute__((format(printf, format_index, first)))

/* A word for a log line, such as "no-space". Never NULL. */
const char *err_name(enum err err);

/* Stores the sentence and returns `err`, so that `return err_set(ERR_IO, "cannot open %s: %s", …)` reads as one. */
enum err err_set(enum err err, const char *format, ...) PRINTF_LIKE(2, 3);

/* The sentence of this thread's last err_set(); "" if there was none. Borrowed until the next err_set(). */
const char *err_detail(void);

/* ERR_NO_SPACE for ENOSPC and EDQUOT, ERR_PERMISSION for EACCES and EPERM, … ERR_IO for the rest. */
enum err err_from_errno(int errno_value);

/* A bug: never reachable by a peer or by configuration. Prints the place and aborts; active in every build. */
#define ASSERT(condition) ((condition) ? (void)0 : assert_failed(#condition, __FILE__, __LINE__))
noreturn void assert_failed(const char *condition, const char *file, int line);

#endif
