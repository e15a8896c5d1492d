#include "service/local_socket.h"

#include "base/err.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 128

int local_socket_bind(const char *path, mode_t mode)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	if (len >= sizeof address.sun_path) {
		err_set(ERR_LIMIT,
			"the socket's path %s is too long (at most %zu bytes): set `socket` to a shorter one", path,
			sizeof address.sun_path - 1);
		return -1;
	}
	memcpy(address.sun_path, path, len + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		err_set(err_from_errno(errno), "cannot make a socket: %s", strerror(errno));
		return -1;
	}
	/* The data folder is locked by us, so whatever is there belongs to a server that is gone. Anything but a socket stays. */
	struct stat st;
	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		unlink(path);
	/* Nobody connects before the mode is right: listen() comes after chmod(). */
	if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || chmod(path, mode) != 0 ||
		listen(fd, BACKLOG) != 0) {
		int e = errno;
		close(fd);
		err_set(err_from_errno(e), "cannot listen on %s: %s", path, strerror(e));
		return -1;
	}
	return fd;
}
