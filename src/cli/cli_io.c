/* Secrets, files, times: how commands read and print them. */
#include "cli/cli.h"

#include "base/mem.h"
#include "net/privilege.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define PASSWORD_MAX_BYTES 1024u

enum err cli_read_fd(int fd, struct buf *out)
{
	for (;;) {
		/* Large steps, so that a large message is not copied in many small ones; less where the bound is near. */
		size_t step = 256 * 1024;
		while (buf_reserve(out, step) != ERR_OK) {
			step /= 2;
			if (step == 0)
				break;
		}
		uint8_t beyond;
		ssize_t n = step > 0 ? read(fd, out->ptr + out->len, step) : read(fd, &beyond, 1);
		if (n == 0)
			return ERR_OK;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(err_from_errno(errno), "cannot read: %s", strerror(errno));
		if (step == 0)
			return err_set(ERR_LIMIT, "the input is larger than %zu bytes", out->len);
		out->len += (size_t)n;
	}
}

enum err cli_read_file(const char *path, struct buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_set(err_from_errno(errno), "cannot open %s: %s", path, strerror(errno));
	enum err err = cli_read_fd(fd, out);
	close(fd);
	if (err != ERR_OK) {
		CLEANUP(mem_free_pointer) char *why = mem_dup_cstr(err_detail());
		return err_set(err, "%s: %s", path, why);
	}
	return ERR_OK;
}

