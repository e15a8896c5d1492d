/* What the conformance programs of this folder and of mailauth share: finding and reading a suite. Included by tests only. */
#ifndef MAIL_CONFORMANCE_H
#define MAIL_CONFORMANCE_H

#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_SKIP = 77 };

/* The folder of suites: POSTRIDER_SUITES, else ../shared/suites beside the source tree, which is told from `source_file` (__FILE__; relative
 * to the folder that the compiler ran in, which is where Meson runs tests). */
static inline void suites_folder(const char *source_file, struct buf *out)
{
	const char *folder = getenv("POSTRIDER_SUITES"), *in_tree = strstr(source_file, "src/mail");
	enum err err = folder != NULL ? buf_append_cstr(out, folder)
				      : buf_append_format(out, "%.*s../shared/suites",
						(int)(in_tree != NULL ? in_tree - source_file : 0), source_file);
	if (err != ERR_OK)
		abort();
}

/* False if it can't be opened. Aborts when it can't be read whole. */
static inline bool read_suite_file(const char *path, struct buf *out)
{
	FILE *f = fopen(path, "rb");
	if (f == NULL)
		return false;
	uint8_t chunk[16384];
	size_t n;
	while ((n = fread(chunk, 1, sizeof chunk, f)) > 0)
		if (buf_append(out, view_of(chunk, n)) != ERR_OK)
			abort();
	if (ferror(f))
		abort();
	fclose(f);
	return true;
}

/* Reads `name` in the suites' folder; says SKIP and ends the program when it is not there. */
static inline void read_suite(const char *source_file, const char *name, struct buf *out)
{
	struct buf path = { 0 };
	suites_folder(source_file, &path);
	if (buf_append_format(&path, "/%s", name) != ERR_OK)
		abort();
	if (!read_suite_file(buf_cstr(&path), out)) {
		printf("SKIP: %s is not there (set POSTRIDER_SUITES)\n", buf_cstr(&path));
		buf_clear(&path);
		exit(EXIT_SKIP);
	}
	buf_clear(&path);
}

#endif
