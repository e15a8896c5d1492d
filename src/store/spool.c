#include "store/spool.h"

#include "queue/id.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER "spool"
/* "3f/006d9qk2v8000": two hexadecimal digits and the message's id. */
#define NAME_LEN (3u + QUEUE_ID_TEXT_BYTES - 1)

static bool is_shard(struct view name)
{
	return name.len == 2 && ascii_hex_value(name.ptr[0]) >= 0 && ascii_hex_value(name.ptr[1]) >= 0;
}

/* Names come back from the database: one that is not ours must not lead anywhere else. */
static bool is_name(struct view name)
{
	uint64_t id;
	return name.len == NAME_LEN && is_shard(view_sub(name, 0, 2)) && name.ptr[2] == '/' &&
		queue_id_parse(view_from(name, 3), &id) == ERR_OK;
}

/* The low twelve bits of an id mostly are zero, so files are spread by the milliseconds above them. */
static void make_name(uint64_t message_id, char ret[64])
{
	unsigned shard = (unsigned)((message_id ^ message_id >> 12) & 0xff);
	snprintf(ret, 64, "%02x/%s", shard, queue_id_format(message_id).text);
}

static enum err failed(const char *doing, const char *name)
{
	int reason = errno;
	return err_set(err_from_errno(reason), "cannot %s spool file %s: %s", doing, name, strerrordesc_np(reason));
}

/* The spool folder, or one of its shards; -1 with errno. With `create`, made durable when it was not there. */
static int open_folder(int parent, const char *name, bool create)
{
	int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW;
	int fd = openat(parent, name, flags);
	if (fd >= 0 || errno != ENOENT || !create)
		return fd;
	if (mkdirat(parent, name, 0700) != 0 && errno != EEXIST)
		return -1;
	if (fsync(parent) != 0)
		return -1;
	return openat(parent, name, flags);
}

static void close_keeping_errno(int fd)
{
	int reason = errno;
	close(fd);
	errno = reason;
}

/* The folder that holds `name`, or -1 with errno. */
static int open_shard(const char *data_folder, const char *name, bool create)
{
	char shard[3] = { name[0], name[1], '\0' };
	int data = open(data_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (data < 0)
		return -1;
	int spool = open_folder(data, FOLDER, create);
	close_keeping_errno(data);
	if (spool < 0)
		return -1;
	int fd = open_folder(spool, shard, create);
	close_keeping_errno(spool);
	return fd;
}

enum err spool_create(const char *data_folder, uint64_t message_id, int *ret_fd, char ret_name[64])
{
	char name[64];
	make_name(message_id, name);
	int shard = open_shard(data_folder, name, true);
	if (shard < 0)
		return failed("create", name);
	int fd = openat(shard, name + 3, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	close_keeping_errno(shard);
	if (fd < 0)
		return failed("create", name);
	*ret_fd = fd;
	memcpy(ret_name, name, sizeof name);
	return ERR_OK;
}

enum err spool_write(int fd, struct view bytes)
{
	while (bytes.len > 0) {
		ssize_t n = write(fd, bytes.ptr, bytes.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return failed("write a", "");
		bytes = view_from(bytes, (size_t)n);
	}
	return ERR_OK;
}

enum err spool_finish(const char *data_folder, const char *name, int fd)
{
	if (!is_name(view_from_cstr(name))) {
		close(fd);
		return err_set(ERR_SYNTAX, "this is not a spool file's name");
	}
	if (fsync(fd) != 0) {
		close_keeping_errno(fd);
		return failed("sync", name);
	}
	/* Some file systems tell of a failed write only now. */
	if (close(fd) != 0)
		return failed("close", name);
	int shard = open_shard(data_folder, name, false);
	if (shard < 0 || fsync(shard) != 0) {
		enum err err = failed("sync the folder of", name);
		if (shard >= 0)
			close(shard);
		return err;
	}
	close(shard);
	return ERR_OK;
}

enum err spool_open(const char *data_folder, const char *name, int *ret_fd, uint64_t *ret_size)
{
	if (!is_name(view_from_cstr(name)))
		return err_set(ERR_SYNTAX, "this is not a spool file's name");
	int shard = open_shard(data_folder, name, false);
	if (shard < 0)
		return failed("open", name);
	int fd = openat(shard, name + 3, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	close_keeping_errno(shard);
	struct stat stat;
	if (fd < 0)
		return failed("open", name);
	if (fstat(fd, &stat) != 0 || !S_ISREG(stat.st_mode)) {
		close(fd);
		return err_set(ERR_IO, "spool file %s is not a file", name);
	}
	*ret_fd = fd;
	*ret_size = (uint64_t)stat.st_size;
	return ERR_OK;
}

void spool_remove(const char *data_folder, const char *name)
{
	if (!is_name(view_from_cstr(name)))
		return;
	int shard = open_shard(data_folder, name, false);
	if (shard < 0)
		return;
	/* What can't be removed now is garbage that the next start sweeps. */
	unlinkat(shard, name + 3, 0);
	close(shard);
}

static enum err sweep_shard(int spool, const char *shard_name, bool (*keep)(void *owner, const char *name), void *owner)
{
	int fd = open_folder(spool, shard_name, false);
	DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
	if (folder == NULL) {
		enum err err = failed("sweep", shard_name);
		if (fd >= 0)
			close(fd);
		return err;
	}
	for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
		char name[64];
		int len = snprintf(name, sizeof name, "%s/%.40s", shard_name, entry->d_name);
		/* Anything else in there was not put there by us. */
		if (is_name(view_of(name, (size_t)len)) && !keep(owner, name))
			unlinkat(fd, entry->d_name, 0);
	}
	closedir(folder);
	return ERR_OK;
}

enum err spool_sweep(const char *data_folder, bool (*keep)(void *owner, const char *name), void *owner)
{
	int data = open(data_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int spool = data >= 0 ? open_folder(data, FOLDER, true) : -1;
	DIR *folder = spool >= 0 ? fdopendir(spool) : NULL;
	if (folder == NULL) {
		enum err err = failed("sweep", data_folder);
		if (spool >= 0)
			close(spool);
		if (data >= 0)
			close(data);
		return err;
	}
	close(data);
	enum err err = ERR_OK;
	for (struct dirent *entry; err == ERR_OK && (entry = readdir(folder)) != NULL;)
		if (is_shard(view_from_cstr(entry->d_name)))
			err = sweep_shard(spool, entry->d_name, keep, owner);
	closedir(folder);
	return err;
}
