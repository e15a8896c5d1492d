#include "service/address_key.h"

#include "base/buf.h"
#include "crypto/random.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static enum err failed(const char *what, const char *path)
{
	return err_set(err_from_errno(errno), "cannot %s %s: %s", what, path, strerror(errno));
}

static enum err read_key(const char *path, uint8_t ret[ADDRESS_KEY_BYTES])
{
	uint8_t bytes[ADDRESS_KEY_BYTES + 1];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? ERR_NOT_FOUND : failed("read", path);
	ssize_t n = read(fd, bytes, sizeof bytes);
	enum err err = n < 0 ? failed("read", path) : ERR_OK;
	close(fd);
	if (err == ERR_OK && n != (ssize_t)ADDRESS_KEY_BYTES)
		err = err_set(ERR_CONFIG,
			"%s is not %u bytes long; move it away and a new one is made (bounces to addresses signed with "
			"the old "
			"one are refused then)",
			path, ADDRESS_KEY_BYTES);
	if (err == ERR_OK)
		memcpy(ret, bytes, ADDRESS_KEY_BYTES);
	explicit_bzero(bytes, sizeof bytes);
	return err;
}

static enum err sync_folder(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return failed("open", folder);
	enum err err = fsync(fd) == 0 ? ERR_OK : failed("sync", folder);
	close(fd);
	return err;
}

/* Written aside and renamed: a crash leaves a whole key or none. */
static enum err make_key(const char *data, const char *path, uint8_t ret[ADDRESS_KEY_BYTES])
{
	struct buf aside = { 0 };
	enum err err = buf_append_format(&aside, "%s.new", path);
	int fd = -1;
	if (err == ERR_OK) {
		fd = open(buf_cstr(&aside), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
		err = fd >= 0 ? ERR_OK : failed("make", buf_cstr(&aside));
	}
	random_bytes(ret, ADDRESS_KEY_BYTES);
	if (err == ERR_OK && (write(fd, ret, ADDRESS_KEY_BYTES) != (ssize_t)ADDRESS_KEY_BYTES || fsync(fd) != 0))
		err = failed("write", buf_cstr(&aside));
	if (fd >= 0)
		close(fd);
	if (err == ERR_OK && rename(buf_cstr(&aside), path) != 0)
		err = failed("make", path);
	if (err == ERR_OK)
		err = sync_folder(data);
	buf_clear(&aside);
	return err;
}

enum err address_key_load(const char *data, uint8_t ret[ADDRESS_KEY_BYTES])
{
	struct buf path = { 0 };
	enum err err = buf_append_format(&path, "%s/address.key", data);
	if (err == ERR_OK)
		err = read_key(buf_cstr(&path), ret);
	if (err == ERR_NOT_FOUND)
		err = make_key(data, buf_cstr(&path), ret);
	buf_clear(&path);
	return err;
}
