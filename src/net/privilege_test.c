#include "net/testing.h"

#include "net/privilege.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Privileges can't be had back, so each test of them runs in a child. 0: as it should be; 77: not possible here. */
static int in_child(int (*run)(void))
{
	fflush(NULL);
	pid_t child = fork();
	if (child == 0)
		_exit(run());
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void check_child(int (*run)(void))
{
	int status = in_child(run);
	if (status == 77) {
		print_message("  skipped: this needs root\n");
		skip();
	}
	assert_int_equal(status, 0);
}

static int drop_to_nobody(void)
{
	if (!privilege_is_root())
		return 77;
	struct passwd *nobody = getpwnam("nobody");
	if (nobody == NULL)
		return 77;
	uid_t uid = nobody->pw_uid;
	gid_t gid = nobody->pw_gid;
	if (privilege_drop("nobody") != ERR_OK)
		return 1;
	if (getuid() != uid || geteuid() != uid || getgid() != gid || getegid() != gid)
		return 2;
	gid_t groups[64];
	int count = getgroups(64, groups);
	for (int i = 0; i < count; i++)
		if (groups[i] == 0)
			return 3;
	if (setuid(0) == 0 || open("/etc/shadow", O_RDONLY) >= 0)
		return 4;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 5;
	/* Once more, as itself, is fine; as another it is not. */
	if (privilege_drop("nobody") != ERR_OK || privilege_drop(NULL) != ERR_OK)
		return 6;
	if (privilege_drop("daemon") != ERR_PERMISSION ||
		strcmp(err_detail(), "only root can become the user daemon") != 0)
		return 7;
	return 0;
}

static int stay_root(void)
{
	if (!privilege_is_root())
		return 77;
	if (privilege_drop("root") != ERR_CONFIG || privilege_drop(NULL) != ERR_CONFIG)
		return 1;
	return privilege_is_root() && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0 ? 0 : 2;
}

static int drop_to_missing_user(void)
{
	return privilege_drop("no-such-user-here") == ERR_NOT_FOUND &&
			strstr(err_detail(), "there is no user no-such-user-here") != NULL
		? 0
		: 1;
}

static void drops_for_good(void **state)
{
	(void)state;
	check_child(drop_to_nobody);
}

static void refuses_to_serve_as_root(void **state)
{
	(void)state;
	check_child(stay_root);
}

static void names_the_missing_user(void **state)
{
	(void)state;
	check_child(drop_to_missing_user);
}

static void folders_are_made_once(void **state)
{
	(void)state;
	char base[] = "/tmp/postrider-test-XXXXXX";
	char path[64], file[64], deep[96];
	struct stat st;
	assert_non_null(mkdtemp(base));
	snprintf(path, sizeof path, "%s/data", base);
	snprintf(file, sizeof file, "%s/file", base);
	snprintf(deep, sizeof deep, "%s/missing/data", base);
	mode_t before = umask(0);
	assert_int_equal(privilege_make_folder(path, NULL), ERR_OK);
	umask(before);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(st.st_uid, geteuid());
	/* It is left as it is the next time. */
	assert_int_equal(chmod(path, 0750), 0);
	assert_int_equal(privilege_make_folder(path, NULL), ERR_OK);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0750);
	rmdir(path);

	if (privilege_is_root() && getpwnam("nobody") != NULL) {
		assert_int_equal(privilege_make_folder(path, "nobody"), ERR_OK);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_uid, getpwnam("nobody")->pw_uid);
		rmdir(path);
		assert_int_equal(privilege_make_folder(path, "no-such-user-here"), ERR_NOT_FOUND);
		assert_int_not_equal(stat(path, &st), 0);
	}
	int fd = open(file, O_CREAT | O_WRONLY, 0600);
	close(fd);
	assert_int_equal(privilege_make_folder(file, NULL), ERR_EXISTS);
	assert_non_null(strstr(err_detail(), "/file is not a folder"));
	assert_int_equal(privilege_make_folder(deep, NULL), ERR_NOT_FOUND);
	assert_non_null(strstr(err_detail(), "cannot create the folder "));
	unlink(file);
	rmdir(base);
}

static int raise_limit(void)
{
	struct rlimit limit;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = 20;
	setrlimit(RLIMIT_NOFILE, &limit);
	privilege_raise_file_limit();
	getrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_cur == limit.rlim_max ? 0 : 1;
}

static void file_limit_is_raised(void **state)
{
	(void)state;
	check_child(raise_limit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(drops_for_good),
		cmocka_unit_test(refuses_to_serve_as_root),
		cmocka_unit_test(names_the_missing_user),
		cmocka_unit_test(folders_are_made_once),
		cmocka_unit_test(file_limit_is_raised),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
