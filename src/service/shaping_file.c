#include "service/shaping_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* More than rules may have: the parser says so. */
#define FILE_MAX_BYTES (1024u * 1024)

static enum err read_all(int fd, struct buf *out)
{
	for (;;) {
		enum err err = buf_reserve(out, 16384);
		if (err != ERR_OK)
			return err;
		ssize_t n = read(fd, out->ptr + out->len, 16384);
		if (n == 0)
			return ERR_OK;
		if (n > 0)
			out->len += (size_t)n;
		else if (errno != EINTR)
			return err_from_errno(errno);
	}
}

struct shaping *shaping_load(const char *path, struct buf *ret_errors)
{
	if (path == NULL)
		return shaping_parse(VIEW_NONE, "", ret_errors);
	struct buf text;
	buf_init(&text, FILE_MAX_BYTES);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	enum err err = fd >= 0 ? read_all(fd, &text) : err_from_errno(errno);
	const char *why = err == ERR_LIMIT ? "it is too large" : strerror(errno);
	if (fd >= 0)
		close(fd);
	struct shaping *shaping = NULL;
	if (err == ERR_OK)
		shaping = shaping_parse(buf_view(&text), path, ret_errors);
	else
		err = buf_append_format(ret_errors, "%s: cannot read the shaping rules: %s\n", path, why);
	buf_clear(&text);
	return shaping;
}
