#include "net/privilege.h"

#include "base/mem.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOKUP_BYTES 16384u

bool privilege_is_root(void)
{
	return geteuid() == 0;
}

/* The user's numbers; the rest of the entry is not needed. */
static enum err look_up(const char *user, uid_t *ret_uid, gid_t *ret_gid)
{
	struct passwd entry, *found = NULL;
	CLEANUP(mem_free_pointer) char *buffer = mem_alloc(LOOKUP_BYTES);
	int error = getpwnam_r(user, &entry, buffer, LOOKUP_BYTES, &found);
	if (error != 0)
		return err_set(ERR_IO, "cannot look up the user %s: %s", user, strerror(error));
	if (found == NULL)
		return err_set(
			ERR_NOT_FOUND, "there is no user %s (create it: adduser --system --group %s)", user, user);
	*ret_uid = entry.pw_uid;
	*ret_gid = entry.pw_gid;
	return ERR_OK;
}

static enum err check_folder(const char *path)
{
	struct stat st;
	if (stat(path, &st) != 0)
		return err_set(err_from_errno(errno), "cannot look at the folder %s: %s", path, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return err_set(ERR_EXISTS, "%s is not a folder", path);
	return ERR_OK;
}

enum err privilege_make_folder(const char *path, const char *user)
{
	uid_t uid = 0;
	gid_t gid = 0;
	bool give_away = user != NULL && privilege_is_root();
	/* First, so that no folder of root's stays behind for a misspelt user. */
	enum err err = give_away ? look_up(user, &uid, &gid) : ERR_OK;
	if (err != ERR_OK)
		return err;
	if (mkdir(path, 0700) != 0) {
		if (errno == EEXIST)
			return check_folder(path);
		return err_set(err_from_errno(errno), "cannot create the folder %s: %s", path, strerror(errno));
	}
	/* Not through a link that somebody put in its place meanwhile. */
	if (give_away && lchown(path, uid, gid) != 0)
		return err_set(
			err_from_errno(errno), "cannot give the folder %s to %s: %s", path, user, strerror(errno));
	return ERR_OK;
}

/* Each step is checked by asking the system again: a drop that silently does not happen would be the worst of
 * outcomes. */
static enum err become(const char *user, uid_t uid, gid_t gid)
{
	/* The user's own further groups, such as one that may read TLS keys; none of root's. */
	if (initgroups(user, gid) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0)
		return err_set(err_from_errno(errno), "cannot become the user %s: %s", user, strerror(errno));
	uid_t uids[3];
	gid_t gids[3];
	if (getresuid(&uids[0], &uids[1], &uids[2]) != 0 || getresgid(&gids[0], &gids[1], &gids[2]) != 0)
		return err_set(ERR_IO, "cannot tell who we are: %s", strerror(errno));
	for (int i = 0; i < 3; i++)
		if (uids[i] != uid || gids[i] != gid)
			return err_set(ERR_PERMISSION, "the system did not let us become the user %s", user);
	if (setuid(0) == 0 || seteuid(0) == 0 || (gid != 0 && setgid(0) == 0))
		return err_set(ERR_PERMISSION, "root could be had back after becoming the user %s", user);
	return ERR_OK;
}

enum err privilege_drop(const char *user)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	enum err err = user != NULL ? look_up(user, &uid, &gid) : ERR_OK;
	if (err != ERR_OK)
		return err;
	if (uid == 0)
		return err_set(ERR_CONFIG, "the server does not run as root: give it a user of its own");
	if (!privilege_is_root() && uid != geteuid())
		return err_set(ERR_PERMISSION, "only root can become the user %s", user);
	err = privilege_is_root() ? become(user, uid, gid) : ERR_OK;
	if (err != ERR_OK)
		return err;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return err_set(ERR_IO, "cannot give up new privileges: %s", strerror(errno));
	return ERR_OK;
}

void privilege_raise_file_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	/* Refused, the server runs with what it has; the listener says so when that is too little. */
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}