enum err cli_write_fd(int fd, struct view bytes)
{
	while (bytes.len > 0) {
		ssize_t n = write(fd, bytes.ptr, bytes.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(err_from_errno(errno), "cannot write: %s", strerror(errno));
		bytes = view_from(bytes, (size_t)n);
	}
	return ERR_OK;
}

void cli_forget(struct buf *secret)
{
	if (secret->ptr != NULL)
		explicit_bzero(secret->ptr, secret->cap);
	buf_clear(secret);
}

/* One line, byte by byte: what stands behind it in a pipe is for somebody else. */
static enum err read_line(int fd, struct buf *out)
{
	enum err err = buf_reserve(out, PASSWORD_MAX_BYTES + 2);
	while (err == ERR_OK && out->len <= PASSWORD_MAX_BYTES) {
		uint8_t c;
		ssize_t n = read(fd, &c, 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(err_from_errno(errno), "cannot read the password: %s", strerror(errno));
		if (n == 0 || c == '\n')
			break;
		err = buf_append_byte(out, c);
	}
	if (out->len > 0 && out->ptr[out->len - 1] == '\r')
		out->len--;
	return err;
}

static enum err check_password(const struct buf *password)
{
	if (password->len == 0)
		return err_set(ERR_SYNTAX, "the password is empty");
	if (password->len > PASSWORD_MAX_BYTES)
		return err_set(ERR_LIMIT, "the password is longer than %u bytes", PASSWORD_MAX_BYTES);
	return ERR_OK;
}

/* Ctrl-C while nothing is echoed must not leave the terminal without echo: signals wait until it is restored. */
static enum err prompt_line(int tty, const char *prompt, struct buf *out)
{
	struct termios before;
	sigset_t blocked;
	sigset_t old;
	if (tcgetattr(tty, &before) != 0)
		return err_set(ERR_IO, "cannot use the terminal: %s", strerror(errno));
	struct termios silent = before;
	silent.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTSTP);
	sigprocmask(SIG_BLOCK, &blocked, &old);
	tcsetattr(tty, TCSAFLUSH, &silent);
	fprintf(stderr, "%s: ", prompt);
	fflush(stderr);
	enum err err = read_line(tty, out);
	tcsetattr(tty, TCSAFLUSH, &before);
	sigprocmask(SIG_SETMASK, &old, NULL);
	fputc('\n', stderr);
	/* With ISIG off, Ctrl-C arrives as a byte. */
	if (err == ERR_OK && view_find(buf_view(out), 3) < out->len)
		return err_set(ERR_CANCELLED, "cancelled");
	return err;
}

enum err cli_read_password(const char *prompt, bool twice, struct buf *ret)
{
	struct buf first = { 0 };
	struct buf again = { 0 };
	enum err err;
	if (!isatty(STDIN_FILENO)) {
		err = read_line(STDIN_FILENO, &first);
	} else {
		err = prompt_line(STDIN_FILENO, prompt, &first);
		if (err == ERR_OK && twice)
			err = prompt_line(STDIN_FILENO, "Once more", &again);
		if (err == ERR_OK && twice && !view_eq(buf_view(&first), buf_view(&again)))
			err = err_set(ERR_SYNTAX, "the two passwords differ; nothing was changed");
	}
	if (err == ERR_OK)
		err = check_password(&first);
	cli_forget(&again);
	if (err != ERR_OK) {
		cli_forget(&first);
		return err;
	}
	*ret = first;
	return ERR_OK;
}

enum err cli_read_secret_file(const char *path, struct buf *ret)
{
	struct buf secret = { 0 };
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_set(err_from_errno(errno), "cannot open %s: %s", path, strerror(errno));
	enum err err = read_line(fd, &secret);
	close(fd);
	if (err == ERR_OK)
		err = check_password(&secret);
	if (err != ERR_OK) {
		cli_forget(&secret);
		return err;
	}
	*ret = secret;
	return ERR_OK;
}

struct cli_time_text cli_time(int64_t wall_ms)
{
	struct cli_time_text out = { "never" };
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm broken;
	if (wall_ms > 0 && localtime_r(&seconds, &broken) != NULL)
		strftime(out.text, sizeof out.text, "%Y-%m-%d %H:%M:%S", &broken);
	return out;
}

struct cli_time_text cli_duration(int64_t ms)
{
	struct cli_time_text out;
	const char *sign = ms < 0 ? "-" : "";
	uint64_t n = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
	if (n < 1000)
		snprintf(out.text, sizeof out.text, "%s%u ms", sign, (unsigned)n);
	else if (n < 10 * 1000)
		snprintf(
			out.text, sizeof out.text, "%s%u.%u s", sign, (unsigned)(n / 1000), (unsigned)(n % 1000 / 100));
	else if (n < 100 * 1000)
		snprintf(out.text, sizeof out.text, "%s%u s", sign, (unsigned)(n / 1000));
	else if (n < 100 * 60 * 1000)
		snprintf(out.text, sizeof out.text, "%s%u min", sign, (unsigned)(n / 60000));
	else if (n < (uint64_t)48 * 3600 * 1000)
		snprintf(out.text, sizeof out.text, "%s%u h", sign, (unsigned)(n / 3600000));
	else
		snprintf(out.text, sizeof out.text, "%s%llu days", sign, (unsigned long long)(n / 86400000));
	return out;
}

struct cli_time_text cli_size(uint64_t bytes)
{
	struct cli_time_text out;
	if (bytes < 1024)
		snprintf(out.text, sizeof out.text, "%u B", (unsigned)bytes);
	else if (bytes < (uint64_t)1024 * 1024)
		snprintf(out.text, sizeof out.text, "%u KiB", (unsigned)((bytes + 512) / 1024));
	else
		snprintf(out.text, sizeof out.text, "%.1f MiB", (double)bytes / (1024.0 * 1024.0));
	return out;
}

enum err cli_become_owner(const char *folder)
{
	struct stat st;
	if (!privilege_is_root() || stat(folder, &st) != 0 || st.st_uid == 0)
		return ERR_OK;
	const struct passwd *owner = getpwuid(st.st_uid);
	if (owner != NULL)
		return privilege_drop(owner->pw_name);
	if (setgroups(0, NULL) != 0 || setgid(st.st_gid) != 0 || setuid(st.st_uid) != 0)
		return err_set(ERR_PERMISSION, "cannot become the owner of %s (uid %u): %s", folder,
			(unsigned)st.st_uid, strerror(errno));
	return ERR_OK;
}
