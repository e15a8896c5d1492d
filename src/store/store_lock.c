#include "store/store_private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* The process id in the lock file, for the sentence; 0 if it can't be read. */
static uint64_t read_owner(int fd)
{
	char text[24];
	uint64_t pid = 0;
	ssize_t n = pread(fd, text, sizeof text, 0);
	if (n <= 0 || view_parse_u64(view_trim(view_of(text, (size_t)n)), INT32_MAX, &pid) != ERR_OK)
		return 0;
	return pid;
}

/* flock() and not fcntl(): it goes with the open file, so it survives the fork of a daemon, and closing another descriptor of the same file
 * does not drop it. The file stays when we go: removing it would let two processes lock two files of one name. */
enum err store_lock(struct store *store)
{
	struct buf name = { 0 };
	enum err err = buf_append_format(&name, "%s/postrider.lock", store->folder);
	if (err != ERR_OK)
		return err_set(err, "the data folder's name is too long");
	int fd = open(buf_cstr(&name), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		err = err_set(err_from_errno(errno), "cannot open %s: %s", buf_cstr(&name), strerrordesc_np(errno));
	} else if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		int reason = errno;
		uint64_t pid = read_owner(fd);
		if (reason != EWOULDBLOCK)
			err = err_set(
				err_from_errno(reason), "cannot lock %s: %s", buf_cstr(&name), strerrordesc_np(reason));
		else if (pid > 0)
			err = err_set(ERR_BUSY, "another postrider (pid %llu) uses %s", (unsigned long long)pid,
				store->folder);
		else
			err = err_set(ERR_BUSY, "another postrider uses %s", store->folder);
		close(fd);
	} else {
		store->lock_fd = fd;
		store_lock_name_owner(store);
	}
	buf_clear(&name);
	return err;
}

void store_lock_name_owner(struct store *store)
{
	char text[24];
	int len = snprintf(text, sizeof text, "%d\n", (int)getpid());
	/* Only a help for people; on a full disk the lock holds without it. */
	if (ftruncate(store->lock_fd, 0) == 0 && pwrite(store->lock_fd, text, (size_t)len, 0) != len)
		(void)!ftruncate(store->lock_fd, 0);
}

void store_unlock(struct store *store)
{
	if (store->lock_fd < 0)
		return;
	(void)!ftruncate(store->lock_fd, 0);
	close(store->lock_fd);
	store->lock_fd = -1;
}
