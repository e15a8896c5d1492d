/* Interposed before libc by LD_PRELOAD: while the file named by FAILFSYNC exists, fsync, fdatasync and sync_file_range fail with EIO.
 * Built by test_storage.py. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static int broken(void)
{
	const char *path = getenv("FAILFSYNC");
	if (path == NULL || access(path, F_OK) != 0)
		return 0;
	errno = EIO;
	return 1;
}

int fsync(int fd)
{
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
	return broken() ? -1 : real(fd);
}

int fdatasync(int fd)
{
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
	return broken() ? -1 : real(fd);
}
