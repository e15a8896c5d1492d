/* What the tests of this folder share. Included by tests only. */
#ifndef CLI_TESTING_H
#define CLI_TESTING_H

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static inline void assert_text(const char *name, struct view got, const char *want)
{
	if (!view_eq(got, view_from_cstr(want)))
		fail_msg("%s: got \"%.*s\", want \"%s\"", name, VIEW_ARG(got), want);
}

static inline void assert_err(const char *name, enum err got, enum err want)
{
	if (got != want)
		fail_msg("%s: got %s (%s), want %s", name, err_name(got), err_detail(), err_name(want));
}

static inline void assert_has(const char *name, struct view text, const char *part)
{
	size_t n = strlen(part);
	if (text.ptr == NULL || text.len < n || memmem(text.ptr, text.len, part, n) == NULL)
		fail_msg("%s: \"%s\" is not in \"%.*s\"", name, part, VIEW_ARG(text));
}

static inline void assert_has_not(const char *name, struct view text, const char *part)
{
	if (text.ptr != NULL && text.len > 0 && memmem(text.ptr, text.len, part, strlen(part)) != NULL)
		fail_msg("%s: \"%s\" is in \"%.*s\"", name, part, VIEW_ARG(text));
}

#endif
