#include "cli/init_files.h"

#include "base/buf.h"
#include "base/mem.h"
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

bool init_exists(const char *path)
{
	struct stat st;
	return lstat(path, &st) == 0;
}

char *init_folder_of(const char *path)
{
	struct view whole = view_from_cstr(path);
	size_t slash = view_find_last(whole, '/');
	if (slash >= whole.len)
		return mem_dup_cstr(".");
	return slash == 0 ? mem_dup_cstr("/") : view_to_cstr(view_sub(whole, 0, slash));
}

enum err init_make_parents(const char *folder)
{
	CLEANUP(mem_free_pointer) char *path = mem_dup_cstr(folder);
	for (size_t i = 1;; i++) {
		if (path[i - 1] == '\0')
			return ERR_OK;
		if (path[i] != '/' && path[i] != '\0')
			continue;
		char kept = path[i];
		path[i] = '\0';
		bool made = mkdir(path, 0755) == 0;
		if (!made && errno != EEXIST)
			return err_set(err_from_errno(errno), "cannot make the folder %s: %s", path, strerror(errno));
		/* The umask is for mail; these folders are for everybody to walk through. Those that were there are left alone. */
		if (made && chmod(path, 0755) != 0)
			return err_set(
				err_from_errno(errno), "cannot open up the folder %s: %s", path, strerror(errno));
		path[i] = kept;
	}
}

static enum err write_and_sync(int fd, struct view content, mode_t mode, gid_t gid)
{
	enum err err = cli_write_fd(fd, content);
	if (err == ERR_OK && gid != (gid_t)-1 && fchown(fd, (uid_t)-1, gid) != 0)
		err = err_set(err_from_errno(errno), "cannot set its group: %s", strerror(errno));
	if (err == ERR_OK && (fchmod(fd, mode) != 0 || fsync(fd) != 0))
		err = err_set(err_from_errno(errno), "%s", strerror(errno));
	return err;
}

enum err init_write_file(const char *path, struct view content, mode_t mode, gid_t gid, bool overwrite)
{
	struct buf temporary = { 0 };
	enum err err = buf_append_format(&temporary, "%s.new-%d", path, (int)getpid());
	if (err != ERR_OK)
		return err;
	const char *beside = buf_cstr(&temporary);
	int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		err = err_set(err_from_errno(errno), "cannot write %s: %s", beside, strerror(errno));
		buf_clear(&temporary);
		return err;
	}
	err = write_and_sync(fd, content, mode, gid);
	close(fd);
	/* link() refuses where rename() would replace. */
	int rc = err != ERR_OK ? -1 : overwrite ? rename(beside, path) : link(beside, path);
	if (err == ERR_OK && rc != 0)
		err = err_set(err_from_errno(errno), "cannot write %s: %s", path, strerror(errno));
	else if (err != ERR_OK) {
		CLEANUP(mem_free_pointer) char *why = mem_dup_cstr(err_detail());
		err = err_set(err, "cannot write %s: %s", path, why);
	}
	unlink(beside);
	buf_clear(&temporary);
	return err;
}

enum err init_make_user(const char *user, const char *home)
{
	char *copies[] = { mem_dup_cstr(home), mem_dup_cstr(user) };
	char words[][24] = { "useradd", "--system", "--user-group", "--home-dir", "--no-create-home", "--shell",
		"/usr/sbin/nologin" };
	char *argv[] = { words[0], words[1], words[2], words[3], copies[0], words[4], words[5], words[6], copies[1],
		NULL };
	pid_t child;
	int status = 0;
	int rc = posix_spawnp(&child, "useradd", NULL, NULL, argv, environ);
	if (rc == 0)
		while (waitpid(child, &status, 0) < 0 && errno == EINTR)
			continue;
	mem_free(copies[0]);
	mem_free(copies[1]);
	if (rc != 0)
		return err_set(
			ERR_NOT_FOUND, "cannot run useradd (%s): make a system user '%s' yourself", strerror(rc), user);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_set(ERR_IO, "useradd could not make the user '%s'", user);
	return ERR_OK;
}
