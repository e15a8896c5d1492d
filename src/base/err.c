#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static _Thread_local char detail[512];

const char *err_name(enum err err)
{
	static const char *const names[] = {
		[ERR_OK] = "ok",
		[ERR_AGAIN] = "again",
		[ERR_LIMIT] = "limit",
		[ERR_SYNTAX] = "syntax",
		[ERR_NOT_FOUND] = "not-found",
		[ERR_EXISTS] = "exists",
		[ERR_IO] = "io",
		[ERR_NO_SPACE] = "no-space",
		[ERR_TLS] = "tls",
		[ERR_STATE] = "state",
		[ERR_UNSUPPORTED] = "unsupported",
		[ERR_TIMEOUT] = "timeout",
		[ERR_CLOSED] = "closed",
		[ERR_REFUSED] = "refused",
		[ERR_BUSY] = "busy",
		[ERR_PERMISSION] = "permission",
		[ERR_VERSION] = "version",
		[ERR_CONFIG] = "config",
		[ERR_CANCELLED] = "cancelled",
	};
	size_t i = (size_t)err;
	return i < sizeof names / sizeof names[0] && names[i] != NULL ? names[i] : "unknown";
}

enum err err_set(enum err err, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(detail, sizeof detail, format, args);
	va_end(args);
	return err;
}

const char *err_detail(void)
{
	return detail;
}

enum err err_from_errno(int errno_value)
{
	switch (errno_value) {
	case 0:
		return ERR_OK;
	case EAGAIN:
	case EINTR:
		return ERR_AGAIN;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return ERR_NO_SPACE;
	case EACCES:
	case EPERM:
	case EROFS:
		return ERR_PERMISSION;
	case ENOENT:
	case ENOTDIR:
		return ERR_NOT_FOUND;
	case EEXIST:
		return ERR_EXISTS;
	case EADDRINUSE:
	case EBUSY:
		return ERR_BUSY;
	case ETIMEDOUT:
		return ERR_TIMEOUT;
	case ECONNREFUSED:
		return ERR_REFUSED;
	case ECONNRESET:
	case EPIPE:
		return ERR_CLOSED;
	default:
		return ERR_IO;
	}
}

void assert_failed(const char *condition, const char *file, int line)
{
	fprintf(stderr, "postrider: bug: %s:%d: %s\n", file, line, condition);
	abort();
}
